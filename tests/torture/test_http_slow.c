/* Many clients that say nothing, or drip, or take nothing: each is cut when its time is
 * over, and honest clients do not notice. */

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "daemon.h"
#include "den_check.h"
#include "str.h"
#include "wire.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define HOST "Host: localhost\r\n"

enum { MOST = 1000, SAMPLES = 20000, TICK_MS = 250 };

/* What each kind sends at once, then with each tick, and how long it may take. */
enum limit { HEADER, BODY, REPLY };
static const struct {
    const char *name, *first, *drip;
    enum limit limit;
} kinds[] = {
    {"silent", "", "", HEADER},
    {"request line", "GET /heal", "t", HEADER},
    {"headers", "GET /healthz HTTP/1.1\r\n" HOST, "X-A: b\r\n", HEADER},
    {"JSON", "POST /v1/jobs HTTP/1.1\r\n" HOST "Content-Length: 9000\r\n\r\n{", " ",
     BODY},
    {"upload", "POST /v1/images HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n",
     "II*", BODY},
    {"chunks", "POST /v1/jobs HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
     "1\r\n \r\n", BODY},
    {"reader", NULL, "", REPLY},
};

struct client {
    int fd;
    double start, ended; /* ended 0: still open */
};

static struct {
    struct daemon daemon;
    unsigned port;
    double header_s, body_s;
    size_t clients;
    struct client all[MOST];
} t;

static void setup(void)
{
    bool full = test_full();
    static const char *const hasty[] = {"--header-timeout-s",
                                        "2",
                                        "--body-timeout-s",
                                        "4",
                                        "--idle-timeout-s",
                                        "4",
                                        "--max-connections",
                                        "4000",
                                        NULL};
    static const char *const usual[] = {"--max-connections", "4000", NULL};
    ck_assert(wire_raise_files((size_t)2 * MOST));
    t.clients = full ? MOST : 105;
    t.header_s = full ? 10 : 2;
    t.body_s = full ? 60 : 4;
    daemon_start(&t.daemon, full ? usual : hasty);
    t.port = wire_port(t.daemon.url);
}

static void teardown(void)
{
    daemon_remove(&t.daemon);
}

/* ---- honest clients -------------------------------------------------------------------
 */

struct honest {
    pthread_t thread;
    atomic_bool stop;
    double took[SAMPLES];
    size_t count, failed;
};

static int by_size(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double share(struct honest *h, double part)
{
    qsort(h->took, h->count, sizeof h->took[0], by_size);
    return h->count == 0 ? 0 : h->took[(size_t)(part * (double)(h->count - 1))];
}

/* A new connection for each request, 100 of them a second. */
static void *be_honest(void *context)
{
    static const char ask[] =
        "GET /healthz HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    struct honest *h = context;
    while (!atomic_load(&h->stop) && h->count < SAMPLES) {
        double start = den_monotonic_s();
        struct wire w = wire_exchange(t.port, ask, sizeof ask - 1, 30);
        h->failed += w.count != 1 || w.status[0] != 200;
        h->took[h->count++] = den_monotonic_s() - start;
        wire_free(&w);
        (void)usleep(10000);
    }
    return NULL;
}

static void honest_start(struct honest *h)
{
    *h = (struct honest){.count = 0};
    ck_assert_int_eq(pthread_create(&h->thread, NULL, be_honest, h), 0);
}

static void honest_stop(struct honest *h)
{
    atomic_store(&h->stop, true);
    (void)pthread_join(h->thread, NULL);
    ck_assert_uint_eq(h->failed, 0);
}

/* ---- slow clients ---------------------------------------------------------------------
 */

/* Small segments and a small window: the kernel does not take the reply in its stead. */
static int connect_small(void)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)t.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int segment = 1400, window = 4096;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void begin(size_t i)
{
    static const char ask[] = "GET /openapi.yaml HTTP/1.1\r\n" HOST "\r\n";
    const char *first = kinds[i % COUNT(kinds)].first;
    struct client *c = &t.all[i];
    c->fd = first == NULL ? connect_small() : wire_connect(t.port);
    ck_assert_int_ge(c->fd, 0);
    c->start = den_monotonic_s();
    c->ended = 0;
    if (first != NULL)
        (void)wire_send(c->fd, first, strlen(first));
    for (int n = 0; first == NULL && n < 100; n++) /* far more than buffers hold */
        (void)wire_send(c->fd, ask, sizeof ask - 1);
}

static bool is_reader(size_t i)
{
    return kinds[i % COUNT(kinds)].limit == REPLY;
}

/* The end of a reply comes behind what a slow reader has not read, so that one is asked
 * of the daemon: see end_readers. */
