/* Files with axes and several channels through the real daemon and the client. */

#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "image.h"
#include "program.h"
#include "tiff_series.h"

static struct daemon d;
static char folder[64], path[128], id[32];

static const struct series hyperstack = {
    .width = 48,
    .height = 40,
    .pages = 12,
    .samples = 1,
    .compression = COMPRESSION_LZW,
    .rows = 16,
    .description = "ImageJ=1.53t\nimages=12\nchannels=2\nslices=3\nframes=2\n"
                   "hyperstack=true\nspacing=0.5\nunit=micron\n"};
static const struct series color = {.width = 48,
                                    .height = 40,
                                    .pages = 1,
                                    .samples = 3,
                                    .compression = COMPRESSION_NONE,
                                    .rows = 40};

static const char *in_folder(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void setup(void)
{
    folder_make(folder);
    daemon_start(&d, NULL);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(folder);
}

static void upload_series(const char *name, const struct series *s)
{
    series_write(in_folder(name), s);
    upload(d.url, path, id);
}

START_TEST(an_image_says_what_its_pages_are)
{
    char at_id[80];
    upload_series("h.tif", &hyperstack);
    (void)snprintf(at_id, sizeof at_id, "/v1/images/%s", id);
    struct answer a = get(d.url, at_id);
    ck_assert_str_eq(text_at(a.json, "axes.source"), "imagej");
    ck_assert_str_eq(text_at(a.json, "axes.order"), "CZT");
    ck_assert(number_at(a.json, "axes.c") == 2);
    ck_assert(number_at(a.json, "axes.z") == 3);
    ck_assert(number_at(a.json, "axes.t") == 2);
    ck_assert(number_at(a.json, "z_step_um") == 0.5);
    ck_assert(number_at(a.json, "bits") == 16);
    ck_assert(json_is_false(at(a.json, "alpha")));
    ck_assert(json_is_array(at(a.json, "channel_names")));
    answer_free(&a);
    upload_series("rgb.tif", &color);
    (void)snprintf(at_id, sizeof at_id, "/v1/images/%s", id);
    a = get(d.url, at_id);
    ck_assert(json_is_null(at(a.json, "axes")));
    ck_assert(json_is_null(at(a.json, "z_step_um")));
    ck_assert(number_at(a.json, "channels") == 3);
    answer_free(&a);
}
END_TEST

START_TEST(a_job_denoises_what_was_chosen_and_says_so)
{
    char body[300], job_id[32], at_job[80];
    upload_series("h.ome.tif", &hyperstack);
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"gaussian\","
                   "\"channels\":[1],\"pages\":\"0-5,8\"}",
                   id);
    struct answer a = post_json(d.url, "/v1/jobs?dry_run=true", body);
    ck_assert_int_eq(a.status, 200);
    ck_assert(number_at(a.json, "steps") == 3);
    ck_assert_str_eq(text_at(a.json, "seconds_from"), "default");
    ck_assert(number_at(a.json, "seconds") > 0);
    ck_assert_str_eq(text_at(a.json, "pages"), "0-5,8");
    answer_free(&a);
    submit_job(d.url, body, job_id);
    json_t *job = wait_success(d.url, job_id, 60);
    ck_assert_str_eq(text_at(job, "pages"), "0-5,8");
    ck_assert(json_integer_value(json_array_get(at(job, "channels"), 0)) == 1);
    ck_assert_ptr_null(at(job, "config.pages"));
    ck_assert(number_at(job, "config.sigma") == 1.5);
    ck_assert(number_at(job, "peak_bytes") > 0);
    ck_assert(number_at(job, "result.planes_denoised") == 3);
    ck_assert(number_at(job, "result.planes_left") == 9);
    ck_assert_str_eq(text_at(job, "result.dtype"), "uint16");
    ck_assert(json_is_null(at(job, "result.model_sha256")));
    ck_assert_str_eq(text_at(job, "result.name"), "h_denoised.ome.tif");
    json_decref(job);
    (void)snprintf(at_job, sizeof at_job, "/v1/jobs/%s/report", job_id);
    a = get(d.url, at_job);
    ck_assert(number_at(a.json, "planes_denoised") == 3);
    ck_assert(number_at(a.json, "clipped_pixels") == 0);
    answer_free(&a);
    a = post_json(d.url, "/v1/jobs?dry_run=true", body);
    ck_assert_str_eq(text_at(a.json, "seconds_from"), "measured");
    answer_free(&a);
}
END_TEST

