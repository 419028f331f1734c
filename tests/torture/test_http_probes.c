/* Requests that two readers could split in two ways, sent to the daemon and to nginx in
 * front of it.  Each hides a request for /v1/smuggled where one of the readings would
 * find it.  What is found must be answered to him who sent it, and to nobody else. */

#include <string.h>

#include "buf.h"
#include "daemon.h"
#include "den_check.h"
#include "front.h"
#include "fs.h"
#include "mem.h"
#include "str.h"
#include "wire.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))
#define HOST "Host: localhost\r\n"
#define SMUGGLED "GET /v1/smuggled HTTP/1.1\r\n" HOST "\r\n"

static struct daemon d;
static struct front front;
static unsigned target; /* where probes go: the daemon or nginx */
static bool direct;
static struct {
    unsigned probes, refused, answered, canaries, left_over;
    unsigned told; /* answers about /v1/smuggled that came back to the sender */
} counts;

static void setup(void)
{
    static const char *const args[] = {"--log-level", "debug", "--header-timeout-s", "3",
                                       NULL};
    memset(&counts, 0, sizeof counts);
    daemon_start(&d, args);
    target = wire_port(d.url);
    direct = true;
}

static void teardown(void)
{
    front_stop(&front);
    daemon_remove(&d);
}

/* ---- one probe -----------------------------------------------------------------------
 */

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        count++;
    return count;
}

/* Somebody else, right behind: the answer must be the one to this very request. */
static void ask_as_another(const char *why)
{
    char text[200], id[48], want[80];
    (void)snprintf(id, sizeof id, "canary-%u", ++counts.canaries);
    (void)snprintf(want, sizeof want, "\r\nX-Request-Id: %s\r\n", id);
    (void)snprintf(text, sizeof text,
                   "GET /v1/none HTTP/1.1\r\n" HOST
                   "X-Request-Id: %s\r\nConnection: close\r\n\r\n",
                   id);
    struct wire w = wire_exchange(target, text, strlen(text), 10);
    ck_assert_msg(w.count == 1 && w.status[0] == 404 && strstr(w.data, want) != NULL &&
                      strstr(w.data, "/v1/none") != NULL,
                  "after '%s' another client got: %s", why, w.data);
    wire_free(&w);
}

/* refuse: a direct answer must be one refusal and the end. */
static void probe_bytes(const char *name, const char *data, size_t length, bool refuse)
{
    struct wire w = wire_exchange(target, data, length, 6);
    counts.probes++;
    counts.told += (unsigned)occurrences(w.data, "/v1/smuggled");
    counts.left_over += w.left_over > 0;
    counts.refused += w.count == 1 && w.status[0] >= 400;
    counts.answered += w.count > 1 || (w.count == 1 && w.status[0] < 400);
    for (unsigned i = 0; i < w.count && i < WIRE_ANSWERS; i++)
        ck_assert_msg(w.status[i] < 500 || w.status[i] == 501 || w.status[i] == 505,
                      "%s: %s", name, w.data);
    if (direct && refuse) {
        ck_assert_msg(w.closed, "%s: the connection stays: %s", name, w.data);
        ck_assert_msg(w.count <= 1, "%s: %u answers: %s", name, w.count, w.data);
        ck_assert_msg(w.count == 0 || w.status[0] >= 400, "%s: %s", name, w.data);
        ck_assert_msg(strstr(w.data, "/v1/smuggled") == NULL, "%s: %s", name, w.data);
    }
    wire_free(&w);
    if (!direct || counts.probes % 8 == 0)
        ask_as_another(name);
}

static void probe(const char *text, bool refuse)
{
    probe_bytes(text, text, strlen(text), refuse);
}

/* ---- tables --------------------------------------------------------------------------
 */

