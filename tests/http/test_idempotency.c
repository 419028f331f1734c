/* The same request sent twice with one Idempotency-Key takes effect once. */

#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

#include "client.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "mem.h"
#include "scene.h"
#include "str.h"
#include "tokens.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

static struct daemon server;
static char files[64], image[32], clean[32];

static void setup(void)
{
    char path[128];
    daemon_start(&server, NULL);
    folder_make(files);
    scene_write(files, 1, 64, 1);
    (void)snprintf(path, sizeof path, "%s/noisy1_0.tif", files);
    upload(server.url, path, image);
    (void)snprintf(path, sizeof path, "%s/clean1.tif", files);
    upload(server.url, path, clean);
}

static void teardown(void)
{
    daemon_remove(&server);
    folder_remove(files);
}

static struct answer post(const char *path, const char *json, const char *key)
{
    char header[400];
    (void)snprintf(header, sizeof header, "Idempotency-Key: %s", key);
    return ask("POST", server.url, path, json != NULL ? "application/json" : NULL, json,
               json != NULL ? strlen(json) : 0, header);
}

static bool replayed(const struct answer *a)
{
    char value[8];
    return strcmp(answer_header(a, "Idempotency-Replayed", value, sizeof value),
                  "true") == 0;
}

static size_t count_of(const char *list)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/%s?limit=500", list);
    struct answer a = get(server.url, path);
    size_t count = json_array_size(json_object_get(a.json, list));
    answer_free(&a);
    return count;
}

static const char *denoise_body(char *to, size_t size)
{
    (void)snprintf(
        to, size, "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\"}", image);
    return to;
}

/* ---- once ---- */

START_TEST(every_post_takes_effect_once)
{
    char denoise[160], pairs[200], train[160], name[20], place[2][80];
    (void)snprintf(pairs, sizeof pairs,
                   "{\"name\":\"s\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"%s\","
                   "\"clean\":\"%s\"}]}",
                   image, clean);
    (void)snprintf(train, sizeof train, "{\"kind\":\"denoise\",\"image\":\"%s\"}", image);
    const struct {
        const char *path, *json, *list;
        long status;
        size_t added;
    } cases[] = {
        {"/v1/jobs", denoise_body(denoise, sizeof denoise), "jobs", 202, 1},
        {"/v1/jobs?dry_run=true", denoise, "jobs", 200, 0},
        {"/v1/datasets", pairs, "datasets", 201, 1},
        {"/v1/jobs", train, "jobs", 422, 0}, /* neither model nor method */
        {"/v1/jobs", "{", "jobs", 400, 0},
        {"/v1/jobs/job_01JD0000000000000000000000/cancel", NULL, "jobs", 404, 0},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        size_t before = count_of(cases[i].list);
        (void)snprintf(name, sizeof name, "key-%d", i);
        struct answer first = post(cases[i].path, cases[i].json, name);
        ck_assert_msg(first.status == cases[i].status && !replayed(&first), "%d: %ld %s",
                      i, first.status, first.body);
        for (int k = 0; k < 3; k++) {
            struct answer again = post(cases[i].path, cases[i].json, name);
            ck_assert_int_eq(again.status, first.status);
            ck_assert_str_eq(again.body, first.body);
            ck_assert_str_eq(
                answer_header(&again, "Location", place[0], sizeof place[0]),
                answer_header(&first, "Location", place[1], sizeof place[1]));
            ck_assert(replayed(&again));
            answer_free(&again);
        }
        answer_free(&first);
        ck_assert_uint_eq(count_of(cases[i].list), before + cases[i].added);
    }
}
END_TEST

START_TEST(an_upload_is_known_by_its_bytes)
{
    char path[128], *data[2] = {NULL};
    size_t length[2];
    struct den_err err = DEN_ERR_INIT;
    for (uint64_t i = 0; i < 2; i++) {
        scene_write(files, 7 + i, 64, 1);
        (void)snprintf(path, sizeof path, "%s/noisy%llu_0.tif", files,
                       (unsigned long long)i + 7);
        must(den_fs_read(path, 1 << 20, &data[i], &length[i], &err));
    }
    static const struct {
        int file;
        const char *path;
        long status;
        bool replayed;
    } cases[] = {
        {0, "/v1/images?name=a.tif", 201, false},
        {0, "/v1/images?name=a.tif", 201, true},
        {1, "/v1/images?name=a.tif", 422, false},
        {0, "/v1/images?name=b.tif", 422, false},
        {0, "/v1/images?name=a.tif", 201, true},
    };
    size_t before = count_of("images");
    for (int i = 0; i < COUNT(cases); i++) {
        struct answer a =
            ask("POST", server.url, cases[i].path, "image/tiff", data[cases[i].file],
                length[cases[i].file], "Idempotency-Key: file");
        ck_assert_msg(a.status == cases[i].status, "%d: %ld %s", i, a.status, a.body);
        ck_assert(replayed(&a) == cases[i].replayed);
        answer_free(&a);
    }
    ck_assert_uint_eq(count_of("images"), before + 1);
    den_free(data[0]);
    den_free(data[1]);
}
END_TEST

