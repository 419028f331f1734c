/* What the service refuses, and what it says; no job runs here. */

#include <ftw.h>
#include <sys/stat.h>

#include "job_case.h"

/* ---- images ---- */

static size_t files_found;

static int count_file(const char *path, const struct stat *info, int type,
                      struct FTW *position)
{
    (void)path;
    (void)info;
    (void)position;
    files_found += type == FTW_F;
    return 0;
}

static size_t files_in(const char *sub)
{
    char path[PATH_MAX];
    den_str_format(path, sizeof path, "%s/%s", folder, sub);
    files_found = 0;
    ck_assert_int_eq(nftw(path, count_file, 8, FTW_PHYS), 0);
    return files_found;
}

static void write_temporary(const void *data, size_t length, char *path)
{
    struct den_err err = DEN_ERR_INIT;
    den_blobs_temporary(den_service_blobs(service), path, PATH_MAX);
    must(den_fs_write(path, data, length, &err));
}

START_TEST(the_same_bytes_are_one_image_and_one_file)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row first = add_frame(1, 0), again = add_frame(1, 0);
    struct den_service_stats stats;
    ck_assert_str_eq(first.id, again.id);
    ck_assert_uint_eq(files_in("blobs"), 1);
    ck_assert_uint_eq(files_in("tmp"), 0);
    must(den_service_stats(service, &stats, &err));
    ck_assert_uint_eq(stats.images_added, 1);
    must(den_service_delete_image(service, DEN_OWNER_LOCAL, first.id, &err));
    ck_assert_uint_eq(files_in("blobs"), 0);
    must_fail(den_service_delete_image(service, DEN_OWNER_LOCAL, first.id, &err),
              DEN_E_NOT_FOUND, first.id);
}
END_TEST

START_TEST(a_bad_file_is_refused_and_leaves_nothing)
{
    static const struct {
        const char *label, *data;
        size_t length;
        enum den_code code;
    } cases[] = {
        {"empty", "", 0, DEN_E_UNPROCESSABLE},
        {"text", "hello", 5, DEN_E_UNSUPPORTED},
        {"PNG head", "\x89PNG\r\n\x1a\n", 8, DEN_E_UNPROCESSABLE},
        {"TIFF head", "II*\0\x08\0\0\0", 8, DEN_E_UNPROCESSABLE},
    };
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row;
    bool fresh;
    char path[PATH_MAX];
    write_temporary(cases[_i].data, cases[_i].length, path);
    ck_assert(!den_service_add_image(service, DEN_OWNER_LOCAL, path, "x", NULL, &row,
                                     &fresh, &err));
    ck_assert_msg(err.code == cases[_i].code, "%s: %s: %s", cases[_i].label,
                  den_code_name(err.code), err.text);
    ck_assert(strstr(err.text, folder) == NULL); /* no paths for users */
    ck_assert_uint_eq(files_in("blobs") + files_in("tmp"), 0);
}
END_TEST

START_TEST(a_truncated_image_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = add_scene("s.tif", 2, 0, info_of("tiff", DEN_U16, 64, 2));
    char path[PATH_MAX], *data = NULL;
    size_t length = 0;
    bool fresh;
    den_blobs_path(den_service_blobs(service), row.sha256, path, sizeof path);
    must(den_fs_read(path, 1 << 20, &data, &length, &err));
    for (size_t cut = 1; cut < 4; cut++) {
        write_temporary(data, length * cut / 4, path);
        ck_assert(!den_service_add_image(service, DEN_OWNER_LOCAL, path, "x", NULL, &row,
                                         &fresh, &err));
        ck_assert_int_eq(err.code, DEN_E_UNPROCESSABLE);
        err = DEN_ERR_INIT;
    }
    den_free(data);
    ck_assert_uint_eq(files_in("blobs"), 1);
}
END_TEST

