/* A stack that is much larger than the memory it may take: up, denoised, down again, and
 * in pieces from anywhere. */

#include <curl/curl.h>
#include <nettle/sha2.h>
#include <string.h>

#include "clock.h"
#include "fs.h"
#include "rng.h"
#include "stack.h"
#include "story.h"
#include "watch.h"

static struct story s;
static char file[128], image[32], job[32];

enum { RANGES = 1000, RANGE_MAX = 100000 };

static unsigned pages(void)
{
    return test_full() ? 512 : 20;
}

static void setup(void)
{
    story_start(&s, NULL);
    (void)snprintf(file, sizeof file, "%s/large.tif", s.files);
    stack_write(file, 1, pages());
}

static void teardown(void)
{
    story_end(&s);
}

/* ---- bytes that pass by ---- */

struct passing {
    struct sha256_ctx hash;
    uint64_t bytes;
};

static size_t pass(char *data, size_t size, size_t n, void *to)
{
    struct passing *p = to;
    sha256_update(&p->hash, size * n, (const uint8_t *)data);
    p->bytes += size * n;
    return size * n;
}

static void end(struct passing *p, char *hex)
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_digest(&p->hash, sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static CURL *open_url(const char *path)
{
    char url[160];
    (void)snprintf(url, sizeof url, "%s%s", s.daemon.url, path);
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 600L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    return curl;
}

static long perform(CURL *curl)
{
    long status = 0;
    ck_assert_int_eq(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static uint64_t download(const char *path, char *hex)
{
    struct passing p = {.bytes = 0};
    CURL *curl = open_url(path);
    sha256_init(&p.hash);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, pass);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &p);
    ck_assert_int_eq(perform(curl), 200);
    curl_easy_cleanup(curl);
    end(&p, hex);
    return p.bytes;
}

/* ---- a piece of the file ---- */

struct piece {
    char data[RANGE_MAX];
    size_t length;
};

static size_t gather(char *data, size_t size, size_t n, void *to)
{
    struct piece *piece = to;
    if (size * n > sizeof piece->data - piece->length)
        return 0;
    memcpy(piece->data + piece->length, data, size * n);
    piece->length += size * n;
    return size * n;
}

/* From anywhere, of any length, all on one connection. */
static void compare_ranges(const char *whole, size_t length)
{
    static struct piece piece;
    struct den_rng rng;
    char path[80], range[64];
    den_rng_seed(&rng, 5, 1, 0);
    (void)snprintf(path, sizeof path, "/v1/images/%s/content", image);
    CURL *curl = open_url(path);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, gather);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &piece);
    for (int i = 0; i < RANGES; i++) {
        size_t from = den_rng_below(&rng, length),
               want = 1 + den_rng_below(&rng, RANGE_MAX);
        if (want > length - from)
            want = length - from;
        (void)snprintf(range, sizeof range, "%zu-%zu", from, from + want - 1);
        curl_easy_setopt(curl, CURLOPT_RANGE, range);
        piece.length = 0;
        ck_assert_int_eq(perform(curl), 206);
        ck_assert_uint_eq(piece.length, want);
        ck_assert_mem_eq(piece.data, whole + from, want);
    }
    curl_easy_cleanup(curl);
}

/* ---- the story ---- */

/* Straight from the disk: the test needs no more memory than the daemon. */
static void send_file(const char *sha256)
{
    static struct piece answer;
    FILE *from = fopen(file, "re");
    struct curl_slist *lines =
        curl_slist_append(NULL, "Content-Type: application/octet-stream");
    CURL *curl = open_url("/v1/images?name=large.tif");
    ck_assert_ptr_nonnull(from);
    (void)fseek(from, 0, SEEK_END);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ftell(from));
    rewind(from);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_READDATA, from);
    answer.length = 0;
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, gather);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    ck_assert_int_eq(perform(curl), 201);
    curl_slist_free_all(lines);
    curl_easy_cleanup(curl);
    (void)fclose(from);
    json_t *row = json_loadb(answer.data, answer.length, 0, NULL);
    ck_assert_str_eq(text_at(row, "sha256"), sha256);
    (void)snprintf(image, sizeof image, "%s", text_at(row, "id"));
    json_decref(row);
}

static void denoise(char *result_sha256)
{
    char path[80];
    submit_denoise(s.daemon.url, image, "\"method\":\"median\"", job);
    json_t *row = wait_success(s.daemon.url, job, 900);
    (void)snprintf(result_sha256, 80, "%s", text_at(row, "result.sha256"));
    json_decref(row);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/result", job);
    char got[80];
    download(path, got);
    ck_assert_str_eq(got, result_sha256);
}

START_TEST(a_large_stack_needs_little_memory)
{
    struct den_err err = DEN_ERR_INIT;
    struct watch watch;
    char *whole = NULL, sha256[80], got[80], path[80];
    size_t length = 0;
    must(den_fs_map(file, (size_t)1 << 32, &whole, &length, &err));
    struct passing p = {.bytes = 0};
    sha256_init(&p.hash);
    sha256_update(&p.hash, length, (const uint8_t *)whole);
    end(&p, sha256);
    watch_start(&watch, s.daemon.pid);
    double start = den_monotonic_s();
    send_file(sha256);
    double sent = den_monotonic_s();
    (void)snprintf(path, sizeof path, "/v1/images/%s/content", image);
    ck_assert_uint_eq(download(path, got), length);
    ck_assert_str_eq(got, sha256);
    double fetched = den_monotonic_s();
    compare_ranges(whole, length);
    double ranges = den_monotonic_s();
    long moving = watch_end(&watch);
    watch_start(&watch, s.daemon.pid);
    denoise(got);
    double denoised = den_monotonic_s();
    long working = watch_end(&watch);
    den_fs_unmap(whole, length);
    printf("%zu MB: up %.1f s, down %.1f s, %d ranges %.1f s (%ld MiB more memory), "
           "denoised and down %.1f s (%ld MiB more), all bytes equal\n",
           length >> 20, sent - start, fetched - sent, RANGES, ranges - fetched,
           moving / 1024, denoised - ranges, working / 1024);
    (void)fflush(stdout);
    if (!test_sanitized()) { /* whose shadow memory grows as well */
        ck_assert_int_le(moving / 1024, 16);
        ck_assert_int_le(working / 1024, 512);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("large stack");
    TCase *tc = tcase_create("large stack");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, test_full() ? 1800 : 180);
    tcase_add_test(tc, a_large_stack_needs_little_memory);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
