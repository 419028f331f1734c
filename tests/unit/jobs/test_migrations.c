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

static void run(sqlite3 *db, const char *sql)
{
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
}

/* An image and a data set of it, in any layout. */
static void fill(sqlite3 *db, int version)
{
    run(db, version < 6
                ? "INSERT INTO images (id, sha256, name, format, width, height, pages, "
                  "channels, dtype, pixel_size_um, bytes, created_ms) VALUES ('img_1', "
                  "'ab', 'a.tif', 'tiff', 8, 9, 2, 1, 'uint16', 0.5, 300, 77)"
                : "INSERT INTO images VALUES ('img_1', 'local', 'ab', 'a.tif', 'tiff', "
                  "8, 9, 2, 1, 'uint16', 0.5, 300, 77, 16, 0, '', '', 1, 1, 1, 0, '')");
    if (version == 5)
        run(db, "UPDATE images SET bits = 16");
    run(db, "INSERT INTO datasets (id, name, kind, samples, scenes, created_ms) VALUES "
            "('set_1', 's', 'repeats', 2, 1, 8)");
    run(db, "INSERT INTO dataset_items VALUES ('set_1', 0, 'img_1', NULL)");
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
        fill(db, version);
        sqlite3_close(db);
        must(den_stores[0]->open(path, &store, &err));
        must(den_stores[0]->image_get(store, DEN_OWNER_LOCAL, "img_1", &image, &err));
        ck_assert_uint_eq(image.info.height, 9);
        ck_assert_int_eq(image.info.dtype, DEN_U16);
        ck_assert_uint_eq(image.info.bits, 16);
        ck_assert(!image.info.alpha);
        ck_assert_str_eq(image.info.axes.source, "");
        ck_assert_uint_eq(image.info.axes.t, 1);
        ck_assert_uint_eq(image.info.axes.z, 1);
        ck_assert_uint_eq(image.info.axes.c, 1);
        ck_assert_str_eq(image.info.axes.channel_names[0], "");
        must(den_stores[0]->dataset_items(store, DEN_OWNER_LOCAL, "set_1", &items, &count,
                                          &err));
        ck_assert_uint_eq(count, 1);
        den_free(items);
        struct den_job_row job = {.id = "job_1", .kind = "denoise", .image = "img_1"};
        must(den_stores[0]->job_add(store, DEN_OWNER_LOCAL, &job, 0,
                                    &err)); /* the new tables are there */
        struct den_job_row grid = {.id = "job_2", .kind = "experiment"};
        must(den_stores[0]->experiment_add(store, DEN_OWNER_LOCAL, &grid, "row a\n", "",
                                           0, &err));
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
        must(den_stores[0]->image_get(store, DEN_OWNER_LOCAL, cases[i].id, &image, &err));
        ck_assert_uint_eq(image.info.bits, cases[i].bits);
    }
    must(den_stores[0]->job_get(store, DEN_OWNER_LOCAL, "job_1", &job, &err));
    ck_assert_uint_eq(job.clipped, 5);
    ck_assert_double_eq(job.seconds, 0.25);
    ck_assert_uint_eq(job.planes + job.planes_left + job.peak_bytes, 0);
    ck_assert_str_eq(job.dtype, "");
    den_stores[0]->close(store);
}
END_TEST

/* Rows of each kind that name each other.  config: two trainings, of which the second
 * starts from the model of the first. */