/* Header lines that make the length of a body a matter of opinion. */
static const char *const framings[] = {
    "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: 0\r\nContent-Length: 52\r\n",
    "Content-Length: 52\r\nContent-Length: 0\r\n",
    "Content-Length: 5\r\nContent-Length: 5\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: 0, 52\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: -5\r\n",
    "Content-Length: 0x5\r\n",
    "Content-Length: 5 5\r\n",
    "Content-Length: 5;\r\n",
    "Content-Length: 5.0\r\n",
    "Content-Length: 5e0\r\n",
    "Content-Length: five\r\n",
    "Content-Length: \r\n",
    "Content-Length:\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Content-Length: 18446744073709551621\r\n",
    "Content-Length: 99999999999999999999999999\r\n",
    "Content-Length: 5\r\n 2\r\n",
    "Content-Length:\r\n 52\r\n",
    "Content-Length : 52\r\n",
    "Content-Length\t: 52\r\n",
    " Content-Length: 52\r\n",
    "Content-Length\x0b: 52\r\n",
    "Content-Length\x0c: 52\r\n",
    "Content-Length : 52\r\nContent-Length: 0\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: chunked, chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: identity, chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunkedx\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding: chunked;q=1\r\n",
    "Transfer-Encoding: ,chunked\r\n",
    "Transfer-Encoding: chunked,\r\n",
    "Transfer-Encoding: \013chunked\r\n",
    "Transfer-Encoding: \014chunked\r\n",
    "Transfer-Encoding: chunk\r\n",
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer-Encoding:\r\n\tchunked\r\n",
    "Transfer-Encoding : chunked\r\nContent-Length: 6\r\n",
    "Transfer-Encoding\t: chunked\r\nContent-Length: 6\r\n",
    " Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    "X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 6\r\n",
    "Transfer-Encodin\x01g: chunked\r\nContent-Length: 6\r\n",
    "Transfer-Encoding\x01: chunked\r\nContent-Length: 6\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 6\r\nContent-Length: 6\r\n",
};
static const char *const targets[] = {"POST /v1/jobs", "GET /healthz",
                                      "POST /v1/images?name=a"};

static void probe_framings(void)
{
    char text[700];
    for (int i = 0; i < COUNT(framings); i++)
        for (int j = 0; j < COUNT(targets); j++) {
            (void)snprintf(text, sizeof text,
                           "%s HTTP/1.1\r\n" HOST "%s\r\n0\r\n\r\n" SMUGGLED, targets[j],
                           framings[i]);
            probe(text, true);
        }
    for (int i = 0; i < COUNT(framings); i += 3) { /* and by the older version */
        (void)snprintf(text, sizeof text,
                       "POST /v1/jobs HTTP/1.0\r\n" HOST
                       "Connection: keep-alive\r\n%s\r\n0\r\n\r\n" SMUGGLED,
                       framings[i]);
        probe(text, true);
    }
}

/* Chunked bodies of which no reader may make sense of its own. */
static const char *const chunks[] = {
    "g\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "\r\n3\r\nabc\r\n0\r\n\r\n",
    "fffffffffffffffff\r\nabc",
    "10000000000000000\r\n\r\n",
    "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "3\r\nabcde\r\n0\r\n\r\n",
    "3\r\nabc0\r\n\r\n",
    "3 \x01\r\nabc\r\n0\r\n\r\n",
    "3,3\r\nabc\r\n0\r\n\r\n",
    ";\r\nabc\r\n0\r\n\r\n",
    "3.0\r\nabc\r\n0\r\n\r\n",
};

static void probe_chunks(void)
{
    char text[400];
    for (int i = 0; i < COUNT(chunks); i++) {
        (void)snprintf(text, sizeof text,
                       "POST /v1/jobs HTTP/1.1\r\n" HOST
                       "Transfer-Encoding: chunked\r\n\r\n%s" SMUGGLED,
                       chunks[i]);
        probe(text, true);
    }
}

static const char *const lines[] = {
    "GET /healthz HTTP/1.1\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST HOST "\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST "Host: other\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", /* hosts = "localhost" */
    "GET /healthz HTTP/2.0\r\n" HOST "\r\n",
    "GET /healthz HTTP/1.2\r\n" HOST "\r\n",
    "GET /healthz HTTP/1.10\r\n" HOST "\r\n",
    "GET /healthz http/1.1\r\n" HOST "\r\n",
    "GET /healthz HTTP/1.1 \r\n" HOST "\r\n",
    "GET /healthz HTTP/1.1x\r\n" HOST "\r\n",
    "GET /healthz\tHTTP/1.1\r\n" HOST "\r\n",
    "GET\t/healthz HTTP/1.1\r\n" HOST "\r\n",
    "GET /health z HTTP/1.1\r\n" HOST "\r\n",
    "GET /healthz%00 HTTP/1.1\r\n" HOST "\r\n",
    "GET /healthz%0d%0aX: HTTP/1.1\r\n" HOST "\r\n",
    "GET /healthz%20HTTP/1.1%0d%0a HTTP/1.1\r\n" HOST "\r\n",
    "GET /v1/../healthz HTTP/1.1\r\n" HOST "\r\n",
    "GET /v1/%2e%2e/healthz HTTP/1.1\r\n" HOST "\r\n",
    "GET /v1/..%2fhealthz HTTP/1.1\r\n" HOST "\r\n",
    "GET /v1/..%5chealthz HTTP/1.1\r\n" HOST "\r\n",
    "GET /v1/..\\healthz HTTP/1.1\r\n" HOST "\r\n",
    "GET /./healthz HTTP/1.1\r\n" HOST "\r\n",
    "GET /healthz/. HTTP/1.1\r\n" HOST "\r\n",
    "GET /healthz#x HTTP/1.1\r\n" HOST "\r\n",
    "GET /%zz HTTP/1.1\r\n" HOST "\r\n",
    "GET /% HTTP/1.1\r\n" HOST "\r\n",
    "GET /\xff HTTP/1.1\r\n" HOST "\r\n",
    "GET http://evil.example/healthz HTTP/1.1\r\n" HOST "\r\n",
    "GET healthz HTTP/1.1\r\n" HOST "\r\n",
    "GET * HTTP/1.1\r\n" HOST "\r\n",
    "OPTIONS * HTTP/1.1\r\n" HOST "\r\n",
    "CONNECT localhost:22 HTTP/1.1\r\n" HOST "\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST "X-A: b\r\n c: d\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST "\tX-A: b\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST "X-A\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST ": b\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST "X A: b\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST "X(A): b\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST "X\"A: b\r\n\r\n",
    "GET /healthz HTTP/1.1\r\n" HOST "X\xc3\xa4: b\r\n\r\n",
};

