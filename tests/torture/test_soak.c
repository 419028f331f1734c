/* Everybody at once, for long: images go up and come back denoised, jobs are watched,
 * lists read, uploads broken off and nonsense sent.  Nothing grows with time, and nothing
 * fails that should not. */

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "fs.h"
#include "stack.h"
#include "story.h"
#include "str.h"
#include "watch.h"
#include "wire.h"

static struct story s;

static void setup(void)
{
    static const char *const args[] = {"--log_level", "warn", NULL};
    story_start(&s, args);
}

static void teardown(void)
{
    story_end(&s);
}

/* ---- clients: each does its round until it is told to stop ---- */

struct client {
    const char *what;
    void (*round)(struct client *c);
    unsigned number, rounds; /* which one it is; of those that are over */
    pthread_t thread;
    char file[128];
};

static atomic_bool stop;
static atomic_size_t answers, broken; /* all, and those of 500 and more */

/* Counts what no client should ever see. */
static struct answer count(struct answer a)
{
    atomic_fetch_add(&answers, 1);
    if (a.status >= 500) {
        atomic_fetch_add(&broken, 1);
        printf("unexpected: %ld %s\n", a.status, a.body);
    }
    return a;
}

static void expect(struct answer a, long status, const char *what)
{
    a = count(a);
    ck_assert_msg(a.status == status, "%s: %ld instead of %ld, %s", what, a.status,
                  status, a.body);
    answer_free(&a);
}

static void expect_get(long status, const char *format, const char *id)
{
    char path[160];
    size_t used = strcspn(format, "*");
    (void)snprintf(path, sizeof path, "%.*s%s%s", (int)used, format,
                   format[used] == '*' ? id : "",
                   format[used] == '*' ? format + used + 1 : "");
    expect(get(s.daemon.url, path), status, path);
}

static void expect_delete(const char *kind, const char *id)
{
    char path[80];
    (void)snprintf(path, sizeof path, "/v1/%s/%s", kind, id);
    expect(ask("DELETE", s.daemon.url, path, NULL, NULL, 0, NULL), 204, path);
}

/* Upload, denoise, look, download, and all of it deleted again. */
static void round_trip(struct client *c)
{
    char image[32], job[32];
    stack_write(c->file, c->number + 2 * c->rounds, 1); /* two such clients */
    upload(s.daemon.url, c->file, image);
    submit_denoise(s.daemon.url, image, "\"method\":\"median\"", job);
    json_decref(wait_success(s.daemon.url, job, 120));
    expect_get(200, "/v1/jobs/*/result", job);
    expect_get(200, "/v1/jobs/*/preview?size=64", job);
    expect_get(200, "/v1/jobs/*/events", job);
    expect_get(200, "/v1/images/*/preview?size=64", image);
    expect_delete("jobs", job);
    expect_delete("images", image);
}

static void read_all(struct client *c)
{
    (void)c;
    expect_get(200, "/v1/jobs?limit=20", "");
    expect_get(200, "/v1/images/*", s.noisy[0]);
    expect_get(200, "/v1/images", "");
    expect_get(200, "/v1/models", "");
    expect_get(200, "/v1/methods", "");
    expect_get(200, "/metrics", "");
    expect_get(200, "/readyz", "");
    (void)usleep(50000);
}

