/* Connections and the life of the server: keep-alive, slow routes, many clients, clients
 * that drip or leave, memory that fails, and the end. */

#include "http_toy.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))
#define HOST "Host: localhost\r\n"

/* ---- connections
 * -------------------------------------------------------------------------- */

START_TEST(a_connection_serves_many_requests_and_survives_small_refusals)
{
    static const struct {
        const char *request;
        int status;
    } story[] = {
        {"GET /hello HTTP/1.1\r\n" HOST "\r\n", 200},
        {"GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404},
        {"POST /nothing HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 404},
        {"POST /json HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 200},
        {"PUT /json HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
         405},
        {"GET /slow HTTP/1.1\r\n" HOST "\r\n", 200},
        {"GET /fail HTTP/1.1\r\n" HOST "\r\n", 409},
        {"GET /file HTTP/1.1\r\n" HOST "Range: bytes=1-2\r\n\r\n", 206},
        {"GET /hello HTTP/1.1\r\n" HOST "X-Say: last\r\n\r\n", 200},
    };
    int fd = toy_connect();
    for (int i = 0; i < COUNT(story); i++) {
        ck_assert(toy_say(fd, story[i].request));
        char *reply = toy_read_one(fd);
        ck_assert_msg(toy_status(reply) == story[i].status, "%d: %s", i, reply);
        free(reply);
    }
    close(fd);
}
END_TEST

START_TEST(requests_sent_ahead_are_answered_in_order)
{
    int fd = toy_connect();
    toy_say(fd, "GET /slow HTTP/1.1\r\n" HOST "X-Say: 1\r\n\r\n"
                "GET /hello HTTP/1.1\r\n" HOST "X-Say: 2\r\n\r\n"
                "GET /slow HTTP/1.1\r\n" HOST "X-Say: 3\r\nConnection: close\r\n\r\n");
    char *all = toy_read_all(fd, NULL);
    close(fd);
    const char *one = strstr(all, "slow[1]"), *two = strstr(all, "hello[2]");
    const char *three = strstr(all, "slow[3]");
    ck_assert_msg(one != NULL && two != NULL && three != NULL, "%s", all);
    ck_assert(one < two && two < three);
    free(all);
}
END_TEST

/* Sends without reading the answer. */
static int begin(const char *path)
{
    char text[80];
    den_str_format(text, sizeof text, "GET %s HTTP/1.1\r\n" HOST "\r\n", path);
    int fd = toy_connect();
    ck_assert(toy_say(fd, text));
    return fd;
}

/* `count` requests that sleep for long are begun, then another; how many of them have
 * been answered when that one is. */
static int answered_before(const char *path, int count, const char *other)
{
    enum { MOST = 8 };
    int fds[MOST];
    atomic_store(&toy.slow_ms, 400); /* long, also on a busy machine */
    atomic_store(&toy.started, 0);
    atomic_store(&toy.slept, 0);
    for (int i = 0; i < count; i++)
        fds[i] = begin(path);
    while (atomic_load(&toy.started) == 0)
        toy_sleep(1);
    int fd = begin(other);
    char *reply = toy_read_one(fd);
    int slept = atomic_load(&toy.slept);
    expect_status(reply, 200);
    free(reply);
    close(fd);
    for (int i = 0; i < count; i++) {
        reply = toy_read_one(fds[i]);
        expect_status(reply, 200);
        free(reply);
        close(fds[i]);
    }
    return slept;
}

START_TEST(who_waits_or_computes_holds_nobody_up)
{
    ck_assert_int_eq(answered_before("/slow", 3, "/hello"), 0);
    ck_assert_int_eq(answered_before("/waits", 3, "/hello"), 0);
    ck_assert_int_eq(answered_before("/slow", 3, "/aside"), 0);
    atomic_store(&toy.busy, true);
    ck_assert_int_eq(answered_before("/reads", 3, "/hello"), 0);
    atomic_store(&toy.busy, false); /* said in error: then they do */
    ck_assert_int_gt(answered_before("/reads", 3, "/hello"), 0);
}
END_TEST

static void *one_client(void *context)
{
    int number = *(const int *)context;
    char say[64], want[64], *reply;
    static const char *const paths[] = {"GET /hello", "GET /slow", "POST /slowjson"};
    for (int i = 0; i < 6; i++) {
        den_str_format(say, sizeof say, "X-Say: %d-%d\r\n", number, i);
        den_str_format(want, sizeof want, "[%d-%d]", number, i);
        reply = toy_ask(paths[i % 3], say, "");
        expect_status(reply, 200);
        if (i % 3 != 2)
            expect_text(reply, want);
        free(reply);
    }
    return NULL;
}

START_TEST(fifty_clients_at_once_each_get_their_own_answers)
{
    enum { CLIENTS = 50 };
    pthread_t threads[CLIENTS];
    int numbers[CLIENTS];
    atomic_store(&toy.slow_ms, 2);
    for (int i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, one_client, &numbers[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    struct den_http_stats stats = den_http_stats(toy.http);
    ck_assert_uint_eq(stats.requests[2], CLIENTS * 6UL);
    ck_assert_uint_eq(stats.requests[5], 0);
}
END_TEST

START_TEST(a_slow_route_holds_up_nobody_else)
{
    int slow_ms = test_sanitized() ? 4000 : 700;
    atomic_store(&toy.slow_ms, slow_ms);
    int slow = toy_connect();
    toy_say(slow, "GET /slow HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    toy_wait(&toy.started, 1);
    double start = den_monotonic_s();
    for (int i = 0; i < 20; i++) {
        char *reply = toy_ask("GET /hello", "", "");
        expect_status(reply, 200);
        free(reply);
    }
    ck_assert_double_lt(den_monotonic_s() - start, 0.9e-3 * slow_ms);
    char *reply = toy_read_all(slow, NULL);
    expect_status(reply, 200);
    free(reply);
    close(slow);
}
END_TEST

START_TEST(a_client_that_leaves_a_slow_route_harms_nobody)
{
    for (int i = 0; i < 10; i++) {
        int fd = toy_connect();
        toy_say(fd, "GET /slow HTTP/1.1\r\n" HOST "\r\n");
        if (i % 2 == 0)
            toy_wait(&toy.started, 1);
        const struct linger reset = {.l_onoff = 1}; /* close sends RST */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    char *reply = toy_ask("GET /slow", "", "");
    expect_status(reply, 200);
    free(reply);
}
END_TEST

START_TEST(more_connections_than_allowed_wait_their_turn)
{
    struct den_http_config config = toy_config();
    config.connections = 4;
    toy_open(&config);
    int held[4], late = -1;
    for (int i = 0; i < 4; i++) {
        held[i] = toy_connect();
        toy_say(held[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        char *reply = toy_read_one(held[i]);
        expect_status(reply, 200);
        free(reply);
    }
    late = toy_connect();
    toy_say(late, "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    toy_sleep(150);
    char byte;
    ck_assert_int_eq(recv(late, &byte, 1, MSG_DONTWAIT), -1);
    ck_assert_uint_eq(den_http_stats(toy.http).connections, 4);
    close(held[0]);
    char *reply = toy_read_all(late, NULL);
    expect_status(reply, 200);
    free(reply);
    close(late);
    for (int i = 1; i < 4; i++)
        close(held[i]);
    toy_teardown();
}
END_TEST

/* One byte every 100 ms: never idle, never done. */
START_TEST(a_dripping_client_is_cut)
{
    struct den_http_config config = toy_config();
    config.timeout_s = 20;
    config.header_s = 1;
    toy_open(&config);
    const char *slow = "GET /hello HTTP/1.1\r\n" HOST "X-Drip: ";
    double start = den_monotonic_s();
    int fd = toy_connect();
    ck_assert(toy_say(fd, slow));
    char byte;
    bool open = true;
    while (open && den_monotonic_s() - start < 6) {
        toy_sleep(100);
        open = toy_say(fd, "x") && recv(fd, &byte, 1, MSG_DONTWAIT) != 0;
    }
    ck_assert_double_ge(den_monotonic_s() - start, 0.9);
    ck_assert_double_lt(den_monotonic_s() - start, 4);
    close(fd);
    toy_teardown();
}
END_TEST

/* ---- the end
 * ---------------------------------------------------------------------------- */

static void *stop_it(void *context)
{
    den_http_stop(toy.http, *(unsigned *)context);
    return NULL;
}

/* The socket is closed a moment after the drain has begun. */
static bool refuses_soon(void)
{
    int fd = toy_connect();
    for (int i = 0; i < 50 && fd >= 0; i++) {
        close(fd);
        toy_sleep(10);
        fd = toy_connect();
    }
    return fd < 0;
}

START_TEST(stopping_lets_requests_under_way_end_and_refuses_new_ones)
{
    unsigned drain_s = 20;
    pthread_t stopper;
    int kept = toy_connect(), slow[4];
    toy_say(kept, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    free(toy_read_one(kept));
    atomic_store(&toy.slow_ms, 700); /* long, also on a busy machine */
    for (int i = 0; i < 4; i++) {    /* two run, two wait for a side thread */
        slow[i] = toy_connect();
        toy_say(slow[i], "GET /slow HTTP/1.1\r\n" HOST "\r\n");
    }
    toy_wait(&toy.started, 2);
    toy_sleep(50);
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_it, &drain_s), 0);
    while (!den_http_draining(toy.http))
        toy_sleep(1);
    ck_assert(refuses_soon());
    toy_say(kept,
            "GET /hello HTTP/1.1\r\n" HOST "\r\n"); /* an open connection is served */
    char *reply = toy_read_all(kept, NULL);
    expect_status(reply, 200);
    expect_text(reply, "Connection: close");
    free(reply);
    for (int i = 0; i < 4; i++) {
        reply = toy_read_all(slow[i], NULL);
        expect_status(reply, 200);
        free(reply);
        close(slow[i]);
    }
    pthread_join(stopper, NULL);
    ck_assert_int_eq(atomic_load(&toy.handled), 1 + 4 + 1);
    close(kept);
    den_http_wake(toy.http); /* harmless until it is freed */
    ck_assert_uint_eq(den_http_stats(toy.http).connections, 0);
    den_http_free(toy.http);
    toy.http = NULL;
    toy_teardown();
}
END_TEST

START_TEST(stopping_waits_no_longer_than_it_was_told)
{
    int silent = toy_connect(), half = toy_connect();
    toy_say(half, "POST /json HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n{");
    toy_sleep(100);
    double start = den_monotonic_s();
    toy_close(1);
    double took = den_monotonic_s() - start;
    ck_assert_double_ge(took, 0.9);
    ck_assert_double_lt(took, 3);
    close(silent);
    close(half);
    toy_teardown();
}
END_TEST

START_TEST(a_port_in_use_is_told)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_http *http = NULL;
    struct den_http_config config = toy_config();
    config.started = NULL;
    config.port = (uint16_t)toy.port;
    must_fail(den_http_start(&config, &http, &err), DEN_E_IO, "in use");
    ck_assert_ptr_null(http);
    config.address = "nowhere";
    must_fail(den_http_start(&config, &http, &err), DEN_E_INVALID, "nowhere");
    config.port = 0;
    config.address = "::1";
    if (den_http_start(&config, &http, &err)) { /* unless there is no IPv6 here */
        ck_assert_uint_ne(den_http_port(http), 0);
        den_http_stop(http, 0);
        den_http_free(http);
    }
}
END_TEST

/* Whatever allocation fails, a request gets an answer or the end of its connection, and
 * the server goes on. */
START_TEST(running_out_of_memory_ends_requests_not_the_server)
{
    static const char *const asks[] = {
        "GET /hello", "GET /things/1/parts/2",     "GET /file?name=x",
        "GET /slow",  "GET /query?limit=1&name=2", "GET /nothing"};
    atomic_store(&toy.slow_ms, 0);
    int good = 0;
    for (int i = 0; i < COUNT(asks); i++)
        for (size_t n = 1; n < 30; n++) {
            den_mem_fail_at(n);
            char *reply = toy_ask(asks[i], "", "");
            den_mem_fail_at(0);
            int status = toy_status(reply);
            ck_assert_msg(status == -1 || status == 200 || status == 404 ||
                              status == 500 || status == 503,
                          "%s, allocation %zu: %.200s", asks[i], n, reply);
            good += status == 200;
            free(reply);
        }
    ck_assert_int_gt(good, 20); /* the later allocations do not exist */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("server");
    TCase *tc = tcase_create("served");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, toy_setup, toy_teardown);
    tcase_add_test(tc, a_connection_serves_many_requests_and_survives_small_refusals);
    tcase_add_test(tc, requests_sent_ahead_are_answered_in_order);
    tcase_add_test(tc, who_waits_or_computes_holds_nobody_up);
    tcase_add_test(tc, fifty_clients_at_once_each_get_their_own_answers);
    tcase_add_test(tc, a_slow_route_holds_up_nobody_else);
    tcase_add_test(tc, a_client_that_leaves_a_slow_route_harms_nobody);
    tcase_add_test(tc, a_port_in_use_is_told);
    tcase_add_test(tc, running_out_of_memory_ends_requests_not_the_server);
    suite_add_tcase(suite, tc);
    tc = tcase_create("own server");
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, more_connections_than_allowed_wait_their_turn);
    tcase_add_test(tc, a_dripping_client_is_cut);
    suite_add_tcase(suite, tc);
    tc = tcase_create("the end");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, toy_setup, NULL);
    tcase_add_test(tc, stopping_lets_requests_under_way_end_and_refuses_new_ones);
    tcase_add_test(tc, stopping_waits_no_longer_than_it_was_told);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
