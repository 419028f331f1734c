/* Bad input: the right status, a sentence that says what and which value, and nothing
 * stored. */

#include <math.h>
#include <string.h>

#include "fs.h"
#include "image.h"
#include "story.h"

static struct story s;

static void setup(void)
{
    static const char *const args[] = {"--max_upload_mib", "1", NULL};
    story_start(&s, args);
}

static void teardown(void)
{
    story_end(&s);
}

static size_t images_there(void)
{
    struct answer a = get(s.daemon.url, "/v1/images?limit=500");
    size_t n = json_array_size(at(a.json, "images"));
    answer_free(&a);
    return n;
}

static void expect(struct answer *a, long status, const char *words, const char *what)
{
    ck_assert_msg(a->status == status, "%s: %ld, want %ld: %s", what, a->status, status,
                  a->body);
    char media[64];
    ck_assert_str_eq(answer_header(a, "Content-Type", media, 64),
                     "application/problem+json");
    ck_assert_msg(strstr(a->body, words) != NULL, "%s: lacks '%s': %s", what, words,
                  a->body);
    ck_assert(strlen(text_at(a->json, "detail")) > 10);
    ck_assert(strlen(text_at(a->json, "code")) > 2);
    ck_assert(strlen(text_at(a->json, "request_id")) > 2);
    close_to(number_at(a->json, "status"), (double)status, 1e-12);
    answer_free(a);
}

/* ---- files ---- */

static char *noisy_file(size_t *length)
{
    struct den_err err = DEN_ERR_INIT;
    char path[128], *data = NULL;
    (void)snprintf(path, sizeof path, "%s/noisy1_0.tif", s.files);
    must(den_fs_read(path, 1 << 24, &data, length, &err));
    return data;
}

static char *text_file(size_t *length)
{
    char *data = den_strdup("this is no image at all, only some words in a row");
    *length = strlen(data);
    return data;
}

static char *empty_file(size_t *length)
{
    *length = 0;
    return den_strdup("");
}

static char *truncated_file(size_t *length)
{
    char *data = noisy_file(length);
    *length = *length / 2;
    return data;
}

static char *large_file(size_t *length)
{
    *length = (size_t)3 << 20;
    return den_calloc(*length, 1);
}

static char *nan_file(size_t *length)
{
    struct den_err err = DEN_ERR_INIT;
    char path[128], *data = NULL;
    float pixels[32 * 32] = {0};
    pixels[5 * 32 + 7] = (float)NAN;
    struct den_writer *writer = NULL;
    struct den_image_info info = {.format = "tiff",
                                  .width = 32,
                                  .height = 32,
                                  .pages = 1,
                                  .channels = 1,
                                  .dtype = DEN_F32};
    (void)snprintf(path, sizeof path, "%s/nan.tif", s.files);
    must(den_writer_open(path, &info, &writer, &err));
    must(den_writer_page(writer, pixels, &err));
    must(den_writer_finish(writer, &err));
    must(den_fs_read(path, 1 << 24, &data, length, &err));
    return data;
}

static const struct {
    const char *what;
    char *(*make)(size_t *length);
    long status;
    const char *words;
} bad_files[] = {
    {"a text file", text_file, 415, "PNG"},
    {"an empty file", empty_file, 422, "empty"},
    {"a truncated file", truncated_file, 422, "cut short"},
    {"a file beyond the limit", large_file, 413, "\"limit\":1048576"},
    {"a file with a NaN", nan_file, 422, "NaN"},
};

START_TEST(a_bad_file_is_refused_and_leaves_nothing)
{
    size_t length, before = images_there(), files = daemon_files(&s.daemon);
    char *data = bad_files[_i].make(&length);
    struct answer a = ask("POST", s.daemon.url, "/v1/images?name=x.tif",
                          "application/octet-stream", data, length, NULL);
    expect(&a, bad_files[_i].status, bad_files[_i].words, bad_files[_i].what);
    den_free(data);
    ck_assert_uint_eq(images_there(), before);
    ck_assert_uint_eq(daemon_files(&s.daemon), files);
}
END_TEST

/* ---- JSON: %N and %C are a noisy and a clean image, %T the training set, %S a small
 * image ---- */

