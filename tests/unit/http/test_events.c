/* Server-sent events: what is told arrives, in time, and streams end. */

#include "http_toy.h"

#define HOST "Host: localhost\r\n"
#define ASK "GET /events HTTP/1.1\r\n" HOST "\r\n"

/* Reads until the text holds `words` or seconds have passed; the text grows. */
static bool read_until(int fd, char *text, size_t size, const char *words, double seconds)
{
    double end = den_monotonic_s() + seconds;
    size_t length = strlen(text);
    while (strstr(text, words) == NULL && den_monotonic_s() < end) {
        ssize_t got = recv(fd, text + length, size - length - 1, MSG_DONTWAIT);
        if (got > 0)
            text[length += (size_t)got] = '\0';
        else
            toy_sleep(2);
    }
    return strstr(text, words) != NULL;
}

/* Not with the next second: of nine tries, whose answers would lie all over it, five come
 * within a fifth of it, and a busy machine may hold up the others. */
START_TEST(the_headers_come_at_once)
{
    int soon = 0;
    for (int i = 0; i < 9; i++) {
        char text[2000] = "";
        int fd = toy_connect();
        double start = den_monotonic_s();
        toy_say(fd, ASK);
        ck_assert_msg(read_until(fd, text, sizeof text, "\r\n\r\n", 5), "%s", text);
        soon += den_monotonic_s() - start < 0.2;
        expect_status(text, 200);
        expect_text(text, "Content-Type: text/event-stream");
        expect_text(text, "Cache-Control: no-cache\r\n");
        expect_text(text, "X-Accel-Buffering: no");
        close(fd);
    }
    ck_assert_int_ge(soon, 5);
}
END_TEST

START_TEST(a_wake_brings_events_before_the_next_second)
{
    char text[4000] = "", want[32];
    int fd = toy_connect();
    toy_say(fd, ASK);
    ck_assert(read_until(fd, text, sizeof text, "\r\n\r\n", 2));
    for (int i = 1; i <= 10; i++) {
        toy_sleep(30);
        double start = den_monotonic_s();
        atomic_store(&toy.events, i);
        den_http_wake(toy.http);
        den_str_format(want, sizeof want, "data: %d\n\n", i);
        ck_assert_msg(read_until(fd, text, sizeof text, want, 3), "%s in %s", want, text);
        ck_assert_double_lt(den_monotonic_s() - start, 0.5);
    }
    ck_assert_uint_eq(toy_count(text, "data: "), 10); /* each once */
    close(fd);
}
END_TEST

/* Milliseconds for three events, each told when the one before has arrived. */
static double three_in_a_row(int fd, char *text, size_t size, int *from)
{
    char want[32];
    toy_sleep(300); /* the server has been quiet */
    double start = den_monotonic_s();
    for (int i = 0; i < 3; i++) {
        atomic_store(&toy.events, ++*from);
        den_http_wake(toy.http);
        den_str_format(want, sizeof want, "data: %d\n\n", *from);
        ck_assert_msg(read_until(fd, text, size, want, 3), "%s in %s", want, text);
    }
    return 1e3 * (den_monotonic_s() - start);
}

/* The best of some tries, because the machine may be busy; a pause of 20 ms between two
 * events would show in every one of them. */
START_TEST(a_few_events_in_a_row_do_not_wait_for_each_other)
{
    char text[4000] = "";
    int fd = toy_connect(), last = 0;
    toy_say(fd, ASK);
    ck_assert(read_until(fd, text, sizeof text, "\r\n\r\n", 2));
    double best = 1e9;
    for (int i = 0; i < 8 && best >= 30; i++) {
        double took = three_in_a_row(fd, text, sizeof text, &last);
        best = took < best ? took : best;
    }
    ck_assert_double_lt(best, 30);
    close(fd);
}
END_TEST

START_TEST(without_a_wake_events_come_within_two_seconds)
{
    char text[4000] = "";
    int fd = toy_connect();
    toy_say(fd, ASK);
    ck_assert(read_until(fd, text, sizeof text, "\r\n\r\n", 2));
    atomic_store(&toy.events, 1);
    ck_assert(read_until(fd, text, sizeof text, "data: 1", 2));
    close(fd);
}
END_TEST

