/* Experiments as jobs: what is refused, what comes out, and that interruptions change
 * nothing. */

#include <math.h>
#include <signal.h>
#include <sys/wait.h>

#include "experiment_case.h"

START_TEST(every_cell_is_trained_judged_and_kept)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = tiny_grid("6");
    struct den_job_request request = experiment_request(add_scenes().id, e);
    struct den_job_row job = submit(&request);
    ck_assert_uint_eq(job.steps, 64); /* 8 cells of 6 steps and 2 test images */
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    ck_assert_uint_eq(job.step, job.steps);
    struct den_experiment_state state;
    must(den_experiment_load(kind, store, DEN_OWNER_LOCAL, job.id, &state, &err));
    ck_assert_uint_eq(state.done, 8);
    ck_assert(state.has_reference);
    for (size_t i = 0; i < 8; i++) {
        const struct den_experiment_result *r = &state.results[i];
        ck_assert_int_eq(r->state, DEN_CELL_DONE);
        ck_assert_uint_eq(r->images, den_experiment_place(e, i).sample == 0 ? 4 : 2);
        ck_assert(isfinite(r->values[0]) && r->values[1] < 1 && r->seconds > 0);
        for (size_t k = 0; k < i; k++)
            ck_assert(state.results[k].values[0] != r->values[0]);
    }
    /* An untrained net is no match for a filter, and the filter beats doing nothing. */
    ck_assert(state.baselines[0].there && state.baselines[1].there);
    ck_assert(state.baselines[1].values[0] > state.baselines[0].values[0]);
    den_experiment_release(&state);
    static const struct {
        int64_t cell;
        bool has;
    } crops[] = {{DEN_CELL_NOISY, true},
                 {DEN_CELL_REFERENCE, true},
                 {0, true},
                 {1, true},
                 {2, false},
                 {4, false},
                 {-3, false}};
    for (size_t i = 0; i < sizeof crops / sizeof crops[0]; i++) {
        char *crop = NULL;
        must(kind->cell_crop(store, DEN_OWNER_LOCAL, job.id, crops[i].cell, &crop, &err));
        ck_assert_msg((crop != NULL) == crops[i].has, "crop %zu", i);
        ck_assert(crop == NULL || strncmp(crop, "iVBORw0KGgo", 11) == 0); /* PNG */
        den_free(crop);
    }
    ck_assert(
        has_event(job.id, "log", "cell 8 of 8: SSIM, 2 images, seed 2: psnr", false));
    struct den_model_row models[4];
    size_t count = 9;
    must(kind->model_list(store, DEN_OWNER_LOCAL, NULL, "", 4, models, &count, &err));
    ck_assert_uint_eq(count, 0);
    char work[160];
    den_str_format(work, sizeof work, "%s/work/%s.1", folder, job.id);
    double until = den_monotonic_s() + 5; /* the folder goes after the state is told */
    while (den_fs_exists(work) && den_monotonic_s() < until)
        usleep(2000);
    ck_assert(!den_fs_exists(work));
    den_experiment_free(e);
}
END_TEST

START_TEST(models_are_kept_when_asked_for)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = tiny("6");
    struct den_model_row model;
    char path[PATH_MAX];
    put_all(e, (const struct entry[]){{"row", "CL+TV (a)"},
                                      {"sample", "2"},
                                      {"seed", "3"},
                                      {"seed", "9"},
                                      {"keep_models", "true"},
                                      {"test_scene", "s3_f-1"},
                                      {NULL, NULL}});
    struct den_job_request request = experiment_request(add_scenes().id, e);
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    must(kind->model_get(store, DEN_OWNER_LOCAL, "CL-TV--a--2", 2, &model, &err));
    ck_assert_uint_eq(model.seed, 9);
    ck_assert_uint_eq(model.steps, 6);
    ck_assert_str_eq(model.job, job.id);
    ck_assert_ptr_nonnull(strstr(model.config, "samples=2\n"));
    den_blobs_path(den_service_blobs(service), model.sha256, path, sizeof path);
    ck_assert(den_fs_exists(path));
    struct den_job_request denoise = {.kind = "denoise", .model = "CL-TV--a--2@1"};
    assign(denoise.image, add_frame(5, 0).id);
    wait_for(submit(&denoise).id, DEN_JOB_SUCCEEDED);
    den_experiment_free(e);
}
END_TEST

