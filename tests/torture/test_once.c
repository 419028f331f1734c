/* The daemon dies around a request with an Idempotency-Key; sent again, it has taken
 * effect once, wherever the end came. */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "scene.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct daemon server;
static char files[64], image[32], body[160];

static void setup(void)
{
    char path[128];
    (void)setenv("DENOISED_TEST_DAEMON", "faults/denoised", 1);
    folder_make(files);
    scene_write(files, 1, 64, 1);
    (void)snprintf(path, sizeof path, "%s/noisy1_0.tif", files);
    daemon_start(&server, NULL);
    upload(server.url, path, image);
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\"}",
                   image);
}

static void teardown(void)
{
    daemon_remove(&server);
    folder_remove(files);
}

static struct answer post(const char *key)
{
    char header[80];
    const char *fault;
    (void)snprintf(header, sizeof header, "Idempotency-Key: %s", key);
    return try_ask("POST", server.url, "/v1/jobs", "application/json", body, strlen(body),
                   header, &fault);
}

static size_t jobs(void)
{
    struct answer a = get(server.url, "/v1/jobs?limit=500");
    size_t count = json_array_size(json_object_get(a.json, "jobs"));
    answer_free(&a);
    return count;
}

/* The daemon ends at the n-th time of a point, counted from its start: of the first
 * commits some belong to the start, some to the request, some to the job. */
START_TEST(a_request_that_was_cut_off_takes_effect_once)
{
    static const char *const points[] = {"job_added", "commit_before", "commit_after"};
    const int most = test_full() ? 24 : 6;
    unsigned died = 0, sent = 0, unanswered = 0;
    daemon_kill(&server);
    for (size_t p = 0; p < COUNT(points); p++)
        for (int n = 1; n <= (p == 0 ? 1 : most); n++) {
            char rule[64], key[32], id[32];
            (void)snprintf(rule, sizeof rule, "%s:%d", points[p], n);
            (void)snprintf(key, sizeof key, "key-%zu-%d", p, n);
            (void)setenv("DEN_FAIL", rule, 1);
            int status = daemon_try(&server, NULL);
            (void)unsetenv("DEN_FAIL");
            sent++;
            if (status == 0) {
                struct answer first = post(key);
                unanswered += first.status == 0;
                ck_assert(first.status == 0 || first.status == 202);
                answer_free(&first);
                if (first.status == 0)
                    (void)daemon_wait(&server);
                else
                    daemon_kill(&server);
            }
            died += status != 0;
            daemon_restart(&server, NULL);
            struct answer again = post(key), third = post(key);
            ck_assert_msg(again.status == 202, "%s: %ld %s", rule, again.status,
                          again.body);
            (void)snprintf(id, sizeof id, "%s", text_at(again.json, "id"));
            ck_assert_str_eq(text_at(third.json, "id"), id);
            answer_free(&again);
            answer_free(&third);
            ck_assert_msg(jobs() == sent, "%s: %zu jobs of %u requests", rule, jobs(),
                          sent);
            daemon_kill(&server);
        }
    printf("%u requests, %u cut off without an answer, %u ends at the start: each took "
           "effect once\n",
           sent, unanswered, died);
    ck_assert_uint_ge(unanswered, 3);
}
END_TEST

static void *post_for_ever(void *opaque)
{
    struct answer a = post("slow");
    (void)opaque;
    answer_free(&a);
    return NULL;
}

/* Its thread stops behind the effect, before the answer. */
START_TEST(while_the_first_is_under_way_the_second_waits)
{
    pthread_t thread;
    char wait[8];
    daemon_kill(&server);
    (void)setenv("DEN_FAIL", "job_added:1:0", 1);
    daemon_restart(&server, NULL);
    (void)unsetenv("DEN_FAIL");
    ck_assert_int_eq(pthread_create(&thread, NULL, post_for_ever, NULL), 0);
    while (jobs() == 0)
        (void)usleep(10000);
    struct answer a = post("slow");
    ck_assert_msg(a.status == 409, "%ld %s", a.status, a.body);
    ck_assert_str_eq(answer_header(&a, "Retry-After", wait, sizeof wait), "1");
    answer_free(&a);
    daemon_kill(&server);
    (void)pthread_join(thread, NULL);
    daemon_restart(&server, NULL);
    a = post("slow");
    ck_assert_int_eq(a.status, 202);
    ck_assert_str_eq(answer_header(&a, "Idempotency-Replayed", wait, sizeof wait),
                     "true");
    answer_free(&a);
    ck_assert_uint_eq(jobs(), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("once");
    TCase *tc = tcase_create("once");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, a_request_that_was_cut_off_takes_effect_once);
    tcase_add_test(tc, while_the_first_is_under_way_the_second_waits);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
