/* The audit table: one row per change, chained, and what a change of it looks like. */

#include <fcntl.h>
#include <sqlite3.h>

#include "actor.h"
#include "command_case.h"
#include "service_audit.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

static const struct den_actor ann = {
    .owner = "ann", .token = "tok_0123456789abcdef", .request = "request-1"};

static size_t rows_of(struct den_audit_row *rows, size_t most)
{
    struct den_err err = DEN_ERR_INIT;
    size_t count = 0;
    must(kind->audit_list(store, true, 0, most, rows, &count, &err));
    return count;
}

/* Three rows: an image of ann, hers no more, and one by the daemon itself. */
static void make_rows(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_token_row token = {.name = "t", .owner = "ann", .scopes = 1};
    char text[DEN_TOKEN_TEXT_SIZE];
    den_actor_set(&ann);
    struct den_image_row image = add_frame(1, 0);
    must(den_service_delete_image(service, DEN_OWNER_LOCAL, image.id, &err));
    den_actor_set(NULL);
    den_token_new(text, &token);
    must(kind->token_add(store, &token, &err));
}

START_TEST(a_row_says_who_did_what_in_which_request)
{
    struct den_audit_row rows[8];
    make_rows();
    ck_assert_uint_eq(rows_of(rows, 8), 3);
    for (int i = 0; i < 3; i++)
        ck_assert(rows[i].seq == i + 1 && rows[i].time_ms > 1700000000000 &&
                  !rows[i].odd);
    ck_assert_str_eq(rows[0].owner, "ann");
    ck_assert_str_eq(rows[0].token, ann.token);
    ck_assert_str_eq(rows[0].request, "request-1");
    ck_assert_str_eq(rows[0].action, "image.create");
    ck_assert(den_id_valid(rows[0].object, "img_"));
    ck_assert_str_eq(rows[1].action, "image.delete");
    ck_assert_str_eq(rows[1].object, rows[0].object);
    ck_assert_str_eq(rows[2].owner, DEN_AUDIT_SYSTEM);
    ck_assert_str_eq(rows[2].action, "token.create");
    ck_assert_str_eq(rows[2].request, "");
    ck_assert_str_eq(rows[0].prev, "");
    ck_assert_str_eq(rows[1].prev, rows[0].hash);
    ck_assert_str_eq(rows[2].prev, rows[1].hash);
}
END_TEST

START_TEST(what_changes_nothing_or_fails_leaves_no_row)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_audit_row rows[8];
    struct den_dataset_item item = {.noisy = "img_none"};
    struct den_dataset_row set = {.id = "set_1", .name = "s", .kind = "repeats"};
    add_frame(1, 0);
    add_frame(1, 0); /* the same bytes once more */
    ck_assert(!kind->image_delete(store, DEN_OWNER_LOCAL, "img_none", NULL));
    ck_assert(!kind->dataset_add(store, DEN_OWNER_LOCAL, &set, &item, 1, NULL));
    ck_assert(!kind->token_revoke(store, "none", 1, NULL, NULL));
    ck_assert_uint_eq(rows_of(rows, 8), 1);
    set.kind[0] = 'x';
    must(kind->dataset_add(store, DEN_OWNER_LOCAL, &set, &item, 0, &err));
    ck_assert_uint_eq(rows_of(rows, 8), 2); /* and the chain goes on */
    ck_assert_str_eq(rows[1].prev, rows[0].hash);
}
END_TEST

START_TEST(the_life_of_a_job_is_a_row_per_change)
{
    static const char *const want[][3] = {
        {"image.create", "done", "system"}, {"job.create", "queued", "ann"},
        {"job.cancel", "cancelled", "ann"}, {"job.retry", "queued", "ann"},
        {"job.end", "failed", "system"},    {"job.delete", "done", "ann"},
    };
    struct den_err err = DEN_ERR_INIT;
    struct den_audit_row rows[16];
    const struct den_claim how = {.now = den_moment_now(),
                                  .worker = "w",
                                  .lease_ms = 60000,
                                  .last = DEN_CLASS_INTERACTIVE};
    struct den_job_row job, row;
    struct den_job_estimate estimate;
    bool found = false;
    struct den_image_row image = add_frame(1, 0);
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    assign(request.image, image.id);
    den_actor_set(&ann);
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &job, &estimate,
                            &err));
    must(den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &row, &err));
    must(
        den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &row, &err)); /* no change */
    must(den_service_retry(service, DEN_OWNER_LOCAL, job.id, &row, &err));
    must(den_service_retry(service, DEN_OWNER_LOCAL, job.id, &row, &err)); /* nor this */
    den_actor_set(NULL);
    must(kind->job_claim(store, &how, &row, &found, &err));
    ck_assert(found);
    row.state = DEN_JOB_FAILED;
    must(kind->job_finish(store, &row, NULL, NULL, 0, &err));
    den_actor_set(&ann);
    must(den_service_delete_job(service, DEN_OWNER_LOCAL, job.id, &err));
    den_actor_set(NULL);
    size_t count = rows_of(rows, 16);
    ck_assert_uint_eq(count, (size_t)COUNT(want));
    for (size_t i = 0; i < count; i++) {
        ck_assert_str_eq(rows[i].action, want[i][0]);
        ck_assert_str_eq(rows[i].result, want[i][1]);
        ck_assert_str_eq(rows[i].owner, want[i][2]);
        ck_assert_str_eq(rows[i].object, i == 0 ? image.id : job.id);
    }
}
END_TEST

