/* What one client may hold, how long it may take, and what is refused at the end. */

#include <errno.h>

#include "http_toy.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))
#define HOST "Host: localhost\r\n"

/* Seconds until the server ends the connection, 99 if it does not within `most`. */
static double seconds_until_cut(int fd, double start, double most)
{
    char bytes[4096];
    while (den_monotonic_s() - start < most) {
        ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return den_monotonic_s() - start;
        toy_sleep(20);
    }
    return 99;
}

static struct den_http_config hasty(void)
{
    struct den_http_config config = toy_config();
    config.timeout_s = 3;
    config.header_s = 1;
    config.body_s = 2;
    config.rate = 100000;
    return config;
}

/* ---- deadlines -----------------------------------------------------------------------
 */

static const struct {
    const char *name, *first; /* what is sent at once */
    const char *drip;         /* and then again every 50 ms */
    double least, most;       /* seconds until it is cut */
} slow[] = {
    {"a connection that says nothing", "", "", 0.9, 2.2},
    {"a request line", "GET /hel", "l", 0.9, 2.2},
    {"headers", "GET /hello HTTP/1.1\r\n" HOST, "X-A: b\r\n", 0.9, 2.2},
    {"a body", "POST /json HTTP/1.1\r\n" HOST "Content-Length: 4000\r\n\r\n", "x", 1.9,
     3.2},
    {"a chunked body",
     "POST /json HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n",
     1.9, 3.2},
    {"a second request line", "GET /hello HTTP/1.1\r\n" HOST "\r\n", "G", 0.9, 2.7},
    {"silence after a request", "GET /hello HTTP/1.1\r\n" HOST "\r\n", "", 2.5, 5.2},
};

START_TEST(who_drips_is_cut_in_time)
{
    struct den_http_config config = hasty();
    toy_open(&config);
    double start = den_monotonic_s(), now = start;
    int fd = toy_connect();
    toy_say(fd, slow[_i].first);
    bool open = true;
    char bytes[4096];
    while (open && now - start < 8) {
        toy_sleep(50);
        ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        open = got != 0 && (got > 0 || errno == EAGAIN) && toy_say(fd, slow[_i].drip);
        now = den_monotonic_s();
    }
    ck_assert_msg(!open && now - start >= slow[_i].least && now - start < slow[_i].most,
                  "%s: %.2f s", slow[_i].name, now - start);
    close(fd);
    toy_teardown();
}
END_TEST

/* 150 kB/s where 100 kB/s earn their time: longer than body_s, and done. */
START_TEST(who_is_steady_may_take_longer)
{
    enum { PIECE = 15000, PIECES = 30 };
    static char piece[PIECE];
    char head[160];
    struct den_http_config config = hasty();
    toy_open(&config);
    int fd = toy_connect();
    den_str_format(head, sizeof head,
                   "POST /files HTTP/1.1\r\n" HOST
                   "Connection: close\r\nContent-Length: %d\r\n\r\n",
                   PIECE * PIECES);
    toy_say(fd, head);
    double start = den_monotonic_s();
    for (int i = 0; i < PIECES; i++) {
        ck_assert_msg(toy_send(fd, piece, PIECE), "cut after %d pieces", i);
        toy_sleep(100);
    }
    char *reply = toy_read_all(fd, NULL);
    expect_status(reply, 201);
    ck_assert_double_gt(den_monotonic_s() - start, 2.5);
    free(reply);
    close(fd);
    toy_teardown();
}
END_TEST

/* The reply is larger than what the kernel keeps for a client that takes a byte at a
 * time. */
START_TEST(who_reads_slowly_is_cut)
{
    const int small = 4096;
    struct den_http_config config = hasty();
    toy_open(&config);
    int fd = toy_connect();
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < 8; i++) /* 8 MiB in all */
        toy_say(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    double start = den_monotonic_s();
    char byte;
    while (den_http_stats(toy.http).connections == 0 && den_monotonic_s() - start < 2)
        toy_sleep(5);
    while (den_http_stats(toy.http).connections > 0 && den_monotonic_s() - start < 8) {
        toy_sleep(50);
        (void)recv(fd, &byte, 1, MSG_DONTWAIT);
    }
    double took = den_monotonic_s() - start;
    ck_assert_msg(took > 1.5 && took < 4.5, "%.2f s", took);
    close(fd);
    toy_teardown();
}
END_TEST

/* ---- shares --------------------------------------------------------------------------
 */