START_TEST(a_key_belongs_to_one_request)
{
    char body[160], other[160];
    struct answer a = post("/v1/jobs", denoise_body(body, sizeof body), "k");
    ck_assert_int_eq(a.status, 202);
    answer_free(&a);
    (void)snprintf(other, sizeof other,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"gaussian\"}",
                   image);
    static const struct {
        const char *path;
        bool other;
    } cases[] = {
        {"/v1/jobs", true}, {"/v1/jobs?dry_run=true", false}, {"/v1/datasets", false}};
    for (int i = 0; i < COUNT(cases); i++) {
        a = post(cases[i].path, cases[i].other ? other : body, "k");
        ck_assert_int_eq(a.status, 422);
        ck_assert_msg(strstr(a.body, "another request") != NULL, "%s", a.body);
        answer_free(&a);
    }
    a = ask("GET", server.url, "/v1/jobs", NULL, NULL, 0, "Idempotency-Key: k");
    ck_assert(a.status == 200 && !replayed(&a)); /* reading needs none */
    answer_free(&a);
    ck_assert_uint_eq(count_of("jobs"), 1);
}
END_TEST

START_TEST(a_key_is_short_and_visible)
{
    char body[160], key[300];
    memset(key, 'k', 256);
    key[256] = '\0';
    const char *const bad[] = {key, "a b", "\xc3\xa4", ""};
    for (int i = 0; i < 3; i++) {
        struct answer a = post("/v1/jobs", denoise_body(body, sizeof body), bad[i]);
        ck_assert_msg(a.status == 400, "%s: %ld", bad[i], a.status);
        answer_free(&a);
    }
    key[255] = '\0';
    struct answer a = post("/v1/jobs", body, key);
    ck_assert_int_eq(a.status, 202);
    answer_free(&a);
}
END_TEST

/* ---- at the same time ---- */

enum { THREADS = 8 };
struct sender {
    pthread_t thread;
    long status;
    bool waits;
};

static void *send_one(void *opaque)
{
    struct sender *me = opaque;
    char body[160], wait[8];
    struct answer a = post("/v1/jobs", denoise_body(body, sizeof body), "together");
    me->status = a.status;
    me->waits = strcmp(answer_header(&a, "Retry-After", wait, sizeof wait), "1") == 0;
    answer_free(&a);
    return NULL;
}

START_TEST(of_many_at_the_same_time_one_takes_effect)
{
    struct sender senders[THREADS];
    int done = 0;
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&senders[i].thread, NULL, send_one, &senders[i]),
                         0);
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(senders[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_msg(senders[i].status == 202 ||
                          (senders[i].status == 409 && senders[i].waits),
                      "%ld", senders[i].status);
        done += senders[i].status == 202;
    }
    ck_assert_int_ge(done, 1);
    ck_assert_uint_eq(count_of("jobs"), 1);
    printf("%d requests at a time: %d with the answer, %d told to wait, 1 job\n", THREADS,
           done, THREADS - done);
}
END_TEST

/* ---- later ---- */

static void run_sql(const char *sql)
{
    sqlite3 *db = NULL;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/denoised.db", server.state);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    sqlite3_close(db);
}

START_TEST(an_answer_is_kept_for_a_day_and_over_restarts)
{
    char body[160], id[32];
    struct answer a = post("/v1/jobs", denoise_body(body, sizeof body), "k");
    (void)snprintf(id, sizeof id, "%s", text_at(a.json, "id"));
    answer_free(&a);
    daemon_kill(&server);
    daemon_restart(&server, NULL);
    a = post("/v1/jobs", body, "k");
    ck_assert(a.status == 202 && replayed(&a));
    ck_assert_str_eq(text_at(a.json, "id"), id);
    answer_free(&a);
    ck_assert_int_eq(daemon_stop(&server), 0);
    run_sql("UPDATE answers SET created_ms = created_ms - 86400000");
    daemon_restart(&server, NULL);
    a = post("/v1/jobs", body, "k");
    ck_assert(a.status == 202 && !replayed(&a));
    ck_assert_str_ne(text_at(a.json, "id"), id);
    answer_free(&a);
}
END_TEST

/* As a crash between effect and answer leaves it. */
START_TEST(an_effect_without_an_answer_speaks_for_itself)
{
    char body[160], id[32], place[80], want[80];
    struct answer a = post("/v1/jobs", denoise_body(body, sizeof body), "k");
    (void)snprintf(id, sizeof id, "%s", text_at(a.json, "id"));
    answer_free(&a);
    ck_assert_int_eq(daemon_stop(&server), 0);
    run_sql("UPDATE answers SET status = 0, body = '', media = '', location = ''");
    daemon_restart(&server, NULL);
    a = post("/v1/jobs", body, "k");
    ck_assert_msg(a.status == 202 && replayed(&a), "%ld %s", a.status, a.body);
    ck_assert_str_eq(text_at(a.json, "id"), id);
    (void)snprintf(want, sizeof want, "/v1/jobs/%s", id);
    ck_assert_str_eq(answer_header(&a, "Location", place, sizeof place), want);
    answer_free(&a);
    ck_assert_uint_eq(count_of("jobs"), 1);
}
END_TEST

