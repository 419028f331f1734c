/* The durable queue of the store. */

#include <pthread.h>

#include "store_case.h"

/* ---- jobs ---- */

START_TEST(a_job_comes_back_as_it_went_in)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = new_job("train");
    assign(row.model, "nuclei");
    assign(row.method, "cgan");
    assign(row.preset, "cpu");
    assign(row.config, "iterations=20\nlr=0.001\n");
    row.seed = UINT64_MAX;
    row.steps = 20;
    must(kind->job_add(store, DEN_OWNER_LOCAL, &row, 0, &err));
    reopen();
    struct den_job_row got = get_job(row.id);
    ck_assert_str_eq(got.model, "nuclei");
    ck_assert_str_eq(got.method, "cgan");
    ck_assert_str_eq(got.preset, "cpu");
    ck_assert_str_eq(got.config, row.config);
    ck_assert_uint_eq(got.seed, UINT64_MAX);
    ck_assert_uint_eq(got.steps, 20);
    ck_assert_int_eq(got.state, DEN_JOB_QUEUED);
    ck_assert_int_eq(got.attempts, 0);
}
END_TEST

START_TEST(what_became_of_the_planes_is_kept_and_forgotten_by_a_retry)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = new_job("denoise"), got;
    row.peak_bytes = 4711;
    must(kind->job_add(store, DEN_OWNER_LOCAL, &row, 0, &err));
    row = claim(EVERY_CLASS);
    ck_assert_uint_eq(row.peak_bytes, 4711);
    row.planes = 6;
    row.planes_left = 3;
    row.clipped = 2;
    assign(row.dtype, "uint16");
    assign(row.model_sha256, "0123");
    finish(&row, DEN_JOB_FAILED);
    got = get_job(row.id);
    ck_assert_uint_eq(got.planes, 6);
    ck_assert_uint_eq(got.planes_left, 3);
    ck_assert_str_eq(got.dtype, "uint16");
    ck_assert_str_eq(got.model_sha256, "0123");
    must(kind->job_retry(store, DEN_OWNER_LOCAL, row.id, &got, &err));
    ck_assert_uint_eq(got.planes + got.planes_left + got.clipped, 0);
    ck_assert_uint_eq(got.peak_bytes, 4711);
}
END_TEST

START_TEST(short_jobs_come_before_trainings_and_old_before_new)
{
    struct den_err err = DEN_ERR_INIT;
    static const char *const order[] = {"train", "evaluate", "denoise", "train",
                                        "denoise"};
    static const size_t want[] = {2, 4, 1, 0, 3}; /* claimed in this order */
    const enum den_job_class quick = DEN_CLASS_BATCH;
    struct den_job_row rows[5];
    for (size_t i = 0; i < 5; i++)
        rows[i] = add_job(order[i]);
    for (size_t i = 0; i < 5; i++) {
        size_t position = 0;
        must(kind->job_position(store, DEN_OWNER_LOCAL, rows[want[i]].id, &position,
                                &err));
        ck_assert_uint_eq(position, i + 1);
    }
    for (size_t i = 0; i < 5; i++) {
        struct den_job_row got = claim(i < 3 ? quick : EVERY_CLASS);
        ck_assert_str_eq(got.id, rows[want[i]].id);
        ck_assert_int_eq(got.state, DEN_JOB_RUNNING);
        ck_assert_int_eq(got.attempts, 1);
        ck_assert_int_gt(got.started_ms, 0);
        if (i == 2)
            ck_assert_str_eq(claim(quick).id, ""); /* trainings are left to others */
    }
    ck_assert_str_eq(claim(EVERY_CLASS).id, "");
    size_t position = 9;
    must(kind->job_position(store, DEN_OWNER_LOCAL, rows[0].id, &position, &err));
    ck_assert_uint_eq(position, 0);
}
END_TEST