START_TEST(connections_of_one_address_are_limited)
{
    struct den_http_config config = toy_config();
    config.per_address = 3;
    toy_open(&config);
    int held[3];
    for (int i = 0; i < 3; i++) {
        held[i] = toy_connect();
        toy_say(held[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        free(toy_read_one(held[i]));
    }
    int late = toy_connect();
    toy_say(late, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    ck_assert_double_lt(seconds_until_cut(late, den_monotonic_s(), 3), 2);
    close(late);
    close(held[0]);
    toy_sleep(200);
    char *reply = toy_ask("GET /hello", "", "");
    expect_status(reply, 200);
    free(reply);
    close(held[1]);
    close(held[2]);
    toy_teardown();
}
END_TEST

static int open_stream(const char *header, int *ret_status)
{
    char text[300];
    int fd = toy_connect();
    den_str_format(text, sizeof text, "GET /events HTTP/1.1\r\n" HOST "%s\r\n", header);
    toy_say(fd, text);
    char *reply = toy_read_one(fd);
    *ret_status = toy_status(reply);
    if (*ret_status == 429)
        expect_text(reply, "\r\nRetry-After: ");
    free(reply);
    return fd;
}

/* Two streams for each client; the proxy in front is believed, others are not. */
START_TEST(streams_are_shared_among_clients)
{
    static const struct {
        const char *header;
        int with_proxy, without;
    } clients[] = {
        {"X-Real-IP: 192.0.2.1\r\n", 200, 200},
        {"X-Real-IP: 192.0.2.1\r\n", 200, 200},
        {"X-Real-IP: 192.0.2.1\r\n", 429, 429},
        {"X-Real-IP: 192.0.2.2\r\n", 200, 429},
        {"X-Real-IP: 2001:db8::1\r\n", 200, 429},
        {"X-Real-IP: nonsense\r\n", 200, 429},
        {"", 200, 429},
        {"", 429, 429},
    };
    struct den_http_config config = toy_config();
    config.streams_per_client = 2;
    config.proxies = _i == 0 ? "10.0.0.1 127.0.0.1" : "10.0.0.1";
    toy_open(&config);
    int fds[COUNT(clients)];
    for (int i = 0; i < COUNT(clients); i++) {
        int status = 0, want = _i == 0 ? clients[i].with_proxy : clients[i].without;
        fds[i] = open_stream(clients[i].header, &status);
        ck_assert_msg(status == want, "%d: %d, want %d", i, status, want);
    }
    for (int i = 0; i < COUNT(clients); i++)
        close(fds[i]);
    toy_teardown();
}
END_TEST

static bool has_both_families(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any};
    int alone = 0, fd = socket(AF_INET6, SOCK_STREAM, 0);
    socklen_t length = sizeof alone;
    bool has = fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof any) == 0 &&
               getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &alone, &length) == 0 && !alone;
    if (fd >= 0)
        close(fd);
    return has;
}

/* A socket for both families shows an IPv4 peer as ::ffff:127.0.0.1. */
START_TEST(a_proxy_is_known_where_both_families_are_listened_to)
{
    struct den_http_config config = toy_config();
    if (!has_both_families()) {
        puts("skipped: no socket for IPv4 and IPv6 here");
        return;
    }
    config.address = "::";
    config.streams_per_client = 1;
    config.proxies = "127.0.0.1";
    toy_open(&config);
    int status[3] = {0};
    int fds[3] = {open_stream("X-Real-IP: 192.0.2.1\r\n", &status[0]),
                  open_stream("X-Real-IP: 192.0.2.2\r\n", &status[1]),
                  open_stream("X-Real-IP: 192.0.2.2\r\n", &status[2])};
    ck_assert_int_eq(status[0], 200);
    ck_assert_int_eq(status[1], 200);
    ck_assert_int_eq(status[2], 429);
    for (int i = 0; i < COUNT(fds); i++)
        close(fds[i]);
    toy_teardown();
}
END_TEST

/* ---- the end --------------------------------------------------------------------------
 */

static void *stop_it(void *context)
{
    den_http_stop(toy.http, *(unsigned *)context);
    return NULL;
}

START_TEST(while_it_drains_reading_goes_on_and_nothing_new_begins)
{
    static const struct {
        const char *request;
        int status;
    } asks[] = {
        {"GET /hello HTTP/1.1\r\n" HOST "\r\n", 200},
        {"POST /json HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\n{}", 503},
        {"DELETE /things/1 HTTP/1.1\r\n" HOST "\r\n", 503},
        {"POST /files HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 9\r\n"
         "\r\n",
         503},
    };
    unsigned drain_s = 5;
    pthread_t stopper;
    int fds[COUNT(asks)];
    toy_setup();
    for (int i = 0; i < COUNT(asks); i++) {
        fds[i] = toy_connect();
        toy_say(fds[i], "GET /hello HTTP/1.1\r\n" HOST "\r\n");
        free(toy_read_one(fds[i]));
    }
    atomic_store(&toy.slow_ms, 600);
    int slow_one = toy_connect();
    toy_say(slow_one, "GET /slow HTTP/1.1\r\n" HOST "\r\n");
    toy_wait(&toy.started, 1);
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_it, &drain_s), 0);
    while (!den_http_draining(toy.http))
        toy_sleep(1);
    for (int i = 0; i < COUNT(asks); i++) {
        toy_say(fds[i], asks[i].request);
        char *reply = toy_read_all(fds[i], NULL);
        ck_assert_msg(toy_status(reply) == asks[i].status, "%d: %s", i, reply);
        if (asks[i].status == 503)
            expect_text(reply, "going down");
        free(reply);
        close(fds[i]);
    }
    char *reply = toy_read_all(slow_one, NULL);
    expect_status(reply, 200);
    free(reply);
    close(slow_one);
    pthread_join(stopper, NULL);
    den_http_free(toy.http);
    toy.http = NULL;
    toy_teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("limits");
    TCase *tc = tcase_create("limits");
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, who_drips_is_cut_in_time, 0, COUNT(slow));
    tcase_add_test(tc, who_is_steady_may_take_longer);
    tcase_add_test(tc, who_reads_slowly_is_cut);
    tcase_add_test(tc, connections_of_one_address_are_limited);
    tcase_add_loop_test(tc, streams_are_shared_among_clients, 0, 2);
    tcase_add_test(tc, a_proxy_is_known_where_both_families_are_listened_to);
    tcase_add_test(tc, while_it_drains_reading_goes_on_and_nothing_new_begins);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
