/* A model whose net is not the usual one: from the request to the restored image. */

#include "job_case.h"
#include "model.h"

/* Tiles of 64: images of some hundred pixels take several. */
static void setup_small_tiles(void)
{
    setup();
    close_all();
    struct den_service_config config = usual_config();
    config.model_tile = 64;
    open_with(config);
}

static const struct {
    const char *preset, *method;
} asked[] = {{"care", ""}, {"", "care"}, {"care", "care"}};

START_TEST(a_model_of_care_is_trained_and_restores_images_of_any_size)
{
    static const struct {
        size_t side, tiles;
    } images[] = {{10, 1}, {75, 4}, {64, 1}, {131, 16}};
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row set_row = add_pairs("two scenes");
    struct den_job_request request = train_request(set_row.id, "4");
    struct den_model_row row;
    struct den_model *model = NULL;
    char path[PATH_MAX];
    assign(request.preset, asked[_i].preset);
    assign(request.method, asked[_i].method);
    assign(request.model, "c");
    struct den_job_row train = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    ck_assert_str_eq(train.preset, "care");
    ck_assert_str_eq(train.method, "care");
    ck_assert_ptr_nonnull(strstr(train.config, "\nnet=care\n"));
    must(kind->model_get(store, DEN_OWNER_LOCAL, "c", 1, &row, &err));
    den_blobs_path(den_service_blobs(service), row.sha256, path, sizeof path);
    must(den_model_load(den_backends[0], path, &model, &err));
    ck_assert_ptr_eq(model->net, &den_net_care);
    den_model_free(model);

    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        struct den_job_request denoise = {.kind = "denoise", .model = "c"};
        uint32_t side = (uint32_t)images[i].side;
        assign(denoise.image,
               add_scene("s.tif", 9, 0, info_of("tiff", DEN_U16, side, 1)).id);
        struct den_job_row job = wait_for(submit(&denoise).id, DEN_JOB_SUCCEEDED);
        ck_assert_uint_eq(job.steps, images[i].tiles);
        ck_assert_uint_eq(job.step, images[i].tiles);
    }
}
END_TEST

/* The memory that a job is planned with is that of its own net. */
START_TEST(a_job_is_planned_with_the_net_of_its_model)
{
    struct den_dataset_row set_row = add_pairs("two scenes");
    static const char *const presets[] = {"cpu", "care"};
    size_t bytes[2];
    for (size_t i = 0; i < 2; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_job_request train = train_request(set_row.id, "2");
        struct den_job_request denoise = {.kind = "denoise", .model = "m"};
        struct den_job_estimate estimate;
        struct den_job_row row;
        assign(train.preset, presets[i]);
        assign(train.model, "m");
        wait_for(submit(&train).id, DEN_JOB_SUCCEEDED);
        assign(denoise.image,
               add_scene("s.tif", 9, 0, info_of("tiff", DEN_U16, 64, 1)).id);
        must(den_service_submit(service, DEN_OWNER_LOCAL, &denoise, true, &row, &estimate,
                                &err));
        bytes[i] = estimate.bytes;
    }
    ck_assert_uint_ne(bytes[0], bytes[1]);
}
END_TEST

START_TEST(a_preset_of_another_method_is_refused_by_the_setting_that_clashes)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row set_row = add_pairs("two scenes");
    struct den_job_request request = train_request(set_row.id, "2");
    struct den_job_estimate estimate;
    struct den_job_row row;
    assign(request.preset, "cpu_gan");
    assign(request.method, "care");
    ck_assert(!den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row,
                                  &estimate, &err));
    ck_assert_int_eq(err.code, DEN_E_INVALID);
    ck_assert_str_eq(err.field, "/config/lambda_gan");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("models of care");
    TCase *tcase = tcase_create("service");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup_small_tiles, teardown);
    tcase_add_loop_test(tcase, a_model_of_care_is_trained_and_restores_images_of_any_size,
                        0, (int)(sizeof asked / sizeof *asked));
    tcase_add_test(tcase, a_job_is_planned_with_the_net_of_its_model);
    tcase_add_test(tcase,
                   a_preset_of_another_method_is_refused_by_the_setting_that_clashes);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
