/* Jobs in the memory they were admitted with: a daemon whose data segment may grow by no
 * more than the estimate, and stacks of any length. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"
#include "folder.h"
#include "fs.h"
#include "story.h"
#include "str.h"
#include "tiff_series.h"

/* What the daemon itself may take beside a job, for connections, the database, threads
 * that wake up, and blocks that malloc keeps.  Estimates hold some slack of their own:
 * here all jobs succeed with 1 MiB, too. */
#define DAEMON_BYTES ((uint64_t)16 << 20)

/* A line of /proc/PID/status in bytes. */
static uint64_t status_of(pid_t pid, const char *key)
{
    char path[64], *text = NULL;
    size_t length = 0;
    int64_t kib = 0;
    struct den_err err = DEN_ERR_INIT;
    (void)snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    must(den_fs_read(path, 1 << 16, &text, &length, &err));
    char *line = strstr(text, key);
    ck_assert_ptr_nonnull(line);
    line += strlen(key) + 1;
    line += strspn(line, " \t");
    line[strspn(line, "0123456789")] = '\0';
    must(den_parse_int(line, 0, INT64_MAX / 1024, &kib, &err));
    den_free(text);
    return (uint64_t)kib * 1024;
}

static void allow(const struct daemon *d, uint64_t bytes)
{
    const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(prlimit(d->pid, RLIMIT_DATA, &limit, NULL), 0);
}

static void ask_for(const char *image, const char *with, char *body, size_t size)
{
    (void)snprintf(body, size, "{\"kind\":\"denoise\",\"image\":\"%s\",%s}", image, with);
}

static uint64_t estimate(const struct daemon *d, const char *body)
{
    struct answer a = post_json(d->url, "/v1/jobs?dry_run=true", body);
    ck_assert_msg(a.status == 200, "%s", a.body);
    uint64_t bytes = (uint64_t)number_at(a.json, "peak_bytes");
    answer_free(&a);
    return bytes;
}

static void run_job(const struct daemon *d, const char *body, const char *state)
{
    char id[32];
    submit_job(d->url, body, id);
    json_t *job = wait_job(d->url, id, 120);
    ck_assert_msg(strcmp(text_at(job, "state"), state) == 0, "%s: %s",
                  text_at(job, "state"), text_at(job, "error.detail"));
    json_decref(job);
}

/* Their shadow and their quarantine are memory as well. */
static bool sanitized(const char *test)
{
    if (test_sanitized())
        printf("skipped: %s (sanitizers take memory of their own)\n", test);
    return test_sanitized();
}

/* Two models and a filter on images of three sizes, one of them in tiles. */
START_TEST(an_accepted_job_never_runs_out_of_memory)
{
    static const char *const with[] = {"\"model\":\"unet\"", "\"model\":\"care\"",
                                       "\"method\":\"median\",\"config\":{\"radius\":5}"};
    static const uint32_t sizes[] = {300, 600, 1300};
    static const char *const args[] = {"--threads", "2", NULL};
    struct story s;
    char file[128], image[3][32], body[200];
    if (sanitized(__func__))
        return;
    story_start(&s, args);
    story_train_with(
        &s, "unet",
        "\"config\":{\"iterations\":4,\"downs\":5,\"ngf\":16,\"ndf\":4,\"crop\":32,"
        "\"batch\":1}");
    story_train_with(&s, "care",
                     "\"preset\":\"care\",\"config\":{\"iterations\":2,\"batch\":1}");
    for (size_t i = 0; i < 3; i++) {
        struct series series = {.width = sizes[i],
                                .height = sizes[i],
                                .pages = 2,
                                .samples = i == 1 ? 3 : 1,
                                .compression = COMPRESSION_LZW,
                                .rows = sizes[i]};
        (void)snprintf(file, sizeof file, "%s/size%u.tif", s.files, sizes[i]);
        series_write(file, &series);
        upload(s.daemon.url, file, image[i]);
    }
    daemon_stop(&s.daemon); /* what the training left behind must not help */
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < 3; i++) {
            daemon_restart(&s.daemon, args);
            ask_for(image[i], with[k], body, sizeof body);
            uint64_t bytes = estimate(&s.daemon, body);
            uint64_t base = status_of(s.daemon.pid, "VmData:");
            allow(&s.daemon, base + bytes + DAEMON_BYTES);
            run_job(&s.daemon, body, "succeeded");
            uint64_t resident = status_of(s.daemon.pid, "VmHWM:");
            if (getenv("DENOISED_TEST_VERBOSE") != NULL)
                printf("%s, %u: estimate %.1f MiB, resident %.1f MiB with the daemon\n",
                       with[k], sizes[i], (double)bytes / 1048576,
                       (double)resident / 1048576);
            daemon_stop(&s.daemon);
        }
    story_end(&s);
}
END_TEST

