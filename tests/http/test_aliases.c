/* Aliases of models: set, used by jobs, moved, rolled back. */

#include <string.h>

#include "story.h"

#define ALIAS "/v1/models/m/aliases/champion"

static struct story s;

static void setup(void)
{
    story_start(&s, NULL);
    for (int i = 0; i < 2; i++)
        story_train_with(&s, "m",
                         "\"preset\":\"cpu\",\"config\":{" TINY ",\"iterations\":2}");
}

static void teardown(void)
{
    story_end(&s);
}

static long put(const char *body)
{
    struct answer a =
        ask("PUT", s.daemon.url, ALIAS, "application/json", body, strlen(body), NULL);
    long status = a.status;
    answer_free(&a);
    return status;
}

static long call(const char *method, const char *path)
{
    struct answer a = ask(method, s.daemon.url, path, NULL, NULL, 0, NULL);
    long status = a.status;
    answer_free(&a);
    return status;
}

static void alias_is(int version, int previous)
{
    struct answer a = get(s.daemon.url, ALIAS);
    ck_assert_msg(a.status == 200, "%ld %s", a.status, a.body);
    ck_assert_int_eq((int)number_at(a.json, "version"), version);
    if (previous == 0)
        ck_assert(json_is_null(at(a.json, "previous")));
    else
        ck_assert_int_eq((int)number_at(a.json, "previous"), previous);
    answer_free(&a);
}

START_TEST(an_alias_names_a_version_and_goes_back_one_step)
{
    ck_assert_int_eq(call("GET", ALIAS), 404);
    ck_assert_int_eq(put("{\"version\":1,\"if_version\":1}"), 409);
    ck_assert_int_eq(put("{\"version\":1,\"if_version\":0}"), 200);
    alias_is(1, 0);
    ck_assert_int_eq(call("POST", ALIAS "/rollback"), 409); /* to nothing */
    ck_assert_int_eq(put("{\"version\":2,\"if_version\":2}"), 409);
    ck_assert_int_eq(put("{\"version\":2,\"if_version\":1}"), 200);
    alias_is(2, 1);
    ck_assert_int_eq(put("{\"version\":2}"), 200); /* again: no change */
    alias_is(2, 1);
    ck_assert_int_eq(call("POST", ALIAS "/rollback"), 200);
    alias_is(1, 2);
    ck_assert_int_eq(put("{\"version\":3}"), 404);
    struct answer a = get(s.daemon.url, "/v1/models/m/aliases");
    ck_assert_uint_eq(json_array_size(at(a.json, "aliases")), 1);
    ck_assert_str_eq(text_at(a.json, "aliases.0.name"), "champion");
    answer_free(&a);
    ck_assert_int_eq(call("DELETE", ALIAS), 204);
    ck_assert_int_eq(call("DELETE", ALIAS), 404);
}
END_TEST

START_TEST(a_job_may_name_an_alias_and_keeps_the_version_of_its_moment)
{
    char body[200], id[32], path[64];
    ck_assert_int_eq(put("{\"version\":1}"), 200);
    submit_denoise(s.daemon.url, s.noisy[0], "\"model\":\"m@champion\"", id);
    ck_assert_int_eq(put("{\"version\":2}"), 200);
    json_t *job = wait_success(s.daemon.url, id, 60);
    ck_assert_int_eq((int)number_at(job, "version"), 1);
    json_decref(job);
    (void)snprintf(path, sizeof path, "{\"kind\":\"denoise\",\"image\":\"%s\",",
                   s.noisy[0]);
    (void)snprintf(body, sizeof body, "%s\"model\":\"m@none\"}", path);
    struct answer a = post_json(s.daemon.url, "/v1/jobs", body);
    ck_assert_msg(a.status == 404, "%ld %s", a.status, a.body);
    answer_free(&a);
}
END_TEST

START_TEST(a_version_with_an_alias_is_not_deleted_by_itself)
{
    ck_assert_int_eq(put("{\"version\":1}"), 200);
    ck_assert_int_eq(call("DELETE", "/v1/models/m/versions/1"), 409);
    ck_assert_int_eq(put("{\"version\":2}"), 200);
    ck_assert_int_eq(call("DELETE", "/v1/models/m/versions/1"), 204);
    ck_assert_int_eq(call("POST", ALIAS "/rollback"), 404); /* it is no more */
    alias_is(2, 1);
    ck_assert_int_eq(call("DELETE", "/v1/models/m"), 204);
    ck_assert_int_eq(call("GET", ALIAS), 404);
}
END_TEST

static const struct {
    const char *path, *body;
    long status;
} refused[] = {
    {"/v1/models/m/aliases/1st", "{\"version\":1}", 422},
    {"/v1/models/m/aliases/a%20b", "{\"version\":1}", 422},
    {ALIAS, "{}", 422},
    {ALIAS, "{\"version\":0}", 422},
    {ALIAS, "{\"version\":1,\"force\":true}", 400},
    {ALIAS, "{\"version\":\"1\"}", 400},
    {"/v1/models/other/aliases/champion", "{\"version\":1}", 404},
};

START_TEST(what_is_no_alias_is_refused)
{
    struct answer a = ask("PUT", s.daemon.url, refused[_i].path, "application/json",
                          refused[_i].body, strlen(refused[_i].body), NULL);
    ck_assert_msg(a.status == refused[_i].status, "%s %s: %ld %s", refused[_i].path,
                  refused[_i].body, a.status, a.body);
    answer_free(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aliases");
    TCase *tc = tcase_create("aliases"), *bad = tcase_create("refusals");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, an_alias_names_a_version_and_goes_back_one_step);
    tcase_add_test(tc, a_job_may_name_an_alias_and_keeps_the_version_of_its_moment);
    tcase_add_test(tc, a_version_with_an_alias_is_not_deleted_by_itself);
    suite_add_tcase(suite, tc);
    tcase_add_unchecked_fixture(bad, setup, teardown);
    tcase_set_timeout(bad, 60);
    tcase_add_loop_test(bad, what_is_no_alias_is_refused, 0,
                        sizeof refused / sizeof refused[0]);
    suite_add_tcase(suite, bad);
    return den_check_main(suite);
}
