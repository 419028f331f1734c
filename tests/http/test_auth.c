/* A daemon that asks for tokens, spoken to with good ones, bad ones, and none. */

#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>

#include "accounts.h"
#include "api.h"
#include "client.h"
#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "program.h"
#include "str.h"
#include "tokens.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

static struct daemon server;
static const char *const required[] = {"--auth", "required", NULL};

static void setup(void)
{
    daemon_start(&server, required);
}

static void teardown(void)
{
    daemon_remove(&server);
}

static struct answer as(const char *header, const char *method, const char *path,
                        const char *json)
{
    return ask(method, server.url, path, json != NULL ? "application/json" : NULL, json,
               json != NULL ? strlen(json) : 0, header);
}

static long status_of(const char *header, const char *method, const char *path,
                      const char *json)
{
    struct answer a = as(header, method, path, json);
    long status = a.status;
    answer_free(&a);
    return status;
}

/* ---- every route ---- */

/* "/v1/jobs/{id}" with something in its place that is not there. */
static void fill(const char *pattern, char *to, size_t size)
{
    static const char id[] = "_01JD0000000000000000000000";
    static const struct {
        const char *under, *prefix;
    } prefixes[] = {
        {"/v1/images/", "img"}, {"/v1/datasets/", "set"}, {"/v1/jobs/", "job"}};
    size_t used = 0;
    for (const char *p = pattern; *p != '\0';) {
        size_t length = strcspn(p, "{");
        (void)den_str_format(to + used, size - used, "%.*s", (int)length, p);
        used = strlen(to);
        p += length;
        if (*p != '{')
            break;
        const char *put = strncmp(p, "{version}", 9) == 0 ? "1" : "nobody";
        bool done = false;
        for (int i = 0; i < COUNT(prefixes) && strncmp(p, "{id}", 4) == 0; i++)
            if (strncmp(pattern, prefixes[i].under, strlen(prefixes[i].under)) == 0) {
                (void)den_str_format(to + used, size - used, "%s%s", prefixes[i].prefix,
                                     id);
                done = true;
            }
        if (!done)
            (void)den_str_format(to + used, size - used, "%s", put);
        used = strlen(to);
        p = strchr(p, '}') + 1;
    }
}

static void must_ask_for_a_token(const struct den_route *r, const char *path)
{
    char value[80];
    struct answer a = as(NULL, r->method, path, NULL);
    ck_assert_msg(a.status == 401, "%s %s: %ld", r->method, path, a.status);
    ck_assert_str_eq(answer_header(&a, "WWW-Authenticate", value, sizeof value),
                     "Bearer realm=\"denoised\"");
    ck_assert_str_eq(text_at(a.json, "code"), "unauthorized");
    answer_free(&a);
}

START_TEST(every_route_needs_a_token_with_its_scope)
{
    static const char *const scopes[] = {"read", "submit", "train", "admin"};
    char with[4][BEARER_SIZE], without[4][BEARER_SIZE], path[160];
    unsigned asked = 0;
    for (int i = 0; i < 4; i++) {
        char name[16], all[40] = "";
        for (int k = 0; k < 4; k++)
            if (k != i)
                (void)den_str_format(all + strlen(all), sizeof all - strlen(all), "%s%s",
                                     all[0] != '\0' ? "," : "", scopes[k]);
        (void)den_str_format(name, sizeof name, "with-%d", i);
        make_token(&server, name, "ann", scopes[i], with[i]);
        (void)den_str_format(name, sizeof name, "without-%d", i);
        make_token(&server, name, "ann", all, without[i]);
    }
    for (const struct den_route *r = den_api_routes(); r->method != NULL; r++) {
        fill(r->pattern, path, sizeof path);
        const char *json = r->body == DEN_BODY_JSON ? "{}" : NULL;
        if (r->scope == NULL) {
            long status = status_of(NULL, r->method, path, json);
            ck_assert_msg(status != 401 && status != 403, "%s %s: %ld", r->method, path,
                          status);
            continue;
        }
        must_ask_for_a_token(r, path);
        asked++;
        bool any = strcmp(r->scope, "any") == 0;
        int needs = 0;
        while (!any && strcmp(scopes[needs], r->scope) != 0)
            ck_assert_int_lt(++needs, 4);
        long good = status_of(with[needs], r->method, path, json);
        ck_assert_msg(good != 401 && good != 403 && good < 500, "%s %s: %ld", r->method,
                      path, good);
        struct answer bad = as(without[needs], r->method, path, json);
        ck_assert_msg(any ? bad.status == 200 : bad.status == 403, "%s %s: %ld",
                      r->method, path, bad.status);
        ck_assert_msg(any || strstr(text_at(bad.json, "detail"), r->scope) != NULL, "%s",
                      bad.body);
        answer_free(&bad);
    }
    printf("%u routes: 401 without a token, 403 without the scope\n", asked);
    ck_assert_uint_gt(asked, 25);
}
END_TEST

