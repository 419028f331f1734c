/* Two thousand connections at once: event streams of a job that waits, and plain requests
 * beside them.  Streams that have nothing to say cost next to nothing, and nobody stalls.
 */

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "api.h"
#include "client.h"
#include "clock.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "scene.h"
#include "str.h"
#include "watch.h"
#include "wire.h"

#define HOST "Host: localhost\r\n"

enum { MOST = 2000, MOST_STREAMS = 500, SUSPENDED = 50 };

static struct {
    pid_t server;
    char state[64], files[64], url[64], job[32];
    unsigned port;
    size_t streams, plain;
    int fds[MOST];
} t;

/* ---- a daemon whose jobs wait for ever: no worker is started
 * --------------------------- */

static void on_start(void *app, struct den_http *http)
{
    den_api_set_http(app, http);
}

static void *wake_often(void *http)
{
    for (;;) {
        den_http_wake(http);
        (void)usleep(500000);
    }
    return NULL;
}

static volatile sig_atomic_t busy;

static void on_usr1(int which)
{
    (void)which;
    busy = 1;
}

static void serve(int port_to)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service *service = NULL;
    struct den_api *api = NULL;
    struct den_http *http = NULL;
    pthread_t waker;
    const struct den_service_config data = {
        .state = t.state,
        .threads = 1,
        .queue_limit = 100,
        .max_attempts = 1,
        .image_limits = den_image_limits_default(),
        .checkpoint_seconds = 60,
    };
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)signal(SIGUSR1, on_usr1);
    must(den_service_open(&data, &service, &err));
    must(den_api_new(service, &api, &err));
    const struct den_http_config config = {
        .address = "127.0.0.1",
        .threads = 2,
        .connections = 2 * MOST,
        .json_max = 1 << 20,
        .upload_max = 1 << 30,
        .timeout_s = 60,
        .streams = MOST_STREAMS,
        .streams_per_client = MOST_STREAMS,
        .routes = den_api_routes(),
        .app = api,
        .started = on_start,
        .temporary = den_api_temporary,
        .problem = den_api_problem,
    };
    must(den_http_start(&config, &http, &err));
    uint16_t port = den_http_port(http);
    ck_assert_int_eq(write(port_to, &port, sizeof port), sizeof port);
    while (!busy)
        (void)pause();
    ck_assert_int_eq(pthread_create(&waker, NULL, wake_often, http), 0);
    for (;;)
        (void)pause();
}

static void setup(void)
{
    int ends[2];
    uint16_t port = 0;
    ck_assert(wire_raise_files(2 * MOST + 100));
    t.streams = test_full() ? 500 : 100;
    t.plain = test_full() ? 1500 : 300;
    (void)snprintf(t.state, sizeof t.state, "/tmp/denoised-streams-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(t.state));
    folder_make(t.files);
    ck_assert_int_eq(pipe(ends), 0);
    t.server = fork();
    if (t.server == 0)
        serve(ends[1]);
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &port, sizeof port), sizeof port);
    close(ends[0]);
    t.port = port;
    (void)snprintf(t.url, sizeof t.url, "http://127.0.0.1:%u", t.port);
}

static void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    (void)kill(t.server, SIGKILL);
    (void)waitpid(t.server, NULL, 0);
    must(den_fs_remove_tree(t.state, &err));
    folder_remove(t.files);
}

static void submit_waiting_job(void)
{
    char file[128], image[32];
    scene_write(t.files, 1, 32, 1);
    (void)snprintf(file, sizeof file, "%s/noisy1_0.tif", t.files);
    upload(t.url, file, image);
    submit_denoise(t.url, image, "\"method\":\"median\"", t.job);
}

/* ---- clients --------------------------------------------------------------------------
 */

static void open_streams(void)
{
    char text[200], reply[4096];
    (void)snprintf(text, sizeof text, "GET /v1/jobs/%s/events HTTP/1.1\r\n" HOST "\r\n",
                   t.job);
    for (size_t i = 0; i < t.streams; i++) {
        t.fds[i] = wire_connect(t.port);
        ck_assert(wire_send(t.fds[i], text, strlen(text)));
    }
    for (size_t i = 0; i < t.streams; i++) {
        ssize_t got = recv(t.fds[i], reply, sizeof reply - 1, 0);
        ck_assert_int_gt(got, 0);
        reply[got] = '\0';
        ck_assert_msg(den_str_starts(reply, "HTTP/1.1 200 "), "%s", reply);
        ck_assert_ptr_nonnull(strstr(reply, "text/event-stream"));
    }
}