START_TEST(a_cell_that_diverges_is_told_and_the_others_go_on)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = tiny("60");
    put_all(e, (const struct entry[]){{"common.decay_fraction", "0"},
                                      {"row", "fine"},
                                      {"row", "too fast"},
                                      {"set.lr", "10"},
                                      {"set.norm_layer", "instance"},
                                      {"set.beta1", "0.9999"},
                                      {"row", "fine, too"},
                                      {"set.lr", "0.0002"},
                                      {"seed", "1"},
                                      {"test_scene", "s3_f-1.tif"},
                                      {NULL, NULL}});
    struct den_job_request request = experiment_request(add_scenes().id, e);
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    struct den_experiment_state state;
    must(den_experiment_load(kind, store, DEN_OWNER_LOCAL, job.id, &state, &err));
    ck_assert_int_eq(state.results[0].state, DEN_CELL_DONE);
    ck_assert_int_eq(state.results[1].state, DEN_CELL_DIVERGED);
    ck_assert_msg(strstr(state.results[1].why, "diverged") != NULL, "%s",
                  state.results[1].why);
    ck_assert_int_eq(state.results[2].state, DEN_CELL_DONE);
    den_experiment_release(&state);
    den_experiment_free(e);
}
END_TEST

START_TEST(what_cannot_run_is_refused_with_its_place)
{
    static const struct {
        struct entry entries[3];
        const char *pointer, *words;
    } cases[] = {
        {{{"test_scene", "s4"}}, "/grid/test_scenes/0", "called 's4'"},
        {{{"test_dataset", "set_01ARZ3NDEKTSV4RRFFQ69G5FAV"}},
         "/grid/test_dataset",
         "no data set"},
        {{{"test_scene", "s3_f-1"}, {"sample", "4"}}, "/grid/samples/0", "4 are there"},
        {{{"test_scene", "s3_f-1"}, {"set.crop", "96"}}, "/grid/rows/0/set/crop", "96"},
        {{{"test_scene", "s3_f-1"}, {"set.crop", "40"}},
         "/grid/rows/0/set/crop",
         "multiple of 32"},
        {{{"seed", "1"}}, "/grid/test_scenes", "name test scenes"},
    };
    struct den_dataset_row set = add_scenes();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_experiment *e = tiny("6");
        struct den_job_row row;
        struct den_job_estimate estimate;
        put_all(e, (const struct entry[]){{"row", "a"}, {NULL, NULL}});
        put_all(e, cases[i].entries);
        struct den_job_request request = experiment_request(set.id, e);
        ck_assert_msg(!den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row,
                                          &estimate, &err),
                      "case %zu was taken", i);
        ck_assert_str_eq(err.field, cases[i].pointer);
        ck_assert_msg(strstr(err.text, cases[i].words) != NULL, "%s", err.text);
        den_experiment_free(e);
    }
}
END_TEST

START_TEST(images_to_test_on_are_never_trained_on)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row set = add_scenes(), other;
    struct den_dataset_item items[2];
    struct den_job_row row;
    struct den_job_estimate estimate;
    assign(items[0].noisy, add_frame(8, 0).id);
    assign(items[0].clean, add_frame(8, -1).id);
    assign(items[1].noisy, add_frame(2, 7).id); /* a new frame of a scene trained on */
    assign(items[1].clean, add_frame(2, -1).id);
    for (size_t count = 1; count <= 2; count++) {
        must(den_service_add_dataset(service, DEN_OWNER_LOCAL, "test", "pairs", items,
                                     count, &other, &err));
        struct den_experiment *e = tiny("6");
        put_all(e, (const struct entry[]){
                       {"row", "a"}, {"test_dataset", other.id}, {NULL, NULL}});
        struct den_job_request request = experiment_request(set.id, e);
        if (count == 1)
            must(den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row,
                                    &estimate, &err));
        else
            must_fail(den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row,
                                         &estimate, &err),
                      DEN_E_INVALID, "test_dataset: the image 's2_f-1.tif' would be");
        den_experiment_free(e);
    }
}
END_TEST

/* The noisy image of the test scene is the clean one of another pair. */
START_TEST(an_image_of_a_test_scene_is_not_trained_on_in_another_place)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_item items[3];
    struct den_dataset_row set;
    struct den_job_row row;
    struct den_job_estimate estimate;
    static const int noisy[3][2] = {{1, 0}, {3, 0}, {1, 1}},
                     clean[3][2] = {{1, -1}, {3, -1}, {3, 0}};
    for (size_t i = 0; i < 3; i++) {
        assign(items[i].noisy, add_frame((uint64_t)noisy[i][0], noisy[i][1]).id);
        assign(items[i].clean, add_frame((uint64_t)clean[i][0], clean[i][1]).id);
    }
    must(den_service_add_dataset(service, DEN_OWNER_LOCAL, "odd", "pairs", items, 3, &set,
                                 &err));
    struct den_experiment *e = tiny("6");
    put_all(e,
            (const struct entry[]){{"row", "a"}, {"test_scene", "s3_f-1"}, {NULL, NULL}});
    struct den_job_request request = experiment_request(set.id, e);
    must_fail(den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row,
                                 &estimate, &err),
              DEN_E_INVALID, "test_scenes: the image 's3_f0.tif' would be");
    den_experiment_free(e);
}
END_TEST