START_TEST(training_needs_more_than_submit)
{
    static const struct {
        const char *json;
        bool more;
    } jobs[] = {
        {"{\"kind\":\"train\"}", true},
        {"{\"kind\":\"experiment\"}", true},
        {"{\"kind\":\"denoise\"}", false},
        {"{\"kind\":\"evaluate\"}", false},
    };
    char small[BEARER_SIZE], large[BEARER_SIZE];
    make_token(&server, "small", "ann", "read,submit", small);
    make_token(&server, "large", "ann", "read,submit,train", large);
    for (int i = 0; i < COUNT(jobs); i++) {
        long status = status_of(small, "POST", "/v1/jobs", jobs[i].json);
        ck_assert_msg((status == 403) == jobs[i].more, "%s: %ld", jobs[i].json, status);
        ck_assert_int_eq(status_of(large, "POST", "/v1/jobs", jobs[i].json), 422);
    }
}
END_TEST

/* ---- wrong tokens ---- */

START_TEST(a_body_is_not_read_from_somebody_unknown)
{
    enum { BYTES = 3 << 20 };
    char *bytes = calloc(1, BYTES);
    const char *fault = "";
    ck_assert_ptr_nonnull(bytes);
    struct answer a = try_ask("POST", server.url, "/v1/images?name=a.tif", "image/tiff",
                              bytes, BYTES, NULL, &fault);
    ck_assert_msg(a.status == 401, "%ld %s", a.status, fault);
    answer_free(&a);
    free(bytes);
    ck_assert_uint_eq(daemon_files(&server), 0);
}
END_TEST

static const char *const wrong[] = {
    "Authorization: Bearer x", "Authorization: Bearer",
    "Authorization: Basic YW5uOnNlY3JldA==", "Authorization: den_AAAA",
    /* clang-format off */
    "Authorization: Bearer den_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    /* clang-format on */
};

START_TEST(what_is_no_token_is_refused_and_soon_slowed_down)
{
    char good[BEARER_SIZE], wait[16] = "";
    make_token(&server, "good", "ann", "read", good);
    for (int i = 0; i < COUNT(wrong); i++)
        ck_assert_msg(status_of(wrong[i], "GET", "/v1/me", NULL) == 401, "%s", wrong[i]);
    struct answer a;
    int tries = 0;
    for (;;) {
        a = as(wrong[0], "GET", "/v1/me", NULL);
        if (a.status == 429)
            break;
        ck_assert(a.status == 401 && ++tries < 10);
        answer_free(&a);
    }
    int64_t seconds = 0;
    struct den_err err = DEN_ERR_INIT;
    must(den_parse_int(answer_header(&a, "Retry-After", wait, sizeof wait), 1, 60,
                       &seconds, &err));
    answer_free(&a);
    ck_assert_int_eq(status_of(good, "GET", "/v1/me", NULL), 200);
    ck_assert_int_eq(status_of(NULL, "GET", "/v1/me", NULL), 401);
}
END_TEST

START_TEST(a_revoked_token_ends_at_once)
{
    char good[BEARER_SIZE], admin[BEARER_SIZE];
    make_token(&server, "good", "ann", "read", good);
    make_token(&server, "boss", "bob", "admin", admin);
    ck_assert_int_eq(status_of(good, "GET", "/v1/me", NULL), 200);
    revoke_token(&server, "good");
    ck_assert_int_eq(status_of(good, "GET", "/v1/me", NULL), 401);
    revoke_token(&server, "boss");
    ck_assert_int_eq(status_of(admin, "GET", "/v1/tokens", NULL), 401);
}
END_TEST

START_TEST(an_expired_token_does_not_hold)
{
    char good[BEARER_SIZE], old[BEARER_SIZE], path[96];
    sqlite3 *db = NULL;
    make_token(&server, "good", "ann", "read", good);
    make_token(&server, "old", "ann", "read", old);
    ck_assert_int_eq(status_of(old, "GET", "/v1/me", NULL), 200);
    ck_assert_int_eq(daemon_stop(&server), 0);
    (void)den_str_format(path, sizeof path, "%s/denoised.db", server.state);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db,
                                  "UPDATE tokens SET expires_ms = 1 WHERE name = 'old'",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    daemon_restart(&server, required);
    ck_assert_int_eq(status_of(old, "GET", "/v1/me", NULL), 401);
    ck_assert_int_eq(status_of(good, "GET", "/v1/me", NULL), 200);
    ck_assert_int_eq(kill(server.pid, SIGHUP), 0);
    ck_assert_int_eq(status_of(good, "GET", "/v1/me", NULL), 200);
    ck_assert_int_eq(status_of(old, "GET", "/v1/me", NULL), 401);
}
END_TEST

