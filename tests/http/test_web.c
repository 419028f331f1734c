/* The files of the web page, as a browser gets them. */

#include <string.h>

#include "story.h"

static struct daemon d;

static void setup(void)
{
    daemon_start(&d, NULL);
}

static void teardown(void)
{
    daemon_remove(&d);
}

static const struct {
    const char *path, *media, *words;
} files[] = {
    {"/", "text/html; charset=utf-8", "<script type=\"module\""},
    {"/web/index.html", "text/html; charset=utf-8", "<h1>denoised</h1>"},
    {"/web/app.js", "text/javascript; charset=utf-8", "import "},
    {"/web/base.css", "text/css; charset=utf-8", ":root"},
    {"/web/icon.svg", "image/svg+xml", "<svg "},
};
#define FILES (sizeof files / sizeof files[0])

START_TEST(every_file_comes_with_its_type)
{
    char value[300];
    for (size_t i = 0; i < FILES; i++) {
        struct answer a = get(d.url, files[i].path);
        ck_assert_msg(a.status == 200, "%s: %ld", files[i].path, a.status);
        ck_assert_str_eq(answer_header(&a, "Content-Type", value, sizeof value),
                         files[i].media);
        ck_assert_ptr_nonnull(strstr(a.body, files[i].words));
        answer_free(&a);
    }
}
END_TEST

/* A browser keeps the headers of a 304 beside the body that it has. */
START_TEST(what_is_not_sent_again_keeps_its_type_and_policy)
{
    char tag[80], first[300], again[300], line[120];
    for (size_t i = 0; i < FILES; i++) {
        struct answer a = get(d.url, files[i].path);
        (void)answer_header(&a, "ETag", tag, sizeof tag);
        (void)answer_header(&a, "Content-Security-Policy", first, sizeof first);
        ck_assert_uint_eq(strlen(tag), 66);
        answer_free(&a);
        (void)snprintf(line, sizeof line, "If-None-Match: %s", tag);
        a = ask("GET", d.url, files[i].path, NULL, NULL, 0, line);
        ck_assert_msg(a.status == 304, "%s: %ld", files[i].path, a.status);
        ck_assert_uint_eq(a.length, 0);
        ck_assert_str_eq(
            answer_header(&a, "Content-Security-Policy", again, sizeof again), first);
        ck_assert_str_eq(answer_header(&a, "ETag", again, sizeof again), tag);
        answer_free(&a);
    }
}
END_TEST

START_TEST(the_page_may_run_its_own_scripts_and_no_others)
{
    char value[300];
    struct answer a = get(d.url, "/");
    (void)answer_header(&a, "Content-Security-Policy", value, sizeof value);
    ck_assert_ptr_nonnull(strstr(value, "default-src 'none'"));
    ck_assert_ptr_nonnull(strstr(value, "script-src 'self';"));
    ck_assert_ptr_nonnull(strstr(value, "style-src 'self';"));
    ck_assert_ptr_null(strstr(value, "unsafe"));
    ck_assert_ptr_null(strstr(a.body, "onclick="));
    ck_assert_ptr_null(strstr(a.body, "style="));
    ck_assert_ptr_null(strstr(a.body, "//")); /* no other host, and no data: or http: */
    answer_free(&a);
}
END_TEST

START_TEST(what_the_page_does_not_have_is_not_found)
{
    static const char *const paths[] = {"/web/none.js", "/web/embed.sh", "/web/..%2fx",
                                        "/web/",        "/web/a/b",      "/web/%ff.js"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct answer a = get(d.url, paths[i]);
        ck_assert_msg(a.status == 404 || a.status == 400, "%s: %ld", paths[i], a.status);
        answer_free(&a);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("web");
    TCase *tc = tcase_create("web");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, every_file_comes_with_its_type);
    tcase_add_test(tc, what_is_not_sent_again_keeps_its_type_and_policy);
    tcase_add_test(tc, the_page_may_run_its_own_scripts_and_no_others);
    tcase_add_test(tc, what_the_page_does_not_have_is_not_found);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
