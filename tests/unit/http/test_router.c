#include <string.h>

#include "den_check.h"
#include "guard.h"
#include "router.h"

static const struct den_route routes[] = {
    {"GET", "/", NULL, DEN_BODY_NONE, NULL, NULL, false},
    {"GET", "/v1/jobs", NULL, DEN_BODY_NONE, NULL, NULL, false},
    {"POST", "/v1/jobs", NULL, DEN_BODY_JSON, NULL, NULL, false},
    {"GET", "/v1/jobs/{id}", NULL, DEN_BODY_NONE, NULL, NULL, false},
    {"DELETE", "/v1/jobs/{id}", NULL, DEN_BODY_NONE, NULL, NULL, false},
    {"POST", "/v1/jobs/{id}/cancel", NULL, DEN_BODY_NONE, NULL, NULL, false},
    {"GET", "/v1/models/{name}/versions/{version}", NULL, DEN_BODY_NONE, NULL, NULL,
     false},
    {"PUT", "/v1/x/{id}", NULL, DEN_BODY_JSON, NULL, NULL, false},
    {NULL, NULL, NULL, DEN_BODY_NONE, NULL, NULL, false},
};

static const struct {
    const char *name, *method, *path;
    int row;                    /* -1: no route */
    const char *allow;          /* of a 405, "" for a 404 */
    const char *first, *second; /* values of {names} */
} cases[] = {
    {"the root matches itself", "GET", "/", 0, "", "", ""},
    {"a literal path matches by method", "POST", "/v1/jobs", 2, "", "", ""},
    {"HEAD is served where GET is", "HEAD", "/v1/jobs", 1, "", "", ""},
    {"a name is one segment", "GET", "/v1/jobs/job_1", 3, "", "job_1", ""},
    {"a name stays encoded", "GET", "/v1/jobs/a%20b", 3, "", "a%20b", ""},
    {"two names", "GET", "/v1/models/m/versions/3", 6, "", "m", "3"},
    {"a name in the middle", "POST", "/v1/jobs/j/cancel", 5, "", "j", ""},
    {"a wrong method lists the right ones once", "PATCH", "/v1/jobs/j", -1,
     "GET, HEAD, DELETE", "", ""},
    {"HEAD is not served where GET is not", "HEAD", "/v1/x/1", -1, "PUT", "", ""},
    {"methods are case-sensitive", "get", "/v1/jobs", -1, "GET, HEAD, POST", "", ""},
    {"a longer path is another one", "GET", "/v1/jobs/j/x", -1, "", "", ""},
    {"a trailing slash is another path", "GET", "/v1/jobs/", -1, "", "", ""},
    {"an empty name does not match", "POST", "/v1/jobs//cancel", -1, "", "", ""},
    {"a prefix does not match", "GET", "/v1/job", -1, "", "", ""},
    {"a longer last segment does not match", "GET", "/v1/jobsx", -1, "", "", ""},
    {"case counts", "GET", "/V1/jobs", -1, "", "", ""},
    {"no path at all", "GET", "", -1, "", "", ""},
    {"two slashes are not one", "GET", "//v1/jobs", -1, "", "", ""},
};

START_TEST(a_path_finds_its_row)
{
    struct den_match match = den_route_match(routes, cases[_i].method, cases[_i].path);
    const struct den_route *want = cases[_i].row < 0 ? NULL : &routes[cases[_i].row];
    ck_assert_msg(match.route == want, "%s", cases[_i].name);
    ck_assert_msg(want != NULL || strcmp(match.allow, cases[_i].allow) == 0,
                  "%s: allow '%s'", cases[_i].name, match.allow);
    const char *values[] = {cases[_i].first, cases[_i].second};
    for (size_t k = 0; want != NULL && k < 2; k++) {
        size_t length = strlen(values[k]);
        ck_assert_msg((k < match.param_count) == (length > 0), "%s", cases[_i].name);
        if (length == 0)
            continue;
        ck_assert_uint_eq(match.params[k].value_length, length);
        ck_assert_mem_eq(match.params[k].value, values[k], length);
    }
}
END_TEST

static const struct {
    const char *uri;
    bool good;
} uris[] = {
    {"/", true},
    {"/v1/jobs?limit=3&cursor=a%2Fb%2e", true},
    {"/a..b/c.d/...", true},
    {"/a%20b/%C3%A4", true},
    {"/a?x=/../", true},
    {"", false},
    {"a", false},
    {"*", false},
    {"http://h/a", false},
    {"/a%00b", false},
    {"/a?b=%00", false},
    {"/%2e%2E/etc", false},
    {"/a%2fb", false},
    {"/a%5Cb", false},
    {"/a\\b", false},
    {"/a/../b", false},
    {"/..", false},
    {"/./a", false},
    {"/a/..?x", false},
    {"/a%", false},
    {"/a%4", false},
    {"/a%zz", false},
    {"/a b", false},
    {"/a\tb", false},
    {"/a\x7f", false},
    {"/\xc3\xa4", false},
    {"/a#b", false},
    {"/a%0d%0aSet-Cookie:x", false},
};

START_TEST(a_request_target_with_two_meanings_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    bool good = den_guard_uri(uris[_i].uri, &err);
    ck_assert_msg(good == uris[_i].good, "%s", uris[_i].uri);
    ck_assert_int_eq(err.code, good ? DEN_OK : DEN_E_MALFORMED);
}
END_TEST

static const struct {
    const char *host, *hosts;
    bool good;
} hosts[] = {
    {"localhost", "", true},
    {"LocalHost:8080", "", true},
    {"127.0.0.1:1", "", true},
    {"127.3.2.1", "", true},
    {"[::1]:80", "", true},
    {"evil.example", "", false},
    {"127.0.0.1.evil.example", "", false},
    {"localhost.evil.example", "", false},
    {"", "", false},
    {"[::2]", "", false},
    {"lab.org", "a.org lab.org", true},
    {"LAB.org:443", "lab.org", true},
    {"xlab.org", "lab.org", false},
    {"lab.org.x", "lab.org", false},
    {"a.org lab.org", "a.org lab.org", false},
    {"evil.example", NULL, true},
};

START_TEST(only_known_hosts_are_answered)
{
    ck_assert_msg(den_guard_host(hosts[_i].host, hosts[_i].hosts) == hosts[_i].good, "%s",
                  hosts[_i].host);
}
END_TEST

START_TEST(an_origin_must_name_the_host_it_asks)
{
    ck_assert(den_guard_origin("http://localhost:8080", "localhost:8080"));
    ck_assert(den_guard_origin("https://lab.org", "LAB.org"));
    ck_assert(!den_guard_origin("http://localhost:8081", "localhost:8080"));
    ck_assert(!den_guard_origin("http://evil.example", "localhost:8080"));
    ck_assert(!den_guard_origin("null", "localhost:8080"));
    ck_assert(!den_guard_origin("", ""));
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("router");
    TCase *tc = tcase_create("router");
    tcase_add_loop_test(tc, a_path_finds_its_row, 0, COUNT(cases));
    tcase_add_loop_test(tc, a_request_target_with_two_meanings_is_refused, 0,
                        COUNT(uris));
    tcase_add_loop_test(tc, only_known_hosts_are_answered, 0, COUNT(hosts));
    tcase_add_test(tc, an_origin_must_name_the_host_it_asks);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
