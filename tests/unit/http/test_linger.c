/* Who sends on after a refusal still gets to read it. */

#include <errno.h>
#include <poll.h>

#include "http_toy.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))
#define HOST "Host: localhost\r\n"

enum { SENT = 6 << 20 };

static const struct {
    const char *name, *head; /* what the server can say no to */
    int status;
} refused[] = {
    {"a file over the limit", "POST /files HTTP/1.1\r\n" HOST, 413},
    {"a part over the limit", "PATCH /part HTTP/1.1\r\n" HOST, 413},
    {"JSON over the limit", "POST /json HTTP/1.1\r\n" HOST, 413},
    {"who waits for a go-ahead, and then does not",
     "POST /files HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n", 413},
    {"a body where none belongs", "GET /hello HTTP/1.1\r\n" HOST, 400},
    {"a path that is not there", "POST /nothing HTTP/1.1\r\n" HOST, 404},
    {"a method that is not there", "PUT /json HTTP/1.1\r\n" HOST, 405},
    {"two hosts", "POST /json HTTP/1.1\r\n" HOST HOST, 400},
};

/* A client that is refused, after the server has closed its side. */
static int refused_client(const char *head)
{
    char text[400];
    den_str_format(text, sizeof text, "%sContent-Length: %d\r\n\r\n", head, SENT);
    int fd = toy_connect();
    ck_assert(toy_say(fd, text));
    struct pollfd ended = {.fd = fd, .events = POLLRDHUP};
    ck_assert_int_eq(poll(&ended, 1, 8000), 1);
    return fd;
}

static int open_sockets(void)
{
    char path[64], to[64];
    int sockets = 0;
    for (int fd = 0; fd < 1024; fd++) {
        den_str_format(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, to, sizeof to - 1);
        sockets += length > 7 && memcmp(to, "socket:", 7) == 0;
    }
    return sockets;
}

START_TEST(who_sends_on_after_a_refusal_still_reads_it)
{
    toy_setup();
    char *body = calloc(1, SENT);
    int fd = refused_client(refused[_i].head);
    ck_assert_msg(toy_send(fd, body, SENT), "%s: not taken", refused[_i].name);
    toy_sleep(20); /* a reset would be here by now */
    char *reply = toy_read_all(fd, NULL);
    ck_assert_msg(toy_status(reply) == refused[_i].status, "%s: '%s'", refused[_i].name,
                  reply);
    expect_text(reply, "Connection: close");
    free(reply);
    free(body);
    close(fd);
    toy_teardown();
}
END_TEST

/* Sends the same again and again; seconds until that fails, 8 at most. */
static double seconds_taken(int fd, const char *text, int pause_ms)
{
    double start = den_monotonic_s(), now = start;
    for (bool open = true; open && now - start < 8; now = den_monotonic_s()) {
        open = toy_say(fd, text);
        toy_sleep(pause_ms);
    }
    return now - start;
}

START_TEST(who_never_stops_sending_is_cut_in_time)
{
    struct den_http_config config = toy_config();
    config.linger_s = 1;
    toy_open(&config);
    int fd = refused_client(refused[0].head);
    double taken = seconds_taken(fd, "more", 20);
    ck_assert_msg(taken > 0.5 && taken < 5, "%.2f s", taken);
    close(fd);
    toy_teardown();
}
END_TEST

/* A reply must wait for the end of the body, and this has none. */
START_TEST(a_refused_body_without_end_is_cut_in_time)
{
    struct den_http_config config = toy_config();
    config.linger_s = 1;
    toy_open(&config);
    char chunk[20009]; /* with a NUL */
    den_str_format(chunk, sizeof chunk, "4e20\r\n%20000s\r\n", "");
    int fd = toy_connect();
    toy_say(fd, "POST /json HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    double taken = seconds_taken(fd, chunk, 2);
    ck_assert_msg(taken > 0.9 && taken < 5, "%.2f s", taken);
    close(fd);
    toy_teardown();
}
END_TEST

START_TEST(only_so_many_are_waited_for_and_none_is_left)
{
    enum { CLIENTS = 100, LINGERING = 64 };
    int fds[CLIENTS], before = open_sockets();
    struct den_http_config config = toy_config();
    config.connections = 2 * CLIENTS;
    config.linger_s = 60;
    toy_open(&config);
    int listening = open_sockets();
    for (int i = 0; i < CLIENTS; i++)
        fds[i] = refused_client(refused[0].head);
    double start = den_monotonic_s();
    while (open_sockets() != listening + CLIENTS + LINGERING &&
           den_monotonic_s() - start < 8)
        toy_sleep(20);
    ck_assert_int_eq(open_sockets(), listening + CLIENTS + LINGERING);
    char *reply = toy_ask("GET /hello", "", "");
    expect_status(reply, 200);
    free(reply);
    for (int i = 0; i < CLIENTS / 2; i++) /* their places are free again */
        close(fds[i]);
    while (open_sockets() > listening + CLIENTS && den_monotonic_s() - start < 8)
        toy_sleep(20);
    ck_assert_int_le(open_sockets(), listening + CLIENTS);
    toy_teardown();
    for (int i = CLIENTS / 2; i < CLIENTS; i++)
        close(fds[i]);
    ck_assert_int_eq(open_sockets(), before);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("linger");
    TCase *tc = tcase_create("linger");
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, who_sends_on_after_a_refusal_still_reads_it, 0,
                        COUNT(refused));
    tcase_add_test(tc, who_never_stops_sending_is_cut_in_time);
    tcase_add_test(tc, a_refused_body_without_end_is_cut_in_time);
    tcase_add_test(tc, only_so_many_are_waited_for_and_none_is_left);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
