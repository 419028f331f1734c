/* Who comes next: classes, then owners in turn, then the order of coming in. */

#include <sqlite3.h>
#include <stdio.h>

#include "clock.h"
#include "rng.h"
#include "store_case.h"

static struct den_job_row add_of(const char *owner, enum den_job_class class)
{
    static const char *const kinds[] = {"denoise", "evaluate", "train", "experiment"};
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = new_job(kinds[class]);
    row.class = class;
    assign(row.owner, owner);
    must(kind->job_add(store, owner, &row, 0, &err));
    return row;
}

static struct den_job_row next_of(enum den_job_class last)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = {.id = ""};
    const struct den_claim how = {
        .now = den_moment_now(), .worker = "w", .lease_ms = 60000, .last = last};
    bool found = false;
    must(kind->job_claim(store, &how, &row, &found, &err));
    return row;
}

static void order_is(const char *want)
{
    char got[64] = "";
    for (size_t i = 0; i < strlen(want); i++) {
        struct den_job_row row = next_of(EVERY_CLASS);
        got[i] = row.owner[0];
        if (row.id[0] != '\0')
            finish(&row, DEN_JOB_SUCCEEDED);
    }
    ck_assert_str_eq(got, want);
}

START_TEST(owners_take_turns)
{
    for (int i = 0; i < 5; i++)
        add_of("ann", DEN_CLASS_INTERACTIVE);
    for (int i = 0; i < 2; i++)
        add_of("bob", DEN_CLASS_INTERACTIVE);
    add_of("cat", DEN_CLASS_INTERACTIVE);
    order_is("abcabaa");
}
END_TEST

START_TEST(who_comes_late_is_served_before_who_was_served_last)
{
    for (int i = 0; i < 6; i++)
        add_of("ann", DEN_CLASS_INTERACTIVE);
    order_is("aa");
    add_of("bob", DEN_CLASS_INTERACTIVE);
    add_of("bob", DEN_CLASS_INTERACTIVE);
    order_is("ba");
    add_of("ann", DEN_CLASS_INTERACTIVE); /* more jobs do not give more turns */
    order_is("baaa");
}
END_TEST

START_TEST(classes_come_before_turns)
{
    add_of("ann", DEN_CLASS_EXPERIMENT);
    add_of("ann", DEN_CLASS_TRAINING);
    add_of("ann", DEN_CLASS_BATCH);
    add_of("bob", DEN_CLASS_TRAINING);
    add_of("cat", DEN_CLASS_INTERACTIVE);
    add_of("cat", DEN_CLASS_INTERACTIVE);
    ck_assert_str_eq(next_of(DEN_CLASS_BATCH).owner, "cat");
    ck_assert_str_eq(next_of(DEN_CLASS_BATCH).owner, "cat");
    ck_assert_str_eq(next_of(DEN_CLASS_BATCH).owner, "ann");
    ck_assert_str_eq(next_of(DEN_CLASS_BATCH).id, "");
    ck_assert_str_eq(next_of(EVERY_CLASS).kind, "train");
    ck_assert_str_eq(next_of(EVERY_CLASS).kind, "train");
    ck_assert_str_eq(next_of(EVERY_CLASS).kind, "experiment");
}
END_TEST

START_TEST(a_job_is_left_to_a_worker_that_has_its_model)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_model_key key = {.owner = "ann", .name = "m", .version = 2};
    struct den_claim how = {.now = den_moment_now(),
                            .worker = "w",
                            .lease_ms = 60000,
                            .last = EVERY_CLASS,
                            .left = &key,
                            .left_count = 1};
    struct den_job_row row = {.id = ""};
    bool found = true;
    add_of("ann", DEN_CLASS_INTERACTIVE);
    must(kind->job_claim(store, &how, &row, &found, &err));
    ck_assert(found); /* it is for no model */
    /* The check that the model is there is the API's and job_add's. */
    ck_assert_uint_eq(how.left_count, 1);
}
END_TEST

/* ---- positions ---- */

enum { MOST = 90 };

static size_t position_of(const struct den_job_row *row)
{
    struct den_err err = DEN_ERR_INIT;
    size_t position = 0;
    must(kind->job_position(store, row->owner, row->id, &position, &err));
    return position;
}

/* What is said of all before is what then happens; jobs are served in between, so that
 * the turns stand anywhere. */
static void drain_and_compare(uint64_t seed)
{
    static const char *const owners[] = {"ann", "bob", "cat", "dan", "eve"};
    struct den_err err = DEN_ERR_INIT;
    struct den_rng rng;
    struct den_job_row jobs[MOST];
    struct den_line_row *line = NULL;
    size_t said[MOST] = {0}, count = 20 + seed * 17 % (MOST - 20), waiting = 0, size = 0;
    den_rng_seed(&rng, seed, DEN_STREAM_ORDER, 0);
    for (size_t i = 0; i < count; i++) {
        const char *owner = owners[den_rng_below(&rng, 1 + (uint32_t)seed % 5)];
        enum den_job_class class =
            (enum den_job_class)den_rng_below(&rng, DEN_JOB_CLASSES);
        size_t foretold = 0;
        must(kind->job_last_position(store, owner, class, &foretold, &err));
        jobs[i] = add_of(owner, class);
        ck_assert_uint_eq(position_of(&jobs[i]), foretold);
        if (den_rng_below(&rng, 4) == 0) {
            struct den_job_row row = next_of(EVERY_CLASS);
            finish(&row, DEN_JOB_SUCCEEDED);
        }
    }
    for (size_t i = 0; i < count; i++)
        waiting += (said[i] = position_of(&jobs[i])) > 0;
    must(kind->job_line(store, &line, &size, &err));
    ck_assert_uint_eq(size, waiting);
    for (size_t want = 1; want <= waiting; want++) {
        struct den_job_row row = next_of(EVERY_CLASS);
        size_t i = 0;
        while (i < count && strcmp(jobs[i].id, row.id) != 0)
            i++;
        ck_assert_uint_lt(i, count);
        ck_assert_uint_eq(said[i], want);
        ck_assert_str_eq(line[want - 1].id, row.id);
        finish(&row, DEN_JOB_SUCCEEDED);
    }
    ck_assert_str_eq(next_of(EVERY_CLASS).id, "");
    den_free(line);
}

