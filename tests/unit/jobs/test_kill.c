/* kill -9 at any moment: no job is lost, none is done twice, the results are the same. */

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "job_case.h"
#include "rng.h"

enum { JOBS = 20, KILLS = 12, AT_WORK = 4 };

static int news; /* a byte for each event */

static void tell(void *context)
{
    (void)context;
    (void)!write(news, "", 1);
}

/* A process of its own that works until it is killed.  What it tells comes to *ret_news.
 */
static pid_t start_server(const struct den_service_config *config, int *ret_news)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        news = ends[1];
        open_with(*config);
        den_service_on_event(service, tell, NULL);
        for (;;)
            pause();
    }
    ck_assert_int_gt(child, 0);
    ck_assert_int_eq(close(ends[1]), 0);
    *ret_news = ends[0];
    return child;
}

/* The first ones come when its workers are at it, however long a busy machine takes until
 * then. */
static void one_kill(const struct den_service_config *config, int number,
                     struct den_rng *rng)
{
    struct pollfd told = {.events = POLLIN};
    pid_t child = start_server(config, &told.fd);
    if (number < AT_WORK)
        (void)poll(&told, 1, 10000);
    usleep((useconds_t)den_rng_below(rng, 60000));
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(close(told.fd), 0);
}

START_TEST(kills_at_random_times_lose_nothing_and_repeat_nothing)
{
    need_slow();
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    struct den_rng rng;
    char ids[JOBS][DEN_ID_SIZE];
    uint64_t counts[DEN_JOB_STATES];
    config.max_attempts = 1000;
    assign(request.image, add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 256, 4)).id);
    set(&request, "radius", "5");
    close_all();
    open_with(config);
    struct den_job_row first = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    struct den_image control = pixels_of(first.result_sha256);
    close_all();
    struct den_service_config idle = config;
    idle.with_workers = false;
    open_with(idle);
    for (int i = 0; i < JOBS; i++)
        assign(ids[i], submit(&request).id);
    close_all();
    den_rng_seed(&rng, 1, DEN_STREAM_ORDER, 0);
    for (int i = 0; i < KILLS; i++)
        one_kill(&config, i, &rng);
    open_with(config);
    int64_t again = 0; /* attempts that a kill cut short */
    for (int i = 0; i < JOBS; i++) {
        struct den_job_row row = wait_for(ids[i], DEN_JOB_SUCCEEDED);
        struct den_event_row events[64];
        size_t count = 0, ends = 0;
        struct den_image result = pixels_of(row.result_sha256);
        ck_assert_mem_eq(result.pixels, control.pixels,
                         (size_t)256 * 256 * 4 * sizeof(float));
        den_image_release(&result);
        must(kind->event_list(store, DEN_OWNER_LOCAL, row.id, 0, 64, events, &count,
                              &err));
        for (size_t e = 0; e < count; e++)
            ends += strcmp(events[e].type, "done") == 0;
        ck_assert_uint_eq(ends, 1);
        again += row.attempts - 1;
    }
    ck_assert_int_gt(again, 0); /* else the kills came when nobody was at work */
    must(kind->job_counts(store, counts, &err));
    ck_assert_uint_eq(counts[DEN_JOB_SUCCEEDED], JOBS + 1);
    den_image_release(&control);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kill");
    TCase *tcase = tcase_create("kill");
    tcase_set_timeout(tcase, 2 * WAIT_S);
    tcase_add_checked_fixture(tcase, setup_idle, teardown);
    tcase_add_test(tcase, kills_at_random_times_lose_nothing_and_repeat_nothing);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
