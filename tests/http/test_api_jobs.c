/* The main job through the real daemon: upload, train, denoise, evaluate, look, remove.
 */

#include <math.h>
#include <string.h>

#include "fs.h"
#include "image.h"
#include "story.h"

static struct story s;
enum { PIXELS = 64 * 64 }; /* of the story's images */

static void setup(void)
{
    story_start(&s, NULL);
}

static void teardown(void)
{
    story_end(&s);
}

/* GET of a path with one id in it. */
static struct answer get_of(const char *format, const char *id)
{
    char path[160];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(path, sizeof path, format, id);
#pragma GCC diagnostic pop
    return get(s.daemon.url, path);
}

static void look_at_training(const char *id)
{
    struct answer a = get_of("/v1/jobs/%s/report", id);
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_gt(json_array_size(at(a.json, "history.loss_l1")), 1);
    ck_assert(isfinite(number_at(a.json, "validation_psnr")));
    close_to(number_at(a.json, "config.iterations"), 60, 1e-9);
    answer_free(&a);
    a = get(s.daemon.url, "/v1/models/nuclei/versions/1");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(text_at(a.json, "job"), id);
    ck_assert_str_eq(text_at(a.json, "dataset"), s.training);
    ck_assert(number_at(a.json, "normalisation.scale") > 0);
    double bytes = number_at(a.json, "bytes");
    answer_free(&a);
    a = get(s.daemon.url, "/v1/models/nuclei/versions/1/weights");
    ck_assert_int_eq(a.status, 200);
    close_to((double)a.length, bytes, 1e-9);
    ck_assert_ptr_nonnull(memmem(a.body, a.length, "model.model.0.weight", 20));
    answer_free(&a);
}

static void share(const char *name, const char *body, long status, bool shared)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/models/%s/shared", name);
    struct answer a =
        ask("PUT", s.daemon.url, path, "application/json", body, strlen(body), NULL);
    ck_assert_msg(a.status == status, "%s: %ld %s", body, a.status, a.body);
    if (status == 200) {
        ck_assert_str_eq(text_at(a.json, "owner"), "local");
        ck_assert(json_is_boolean(at(a.json, "shared")));
        ck_assert_int_eq(json_is_true(at(a.json, "shared")), shared);
    }
    answer_free(&a);
}

static void share_training(void)
{
    share("nuclei", "{\"shared\":true}", 200, true);
    struct answer a = get(s.daemon.url, "/v1/models");
    ck_assert(json_is_true(at(a.json, "models.0.shared")));
    answer_free(&a);
    share("nuclei", "{\"shared\":false}", 200, false);
    share("nuclei", "{\"shared\":\"yes\"}", 400, false);
    share("nuclei", "{}", 400, false);
    share("nuclei", "{\"shared\":true,\"with\":\"all\"}", 400, false);
    share("nobody", "{\"shared\":true}", 404, false);
}

static void look_at_events(const char *id)
{
    struct answer a = get_of("/v1/jobs/%s/events", id);
    ck_assert_int_eq(a.status, 200);
    ck_assert_ptr_nonnull(
        strstr(a.body, "id: 1\nevent: state\ndata: {\"state\":\"queued\"}"));
    ck_assert_ptr_nonnull(strstr(a.body, "\"state\":\"running\""));
    ck_assert_ptr_nonnull(strstr(a.body, "event: metric\n"));
    ck_assert_ptr_nonnull(strstr(a.body, "event: done\ndata: {\"state\":\"succeeded\"}"));
    answer_free(&a);
    char path[80];
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/events", id);
    a = ask("GET", s.daemon.url, path, NULL, NULL, 0, "Last-Event-ID: 1");
    ck_assert_ptr_null(strstr(a.body, "id: 1\n"));
    ck_assert_ptr_nonnull(strstr(a.body, "id: 2\n"));
    answer_free(&a);
}

/* Denoises scene 4 with the given model or method text; the result must keep size and
 * type.  pixels [PIXELS]: what it is; the file itself names its job. */