/* ---- the chain ---- */

static char database[96];

static void run_sql(const char *sql, int want)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(database, &db), SQLITE_OK);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    ck_assert_msg(code == want, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* Rows in a file that is closed. */
static void rows_on_disk(void)
{
    make_rows();
    close_all();
    (void)snprintf(database, sizeof database, "%s/denoised.db", folder);
}

START_TEST(no_query_changes_or_removes_a_row)
{
    static const char *const queries[] = {
        "UPDATE audit SET owner = 'eve'",
        "UPDATE audit SET seq = seq + 10",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE seq = 3",
    };
    char said[400];
    rows_on_disk();
    for (int i = 0; i < COUNT(queries); i++)
        run_sql(queries[i], SQLITE_CONSTRAINT);
    must_command("audit verify", said, sizeof said);
    ck_assert_msg(strstr(said, "audit: 3 rows, each follows") != NULL, "%s", said);
}
END_TEST

static const struct {
    const char *sql;
    int row; /* the first that is wrong */
} changes[] = {
    {"UPDATE audit SET time_ms = time_ms + 1 WHERE seq = 1", 1},
    {"UPDATE audit SET owner = 'eve' WHERE seq = 2", 2},
    {"UPDATE audit SET token = token || 'x' WHERE seq = 2", 2},
    {"UPDATE audit SET token = token || char(0) || 'x' WHERE seq = 2", 2},
    {"UPDATE audit SET action = 'image.create' WHERE seq = 2", 2},
    {"UPDATE audit SET object = '' WHERE seq = 3", 3},
    {"UPDATE audit SET result = 'failed' WHERE seq = 3", 3},
    {"UPDATE audit SET request = 'request-2' WHERE seq = 1", 1},
    {"UPDATE audit SET prev = '' WHERE seq = 2", 2},
    {"UPDATE audit SET hash = upper(hash) WHERE seq = 3", 3},
    {"UPDATE audit SET owner = 'an', token = 'n' || token WHERE seq = 1", 1},
    {"DELETE FROM audit WHERE seq = 1", 1},
    {"DELETE FROM audit WHERE seq = 2", 2},
    {"DELETE FROM audit WHERE seq = 3", 3},
    {"DELETE FROM audit", 1},
    {"DELETE FROM audit WHERE seq = 1; UPDATE audit SET seq = seq - 1", 1},
    {"UPDATE audit SET seq = seq + 1 WHERE seq = 3", 3},
    {"INSERT INTO audit SELECT 4, time_ms, owner, token, action, object, result, "
     "request, "
     "hash, hash FROM audit WHERE seq = 3",
     4},
};

START_TEST(a_row_that_was_changed_removed_or_added_is_found)
{
    char said[400], want[40];
    rows_on_disk();
    run_sql("DROP TRIGGER audit_stays; DROP TRIGGER audit_is_kept", SQLITE_OK);
    must_command("audit verify", said, sizeof said);
    run_sql(changes[_i].sql, SQLITE_OK);
    ck_assert_msg(command("audit verify", said, sizeof said) == 1, "%s: %s",
                  changes[_i].sql, said);
    (void)snprintf(want, sizeof want, "row %d is not as it was written", changes[_i].row);
    ck_assert_msg(strstr(said, want) != NULL, "%s: %s", changes[_i].sql, said);
}
END_TEST

/* ---- bytes ---- */

static bool store_finds(void)
{
    struct den_audit_row rows[8];
    struct den_audit_walk walk = {.seq = 0};
    struct den_store *s = NULL;
    size_t count = 0;
    int64_t end = -1;
    if (!kind->open(database, &s, NULL))
        return true;
    bool good = kind->audit_list(s, true, 0, 8, rows, &count, NULL) &&
                kind->audit_end(s, &end, NULL);
    for (size_t i = 0; good && i < count; i++)
        good = den_audit_follows(&walk, &rows[i]);
    kind->close(s);
    return !good || walk.seq != end;
}

/* Where the record of a row lies in the file, as in sqlite.org/fileformat2.html: length,
 * rowid, header, values. */
static size_t find_record(const char *data, size_t length,
                          const struct den_audit_row *row, size_t *ret_start)
{
    const char *const texts[] = {row->owner,  row->token,   row->action, row->object,
                                 row->result, row->request, row->prev,   row->hash};
    char all[800] = "";
    size_t header = 3; /* its size, the NULL for the rowid, the type of the time */
    for (int i = 0; i < COUNT(texts); i++) {
        size_t bytes = strlen(texts[i]);
        ck_assert(
            den_str_format(all + strlen(all), sizeof all - strlen(all), "%s", texts[i]));
        header += 13 + 2 * bytes < 128 ? 1 : 2;
    }
    const char *at = memmem(data, length, all, strlen(all));
    ck_assert_ptr_nonnull(at);
    enum { TIME = 6 };
    size_t payload = header + TIME + strlen(all), before = header + TIME + 1 + 2;
    const unsigned char *start = (const unsigned char *)at - before;
    ck_assert_uint_eq((size_t)(start[0] & 127) * 128 + start[1], payload);
    ck_assert_uint_eq(start[2], (unsigned)row->seq);
    *ret_start = (size_t)((const char *)start - data);
    return payload + 3;
}

START_TEST(every_single_byte_of_every_row_counts)
{
    static const unsigned char flips[] = {0x01, 0x20, 0x80, 0xff};
    struct den_err err = DEN_ERR_INIT;
    struct den_audit_row rows[8];
    char *data = NULL;
    size_t length = 0, tried = 0, missed = 0;
    int kinds = test_full() ? COUNT(flips) : 1;
    make_rows();
    ck_assert_uint_eq(rows_of(rows, 8), 3);
    (void)snprintf(database, sizeof database, "%s/copy.db", folder);
    must(kind->backup(store, database, &err));
    must(den_fs_read(database, 1 << 24, &data, &length, &err));
    ck_assert(!store_finds());
    int fd = open(database, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    for (int i = 0; i < 3; i++) {
        size_t start = 0, size = find_record(data, length, &rows[i], &start);
        for (size_t at = start; at < start + size; at++)
            for (int k = 0; k < kinds; k++) {
                char byte = (char)((unsigned char)data[at] ^ flips[k]);
                ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
                tried++;
                if (!store_finds()) {
                    missed++;
                    printf("row %d, byte %zu of %zu, ^%02x: not found\n", i + 1,
                           at - start, size, flips[k]);
                }
                ck_assert_int_eq(pwrite(fd, &data[at], 1, (off_t)at), 1);
            }
    }
    (void)close(fd);
    ck_assert(!store_finds());
    den_free(data);
    printf("%zu changes of one byte of the audit table, %zu not found\n", tried, missed);
    ck_assert_uint_eq(missed, 0);
    ck_assert_uint_gt(tried, 550);
}
END_TEST

/* ---- words ---- */

START_TEST(rows_are_shown_since_a_time)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_service_config config = {.state = folder, .threads = 1};
    char said[4000] = "", words[64];
    struct den_audit_row rows[8];
    size_t wrong = 99;
    make_rows();
    rows_of(rows, 8);
    close_all();
    for (int i = 0; i < 2; i++) {
        (void)snprintf(words, sizeof words, "audit show %lld%s",
                       (long long)(i == 0 ? 0 : rows[2].time_ms + 1),
                       i == 0 ? " json" : "");
        must_command(words, said, sizeof said);
        if (i == 0)
            ck_assert_msg(strncmp(said, "{\"seq\":1,\"time\":\"20", 19) == 0 &&
                              strstr(said, rows[2].hash) != NULL,
                          "%s", said);
        else
            ck_assert_str_eq(said, "");
    }
    must_fail(den_state_command(&config, "audit show 0 xml", stdout, &wrong, &err),
              DEN_E_INVALID, "as json");
    must_fail(den_state_command(&config, "audit show x", stdout, &wrong, &err),
              DEN_E_INVALID, "x");
    must_fail(den_state_command(&config, "audit clear", stdout, &wrong, &err),
              DEN_E_INVALID, "verified and shown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("audit");
    TCase *tc = tcase_create("audit");
    tcase_add_checked_fixture(tc, setup_idle, teardown);
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, a_row_says_who_did_what_in_which_request);
    tcase_add_test(tc, what_changes_nothing_or_fails_leaves_no_row);
    tcase_add_test(tc, the_life_of_a_job_is_a_row_per_change);
    tcase_add_test(tc, no_query_changes_or_removes_a_row);
    tcase_add_loop_test(tc, a_row_that_was_changed_removed_or_added_is_found, 0,
                        COUNT(changes));
    tcase_add_test(tc, every_single_byte_of_every_row_counts);
    tcase_add_test(tc, rows_are_shown_since_a_time);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
