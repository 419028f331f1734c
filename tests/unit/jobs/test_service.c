/* The job machine from the first image to the last report, with real workers. */

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "backend.h"
#include "filter.h"
#include "job_case.h"
#include "metric.h"

static void no_work_left(const char *job)
{
    char path[PATH_MAX];
    den_str_format(path, sizeof path, "%s/work/%s.1", folder, job);
    double until = den_monotonic_s() + 5;
    while (den_fs_exists(path) && den_monotonic_s() < until)
        usleep(2000); /* it goes just after the state is stored */
    ck_assert(!den_fs_exists(path));
}

/* ---- denoise ---- */

START_TEST(a_filter_makes_a_file_of_the_same_kind_with_the_filtered_pixels)
{
    static const struct {
        const char *format, *name, *result;
        enum den_dtype dtype;
        uint32_t pages;
    } cases[] = {
        {"tiff", "stack.ome.tif", "stack_denoised.ome.tif", DEN_U16, 3},
        {"tiff", "float", "float_denoised.tif", DEN_F32, 2},
        {"png", ".png", ".png_denoised.png", DEN_U16, 1},
    };
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row image =
        add_scene(cases[_i].name, 5, 0,
                  info_of(cases[_i].format, cases[_i].dtype, 41, cases[_i].pages));
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    assign(request.image, image.id);
    set(&request, "radius", "1");
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    ck_assert_str_eq(job.config, "radius=1\n");
    ck_assert_str_eq(job.result_name, cases[_i].result);
    ck_assert_uint_eq(job.step, cases[_i].pages);
    ck_assert_uint_eq(job.steps, cases[_i].pages);
    ck_assert_uint_eq(job.clipped, 0);
    struct den_image in = pixels_of(image.sha256), out = pixels_of(job.result_sha256);
    ck_assert_str_eq(out.info.format, cases[_i].format);
    ck_assert_int_eq(out.info.dtype, cases[_i].dtype);
    ck_assert_uint_eq(out.info.pages, cases[_i].pages);
    const size_t side = 41, n = side * side;
    float *want = den_calloc(n, sizeof *want);
    const double radius[DEN_FILTER_OPTIONS] = {1};
    for (uint32_t p = 0; p < cases[_i].pages; p++) {
        must(den_filter_find("median")->apply(NULL, 41, 41, in.pixels + p * n, want,
                                              radius, &err));
        ck_assert_mem_eq(out.pixels + p * n, want, n * sizeof *want);
    }
    den_free(want);
    den_image_release(&in);
    den_image_release(&out);
    ck_assert(has_event(job.id, "done", "succeeded", true));
    no_work_left(job.id);
}
END_TEST

/* ---- train, denoise, evaluate ---- */

static double score(const struct den_score_row *rows, size_t count, const char *method,
                    const char *metric, const char *image)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].method, method) == 0 && strcmp(rows[i].metric, metric) == 0 &&
            strcmp(rows[i].image, image) == 0)
            return rows[i].value;
    ck_abort_msg("there is no %s of %s", metric, method);
}

static void evaluate(const char *dataset, const char *model, const char *method,
                     const char *label, size_t methods)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_request request = {.kind = "evaluate"};
    struct den_score_row *rows = NULL;
    struct den_dataset_item *items = NULL;
    size_t count = 0, item_count = 0;
    assign(request.dataset, dataset);
    assign(request.model, model);
    assign(request.method, method);
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    must(kind->score_list(store, DEN_OWNER_LOCAL, job.id, &rows, &count, &err));
    must(kind->dataset_items(store, DEN_OWNER_LOCAL, dataset, &items, &item_count, &err));
    ck_assert_uint_eq(count, 4 * methods * den_metric_count());
    const char *image = items[0].noisy;
    double noisy = score(rows, count, "noisy", "psnr", image);
    ck_assert_double_gt(noisy, 5);
    ck_assert_double_gt(score(rows, count, "median", "psnr", image), noisy);
    ck_assert_double_gt(score(rows, count, "gaussian", "psnr", image), noisy);
    ck_assert(isfinite(score(rows, count, label, "ssim", image)));
    ck_assert_int_eq(has_event(job.id, "log", "was trained on this", false),
                     model[0] != '\0');
    den_free(rows);
    den_free(items);
}