static bool is_cut(size_t i)
{
    char bytes[512];
    if (is_reader(i)) {
        (void)recv(t.all[i].fd, bytes, 1, MSG_DONTWAIT);
        return false;
    }
    ssize_t got = recv(t.all[i].fd, bytes, sizeof bytes, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

static void tick(size_t i)
{
    struct client *c = &t.all[i];
    const char *drip = kinds[i % COUNT(kinds)].drip;
    if (c->ended <= 0 && (is_cut(i) || (drip[0] != '\0' && send(c->fd, drip, strlen(drip),
                                                                MSG_NOSIGNAL) < 0)))
        c->ended = den_monotonic_s();
}

/* Connections that the daemon has, by its own count. */
static unsigned open_connections(void)
{
    static const char ask[] =
        "GET /metrics HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    static const char name[] = "\ndenoised_http_connections ";
    struct wire w = wire_exchange(t.port, ask, sizeof ask - 1, 10);
    const char *at = strstr(w.data, name);
    char digits[12] = "";
    int64_t value = 0;
    ck_assert_ptr_nonnull(at);
    at += strlen(name);
    (void)snprintf(digits, sizeof digits, "%.*s", (int)strspn(at, "0123456789"), at);
    ck_assert(den_parse_int(digits, 0, 1000000, &value, NULL));
    wire_free(&w);
    return (unsigned)value;
}

/* What a reader's window takes earns it time: it is given a second's worth of bytes. */
static double limit_of(size_t kind)
{
    return kinds[kind].limit == HEADER ? t.header_s
           : kinds[kind].limit == BODY ? t.body_s
                                       : t.body_s + 1;
}

/* How many readers the daemon still has follows from its own count: beside them there are
 * the honest client, this question, and the others that are open.  Those that began first
 * are the first to be gone. */
static void end_readers(size_t readers, size_t others)
{
    size_t open = open_connections(), here = others + 2;
    size_t gone = open > here + readers ? 0 : readers - (open > here ? open - here : 0);
    for (size_t i = 0; i < t.clients && gone > 0; i++)
        if (is_reader(i) && t.all[i].ended <= 0) {
            t.all[i].ended = den_monotonic_s();
            gone--;
        }
}

static size_t run_all(double longest)
{
    size_t left = t.clients;
    double start = den_monotonic_s();
    while (left > 0 && den_monotonic_s() - start < longest) {
        size_t readers = 0;
        (void)usleep(TICK_MS * 1000);
        left = 0;
        for (size_t i = 0; i < t.clients; i++) {
            tick(i);
            left += t.all[i].ended <= 0;
            readers += t.all[i].ended <= 0 && is_reader(i);
        }
        if (readers > 0 && den_monotonic_s() - start > t.body_s - 1)
            end_readers(readers, left - readers);
    }
    return left;
}

static void report(void)
{
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        double worst = 0, first = 1e9;
        size_t count = 0;
        for (size_t i = kind; i < t.clients; i += COUNT(kinds), count++) {
            double took = t.all[i].ended - t.all[i].start;
            worst = took > worst ? took : worst;
            first = took < first ? took : first;
        }
        printf("slow %s: %zu cut after %.1f to %.1f s (limit %.0f s)\n", kinds[kind].name,
               count, first, worst, limit_of(kind));
        /* A tick of ours, and what a reader's kernel had taken, are not the server's. */
        ck_assert_msg(worst <= limit_of(kind) + 1 + 2 * TICK_MS / 1e3, "%s: %.2f s",
                      kinds[kind].name, worst);
        ck_assert_msg(first >= 0.5 * t.header_s, "%s: %.2f s", kinds[kind].name, first);
    }
}

static struct honest before, during, after;

START_TEST(slow_clients_are_cut_and_honest_ones_do_not_notice)
{
    honest_start(&before);
    (void)usleep(test_full() ? 10000000 : 1000000);
    honest_stop(&before);
    for (size_t i = 0; i < t.clients; i++)
        begin(i);
    honest_start(&during);
    ck_assert_uint_ge(open_connections(), t.clients / 2);
    size_t left = run_all(t.body_s + 15);
    honest_stop(&during);
    ck_assert_uint_eq(left, 0);
    report();
    for (size_t i = 0; i < t.clients; i++)
        close(t.all[i].fd);
    honest_start(&after);
    (void)usleep(test_full() ? 10000000 : 1000000);
    honest_stop(&after);
    ck_assert_uint_le(open_connections(), 4);
    double alone = share(&before, 0.99), again = share(&after, 0.99);
    double with = share(&during, 0.99), base = alone > again ? alone : again;
    printf("honest p50/p99 ms: %.1f/%.1f before, %.1f/%.1f beside %zu slow ones, "
           "%.1f/%.1f after; %zu requests, 0 failed\n",
           1e3 * share(&before, 0.5), 1e3 * alone, 1e3 * share(&during, 0.5), 1e3 * with,
           t.clients, 1e3 * share(&after, 0.5), 1e3 * again,
           before.count + during.count + after.count);
    (void)fflush(stdout); /* a failed test tells its figures as well */
    /* 20 ms are a turn of other programs on a machine that is not ours alone. */
    ck_assert_msg(with <= 2 * base + 0.02, "p99 %.1f ms, was %.1f", 1e3 * with,
                  1e3 * base);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http slow");
    TCase *tc = tcase_create("slow");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, slow_clients_are_cut_and_honest_ones_do_not_notice);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
