/* A hundred clients at once against the quotas of one owner: none is passed by one, and
 * who is refused is told why and when to come again. */

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "story.h"
#include "str.h"

enum { CLIENTS = 100, EACH = 3, QUEUED = 10, STORED_MIB = 1 };

static const char *const args[] = {"--workers",
                                   "1",
                                   "--threads",
                                   "1",
                                   "--quota_queued_jobs",
                                   "10",
                                   "--quota_stored_mib",
                                   "1",
                                   "--log_level",
                                   "warn",
                                   NULL};
static struct story s;
static char long_job[32];
static atomic_size_t accepted, refused, odd;

static void setup(void)
{
    story_start(&s, args);
    /* The only worker is at a training; nothing else begins, for it is of its kind. */
    story_train(&s, "long", 1000000, long_job);
    double until = den_monotonic_s() + 30;
    for (bool runs = false; !runs && den_monotonic_s() < until;) {
        char path[64];
        (void)snprintf(path, sizeof path, "/v1/jobs/%s", long_job);
        struct answer a = get(s.daemon.url, path);
        runs = strcmp(text_at(a.json, "state"), "running") == 0;
        answer_free(&a);
    }
}

static void teardown(void)
{
    story_end(&s);
}

static void count(const struct answer *a, long good)
{
    char after[32], detail[400];
    (void)snprintf(detail, sizeof detail, "%s", text_at(a->json, "detail"));
    bool sound = a->status == 429 &&
                 strlen(answer_header(a, "Retry-After", after, sizeof after)) > 0 &&
                 strstr(detail, "may") != NULL;
    if (a->status == good)
        atomic_fetch_add(&accepted, 1);
    else if (sound)
        atomic_fetch_add(&refused, 1);
    else
        atomic_fetch_add(&odd, 1);
}

static void *submit_some(void *context)
{
    char body[400];
    const char *fault;
    (void)context;
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"train\",\"dataset\":\"%s\",\"model\":\"m\",\"preset\":"
                   "\"cpu\",\"config\":{" TINY ",\"iterations\":5}}",
                   s.training);
    for (int i = 0; i < EACH; i++) {
        struct answer a = try_ask("POST", s.daemon.url, "/v1/jobs", "application/json",
                                  body, strlen(body), NULL, &fault);
        count(&a, 202);
        answer_free(&a);
    }
    return NULL;
}

/* 200 x 200 pixels of 16 bits, all different from client to client: 80,000 bytes. */
static void *upload_some(void *context)
{
    enum { SIDE = 200 };
    struct den_err err = DEN_ERR_INIT;
    const unsigned number = *(const unsigned *)context;
    char path[128], to[64];
    const char *fault;
    uint16_t *pixels = den_calloc((size_t)SIDE * SIDE, sizeof *pixels);
    struct den_image_info info = {.format = "tiff",
                                  .width = SIDE,
                                  .height = SIDE,
                                  .pages = 1,
                                  .channels = 1,
                                  .dtype = DEN_U16};
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++)
        pixels[i] = (uint16_t)(i * 7919 + number);
    (void)snprintf(path, sizeof path, "%s/many%u.tif", s.files, number);
    struct den_writer *writer = NULL;
    char *data = NULL;
    size_t length = 0;
    bool made = den_writer_open(path, &info, &writer, &err) &&
                den_writer_page(writer, pixels, &err) &&
                den_writer_finish(writer, &err) &&
                den_fs_read(path, 1 << 20, &data, &length, &err);
    den_free(pixels);
    if (!made) {
        atomic_fetch_add(&odd, 1);
        return NULL;
    }
    (void)snprintf(to, sizeof to, "/v1/images?name=many%u.tif", number);
    struct answer a = try_ask("POST", s.daemon.url, to, "application/octet-stream", data,
                              length, NULL, &fault);
    count(&a, 201);
    answer_free(&a);
    den_free(data);
    return NULL;
}

static void all_at_once(void *(*client)(void *))
{
    static unsigned numbers[CLIENTS];
    pthread_t threads[CLIENTS];
    atomic_store(&accepted, 0);
    atomic_store(&refused, 0);
    atomic_store(&odd, 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        numbers[i] = i;
        ck_assert_int_eq(pthread_create(&threads[i], NULL, client, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&odd), 0);
}

START_TEST(a_hundred_clients_submit_no_more_jobs_than_may_wait)
{
    all_at_once(submit_some);
    ck_assert_uint_eq(atomic_load(&accepted), QUEUED);
    ck_assert_uint_eq(atomic_load(&refused), CLIENTS * EACH - QUEUED);
    struct answer a = get(s.daemon.url, "/v1/jobs?state=queued&limit=100");
    ck_assert_uint_eq(json_array_size(at(a.json, "jobs")), QUEUED);
    answer_free(&a);
    printf("%d submissions of %d clients: %d accepted, %zu refused with 429\n",
           CLIENTS * EACH, CLIENTS, QUEUED, atomic_load(&refused));
}
END_TEST

static size_t stored(void)
{
    size_t bytes = 0;
    struct answer a = get(s.daemon.url, "/v1/images?limit=100");
    const json_t *images = at(a.json, "images");
    for (size_t i = 0; i < json_array_size(images); i++)
        bytes += (size_t)number_at(json_array_get(images, i), "bytes");
    answer_free(&a);
    return bytes;
}

START_TEST(a_hundred_clients_store_no_more_bytes_than_they_may)
{
    const size_t limit = (size_t)STORED_MIB << 20;
    size_t before = stored();
    all_at_once(upload_some);
    size_t after = stored(), each = (after - before) / atomic_load(&accepted);
    ck_assert_uint_le(after, limit);
    ck_assert_uint_gt(after + each, limit); /* and no fewer */
    ck_assert_uint_eq(atomic_load(&refused), CLIENTS - atomic_load(&accepted));
    printf("%d uploads at once: %zu accepted, %zu of %zu bytes stored\n", CLIENTS,
           atomic_load(&accepted), after, limit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quotas");
    TCase *tc = tcase_create("quotas");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, a_hundred_clients_submit_no_more_jobs_than_may_wait);
    tcase_add_test(tc, a_hundred_clients_store_no_more_bytes_than_they_may);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