/* The other side of it: where less is allowed the job fails with a sentence, and the
 * daemon goes on. */
START_TEST(a_job_without_its_memory_fails_with_a_sentence)
{
    struct story s;
    char file[128], image[32], body[200], id[32];
    const struct series series = {.width = 3000,
                                  .height = 3000,
                                  .pages = 1,
                                  .samples = 1,
                                  .compression = COMPRESSION_LZW,
                                  .rows = 100};
    if (sanitized(__func__))
        return;
    story_start(&s, (const char *const[]){"--retry_seconds", "0.2", NULL});
    (void)snprintf(file, sizeof file, "%s/big.tif", s.files);
    series_write(file, &series);
    upload(s.daemon.url, file, image);
    ask_for(image, "\"method\":\"gaussian\"", body, sizeof body);
    uint64_t base = status_of(s.daemon.pid, "VmData:");
    allow(&s.daemon, base + estimate(&s.daemon, body) / 4);
    submit_job(s.daemon.url, body, id);
    json_t *job = wait_job(s.daemon.url, id, 60);
    ck_assert_str_eq(text_at(job, "state"), "failed");
    ck_assert_str_eq(text_at(job, "error.code"), "no_memory");
    json_decref(job);
    allow(&s.daemon, RLIM_INFINITY);
    run_job(&s.daemon, body, "succeeded");
    story_end(&s);
}
END_TEST

/* Most resident memory of a fresh daemon that takes in and denoises a stack. */
static uint64_t resident_of(const char *folder, uint32_t pages, uint64_t *ret_estimate)
{
    struct daemon d;
    char file[128], image[32], body[200];
    const struct series series = {.width = 64,
                                  .height = 64,
                                  .pages = pages,
                                  .samples = 1,
                                  .compression = COMPRESSION_LZW,
                                  .rows = 64};
    (void)snprintf(file, sizeof file, "%s/stack%u.tif", folder, pages);
    series_write(file, &series);
    daemon_start(&d, NULL);
    upload(d.url, file, image);
    ask_for(image, "\"method\":\"gaussian\"", body, sizeof body);
    *ret_estimate = estimate(&d, body);
    run_job(&d, body, "succeeded");
    uint64_t most = status_of(d.pid, "VmHWM:");
    daemon_remove(&d);
    return most;
}

START_TEST(memory_does_not_grow_with_the_pages)
{
    char folder[64];
    uint64_t said[2];
    folder_make(folder);
    double few = (double)resident_of(folder, 100, &said[0]);
    double many = (double)resident_of(folder, 1000, &said[1]);
    ck_assert_uint_eq(said[0], said[1]);
    if (getenv("DENOISED_TEST_VERBOSE") != NULL)
        printf("100 pages: %.2f MiB, 1000 pages: %.2f MiB\n", few / 1048576,
               many / 1048576);
    ck_assert_msg(many < few * 1.05, "%.0f and %.0f bytes", few, many);
    folder_remove(folder);
}
END_TEST

