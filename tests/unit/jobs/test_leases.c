/* Leases: who has a job may write about it, and nobody else. */

#include "store_case.h"

static struct den_moment later(int64_t ms)
{
    struct den_moment now = den_moment_now();
    now.boot_ms += ms;
    return now;
}

/* As the keeper does it: only what has run out. */
static size_t recover_at(struct den_moment now, int64_t first_ms)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_recovery how = {
        .now = now, .backoff = {.max_attempts = 3, .first_ms = first_ms}};
    size_t requeued = 0;
    must(kind->job_recover(store, &how, &requeued, &err));
    return requeued;
}

static struct den_job_row claim_at(struct den_moment now, const char *worker)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = {.id = ""};
    const struct den_claim how = {
        .now = now, .worker = worker, .lease_ms = 60000, .last = EVERY_CLASS};
    bool found = false;
    must(kind->job_claim(store, &how, &row, &found, &err));
    return row;
}

static size_t events_of(const char *job)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_event_row rows[32];
    size_t count = 0;
    must(kind->event_list(store, DEN_OWNER_LOCAL, job, 0, 32, rows, &count, &err));
    return count;
}

/* Every way in which a worker writes about its job, with a lease of no worth. */
static void nothing_can_be_written(const struct den_job_row *row)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_lease lease = den_job_lease(row);
    const struct den_moment now = den_moment_now();
    struct den_event_row event = {.type = "log", .text = "I am still here"};
    struct den_cell_row cell = {.state = "done"};
    struct den_model_row model = {.name = "ghost"};
    struct den_job_row ended = *row;
    size_t before = events_of(row->id);
    struct den_job_row was = get_job(row->id);
    ended.state = DEN_JOB_SUCCEEDED;
    must_fail(kind->job_renew(store, &lease, 60000, &now, &err), DEN_E_CONFLICT, "");
    must_fail(kind->job_progress(store, &lease, 5, 6, &err), DEN_E_CONFLICT, "");
    must_fail(kind->event_add(store, &lease, &event, 1, &err), DEN_E_CONFLICT, "");
    must_fail(kind->cell_add(store, &lease, &cell, NULL, &model, &err), DEN_E_CONFLICT,
              "");
    must_fail(kind->job_finish(store, &ended, &model, NULL, 0, &err), DEN_E_CONFLICT, "");
    must_fail(kind->job_requeue(store, &lease, &err), DEN_E_CONFLICT, "");
    must_fail(kind->job_again(store, &lease, 10, &now, "no", &err), DEN_E_CONFLICT, "");
    must_fail(kind->model_own(store, DEN_OWNER_LOCAL, "ghost", 0, &model, &err),
              DEN_E_NOT_FOUND, "ghost");
    struct den_job_row is = get_job(row->id);
    ck_assert_int_eq(is.state, was.state);
    ck_assert_int_eq(is.gen, was.gen);
    ck_assert_uint_eq(is.step, was.step);
    ck_assert_uint_eq(events_of(row->id), before);
}

START_TEST(a_lease_that_ran_out_is_void_and_the_next_one_counts_on)
{
    struct den_job_row row = add_job("train");
    struct den_job_row first = claim_at(den_moment_now(), "worker-1");
    ck_assert_int_eq(first.gen, 1);
    ck_assert_str_eq(first.worker, "worker-1");
    ck_assert_uint_eq(recover_at(later(59000), 0), 0); /* not yet */
    ck_assert_uint_eq(recover_at(later(61000), 0), 1);
    nothing_can_be_written(&first); /* while it waits */
    struct den_job_row second = claim_at(den_moment_now(), "worker-1");
    ck_assert_str_eq(second.id, row.id);
    ck_assert_int_eq(second.gen, 2);
    ck_assert_int_eq(second.attempts, 2);
    nothing_can_be_written(&first); /* the same worker, an earlier lease */
    finish(&second, DEN_JOB_SUCCEEDED);
    nothing_can_be_written(&first);
    nothing_can_be_written(&second); /* no second end */
}
END_TEST

START_TEST(another_worker_with_the_right_number_is_refused)
{
    add_job("train");
    struct den_job_row row = claim_at(den_moment_now(), "worker-1");
    assign(row.worker, "worker-2");
    nothing_can_be_written(&row);
}
END_TEST