START_TEST(a_full_queue_refuses_with_both_numbers)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row a = new_job("denoise"), b = new_job("denoise"),
                       c = new_job("denoise");
    must(kind->job_add(store, DEN_OWNER_LOCAL, &a, 2, &err));
    must(kind->job_add(store, DEN_OWNER_LOCAL, &b, 2, &err));
    ck_assert(!kind->job_add(store, DEN_OWNER_LOCAL, &c, 2, &err));
    ck_assert_int_eq(err.code, DEN_E_BUSY);
    ck_assert_int_eq(err.limit, 2);
    ck_assert_int_eq(err.actual, 2);
    err = DEN_ERR_INIT;
    claim(EVERY_CLASS);
    must(kind->job_add(store, DEN_OWNER_LOCAL, &c, 2,
                       &err)); /* running jobs do not count */
}
END_TEST

START_TEST(lists_of_jobs_filter_by_state_and_kind)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row a = add_job("denoise"), b = add_job("train"), got[4];
    struct den_job_row c = add_job("denoise");
    size_t count = 0;
    claim(EVERY_CLASS);
    must(kind->job_list(store, DEN_OWNER_LOCAL, NULL, NULL, "", 4, got, &count, &err));
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(got[0].id, c.id);
    must(kind->job_list(store, DEN_OWNER_LOCAL, "running", NULL, "", 4, got, &count,
                        &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(got[0].id, a.id);
    must(kind->job_list(store, DEN_OWNER_LOCAL, "queued", "train", "", 4, got, &count,
                        &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(got[0].id, b.id);
    uint64_t counts[DEN_JOB_STATES];
    must(kind->job_counts(store, counts, &err));
    ck_assert_uint_eq(counts[DEN_JOB_QUEUED], 2);
    ck_assert_uint_eq(counts[DEN_JOB_RUNNING], 1);
    ck_assert_uint_eq(counts[DEN_JOB_FAILED], 0);
    uint64_t depths[3] = {9, 9, 9};
    must(kind->job_depths(store, (const char *[]){"evaluate", "train", "denoise"}, 3,
                          depths, &err));
    ck_assert_uint_eq(depths[0], 0);
    ck_assert_uint_eq(depths[1], 1);
    ck_assert_uint_eq(depths[2], 1);
}
END_TEST

START_TEST(cancel_ends_what_waits_and_asks_what_runs)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row a = add_job("denoise"), b = add_job("denoise"), got;
    claim(EVERY_CLASS);
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, a.id, &got, &err));
    ck_assert_int_eq(got.state, DEN_JOB_CANCELLING);
    ck_assert_int_eq(got.finished_ms, 0);
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, b.id, &got, &err));
    ck_assert_int_eq(got.state, DEN_JOB_CANCELLED);
    ck_assert_int_gt(got.finished_ms, 0);
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, a.id, &got,
                          &err)); /* again: no change */
    ck_assert_int_eq(got.state, DEN_JOB_CANCELLING);
    finish(&got, DEN_JOB_CANCELLED);
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, a.id, &got, &err));
    ck_assert_int_eq(got.state, DEN_JOB_CANCELLED);
    must_fail(kind->job_cancel(store, DEN_OWNER_LOCAL, "job_x", &got, &err),
              DEN_E_NOT_FOUND, "job_x");
}
END_TEST

START_TEST(retry_is_for_failed_and_cancelled_jobs_at_the_end_of_the_queue)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row a = add_job("denoise"), b = add_job("denoise"), got;
    struct den_job_row run = claim(EVERY_CLASS);
    assign(run.error_code, "diverged");
    assign(run.error_text, "no");
    finish(&run, DEN_JOB_FAILED);
    must(kind->job_retry(store, DEN_OWNER_LOCAL, a.id, &got, &err));
    ck_assert_int_eq(got.state, DEN_JOB_QUEUED);
    ck_assert_int_eq(got.attempts, 0);
    ck_assert_str_eq(got.error_code, "");
    ck_assert_int_eq(got.finished_ms, 0);
    must(
        kind->job_retry(store, DEN_OWNER_LOCAL, a.id, &got, &err)); /* again: no change */
    ck_assert_str_eq(claim(EVERY_CLASS).id, b.id);
    run = claim(EVERY_CLASS);
    ck_assert_str_eq(run.id, a.id);
    finish(&run, DEN_JOB_SUCCEEDED);
    must_fail(kind->job_retry(store, DEN_OWNER_LOCAL, a.id, &got, &err), DEN_E_CONFLICT,
              "succeeded");
}
END_TEST