static const char rows_of_5[] =
    "INSERT INTO images VALUES ('img_n', 'aa', 'n.tif', 'tiff', 8, 9, 2, 1, 'uint16', "
    "0.5, 300, 77, 12, 1, 'ome', 'XYCZT', 2, 1, 1, 0.3, 'DAPI');"
    "INSERT INTO images VALUES ('img_c', 'bb', 'c.tif', 'tiff', 8, 9, 2, 1, 'uint16', "
    "0.5, 300, 78, 16, 0, '', '', 1, 1, 1, 0, '');"
    "INSERT INTO datasets VALUES ('set_1', 's', 'pairs', 2, 1, 8);"
    "INSERT INTO dataset_items VALUES ('set_1', 0, 'img_n', 'img_c');"
    "INSERT INTO jobs (id, kind, state, place, dataset, image, model, version, method, "
    "preset, config, seed, created_ms, started_ms, finished_ms, attempts, step, steps, "
    "error_code, error_text, result_sha256, result_name, result_media, clipped, seconds)"
    " VALUES ('job_t', 'train', 'succeeded', 1, 'set_1', '', 'nuclei', 1, 'care', 'cpu',"
    " 'steps=3\n', 1, 2, 3, 4, 1, 2, 2, '', '', '', '', '', 0, 0.25),"
    " ('job_f', 'train', 'queued', 2, 'set_1', '', 'fine', 0, 'care', 'cpu',"
    " 'steps=3\nbase_model=nuclei@1\n', 1, 2, 3, 4, 1, 2, 2, '', '', '', '', '', 0, 0),"
    " ('job_d', 'denoise', 'succeeded', 3, '', 'img_n', 'nuclei', 1, '', '', '', 1, 2, 3,"
    " 4, 1, 2, 2, '', '', 'cc', 'n_denoised.tif', 'image/tiff', 5, 0.25),"
    " ('job_e', 'experiment', 'queued', 4, 'set_1', '', '', 0, '', '', '', 1, 2, 3, 4, 1,"
    " 2, 2, '', '', '', '', '', 0, 0);"
    "INSERT INTO events VALUES ('job_d', 1, 'log', 0, 0, '', NULL, 'hello', 9);"
    "INSERT INTO scores VALUES ('job_d', 0, 'img_n', 'n.tif', 0, 'noisy', 'psnr', 20.5);"
    "INSERT INTO model_names VALUES ('nuclei', 4);"
    "INSERT INTO models VALUES ('nuclei', 1, 'job_t', 'set_1', 'dd', 10, 1, 20, 'care', "
    "'cpu', 'steps=3\n', 1.5, 2.5, 1, 30.5, 99);"
    "INSERT INTO experiments VALUES ('job_e', 'row a\n', 'set_1');"
    "INSERT INTO experiment_cells VALUES ('job_e', 0, 'done', 1.5, 4, 'psnr=20\n', '');"
    "INSERT INTO experiment_crops VALUES ('job_e', 0, 'iVBOR');";