START_TEST(a_name_that_cannot_be_shown_is_refused)
{
    static const char *const bad[] = {"", "a\nb", "a\x7f", "\xff\xfe"};
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row;
    bool fresh;
    char path[PATH_MAX];
    write_temporary("x", 1, path);
    must_fail(den_service_add_image(service, DEN_OWNER_LOCAL, path, bad[_i], NULL, &row,
                                    &fresh, &err),
              DEN_E_INVALID, "name");
    ck_assert_uint_eq(files_in("tmp"), 0);
    struct den_dataset_row set_row;
    struct den_dataset_item item = {.clean = ""};
    must_fail(den_service_add_dataset(service, DEN_OWNER_LOCAL, bad[_i], "repeats", &item,
                                      1, &set_row, &err),
              DEN_E_INVALID, "name");
}
END_TEST

/* ---- data sets ---- */

static void refuse_set(const char *set_kind, const struct den_dataset_item *items,
                       size_t count, enum den_code code, const char *field,
                       const char *words)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row row;
    ck_assert(!den_service_add_dataset(service, DEN_OWNER_LOCAL, "s", set_kind, items,
                                       count, &row, &err));
    ck_assert_msg(err.code == code, "%s: %s", den_code_name(err.code), err.text);
    ck_assert_str_eq(err.field, field);
    ck_assert_msg(strstr(err.text, words) != NULL, "'%s' lacks '%s'", err.text, words);
}

START_TEST(a_data_set_that_does_not_fit_names_the_place)
{
    struct den_image_row a = add_frame(1, 0), b = add_frame(1, 1),
                         clean = add_frame(1, -1);
    struct den_image_row small =
        add_scene("t.tif", 1, -1, info_of("tiff", DEN_U16, 32, 1));
    struct den_image_row stack =
        add_scene("u.tif", 1, 0, info_of("tiff", DEN_U16, SIDE, 3));
    struct den_image_row two =
        add_scene("v.tif", 1, 5, info_of("tiff", DEN_U16, SIDE, 2));
    struct den_dataset_item items[2];
    assign(items[0].noisy, a.id);
    assign(items[0].clean, clean.id);
    assign(items[1].noisy, b.id);

    assign(items[1].clean, small.id);
    refuse_set("pairs", items, 2, DEN_E_UNPROCESSABLE, "/pairs/1/clean",
               "64 x 64 pixels and the clean one 32 x 32");
    assign(items[1].clean, "img_01ARZ3NDEKTSV4RRFFQ69G5FAV");
    refuse_set("pairs", items, 2, DEN_E_NOT_FOUND, "/pairs/1/clean", "no image");
    assign(items[1].clean, b.id);
    refuse_set("pairs", items, 2, DEN_E_UNPROCESSABLE, "/pairs/1/clean", "itself");
    assign(items[1].clean, clean.id);
    assign(items[1].noisy, "nonsense");
    refuse_set("pairs", items, 2, DEN_E_NOT_FOUND, "/pairs/1/noisy", "nonsense");
    assign(items[1].noisy, a.id);
    refuse_set("pairs", items, 2, DEN_E_UNPROCESSABLE, "/pairs", a.id);
    assign(items[1].noisy, stack.id);
    assign(items[1].clean, two.id);
    refuse_set("pairs", items, 2, DEN_E_UNPROCESSABLE, "/pairs/1/clean",
               "3 pages and the clean one 2");
    refuse_set("pairs", items, 0, DEN_E_INVALID, "/pairs", "1 to");
    refuse_set("noise", items, 2, DEN_E_INVALID, "/kind", "pairs or repeats");

    assign(items[1].noisy, small.id);
    refuse_set("repeats", items, 2, DEN_E_UNPROCESSABLE, "/images/1", "one scene");
    refuse_set("repeats", items, 1, DEN_E_UNPROCESSABLE, "/images", "at least 2");
}
END_TEST

