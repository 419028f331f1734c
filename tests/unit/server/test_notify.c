/* The protocol of sd_notify(3), and the watchdog, without a daemon. */

#include <stdatomic.h>

#include "notified.h"
#include "notify.h"

static const bool abstract[] = {false, true};

START_TEST(lines_reach_the_socket)
{
    struct notified n;
    char text[256];
    notified_open(&n, abstract[_i], NULL);
    den_notify("READY=1\nSTATUS=here");
    ck_assert_str_eq(notified_next(&n, 1, text, sizeof text), "READY=1\nSTATUS=here");
    notified_close(&n);
    den_notify("READY=1"); /* to nobody */
}
END_TEST

static const char *const no_sockets[] = {"", "@", "tmp/x", "/", "/nowhere/at/all"};

START_TEST(a_socket_that_is_none_does_no_harm)
{
    char longest[400];
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", no_sockets[_i], 1), 0);
    den_notify("READY=1");
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", longest, 1), 0);
    den_notify("READY=1");
}
END_TEST

static bool answer(void *context, struct den_err *err)
{
    const atomic_bool *alive = context;
    return atomic_load(alive) || den_err_set(err, DEN_E_INTERNAL, "it is dead");
}

START_TEST(signs_come_while_the_answer_is_yes)
{
    struct notified n;
    struct den_err err = DEN_ERR_INIT;
    struct den_watchdog *watchdog = NULL;
    atomic_bool alive = true;
    notified_open(&n, true, "40000");
    must(den_watchdog_start(answer, &alive, &watchdog, &err));
    ck_assert_ptr_nonnull(watchdog);
    ck_assert_uint_ge(notified_count(&n, "WATCHDOG=1", 0.5), 5); /* 25 without load */
    atomic_store(&alive, false);
    (void)notified_count(&n, "WATCHDOG=1", 0.2);
    ck_assert_uint_eq(notified_count(&n, "WATCHDOG=1", 0.3), 0);
    atomic_store(&alive, true);
    ck_assert(notified_wait(&n, "WATCHDOG=1", 5));
    den_watchdog_stop(watchdog);
    (void)notified_count(&n, "WATCHDOG=1", 0.1);
    ck_assert_uint_eq(notified_count(&n, "WATCHDOG=1", 0.2), 0);
    notified_close(&n);
}
END_TEST

static const struct {
    const char *micros, *pid;
} not_ours[] = {{NULL, NULL},  {"", NULL},    {"0", NULL},  {"-5", NULL},
                {"1e6", NULL}, {"1000", "1"}, {"1000", "x"}};

START_TEST(a_watchdog_for_somebody_else_is_none)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_watchdog *watchdog = NULL;
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (not_ours[_i].micros != NULL)
        ck_assert_int_eq(setenv("WATCHDOG_USEC", not_ours[_i].micros, 1), 0);
    if (not_ours[_i].pid != NULL)
        ck_assert_int_eq(setenv("WATCHDOG_PID", not_ours[_i].pid, 1), 0);
    must(den_watchdog_start(answer, NULL, &watchdog, &err));
    ck_assert_ptr_null(watchdog);
    den_watchdog_stop(watchdog);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tc = tcase_create("notify");
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, lines_reach_the_socket, 0, COUNT(abstract));
    tcase_add_loop_test(tc, a_socket_that_is_none_does_no_harm, 0, COUNT(no_sockets));
    tcase_add_test(tc, signs_come_while_the_answer_is_yes);
    tcase_add_loop_test(tc, a_watchdog_for_somebody_else_is_none, 0, COUNT(not_ours));
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