static void denoise(const char *with, float *pixels)
{
    char id[32], path[160];
    submit_denoise(s.daemon.url, s.noisy[3], with, id);
    json_t *job = wait_success(s.daemon.url, id, 60);
    ck_assert_str_eq(text_at(job, "result.name"), "noisy4_0_denoised.tif");
    ck_assert_str_eq(text_at(job, "result.media_type"), "image/tiff");
    ck_assert_uint_eq(strlen(text_at(job, "result.sha256")), 64);
    struct answer a = get(s.daemon.url, text_at(job, "result.href"));
    ck_assert_int_eq(a.status, 200);
    struct den_err err = DEN_ERR_INIT;
    (void)snprintf(path, sizeof path, "%s/result.tif", s.files);
    must(den_fs_write(path, a.body, a.length, &err));
    answer_free(&a);
    struct den_image result, noisy;
    must(den_image_load(path, NULL, &result, &err));
    (void)snprintf(path, sizeof path, "%s/noisy4_0.tif", s.files);
    must(den_image_load(path, NULL, &noisy, &err));
    ck_assert_uint_eq(result.info.width, 64);
    ck_assert_uint_eq(result.info.height, 64);
    ck_assert_int_eq(result.info.dtype, DEN_U16);
    double change = 0;
    for (size_t i = 0; i < PIXELS; i++)
        change += fabs((double)result.pixels[i] - (double)noisy.pixels[i]);
    ck_assert_msg(change > (double)PIXELS, "the result is the input");
    memcpy(pixels, result.pixels, PIXELS * sizeof *pixels);
    den_image_release(&result);
    den_image_release(&noisy);
    json_decref(job);
}

static void evaluate(void)
{
    char body[256], id[32];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"evaluate\",\"dataset\":\"%s\",\"model\":\"nuclei\"}",
                   s.held_out);
    submit_job(s.daemon.url, body, id);
    json_decref(wait_success(s.daemon.url, id, 60));
    struct answer a = get_of("/v1/jobs/%s/report", id);
    ck_assert_int_eq(a.status, 200);
    static const char *const rows[] = {"noisy", "gaussian", "median", "nuclei@1"};
    for (size_t i = 0; i < 4; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "mean.%s.psnr.mean", rows[i]);
        ck_assert_msg(isfinite(number_at(a.json, path)), "%s", path);
        (void)snprintf(path, sizeof path, "images.0.scores.%s.ssim", rows[i]);
        ck_assert_msg(isfinite(number_at(a.json, path)), "%s", path);
    }
    ck_assert(number_at(a.json, "mean.gaussian.psnr.mean") >
              number_at(a.json, "mean.noisy.psnr.mean"));
    ck_assert(strlen(text_at(a.json, "definitions.nrmse.definition")) > 20);
    answer_free(&a);
}

START_TEST(a_model_is_trained_used_judged_and_looked_at)
{
    char id[32];
    story_train(&s, "nuclei", 60, id);
    json_t *job = wait_success(s.daemon.url, id, 120);
    ck_assert_str_eq(text_at(job, "result.href"), "/v1/models/nuclei/versions/1");
    close_to(number_at(job, "progress.fraction"), 1.0, 1e-12);
    close_to(number_at(job, "attempts"), 1, 1e-12);
    json_decref(job);
    look_at_training(id);
    share_training();
    look_at_events(id);
    static float first[PIXELS], second[PIXELS], filter[PIXELS];
    denoise("\"model\":\"nuclei@1\"", first);
    denoise("\"method\":\"median\",\"config\":{\"radius\":1}", filter);
    denoise("\"model\":\"nuclei\"", second); /* the worker still has the model */
    ck_assert_mem_eq(first, second, sizeof first);
    ck_assert_mem_ne(first, filter, sizeof first);
    evaluate();
}
END_TEST

START_TEST(an_estimate_queues_nothing)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"train\",\"dataset\":\"%s\",\"config\":{" TINY
                   ",\"iterations\":7}}",
                   s.training);
    struct answer a = post_json(s.daemon.url, "/v1/jobs?dry_run=true", body);
    ck_assert_int_eq(a.status, 200);
    close_to(number_at(a.json, "steps"), 7, 1e-12);
    ck_assert(number_at(a.json, "peak_bytes") > 100000);
    close_to(number_at(a.json, "config.ngf"), 4, 1e-12);
    answer_free(&a);
    a = get(s.daemon.url, "/v1/jobs");
    ck_assert_uint_eq(json_array_size(at(a.json, "jobs")), 0);
    answer_free(&a);
}
END_TEST