START_TEST(a_cancelled_experiment_keeps_its_cells_and_goes_on_when_asked_again)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = tiny_grid("60");
    struct den_job_request request = experiment_request(add_scenes().id, e);
    struct den_job_row job = submit(&request), row;
    struct den_experiment_state state;
    ck_assert(has_event(job.id, "log", "cell 2 of 8", true));
    must(den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &row, &err));
    wait_for(job.id, DEN_JOB_CANCELLED);
    must(den_experiment_load(kind, store, DEN_OWNER_LOCAL, job.id, &state, &err));
    ck_assert_uint_ge(state.done, 2);
    ck_assert_uint_lt(state.done, 8);
    den_experiment_release(&state);
    must(den_service_retry(service, DEN_OWNER_LOCAL, job.id, &row, &err));
    wait_for(job.id, DEN_JOB_SUCCEEDED);
    ck_assert(has_event(job.id, "log", "cells are there already", false));
    must(den_experiment_load(kind, store, DEN_OWNER_LOCAL, job.id, &state, &err));
    ck_assert_uint_eq(state.done, 8);
    den_experiment_release(&state);
    den_experiment_free(e);
}
END_TEST

/* ---- interruptions ---- */

START_TEST(a_training_does_not_wait_for_the_end_of_an_experiment)
{
    struct den_experiment *e = tiny_grid("60");
    struct den_dataset_row set = add_scenes();
    struct den_job_request request = experiment_request(set.id, e),
                           training = train_request(set.id, "2");
    struct den_job_row job = submit(&request);
    ck_assert(has_event(job.id, "log", "cell 1 of 8", true));
    wait_for(submit(&training).id, DEN_JOB_SUCCEEDED);
    ck_assert(!has_event(job.id, "log", "cell 8 of 8", false));
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    ck_assert_int_eq(job.attempts, 1); /* to give way is no failure */
    ck_assert(has_event(job.id, "log", "a training goes first", false));
    den_experiment_free(e);
}
END_TEST

static pid_t start_server(const struct den_service_config *config)
{
    pid_t child = fork();
    if (child == 0) {
        open_with(*config);
        for (;;)
            pause();
    }
    ck_assert_int_gt(child, 0);
    return child;
}

/* How many cells the killed server had finished. */
static size_t cells_done(const struct den_service_config *config, const char *job)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config idle = *config;
    struct den_experiment_state state;
    idle.with_workers = false;
    open_with(idle);
    must(den_experiment_load(kind, store, DEN_OWNER_LOCAL, job, &state, &err));
    size_t done = state.done;
    den_experiment_release(&state);
    close_all();
    return done;
}

START_TEST(kills_and_stops_change_no_result)
{
    enum { ENOUGH = 3, MOST = 60 };
    need_slow(); /* ten times slower, no kill leaves progress */
    struct den_service_config config = usual_config(), idle;
    config.max_attempts = 1000;
    config.checkpoint_seconds = 0.02;
    struct den_dataset_row set = add_scenes();
    struct den_experiment *e = tiny_grid("200"); /* a cell takes longer than a life */
    struct den_job_request request = experiment_request(set.id, e);
    struct den_job_row unbroken = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    struct den_buf want = cells_of(unbroken.id);
    close_all();
    idle = config;
    idle.with_workers = false;
    open_with(idle);
    struct den_job_row job = submit(&request);
    close_all();
    unsigned kills = 0;
    for (; kills < MOST && cells_done(&config, job.id) < ENOUGH; kills++) {
        pid_t child = start_server(&config);
        usleep(40000 * (1 + kills % 4));
        ck_assert_int_eq(kill(child, SIGKILL), 0);
        ck_assert_int_eq(waitpid(child, NULL, 0), child);
    }
    ck_assert_uint_gt(kills, 1);  /* else nothing was interrupted */
    for (int i = 0; i < 2; i++) { /* as on SIGTERM */
        open_with(config);
        usleep(60000);
        close_all();
    }
    ck_assert_uint_lt(cells_done(&config, job.id), 8);
    open_with(config);
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    ck_assert(has_event(job.id, "log", "cells are there already", false));
    struct den_buf got = cells_of(job.id);
    ck_assert_str_eq(got.data, want.data);
    den_buf_release(&got);
    den_buf_release(&want);
    den_experiment_free(e);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("experiment job");
    TCase *tcase = tcase_create("experiment job");
    tcase_set_timeout(tcase, 2 * WAIT_S);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_cell_is_trained_judged_and_kept);
    tcase_add_test(tcase, models_are_kept_when_asked_for);
    tcase_add_test(tcase, a_cell_that_diverges_is_told_and_the_others_go_on);
    tcase_add_test(tcase, what_cannot_run_is_refused_with_its_place);
    tcase_add_test(tcase, images_to_test_on_are_never_trained_on);
    tcase_add_test(tcase, an_image_of_a_test_scene_is_not_trained_on_in_another_place);
    tcase_add_test(tcase,
                   a_cancelled_experiment_keeps_its_cells_and_goes_on_when_asked_again);
    tcase_add_test(tcase, a_training_does_not_wait_for_the_end_of_an_experiment);
    tcase_add_test(tcase, kills_and_stops_change_no_result);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