START_TEST(the_queue_drains_in_the_order_that_was_said)
{
    for (uint64_t seed = 1; seed <= 4; seed++)
        drain_and_compare(seed);
}
END_TEST

START_TEST(who_has_to_wait_stands_behind_all_that_need_not)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row a = add_of("ann", DEN_CLASS_INTERACTIVE);
    struct den_job_row b = add_of("ann", DEN_CLASS_INTERACTIVE);
    struct den_job_row c = add_of("bob", DEN_CLASS_TRAINING), row = next_of(EVERY_CLASS);
    const struct den_lease lease = den_job_lease(&row);
    const struct den_moment now = den_moment_now();
    struct den_line_row *line = NULL;
    size_t count = 0;
    must(kind->job_again(store, &lease, 50000, &now, "the disk is full", &err));
    ck_assert_uint_eq(position_of(&b), 1);
    ck_assert_uint_eq(position_of(&c), 2);
    ck_assert_uint_eq(position_of(&a), 3);
    must(kind->job_line(store, &line, &count, &err));
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(line[2].id, a.id);
    ck_assert_int_gt(line[2].wait_ms, 40000);
    den_free(line);
    ck_assert_str_eq(next_of(EVERY_CLASS).id, b.id);
    ck_assert_str_eq(next_of(EVERY_CLASS).id, c.id);
    ck_assert_str_eq(next_of(EVERY_CLASS).id, "");
}
END_TEST

/* Written past the store: one commit instead of ten thousand. */
static void fill(int jobs, int owners)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_of("user-0", DEN_CLASS_INTERACTIVE);
    sqlite3 *db = NULL;
    char sql[1200];
    kind->close(store);
    den_str_format(
        sql, sizeof sql,
        "BEGIN; CREATE TEMP TABLE one AS SELECT * FROM jobs WHERE id = '%s';"
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i "
        "< %d)"
        " INSERT INTO jobs (id, owner, place, kind, state, dataset, image, model, "
        "version, method, preset, config, seed, created_ms, started_ms, finished_ms, "
        "attempts, step, steps, error_code, error_text, result_sha256, result_name, "
        "result_media, clipped, seconds, class) SELECT 'job_' || (1000000 + i), 'user-' "
        "|| (i %% %d), 10 + i, kind, state, dataset, image, model, version, method, "
        "preset, config, seed, created_ms, started_ms, finished_ms, attempts, step, "
        "steps, error_code, error_text, result_sha256, result_name, result_media, "
        "clipped, seconds, class FROM one, n;"
        "UPDATE numbers SET last = 20 + %d WHERE name = 'place'; COMMIT",
        row.id, jobs, owners, jobs);
    ck_assert_int_eq(sqlite3_open(location, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    must(kind->open(location, &store, &err));
}

/* Neither with the length of the queue nor with the number of owners. */
START_TEST(claims_and_submissions_take_no_longer_with_ten_thousand_waiting)
{
    enum { WAITING = 10000, TIMES = 50 };
    double claims = 0, adds = 0, positions = 0, since;
    fill(WAITING, 50);
    for (int i = 0; i < TIMES; i++) {
        since = den_monotonic_s();
        struct den_job_row row = add_of("user-1", DEN_CLASS_INTERACTIVE);
        adds += den_monotonic_s() - since;
        since = den_monotonic_s();
        ck_assert_uint_gt(position_of(&row), WAITING);
        positions += den_monotonic_s() - since;
        since = den_monotonic_s();
        ck_assert_str_ne(next_of(EVERY_CLASS).id, "");
        claims += den_monotonic_s() - since;
    }
    struct den_err err = DEN_ERR_INIT;
    struct den_line_row *line = NULL;
    size_t count = 0;
    since = den_monotonic_s();
    must(kind->job_line(store, &line, &count, &err));
    ck_assert_uint_eq(count, WAITING + 1);
    den_free(line);
    printf("%d waiting: a claim takes %.2f ms, a submission %.2f ms, a position %.2f ms, "
           "the whole line %.0f ms\n",
           WAITING, 1e3 * claims / TIMES, 1e3 * adds / TIMES, 1e3 * positions / TIMES,
           1e3 * (den_monotonic_s() - since));
    ck_assert_double_lt(claims / TIMES, 0.5); /* with fsync, on a busy machine */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        owners_take_turns,
        who_comes_late_is_served_before_who_was_served_last,
        classes_come_before_turns,
        a_job_is_left_to_a_worker_that_has_its_model,
        the_queue_drains_in_the_order_that_was_said,
        who_has_to_wait_stands_behind_all_that_need_not,
        claims_and_submissions_take_no_longer_with_ten_thousand_waiting,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
