/* What is tried again, when, and how often. */

#include "backoff.h"
#include "quota.h"
#include "store_case.h"

START_TEST(waits_double_from_ten_seconds_to_ten_minutes)
{
    static const int64_t seconds[] = {10, 20, 40, 80, 160, 320, 600, 600, 600};
    const struct den_backoff backoff = {.first_ms = 10000, .max_attempts = 9};
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        int64_t failures = (int64_t)i + 1, ms = seconds[i] * 1000;
        ck_assert_int_eq(den_backoff_ms(&backoff, failures, 0), ms);
        ck_assert_int_eq(den_backoff_ms(&backoff, failures, 1), ms + ms / 5);
        int64_t least = INT64_MAX, most = 0;
        for (int k = 0; k < 200; k++) {
            int64_t drawn = den_backoff_draw(&backoff, failures);
            least = drawn < least ? drawn : least;
            most = drawn > most ? drawn : most;
        }
        ck_assert_int_ge(least, ms);
        ck_assert_int_le(most, ms + ms / 5);
        ck_assert_int_gt(most - least, ms / 10); /* they come back apart */
    }
    ck_assert_int_eq(den_backoff_ms(&backoff, INT64_MAX, 0), DEN_BACKOFF_MOST_MS);
    ck_assert_int_eq(den_backoff_ms(&(struct den_backoff){.first_ms = 0}, 5, 1), 0);
}
END_TEST

START_TEST(only_what_may_pass_is_tried_again)
{
    for (int code = DEN_OK; code < DEN_CODES; code++)
        ck_assert_int_eq(den_backoff_helps((enum den_code)code),
                         code == DEN_E_IO || code == DEN_E_DISK_FULL ||
                             code == DEN_E_NO_MEMORY);
}
END_TEST

static struct den_job_row claim_in(int64_t ms)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = {.id = ""};
    struct den_claim how = {
        .now = den_moment_now(), .worker = "w", .lease_ms = 60000, .last = EVERY_CLASS};
    bool found = false;
    how.now.boot_ms += ms;
    must(kind->job_claim(store, &how, &row, &found, &err));
    return row;
}

static void fail_after(struct den_job_row row, int64_t wait_ms)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_lease lease = den_job_lease(&row);
    const struct den_moment now = den_moment_now();
    must(kind->job_again(store, &lease, wait_ms, &now, "the disk is full", &err));
}

START_TEST(a_job_that_failed_waits_and_says_until_when)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_job("denoise");
    struct den_event_row events[8];
    size_t count = 0;
    fail_after(claim_in(0), 10000);
    ck_assert_str_eq(claim_in(9000).id, "");
    row = get_job(row.id);
    ck_assert_int_eq(row.state, DEN_JOB_QUEUED);
    ck_assert_int_eq(row.attempts, 1);
    ck_assert_int_le(row.retry_ms, den_wall_ms() + 10000);
    ck_assert_int_gt(row.retry_ms, den_wall_ms() + 5000);
    must(kind->event_list(store, DEN_OWNER_LOCAL, row.id, 0, 8, events, &count, &err));
    ck_assert_uint_eq(count, 4); /* queued, running, why, queued */
    ck_assert_str_eq(events[2].text, "the disk is full");
    struct den_job_row again = claim_in(11000);
    ck_assert_str_eq(again.id, row.id);
    ck_assert_int_eq(again.attempts, 2);
    ck_assert_int_eq(again.retry_ms, 0);
}
END_TEST

START_TEST(who_asks_for_a_retry_does_not_wait)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_job("denoise");
    fail_after(claim_in(0), 600000);
    ck_assert_str_eq(claim_in(0).id, "");
    must(kind->job_retry(store, DEN_OWNER_LOCAL, row.id, &row, &err));
    ck_assert_int_eq(row.state, DEN_JOB_QUEUED);
    ck_assert_int_eq(row.retry_ms, 0);
    ck_assert_str_eq(claim_in(0).id, row.id);
}
END_TEST

START_TEST(a_server_that_died_over_a_job_waits_from_the_second_time_on)
{
    struct den_err err = DEN_ERR_INIT;
    add_job("denoise");
    struct den_recovery how = {.now = den_moment_now(),
                               .all = true,
                               .backoff = {.max_attempts = 5, .first_ms = 10000}};
    size_t requeued = 0;
    ck_assert_str_ne(claim_in(0).id, "");
    must(kind->job_recover(store, &how, &requeued, &err));
    ck_assert_uint_eq(requeued, 1);
    ck_assert_str_ne(claim_in(0).id, ""); /* once it goes on at once */
    must(kind->job_recover(store, &how, &requeued, &err));
    ck_assert_str_eq(claim_in(9000).id, "");
    ck_assert_str_ne(claim_in(13000).id, "");
    must(kind->job_recover(store, &how, &requeued, &err));
    ck_assert_str_eq(claim_in(19000).id, "");
    ck_assert_str_ne(claim_in(25000).id, "");
}
END_TEST

START_TEST(a_wait_outlives_a_restart_of_the_server)
{
    struct den_job_row row = add_job("denoise");
    fail_after(claim_in(0), 10000);
    reopen();
    recover(3);
    ck_assert_str_eq(claim_in(9000).id, "");
    ck_assert_str_eq(claim_in(11000).id, row.id);
}
END_TEST

static bool waits_in(int64_t ms)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_claim how = {.now = den_moment_now(), .last = EVERY_CLASS};
    bool waits = false;
    how.now.boot_ms += ms;
    must(kind->job_waits(store, &how, &waits, &err));
    return waits;
}

/* An experiment gives way to a training that waits, but not to one that may not begin. */
START_TEST(what_has_to_wait_is_in_nobodys_way)
{
    ck_assert(!waits_in(0));
    add_job("train");
    ck_assert(waits_in(0));
    fail_after(claim_in(0), 10000);
    ck_assert(!waits_in(9000));
    ck_assert(waits_in(11000));
    kind->set_quotas(store, &(struct den_quotas){.compute_s = 1});
    add_job("denoise");
    struct den_job_row row = claim_in(0);
    row.seconds = 5;
    finish(&row, DEN_JOB_SUCCEEDED);
    ck_assert(!waits_in(11000)); /* nor to one whose owner had enough today */
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        waits_double_from_ten_seconds_to_ten_minutes,
        only_what_may_pass_is_tried_again,
        a_job_that_failed_waits_and_says_until_when,
        who_asks_for_a_retry_does_not_wait,
        a_server_that_died_over_a_job_waits_from_the_second_time_on,
        a_wait_outlives_a_restart_of_the_server,
        what_has_to_wait_is_in_nobodys_way,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
