/* A worker that falls silent for longer than its lease, and then wakes up and goes on:
 * its job is another's by then, and nothing of what it still does is kept.
 *
 * The silence is made by whoever is told of events: the telling of one of them takes
 * until the job has ended by another's hand. */

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>

#include "job_case.h"

enum { ROUNDS = 10, ROUNDS_FULL = 200 };

static pthread_t main_thread;
static atomic_int stall_at; /* the n-th word of a worker from now on; 0 = none */
static atomic_bool stalled, let_go;

static void be_told(void *context)
{
    (void)context;
    if (pthread_equal(pthread_self(), main_thread) || atomic_load(&stall_at) == 0 ||
        atomic_fetch_sub(&stall_at, 1) != 1)
        return;
    atomic_store(&stalled, true);
    while (!atomic_load(&let_go))
        usleep(1000);
}

static size_t entries(const char *name)
{
    char path[PATH_MAX];
    size_t count = 0;
    den_str_format(path, sizeof path, "%s/%s", folder, name);
    DIR *dir = opendir(path);
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void wait_until_idle(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_stats stats = {.workers_busy = 1};
    double until = den_monotonic_s() + WAIT_S;
    while (stats.workers_busy > 0 && den_monotonic_s() < until) {
        usleep(2000);
        must(den_service_stats(service, &stats, &err));
    }
    ck_assert_int_eq(stats.workers_busy, 0);
}

/* Starts and ends of a job, as its events tell them. */
static void count_events(const char *job, size_t *ret_starts, size_t *ret_ends)
{
    enum { MOST = 8000 };
    static struct den_event_row rows[MOST];
    struct den_err err = DEN_ERR_INIT;
    size_t count = 0;
    *ret_starts = *ret_ends = 0;
    must(kind->event_list(store, DEN_OWNER_LOCAL, job, 0, MOST, rows, &count, &err));
    for (size_t i = 0; i < count; i++) {
        *ret_starts +=
            strcmp(rows[i].type, "state") == 0 && strcmp(rows[i].name, "running") == 0;
        *ret_ends += strcmp(rows[i].type, "done") == 0;
    }
}

static struct den_model_row model_of(const struct den_job_row *job)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row model;
    must(kind->model_own(store, DEN_OWNER_LOCAL, job->model, job->version, &model, &err));
    ck_assert_str_eq(model.job, job->id);
    return model;
}

/* One round: the job ends while the worker that had it first is silent, and nothing
 * changes when that wakes up.  false: it fell silent after the end. */
static bool one_round(const struct den_job_request *request, int word,
                      struct den_job_row *ret)
{
    size_t starts, ends;
    atomic_store(&stalled, false);
    atomic_store(&let_go, false);
    atomic_store(&stall_at, word);
    struct den_job_row job = submit(request);
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    bool zombie = atomic_load(&stalled) && job.attempts > 1;
    atomic_store(&stall_at, 0);
    atomic_store(&let_go, true);
    wait_until_idle();
    struct den_job_row after = get_job(job.id);
    ck_assert_int_eq(after.state, DEN_JOB_SUCCEEDED);
    ck_assert_int_eq(after.gen, job.gen);
    ck_assert_int_eq(after.attempts, job.attempts);
    ck_assert_int_eq(after.version, job.version);
    ck_assert_int_eq(after.finished_ms, job.finished_ms);
    ck_assert_str_eq(after.result_sha256, job.result_sha256);
    count_events(job.id, &starts, &ends);
    ck_assert_uint_eq(ends, 1);
    ck_assert_int_eq((int64_t)starts, after.attempts);
    ck_assert_uint_eq(entries("work"), 0);
    ck_assert_uint_eq(entries("tmp"), 0);
    *ret = after;
    return zombie;
}

START_TEST(what_a_zombie_does_is_not_kept)
{
    need_slow();
    struct den_service_config config = usual_config();
    struct den_job_request image = {.kind = "denoise", .method = "median"};
    config.workers = 3;
    config.max_attempts = 1000;
    config.lease_s = 0.5;
    config.stall_s = 0.2;
    config.checkpoint_seconds = 0.02;
    close_all();
    open_with(config);
    assign(image.image, add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 64, 3)).id);
    struct den_job_request train = train_request(add_pairs("p").id, "30");
    struct den_job_row first = wait_for(submit(&image).id, DEN_JOB_SUCCEEDED), row;
    struct den_image control = pixels_of(first.result_sha256);
    first = wait_for(submit(&train).id, DEN_JOB_SUCCEEDED);
    struct den_model_row model = model_of(&first);
    int rounds = test_full() ? ROUNDS_FULL : ROUNDS, zombies = 0, done = 0, versions = 1;
    main_thread = pthread_self();
    den_service_on_event(service, be_told, NULL);
    for (; done < rounds; done++) {
        bool trains = done % 2 == 1;
        /* From the start of the job to the last word before its end. */
        int word = trains ? 1 + done / 2 % 6 : 1;
        zombies += one_round(trains ? &train : &image, word, &row);
        if (trains) {
            ck_assert_int_eq(row.version, ++versions); /* no number went to a ghost */
            ck_assert_str_eq(model_of(&row).sha256, model.sha256);
            continue;
        }
        struct den_image result = pixels_of(row.result_sha256);
        ck_assert_mem_eq(result.pixels, control.pixels,
                         (size_t)64 * 64 * 3 * sizeof(float));
        den_image_release(&result);
    }
    den_service_on_event(service, NULL, NULL);
    den_image_release(&control);
    printf("%d silent workers in %d rounds: 0 stale commits, results bit-equal\n",
           zombies, done);
    ck_assert_int_ge(zombies, rounds * 8 / 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("zombies");
    TCase *tcase = tcase_create("zombies");
    tcase_set_timeout(tcase, test_full() ? 1800 : 3 * WAIT_S);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_a_zombie_does_is_not_kept);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