/* Those of `lines` which the daemon may also answer, as the library understands them: a
 * line without a name it drops, and there is no second way to read what is left. */
static bool lenient(const char *line)
{
    static const char *const all[] = {"GET /healthz HTTP/1.1\r\nHost: evil",
                                      "GET /healthz HTTP/1.2",
                                      "GET /healthz HTTP/1.10",
                                      "GET /healthz HTTP/1.1 ",
                                      "GET /healthz\t",
                                      "GET\t/healthz",
                                      "GET /healthz HTTP/1.1\r\nHost: localhost\r\n: b"};
    for (int i = 0; i < COUNT(all); i++)
        if (den_str_starts(line, all[i]))
            return true;
    return false;
}

static void probe_lines(void)
{
    char text[300];
    for (int i = 0; i < COUNT(lines); i++) {
        (void)snprintf(text, sizeof text, "%s%s", lines[i], SMUGGLED);
        probe(lenient(lines[i]) ? lines[i] : text, !lenient(lines[i]));
    }
}

/* Every control character, in a value and in a name.  A NUL in a value cannot be seen
 * behind the library, which cuts the value there; it must only do no harm. */
static void probe_controls(void)
{
    char text[200];
    for (int c = 0; c < 0x80; c = c == 0x1f ? 0x7f : c + 1) {
        if (c == '\n')
            continue;
        for (int in_name = 0; in_name < 2; in_name++) {
            int length =
                snprintf(text, sizeof text,
                         in_name ? "GET /healthz HTTP/1.1\r\n" HOST "X-%cA: b\r\n\r\n"
                                 : "GET /healthz HTTP/1.1\r\n" HOST "X-A: b%cc\r\n\r\n",
                         c);
            char name[40];
            (void)snprintf(name, sizeof name, "character %d in a %s", c,
                           in_name ? "name" : "value");
            probe_bytes(name, text, (size_t)length,
                        (c != '\t' || in_name) && (c != 0 || in_name));
        }
    }
}

/* ---- the tests ------------------------------------------------------------------------
 */

/* How often the daemon was asked for /v1/smuggled. */
static size_t asked(void)
{
    struct den_err err = DEN_ERR_INIT;
    char *log = NULL;
    size_t length = 0;
    must(den_fs_read(d.log, (size_t)1 << 28, &log, &length, &err));
    ck_assert_ptr_nonnull(strstr(log, "path=\"/v1/none\"")); /* it does tell paths */
    size_t count = occurrences(log, "path=\"/v1/smuggled\"");
    den_free(log);
    return count;
}

static void probe_all(const char *where)
{
    probe_framings();
    probe_chunks();
    probe_lines();
    probe_controls();
    ask_as_another("all");
    size_t found = asked();
    printf("framing, %s: %u probes, %u refused, %u answered; %u canaries, 0 wrong; "
           "hidden requests seen %zu, answered to the sender %u; %u answers with bytes "
           "behind them on a closed connection\n",
           where, counts.probes, counts.refused, counts.answered, counts.canaries, found,
           counts.told, counts.left_over);
    ck_assert_uint_ge(counts.probes, 200);
    ck_assert_uint_eq(found, counts.told);
}

START_TEST(no_request_hides_in_another)
{
    probe_all("direct");
    ck_assert_uint_eq(counts.told, 0);
}
END_TEST

START_TEST(no_request_hides_in_another_behind_nginx)
{
    if (!front_start(&front, target)) {
        printf("skipped: %s (nginx is not installed)\n", __func__);
        return;
    }
    target = front.port;
    direct = false;
    probe_all("behind nginx");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http probes");
    TCase *tc = tcase_create("framing");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, no_request_hides_in_another);
    tcase_add_test(tc, no_request_hides_in_another_behind_nginx);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