/* ---- tokens over HTTP ---- */

START_TEST(an_admin_makes_lists_and_revokes_tokens)
{
    char admin[BEARER_SIZE], made[BEARER_SIZE], path[64], id[32], place[64];
    make_token(&server, "boss", "bob", "admin", admin);
    struct answer a = as(admin, "POST", "/v1/tokens",
                         "{\"name\":\"m\",\"owner\":\"ann\",\"scopes\":[\"read\","
                         "\"submit\"],\"expires_days\":2}");
    ck_assert_msg(a.status == 201, "%s", a.body);
    (void)den_str_format(made, sizeof made, "Authorization: Bearer %s",
                         text_at(a.json, "token"));
    (void)den_str_copy(id, sizeof id, text_at(a.json, "id"));
    (void)den_str_format(path, sizeof path, "/v1/tokens/%s", id);
    ck_assert_str_eq(answer_header(&a, "Location", place, sizeof place), path);
    answer_free(&a);
    a = as(made, "GET", "/v1/me", NULL);
    ck_assert_str_eq(text_at(a.json, "owner"), "ann");
    ck_assert_str_eq(text_at(a.json, "token"), id);
    ck_assert_str_eq(text_at(a.json, "auth"), "required");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "scopes")), 2);
    answer_free(&a);
    a = as(admin, "GET", "/v1/tokens?limit=1", NULL);
    ck_assert_ptr_null(strstr(a.body, "den_"));
    ck_assert_str_eq(text_at(a.json, "next_cursor"), id);
    (void)den_str_format(path, sizeof path, "/v1/tokens?cursor=%s", id);
    answer_free(&a);
    a = as(admin, "GET", path, NULL);
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "tokens")), 2);
    answer_free(&a);
    (void)den_str_format(path, sizeof path, "/v1/tokens/%s", id);
    ck_assert_int_eq(status_of(admin, "DELETE", path, NULL), 204);
    ck_assert_int_eq(status_of(made, "GET", "/v1/me", NULL), 401);
    ck_assert_int_eq(status_of(admin, "DELETE", path, NULL), 404);
}
END_TEST

static const struct {
    const char *json;
    long status;
    const char *pointer;
} bad_tokens[] = {
    {"{}", 400, "/name"},
    {"{\"name\":\"a\",\"owner\":\"o\"}", 400, "/scopes"},
    {"{\"name\":\"a\",\"owner\":\"o\",\"scopes\":[]}", 422, "/scopes"},
    {"{\"name\":\"a\",\"owner\":\"o\",\"scopes\":[\"write\"]}", 422, "/scopes/0"},
    {"{\"name\":\"a\",\"owner\":\"o\",\"scopes\":[\"read\",3]}", 422, "/scopes/1"},
    {"{\"name\":\"a b\",\"owner\":\"o\",\"scopes\":[\"read\"]}", 422, "/name"},
    {"{\"name\":\"a\",\"owner\":\"O\",\"scopes\":[\"read\"]}", 422, "/owner"},
    {"{\"name\":\"a\",\"owner\":\"o\",\"scopes\":[\"read\"],\"expires_days\":0}", 422,
     "/expires_days"},
    {"{\"name\":\"a\",\"owner\":\"o\",\"scopes\":[\"read\"],\"id\":\"x\"}", 400, "/id"},
};

START_TEST(a_token_that_cannot_be_made_says_why)
{
    char admin[BEARER_SIZE];
    make_token(&server, "boss", "bob", "admin", admin);
    for (int i = 0; i < COUNT(bad_tokens); i++) {
        struct answer a = as(admin, "POST", "/v1/tokens", bad_tokens[i].json);
        ck_assert_msg(a.status == bad_tokens[i].status, "%s: %s", bad_tokens[i].json,
                      a.body);
        const json_t *first = json_array_get(json_object_get(a.json, "errors"), 0);
        ck_assert_str_eq(text_at(first, "pointer"), bad_tokens[i].pointer);
        answer_free(&a);
    }
}
END_TEST

/* ---- starts ---- */