START_TEST(a_renewed_lease_lasts)
{
    struct den_err err = DEN_ERR_INIT;
    add_job("train");
    struct den_job_row row = claim_at(den_moment_now(), "worker-1");
    const struct den_lease lease = den_job_lease(&row);
    for (int64_t s = 10; s <= 600; s += 10) {
        const struct den_moment now = later(s * 1000);
        ck_assert_uint_eq(recover_at(now, 0), 0);
        must(kind->job_renew(store, &lease, 60000, &now, &err));
    }
    ck_assert_uint_eq(recover_at(later(661000), 0), 1);
}
END_TEST

START_TEST(another_start_of_the_machine_voids_leases_and_waits)
{
    struct den_moment now = den_moment_now(), other = now;
    add_job("train");
    claim_at(now, "worker-1");
    other.boot_id[0] = other.boot_id[0] == '0' ? '1' : '0';
    other.boot_ms = 5; /* its clock began anew, and is behind */
    ck_assert_uint_eq(recover_at(later(61000), 1000000), 1);
    ck_assert_str_eq(claim_at(later(70000), "worker-1").id, ""); /* it has to wait */
    struct den_err err = DEN_ERR_INIT;
    const struct den_recovery how = {
        .now = other, .all = true, .backoff = {.max_attempts = 3}};
    size_t requeued = 9;
    must(kind->job_recover(store, &how, &requeued, &err));
    /* Whose clock that was is gone, and with it the lease as soon as somebody looks. */
    ck_assert_str_ne(claim_at(now, "worker-1").id, "");
    ck_assert_uint_eq(recover_at(other, 0), 1);
}
END_TEST

START_TEST(what_is_cancelled_ends_when_its_lease_does)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_job("train");
    claim_at(den_moment_now(), "worker-1");
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, row.id, &row, &err));
    ck_assert_int_eq(row.state, DEN_JOB_CANCELLING);
    ck_assert_uint_eq(recover_at(later(61000), 0), 0);
    ck_assert_int_eq(get_job(row.id).state, DEN_JOB_CANCELLED);
}
END_TEST

START_TEST(a_job_over_which_workers_fall_silent_ends)
{
    struct den_job_row row = add_job("train");
    struct den_moment now = den_moment_now();
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(claim_at(now, "worker-1").id, row.id);
        now.boot_ms += 61000;
        ck_assert_uint_eq(recover_at(now, 0), i < 2 ? 1 : 0);
    }
    row = get_job(row.id);
    ck_assert_int_eq(row.state, DEN_JOB_FAILED);
    ck_assert_ptr_nonnull(strstr(row.error_text, "3 times"));
    ck_assert_ptr_nonnull(strstr(row.error_text, "silent"));
}
END_TEST

START_TEST(a_training_that_gets_on_is_never_given_up)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_job("train");
    for (uint64_t i = 1; i <= 20; i++) { /* machines die, and it goes on from there */
        struct den_job_row got = claim_at(den_moment_now(), "worker-1");
        const struct den_lease lease = den_job_lease(&got);
        ck_assert_str_eq(got.id, row.id);
        must(kind->job_progress(store, &lease, 10 * i, 1000, &err));
        ck_assert_uint_eq(recover(3), 1);
    }
    ck_assert_int_eq(get_job(row.id).attempts, 20);
    for (int i = 0; i < 3; i++) { /* until it does not */
        ck_assert_str_eq(claim_at(den_moment_now(), "worker-1").id, row.id);
        ck_assert_uint_eq(recover(3), i < 2);
    }
    ck_assert_int_eq(get_job(row.id).state, DEN_JOB_FAILED);
}
END_TEST

START_TEST(an_image_that_gets_on_is_given_up_all_the_same)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_job("denoise");
    for (uint64_t i = 1; i <= 3; i++) {
        struct den_job_row got = claim_at(den_moment_now(), "worker-1");
        const struct den_lease lease = den_job_lease(&got);
        must(kind->job_progress(store, &lease, 10 * i, 1000, &err));
        ck_assert_uint_eq(recover(3), i < 3); /* it begins anew each time */
    }
    ck_assert_int_eq(get_job(row.id).state, DEN_JOB_FAILED);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_lease_that_ran_out_is_void_and_the_next_one_counts_on,
        another_worker_with_the_right_number_is_refused,
        a_renewed_lease_lasts,
        another_start_of_the_machine_voids_leases_and_waits,
        what_is_cancelled_ends_when_its_lease_does,
        a_job_over_which_workers_fall_silent_ends,
        a_training_that_gets_on_is_never_given_up,
        an_image_that_gets_on_is_given_up_all_the_same,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
