/* Many clients at a time: durable submissions on quick and slow disks and through a kill,
 * and large uploads side by side. */

#include <curl/curl.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "clock.h"
#include "fs.h"
#include "mem.h"
#include "stack.h"
#include "story.h"
#include "str.h"
#include "watch.h"

static struct story s;

static const char *const args[] = {"--queue_limit", "1000000", "--log_level", "warn",
                                   NULL};

static void setup(void)
{
    story_start(&s, args);
}

static void teardown(void)
{
    story_end(&s);
}

/* ---- submissions ---- */

enum { CLIENTS = 16, TIMES_MAX = 1 << 16, IDS_MAX = 1 << 12, ANSWER_MAX = 2048 };

struct client {
    pthread_t thread;
    double until;
    size_t done, failed; /* answers; those that were not 202 */
    size_t acked;        /* of whose jobs up to IDS_MAX are known */
    float ms[TIMES_MAX];
    char ids[IDS_MAX][32];
};
static struct client clients[CLIENTS];

static size_t collect(char *data, size_t size, size_t n, void *to)
{
    char *text = to;
    size_t used = strlen(text);
    (void)snprintf(text + used, ANSWER_MAX - used, "%.*s", (int)(size * n), data);
    return size * n;
}

static void take_id(struct client *c, const char *answer)
{
    static const char lead[] = "{\"id\":\"";
    if (c->acked < IDS_MAX && den_str_starts(answer, lead))
        (void)snprintf(c->ids[c->acked], sizeof c->ids[0], "%.*s",
                       (int)strcspn(answer + strlen(lead), "\""), answer + strlen(lead));
    c->acked++;
}

static CURL *prepare(const char *body, struct curl_slist *lines, char *answer)
{
    char url[128];
    (void)snprintf(url, sizeof url, "%s/v1/jobs", s.daemon.url);
    CURL *curl = curl_easy_init(); /* one connection for all */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    return curl;
}

/* Until the time is over or the daemon has gone. */
static void *submit_on(void *opaque)
{
    struct client *c = opaque;
    char body[160], answer[ANSWER_MAX];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\"}",
                   s.noisy[0]);
    struct curl_slist *lines = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = prepare(body, lines, answer);
    while (c->done < TIMES_MAX && den_monotonic_s() < c->until) {
        long status = 0;
        double start = den_monotonic_s();
        answer[0] = '\0';
        if (curl_easy_perform(curl) != CURLE_OK)
            break;
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        c->ms[c->done++] = (float)((den_monotonic_s() - start) * 1e3);
        c->failed += status != 202;
        if (status == 202)
            take_id(c, answer);
    }
    curl_slist_free_all(lines);
    curl_easy_cleanup(curl);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

struct load {
    size_t acked, failed;
    double per_s, median_ms, p99_ms;
};

static struct load submit_for(double seconds)
{
    static float all[CLIENTS * TIMES_MAX];
    struct load load = {0};
    size_t done = 0;
    double start = den_monotonic_s();
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i].done = clients[i].failed = clients[i].acked = 0;
        clients[i].until = start + seconds;
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, submit_on, &clients[i]),
                         0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(pthread_join(clients[i].thread, NULL), 0);
        memcpy(all + done, clients[i].ms, clients[i].done * sizeof *all);
        done += clients[i].done;
        load.acked += clients[i].acked;
        load.failed += clients[i].failed;
    }
    ck_assert_uint_gt(done, 0);
    qsort(all, done, sizeof *all, compare);
    load.per_s = (double)done / (den_monotonic_s() - start);
    load.median_ms = (double)all[done / 2];
    load.p99_ms = (double)all[done * 99 / 100];
    return load;
}

static double metric(const char *line)
{
    struct answer a = get(s.daemon.url, "/metrics");
    const char *at_line = strstr(a.body, line);
    char digits[32] = "";
    int64_t value = 0;
    if (at_line != NULL)
        (void)snprintf(digits, sizeof digits, "%.*s",
                       (int)strspn(at_line + strlen(line), "0123456789"),
                       at_line + strlen(line));
    if (digits[0] != '\0')
        ck_assert(den_parse_int(digits, 0, INT64_MAX, &value, NULL));
    answer_free(&a);
    return (double)value;
}

static void all_are_kept(const struct load *load)
{
    static const char *const states[] = {"queued", "running", "succeeded", "failed"};
    double kept = 0;
    for (size_t i = 0; i < 4; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "denoised_jobs{state=\"%s\"} ", states[i]);
        kept += metric(line);
    }
    ck_assert_msg(kept >= (double)load->acked, "%.0f of %zu are there", kept,
                  load->acked);
}

