/* The whole daemon is stopped for longer than its leases, and goes on: it has not lost
 * what it was at, as nobody else can have taken it; and a worker that hangs for ever
 * loses its job to another. */

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "job_load.h"

enum { PAUSES_SHORT = 4, PAUSES_FULL = 100, HANGS_SHORT = 3, HANGS_FULL = 40 };

static const char *const args[] = {"--threads",
                                   "1",
                                   "--lease_seconds",
                                   "0.3",
                                   "--stall_seconds",
                                   "1",
                                   "--retry_seconds",
                                   "0.01",
                                   "--log_level",
                                   "warn",
                                   "--workers",
                                   "3",
                                   NULL};
static struct job_load load;

START_TEST(a_daemon_that_was_stopped_past_its_leases_goes_on)
{
    need_slow();
    struct trainings trainings;
    int pauses = test_full() ? PAUSES_FULL : PAUSES_SHORT;
    trainings_start(&load, &trainings, 300);
    load_begin(&load, 2);
    for (int i = 0; i < pauses; i++) {
        (void)usleep(100000);
        trainings_look(&load, &trainings);
        ck_assert_int_eq(kill(load.story.daemon.pid, SIGSTOP), 0);
        (void)usleep(600000); /* twice the lease */
        ck_assert_int_eq(kill(load.story.daemon.pid, SIGCONT), 0);
    }
    load_rest(&load);
    load_drain(&load, 240);
    trainings_end(&load, &trainings);
    ck_assert_int_eq(daemon_stop(&load.story.daemon), 0);
    size_t again = load_verify(&load);
    printf("%d times stopped past the leases, %zu jobs, %zu trainings: 0 stale commits, "
           "0 lost, %zu begun more than once\n",
           pauses, load.count, trainings.ended, again);
}
END_TEST

static void one_hang(const char *point, size_t *ret_again)
{
    char rule[64], id[32];
    (void)snprintf(rule, sizeof rule, "%s:3:0", point);
    (void)setenv("DEN_FAIL", rule, 1); /* not over the two jobs of the control */
    (void)setenv("DENOISED_TEST_DAEMON", "faults/denoised", 1);
    load_start(&load, args);
    (void)unsetenv("DEN_FAIL");
    (void)unsetenv("DENOISED_TEST_DAEMON");
    for (int i = 0; i < 4; i++) {
        submit_denoise(load.story.daemon.url, load.image, "\"method\":\"median\"", id);
        json_t *job = wait_success(load.story.daemon.url, id, 60);
        *ret_again += number_at(job, "attempts") > 1;
        json_decref(job);
    }
    load_end(&load);
}

START_TEST(a_worker_that_hangs_for_ever_loses_its_job_to_another)
{
    need_slow();
    static const char *const points[] = {"job_claimed", "job_ran"};
    int hangs = test_full() ? HANGS_FULL : HANGS_SHORT;
    size_t again = 0;
    for (int i = 0; i < hangs; i++)
        one_hang(points[i % 2], &again);
    printf("%d workers hung for ever: %zu jobs were done by another\n", hangs, again);
    ck_assert_uint_ge(again, (size_t)hangs * 8 / 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pauses");
    TCase *tc = tcase_create("stopped");
    load_around(tc, &load, args);
    tcase_set_timeout(tc, test_full() ? 3600 : 300);
    tcase_add_test(tc, a_daemon_that_was_stopped_past_its_leases_goes_on);
    suite_add_tcase(suite, tc);
    TCase *hang = tcase_create("hang");
    tcase_set_timeout(hang, test_full() ? 3600 : 300);
    tcase_add_test(hang, a_worker_that_hangs_for_ever_loses_its_job_to_another);
    suite_add_tcase(suite, hang);
    return den_check_main(suite);
}
