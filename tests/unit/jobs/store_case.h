#ifndef DEN_STORE_CASE_H
#define DEN_STORE_CASE_H

/* A fresh database per test and rows to begin with; every suite runs on each row of
 * den_stores[]. */

#include <string.h>

#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "store.h"
#include "str.h"

/* Copies text into a char array, whole. */
#define assign(to, from) ck_assert(den_str_copy((to), sizeof(to), (from)))

static const struct den_store_kind *kind;
static struct den_store *store;
static char folder[64], location[96];

static inline void setup(void)
{
    struct den_err err = DEN_ERR_INIT;
    assign(folder, "/tmp/denoised_store_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    den_str_format(location, sizeof location, "%s/db", folder);
    must(kind->open(location, &store, &err));
}

static inline void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    kind->close(store);
    must(den_fs_remove_tree(folder, &err));
}

static inline void reopen(void)
{
    struct den_err err = DEN_ERR_INIT;
    kind->close(store);
    must(kind->open(location, &store, &err));
}

/* ---- rows to begin with ---- */

static inline struct den_image_row add_image(unsigned number)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = {.info = {.format = "tiff",
                                         .width = 64,
                                         .height = 48,
                                         .pages = 3,
                                         .channels = 1,
                                         .dtype = DEN_U16,
                                         .pixel_size_um = 0.25},
                                .bytes = 4711,
                                .created_ms = 1700000000000};
    struct den_image_row ret;
    bool fresh = false;
    den_id_new("img_", row.id);
    den_str_format(row.sha256, sizeof row.sha256, "%064x", number);
    den_str_format(row.name, sizeof row.name, "cell %u \xc3\xa9.tif", number);
    must(kind->image_add(store, DEN_OWNER_LOCAL, &row, &ret, &fresh, &err));
    ck_assert(fresh);
    return row;
}

static inline struct den_dataset_row add_pair(const char *noisy, const char *clean)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row row = {
        .name = "set", .kind = "pairs", .samples = 1, .scenes = 1, .created_ms = 5};
    struct den_dataset_item item = {.clean = ""};
    den_id_new("set_", row.id);
    den_str_copy(item.noisy, sizeof item.noisy, noisy);
    den_str_copy(item.clean, sizeof item.clean, clean);
    must(kind->dataset_add(store, DEN_OWNER_LOCAL, &row, &item, 1, &err));
    return row;
}

static inline struct den_job_row new_job(const char *job_kind)
{
    struct den_job_row row = {.state = DEN_JOB_QUEUED, .created_ms = 7, .seed = 3};
    den_id_new("job_", row.id);
    den_str_copy(row.kind, sizeof row.kind, job_kind);
    row.class = strcmp(job_kind, "denoise") == 0      ? DEN_CLASS_INTERACTIVE
                : strcmp(job_kind, "evaluate") == 0   ? DEN_CLASS_BATCH
                : strcmp(job_kind, "experiment") == 0 ? DEN_CLASS_EXPERIMENT
                                                      : DEN_CLASS_TRAINING;
    return row;
}

static inline struct den_job_row add_job(const char *job_kind)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = new_job(job_kind);
    must(kind->job_add(store, DEN_OWNER_LOCAL, &row, 0, &err));
    return row;
}

static inline struct den_job_row get_job(const char *id)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    must(kind->job_get(store, DEN_OWNER_LOCAL, id, &row, &err));
    return row;
}

/* A minute's lease on the next job of the classes up to `last`; no id: there is none. */
static inline struct den_job_row claim(enum den_job_class last)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = {.id = ""};
    const struct den_claim how = {
        .now = den_moment_now(), .worker = "w", .lease_ms = 60000, .last = last};
    bool found = false;
    must(kind->job_claim(store, &how, &row, &found, &err));
    ck_assert_int_eq(found, row.id[0] != '\0');
    return row;
}
#define EVERY_CLASS DEN_CLASS_EXPERIMENT

/* As at a start of the server: how many jobs are in the queue again. */
static inline size_t recover(int64_t max_attempts)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_recovery how = {
        .now = den_moment_now(), .all = true, .backoff = {.max_attempts = max_attempts}};
    size_t requeued = 0;
    must(kind->job_recover(store, &how, &requeued, &err));
    return requeued;
}

static inline void finish(struct den_job_row *row, enum den_job_state state)
{
    struct den_err err = DEN_ERR_INIT;
    row->state = state;
    must(kind->job_finish(store, row, NULL, NULL, 0, &err));
}

/* The fixture must know its store before the tests are forked. */
static inline int run_on_all_stores(const TTest *const *tests, size_t count)
{
    int failed = EXIT_SUCCESS;
    for (size_t k = 0; den_stores[k] != NULL; k++) {
        kind = den_stores[k];
        Suite *suite = suite_create(kind->name);
        TCase *tcase = tcase_create("store");
        tcase_set_timeout(tcase, 60); /* each change is on disk before the next */
        tcase_add_checked_fixture(tcase, setup, teardown);
        for (size_t i = 0; i < count; i++)
            tcase_add_test(tcase, tests[i]);
        suite_add_tcase(suite, tcase);
        if (den_check_main(suite) != EXIT_SUCCESS)
            failed = EXIT_FAILURE;
    }
    return failed;
}

#endif