START_TEST(a_running_training_is_cancelled_and_can_be_retried)
{
    char id[32], path[80];
    story_train(&s, "nuclei", 1000000, id);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    for (;;) {
        struct answer a = get(s.daemon.url, path);
        bool running = number_at(a.json, "progress.step") > 0;
        answer_free(&a);
        if (running)
            break;
        (void)usleep(20000);
    }
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    for (int twice = 0; twice < 2; twice++) {
        struct answer a = ask("POST", s.daemon.url, path, NULL, NULL, 0, NULL);
        ck_assert_int_eq(a.status, 200);
        answer_free(&a);
    }
    json_t *job = wait_job(s.daemon.url, id, 10);
    ck_assert_str_eq(text_at(job, "state"), "cancelled");
    json_decref(job);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/retry", id);
    struct answer a = ask("POST", s.daemon.url, path, NULL, NULL, 0, NULL);
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_ne(text_at(a.json, "state"), "cancelled");
    answer_free(&a);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    a = ask("POST", s.daemon.url, path, NULL, NULL, 0, NULL);
    answer_free(&a);
    json_decref(wait_job(s.daemon.url, id, 10));
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    a = ask("DELETE", s.daemon.url, path, NULL, NULL, 0, NULL);
    ck_assert_int_eq(a.status, 204);
    answer_free(&a);
    a = get(s.daemon.url, path);
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
}
END_TEST

START_TEST(a_running_training_shows_how_a_validation_image_comes_out)
{
    char id[32], path[80], body[400];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"train\",\"dataset\":\"%s\",\"model\":\"seen\",\"preset\":"
                   "\"cpu\",\"config\":{" TINY ",\"iterations\":1000000,"
                   "\"validate_every\":5}}",
                   s.training);
    submit_job(s.daemon.url, body, id);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/sample", id);
    struct answer a = get(s.daemon.url, path);
    for (int i = 0; i < 1000 && a.status == 404; i++) {
        answer_free(&a);
        (void)usleep(20000);
        a = get(s.daemon.url, path);
    }
    char type[40];
    ck_assert_msg(a.status == 200, "%ld %s", a.status, a.body);
    ck_assert_str_eq(answer_header(&a, "Content-Type", type, sizeof type), "image/png");
    /* Three squares of 64 pixels side by side, as the header of a PNG says. */
    static const unsigned char sides[] = {0, 0, 0, 192, 0, 0, 0, 64};
    ck_assert_uint_gt(a.length, 24);
    ck_assert_mem_eq(a.body + 16, sides, sizeof sides);
    answer_free(&a);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/cancel", id);
    a = ask("POST", s.daemon.url, path, NULL, NULL, 0, NULL);
    answer_free(&a);
    json_decref(wait_job(s.daemon.url, id, 10));
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/sample", id);
    a = get(s.daemon.url, path);
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
}
END_TEST

START_TEST(the_waiting_microscope_does_not_wait_for_the_training)
{
    char train[32], id[32];
    story_train(&s, "long", 1000000, train);
    submit_denoise(s.daemon.url, s.noisy[0], "\"method\":\"gaussian\"", id);
    json_decref(wait_success(s.daemon.url, id, 10));
    struct answer a = get_of("/v1/jobs/%s", train);
    ck_assert_str_eq(text_at(a.json, "state"), "running");
    answer_free(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_jobs");
    TCase *tc = tcase_create("jobs");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, a_model_is_trained_used_judged_and_looked_at);
    tcase_add_test(tc, an_estimate_queues_nothing);
    tcase_add_test(tc, a_running_training_is_cancelled_and_can_be_retried);
    tcase_add_test(tc, a_running_training_shows_how_a_validation_image_comes_out);
    tcase_add_test(tc, the_waiting_microscope_does_not_wait_for_the_training);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