START_TEST(sixteen_clients_submit_and_every_job_is_kept)
{
    struct load load = submit_for(test_full() ? 20 : 3);
    printf("%d clients: %zu durable submissions: %.0f/s, median %.1f ms, p99 %.1f ms, "
           "%zu failed\n",
           CLIENTS, load.acked, load.per_s, load.median_ms, load.p99_ms, load.failed);
    (void)fflush(stdout);
    ck_assert_uint_eq(load.failed, 0);
    daemon_kill(&s.daemon); /* what was answered is there afterwards */
    daemon_restart(&s.daemon, args);
    all_are_kept(&load);
    /* The full form is for a quiet machine. */
    ck_assert(!test_full() || (load.per_s >= 1000 && load.p99_ms <= 100));
}
END_TEST

/* The daemon with the seams for faults, on the same state. */
static void restart_with(const char *name, const char *value)
{
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
    (void)setenv("DENOISED_TEST_DAEMON", "faults/denoised", 1);
    (void)setenv(name, value, 1);
    daemon_restart(&s.daemon, args);
    (void)unsetenv(name);
    (void)unsetenv("DENOISED_TEST_DAEMON");
}

/* One fsync for each would allow 50 a second, also on a machine without other work. */
START_TEST(on_a_slow_disk_clients_share_what_they_wait_for)
{
    need_slow();
    restart_with("DEN_SLOW_SYNC_US", "20000");
    struct load load = submit_for(test_full() ? 10 : 2);
    printf("%d clients, an fsync of 20 ms: %zu durable submissions: %.0f/s, median %.1f "
           "ms, p99 %.1f ms, %zu failed\n",
           CLIENTS, load.acked, load.per_s, load.median_ms, load.p99_ms, load.failed);
    (void)fflush(stdout);
    ck_assert_uint_eq(load.failed, 0);
    ck_assert_msg(load.per_s > (test_full() ? 100 : 55), "%.0f/s", load.per_s);
}
END_TEST

static size_t count_lost(void)
{
    size_t lost = 0;
    for (size_t i = 0; i < CLIENTS; i++)
        for (size_t k = 0; k < clients[i].acked && k < IDS_MAX; k++) {
            char path[64];
            (void)snprintf(path, sizeof path, "/v1/jobs/%s", clients[i].ids[k]);
            struct answer a = get(s.daemon.url, path);
            lost += a.status != 200;
            answer_free(&a);
        }
    return lost;
}

START_TEST(a_kill_in_a_shared_commit_loses_nothing)
{
    static const char *const points[] = {"commit_before", "commit_after"};
    size_t acked = 0;
    int rounds = test_full() ? 50 : 2;
    for (int round = 0; round < rounds; round++) {
        char rule[40];
        (void)snprintf(rule, sizeof rule, "%s:%d", points[round % 2], 20 + 7 * round);
        restart_with("DEN_FAIL", rule);
        struct load load = submit_for(30); /* ends with the daemon */
        ck_assert_int_eq(daemon_wait(&s.daemon), 128 + SIGKILL);
        ck_assert_uint_eq(load.failed, 0);
        daemon_restart(&s.daemon, args);
        ck_assert_uint_eq(count_lost(), 0);
        acked += load.acked;
    }
    printf("%d kills in commits that %d clients share: %zu acknowledged, 0 lost\n",
           rounds, CLIENTS, acked);
    ck_assert_uint_gt(acked, 0);
}
END_TEST

/* ---- uploads ---- */

enum { UPLOADS_MAX = 32 };

struct upload {
    pthread_t thread;
    char path[128], sha256[80], reply[ANSWER_MAX];
    long status;
};
static struct upload uploads[UPLOADS_MAX];

static void hash_of(const char *path, char *to)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct den_err err = DEN_ERR_INIT;
    struct sha256_ctx hash;
    char *data = NULL;
    size_t length = 0;
    must(den_fs_map(path, (size_t)1 << 32, &data, &length, &err));
    sha256_init(&hash);
    sha256_update(&hash, length, (const uint8_t *)data);
    sha256_digest(&hash, sizeof digest, digest);
    den_fs_unmap(data, length);
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(to + 2 * i, 3, "%02x", digest[i]);
}

