/* Trainings that start from a model of the store. */

#include "job_case.h"

/* A training that says nothing about the net. */
static struct den_job_request tune_request(const char *dataset, const char *base)
{
    struct den_job_request request = {.kind = "train", .model = "tuned"};
    assign(request.dataset, dataset);
    assign(request.base_model, base);
    set(&request, "iterations", "12");
    set(&request, "batch", "2");
    set(&request, "crop", "32");
    return request;
}

/* Trains the model "cells" of a net that no preset has; gives its data set. */
static struct den_dataset_row make_base(void)
{
    struct den_dataset_row set_row = add_pairs("cells");
    struct den_job_request request = train_request(set_row.id, "15");
    assign(request.preset, "cpu_gan");
    set(&request, "ndf", "4");
    set(&request, "normalisation", "percentile");
    set(&request, "output", "tanh");
    wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    return set_row;
}

static double first_value(const char *job, const char *name, uint64_t *ret_step)
{
    enum { MOST = 500 };
    struct den_err err = DEN_ERR_INIT;
    struct den_event_row *rows = den_calloc(MOST, sizeof *rows);
    size_t count = 0, i = 0;
    must(kind->event_list(store, DEN_OWNER_LOCAL, job, 0, MOST, rows, &count, &err));
    while (i < count &&
           (strcmp(rows[i].type, "metric") != 0 || strcmp(rows[i].name, name) != 0))
        i++;
    ck_assert_msg(i < count, "no %s", name);
    double value = rows[i].value;
    *ret_step = rows[i].step;
    den_free(rows);
    return value;
}

START_TEST(a_model_is_tuned_with_the_net_and_normalisation_of_its_base)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row set_row = make_base();
    struct den_model_row base, tuned;
    struct den_job_request request = tune_request(set_row.id, "cells");
    assign(request.preset, "cpu"); /* says otherwise, and is overruled */
    set(&request, "freeze_encoder", "true");
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    static const char *const lines[] = {"\nngf=4\n",
                                        "\noutput=tanh\n",
                                        "\ndowns=5\n",
                                        "\nnormalisation=percentile\n",
                                        "\nlambda_gan=0\n",
                                        "\nbase_model=cells@1\n",
                                        "\nfreeze_encoder=true\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(job.config, lines[i]) != NULL, "%s", lines[i]);
    must(kind->model_get(store, DEN_OWNER_LOCAL, "cells", 1, &base, &err));
    must(kind->model_get(store, DEN_OWNER_LOCAL, "tuned", 1, &tuned, &err));
    ck_assert(tuned.shift == base.shift && tuned.scale == base.scale);
    ck_assert_str_eq(tuned.config, job.config);
    ck_assert_str_ne(tuned.sha256, base.sha256);
    uint64_t step = 77;
    ck_assert_double_gt(first_value(job.id, "validation_psnr", &step), 5);
    ck_assert_uint_eq(step, 0); /* what the base had */

    /* A tuned model is a base, too, and its settings may be named when they are right. */
    request = tune_request(set_row.id, "tuned@1");
    set(&request, "ngf", "4");
    job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    ck_assert_ptr_nonnull(strstr(job.config, "\nbase_model=tuned@1\n"));
    ck_assert_ptr_null(strstr(job.config, "cells@1"));
    ck_assert_str_eq(job.preset, "cpu"); /* of tuned@1, as is the method */
    request = tune_request(set_row.id, "cells");
    set(&request, "ndf", "4");
    job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    ck_assert_str_eq(job.preset, "cpu_gan");
    ck_assert_str_eq(job.method, "cgan");
    struct den_job_request denoise = {.kind = "denoise", .model = "tuned@2"};
    assign(denoise.image, add_frame(7, 0).id);
    wait_for(submit(&denoise).id, DEN_JOB_SUCCEEDED);
}
END_TEST

START_TEST(tuning_goes_on_after_a_restart_to_the_same_bytes)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row whole, parts;
    struct den_job_request request = tune_request(make_base().id, "cells@1");
    assign(request.settings[0].value, "60");
    set(&request, "freeze_encoder", "true");
    set(&request, "ndf", "4");
    wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    must(kind->model_get(store, DEN_OWNER_LOCAL, "tuned", 1, &whole, &err));
    struct den_job_row job = submit(&request);
    ck_assert(has_event(job.id, "metric", "loss_l1", true)); /* it is on its way */
    close_all();
    open_with(usual_config());
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    must(kind->model_get(store, DEN_OWNER_LOCAL, "tuned", job.version, &parts, &err));
    ck_assert_str_eq(parts.sha256, whole.sha256);
}
END_TEST

