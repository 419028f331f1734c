/* What a viewer is drawn from: grey values of a page of an image, and of a result. */

#include <string.h>

#include "fs.h"
#include "image.h"
#include "story.h"

static struct story s;

static void setup(void)
{
    story_start(&s, NULL);
}

static void teardown(void)
{
    story_end(&s);
}

/* The answer holds the pixels of the file, width x height of them. */
static void must_hold(const struct answer *a, const char *file)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image image;
    char width[16];
    ck_assert_int_eq(a->status, 200);
    must(den_image_load(file, NULL, &image, &err));
    ck_assert_uint_eq(a->length, (size_t)64 * 64 * sizeof(float));
    ck_assert_str_eq(answer_header(a, "X-Preview-Width", width, sizeof width), "64");
    ck_assert_str_eq(answer_header(a, "X-Preview-Step", width, sizeof width), "1");
    for (size_t i = 0; i < (size_t)64 * 64; i++) {
        float value;
        memcpy(&value, a->body + i * sizeof value, sizeof value);
        ck_assert_msg(value == image.pixels[i], "pixel %zu: %g instead of %g", i,
                      (double)value, (double)image.pixels[i]);
    }
    den_image_release(&image);
}

START_TEST(the_values_of_an_image_are_those_of_its_file)
{
    char path[160], file[160];
    (void)snprintf(path, sizeof path, "/v1/images/%s/preview?as=float32", s.noisy[3]);
    (void)snprintf(file, sizeof file, "%s/noisy4_0.tif", s.files);
    struct answer a = get(s.daemon.url, path);
    must_hold(&a, file);
    answer_free(&a);
}
END_TEST

START_TEST(the_values_of_a_result_are_those_of_its_file)
{
    struct den_err err = DEN_ERR_INIT;
    char id[32], path[160], file[160];
    story_denoise(&s, "\"method\":\"median\"", id);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/result", id);
    struct answer a = get(s.daemon.url, path);
    (void)snprintf(file, sizeof file, "%s/result.tif", s.files);
    must(den_fs_write(file, a.body, a.length, &err));
    answer_free(&a);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/preview?as=float32", id);
    a = get(s.daemon.url, path);
    must_hold(&a, file);
    answer_free(&a);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/preview?size=32", id);
    a = get(s.daemon.url, path);
    ck_assert_int_eq(a.status, 200);
    ck_assert_int_eq(memcmp(a.body, "\x89PNG", 4), 0);
    answer_free(&a);
}
END_TEST

START_TEST(a_view_seen_before_is_not_sent_again)
{
    char path[160], tag[200], line[220], other[160];
    (void)snprintf(path, sizeof path, "/v1/images/%s/preview?size=32", s.noisy[0]);
    struct answer a = get(s.daemon.url, path);
    (void)answer_header(&a, "ETag", tag, sizeof tag);
    ck_assert_uint_gt(strlen(tag), 66);
    answer_free(&a);
    (void)snprintf(line, sizeof line, "If-None-Match: %s", tag);
    a = ask("GET", s.daemon.url, path, NULL, NULL, 0, line);
    ck_assert_int_eq(a.status, 304);
    ck_assert_uint_eq(a.length, 0);
    answer_free(&a);
    static const char *const changes[] = {"&page=0&high=90", "&low=1", "&channel=0",
                                          "&as=float32"};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        (void)snprintf(other, sizeof other, "%.120s%s", path, changes[i]);
        a = ask("GET", s.daemon.url, other, NULL, NULL, 0, line);
        ck_assert_msg(a.status == 200, "%s: %ld", changes[i], a.status);
        answer_free(&a);
    }
}
END_TEST

START_TEST(a_view_that_cannot_be_is_refused)
{
    static const struct {
        const char *query;
        long status;
    } cases[] = {
        {"as=gif", 400},    {"page=1", 422},       {"page=1&as=float32", 422},
        {"channel=1", 422}, {"low=9&high=8", 422}, {"size=8", 400},
        {"black=1", 400},
    };
    char id[32], path[160];
    story_denoise(&s, "\"method\":\"median\"", id);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(path, sizeof path, "/v1/jobs/%s/preview?%s", id, cases[i].query);
        struct answer a = get(s.daemon.url, path);
        ck_assert_msg(a.status == cases[i].status, "%s: %ld %s", cases[i].query, a.status,
                      a.body);
        answer_free(&a);
    }
}
END_TEST

START_TEST(a_job_without_a_result_has_no_view)
{
    char id[32], path[160];
    story_train(&s, "long", 100000, id);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/preview", id);
    struct answer a = get(s.daemon.url, path);
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
    a = get(s.daemon.url, "/v1/jobs/job_01JDA0000000000000000000AA/preview");
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("previews");
    TCase *tc = tcase_create("previews");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_values_of_an_image_are_those_of_its_file);
    tcase_add_test(tc, the_values_of_a_result_are_those_of_its_file);
    tcase_add_test(tc, a_view_seen_before_is_not_sent_again);
    tcase_add_test(tc, a_view_that_cannot_be_is_refused);
    tcase_add_test(tc, a_job_without_a_result_has_no_view);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