START_TEST(a_clean_image_may_serve_many_noisy_ones)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row row;
    struct den_dataset_item items[3];
    struct den_image_row clean = add_frame(1, -1);
    struct den_image_row stack =
        add_scene("u.tif", 1, 5, info_of("tiff", DEN_U16, SIDE, 3));
    assign(items[0].noisy, add_frame(1, 0).id);
    assign(items[1].noisy, stack.id); /* all its pages */
    assign(items[2].noisy, add_frame(2, 0).id);
    assign(items[0].clean, clean.id);
    assign(items[1].clean, clean.id);
    assign(items[2].clean, add_frame(2, -1).id);
    must(den_service_add_dataset(service, DEN_OWNER_LOCAL, "s", "pairs", items, 3, &row,
                                 &err));
    ck_assert_uint_eq(row.samples, 5);
    ck_assert_uint_eq(row.scenes, 2);
    must_fail(den_service_delete_image(service, DEN_OWNER_LOCAL, clean.id, &err),
              DEN_E_CONFLICT, "data set");
    must(kind->dataset_delete(store, DEN_OWNER_LOCAL, row.id, &err));
    must(den_service_delete_image(service, DEN_OWNER_LOCAL, clean.id, &err));
}
END_TEST

/* ---- jobs ---- */

static void refuse_job(const struct den_job_request *request, enum den_code code,
                       const char *field, const char *words)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    struct den_job_estimate estimate;
    for (int dry = 0; dry < 2; dry++) { /* a dry run says the same */
        err = DEN_ERR_INIT;
        ck_assert(!den_service_submit(service, DEN_OWNER_LOCAL, request, dry == 1, &row,
                                      &estimate, &err));
        ck_assert_msg(err.code == code, "%s: %s", den_code_name(err.code), err.text);
        ck_assert_str_eq(err.field, field);
        ck_assert_msg(strstr(err.text, words) != NULL, "'%s' lacks '%s'", err.text,
                      words);
    }
}

START_TEST(a_training_that_cannot_be_is_refused_before_the_queue)
{
    static const struct {
        const char *key, *value;
        enum den_code code;
        const char *words;
    } cases[] = {
        {"iteration", "5", DEN_E_INVALID, "unknown setting 'iteration'"},
        {"iterations", "0", DEN_E_INVALID, "whole number"},
        {"lr", "nan", DEN_E_INVALID, "lr must be"},
        {"dropout", "1", DEN_E_INVALID, "true or false"},
        {"gan_mode", "wgan", DEN_E_INVALID, "vanilla"},
        {"crop", "96", DEN_E_UNPROCESSABLE, "side of 64 pixels"},
        {"crop", "48", DEN_E_INVALID, "multiple of 32"},
    };
    struct den_dataset_row set_row = add_pairs("s");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct den_job_request request = {.kind = "train", .preset = "cpu"};
        char field[64];
        assign(request.dataset, set_row.id);
        set(&request, cases[i].key, cases[i].value);
        den_str_format(field, sizeof field, "/config/%s", cases[i].key);
        refuse_job(&request, cases[i].code, field, cases[i].words);
    }
    struct den_job_request request = train_request(set_row.id, "5");
    assign(request.preset, "gpu");
    refuse_job(&request, DEN_E_INVALID, "/preset", "cpu");
    request.preset[0] = '\0';
    assign(request.method, "magic");
    refuse_job(&request, DEN_E_INVALID, "/method", "magic");
    request.method[0] = '\0';
    assign(request.model, "my model");
    refuse_job(&request, DEN_E_INVALID, "/model", "name");
    assign(request.model, "../x@1");
    refuse_job(&request, DEN_E_INVALID, "/model", "name");
    request.model[0] = '\0';
    assign(request.image, "img_1");
    refuse_job(&request, DEN_E_INVALID, "/image", "no use");
    request.image[0] = '\0';
    assign(request.dataset, "set_1");
    refuse_job(&request, DEN_E_NOT_FOUND, "/dataset", "set_1");
    request.dataset[0] = '\0';
    refuse_job(&request, DEN_E_INVALID, "/dataset", "needs a data set");
    assign(request.kind, "paint");
    refuse_job(&request, DEN_E_INVALID, "/kind", "train");
}
END_TEST

