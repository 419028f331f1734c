/* A neighbour with ten times the load: who waits for one image after the other waits no
 * more than twice as long as alone. */

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "den_check.h"
#include "fs.h"
#include "image.h"
#include "mem.h"
#include "service.h"
#include "str.h"

enum { SIDE = 256, PAGES = 6, IMAGES_SHORT = 25, IMAGES_FULL = 300, LOAD = 10 };

static char folder[64];
static struct den_service *service;
static const struct den_store_kind *kind;
static struct den_store *store;

static void setup(void)
{
    struct den_err err = DEN_ERR_INIT;
    (void)snprintf(folder, sizeof folder, "/tmp/denoised-neighbour-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    const struct den_service_config config = {.state = folder,
                                              .threads = 1,
                                              .with_workers = true,
                                              .workers = 2,
                                              .queue_limit = 10000,
                                              .max_attempts = 3};
    must(den_service_open(&config, &service, &err));
    kind = den_service_store(service, &store);
    must(den_service_start(service, &err));
}

static void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    den_service_stop(service);
    den_service_close(service);
    must(den_fs_remove_tree(folder, &err));
}

static void add_image(const char *owner, unsigned seed, char *id)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row;
    bool fresh;
    char path[PATH_MAX];
    size_t n = (size_t)SIDE * SIDE * PAGES;
    struct den_image image = {.info = {.format = "tiff",
                                       .width = SIDE,
                                       .height = SIDE,
                                       .pages = PAGES,
                                       .channels = 1,
                                       .dtype = DEN_U16},
                              .pixels = den_calloc(n, sizeof(float))};
    for (size_t i = 0; i < n; i++)
        image.pixels[i] = (float)((i * 2654435761U + seed) % 4096);
    den_blobs_temporary(den_service_blobs(service), path, sizeof path);
    must(den_image_save(path, &image, &err));
    den_image_release(&image);
    must(den_service_add_image(service, owner, path, "a.tif", NULL, &row, &fresh, &err));
    memcpy(id, row.id, sizeof row.id);
}

static void submit(const char *owner, const char *image, char *ret_id)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_request *request = den_calloc(1, sizeof *request);
    struct den_job_row row;
    struct den_job_estimate estimate;
    ck_assert(den_str_copy(request->kind, sizeof request->kind, "denoise"));
    ck_assert(den_str_copy(request->method, sizeof request->method, "median"));
    ck_assert(den_str_copy(request->image, sizeof request->image, image));
    must(den_service_submit(service, owner, request, false, &row, &estimate, &err));
    memcpy(ret_id, row.id, sizeof row.id);
    den_free(request);
}

static void wait_for(const char *owner, const char *id)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    do {
        (void)usleep(500);
        must(kind->job_get(store, owner, id, &row, &err));
    } while (row.state == DEN_JOB_QUEUED || row.state == DEN_JOB_RUNNING);
    ck_assert_int_eq(row.state, DEN_JOB_SUCCEEDED);
}

static int compare(const void *a, const void *b)
{
    const double *p = a, *q = b;
    return *p < *q ? -1 : *p > *q;
}

/* Seconds until the image is there, of one image after the other: p99. */
static double p99_of(const char *owner, const char *image, size_t count)
{
    double *waits = den_calloc(count, sizeof *waits);
    char id[DEN_ID_SIZE];
    for (size_t i = 0; i < count; i++) {
        double since = den_monotonic_s();
        submit(owner, image, id);
        wait_for(owner, id);
        waits[i] = den_monotonic_s() - since;
    }
    qsort(waits, count, sizeof *waits, compare);
    double p99 =
        waits[(count * 99 - 1) / 100 < count ? (count * 99 - 1) / 100 : count - 1];
    den_free(waits);
    return p99;
}

/* ---- the neighbour: always so many jobs in the queue ---- */

static atomic_bool stop;
static char his_image[DEN_ID_SIZE];
static atomic_size_t his_jobs;

static void *load(void *context)
{
    char ids[LOAD][DEN_ID_SIZE];
    (void)context;
    for (size_t i = 0; i < LOAD; i++)
        submit("neighbour", his_image, ids[i]);
    for (size_t i = 0; !atomic_load(&stop); i = (i + 1) % LOAD) {
        wait_for("neighbour", ids[i]);
        submit("neighbour", his_image, ids[i]);
        atomic_fetch_add(&his_jobs, 1);
    }
    return NULL;
}

/* How many times as long it takes beside him. */
static double compare_once(const char *image, size_t count)
{
    pthread_t neighbour;
    atomic_store(&his_jobs, 0);
    atomic_store(&stop, false);
    double alone = p99_of("ann", image, count);
    ck_assert_int_eq(pthread_create(&neighbour, NULL, load, NULL), 0);
    while (atomic_load(&his_jobs) < LOAD)
        (void)usleep(1000);
    double beside = p99_of("ann", image, count);
    atomic_store(&stop, true);
    pthread_join(neighbour, NULL);
    printf("%zu images one after the other: p99 %.1f ms alone, %.1f ms beside %d jobs of "
           "a neighbour: %.2f times (%zu of his were done)\n",
           count, 1e3 * alone, 1e3 * beside, LOAD, beside / alone,
           atomic_load(&his_jobs));
    return beside / alone;
}

/* Other programs on the machine may take from one half of a comparison alone: then it is
 * made again. */
START_TEST(a_neighbour_with_ten_times_the_load_makes_nobody_wait_twice_as_long)
{
    need_slow();
    enum { TRIES = 3 };
    const size_t count = test_full() ? IMAGES_FULL : IMAGES_SHORT;
    char image[DEN_ID_SIZE];
    double times = 3;
    add_image("ann", 1, image);
    add_image("neighbour", 2, his_image);
    (void)p99_of("ann", image, 3); /* all is warm */
    for (int i = 0; i < TRIES && times > 2; i++)
        times = compare_once(image, count);
    ck_assert_double_le(times, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("neighbour");
    TCase *tc = tcase_create("neighbour");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 600);
    tcase_add_test(tc,
                   a_neighbour_with_ten_times_the_load_makes_nobody_wait_twice_as_long);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