START_TEST(the_first_token_is_told_once_on_stdout)
{
    static const char lead[] = "admin token, told only now: ";
    char header[BEARER_SIZE], *log = NULL;
    size_t length = 0;
    struct den_err err = DEN_ERR_INIT;
    const char *told = strstr(server.said, lead);
    ck_assert_msg(told != NULL && strstr(server.said, "denoised token create") != NULL,
                  "%s", server.said);
    told += strlen(lead);
    (void)den_str_format(header, sizeof header, "Authorization: Bearer %.*s",
                         (int)strcspn(told, "\n"), told);
    ck_assert_int_eq(status_of(header, "GET", "/v1/tokens", NULL), 200);
    ck_assert_int_eq(daemon_stop(&server), 0);
    daemon_restart(&server, required);
    ck_assert_ptr_null(strstr(server.said, "den_"));
    ck_assert_int_eq(status_of(header, "GET", "/v1/tokens", NULL), 200);
    must(den_fs_read(server.log, 1 << 20, &log, &length, &err));
    ck_assert_ptr_null(strstr(log, "den_"));
    den_free(log);
}
END_TEST

START_TEST(a_state_that_others_can_read_is_not_served)
{
    ck_assert_int_eq(daemon_stop(&server), 0);
    ck_assert_int_eq(chmod(server.state, 0755), 0);
    ck_assert_int_eq(daemon_try(&server, required), 1);
    ck_assert_int_eq(chmod(server.state, 0700), 0);
    daemon_restart(&server, required);
}
END_TEST

START_TEST(a_daemon_for_everybody_runs_with_tokens_only)
{
    static const char *const open_to_all[] = {"--listen", "0.0.0.0:0", NULL};
    static const char *const in_the_clear[] = {"--listen", "0.0.0.0:0", "--auth",
                                               "required", NULL};
    static const char *const told_to[] = {
        "--listen", "0.0.0.0:0", "--auth", "required", "--plain_http", "allowed", NULL};
    ck_assert_int_eq(daemon_stop(&server), 0);
    ck_assert_int_eq(daemon_try(&server, open_to_all), 2);
    ck_assert_int_eq(daemon_try(&server, in_the_clear), 2);
    daemon_restart(&server, told_to);
    char url[64];
    (void)den_str_format(url, sizeof url, "http://127.0.0.1%s", strrchr(server.url, ':'));
    struct answer a = ask("GET", url, "/v1/me", NULL, NULL, 0, "Host: microscope.lab");
    ck_assert_int_eq(a.status, 401);
    answer_free(&a);
}
END_TEST

START_TEST(a_token_has_its_share_of_requests)
{
    static const char *const few[] = {"--auth", "required", "--max_requests_per_s", "5",
                                      NULL};
    char one[BEARER_SIZE], two[BEARER_SIZE];
    int refused = 0;
    ck_assert_int_eq(daemon_stop(&server), 0);
    daemon_restart(&server, few);
    make_token(&server, "one", "ann", "read", one);
    make_token(&server, "two", "ann", "read", two);
    for (int i = 0; i < 20; i++)
        refused += status_of(one, "GET", "/v1/me", NULL) == 429;
    ck_assert_int_ge(refused, 5);
    ck_assert_int_eq(status_of(two, "GET", "/v1/me", NULL), 200);
}
END_TEST

START_TEST(with_auth_off_everybody_is_local)
{
    ck_assert_int_eq(daemon_stop(&server), 0);
    daemon_restart(&server, NULL);
    struct answer a = as("Authorization: Bearer nonsense", "GET", "/v1/me", NULL);
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(text_at(a.json, "auth"), "off");
    ck_assert_str_eq(text_at(a.json, "owner"), "local");
    ck_assert(json_is_null(json_object_get(a.json, "token")));
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "scopes")), 4);
    ck_assert(json_is_null(at(a.json, "quotas.queued_jobs")));
    ck_assert(number_at(a.json, "usage.stored_bytes") == 0);
    answer_free(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("auth");
    TCase *tc = tcase_create("auth");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, every_route_needs_a_token_with_its_scope);
    tcase_add_test(tc, training_needs_more_than_submit);
    tcase_add_test(tc, a_body_is_not_read_from_somebody_unknown);
    tcase_add_test(tc, what_is_no_token_is_refused_and_soon_slowed_down);
    tcase_add_test(tc, a_revoked_token_ends_at_once);
    tcase_add_test(tc, an_expired_token_does_not_hold);
    tcase_add_test(tc, an_admin_makes_lists_and_revokes_tokens);
    tcase_add_test(tc, a_token_that_cannot_be_made_says_why);
    tcase_add_test(tc, the_first_token_is_told_once_on_stdout);
    tcase_add_test(tc, a_state_that_others_can_read_is_not_served);
    tcase_add_test(tc, a_daemon_for_everybody_runs_with_tokens_only);
    tcase_add_test(tc, a_token_has_its_share_of_requests);
    tcase_add_test(tc, with_auth_off_everybody_is_local);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