START_TEST(a_denoise_job_that_cannot_be_is_refused_before_the_queue)
{
    struct den_job_request request = {.kind = "denoise"};
    refuse_job(&request, DEN_E_INVALID, "/image", "needs an image");
    assign(request.image, "img_1");
    refuse_job(&request, DEN_E_NOT_FOUND, "/image", "img_1");
    assign(request.image, add_frame(1, 0).id);
    refuse_job(&request, DEN_E_INVALID, "/model", "model or the method");
    assign(request.model, "nobody");
    refuse_job(&request, DEN_E_NOT_FOUND, "/model", "nobody");
    assign(request.model, "nobody@champion");
    refuse_job(&request, DEN_E_NOT_FOUND, "/model", "nobody");
    assign(request.model, "nobody@0");
    refuse_job(&request, DEN_E_INVALID, "/model", "whole number");
    assign(request.method, "median");
    refuse_job(&request, DEN_E_INVALID, "/method", "not both");
    request.model[0] = '\0';
    set(&request, "radius", "2.5");
    refuse_job(&request, DEN_E_INVALID, "/config/radius", "whole number");
    assign(request.settings[0].value, "1000");
    refuse_job(&request, DEN_E_INVALID, "/config/radius", "1000");
    assign(request.settings[0].key, "sigma");
    refuse_job(&request, DEN_E_INVALID, "/config/sigma", "unknown setting");
    assign(request.method, "nothing");
    refuse_job(&request, DEN_E_INVALID, "/method", "nothing");
}
END_TEST

START_TEST(a_dry_run_counts_and_queues_nothing)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    struct den_job_estimate estimate = {0};
    uint64_t counts[DEN_JOB_STATES];
    struct den_job_request request = train_request(add_pairs("s").id, "7");
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row, &estimate,
                            &err));
    ck_assert_str_eq(row.id, "");
    ck_assert_uint_eq(estimate.steps, 7);
    ck_assert_uint_gt(estimate.bytes, (size_t)4 * 2 * SIDE * SIDE * sizeof(float));
    ck_assert_uint_eq(estimate.queue_position, 1);
    must(kind->job_counts(store, counts, &err));
    ck_assert_uint_eq(counts[DEN_JOB_QUEUED], 0);
    submit(&request);
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row, &estimate,
                            &err));
    ck_assert_uint_eq(estimate.queue_position, 2);
}
END_TEST

START_TEST(a_job_that_needs_too_much_memory_is_refused_with_both_numbers)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    struct den_job_estimate estimate;
    struct den_service_config config = usual_config();
    struct den_job_request request = train_request(add_pairs("s").id, "5");
    close_all();
    config.with_workers = false;
    config.memory_limit = 100000;
    open_with(config);
    must_fail(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row,
                                 &estimate, &err),
              DEN_E_UNPROCESSABLE, "MiB");
    ck_assert(!den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row,
                                  &estimate, &err));
    ck_assert_int_eq(err.limit, 100000);
    ck_assert_int_gt(err.actual, 100000);
}
END_TEST

START_TEST(a_full_queue_is_busy_and_a_cancelled_job_makes_room)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row, first;
    struct den_job_estimate estimate;
    struct den_service_config config = usual_config();
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    assign(request.image, add_frame(1, 0).id);
    close_all();
    config.with_workers = false;
    config.queue_limit = 2;
    open_with(config);
    first = submit(&request);
    submit(&request);
    must_fail(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row,
                                 &estimate, &err),
              DEN_E_BUSY, "no more than 2");
    must(den_service_cancel(service, DEN_OWNER_LOCAL, first.id, &row, &err));
    ck_assert_int_eq(row.state, DEN_JOB_CANCELLED);
    ck_assert(has_event(first.id, "done", "cancelled", false));
    must(den_service_cancel(service, DEN_OWNER_LOCAL, first.id, &row,
                            &err)); /* again: no change */
    submit(&request);
    must_fail(den_service_delete_image(service, DEN_OWNER_LOCAL, request.image, &err),
              DEN_E_CONFLICT, "job");
}
END_TEST