START_TEST(rows_of_layout_5_belong_to_the_local_user_and_none_is_lost)
{
    static const struct {
        const char *sql;
        int64_t want;
    } cases[] = {
        {"SELECT count(*) FROM images WHERE owner = 'local'", 2},
        {"SELECT count(*) FROM images WHERE id = 'img_n' AND sha256 = 'aa' AND bits = 12 "
         "AND alpha = 1 AND axes_source = 'ome' AND axes_order = 'XYCZT' AND axes_t = 2 "
         "AND z_step_um = 0.3 AND channel_names = 'DAPI' AND created_ms = 77",
         1},
        {"SELECT count(*) FROM datasets WHERE owner = 'local'", 1},
        {"SELECT count(*) FROM dataset_items JOIN images ON noisy = id", 1},
        {"SELECT count(*) FROM jobs WHERE owner = 'local'", 4},
        {"SELECT count(*) FROM jobs WHERE id IN ('job_f', 'job_d') AND model_owner = "
         "'local'",
         2},
        {"SELECT count(*) FROM jobs WHERE model_owner = ''", 2},
        {"SELECT count(*) FROM events", 1},
        {"SELECT count(*) FROM scores", 1},
        {"SELECT count(*) FROM model_names WHERE owner = 'local' AND name = 'nuclei' AND "
         "last_version = 4 AND shared = 0",
         1},
        {"SELECT count(*) FROM models WHERE owner = 'local' AND version = 1 AND shift = "
         "1.5 AND validation_psnr = 30.5 AND sha256 = 'dd' AND created_ms = 99",
         1},
        {"SELECT count(*) FROM experiments", 1},
        {"SELECT count(*) FROM experiment_cells", 1},
        {"SELECT count(*) FROM experiment_crops", 1},
        {"SELECT count(*) FROM pragma_foreign_key_check", 0},
        {"SELECT count(*) FROM pragma_foreign_key_list('dataset_items') WHERE \"table\" "
         "= "
         "'images'",
         2},
        {"SELECT count(*) FROM pragma_foreign_key_list('models') WHERE \"table\" = "
         "'model_names'",
         2},
        {"SELECT count(*) FROM sqlite_master WHERE name LIKE 'new%'", 0},
        {"PRAGMA foreign_keys", 1},
    };
    struct den_err err = DEN_ERR_INIT;
    sqlite3 *db = old_database(5);
    run(db, rows_of_5);
    run(db, "PRAGMA foreign_keys = ON"); /* as in the program */
    must(den_migrate(db, 6, &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(number(db, cases[i].sql) == cases[i].want, "%s", cases[i].sql);
    /* What names a row still holds it, and goes with it. */
    ck_assert_int_eq(
        sqlite3_exec(db, "DELETE FROM images WHERE id = 'img_c'", NULL, NULL, NULL),
        SQLITE_CONSTRAINT);
    ck_assert_int_eq(sqlite3_exec(db, "DELETE FROM model_names", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    run(db, "DELETE FROM jobs WHERE id = 'job_e'");
    ck_assert_int_eq(number(db, "SELECT count(*) FROM experiment_crops"), 0);
    sqlite3_close(db);
}
END_TEST

START_TEST(jobs_of_layout_6_stand_in_line_and_are_counted)
{
    static const struct {
        const char *sql;
        int64_t want;
    } cases[] = {
        {"SELECT class FROM jobs WHERE id = 'job_d'", 0},
        {"SELECT class FROM jobs WHERE id = 'job_f'", 2},
        {"SELECT class FROM jobs WHERE id = 'job_e'", 3},
        {"SELECT last FROM numbers WHERE name = 'queued'", 2},
        {"SELECT last FROM numbers WHERE name = 'place'", 4},
        {"SELECT waiting FROM lines WHERE class = 2 AND owner = 'local'", 1},
        {"SELECT waiting FROM lines WHERE class = 3 AND owner = 'local'", 1},
        {"SELECT waiting FROM lines WHERE class = 0 AND owner = 'local'", 0},
        {"SELECT count(*) FROM jobs WHERE gen = 0 AND not_before = 0", 4},
    };
    struct den_err err = DEN_ERR_INIT;
    sqlite3 *db = old_database(5);
    run(db, rows_of_5);
    must(den_migrate(db, 8, &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_msg(number(db, cases[i].sql) == cases[i].want, "%s", cases[i].sql);
    run(db, "UPDATE jobs SET state = 'running' WHERE id = 'job_f'");
    ck_assert_int_eq(
        number(db, "SELECT 10 * waiting + running FROM lines WHERE class = 2"), 1);
    ck_assert_int_eq(number(db, "SELECT last FROM numbers WHERE name = 'queued'"), 1);
    sqlite3_close(db);
}
END_TEST

START_TEST(a_step_after_which_a_row_names_nothing_is_undone)
{
    struct den_err err = DEN_ERR_INIT;
    sqlite3 *db = old_database(5); /* a connection that does not look at foreign keys */
    run(db, "INSERT INTO dataset_items VALUES ('set_x', 0, 'img_x', NULL)");
    must_fail(den_migrate(db, 6, &err), DEN_E_INTERNAL, "dataset_items");
    ck_assert_int_eq(number(db, "PRAGMA user_version"), 5);
    ck_assert_int_eq(number(db, "PRAGMA foreign_keys"), 0);
    ck_assert_int_eq(
        number(db, "SELECT count(*) FROM pragma_table_info('images') WHERE name = "
                   "'owner'"),
        0);
    sqlite3_close(db);
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

START_TEST(steps_ascend)
{
    for (int i = 1; den_migrations[i].version != 0; i++)
        ck_assert_int_gt(den_migrations[i].version, den_migrations[i - 1].version);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("migrations");
    TCase *tcase = tcase_create("migrations");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, every_older_layout_upgrades_and_keeps_its_rows);
    tcase_add_test(tcase, images_of_layout_4_use_the_whole_of_their_type);
    tcase_add_test(tcase, rows_of_layout_5_belong_to_the_local_user_and_none_is_lost);
    tcase_add_test(tcase, jobs_of_layout_6_stand_in_line_and_are_counted);
    tcase_add_test(tcase, a_step_after_which_a_row_names_nothing_is_undone);
    tcase_add_test(tcase, a_newer_database_is_refused_and_left_alone);
    tcase_add_test(tcase, a_step_that_fails_is_undone_whole);
    tcase_add_test(tcase, steps_ascend);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