START_TEST(a_full_queue_is_no_answer_to_keep)
{
    static const char *const full[] = {"--queue_limit", "1", NULL};
    char body[160], train[400], path[80], id[2][32], set[32];
    struct answer a;
    (void)snprintf(body, sizeof body,
                   "{\"name\":\"s\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"%s\","
                   "\"clean\":\"%s\"}]}",
                   image, clean);
    a = post("/v1/datasets", body, "set");
    (void)snprintf(set, sizeof set, "%s", text_at(a.json, "id"));
    answer_free(&a);
    ck_assert_int_eq(daemon_stop(&server), 0);
    daemon_restart(&server, full);
    /* one that works for long, one that waits, one for which there is no room */
    (void)snprintf(train, sizeof train,
                   "{\"kind\":\"train\",\"dataset\":\"%s\",\"model\":\"m\",\"config\":{"
                   "\"downs\":5,\"ngf\":4,\"ndf\":4,\"crop\":32,\"batch\":2,"
                   "\"iterations\":100000}}",
                   set);
    submit_job(server.url, train, id[0]);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id[0]);
    for (bool runs = false; !runs;) {
        a = get(server.url, path);
        runs = strcmp(text_at(a.json, "state"), "running") == 0;
        answer_free(&a);
        (void)usleep(10000);
    }
    submit_job(server.url, train, id[1]);
    a = post("/v1/jobs", train, "k");
    ck_assert_int_eq(a.status, 429);
    answer_free(&a);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id[1]);
    a = post(path, NULL, "c");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    a = post("/v1/jobs", train, "k");
    ck_assert_msg(a.status == 202 && !replayed(&a), "%ld %s", a.status, a.body);
    answer_free(&a);
}
END_TEST

/* ---- owners and tokens ---- */

static struct answer post_as(const char *token, const char *path, const char *json)
{
    char headers[200]; /* two lines in one */
    (void)snprintf(headers, sizeof headers, "%s\r\nIdempotency-Key: k", token);
    return ask("POST", server.url, path, "application/json", json, strlen(json), headers);
}

START_TEST(keys_of_others_are_others)
{
    static const char *const required[] = {"--auth", "required", NULL};
    static const char body[] = "{\"name\":\"s\",\"kind\":\"pairs\",\"pairs\":[]}";
    char ann[BEARER_SIZE], bob[BEARER_SIZE];
    ck_assert_int_eq(daemon_stop(&server), 0);
    daemon_restart(&server, required);
    make_token(&server, "a", "ann", "read,submit", ann);
    make_token(&server, "b", "bob", "read,submit", bob);
    struct answer one = post_as(ann, "/v1/datasets", body),
                  two = post_as(bob, "/v1/datasets", body),
                  again = post_as(ann, "/v1/datasets", body);
    ck_assert(!replayed(&one) && !replayed(&two) && replayed(&again));
    ck_assert_str_ne(text_at(one.json, "request_id"), text_at(two.json, "request_id"));
    ck_assert_str_eq(one.body, again.body);
    answer_free(&one);
    answer_free(&two);
    answer_free(&again);
}
END_TEST

START_TEST(the_text_of_a_token_is_not_kept)
{
    static const char body[] = "{\"name\":\"n\",\"owner\":\"o\",\"scopes\":[\"read\"]}";
    char text[80], path[96], *data = NULL;
    struct den_err err = DEN_ERR_INIT;
    size_t length = 0;
    struct answer a = post("/v1/tokens", body, "k");
    ck_assert_int_eq(a.status, 201);
    (void)snprintf(text, sizeof text, "%s", text_at(a.json, "token"));
    answer_free(&a);
    a = post("/v1/tokens", body, "k");
    ck_assert_int_eq(a.status, 409);
    ck_assert_msg(strstr(a.body, "revoke it") != NULL, "%s", a.body);
    answer_free(&a);
    ck_assert_uint_eq(count_of("tokens"), 1);
    ck_assert_int_eq(daemon_stop(&server), 0);
    (void)snprintf(path, sizeof path, "%s/denoised.db", server.state);
    must(den_fs_read(path, 1 << 24, &data, &length, &err));
    ck_assert_ptr_null(memmem(data, length, text + 4, 40));
    ck_assert_ptr_nonnull(memmem(data, length, "tok_", 4));
    den_free(data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("idempotency");
    TCase *tc = tcase_create("idempotency");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, every_post_takes_effect_once);
    tcase_add_test(tc, an_upload_is_known_by_its_bytes);
    tcase_add_test(tc, a_key_belongs_to_one_request);
    tcase_add_test(tc, a_key_is_short_and_visible);
    tcase_add_test(tc, of_many_at_the_same_time_one_takes_effect);
    tcase_add_test(tc, an_answer_is_kept_for_a_day_and_over_restarts);
    tcase_add_test(tc, an_effect_without_an_answer_speaks_for_itself);
    tcase_add_test(tc, a_full_queue_is_no_answer_to_keep);
    tcase_add_test(tc, keys_of_others_are_others);
    tcase_add_test(tc, the_text_of_a_token_is_not_kept);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