START_TEST(a_model_is_trained_then_denoises_and_is_judged)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row set_row = add_pairs("two scenes");
    struct den_job_request request = train_request(set_row.id, "20");
    struct den_job_row train = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    struct den_model_row model;
    ck_assert_str_eq(train.model, "two-scenes"); /* from the data set's name */
    ck_assert_int_eq(train.version, 1);
    ck_assert_uint_eq(train.step, 20);
    ck_assert_ptr_nonnull(strstr(train.config, "\nlr=")); /* resolved, not only asked */
    must(kind->model_get(store, DEN_OWNER_LOCAL, "two-scenes", 1, &model, &err));
    ck_assert_str_eq(model.job, train.id);
    ck_assert_str_eq(model.dataset, set_row.id);
    ck_assert_str_eq(model.config, train.config);
    ck_assert(model.scale > 0 && model.has_validation);
    ck_assert(has_event(train.id, "metric", "loss_l1", false));
    ck_assert(has_event(train.id, "metric", "validation_psnr", false));
    ck_assert(has_event(train.id, "log", "best validation PSNR", false));
    no_work_left(train.id);

    struct den_job_row again = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    struct den_model_row second;
    ck_assert_int_eq(again.version, 2);
    must(kind->model_get(store, DEN_OWNER_LOCAL, "two-scenes", 0, &second, &err));
    ck_assert_str_eq(second.sha256, model.sha256); /* same seed, same bytes */

    struct den_job_request denoise = {.kind = "denoise", .model = "two-scenes@1"};
    assign(denoise.image, add_scene("s.tif", 9, 0, info_of("tiff", DEN_U16, 75, 2)).id);
    struct den_job_row done = wait_for(submit(&denoise).id, DEN_JOB_SUCCEEDED);
    ck_assert_int_eq(done.version, 1);
    struct den_image image = pixels_of(done.result_sha256);
    ck_assert_uint_eq(image.info.width, 75);
    ck_assert_uint_eq(image.info.pages, 2);
    den_image_release(&image);

    evaluate(set_row.id, "two-scenes", "", "two-scenes@2", 4);
    evaluate(set_row.id, "", "median", "median", 3);

    must_fail(den_service_delete_model(service, DEN_OWNER_LOCAL, "nobody", 0, &err),
              DEN_E_NOT_FOUND, "nobody");
    must(den_service_delete_model(service, DEN_OWNER_LOCAL, "two-scenes", 2, &err));
    must(den_service_delete_model(service, DEN_OWNER_LOCAL, "two-scenes", 0, &err));
    bool used = true;
    must(kind->blob_used(store, model.sha256, &used, &err));
    char path[PATH_MAX];
    den_blobs_path(den_service_blobs(service), model.sha256, path, sizeof path);
    ck_assert(!used && !den_fs_exists(path));
}
END_TEST

START_TEST(repeats_of_one_scene_train_and_are_judged)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_item item = {.clean = ""};
    struct den_dataset_row row;
    assign(item.noisy, add_scene("r.tif", 3, 0, info_of("tiff", DEN_U16, SIDE, 4)).id);
    must(den_service_add_dataset(service, DEN_OWNER_LOCAL, "r", "repeats", &item, 1, &row,
                                 &err));
    ck_assert_uint_eq(row.samples, 4);
    ck_assert_uint_eq(row.scenes, 1);
    struct den_job_request request = train_request(row.id, "5");
    assign(request.model, "r.v");
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    ck_assert_str_eq(job.model, "r.v");
    struct den_job_request judge = {.kind = "evaluate", .method = "gaussian"};
    assign(judge.dataset, row.id);
    set(&judge, "sigma", "1");
    job = wait_for(submit(&judge).id, DEN_JOB_SUCCEEDED);
    struct den_score_row *scores = NULL;
    size_t count = 0;
    must(kind->score_list(store, DEN_OWNER_LOCAL, job.id, &scores, &count, &err));
    const size_t pages = 4, methods = 4;
    ck_assert_uint_eq(count, pages * methods * den_metric_count());
    ck_assert_uint_eq(scores[count - 1].page, 3);
    ck_assert_str_eq(scores[count - 1].method, "gaussian(sigma=1)");
    den_free(scores);
}
END_TEST

