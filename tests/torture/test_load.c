/* Many clients for a while: durable submissions, large uploads, and nothing that grows.
 */

#include <curl/curl.h>
#include <dirent.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <string.h>

#include "clock.h"
#include "fs.h"
#include "mem.h"
#include "story.h"
#include "str.h"
#include "watch.h"

static struct story s;

static void setup(void)
{
    static const char *const args[] = {"--queue_limit", "1000000", "--log_level", "warn",
                                       NULL};
    story_start(&s, args);
}

static void teardown(void)
{
    story_end(&s);
}

/* ---- submissions ---- */

enum { CLIENTS = 16, TIMES_MAX = 1 << 16 };

struct client {
    pthread_t thread;
    double until;
    size_t done, failed;
    float ms[TIMES_MAX];
};

static size_t ignore(char *data, size_t size, size_t n, void *to)
{
    (void)data;
    (void)to;
    return size * n;
}

static void *submit_on(void *opaque)
{
    struct client *c = opaque;
    char url[128], body[160];
    (void)snprintf(url, sizeof url, "%s/v1/jobs", s.daemon.url);
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\"}",
                   s.noisy[0]);
    struct curl_slist *lines = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *curl = curl_easy_init(); /* one connection for all */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    while (c->done < TIMES_MAX && den_monotonic_s() < c->until) {
        long status = 0;
        double start = den_monotonic_s();
        if (curl_easy_perform(curl) == CURLE_OK)
            curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        c->failed += status != 202;
        c->ms[c->done++] = (float)((den_monotonic_s() - start) * 1e3);
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

START_TEST(sixteen_clients_submit_and_every_job_is_kept)
{
    static struct client clients[CLIENTS];
    static float all[CLIENTS * TIMES_MAX];
    size_t done = 0, failed = 0;
    double seconds = test_full() ? 20 : 3, start = den_monotonic_s();
    for (size_t i = 0; i < CLIENTS; i++) {
        clients[i].until = start + seconds;
        ck_assert_int_eq(pthread_create(&clients[i].thread, NULL, submit_on, &clients[i]),
                         0);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        ck_assert_int_eq(pthread_join(clients[i].thread, NULL), 0);
        memcpy(all + done, clients[i].ms, clients[i].done * sizeof *all);
        done += clients[i].done;
        failed += clients[i].failed;
    }
    double took = den_monotonic_s() - start;
    qsort(all, done, sizeof *all, compare);
    printf("%d clients: %zu durable submissions in %.1f s: %.0f/s, median %.1f ms, p99 "
           "%.1f ms, %zu failed\n",
           CLIENTS, done, took, (double)done / took, (double)all[done / 2],
           (double)all[done * 99 / 100], failed);
    ck_assert_uint_eq(failed, 0);
    daemon_kill(&s.daemon); /* what was answered is there afterwards */
    daemon_restart(&s.daemon, NULL);
    double kept = 0;
    static const char *const states[] = {"queued", "running", "succeeded", "failed"};
    for (size_t i = 0; i < 4; i++) {
        char line[64];
        (void)snprintf(line, sizeof line, "denoised_jobs{state=\"%s\"} ", states[i]);
        kept += metric(line);
    }
    ck_assert_msg(kept >= (double)done, "%.0f of %zu are there", kept, done);
}
END_TEST

/* ---- uploads ---- */

enum { PAGE_SIDE = 1024, UPLOADS_MAX = 32 };

struct upload {
    pthread_t thread;
    char path[128];
    long status;
    bool same;
};

static void write_stack(const char *path, unsigned number, unsigned pages)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_image_info info = {.format = "tiff",
                                        .width = PAGE_SIDE,
                                        .height = PAGE_SIDE,
                                        .pages = pages,
                                        .channels = 1,
                                        .dtype = DEN_U16};
    struct den_writer *writer = NULL;
    uint16_t *page = den_calloc((size_t)PAGE_SIDE * PAGE_SIDE, sizeof *page);
    must(den_writer_open(path, &info, &writer, &err));
    for (unsigned p = 0; p < pages; p++) {
        for (size_t i = 0; i < (size_t)PAGE_SIDE * PAGE_SIDE; i++)
            page[i] = (uint16_t)(i * 2654435761U >> 16 ^ (size_t)p * 977 ^
                                 (size_t)number * 31337);
        must(den_writer_page(writer, page, &err));
    }
    must(den_writer_finish(writer, &err));
    den_free(page);
}

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

