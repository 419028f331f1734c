/* The SQLite store on a disk that fails. */

#include <signal.h>
#include <sys/resource.h>

#include "store_case.h"
#include "store_sqlite.h"

static size_t count_images(void)
{
    enum { MOST = 2000 };
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row *rows = den_calloc(MOST, sizeof *rows);
    size_t count = 0;
    must(kind->image_list(store, DEN_OWNER_LOCAL, "", MOST, rows, &count, &err));
    den_free(rows);
    return count;
}

/* Adds images until one is refused; how many were taken. */
static unsigned fill(struct den_err *err)
{
    struct den_image_row row = {.info = {.format = "tiff"}}, ret;
    bool fresh;
    memset(row.name, 'n', sizeof row.name - 1);
    for (unsigned i = 0; i < 2000; i++) {
        den_id_new("img_", row.id);
        den_str_format(row.sha256, sizeof row.sha256, "%064x", i);
        if (!kind->image_add(store, DEN_OWNER_LOCAL, &row, &ret, &fresh, err))
            return i;
    }
    ck_abort_msg("the disk never filled up");
}

START_TEST(a_full_disk_is_told_and_what_was_taken_stays)
{
    struct den_err err = DEN_ERR_INIT;
    ck_assert_int_eq(
        sqlite3_exec(store->db, "PRAGMA max_page_count = 64", NULL, NULL, NULL),
        SQLITE_OK);
    unsigned taken = fill(&err);
    ck_assert_uint_gt(taken, 10);
    ck_assert_int_eq(err.code, DEN_E_DISK_FULL);
    ck_assert_uint_eq(count_images(), taken);
    err = DEN_ERR_INIT;
    must(kind->ping(store, &err));
    /* When there is room again it works again, without a restart. */
    ck_assert_int_eq(
        sqlite3_exec(store->db, "PRAGMA max_page_count = 6400", NULL, NULL, NULL),
        SQLITE_OK);
    add_image(100000);
    ck_assert_uint_eq(count_images(), taken + 1);
}
END_TEST

START_TEST(after_a_failed_write_nothing_is_promised_until_a_restart)
{
    struct den_err err = DEN_ERR_INIT;
    struct rlimit usual, small;
    add_image(100000);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &usual), 0);
    small = usual;
    small.rlim_cur = 800000; /* bytes of the write-ahead log */
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    unsigned taken = fill(&err);
    ck_assert_uint_gt(taken, 10);
    ck_assert_int_eq(err.code, DEN_E_IO);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &usual), 0);
    must_fail(kind->ping(store, &err), DEN_E_IO, "restart");
    struct den_job_row job = new_job("denoise");
    must_fail(kind->job_add(store, DEN_OWNER_LOCAL, &job, 0, &err), DEN_E_IO, "restart");
    ck_assert_uint_eq(count_images(), taken + 1); /* reading goes on */
    reopen();
    ck_assert_uint_eq(count_images(), taken + 1);
    must(kind->ping(store, &err));
    add_job("denoise");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_full_disk_is_told_and_what_was_taken_stays,
        after_a_failed_write_nothing_is_promised_until_a_restart,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
