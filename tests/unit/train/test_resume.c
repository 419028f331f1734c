#include <math.h>
#include <string.h>

#include "checkpoint.h"
#include "train_help.h"

struct files {
    char *best, *last;
    size_t best_size, last_size;
};

static struct files read_files(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct files f = {0};
    char path[PATH];
    must(den_fs_read(path_of("best.model", path), 1 << 24, &f.best, &f.best_size, &err));
    must(den_fs_read(path_of("last.model", path), 1 << 24, &f.last, &f.last_size, &err));
    return f;
}

static void free_files(struct files *f)
{
    den_free(f->best);
    den_free(f->last);
}

static bool same_files(const struct files *a, const struct files *b)
{
    return a->best_size == b->best_size && a->last_size == b->last_size &&
           memcmp(a->best, b->best, a->best_size) == 0 &&
           memcmp(a->last, b->last, a->last_size) == 0;
}

/* What was told up to the interruption and after it, against the unbroken run. */
static void check_told(const struct watch *whole, const struct watch *before,
                       const struct watch *after)
{
    ck_assert_uint_eq(before->numbers + after->numbers, whole->numbers);
    for (size_t i = 0; i < whole->numbers; i++) {
        const struct watch *part = i < before->numbers ? before : after;
        size_t at = i < before->numbers ? i : i - before->numbers;
        ck_assert_str_eq(part->told[at].name, whole->told[i].name);
        ck_assert_uint_eq(part->told[at].step, whole->told[i].step);
        ck_assert_mem_eq(&part->told[at].value, &whole->told[i].value, sizeof(double));
    }
}

/* Long enough to tell the mean of two steps at a time: stopped between the two. */
static void long_run(struct den_train_config *c)
{
    c->iterations = 400;
    c->validate_every = 400;
    c->batch = 1;
    c->ngf = 1;
}

static const struct {
    const char *backend;
    size_t stop_at;
    void (*change)(struct den_train_config *config);
} breaks[] = {
    {"cpu", 1, gan},
    {"cpu", 7, gan},
    {"cpu", 12, gan},
    {"cpu", 0, gan},
    {"cpu", 5, dropout},
    {"ref", 5, gan},
    {"ref", 8, dropout},
    {"cpu", 9, without_gain},
    {"cpu", 201, long_run},
    {"cpu", 6, instance_norm},
    {"cpu", 7, two_d_steps},
    {"cpu", 7, augmented},
    {"cpu", 4, late_gan},
    {"cpu", 6, late_gan},
    {"cpu", 7, late_gan},
    {"cpu", 1, infonce},
    {"cpu", 5, encoder_views},
    {"cpu", 5, patches},
    {"cpu", 3, pretrained},
    {"cpu", 6, pretrained},
    {"cpu", 9, pretrained},
    {"cpu", 7, infonce},
    {"cpu", 5, ntxent_trained},
    {"ref", 6, ntxent_trained},
};

START_TEST(an_interrupted_run_goes_on_to_the_same_bytes)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH];
    struct den_train_config config = tiny(12);
    config.batch = 2;
    config.validate_every = 4;
    breaks[_i].change(&config);
    struct watch *whole = new_watch(SIZE_MAX, DEN_GO_ON);
    struct watch *before = new_watch(breaks[_i].stop_at, DEN_SUSPEND);
    struct watch *after = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = job_of(config, whole);
    job.backend = den_backend_find(breaks[_i].backend);
    train(&job);
    struct files unbroken = read_files();

    struct den_train_result result;
    must(den_fs_remove(job.best_path, &err));
    must(den_fs_remove(job.last_path, &err));
    job = job_of(config, before);
    job.backend = den_backend_find(breaks[_i].backend);
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "can go on from there");
    must(den_fs_remove(job.best_path, &err)); /* the checkpoint has it, too */
    job.hooks.progress.context = job.hooks.context = after;
    result = train(&job);
    ck_assert_uint_eq(result.resumed_at, breaks[_i].stop_at);
    struct files resumed = read_files();
    ck_assert(same_files(&unbroken, &resumed));
    check_told(whole, before, after);
    free_files(&unbroken);
    free_files(&resumed);
    free(whole);
    free(before);
    free(after);
}
END_TEST

static char noted[400];

static void keep_note(void *context, const char *text)
{
    (void)context;
    (void)snprintf(noted, sizeof noted, "%s", text);
}