static size_t collect(char *data, size_t size, size_t n, void *to)
{
    char *text = to;
    size_t used = strlen(text);
    (void)snprintf(text + used, 2048 - used, "%.*s", (int)(size * n), data);
    return size * n;
}

static void *upload_one(void *opaque)
{
    struct upload *u = opaque;
    char url[128], reply[2048] = "", sha256[80];
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
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, reply);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &u->status);
    curl_slist_free_all(lines);
    curl_easy_cleanup(curl);
    (void)fclose(file);
    hash_of(u->path, sha256);
    u->same = strstr(reply, sha256) != NULL;
    return NULL;
}

START_TEST(large_uploads_side_by_side_need_little_memory)
{
    static struct upload uploads[UPLOADS_MAX];
    size_t count = test_full() ? 32 : 4;
    unsigned pages = test_full() ? 100 : 12; /* of 2 MiB */
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(uploads[i].path, sizeof uploads[i].path, "%s/stack%zu.tif",
                       s.files, i);
        write_stack(uploads[i].path, (unsigned)i, pages);
    }
    struct watch watch;
    watch_start(&watch, s.daemon.pid);
    double start = den_monotonic_s();
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(
            pthread_create(&uploads[i].thread, NULL, upload_one, &uploads[i]), 0);
    for (size_t i = 0; i < count; i++)
        ck_assert_int_eq(pthread_join(uploads[i].thread, NULL), 0);
    double took = den_monotonic_s() - start;
    long growth = watch_end(&watch);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(uploads[i].status == 201 && uploads[i].same, "%zu: %ld, %d", i,
                      uploads[i].status, uploads[i].same);
    printf("%zu uploads of %u MB side by side: %.1f s, all hashes right, %ld MiB more "
           "memory\n",
           count, pages * 2, took, growth / 1024);
    ck_assert_int_le(growth / 1024, 64);
}
END_TEST

/* ---- soak ---- */

static size_t open_files(void)
{
    char path[64];
    size_t count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", (int)s.daemon.pid);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    while (readdir(dir) != NULL)
        count++;
    (void)closedir(dir);
    return count;
}

static void remove_at(const char *kind, const char *id)
{
    char path[80];
    (void)snprintf(path, sizeof path, "/v1/%s/%s", kind, id);
    struct answer a = ask("DELETE", s.daemon.url, path, NULL, NULL, 0, NULL);
    ck_assert_msg(a.status == 204 || a.status == 200, "%s: %ld %s", path, a.status,
                  a.body);
    answer_free(&a);
}

/* Upload, denoise, download, and all of it deleted again. */
static void round_trip(unsigned k)
{
    char path[128], image[32], job[32], body[160];
    (void)snprintf(path, sizeof path, "%s/soak.tif", s.files);
    write_stack(path, 1000 + k, 1);
    upload(s.daemon.url, path, image);
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\"}",
                   image);
    submit_job(s.daemon.url, body, job);
    json_t *row = wait_job(s.daemon.url, job, 60);
    ck_assert_str_eq(text_at(row, "state"), "succeeded");
    json_decref(row);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/result", job);
    struct answer a = get(s.daemon.url, path);
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    remove_at("jobs", job);
    remove_at("images", image);
}

START_TEST(nothing_grows_with_time)
{
    double seconds = test_full() ? 60 : 4;
    unsigned k = 0;
    while (k < 10)
        round_trip(k++);
    size_t files = open_files(), kept = daemon_files(&s.daemon);
    long rss = family_look(s.daemon.pid).rss_kib;
    for (double end = den_monotonic_s() + seconds; den_monotonic_s() < end;)
        round_trip(k++);
    long now = family_look(s.daemon.pid).rss_kib;
    printf("%.0f s, %u round trips: memory %ld KiB, then %ld (%+.1f %%), open files %zu, "
           "then %zu\n",
           seconds, k, rss, now, 100.0 * (double)(now - rss) / (double)rss, files,
           open_files());
    ck_assert_int_le(now, rss + rss / 50 + 1024);
    /* A connection that its client has left is closed a moment later. */
    for (int i = 0; i < 100 && open_files() > files; i++)
        (void)usleep(50000);
    ck_assert_uint_le(open_files(), files);
    ck_assert_uint_eq(daemon_files(&s.daemon), kept);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("load");
    TCase *tc = tcase_create("load");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, test_full() ? 900 : 180);
    tcase_add_test(tc, sixteen_clients_submit_and_every_job_is_kept);
    tcase_add_test(tc, large_uploads_side_by_side_need_little_memory);
    tcase_add_test(tc, nothing_grows_with_time);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