static void send_nonsense(struct client *c)
{
    static const char *const bodies[] = {"", "{", "[]", "{\"kind\":\"knit\"}",
                                         "{\"kind\":\"denoise\",\"image\":\"img_0\"}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct answer a = count(post_json(s.daemon.url, "/v1/jobs", bodies[i]));
        ck_assert_msg(a.status >= 400, "%s: %ld", bodies[i], a.status);
        answer_free(&a);
    }
    expect_get(404, "/v1/jobs/job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "");
    expect_get(404, "/nothing", "");
    expect(ask("POST", s.daemon.url, "/v1/images?name=a.tif", "application/octet-stream",
               "II*", 3, NULL),
           415, "the beginning of a TIFF");
    (void)usleep(50000);
    (void)c;
}

/* Announces a megabyte, sends a bit of it, and goes. */
static void break_off(struct client *c)
{
    static const char start[] = "POST /v1/images?name=a.tif HTTP/1.1\r\nHost: localhost"
                                "\r\nContent-Length: 1000000\r\n\r\nII*";
    int fd = wire_connect(wire_port(s.daemon.url));
    ck_assert_int_ge(fd, 0);
    ck_assert(wire_send(fd, start, sizeof start - 1));
    (void)usleep(20000);
    (void)close(fd);
    (void)c;
}

/* Follows a job that has ended, and one stream that it leaves in the middle. */
static void follow(struct client *c)
{
    char text[200], reply[256];
    (void)snprintf(text, sizeof text,
                   "GET /v1/jobs/%s/events HTTP/1.1\r\nHost: localhost"
                   "\r\n\r\n",
                   c->file);
    int fd = wire_connect(wire_port(s.daemon.url));
    ck_assert_int_ge(fd, 0);
    ck_assert(wire_send(fd, text, strlen(text)));
    ck_assert_int_gt(recv(fd, reply, sizeof reply, 0), 0);
    (void)close(fd);
    (void)usleep(20000);
}

static struct client clients[] = {
    {.what = "round trips", .round = round_trip, .number = 1},
    {.what = "round trips", .round = round_trip, .number = 2},
    {.what = "readings", .round = read_all},
    {.what = "nonsense", .round = send_nonsense},
    {.what = "broken uploads", .round = break_off},
    {.what = "broken streams", .round = follow},
};
enum { CLIENTS = sizeof clients / sizeof clients[0] };

static void *go_on(void *opaque)
{
    struct client *c = opaque;
    for (; !atomic_load(&stop); c->rounds++)
        c->round(c);
    return NULL;
}

/* ---- what may not grow ---- */

static size_t open_files(void)
{
    char path[64];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)s.daemon.pid);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

/* Connections that clients have left are closed a moment later, and once a second the
 * daemon looks into a folder. */
static size_t open_files_at_rest(size_t at_most)
{
    size_t n = open_files();
    for (int i = 0; i < 300 && n > at_most; i++) {
        (void)usleep(50000);
        n = open_files();
    }
    return n;
}

struct sizes {
    long rss_kib;
    size_t files, kept;
};

/* Between two moments of rest. */
static void soak(double seconds)
{
    atomic_store(&stop, false);
    for (size_t i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, go_on, &clients[i]), 0);
    for (double end = den_monotonic_s() + seconds; den_monotonic_s() < end;)
        (void)usleep(50000);
    atomic_store(&stop, true);
    for (size_t i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(pthread_join(clients[i].thread, NULL), 0);
}

static struct sizes look(size_t files)
{
    return (struct sizes){.files = open_files_at_rest(files),
                          .kept = daemon_files(&s.daemon),
                          .rss_kib = family_look(s.daemon.pid).rss_kib};
}

static void prepare(void)
{
    for (size_t i = 0; i < CLIENTS; i++)
        (void)snprintf(clients[i].file, sizeof clients[i].file, "%s/soak%zu.tif", s.files,
                       i);
    char *followed = clients[CLIENTS - 1].file;
    submit_denoise(s.daemon.url, s.noisy[0], "\"method\":\"median\"", followed);
    json_decref(wait_job(s.daemon.url, followed, 60));
}

START_TEST(nothing_grows_with_time)
{
    double warm = test_full() ? 60 : 3, seconds = test_full() ? 600 : 4;
    size_t files = open_files() + 1; /* the fixture's connections have gone by then */
    prepare();
    soak(warm);
    struct sizes first = look(files);
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i].rounds = 0;
    atomic_store(&answers, 0);
    soak(seconds);
    struct sizes last = look(first.files);
    double drift = 100.0 * (double)(last.rss_kib - first.rss_kib) / (double)first.rss_kib;
    /* The database's cache of pages fills up to its limit as rows are added. */
    const double cache = 100.0 * 2048 / (double)first.rss_kib;
    printf("%.0f s, %zu answers counted, %zu of 500 and more:", seconds,
           atomic_load(&answers), atomic_load(&broken));
    for (size_t i = 0; i < CLIENTS; i++)
        printf(" %u %s%s", clients[i].rounds, clients[i].what,
               i + 1 < CLIENTS ? "," : "\n");
    printf("memory %ld KiB, then %ld (%+.1f %%); open files %zu, then %zu; stored files "
           "%zu, then %zu\n",
           first.rss_kib, last.rss_kib, drift, first.files, last.files, first.kept,
           last.kept);
    (void)fflush(stdout);
    ck_assert_uint_eq(atomic_load(&broken), 0);
    ck_assert_uint_le(last.files, first.files);
    ck_assert_uint_eq(last.kept, first.kept);
    /* In the short form the allocator has not yet seen all that it will. */
    ck_assert_msg(test_sanitized() || drift <= (test_full() ? 2 : 15) + cache, "%.1f %%",
                  drift);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("soak");
    TCase *tc = tcase_create("soak");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, test_full() ? 1800 : 180);
    tcase_add_test(tc, nothing_grows_with_time);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
