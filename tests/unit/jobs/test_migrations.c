/* Databases of older and newer versions. */

#include <string.h>

#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "migrations.h"
#include "store.h"
#include "str.h"

static char folder[64], path[96];

static void setup(void)
{
    den_str_copy(folder, sizeof folder, "/tmp/denoised_migrate_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    den_str_format(path, sizeof path, "%s/db", folder);
}

static void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(folder, &err));
}

/* A database as the program of that layout left it. */
static sqlite3 *old_database(int version)
{
    struct den_err err = DEN_ERR_INIT;
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    must(den_migrate(db, version, &err));
    return db;
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *q = NULL;
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_step(q), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(q, 0);
    sqlite3_finalize(q);
    return value;
}

START_TEST(every_older_layout_upgrades_and_keeps_its_rows)
{
    struct den_err err = DEN_ERR_INIT;
    for (int version = 1; version < den_migrations_newest(); version++) {
        struct den_store *store = NULL;
        struct den_image_row image;
        struct den_dataset_item *items = NULL;
        size_t count = 0;
        sqlite3 *db = old_database(version);
        ck_assert_int_eq(
            sqlite3_exec(db,
                         "INSERT INTO images VALUES ('img_1', 'ab', 'a.tif', 'tiff', 8, "
                         "9, 2, 1, 'uint16', 0.5, 300, 77);"
                         "INSERT INTO datasets VALUES ('set_1', 's', 'repeats', 2, 1, 8);"
                         "INSERT INTO dataset_items VALUES ('set_1', 0, 'img_1', NULL);",
                         NULL, NULL, NULL),
            SQLITE_OK);
        sqlite3_close(db);
        must(den_stores[0]->open(path, &store, &err));
        must(den_stores[0]->image_get(store, "img_1", &image, &err));
        ck_assert_uint_eq(image.info.height, 9);
        ck_assert_int_eq(image.info.dtype, DEN_U16);
        ck_assert_uint_eq(image.info.bits, 16);
        ck_assert(!image.info.alpha);
        ck_assert_str_eq(image.info.axes.source, "");
        ck_assert_uint_eq(image.info.axes.t, 1);
        ck_assert_uint_eq(image.info.axes.z, 1);
        ck_assert_uint_eq(image.info.axes.c, 1);
        ck_assert_str_eq(image.info.axes.channel_names[0], "");
        must(den_stores[0]->dataset_items(store, "set_1", &items, &count, &err));
        ck_assert_uint_eq(count, 1);
        den_free(items);
        struct den_job_row job = {.id = "job_1", .kind = "denoise", .image = "img_1"};
        must(den_stores[0]->job_add(store, &job, 0, &err)); /* the new tables are there */
        struct den_job_row grid = {.id = "job_2", .kind = "experiment"};
        must(den_stores[0]->experiment_add(store, &grid, "row a\n", "", 0, &err));
        den_stores[0]->close(store);
        must(den_fs_remove(path, &err));
    }
}
END_TEST

/* Layout 4 knew no bits: they follow from the type, and a job of then has no planes. */
START_TEST(images_of_layout_4_use_the_whole_of_their_type)
{
    static const struct {
        const char *id, *dtype;
        uint32_t bits;
    } cases[] = {
        {"img_a", "uint8", 8}, {"img_b", "uint16", 16}, {"img_c", "float32", 32}};
    struct den_err err = DEN_ERR_INIT;
    struct den_store *store = NULL;
    struct den_job_row job;
    char sql[400];
    sqlite3 *db = old_database(4);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        den_str_format(
            sql, sizeof sql,
            "INSERT INTO images VALUES ('%s', 'sha%zu', 'a.tif', 'tiff', 8, 9, "
            "2, 1, '%s', 0.5, 300, 77)",
            cases[i].id, i, cases[i].dtype);
        ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    }
    ck_assert_int_eq(
        sqlite3_exec(
            db,
            "INSERT INTO jobs VALUES ('job_1', 'denoise', 'succeeded', 1, '', "
            "'img_a', '', 0, 'median', '', 'radius=2\n', 1, 2, 3, 4, 1, 2, 2, '', "
            "'', 'abc', 'a_denoised.tif', 'image/tiff', 5, 0.25)",
            NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    must(den_stores[0]->open(path, &store, &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct den_image_row image;
        must(den_stores[0]->image_get(store, cases[i].id, &image, &err));
        ck_assert_uint_eq(image.info.bits, cases[i].bits);
    }
    must(den_stores[0]->job_get(store, "job_1", &job, &err));
    ck_assert_uint_eq(job.clipped, 5);
    ck_assert_double_eq(job.seconds, 0.25);
    ck_assert_uint_eq(job.planes + job.planes_left + job.peak_bytes, 0);
    ck_assert_str_eq(job.dtype, "");
    den_stores[0]->close(store);
}
END_TEST

START_TEST(a_newer_database_is_refused_and_left_alone)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_store *store = NULL;
    int newer = den_migrations_newest() + 4;
    sqlite3 *db = old_database(den_migrations_newest());
    char mark[48];
    den_str_format(mark, sizeof mark, "PRAGMA user_version = %d", newer);
    ck_assert_int_eq(sqlite3_exec(db, mark, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    must_fail(den_stores[0]->open(path, &store, &err), DEN_E_CONFLICT, "newer version");
    ck_assert_ptr_null(store);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(number(db, "PRAGMA user_version"), newer);
    sqlite3_close(db);
}
END_TEST

START_TEST(a_step_that_fails_is_undone_whole)
{
    struct den_err err = DEN_ERR_INIT;
    sqlite3 *db = old_database(1);
    /* In the way of the last table of step 2: those before it must go again. */
    ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE scores (x)", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert(!den_migrate(db, den_migrations_newest(), &err));
    ck_assert_int_eq(number(db, "PRAGMA user_version"), 1);
    ck_assert_int_eq(
        number(db, "SELECT count(*) FROM sqlite_master WHERE name IN ('jobs', 'events')"),
        0);
    ck_assert_int_eq(sqlite3_exec(db, "DROP TABLE scores", NULL, NULL, NULL), SQLITE_OK);
    err = DEN_ERR_INIT;
    must(den_migrate(db, den_migrations_newest(), &err));
    sqlite3_close(db);
}
END_TEST

START_TEST(steps_ascend_from_one)
{
    for (int i = 0; den_migrations[i].version != 0; i++)
        ck_assert_int_eq(den_migrations[i].version, i + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("migrations");
    TCase *tcase = tcase_create("migrations");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_older_layout_upgrades_and_keeps_its_rows);
    tcase_add_test(tcase, images_of_layout_4_use_the_whole_of_their_type);
    tcase_add_test(tcase, a_newer_database_is_refused_and_left_alone);
    tcase_add_test(tcase, a_step_that_fails_is_undone_whole);
    tcase_add_test(tcase, steps_ascend_from_one);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
