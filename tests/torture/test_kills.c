/* kill -9 of the daemon at random times, with people who submit jobs all the while and a
 * training that never gets to its end in one go: no job that was accepted is lost, none
 * is done twice, and all results are those of an undisturbed server. */

#include <unistd.h>

#include "clock.h"
#include "job_load.h"
#include "rng.h"

enum { KILLS_SHORT = 5, KILLS_FULL = 1000, JOBS_EACH = 22, CLIENTS = 2 };

static const char *const args[] = {"--threads",
                                   "1",
                                   "--checkpoint_seconds",
                                   "0.1",
                                   "--max_attempts",
                                   "100",
                                   "--retry_seconds",
                                   "0.01",
                                   "--log_level",
                                   "warn",
                                   NULL};
static struct job_load load;

/* Up for 20 to 250 ms, and until the jobs of this turn were accepted.  In every fourth
 * turn nobody submits anything, so that it is the training's. */
static void one_kill(int turn, struct den_rng *rng, struct trainings *trainings)
{
    enum { LEAST_US = 20000, SPAN_US = 230000, QUIET = 4 };
    double patience = den_monotonic_s() + 30;
    trainings_look(&load, trainings);
    if (turn % QUIET == 1)
        (void)usleep(2 * SPAN_US);
    else
        atomic_fetch_add(&load.allowed, 1 + JOBS_EACH * QUIET / (QUIET - 1));
    load_point(&load, load.story.daemon.url);
    (void)usleep(LEAST_US + (useconds_t)den_rng_below(rng, SPAN_US));
    while (atomic_load(&load.accepted) + 5 < atomic_load(&load.allowed) &&
           den_monotonic_s() < patience)
        (void)usleep(1000);
    daemon_kill(&load.story.daemon);
    load_point(&load, NULL);
    daemon_restart(&load.story.daemon, args);
}

START_TEST(kills_under_load_lose_nothing_and_repeat_nothing)
{
    need_slow();
    struct trainings trainings;
    struct den_rng rng;
    int kills = test_full() ? KILLS_FULL : KILLS_SHORT;
    double since = den_monotonic_s();
    den_rng_seed(&rng, 1, DEN_STREAM_ORDER, 0);
    trainings_start(&load, &trainings, 300);
    atomic_store(&load.allowed, atomic_load(&load.accepted));
    load_begin(&load, CLIENTS);
    for (int i = 0; i < kills; i++)
        one_kill(i, &rng, &trainings);
    atomic_store(&load.allowed, SIZE_MAX);
    load_rest(&load);
    load_drain(&load, 240);
    trainings_end(&load, &trainings);
    ck_assert_int_eq(daemon_stop(&load.story.daemon), 0);
    size_t again = load_verify(&load);
    printf(
        "%d kills, %zu jobs accepted (%zu submissions cut off), %zu of them begun more "
        "than once, %zu trainings begun %.0f times: 0 lost, 0 done twice, results "
        "bit-equal (%.0f s)\n",
        kills, load.count, atomic_load(&load.cut), again, trainings.ended,
        trainings.begun, den_monotonic_s() - since);
    ck_assert_uint_ge(load.count, (size_t)kills * 20);
    ck_assert_uint_gt(again, 0); /* else the kills came when nobody was at work */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kills");
    TCase *tc = tcase_create("kills");
    load_around(tc, &load, args);
    tcase_set_timeout(tc, test_full() ? 7200 : 300);
    tcase_add_test(tc, kills_under_load_lose_nothing_and_repeat_nothing);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