/* Two threads, then the same, then one: only the last is told. */
START_TEST(a_run_that_goes_on_with_other_threads_says_so)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_result result;
    struct den_pool *one = NULL;
    char checkpoint[PATH];
    must(den_pool_new(1, &one, &err));
    for (int same = 0; same < 2; same++) {
        struct watch *before = new_watch(5, DEN_SUSPEND);
        struct watch *after = new_watch(SIZE_MAX, DEN_GO_ON);
        struct den_train_job job = job_of(tiny(8), before);
        job.checkpoint_path = path_of("checkpoint", checkpoint);
        must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "can go on from there");
        job.hooks.progress.context = job.hooks.context = after;
        job.hooks.note = keep_note;
        job.pool = same ? job.pool : one;
        noted[0] = '\0';
        result = train(&job);
        ck_assert_uint_eq(result.resumed_at, 5);
        ck_assert_msg((strstr(noted, "2 threads) than this one (") != NULL &&
                       strstr(noted, "1 thread)") != NULL) == !same,
                      "%d: %s", same, noted);
        ck_assert(!same || noted[0] == '\0');
        must(den_fs_remove(job.checkpoint_path, &err));
        free(before);
        free(after);
    }
    den_pool_free(one);
}
END_TEST

enum damage { OTHER_SEED, OTHER_SETTING, OTHER_IMAGES, TRUNCATED, EMPTY, FLIPPED };
static const enum damage damages[] = {OTHER_SEED, OTHER_SETTING, OTHER_IMAGES,
                                      TRUNCATED,  EMPTY,         FLIPPED};

static void damage(enum damage kind, struct den_train_job *job)
{
    struct den_err err = DEN_ERR_INIT;
    char *bytes;
    size_t size;
    must(den_fs_read(job->checkpoint_path, 1 << 24, &bytes, &size, &err));
    if (kind == OTHER_SEED)
        job->seed++;
    if (kind == OTHER_SETTING)
        job->config.lambda_l1 = 99;
    if (kind == OTHER_IMAGES)
        job->dataset = repeats;
    if (kind == TRUNCATED)
        must(den_fs_write(job->checkpoint_path, bytes, size - 100, &err));
    if (kind == EMPTY)
        must(den_fs_write(job->checkpoint_path, "", 0, &err));
    if (kind == FLIPPED) { /* the last weights become NaN: found late, after others */
        memset(bytes + size - 8, 0xff, 8);
        must(den_fs_write(job->checkpoint_path, bytes, size, &err));
    }
    den_free(bytes);
}

START_TEST(a_checkpoint_of_another_run_or_a_damaged_one_is_not_used)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH];
    struct watch *watch = new_watch(5, DEN_SUSPEND);
    struct den_train_config config = tiny(6);
    gan(&config);
    struct den_train_job job = job_of(config, watch);
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    struct den_train_result result;
    must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "after 5 of 6 steps");
    damage(damages[_i], &job);
    watch->stop_at = SIZE_MAX;
    size_t live = den_mem_live();
    result = train(&job);
    ck_assert_uint_eq(den_mem_live(), live);
    ck_assert_uint_eq(result.resumed_at, 0);
    struct files ignored = read_files();
    job.checkpoint_path = NULL;
    train(&job);
    struct files fresh = read_files();
    ck_assert(same_files(&ignored, &fresh));
    free_files(&ignored);
    free_files(&fresh);
    free(watch);
}
END_TEST

START_TEST(a_checkpoint_is_written_while_running)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH];
    struct watch *watch = new_watch(4, DEN_CANCEL);
    struct den_train_job job = job_of(tiny(6), watch);
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    job.checkpoint_seconds = 0;
    struct den_train_result result;
    must_fail(den_train(&job, &result, &err), DEN_E_CANCELLED, "after 4 of 6");
    watch->stop_at = SIZE_MAX;
    result = train(&job);
    ck_assert_uint_eq(result.resumed_at, 3); /* the fourth was asked before saving */
    free(watch);
}
END_TEST

static bool there(const char *path, const char *ending)
{
    char name[PATH + 8];
    (void)snprintf(name, sizeof name, "%s%s", path, ending);
    return den_fs_exists(name);
}

/* One bit in the last weight: a number like any other. */
static void flip_a_bit(const char *path)
{
    struct den_err err = DEN_ERR_INIT;
    char *bytes;
    size_t size;
    must(den_fs_read(path, 1 << 24, &bytes, &size, &err));
    bytes[size - 4] ^= 1;
    must(den_fs_write(path, bytes, size, &err));
    den_free(bytes);
}

/* Saved after steps 1 to 5; 3, 4 and 5 are kept. */
START_TEST(a_damaged_checkpoint_is_passed_over_for_the_one_before)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH], older[PATH + 8];
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(8);
    gan(&config);
    struct den_train_job job = job_of(config, watch);
    struct den_train_result result;
    train(&job);
    struct files unbroken = read_files();
    watch->stop_at = 5;
    watch->verdict = DEN_SUSPEND;
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    job.checkpoint_seconds = 0;
    must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "after 5 of 8");
    ck_assert(there(checkpoint, "") && there(checkpoint, ".1") &&
              there(checkpoint, ".2") && !there(checkpoint, ".3") &&
              !there(checkpoint, ".new"));
    if (_i >= 1)
        flip_a_bit(checkpoint);
    if (_i >= 2) {
        (void)snprintf(older, sizeof older, "%s.1", checkpoint);
        flip_a_bit(older);
    }
    if (_i == 3)
        must(den_fs_remove(checkpoint, &err));
    watch->stop_at = SIZE_MAX;
    result = train(&job);
    static const size_t goes_on_at[] = {5, 4, 3, 3};
    ck_assert_uint_eq(result.resumed_at, goes_on_at[_i]);
    struct files resumed = read_files();
    ck_assert(same_files(&unbroken, &resumed));
    must(den_checkpoint_remove(checkpoint, &err));
    ck_assert(!den_checkpoint_exists(checkpoint));
    free_files(&unbroken);
    free_files(&resumed);
    free(watch);
}
END_TEST

