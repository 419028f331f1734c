/* SIGTERM and a new start, again and again, with people who go on submitting: no job that
 * was accepted is lost or done twice, no attempt counts against one, and each stop is
 * over within the time that it may take. */

#include <unistd.h>

#include "clock.h"
#include "job_load.h"
#include "rng.h"

enum { TURNS_SHORT = 3, TURNS_FULL = 100, CLIENTS = 4, JOBS_EACH = 60, DRAIN_S = 30 };

static const char *const args[] = {"--threads",   "1",    "--checkpoint_seconds", "0.5",
                                   "--log_level", "warn", "--drain_seconds",      "30",
                                   NULL};
static struct job_load load;

/* The clients learn of the new address only when it is there: what they send until then
 * meets a server that goes. */
static double one_turn(struct den_rng *rng, struct trainings *trainings)
{
    double patience = den_monotonic_s() + 30;
    trainings_look(&load, trainings);
    atomic_fetch_add(&load.allowed, JOBS_EACH);
    load_point(&load, load.story.daemon.url);
    (void)usleep(50000 + (useconds_t)den_rng_below(rng, 200000));
    while (atomic_load(&load.accepted) + JOBS_EACH / 2 < atomic_load(&load.allowed) &&
           den_monotonic_s() < patience)
        (void)usleep(1000);
    double since = den_monotonic_s();
    ck_assert_int_eq(daemon_stop(&load.story.daemon), 0);
    double took = den_monotonic_s() - since;
    daemon_restart(&load.story.daemon, args);
    return took;
}

START_TEST(rolling_restarts_under_load_lose_no_job_and_take_no_longer_than_allowed)
{
    need_slow();
    struct trainings trainings;
    struct den_rng rng;
    int turns = test_full() ? TURNS_FULL : TURNS_SHORT;
    double longest = 0, sum = 0;
    den_rng_seed(&rng, 2, DEN_STREAM_ORDER, 0);
    trainings_start(&load, &trainings, 400);
    atomic_store(&load.allowed, atomic_load(&load.accepted));
    load_begin(&load, CLIENTS);
    for (int i = 0; i < turns; i++) {
        double took = one_turn(&rng, &trainings);
        longest = took > longest ? took : longest;
        sum += took;
    }
    load_rest(&load);
    load_drain(&load, 240);
    trainings_end(&load, &trainings);
    ck_assert_int_eq(daemon_stop(&load.story.daemon), 0);
    (void)load_verify(&load);
    printf(
        "%d restarts, %zu jobs accepted (%zu refused, %zu met a server that had gone), "
        "%zu trainings: 0 lost, 0 done twice; a stop took %.2f s, at most %.2f s\n",
        turns, load.count, atomic_load(&load.refused), atomic_load(&load.cut),
        trainings.ended, sum / turns, longest);
    ck_assert_double_le(longest, DRAIN_S);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rolling");
    TCase *tc = tcase_create("rolling");
    load_around(tc, &load, args);
    tcase_set_timeout(tc, test_full() ? 3600 : 300);
    tcase_add_test(
        tc, rolling_restarts_under_load_lose_no_job_and_take_no_longer_than_allowed);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