/* ---- memory ---- */

/* Makes the first, second, ... allocation of `call` fail until none is left to fail; each
 * failure must be told, and no memory may stay behind. */
#define torture(call)                                                              \
    do {                                                                           \
        size_t n = 0;                                                              \
        bool good = false;                                                         \
        while (!good && ++n < 500) {                                               \
            struct den_err fault = DEN_ERR_INIT, *err_ = &fault;                   \
            size_t live = den_mem_live();                                          \
            den_mem_fail_at(n);                                                    \
            good = (call);                                                         \
            den_mem_fail_at(0);                                                    \
            ck_assert_msg(good || fault.code == DEN_E_NO_MEMORY, "%zu: %s: %s", n, \
                          den_code_name(fault.code), fault.text);                  \
            ck_assert_uint_eq(den_mem_live(), live);                               \
        }                                                                          \
        ck_assert_uint_gt(n, 1);                                                   \
        ck_assert_uint_lt(n, 500);                                                 \
    } while (0)

static bool add_copy(const char *data, size_t length, struct den_err *err)
{
    struct den_image_row row;
    bool fresh;
    char path[PATH_MAX];
    FILE *file; /* not by our allocator, which fails */
    den_blobs_temporary(den_service_blobs(service), path, sizeof path);
    file = fopen(path, "wb");
    ck_assert(file != NULL && fwrite(data, 1, length, file) == length);
    ck_assert_int_eq(fclose(file), 0);
    bool done = den_service_add_image(service, DEN_OWNER_LOCAL, path, "x", NULL, &row,
                                      &fresh, err);
    ck_assert(access(path, F_OK) != 0);
    return done;
}

START_TEST(memory_that_cannot_be_had_is_told_and_nothing_leaks)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row row = add_pairs("s");
    struct den_dataset_item *items = NULL;
    struct den_job_row job;
    struct den_job_estimate estimate;
    struct den_image_row image = add_frame(8, 0);
    char path[PATH_MAX], *data = NULL;
    size_t count = 0, length = 0;
    must(kind->dataset_items(store, DEN_OWNER_LOCAL, row.id, &items, &count, &err));
    torture(den_service_add_dataset(service, DEN_OWNER_LOCAL, "t", "pairs", items, count,
                                    &row, err_));
    struct den_job_request train = train_request(row.id, "5");
    torture(den_service_submit(service, DEN_OWNER_LOCAL, &train, false, &job, &estimate,
                               err_));
    struct den_job_request judge = {.kind = "evaluate", .method = "median"};
    assign(judge.dataset, row.id);
    torture(den_service_submit(service, DEN_OWNER_LOCAL, &judge, false, &job, &estimate,
                               err_));
    den_blobs_path(den_service_blobs(service), image.sha256, path, sizeof path);
    must(den_fs_read(path, 1 << 20, &data, &length, &err));
    must(den_service_delete_image(service, DEN_OWNER_LOCAL, image.id, &err));
    torture(add_copy(data, length, err_));
    den_free(data);
    den_free(items);
}
END_TEST

/* ---- the state folder ---- */

START_TEST(a_second_service_on_the_same_folder_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service *second = NULL;
    struct den_service_config config = usual_config();
    must_fail(den_service_open(&config, &second, &err), DEN_E_CONFLICT,
              "another denoised");
    ck_assert_ptr_null(second);
    config.backend = "abacus";
    must_fail(den_service_open(&config, &second, &err), DEN_E_INVALID, "abacus");
    config.backend = NULL;
    config.store = "paper";
    must_fail(den_service_open(&config, &second, &err), DEN_E_INVALID, "paper");
}
END_TEST