static const struct {
    const char *path, *body;
    long status;
    const char *words;
} bad_bodies[] = {
    {"/v1/datasets", "", 400, "no body"},
    {"/v1/datasets", "{\"name\":", 400, "line 1"},
    {"/v1/datasets", "[]", 400, "an array"},
    {"/v1/datasets", "{\"name\":\"a\",\"name\":\"b\",\"kind\":\"pairs\"}", 400, "name"},
    {"/v1/datasets", "{\"name\":\"a\",\"kind\":\"pairs\",\"colour\":1}", 400,
     "unknown member 'colour'"},
    {"/v1/datasets", "{\"name\":7,\"kind\":\"pairs\",\"pairs\":[]}", 400,
     "must be a string, not a whole number"},
    {"/v1/datasets", "{\"name\":\"a\",\"kind\":\"triples\"}", 422, "triples"},
    {"/v1/datasets", "{\"name\":\"a\",\"kind\":\"pairs\",\"pairs\":[]}", 422, "empty"},
    {"/v1/datasets", "{\"name\":\"a\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"%N\"}]}",
     400, "/pairs/0/clean"},
    {"/v1/datasets",
     "{\"name\":\"a\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"%N\",\"clean\":\"img_"
     "00000000000000000000000000\"}]}",
     404, "/pairs/0/clean"},
    {"/v1/datasets",
     "{\"name\":\"a\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"%N\",\"clean\":\"%S\"}]"
     "}",
     422, "64 x 64"},
    {"/v1/datasets",
     "{\"name\":\"a\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"%N\",\"clean\":\"%S\"}]"
     "}",
     422, "48 x 48"},
    {"/v1/datasets", "{\"name\":\"a\",\"kind\":\"repeats\",\"images\":[\"%N\"]}", 422,
     "at least 2"},
    {"/v1/jobs", "{\"kind\":\"paint\"}", 422, "paint"},
    {"/v1/jobs", "{\"kind\":\"train\"}", 422, "dataset"},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"set_00000000000000000000000000\"}",
     404, "data set"},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"%T\",\"config\":{\"lr\":\"fast\"}}",
     422, "/config/lr"},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"%T\",\"config\":{\"lr\":-1}}", 422,
     "-1"},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"%T\",\"config\":{\"rate\":1}}", 422,
     "/config/rate"},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"%T\",\"config\":{\"lr\":[1]}}", 400,
     "an array"},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"%T\",\"config\":{\"crop\":128}}", 422,
     "64"},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"%T\",\"preset\":\"fancy\"}", 422,
     "fancy"},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"%T\",\"seed\":-5}", 422, "-5"},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"%T\",\"model\":\"a/b\"}", 422, "a/b"},
    {"/v1/jobs", "{\"kind\":\"denoise\",\"image\":\"%N\"}", 422, "model"},
    {"/v1/jobs", "{\"kind\":\"denoise\",\"image\":\"%N\",\"model\":\"none\"}", 404,
     "none"},
    {"/v1/jobs", "{\"kind\":\"denoise\",\"image\":\"%N\",\"method\":\"magic\"}", 422,
     "magic"},
    {"/v1/jobs",
     "{\"kind\":\"denoise\",\"image\":\"%N\",\"method\":\"median\",\"config\":{"
     "\"radius\":99}}",
     422, "99"},
    {"/v1/jobs",
     "{\"kind\":\"denoise\",\"image\":\"img_00000000000000000000000000\",\"method\":"
     "\"median\"}",
     404, "image"},
};

static void fill_in(const char *pattern, char *to, size_t size, const char *small)
{
    size_t n = 0;
    for (; *pattern != '\0' && n + 40 < size; pattern++) {
        const char *id = NULL;
        if (*pattern == '%')
            id = pattern[1] == 'N'   ? s.noisy[0]
                 : pattern[1] == 'C' ? s.clean[0]
                 : pattern[1] == 'T' ? s.training
                 : pattern[1] == 'S' ? small
                                     : NULL;
        if (id != NULL) {
            n += (size_t)snprintf(to + n, size - n, "%s", id);
            pattern++;
        } else {
            to[n++] = *pattern;
        }
    }
    to[n] = '\0';
}