START_TEST(a_stream_ends_when_it_is_done_and_the_connection_goes_on)
{
    char text[4000] = "";
    int fd = toy_connect();
    atomic_store(&toy.events, 3);
    atomic_store(&toy.finish, true);
    toy_say(fd, ASK);
    ck_assert(read_until(fd, text, sizeof text, "\r\n0\r\n\r\n", 3));
    ck_assert_uint_eq(toy_count(text, "data: "), 3);
    toy_wait(&toy.released, 1);
    toy_say(fd, "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    char *reply = toy_read_all(fd, NULL);
    expect_status(reply, 200);
    free(reply);
    close(fd);
}
END_TEST

START_TEST(many_events_at_once_arrive_whole)
{
    enum { EVENTS = 20000 };
    size_t length = 0;
    int fd = toy_connect();
    atomic_store(&toy.events, EVENTS);
    atomic_store(&toy.finish, true);
    toy_say(fd, "GET /events HTTP/1.0\r\n" HOST "\r\n"); /* no chunks to look through */
    char *all = toy_read_all(fd, &length);
    expect_status(all, 200);
    ck_assert_uint_eq(toy_count(all, "data: "), EVENTS);
    ck_assert(den_str_ends(all, "data: 20000\n\n"));
    free(all);
    close(fd);
}
END_TEST

START_TEST(a_client_that_leaves_is_noticed)
{
    char text[2000] = "";
    for (int i = 0; i < 6; i++) {
        int fd = toy_connect();
        toy_say(fd, ASK);
        text[0] = '\0';
        ck_assert(read_until(fd, text, sizeof text, "\r\n\r\n", 2));
        const struct linger reset = {.l_onoff = 1};
        if (i % 2 == 1)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    toy_wait(&toy.released, 6);
    ck_assert_uint_eq(den_http_stats(toy.http).streams, 0);
}
END_TEST

START_TEST(HEAD_of_a_stream_ends_at_once)
{
    char *reply = toy_ask("HEAD /events", "", "");
    expect_status(reply, 200);
    expect_text(reply, "text/event-stream");
    free(reply);
    toy_wait(&toy.released, 1);
}
END_TEST

static void *wake_often(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) {
        atomic_fetch_add(&toy.events, 1);
        den_http_wake(toy.http);
        toy_sleep(1);
    }
    return NULL;
}

/* More streams than allowed, events from another thread, plain requests in between:
 * nobody stalls, nobody misses an event. */
START_TEST(streams_up_to_the_cap_get_every_event)
{
    enum { CAP = 256, EXTRA = 3, BUFFER = 65536 };
    static int fds[CAP];
    static char text[CAP][BUFFER];
    pthread_t waker;
    atomic_bool stop = false;
    for (int i = 0; i < CAP; i++) {
        fds[i] = toy_connect();
        ck_assert(toy_say(fds[i], ASK));
    }
    for (int i = 0; i < CAP; i++)
        ck_assert(read_until(fds[i], text[i], BUFFER, "\r\n\r\n", 5));
    for (int i = 0; i < EXTRA; i++) {
        char *reply = toy_ask("GET /events", "", "");
        expect_status(reply, 503);
        expect_text(reply, "too_many_streams");
        expect_text(reply, "there are 256 event streams open and no more are allowed");
        expect_text(reply, "Retry-After");
        free(reply);
    }
    ck_assert_int_eq(atomic_load(&toy.released), EXTRA);
    ck_assert_int_eq(pthread_create(&waker, NULL, wake_often, &stop), 0);
    double worst = 0;
    for (int i = 0; i < 100; i++) {
        double start = den_monotonic_s();
        char *reply = toy_ask("GET /hello", "", "");
        expect_status(reply, 200);
        free(reply);
        double took = den_monotonic_s() - start;
        worst = took > worst ? took : worst;
    }
    atomic_store(&stop, true);
    pthread_join(waker, NULL);
    ck_assert_double_lt(worst, 1);
    char last[32];
    den_str_format(last, sizeof last, "data: %d\n\n", atomic_load(&toy.events));
    for (int i = 0; i < CAP; i++) {
        ck_assert_msg(read_until(fds[i], text[i], BUFFER, last, 5), "stream %d", i);
        ck_assert_uint_eq(toy_count(text[i], "data: "), (size_t)atomic_load(&toy.events));
        close(fds[i]);
    }
    toy_wait(&toy.released, CAP + EXTRA);
}
END_TEST

START_TEST(stopping_ends_the_streams_with_their_last_event)
{
    enum { STREAMS = 20 };
    int fds[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        char text[2000] = "";
        fds[i] = toy_connect();
        toy_say(fds[i], ASK);
        ck_assert(read_until(fds[i], text, sizeof text, "\r\n\r\n", 3));
    }
    atomic_store(&toy.events, 1);
    double start = den_monotonic_s();
    toy_close(10);
    ck_assert_double_lt(den_monotonic_s() - start, 2); /* no stream holds it up */
    ck_assert_int_eq(atomic_load(&toy.released), STREAMS);
    for (int i = 0; i < STREAMS; i++) {
        char *rest = toy_read_all(fds[i], NULL);
        expect_text(rest, "data: 1\n\n");
        expect_text(rest, "0\r\n\r\n");
        free(rest);
        close(fds[i]);
    }
}
END_TEST

START_TEST(a_silent_stream_gets_a_comment)
{
    struct den_http_config config = toy_config();
    char text[4000] = "";
    config.ping_s = 1;
    toy_open(&config);
    int fd = toy_connect();
    toy_say(fd, ASK);
    ck_assert(read_until(fd, text, sizeof text, ": ping\n\n", 4));
    close(fd);
    toy_teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *tc = tcase_create("events");
    tcase_set_timeout(tc, 40);
    tcase_add_checked_fixture(tc, toy_setup, toy_teardown);
    tcase_add_test(tc, the_headers_come_at_once);
    tcase_add_test(tc, a_wake_brings_events_before_the_next_second);
    tcase_add_test(tc, a_few_events_in_a_row_do_not_wait_for_each_other);
    tcase_add_test(tc, without_a_wake_events_come_within_two_seconds);
    tcase_add_test(tc, a_stream_ends_when_it_is_done_and_the_connection_goes_on);
    tcase_add_test(tc, many_events_at_once_arrive_whole);
    tcase_add_test(tc, a_client_that_leaves_is_noticed);
    tcase_add_test(tc, HEAD_of_a_stream_ends_at_once);
    tcase_add_test(tc, streams_up_to_the_cap_get_every_event);
    tcase_add_test(tc, stopping_ends_the_streams_with_their_last_event);
    suite_add_tcase(suite, tc);
    tc = tcase_create("own server");
    tcase_add_test(tc, a_silent_stream_gets_a_comment);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
