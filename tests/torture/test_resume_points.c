/* A training that is stopped and resumed gives the bytes of one that was not: the same
 * settings and seed, interrupted at points all over the run, by SIGTERM and by SIGKILL.
 * All random streams are in use: crops, augmentation, a discriminator, and a contrastive
 * term with augmentations of its own. */

#include <signal.h>
#include <string.h>

#include "story.h"

enum { POINTS_SHORT = 2, POINTS_FULL = 20, STEPS_SHORT = 1000, STEPS_FULL = 2000 };
/* Stopped after each number of steps, from 0 on. */
enum { EXACT_SHORT = 3, EXACT_FULL = 200, EXACT_STEPS = 200, EXACT_PIECES = 10 };

static struct story s;
static char unbroken[80]; /* SHA-256 of the weights */

static int points(void)
{
    return test_full() ? POINTS_FULL : POINTS_SHORT;
}

static int steps(void)
{
    return test_full() ? STEPS_FULL : STEPS_SHORT;
}

static void start_training_of(int iterations, const char *model, char *id)
{
    char body[640];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"train\",\"dataset\":\"%s\",\"model\":\"%s\",\"preset\":"
                   "\"cpu_gan\",\"seed\":7,\"config\":{" TINY
                   ",\"iterations\":%d,\"contrastive\":\"disc-infonce\",\"dropout\":true,"
                   "\"checkpoint\":\"last\"}}",
                   s.training, model, iterations);
    submit_job(s.daemon.url, body, id);
}

static void start_training(const char *model, char *id)
{
    start_training_of(steps(), model, id);
}

static double step_of(const char *id)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    struct answer a = get(s.daemon.url, path);
    ck_assert_str_ne(text_at(a.json, "state"), "failed");
    bool ended = strcmp(text_at(a.json, "state"), "succeeded") == 0;
    double step = ended ? steps() : number_at(a.json, "progress.step");
    answer_free(&a);
    return step;
}

/* SHA-256 of the weights that the job made. */
static void weights_of(const char *model, const char *id, char *ret, size_t size)
{
    char path[96];
    json_decref(wait_success(s.daemon.url, id, 240));
    (void)snprintf(path, sizeof path, "/v1/models/%s/versions/1", model);
    struct answer a = get(s.daemon.url, path);
    ck_assert_uint_eq(strlen(text_at(a.json, "sha256")), 64);
    (void)snprintf(ret, size, "%s", text_at(a.json, "sha256"));
    answer_free(&a);
}

/* Waits for the step and interrupts; false when the run was over before. */
static bool interrupt(const char *id, double step, bool kill)
{
    double reached;
    while ((reached = step_of(id)) < step)
        (void)usleep(2000);
    if (reached >= steps())
        return false;
    if (kill)
        daemon_kill(&s.daemon);
    else
        ck_assert_int_eq(daemon_stop(&s.daemon), 0);
    daemon_restart(&s.daemon, NULL);
    return true;
}

static const char *const args[] = {"--checkpoint_seconds", "0.1", NULL};

/* A daemon that stops itself between two steps. */
static void stop_at(int step, bool kill)
{
    char point[48], model[32], id[32];
    (void)snprintf(point, sizeof point, "train_step:%d:%d", step + 1,
                   kill ? SIGKILL : SIGTERM);
    (void)snprintf(model, sizeof model, "exact-%d", step);
    (void)setenv("DEN_FAIL", point, 1);
    daemon_restart(&s.daemon, args);
    (void)unsetenv("DEN_FAIL");
    start_training_of(EXACT_STEPS, model, id);
    ck_assert_int_eq(daemon_wait(&s.daemon), kill ? 128 + SIGKILL : 0);
    daemon_restart(&s.daemon, args);
    char sha256[80];
    weights_of(model, id, sha256, sizeof sha256);
    ck_assert_msg(strcmp(sha256, unbroken) == 0, "after %d steps: other weights", step);
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
}

static void setup_exact(void)
{
    char id[32];
    (void)setenv("DENOISED_TEST_DAEMON", "faults/denoised", 1);
    story_start(&s, args);
    start_training_of(EXACT_STEPS, "unbroken", id);
    weights_of("unbroken", id, unbroken, sizeof unbroken);
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
}

static void setup(void)
{
    char id[32];
    story_start(&s, args);
    start_training("unbroken", id);
    weights_of("unbroken", id, unbroken, sizeof unbroken);
}

static void teardown(void)
{
    story_end(&s);
}

static void resume_everywhere(bool kill)
{
    int interrupted = 0;
    for (int k = 0; k < points(); k++) {
        char model[32], id[32], sha256[80];
        (void)snprintf(model, sizeof model, "%s-%d", kill ? "kill" : "term", k);
        start_training(model, id);
        interrupted += interrupt(id, (double)steps() * (k + 0.5) / (points() + 3), kill);
        weights_of(model, id, sha256, sizeof sha256);
        ck_assert_msg(strcmp(sha256, unbroken) == 0, "%s: other weights", model);
    }
    printf("%d of %d trainings were interrupted by %s, all with equal weights\n",
           interrupted, points(), kill ? "SIGKILL" : "SIGTERM");
    ck_assert_int_ge(interrupted, points() - points() / 10);
}

START_TEST(stopped_trainings_end_with_the_same_bytes)
{
    resume_everywhere(false);
}
END_TEST

START_TEST(killed_trainings_end_with_the_same_bytes)
{
    resume_everywhere(true);
}
END_TEST

START_TEST(one_training_stopped_and_killed_all_the_way_ends_with_the_same_bytes)
{
    char id[32], sha256[80];
    int interrupted = 0;
    start_training("often", id);
    for (int k = 0; k < points(); k++)
        interrupted +=
            interrupt(id, (double)steps() * (k + 0.5) / (points() + 3), k % 2 == 1);
    weights_of("often", id, sha256, sizeof sha256);
    ck_assert_str_eq(sha256, unbroken);
    printf("one training was interrupted %d times, with equal weights\n", interrupted);
    ck_assert_int_ge(interrupted, points() - points() / 10);
}
END_TEST

/* In pieces: Check cannot hold the time of a test that takes more than 71 minutes. */
START_TEST(a_training_stopped_after_any_step_ends_with_the_same_bytes)
{
    int points = test_full() ? EXACT_FULL : EXACT_SHORT;
    int piece = test_full() ? points / EXACT_PIECES : points;
    int first = _i * piece, kills = 0;
    for (int k = first; k < first + piece; k++) {
        stop_at(k * (EXACT_STEPS / points), k % 2 == 1);
        kills += k % 2 == 1;
    }
    printf("trainings %d to %d of %d, stopped between two steps (%d by SIGKILL, %d by "
           "SIGTERM), ended with equal weights\n",
           first + 1, first + piece, points, kills, piece - kills);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resume points");
    TCase *exact = tcase_create("exact");
    tcase_add_unchecked_fixture(exact, setup_exact, teardown);
    tcase_set_timeout(exact, test_full() ? 3600 : 300);
    tcase_add_loop_test(exact, a_training_stopped_after_any_step_ends_with_the_same_bytes,
                        0, test_full() ? EXACT_PIECES : 1);
    suite_add_tcase(suite, exact);
    TCase *tc = tcase_create("resume points");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, test_full() ? 1800 : 300);
    tcase_add_test(tc, stopped_trainings_end_with_the_same_bytes);
    tcase_add_test(tc, killed_trainings_end_with_the_same_bytes);
    tcase_add_test(tc,
                   one_training_stopped_and_killed_all_the_way_ends_with_the_same_bytes);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