static struct den_job_row wait_for_the_end(const char *id)
{
    double until = wait_end();
    struct den_job_row row = get_job(id);
    while (row.finished_ms == 0 && den_monotonic_s() < until) {
        usleep(2000);
        row = get_job(id);
    }
    return row;
}

START_TEST(a_base_that_was_deleted_meanwhile_fails_the_job_with_a_sentence)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row set_row = make_base();
    struct den_job_request request = tune_request(set_row.id, "cells");
    close_all();
    struct den_service_config idle = usual_config();
    idle.with_workers = false;
    open_with(idle);
    struct den_job_row job = submit(&request);
    must(den_service_delete_model(service, DEN_OWNER_LOCAL, "cells", 1, &err));
    close_all();
    open_with(usual_config());
    job = wait_for_the_end(job.id);
    ck_assert_int_eq(job.state, DEN_JOB_FAILED);
    ck_assert_str_eq(job.error_code, "not_found");
    ck_assert_str_eq(job.error_text, "the base model cells@1 has been deleted since the "
                                     "job was submitted");
    /* The next model of that name is another one: cells@2. */
    struct den_job_request again = train_request(set_row.id, "5");
    wait_for(submit(&again).id, DEN_JOB_SUCCEEDED);
    must(den_service_retry(service, DEN_OWNER_LOCAL, job.id, &job, &err));
    job = wait_for_the_end(job.id);
    ck_assert_str_eq(job.error_code, "not_found");
}
END_TEST

static const struct {
    const char *base, *key, *value;
    enum den_code code;
    const char *field, *words;
} refusals[] = {
    {"nobody", NULL, NULL, DEN_E_NOT_FOUND, "/base_model", "there is no model 'nobody'"},
    {"cells@9", NULL, NULL, DEN_E_NOT_FOUND, "/base_model", "no version 9"},
    {"cells@x", NULL, NULL, DEN_E_NOT_FOUND, "/base_model", "no alias 'x'"},
    {"cells@0", NULL, NULL, DEN_E_INVALID, "/base_model", "as in cells@1"},
    {"../cells", NULL, NULL, DEN_E_INVALID, "/base_model", "name@version"},
    {"cells", "ngf", "8", DEN_E_INVALID, "/config/ngf",
     "ngf is 8, but the base model cells@1 has 4; leave it out"},
    {"cells", "downs", "6", DEN_E_INVALID, "/config/downs", "cells@1 has 5"},
    {"cells", "norm_layer", "instance", DEN_E_INVALID, "/config/norm_layer", "has batch"},
    {"cells", "output", "linear", DEN_E_INVALID, "/config/output", "has tanh"},
    {"cells", "normalisation", "min_max", DEN_E_INVALID, "/config/normalisation",
     "has percentile"},
    {"cells", "net", "care", DEN_E_INVALID, "/config/net", "has unet"},
    {"", "freeze_encoder", "true", DEN_E_INVALID, "/config/freeze_encoder",
     "needs a base_model"},
};

START_TEST(a_base_that_does_not_fit_is_refused_before_the_queue)
{
    struct den_dataset_row set_row = make_base();
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_job_row row;
        struct den_job_estimate estimate;
        struct den_job_request request = tune_request(set_row.id, refusals[i].base);
        if (refusals[i].key != NULL)
            set(&request, refusals[i].key, refusals[i].value);
        ck_assert(!den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row,
                                      &estimate, &err));
        ck_assert_msg(err.code == refusals[i].code, "%zu: %s: %s", i,
                      den_code_name(err.code), err.text);
        ck_assert_str_eq(err.field, refusals[i].field);
        ck_assert_msg(strstr(err.text, refusals[i].words) != NULL, "%s", err.text);
    }
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    struct den_job_estimate estimate;
    struct den_job_request request = {
        .kind = "evaluate", .model = "cells", .base_model = "cells"};
    assign(request.dataset, set_row.id);
    must_fail(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row,
                                 &estimate, &err),
              DEN_E_INVALID, "no use for base_model");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fine-tuning jobs");
    TCase *tc = tcase_create("jobs");
    tcase_set_timeout(tc, 2 * WAIT_S);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_model_is_tuned_with_the_net_and_normalisation_of_its_base);
    tcase_add_test(tc, tuning_goes_on_after_a_restart_to_the_same_bytes);
    tcase_add_test(tc, a_base_that_was_deleted_meanwhile_fails_the_job_with_a_sentence);
    tcase_add_test(tc, a_base_that_does_not_fit_is_refused_before_the_queue);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