/* ---- stops of all kinds ---- */

START_TEST(a_running_training_is_cancelled_and_can_be_tried_again)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_request request = train_request(add_pairs("p").id, "1000000");
    struct den_job_row job = submit(&request), row;
    /* Denoise jobs do not wait for it. */
    struct den_job_request quick = {.kind = "denoise", .method = "gaussian"};
    assign(quick.image, add_frame(4, 0).id);
    ck_assert(has_event(job.id, "state", "running", true));
    wait_for(submit(&quick).id, DEN_JOB_SUCCEEDED);
    ck_assert_int_eq(get_job(job.id).state, DEN_JOB_RUNNING);
    ck_assert(has_event(job.id, "progress", "", true));
    must_fail(den_service_delete_job(service, DEN_OWNER_LOCAL, job.id, &err),
              DEN_E_CONFLICT, "running");
    must(den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &row, &err));
    ck_assert_int_eq(row.state, DEN_JOB_CANCELLING);
    row = wait_for(job.id, DEN_JOB_CANCELLED);
    ck_assert_str_eq(row.error_code, "");
    ck_assert_uint_gt(row.step, 0);
    ck_assert(has_event(job.id, "done", "cancelled", true));
    no_work_left(job.id);
    must(den_service_retry(service, DEN_OWNER_LOCAL, job.id, &row, &err));
    ck_assert_int_eq(row.state, DEN_JOB_QUEUED);
    wait_for(job.id, DEN_JOB_RUNNING);
    must(den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &row, &err));
    wait_for(job.id, DEN_JOB_CANCELLED);
    must(den_service_delete_job(service, DEN_OWNER_LOCAL, job.id, &err));
}
END_TEST

START_TEST(a_training_goes_on_after_a_restart_to_the_same_bytes)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row whole, parts;
    struct den_job_request request = train_request(add_pairs("p").id, "60");
    wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    must(kind->model_get(store, DEN_OWNER_LOCAL, "p", 1, &whole, &err));
    struct den_job_row job = submit(&request);
    ck_assert(has_event(job.id, "metric", "loss_l1", true)); /* it is on its way */
    close_all();
    struct den_service_config config = usual_config();
    config.with_workers = false;
    open_with(config);
    ck_assert_int_eq(get_job(job.id).state, DEN_JOB_QUEUED);
    ck_assert_int_eq(get_job(job.id).attempts, 0);
    close_all();
    open_with(usual_config());
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    ck_assert(has_event(job.id, "log", "resumed at step", false));
    must(kind->model_get(store, DEN_OWNER_LOCAL, "p", job.version, &parts, &err));
    ck_assert_str_eq(parts.sha256, whole.sha256);
}
END_TEST

START_TEST(a_training_goes_on_after_kill_9)
{
    struct den_service_config config = usual_config();
    config.checkpoint_seconds = 0.05;
    struct den_job_request request = train_request(add_pairs("p").id, "150");
    close_all();
    struct den_service_config idle = config;
    idle.with_workers = false;
    open_with(idle);
    struct den_job_row job = submit(&request);
    close_all();
    char checkpoint[PATH_MAX];
    den_str_format(checkpoint, sizeof checkpoint, "%s/work/%s.1/checkpoint", folder,
                   job.id);
    pid_t child = fork();
    if (child == 0) {
        open_with(config);
        for (;;)
            pause();
    }
    double until = wait_end();
    while (!den_fs_exists(checkpoint) && den_monotonic_s() < until)
        usleep(500);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    open_with(usual_config());
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    ck_assert_int_eq(job.attempts, 2);
    ck_assert(has_event(job.id, "log", "resumed at step", false));
}
END_TEST

