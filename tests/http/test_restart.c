/* The daemon dies or is stopped in the middle of its work: everything accepted is
 * finished. */

#include <string.h>

#include "clock.h"
#include "fs.h"
#include "image.h"
#include "program.h"
#include "story.h"

static struct story s;

static void setup(void)
{
    static const char *const args[] = {"--checkpoint_seconds", "0.2", NULL};
    story_start(&s, args);
}

static void teardown(void)
{
    story_end(&s);
}

/* Long enough to be interrupted on a fast machine, short enough to end under sanitizers.
 */
static unsigned some_seconds(unsigned units)
{
    return test_sanitized() ? units / 8 : units;
}

static double step_of(const char *id)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    struct answer a = get(s.daemon.url, path);
    ck_assert_str_ne(text_at(a.json, "state"), "failed");
    double step = number_at(a.json, "progress.step");
    answer_free(&a);
    return step;
}

static void wait_for_step(const char *id, double step)
{
    while (step_of(id) < step)
        (void)usleep(20000);
}

static void everything_uploaded_is_there(void)
{
    struct answer a = get(s.daemon.url, "/v1/images");
    ck_assert_uint_eq(json_array_size(at(a.json, "images")), 8);
    for (size_t i = 0; i < 8; i++) {
        char path[128], key[32];
        (void)snprintf(key, sizeof key, "images.%zu.id", i);
        (void)snprintf(path, sizeof path, "/v1/images/%s/content", text_at(a.json, key));
        struct answer content = get(s.daemon.url, path);
        ck_assert_int_eq(content.status, 200);
        (void)snprintf(key, sizeof key, "images.%zu.bytes", i);
        close_to((double)content.length, number_at(a.json, key), 1e-12);
        answer_free(&content);
    }
    answer_free(&a);
}

static void must_succeed(const char *id, double attempts)
{
    json_t *job = wait_success(s.daemon.url, id, 240);
    close_to(number_at(job, "attempts"), attempts, 1e-12);
    json_decref(job);
}

static bool events_say(const char *id, const char *words)
{
    char path[80];
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/events", id);
    struct answer a = get(s.daemon.url, path);
    bool said = strstr(a.body, words) != NULL;
    answer_free(&a);
    return said;
}

static double seconds_used(void)
{
    struct answer a = get(s.daemon.url, "/v1/me");
    double seconds = number_at(a.json, "usage.compute_seconds_per_day");
    answer_free(&a);
    return seconds;
}

/* The attempt that began after `since` has ended with the daemon, the next one runs. */
static void the_first_attempt_is_counted(double since)
{
    double used = seconds_used(), most = den_monotonic_s() - since;
    const double least = 0.5; /* told after a second, of which little was a pause */
    ck_assert_msg(used >= least && used <= most, "%.3f s at work are counted, of %.3f s",
                  used, most);
}

START_TEST(a_training_goes_on_after_a_kill)
{
    char id[32];
    double since = den_monotonic_s();
    story_train(&s, "nuclei", some_seconds(8000), id);
    wait_for_step(id, 1);
    daemon_kill(&s.daemon);
    daemon_restart(&s.daemon, NULL);
    the_first_attempt_is_counted(since);
    must_succeed(id, 2);
    ck_assert_msg(events_say(id, "resumed at step"), "it began anew");
    everything_uploaded_is_there();
}
END_TEST

START_TEST(a_training_goes_on_after_a_stop)
{
    char id[32];
    double since = den_monotonic_s();
    story_train(&s, "nuclei", some_seconds(8000), id);
    wait_for_step(id, 1);
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
    daemon_restart(&s.daemon, NULL);
    the_first_attempt_is_counted(since);
    must_succeed(id, 1); /* a stop is no failed attempt */
    ck_assert_msg(events_say(id, "resumed at step"), "it began anew");
    everything_uploaded_is_there();
}
END_TEST

/* A stack of many pages keeps a median filter busy long enough to be killed. */
static void upload_stack(char *id)
{
    struct den_err err = DEN_ERR_INIT;
    enum { SIDE = 256 };
    uint32_t pages = some_seconds(150);
    char path[128];
    struct den_writer *writer = NULL;
    struct den_image_info info = {.format = "tiff",
                                  .width = SIDE,
                                  .height = SIDE,
                                  .pages = pages,
                                  .channels = 1,
                                  .dtype = DEN_U16};
    struct den_scene scene = den_scene_default();
    scene.width = scene.height = SIDE;
    float *clean = den_calloc((size_t)SIDE * SIDE, sizeof *clean);
    uint16_t *frame = den_calloc((size_t)SIDE * SIDE, sizeof *frame);
    (void)snprintf(path, sizeof path, "%s/stack.tif", s.files);
    must(den_scene_clean(&scene, clean, &err));
    must(den_writer_open(path, &info, &writer, &err));
    den_scene_frame(&scene, clean, 0, frame);
    for (unsigned k = 0; k < pages; k++) {
        frame[0] = (uint16_t)k;
        must(den_writer_page(writer, frame, &err));
    }
    must(den_writer_finish(writer, &err));
    den_free(clean);
    den_free(frame);
    upload(s.daemon.url, path, id);
}

START_TEST(a_denoise_job_is_finished_after_a_kill)
{
    char image[32], id[32];
    upload_stack(image);
    submit_denoise(s.daemon.url, image, "\"method\":\"median\",\"config\":{\"radius\":5}",
                   id);
    wait_for_step(id, 1);
    daemon_kill(&s.daemon);
    daemon_restart(&s.daemon, NULL);
    must_succeed(id, 2);
    char path[80];
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/result", id);
    struct answer a = get(s.daemon.url, path);
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_gt(a.length, (size_t)some_seconds(150) * 256 * 256 * 2);
    answer_free(&a);
}
END_TEST

START_TEST(a_second_daemon_on_the_same_state_is_refused)
{
    char path[256];
    struct outcome o = run_program(
        NULL, NULL,
        (const char *const[]){built("denoised", path, sizeof path), "--listen",
                              "127.0.0.1:0", "--state", s.daemon.state, NULL});
    ck_assert_int_ne(o.status, 0);
    must_end(&o, o.status, "another");
    outcome_free(&o);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("restart");
    TCase *tc = tcase_create("restart");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, a_training_goes_on_after_a_kill);
    tcase_add_test(tc, a_training_goes_on_after_a_stop);
    tcase_add_test(tc, a_denoise_job_is_finished_after_a_kill);
    tcase_add_test(tc, a_second_daemon_on_the_same_state_is_refused);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