START_TEST(a_wrong_selection_is_refused_with_its_place)
{
    static const struct {
        const char *member, *pointer;
        long status;
    } cases[] = {
        {"\"channels\":[2]", "/channels", 422},
        {"\"channels\":[-1]", "/channels/0", 422},
        {"\"channels\":[0,\"1\"]", "/channels/1", 400},
        {"\"channels\":[]", "/channels", 422},
        {"\"channels\":1", "/channels", 400},
        {"\"pages\":\"12\"", "/pages", 422},
        {"\"pages\":\"0:3\"", "/pages", 422},
        {"\"pages\":\"\"", "/pages", 422},
        {"\"pages\":3", "/pages", 400},
    };
    char body[300];
    upload_series("h.tif", &hyperstack);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\",%s}",
                       id, cases[i].member);
        struct answer a = post_json(d.url, "/v1/jobs", body);
        ck_assert_msg(a.status == cases[i].status, "%s: %s", cases[i].member, a.body);
        const json_t *error = json_array_get(at(a.json, "errors"), 0);
        ck_assert_str_eq(text_at(error, "pointer"), cases[i].pointer);
        answer_free(&a);
    }
}
END_TEST

START_TEST(previews_are_of_a_channel_or_of_all_light)
{
    static const struct {
        const char *query;
        long status;
    } cases[] = {{"", 200}, {"?channel=2", 200}, {"?channel=3", 422}, {"?page=1", 422}};
    char at_id[100];
    upload_series("rgb.tif", &color);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(at_id, sizeof at_id, "/v1/images/%s/preview%s", id,
                       cases[i].query);
        struct answer a = get(d.url, at_id);
        ck_assert_msg(a.status == cases[i].status, "%s: %ld", at_id, a.status);
        if (a.status == 200)
            ck_assert_int_eq(memcmp(a.body, "\x89PNG", 4), 0);
        answer_free(&a);
    }
}
END_TEST

START_TEST(the_client_chooses_channels_and_pages)
{
    series_write(in_folder("h.ome.tif"), &hyperstack);
    struct outcome o = DENOISE(folder, d.url, "submit", "h.ome.tif", "--method", "median",
                               "--channels", "0", "--pages", "0-3", "--dry-run");
    must_end(&o, 0, "");
    ck_assert_ptr_nonnull(strstr(o.out, "denoise: 2 steps, "));
    ck_assert_ptr_nonnull(strstr(o.out, " s of work (default rate)"));
    outcome_free(&o);
    o = DENOISE(folder, d.url, "submit", "h.ome.tif", "--method", "median", "--channels",
                "0,1", "--pages", "0-3", "-o", "out");
    must_end(&o, 0, "");
    ck_assert_str_eq(first_line(&o), "out/h_denoised.ome.tif");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "submit", "h.ome.tif", "--method", "median", "--channels",
                "0-1");
    must_end(&o, 2, "--channels '0-1' is not a list of numbers, as in 0,2");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "submit", "h.ome.tif", "--method", "median", "--pages",
                "7-20");
    must_end(&o, 5, "page 20 does not exist; the image has pages 0 to 11");
    outcome_free(&o);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("series");
    TCase *tc = tcase_create("series");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, an_image_says_what_its_pages_are);
    tcase_add_test(tc, a_job_denoises_what_was_chosen_and_says_so);
    tcase_add_test(tc, a_wrong_selection_is_refused_with_its_place);
    tcase_add_test(tc, previews_are_of_a_channel_or_of_all_light);
    tcase_add_test(tc, the_client_chooses_channels_and_pages);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