START_TEST(equal_seeds_give_equal_bytes_and_others_do_not)
{
    struct den_train_config config = tiny(5);
    gan(&config);
    struct files runs[3];
    for (size_t i = 0; i < 3; i++) {
        struct den_train_job job = job_of(config, NULL);
        job.hooks.progress.tick = never_stop;
        job.seed = i == 2 ? 43 : 42;
        train(&job);
        runs[i] = read_files();
    }
    ck_assert(same_files(&runs[0], &runs[1]));
    ck_assert(!same_files(&runs[0], &runs[2]));
    for (size_t i = 0; i < 3; i++)
        free_files(&runs[i]);
}
END_TEST

/* ---- the file -------------------------------------------------------------------- */

static bool keep_nothing(void *state, struct den_tensor_writer *writer,
                         struct den_err *err)
{
    static const float kept = 1.5F;
    const size_t dims[] = {1};
    (void)state;
    return den_tensor_writer_add(writer, "kept", DEN_TENSOR_F32, dims, 1, &kept, err);
}

static bool find_nothing(void *state, const struct den_tensor_file *file,
                         struct den_err *err)
{
    size_t *calls = state;
    (*calls)++;
    return den_tensor_file_find(file, "kept") != NULL ||
           den_err_set(err, DEN_E_UNPROCESSABLE, "nothing was kept");
}

START_TEST(the_file_gives_back_step_best_and_its_weights)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    size_t calls = 0;
    const struct den_method method = {
        .name = "m", .save = keep_nothing, .load = find_nothing};
    struct den_train_job job = job_of(tiny(5), NULL);
    job.checkpoint_path = path_of("checkpoint", path);
    struct den_train_images images;
    must(den_train_images_choose(pairs, &job.config, NULL, 1, &images, &err));
    struct den_net_options options = {1, 1, 2, 5, false, false, false, DEN_WINOGRAD_AUTO,
                                      0};
    struct den_model *one = NULL, *two = NULL;
    must(den_model_new(backend(), &den_net_unet, &options, &images.norm, &one, &err));
    must(den_model_new(backend(), &den_net_unet, &options, &images.norm, &two, &err));
    den_params_init(one->params, 1);
    den_params_init(two->params, 2);
    struct den_checkpoint put = {7, true, 100.0 / 3, 5, ""}, got = {0};
    must(den_checkpoint_save(&job, &images, &method, &calls, one->params, &put, &err));
    must(den_checkpoint_load(&job, &images, &method, &calls, two->params, &got, &err));
    ck_assert_uint_eq(got.step, 7);
    ck_assert(got.has_best);
    ck_assert_mem_eq(&got.best_psnr, &put.best_psnr, sizeof put.best_psnr);
    ck_assert_uint_eq(got.best_step, 5);
    ck_assert_uint_eq(calls, 1);
    struct den_param *a = den_params_at(one->params, 0),
                     *b = den_params_at(two->params, 0);
    ck_assert_mem_eq(a->value, b->value, a->count * sizeof(float));
    must_fail(den_checkpoint_load(&job, &images, &method, &calls, NULL, &got, &err),
              DEN_E_CONFLICT, "has a validation");
    job.config.lr = 0.5;
    must_fail(
        den_checkpoint_load(&job, &images, &method, &calls, two->params, &got, &err),
        DEN_E_CONFLICT, "config.lr is not 0.5");
    den_model_free(one);
    den_model_free(two);
    den_train_images_release(&images);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume");
    TCase *t = tcase_create("checkpoint");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, an_interrupted_run_goes_on_to_the_same_bytes, 0,
                        (int)(sizeof breaks / sizeof breaks[0]));
    tcase_add_loop_test(t, a_checkpoint_of_another_run_or_a_damaged_one_is_not_used, 0,
                        (int)(sizeof damages / sizeof damages[0]));
    tcase_add_loop_test(t, a_damaged_checkpoint_is_passed_over_for_the_one_before, 0, 4);
    tcase_add_test(t, a_run_that_goes_on_with_other_threads_says_so);
    tcase_add_test(t, a_checkpoint_is_written_while_running);
    tcase_add_test(t, equal_seeds_give_equal_bytes_and_others_do_not);
    tcase_add_test(t, the_file_gives_back_step_best_and_its_weights);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