static void *upload_one(void *opaque)
{
    struct upload *u = opaque;
    char url[128];
    FILE *file = fopen(u->path, "re");
    struct curl_slist *lines =
        curl_slist_append(NULL, "Content-Type: application/octet-stream");
    CURL *curl = curl_easy_init();
    (void)snprintf(url, sizeof url, "%s/v1/images?name=a.tif", s.daemon.url);
    (void)fseek(file, 0, SEEK_END);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ftell(file));
    rewind(file);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_READDATA, file);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, u->reply);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &u->status);
    curl_slist_free_all(lines);
    curl_easy_cleanup(curl);
    (void)fclose(file);
    return NULL;
}

static double upload_all(size_t count)
{
    double start = den_monotonic_s();
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(
            pthread_create(&uploads[i].thread, NULL, upload_one, &uploads[i]), 0);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(pthread_join(uploads[i].thread, NULL), 0);
    return den_monotonic_s() - start;
}

static void copy_name(size_t i, char *to, size_t size)
{
    (void)snprintf(to, size, "%s/copy%zu", s.daemon.state, i);
}

/* The same files as cp would copy them to the same disk, durable as well.  All are kept
 * until the last: memory that a removed file had is quicker to fill than fresh one. */
static double copy_all(size_t count)
{
    enum { CHUNK = 1 << 20 };
    struct den_err err = DEN_ERR_INIT;
    char *chunk = den_calloc(CHUNK, 1), target[96];
    double start = den_monotonic_s();
    for (size_t i = 0; i < count; i++) {
        copy_name(i, target, sizeof target);
        int from = open(uploads[i].path, O_RDONLY | O_CLOEXEC);
        int to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        ck_assert(from >= 0 && to >= 0);
        for (ssize_t got; (got = read(from, chunk, CHUNK)) > 0;)
            must(den_fs_write_fd(to, chunk, (size_t)got, &err));
        ck_assert_int_eq(fsync(to), 0);
        (void)close(from);
        ck_assert_int_eq(close(to), 0);
    }
    double took = den_monotonic_s() - start;
    for (size_t i = 0; i < count; i++) {
        copy_name(i, target, sizeof target);
        ck_assert_int_eq(unlink(target), 0);
    }
    den_free(chunk);
    return took;
}

START_TEST(large_uploads_side_by_side_need_little_memory)
{
    size_t count = test_full() ? UPLOADS_MAX : 4;
    unsigned pages = test_full() ? 100 : 12;
    struct watch watch;
    for (size_t i = 0; i < count; i++) {
        struct upload *u = &uploads[i];
        (void)snprintf(u->path, sizeof u->path, "%s/stack%zu.tif", s.files, i);
        stack_write(u->path, (unsigned)i, pages);
        hash_of(u->path, u->sha256); /* and now it lies in the page cache */
    }
    double cpu = family_look(s.daemon.pid).cpu_s;
    watch_start(&watch, s.daemon.pid);
    double took = upload_all(count);
    long growth = watch_end(&watch), resident = family_look(s.daemon.pid).rss_kib;
    cpu = family_look(s.daemon.pid).cpu_s - cpu;
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(uploads[i].status == 201 &&
                          strstr(uploads[i].reply, uploads[i].sha256) != NULL,
                      "%zu: %ld %s", i, uploads[i].status, uploads[i].reply);
    double copied = copy_all(count);
    printf("%zu uploads of %u MB side by side: %.1f s (%.1f x a durable copy), %.1f s of "
           "CPU, all hashes right, %ld MiB more memory with all decoders, daemon %ld "
           "MiB\n",
           count, pages * STACK_PAGE_MIB, took, took / copied, cpu, growth / 1024,
           resident / 1024);
    (void)fflush(stdout);
    if (!test_sanitized()) { /* whose shadow memory grows as well */
        ck_assert_int_le(growth / 1024, 64);
        ck_assert_int_le(resident / 1024, 64);
    }
    /* Where other programs had the machine, what counts is how long the daemon computed.
     */
    ck_assert_msg(!test_full() || took <= 2 * copied || cpu <= copied,
                  "%.1f s, a copy %.1f s", took, copied);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *const *tests, size_t count)
{
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, test_full() ? 1800 : 180);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
}

int main(void)
{
    Suite *suite = suite_create("load");
    add(suite, "submissions",
        (const TTest *const[]){sixteen_clients_submit_and_every_job_is_kept,
                               on_a_slow_disk_clients_share_what_they_wait_for,
                               a_kill_in_a_shared_commit_loses_nothing},
        3);
    add(suite, "uploads",
        (const TTest *const[]){large_uploads_side_by_side_need_little_memory}, 1);
    return den_check_main(suite);
}