START_TEST(a_bad_body_is_refused_with_the_place_and_the_value)
{
    char path[128], small[32], body[1024];
    scene_write(s.files, 9, 48, 0);
    (void)snprintf(path, sizeof path, "%s/clean9.tif", s.files);
    upload(s.daemon.url, path, small);
    for (size_t i = 0; i < sizeof bad_bodies / sizeof bad_bodies[0]; i++) {
        fill_in(bad_bodies[i].body, body, sizeof body, small);
        struct answer a = post_json(s.daemon.url, bad_bodies[i].path, body);
        expect(&a, bad_bodies[i].status, bad_bodies[i].words, body);
    }
    struct answer a = get(s.daemon.url, "/v1/jobs");
    ck_assert_uint_eq(json_array_size(at(a.json, "jobs")), 0);
    answer_free(&a);
    a = get(s.daemon.url, "/v1/datasets");
    ck_assert_uint_eq(json_array_size(at(a.json, "datasets")), 2);
    answer_free(&a);
}
END_TEST

static const struct {
    const char *method, *path;
    long status;
    const char *words;
} bad_requests[] = {
    {"GET", "/v1/nothing", 404, "/v1/nothing"},
    {"PUT", "/v1/images", 405, "PUT"},
    {"GET", "/v1/images?colour=red", 400, "colour"},
    {"GET", "/v1/images?limit=0", 400, "limit"},
    {"GET", "/v1/images?limit=abc", 400, "abc"},
    {"GET", "/v1/images?cursor=abc", 400, "cursor"},
    {"GET", "/v1/jobs?state=sleeping", 400, "state"},
    {"GET", "/v1/images/img_00000000000000000000000000", 404, "image"},
    {"GET", "/v1/images/nonsense", 404, "nonsense"},
    {"GET", "/v1/jobs/job_00000000000000000000000000", 404, "job"},
    {"GET", "/v1/jobs/job_00000000000000000000000000/events", 404, "job"},
    {"POST", "/v1/jobs/job_00000000000000000000000000/cancel", 404, "job"},
    {"GET", "/v1/datasets/set_00000000000000000000000000", 404, "data set"},
    {"GET", "/v1/models/none", 404, "none"},
    {"GET", "/v1/models/none/versions/1/weights", 404, "none"},
    {"GET", "/v1/models/none/versions/x", 404, "x"},
};

START_TEST(a_bad_request_is_answered_with_a_sentence)
{
    for (size_t i = 0; i < sizeof bad_requests / sizeof bad_requests[0]; i++) {
        struct answer a = ask(bad_requests[i].method, s.daemon.url, bad_requests[i].path,
                              NULL, NULL, 0, NULL);
        if (bad_requests[i].status == 405) {
            char allow[64];
            ck_assert_ptr_nonnull(strstr(answer_header(&a, "Allow", allow, 64), "POST"));
        }
        expect(&a, bad_requests[i].status, bad_requests[i].words, bad_requests[i].path);
    }
}
END_TEST

START_TEST(the_result_of_an_unfinished_job_is_a_conflict)
{
    char id[32], path[80];
    story_train(&s, "long", 1000000, id);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/report", id);
    struct answer a = get(s.daemon.url, path);
    expect(&a, 409, "succeeded", path);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    a = ask("DELETE", s.daemon.url, path, NULL, NULL, 0, NULL);
    expect(&a, 409, "job", path);
}
END_TEST

START_TEST(a_training_that_diverges_fails_with_a_sentence)
{
    char id[32], body[512];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"train\",\"dataset\":\"%s\",\"config\":{" TINY
                   ",\"iterations\":2000,\"lr\":10,\"decay_fraction\":0}}",
                   s.training);
    submit_job(s.daemon.url, body, id);
    json_t *job = wait_job(s.daemon.url, id, 120);
    ck_assert_str_eq(text_at(job, "state"), "failed");
    ck_assert_str_eq(text_at(job, "error.code"), "diverged");
    ck_assert_ptr_nonnull(strstr(text_at(job, "error.detail"), "step"));
    json_decref(job);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_errors");
    TCase *tc = tcase_create("errors");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 180);
    tcase_add_loop_test(tc, a_bad_file_is_refused_and_leaves_nothing, 0,
                        sizeof bad_files / sizeof bad_files[0]);
    tcase_add_test(tc, a_bad_body_is_refused_with_the_place_and_the_value);
    tcase_add_test(tc, a_bad_request_is_answered_with_a_sentence);
    tcase_add_test(tc, the_result_of_an_unfinished_job_is_a_conflict);
    tcase_add_test(tc, a_training_that_diverges_fails_with_a_sentence);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
