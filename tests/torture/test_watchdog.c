/* The watchdog of systemd: signs of life come as long as workers and store answer, and
 * stop when one of them hangs, so that systemd starts the daemon anew. */

#include <signal.h>
#include <string.h>

#include "notified.h"
#include "processes.h"
#include "story.h"

static void faults(const char *fail)
{
    ck_assert_int_eq(setenv("DENOISED_TEST_DAEMON", "faults/denoised", 1), 0);
    if (fail != NULL)
        ck_assert_int_eq(setenv("DEN_FAIL", fail, 1), 0);
}

static const char *const patience[] = {"--stall_seconds", "2", NULL};

START_TEST(a_daemon_that_is_well_gives_its_signs)
{
    struct notified n;
    struct daemon d;
    notified_open(&n, false, "400000");
    faults(NULL);
    daemon_start(&d, patience);
    ck_assert(notified_wait(&n, "READY=1", 5));
    /* Two per period; idle for longer than a worker may be silent. */
    size_t count = notified_count(&n, "WATCHDOG=1", 3);
    printf("watchdog: %zu signs of life in 3 s, 15 asked for\n", count);
    ck_assert_uint_ge(count, 6);
    ck_assert_int_eq(daemon_stop(&d), 0);
    ck_assert(notified_wait(&n, "STOPPING=1", 5));
    daemon_remove(&d);
    notified_close(&n);
}
END_TEST

START_TEST(a_worker_that_hangs_stops_the_signs)
{
    struct notified n;
    struct story s;
    struct answer a;
    char id[32];
    notified_open(&n, true, "400000");
    faults("train_step:2:0");
    story_start(&s, patience);
    ck_assert(notified_wait(&n, "READY=1", 5));
    story_train(&s, "m", 1000, id);
    ck_assert(notified_wait(&n, "WATCHDOG=1", 5));
    (void)notified_count(&n, "WATCHDOG=1", 3); /* the silence becomes too long */
    ck_assert_uint_eq(notified_count(&n, "WATCHDOG=1", 1), 0);
    a = get(s.daemon.url, "/readyz");
    ck_assert_int_eq(a.status, 503);
    ck_assert_str_eq(text_at(a.json, "errors.0.pointer"), "/workers");
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "detail"), "no sign of life"));
    answer_free(&a);
    a = get(s.daemon.url, "/healthz"); /* HTTP itself is well */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    daemon_kill(&s.daemon); /* as systemd does it */
    unsetenv("DEN_FAIL");
    daemon_restart(&s.daemon, patience);
    ck_assert(notified_wait(&n, "WATCHDOG=1", 5));
    a = get(s.daemon.url, "/readyz");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    story_end(&s);
    notified_close(&n);
}
END_TEST

START_TEST(a_store_that_hangs_stops_the_signs)
{
    struct notified n;
    struct daemon d;
    notified_open(&n, false, "50000");
    faults("commit_before:60:0"); /* signs of life bring it there */
    daemon_start(&d, NULL);
    ck_assert(notified_wait(&n, "WATCHDOG=1", 5));
    bool silent = false;
    for (int i = 0; i < 30 && !silent; i++)
        silent = notified_count(&n, "WATCHDOG=1", 0.7) == 0;
    ck_assert(silent);
    ck_assert_uint_eq(notified_count(&n, "WATCHDOG=1", 1), 0);
    struct answer a = get(d.url, "/healthz"); /* waits for no lock */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    daemon_remove(&d);
    notified_close(&n);
}
END_TEST

/* Without it every image would be refused until somebody looks. */
START_TEST(a_jail_that_ended_stops_the_signs)
{
    struct notified n;
    struct daemon d;
    pid_t nursery = 0;
    notified_open(&n, false, "200000");
    faults(NULL);
    daemon_start(&d, NULL);
    ck_assert(notified_wait(&n, "WATCHDOG=1", 5));
    if (children_of(d.pid, &nursery) == 1) {
        ck_assert_int_eq(kill(nursery, SIGKILL), 0);
        (void)notified_count(&n, "WATCHDOG=1", 1);
        ck_assert_uint_eq(notified_count(&n, "WATCHDOG=1", 1), 0);
        struct answer a = get(d.url, "/readyz");
        ck_assert_int_eq(a.status, 503);
        ck_assert_str_eq(text_at(a.json, "errors.0.pointer"), "/jail");
        answer_free(&a);
    } else {
        printf("skipped: a_jail_that_ended_stops_the_signs (no jail here)\n");
    }
    daemon_remove(&d);
    notified_close(&n);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watchdog");
    TCase *tc = tcase_create("watchdog");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_daemon_that_is_well_gives_its_signs);
    tcase_add_test(tc, a_worker_that_hangs_stops_the_signs);
    tcase_add_test(tc, a_store_that_hangs_stops_the_signs);
    tcase_add_test(tc, a_jail_that_ended_stops_the_signs);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