START_TEST(a_job_that_was_started_too_often_fails_at_the_next_start)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_claim how = {.now = den_moment_now(),
                                  .worker = "w",
                                  .lease_ms = 60000,
                                  .last = DEN_CLASS_EXPERIMENT};
    struct den_service_config config = usual_config();
    config.with_workers = false;
    config.max_attempts = 2;
    struct den_job_request request = train_request(add_pairs("s").id, "5");
    struct den_job_row job = submit(&request), row;
    for (int i = 0; i < 2; i++) {
        bool found = false;
        must(kind->job_claim(store, &how, &row, &found, &err));
        ck_assert(found);
        den_service_close(service); /* as if the process had died */
        open_with(config);
        ck_assert_int_eq(get_job(job.id).state, i == 0 ? DEN_JOB_QUEUED : DEN_JOB_FAILED);
    }
    ck_assert(has_event(job.id, "done", "failed", false));
    must(den_service_retry(service, DEN_OWNER_LOCAL, job.id, &row,
                           &err)); /* when somebody asks for it */
    ck_assert_int_eq(row.state, DEN_JOB_QUEUED);
    ck_assert_int_eq(row.attempts, 0);
}
END_TEST

START_TEST(what_no_row_names_is_swept_at_the_start)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH_MAX], sha256[DEN_SHA256_SIZE];
    uint64_t bytes;
    struct den_service_config config = usual_config();
    config.with_workers = false;
    struct den_job_request request = train_request(add_pairs("s").id, "5");
    struct den_job_row job = submit(&request);
    size_t blobs = files_in("blobs");
    write_temporary("orphan", 6, path);
    must(den_blobs_take(den_service_blobs(service), path, NULL, sha256, &bytes, &err));
    ck_assert_uint_eq(files_in("blobs"), blobs + 1);
    static const char *const names[] = {"job_gone", NULL};
    for (int i = 0; i < 2; i++) {
        const char *name = names[i] != NULL ? names[i] : job.id;
        den_str_format(path, sizeof path, "%s/work/%s", folder, name);
        must(den_fs_mkdirs(path, 0700, &err));
        den_str_format(path, sizeof path, "%s/work/%s/checkpoint", folder, name);
        must(den_fs_write(path, "x", 1, &err));
    }
    close_all();
    open_with(config);
    ck_assert_uint_eq(files_in("blobs"), blobs);
    ck_assert_uint_eq(files_in("work"), 1); /* the waiting job keeps its checkpoint */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("refusals");
    TCase *tcase = tcase_create("refusals");
    tcase_set_timeout(tcase, WAIT_S);
    tcase_add_checked_fixture(tcase, setup_idle, teardown);
    tcase_add_test(tcase, the_same_bytes_are_one_image_and_one_file);
    tcase_add_loop_test(tcase, a_bad_file_is_refused_and_leaves_nothing, 0, 4);
    tcase_add_test(tcase, a_truncated_image_is_refused);
    tcase_add_loop_test(tcase, a_name_that_cannot_be_shown_is_refused, 0, 4);
    tcase_add_test(tcase, a_data_set_that_does_not_fit_names_the_place);
    tcase_add_test(tcase, a_clean_image_may_serve_many_noisy_ones);
    tcase_add_test(tcase, a_training_that_cannot_be_is_refused_before_the_queue);
    tcase_add_test(tcase, a_denoise_job_that_cannot_be_is_refused_before_the_queue);
    tcase_add_test(tcase, a_dry_run_counts_and_queues_nothing);
    tcase_add_test(tcase, a_job_that_needs_too_much_memory_is_refused_with_both_numbers);
    tcase_add_test(tcase, a_full_queue_is_busy_and_a_cancelled_job_makes_room);
    tcase_add_test(tcase, memory_that_cannot_be_had_is_told_and_nothing_leaks);
    tcase_add_test(tcase, a_second_service_on_the_same_folder_is_refused);
    tcase_add_test(tcase, a_job_that_was_started_too_often_fails_at_the_next_start);
    tcase_add_test(tcase, what_no_row_names_is_swept_at_the_start);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