static double idle_share(double seconds)
{
    double cpu = family_look(t.server).cpu_s, start = den_monotonic_s();
    (void)usleep((useconds_t)(seconds * 1e6));
    return (family_look(t.server).cpu_s - cpu) / (den_monotonic_s() - start);
}

/* One request on each plain connection, one of 50 on a route that is suspended while a
 * side thread works; then all answers.  The longest of them. */
static double round_trip(char *const *texts)
{
    static double sent[MOST];
    double worst = 0;
    for (size_t i = t.streams; i < t.streams + t.plain; i++) {
        const char *text = texts[i % SUSPENDED == 0];
        sent[i] = den_monotonic_s();
        ck_assert(wire_send(t.fds[i], text, strlen(text)));
        if (i % 64 == 63)
            (void)usleep(2000); /* a load, not a flood */
    }
    for (size_t i = t.streams; i < t.streams + t.plain; i++) {
        struct pollfd look = {.fd = t.fds[i], .events = POLLIN};
        char reply[8192];
        ck_assert_msg(poll(&look, 1, 10000) == 1, "connection %zu stalls", i);
        ssize_t got = recv(t.fds[i], reply, sizeof reply - 1, 0);
        double took = den_monotonic_s() - sent[i];
        ck_assert_int_gt(got, 12);
        reply[got] = '\0';
        ck_assert_msg(den_str_starts(reply, "HTTP/1.1 200 ") ||
                          den_str_starts(reply, "HTTP/1.1 202 "),
                      "%.300s", reply);
        worst = took > worst ? took : worst;
    }
    return worst;
}

START_TEST(idle_streams_are_cheap_and_nobody_stalls)
{
    char plain[120], slow[400], body[120];
    submit_waiting_job();
    double empty = idle_share(1);
    open_streams();
    double idle = idle_share(test_full() ? 10 : 2);
    (void)kill(t.server, SIGUSR1); /* from now on something happens twice a second */
    struct answer a = get(t.url, "/v1/images");
    const char *image = text_at(a.json, "images.0.id");
    if (image[0] == '\0')
        image = text_at(a.json, "items.0.id");
    ck_assert_msg(image[0] != '\0', "%s", a.body);
    (void)snprintf(body, sizeof body, "/v1/images/%s/preview?size=32", image);
    answer_free(&a);
    (void)snprintf(plain, sizeof plain, "GET /v1/jobs/%s HTTP/1.1\r\n" HOST "\r\n",
                   t.job);
    (void)snprintf(slow, sizeof slow, "GET %s HTTP/1.1\r\n" HOST "\r\n", body);
    for (size_t i = t.streams; i < t.streams + t.plain; i++) {
        t.fds[i] = wire_connect(t.port);
        ck_assert_int_ge(t.fds[i], 0);
    }
    double worst = 0;
    int rounds = test_full() ? 8 : 4;
    for (int i = 0; i < rounds; i++)
        worst = fmax(worst, round_trip((char *[]){plain, slow}));
    printf("%zu connections: %zu idle streams cost %.2f %% of a core (%.2f %% without); "
           "%zu requests beside them, one of 50 suspended, slowest %.3f s\n",
           t.streams + t.plain, t.streams, 100 * idle, 100 * empty,
           t.plain * (size_t)rounds, worst);
    (void)fflush(stdout); /* a failed test tells its figures as well */
    for (size_t i = 0; i < t.streams + t.plain; i++)
        close(t.fds[i]);
    ck_assert_msg(test_sanitized() || idle <= 0.02, "%.2f %%", 100 * idle);
    /* What the library can do wrong is a stall for ever; on a busy machine a second is
     * a turn of others. */
    ck_assert_msg(test_sanitized() || worst <= (test_full() ? 1 : 5), "%.2f s", worst);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http streams");
    TCase *tc = tcase_create("streams");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, idle_streams_are_cheap_and_nobody_stalls);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