START_TEST(only_a_running_job_can_be_finished_or_progress)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_job("denoise");
    struct den_lease lease = den_job_lease(&row);
    must_fail(kind->job_progress(store, &lease, 1, 2, &err), DEN_E_CONFLICT,
              "not running");
    row.state = DEN_JOB_SUCCEEDED;
    must_fail(kind->job_finish(store, &row, NULL, NULL, 0, &err), DEN_E_CONFLICT,
              "not running");
    row = claim(EVERY_CLASS);
    lease = den_job_lease(&row);
    must(kind->job_progress(store, &lease, 3, 9, &err));
    ck_assert_uint_eq(get_job(row.id).step, 3);
    ck_assert_uint_eq(get_job(row.id).steps, 9);
    finish(&row, DEN_JOB_SUCCEEDED);
    row.state = DEN_JOB_FAILED;
    must_fail(kind->job_finish(store, &row, NULL, NULL, 0, &err), DEN_E_CONFLICT,
              "not running"); /* no second end */
    ck_assert_int_eq(get_job(row.id).state, DEN_JOB_SUCCEEDED);
}
END_TEST

START_TEST(an_unfinished_job_cannot_be_deleted)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_job("denoise");
    struct den_event_row event = {.type = "state", .name = "queued"}, got[2];
    size_t count = 9;
    claim(EVERY_CLASS);
    row = get_job(row.id);
    struct den_lease lease = den_job_lease(&row);
    must(kind->event_add(store, &lease, &event, 1, &err));
    must(kind->job_requeue(store, &lease, &err));
    must_fail(kind->job_delete(store, DEN_OWNER_LOCAL, row.id, &err), DEN_E_CONFLICT,
              "queued");
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, row.id, &row, &err));
    must(kind->job_delete(store, DEN_OWNER_LOCAL, row.id, &err));
    must_fail(kind->job_get(store, DEN_OWNER_LOCAL, row.id, &row, &err), DEN_E_NOT_FOUND,
              row.id);
    must(kind->event_list(store, DEN_OWNER_LOCAL, row.id, 0, 2, got, &count, &err));
    ck_assert_uint_eq(count, 0); /* its events went with it */
    must_fail(kind->event_add(store, &lease, &event, 1, &err), DEN_E_CONFLICT, row.id);
}
END_TEST

START_TEST(after_a_crash_running_jobs_wait_again_in_their_old_place)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row a = add_job("train"), b = add_job("denoise");
    struct den_job_row c = add_job("train"), got;
    claim(EVERY_CLASS); /* b */
    claim(EVERY_CLASS); /* a */
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, b.id, &got, &err));
    reopen();
    ck_assert_uint_eq(recover(3), 1);
    ck_assert_int_eq(get_job(a.id).state, DEN_JOB_QUEUED);
    ck_assert_int_eq(get_job(a.id).attempts, 1);
    ck_assert_int_eq(get_job(b.id).state, DEN_JOB_CANCELLED);
    ck_assert_str_eq(claim(EVERY_CLASS).id, a.id);
    ck_assert_str_eq(claim(EVERY_CLASS).id, c.id);
}
END_TEST

START_TEST(a_job_that_kills_the_server_is_not_started_for_ever)
{
    struct den_job_row row = add_job("denoise");
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(claim(EVERY_CLASS).id, row.id);
        ck_assert_uint_eq(recover(3), i < 2 ? 1 : 0);
    }
    row = get_job(row.id);
    ck_assert_int_eq(row.state, DEN_JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(row.error_text, "3 times"));
    ck_assert_str_eq(row.error_code, "internal");
    ck_assert_str_eq(claim(EVERY_CLASS).id, "");
}
END_TEST

START_TEST(a_graceful_stop_does_not_count_as_an_attempt)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_job("train");
    struct den_lease lease;
    for (int i = 0; i < 5; i++) {
        row = claim(EVERY_CLASS);
        lease = den_job_lease(&row);
        must(kind->job_requeue(store, &lease, &err));
    }
    ck_assert_int_eq(get_job(row.id).attempts, 0);
    must_fail(kind->job_requeue(store, &lease, &err), DEN_E_CONFLICT, "not running");
}
END_TEST