START_TEST(a_training_that_diverges_fails_with_a_sentence)
{
    struct den_job_request request = train_request(add_pairs("p").id, "300");
    set(&request, "lr", "10");
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row job;
    struct den_job_estimate estimate;
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &job, &estimate,
                            &err));
    double until = wait_end();
    do
        usleep(2000);
    while ((job = get_job(job.id)).finished_ms == 0 && den_monotonic_s() < until);
    ck_assert_int_eq(job.state, DEN_JOB_FAILED);
    ck_assert_str_eq(job.error_code, "diverged");
    ck_assert_uint_gt(strlen(job.error_text), 20);
    ck_assert(has_event(job.id, "done", "failed", true));
    must_fail(kind->model_get(store, DEN_OWNER_LOCAL, "p", 0,
                              &(struct den_model_row){.version = 0}, &err),
              DEN_E_NOT_FOUND, "p");
}
END_TEST

/* ---- events reach the streams ---- */

static atomic_int notified;

static void count_event(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

START_TEST(every_event_is_told_and_numbers_are_counted)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_event_row rows[16];
    struct den_service_stats stats;
    size_t count = 0;
    den_service_on_event(service, count_event, &notified);
    struct den_job_request request = {.kind = "denoise", .method = "gaussian"};
    assign(request.image, add_frame(1, 0).id);
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    ck_assert(has_event(job.id, "done", "succeeded", true));
    den_service_stop(service); /* the worker has told all it had to */
    struct den_job_estimate estimate;
    must_fail(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &job,
                                 &estimate, &err),
              DEN_E_DRAINING, "going down");
    close_all();
    open_with(usual_config());
    must(kind->event_list(store, DEN_OWNER_LOCAL, job.id, 0, 16, rows, &count, &err));
    ck_assert_uint_eq(count, 4); /* queued, running, succeeded, done */
    ck_assert_int_eq((int)atomic_load(&notified), 3); /* submitted, started, ended */
    must(den_service_stats(service, &stats, &err));
    ck_assert_uint_eq(stats.jobs[DEN_JOB_SUCCEEDED], 1);
    ck_assert_int_eq(stats.workers, 2);
    ck_assert_int_eq(stats.workers_busy, 0);
}
END_TEST

START_TEST(an_unknown_part_is_refused_with_the_names_of_those_there_are)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service *none = NULL;
    struct den_service_config config = usual_config();
    must_fail(den_service_has_store("oracle", &err), DEN_E_INVALID,
              "store: there is no store 'oracle'; allowed: sqlite");
    must_fail(den_service_has_backend("gpu", &err), DEN_E_INVALID,
              "backend: there is no backend 'gpu'; allowed: auto, cpu, blas, ref");
    for (size_t i = 0; den_stores[i] != NULL; i++)
        must(den_service_has_store(den_stores[i]->name, &err));
    for (size_t i = 0; den_backends[i] != NULL; i++)
        must(den_service_has_backend(den_backends[i]->name, &err));
    config.backend = "gpu";
    must_fail(den_service_open(&config, &none, &err), DEN_E_INVALID, "allowed: auto");
    ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
    enum { TIMEOUT_S = 120 };
    Suite *suite = suite_create("service");
    TCase *tcase = tcase_create("service");
    tcase_set_timeout(tcase, TIMEOUT_S);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(
        tcase, a_filter_makes_a_file_of_the_same_kind_with_the_filtered_pixels, 0, 3);
    tcase_add_test(tcase, a_model_is_trained_then_denoises_and_is_judged);
    tcase_add_test(tcase, repeats_of_one_scene_train_and_are_judged);
    tcase_add_test(tcase, a_running_training_is_cancelled_and_can_be_tried_again);
    tcase_add_test(tcase, a_training_goes_on_after_a_restart_to_the_same_bytes);
    tcase_add_test(tcase, a_training_goes_on_after_kill_9);
    tcase_add_test(tcase, a_training_that_diverges_fails_with_a_sentence);
    tcase_add_test(tcase, every_event_is_told_and_numbers_are_counted);
    tcase_add_test(tcase, an_unknown_part_is_refused_with_the_names_of_those_there_are);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