/* 100 MB in, denoised and out again: the daemon holds no more than the job. */
START_TEST(a_large_stack_passes_through_a_small_daemon)
{
    struct story s;
    char file[128], image[32], body[200], id[32], href[80];
    const struct series series = {.width = 1024,
                                  .height = 1024,
                                  .pages = 48,
                                  .samples = 1,
                                  .compression = COMPRESSION_NONE,
                                  .rows = 1024};
    story_start(&s, NULL);
    (void)snprintf(file, sizeof file, "%s/stack.tif", s.files);
    series_write(file, &series);
    uint64_t before = status_of(s.daemon.pid, "VmHWM:");
    upload(s.daemon.url, file, image);
    ask_for(image, "\"method\":\"gaussian\",\"config\":{\"sigma\":0.5}", body,
            sizeof body);
    uint64_t bytes = estimate(&s.daemon, body);
    submit_job(s.daemon.url, body, id);
    json_decref(wait_success(s.daemon.url, id, 120));
    (void)snprintf(href, sizeof href, "/v1/jobs/%s/result", id);
    struct answer a = get(s.daemon.url, href);
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_gt(a.length, (size_t)48 * 1024 * 1024 * 2);
    answer_free(&a);
    uint64_t growth = status_of(s.daemon.pid, "VmHWM:") - before;
    if (getenv("DENOISED_TEST_VERBOSE") != NULL)
        printf("100 MB: grew by %.1f MiB, the job had %.1f MiB\n",
               (double)growth / 1048576, (double)bytes / 1048576);
    ck_assert_msg(test_sanitized() || growth <= bytes + ((uint64_t)16 << 20),
                  "%llu bytes more, the job has %llu", (unsigned long long)growth,
                  (unsigned long long)bytes);
    story_end(&s);
}
END_TEST

/* Every limit that is a setting is named with its value and what was there. */
START_TEST(a_limit_that_is_passed_is_named_with_both_numbers)
{
    static const struct {
        const char *flag, *value;
        double limit, actual;
    } cases[] = {
        {"--max-side", "63", 63, 64},
        {"--max-pages", "2", 2, 3},
        {"--max-tags", "16", 16, 16}, /* passes: 12 tags */
        {"--max-decoded-mib", "1", 1 << 20, 3 * 600 * 600 * 2},
        {"--max-page-mpix", "1", 1 << 20, 1100 * 1100},
    };
    static const uint32_t sides[] = {64, 32, 32, 600, 1100};
    char folder[64], file[128];
    folder_make(folder);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct daemon d;
        const struct series series = {.width = sides[i],
                                      .height = sides[i],
                                      .pages = 3,
                                      .samples = 1,
                                      .compression = COMPRESSION_LZW,
                                      .rows = sides[i]};
        daemon_start(&d, (const char *const[]){cases[i].flag, cases[i].value, NULL});
        (void)snprintf(file, sizeof file, "%s/a.tif", folder);
        series_write(file, &series);
        struct answer a = post_file(d.url, "/v1/images", file);
        bool passes = strcmp(cases[i].flag, "--max-tags") == 0;
        ck_assert_msg(a.status == (passes ? 201 : 413), "%s: %s", cases[i].flag, a.body);
        if (!passes) {
            ck_assert_msg(number_at(a.json, "limit") == cases[i].limit, "%s", a.body);
            double actual = number_at(a.json, "actual"); /* maybe counted so far */
            ck_assert_msg(actual > cases[i].limit && actual <= cases[i].actual, "%s",
                          a.body);
        }
        answer_free(&a);
        daemon_remove(&d);
    }
    folder_remove(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("memory");
    TCase *tc = tcase_create("memory");
    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, an_accepted_job_never_runs_out_of_memory);
    tcase_add_test(tc, a_job_without_its_memory_fails_with_a_sentence);
    tcase_add_test(tc, memory_does_not_grow_with_the_pages);
    tcase_add_test(tc, a_large_stack_passes_through_a_small_daemon);
    tcase_add_test(tc, a_limit_that_is_passed_is_named_with_both_numbers);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