/* "queued running ..." of the state and done events, done in brackets. */
static void story(const char *job, char *to, size_t size)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_event_row rows[32];
    size_t count = 0;
    must(kind->event_list(store, DEN_OWNER_LOCAL, job, 0, 32, rows, &count, &err));
    to[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(to);
        bool done = strcmp(rows[i].type, "done") == 0;
        ck_assert_int_gt(rows[i].created_ms, 0);
        den_str_format(to + used, size - used, done ? "[%s] " : "%s ", rows[i].name);
    }
}

START_TEST(every_change_of_state_is_an_event_and_every_end_is_done_once)
{
    struct den_err err = DEN_ERR_INIT;
    char text[400];
    struct den_job_row row = add_job("train"), got;
    got = claim(EVERY_CLASS);
    struct den_lease lease = den_job_lease(&got);
    must(kind->job_requeue(store, &lease, &err));
    claim(EVERY_CLASS);
    recover(3);
    claim(EVERY_CLASS);
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, row.id, &got, &err));
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, row.id, &got,
                          &err)); /* no change, no event */
    recover(3);
    story(row.id, text, sizeof text);
    ck_assert_str_eq(text, "queued running queued running queued running cancelling "
                           "cancelled [cancelled] ");
    must(kind->job_retry(store, DEN_OWNER_LOCAL, row.id, &got,
                         &err)); /* takes back the end */
    row = claim(EVERY_CLASS);
    assign(row.error_text, "the net is tired");
    finish(&row, DEN_JOB_FAILED);
    story(row.id, text, sizeof text);
    ck_assert_str_eq(text, "queued running queued running queued running cancelling "
                           "cancelled queued running failed [failed] ");
}
END_TEST

struct claimer {
    pthread_t thread;
    char ids[64][DEN_ID_SIZE];
    size_t count;
};

static void *claim_all(void *context)
{
    struct claimer *me = context;
    struct den_job_row row;
    struct den_err err = DEN_ERR_INIT;
    const struct den_claim how = {
        .now = den_moment_now(), .worker = "w", .lease_ms = 60000, .last = EVERY_CLASS};
    bool found = true;
    while (me->count < 64 && kind->job_claim(store, &how, &row, &found, &err) && found)
        assign(me->ids[me->count++], row.id);
    return NULL;
}

START_TEST(four_threads_claim_each_job_once)
{
    enum { JOBS = 40, THREADS = 4 };
    static struct claimer claimers[THREADS];
    for (int i = 0; i < JOBS; i++)
        add_job("denoise");
    for (int i = 0; i < THREADS; i++)
        pthread_create(&claimers[i].thread, NULL, claim_all, &claimers[i]);
    size_t total = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(claimers[i].thread, NULL);
        total += claimers[i].count;
    }
    ck_assert_uint_eq(total, JOBS);
    for (int a = 0; a < THREADS; a++)
        for (int b = a + 1; b < THREADS; b++)
            for (size_t i = 0; i < claimers[a].count; i++)
                for (size_t j = 0; j < claimers[b].count; j++)
                    ck_assert_str_ne(claimers[a].ids[i], claimers[b].ids[j]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_job_comes_back_as_it_went_in,
        what_became_of_the_planes_is_kept_and_forgotten_by_a_retry,
        short_jobs_come_before_trainings_and_old_before_new,
        a_full_queue_refuses_with_both_numbers,
        lists_of_jobs_filter_by_state_and_kind,
        cancel_ends_what_waits_and_asks_what_runs,
        retry_is_for_failed_and_cancelled_jobs_at_the_end_of_the_queue,
        only_a_running_job_can_be_finished_or_progress,
        an_unfinished_job_cannot_be_deleted,
        after_a_crash_running_jobs_wait_again_in_their_old_place,
        a_job_that_kills_the_server_is_not_started_for_ever,
        a_graceful_stop_does_not_count_as_an_attempt,
        every_change_of_state_is_an_event_and_every_end_is_done_once,
        four_threads_claim_each_job_once,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
