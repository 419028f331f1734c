/* Quotas: never passed by one, however many ask at once. */

#include <math.h>
#include <pthread.h>

#include "clock.h"
#include "quota.h"
#include "store_case.h"

static void allow(struct den_quotas quotas)
{
    kind->set_quotas(store, &quotas);
}

static struct den_quota_usage usage_of(const char *owner)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_quota_usage usage;
    must(kind->usage(store, owner, &usage, &err));
    return usage;
}

static bool try_job(const char *owner, struct den_err *err)
{
    struct den_job_row row = new_job("denoise");
    assign(row.owner, owner);
    *err = DEN_ERR_INIT;
    return kind->job_add(store, owner, &row, 0, err);
}

static bool try_image(const char *owner, unsigned number, uint64_t bytes, char *id,
                      struct den_err *err)
{
    struct den_image_row row = {.info = {.format = "tiff",
                                         .width = 8,
                                         .height = 8,
                                         .pages = 1,
                                         .channels = 1,
                                         .dtype = DEN_U16},
                                .bytes = bytes,
                                .created_ms = 5};
    struct den_image_row ret;
    bool fresh = false;
    den_id_new("img_", row.id);
    den_str_format(row.sha256, sizeof row.sha256, "%064x", number);
    assign(row.name, "a.tif");
    *err = DEN_ERR_INIT;
    bool done = kind->image_add(store, owner, &row, &ret, &fresh, err);
    if (done && id != NULL)
        memcpy(id, ret.id, sizeof ret.id);
    return done;
}

START_TEST(jobs_that_wait_are_counted_by_owner)
{
    struct den_err err;
    allow((struct den_quotas){.queued_jobs = 2});
    ck_assert(try_job("ann", &err));
    ck_assert(try_job("ann", &err));
    ck_assert(!try_job("ann", &err));
    ck_assert_int_eq(err.code, DEN_E_BUSY);
    ck_assert_int_eq(err.limit, 2);
    ck_assert_int_eq(err.actual, 2);
    ck_assert_int_gt(err.retry_s, 0);
    ck_assert(try_job("bob", &err)); /* another's are not hers */
    struct den_job_row row = claim(EVERY_CLASS);
    ck_assert_str_eq(row.owner, "ann");
    ck_assert(try_job("ann", &err)); /* what is at work does not wait */
    ck_assert(!try_job("ann", &err));
    ck_assert_int_eq(usage_of("ann").queued_jobs, 2);
    ck_assert_int_eq(usage_of("ann").running_jobs, 1);
    /* A retry waits, too. */
    finish(&row, DEN_JOB_FAILED);
    err = DEN_ERR_INIT;
    must_fail(kind->job_retry(store, "ann", row.id, &row, &err), DEN_E_BUSY, "2");
}
END_TEST

START_TEST(an_owner_with_enough_at_work_is_passed_over)
{
    struct den_err err;
    allow((struct den_quotas){.running_jobs = 2});
    for (int i = 0; i < 4; i++)
        ck_assert(try_job("ann", &err));
    ck_assert_str_eq(claim(EVERY_CLASS).owner, "ann");
    struct den_job_row second = claim(EVERY_CLASS);
    ck_assert_str_eq(second.owner, "ann");
    ck_assert_str_eq(claim(EVERY_CLASS).id, "");
    ck_assert(try_job("bob", &err));
    ck_assert_str_eq(claim(EVERY_CLASS).owner, "bob");
    ck_assert_str_eq(claim(EVERY_CLASS).id, "");
    finish(&second, DEN_JOB_SUCCEEDED);
    ck_assert_str_eq(claim(EVERY_CLASS).owner, "ann");
    ck_assert_str_eq(claim(EVERY_CLASS).id, "");
}
END_TEST

START_TEST(who_is_passed_over_is_marked_in_the_line)
{
    struct den_err err;
    struct den_line_row *line = NULL;
    size_t count = 0;
    allow((struct den_quotas){.running_jobs = 1});
    ck_assert(try_job("ann", &err) && try_job("ann", &err) && try_job("bob", &err));
    struct den_job_row row = claim(EVERY_CLASS);
    ck_assert_str_eq(row.owner, "ann");
    for (int held = 1; held >= 0; held--) {
        must(kind->job_line(store, &line, &count, &err));
        ck_assert_uint_eq(count, 2);
        struct den_job_row first;
        must(kind->job_any(store, line[0].id, &first, &err));
        bool is_ann = strcmp(first.owner, "ann") == 0;
        ck_assert_int_eq(line[is_ann ? 0 : 1].held, held);
        ck_assert(!line[is_ann ? 1 : 0].held);
        den_free(line);
        if (held)
            finish(&row, DEN_JOB_SUCCEEDED);
    }
}
END_TEST

START_TEST(bytes_are_counted_in_and_out)
{
    struct den_err err;
    char id[DEN_ID_SIZE];
    allow((struct den_quotas){.stored_bytes = 1000});
    ck_assert(try_image("ann", 1, 600, id, &err));
    ck_assert(try_image("ann", 1, 600, id, &err)); /* the same bytes, once */
    ck_assert(!try_image("ann", 2, 401, NULL, &err));
    ck_assert_int_eq(err.code, DEN_E_BUSY);
    ck_assert_int_eq(err.limit, 1000);
    ck_assert_int_eq(err.actual, 1001);
    ck_assert(!try_image("ann", 3, UINT64_MAX - 5, NULL, &err));
    ck_assert(try_image("ann", 4, 300, NULL, &err));
    ck_assert(try_image("bob", 1, 600, NULL, &err));
    /* A result and weights are stored as well. */
    ck_assert(try_job("ann", &err));
    struct den_job_row row = claim(EVERY_CLASS);
    struct den_model_row model = {.name = "m", .bytes = 50, .sha256 = "ee"};
    row.result_bytes = 70;
    assign(row.result_sha256, "dd");
    row.state = DEN_JOB_SUCCEEDED;
    err = DEN_ERR_INIT;
    must(kind->job_finish(store, &row, &model, NULL, 0, &err));
    ck_assert_int_eq(usage_of("ann").stored_bytes, 1020);
    ck_assert(!try_job("ann", &err)); /* which would make more */
    ck_assert_int_eq(err.code, DEN_E_BUSY);
    err = DEN_ERR_INIT;
    must(kind->job_delete(store, "ann", row.id, &err));
    must(kind->model_delete(store, "ann", "m", 0, &err));
    ck_assert_int_eq(usage_of("ann").stored_bytes, 900);
    must(kind->image_delete(store, "ann", id, &err));
    ck_assert_int_eq(usage_of("ann").stored_bytes, 300);
    ck_assert_int_eq(usage_of("bob").stored_bytes, 600);
    ck_assert_int_eq(usage_of("eve").stored_bytes, 0);
}
END_TEST

START_TEST(how_much_is_too_much_is_told_to_the_hundredth)
{
    struct den_err err = DEN_ERR_INIT;
    allow((struct den_quotas){.stored_bytes = 1 << 20});
    ck_assert(try_image("ann", 1, 1000000, NULL, &err));
    must_fail(try_image("ann", 2, 270000, NULL, &err), DEN_E_BUSY,
              "take 0.95 MiB and may take 1; 0.26 MiB more is too much");
    ck_assert(try_image("ann", 3, 48576, NULL, &err));
    must_fail(try_image("ann", 4, 1, NULL, &err), DEN_E_BUSY,
              "take 1.00 MiB and may take 1; 0.01 MiB more is too much");
    must_fail(try_job("ann", &err), DEN_E_BUSY, "take 1.00 MiB and may take 1; delete");
}
END_TEST

START_TEST(seconds_at_work_are_counted_by_day)
{
    struct den_err err;
    allow((struct den_quotas){.compute_s = 100});
    for (int i = 0; i < 3; i++)
        ck_assert(try_job("ann", &err));
    struct den_job_row row = claim(EVERY_CLASS);
    row.seconds = 60;
    finish(&row, DEN_JOB_SUCCEEDED);
    ck_assert(usage_of("ann").compute_s == 60);
    row = claim(EVERY_CLASS);
    row.seconds = 41;
    finish(&row, DEN_JOB_CANCELLED); /* it was at work all the same */
    ck_assert(!try_job("ann", &err));
    ck_assert_int_eq(err.code, DEN_E_BUSY);
    ck_assert_int_ge(err.retry_s, 1);
    ck_assert_int_le(err.retry_s, 86401);
    ck_assert_str_eq(claim(EVERY_CLASS).id, ""); /* the third waits for tomorrow */
    ck_assert(try_job("bob", &err));
    ck_assert_str_eq(claim(EVERY_CLASS).owner, "bob");
}
END_TEST

START_TEST(a_day_ends_at_midnight_utc)
{
    ck_assert_int_eq(den_quota_day(0), 0);
    ck_assert_int_eq(den_quota_day(86399999), 0);
    ck_assert_int_eq(den_quota_day(86400000), 1);
    ck_assert_int_eq(den_quota_seconds_left(86400000 - 500), 1);
    ck_assert_int_eq(den_quota_seconds_left(86400000), 86401);
}
END_TEST

/* ---- attempts ---- */

/* The next job at work, which its worker says has taken so long. */
static struct den_job_row work_for(double seconds)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = claim(EVERY_CLASS);
    struct den_lease lease = den_job_lease(&row);
    const struct den_moment now = den_moment_now();
    lease.seconds = seconds;
    must(kind->job_progress(store, &lease, 1, 9, &err));
    lease.seconds = 0; /* the keeper, who does not know how long */
    must(kind->job_renew(store, &lease, 60000, &now, &err));
    return row;
}

static void requeue_after(struct den_job_row *row, double seconds)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_lease lease = den_job_lease(row);
    lease.seconds = seconds;
    must(kind->job_requeue(store, &lease, &err));
}

static void fail_after(struct den_job_row *row, double seconds)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_lease lease = den_job_lease(row);
    const struct den_moment now = den_moment_now();
    lease.seconds = seconds;
    must(kind->job_again(store, &lease, 0, &now, "the disk is full", &err));
}

/* What its worker did after it had last said something is nobody's knowledge. */
static void let_the_server_die(struct den_job_row *row, double seconds)
{
    (void)row;
    (void)seconds;
    reopen();
    ck_assert_uint_eq(recover(3), 1);
}

static void let_the_lease_run_out(struct den_job_row *row, double seconds)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_recovery how = {.now = den_moment_now(), .backoff = {.max_attempts = 3}};
    size_t requeued = 0;
    (void)row;
    (void)seconds;
    how.now.boot_ms += 1000000000; /* looked at long after it did */
    must(kind->job_recover(store, &how, &requeued, &err));
    ck_assert_uint_eq(requeued, 1);
}

START_TEST(seconds_of_every_attempt_are_counted)
{
    static const struct {
        const char *owner;
        void (*end)(struct den_job_row *row, double seconds);
        double want; /* of 30 that were told of and 12 more */
    } cases[] = {
        {"requeued", requeue_after, 42},
        {"failed", fail_after, 42},
        {"server-died", let_the_server_die, 30},
        {"lease-ran-out", let_the_lease_run_out, 30},
    };
    struct den_err err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *owner = cases[i].owner;
        ck_assert(try_job(owner, &err));
        for (int attempt = 1; attempt <= 2; attempt++) {
            struct den_job_row row = work_for(30);
            ck_assert_str_eq(row.owner, owner);
            ck_assert_double_eq(row.seconds, 0); /* of this attempt */
            ck_assert_double_eq(usage_of(owner).compute_s, (attempt - 1) * cases[i].want);
            cases[i].end(&row, 42);
            ck_assert_double_eq(usage_of(owner).compute_s, attempt * cases[i].want);
        }
        struct den_job_row row = work_for(3);
        row.seconds = 5;
        finish(&row, DEN_JOB_SUCCEEDED);
        ck_assert_double_eq(usage_of(owner).compute_s, 2 * cases[i].want + 5);
        recover(3);
        ck_assert_double_eq(usage_of(owner).compute_s, 2 * cases[i].want + 5);
        err = DEN_ERR_INIT;
        must(kind->job_get(store, owner, row.id, &row, &err));
        ck_assert_double_eq(row.seconds, 5); /* the job's are those of what it made */
    }
}
END_TEST

START_TEST(an_attempt_that_ends_for_good_with_its_lease_is_counted)
{
    struct den_err err;
    ck_assert(try_job("ann", &err));
    struct den_job_row row = work_for(30);
    err = DEN_ERR_INIT;
    must(kind->job_cancel(store, "ann", row.id, &row, &err));
    ck_assert_uint_eq(recover(3), 0);
    ck_assert_double_eq(usage_of("ann").compute_s, 30);
    must(kind->job_retry(store, "ann", row.id, &row, &err));
    work_for(7);
    ck_assert_uint_eq(recover(1), 0); /* tried often enough */
    ck_assert_double_eq(usage_of("ann").compute_s, 37);
    must(kind->job_get(store, "ann", row.id, &row, &err));
    ck_assert_int_eq(row.state, DEN_JOB_FAILED);
}
END_TEST

START_TEST(who_had_enough_in_attempts_waits_for_tomorrow)
{
    struct den_err err;
    allow((struct den_quotas){.compute_s = 100});
    ck_assert(try_job("ann", &err));
    for (int i = 0; i < 2; i++) {
        struct den_job_row row = work_for(10);
        requeue_after(&row, 50);
    }
    ck_assert_str_eq(claim(EVERY_CLASS).id, "");
    ck_assert(!try_job("ann", &err));
    ck_assert_int_eq(err.code, DEN_E_BUSY);
    ck_assert_int_eq(err.actual, 100);
}
END_TEST

START_TEST(seconds_that_cannot_be_count_as_none)
{
    static const double odd[] = {-1, -1e300, (double)NAN, (double)INFINITY};
    struct den_err err;
    ck_assert(try_job("ann", &err));
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        struct den_job_row row = claim(EVERY_CLASS);
        requeue_after(&row, odd[i]);
        row = claim(EVERY_CLASS);
        requeue_after(&row, 1);
        ck_assert_double_eq(usage_of("ann").compute_s, (double)i + 1);
    }
}
END_TEST

/* ---- all at once ---- */

enum { CLIENTS = 100, EACH = 4 };

struct client {
    pthread_t thread;
    unsigned number;
    int jobs, images, claims, odd;
};

static void *ask_for_much(void *context)
{
    struct client *me = context;
    for (unsigned i = 0; i < EACH; i++) {
        struct den_err err;
        bool job = try_job("ann", &err);
        me->odd += !job && err.code != DEN_E_BUSY;
        bool image = try_image("ann", me->number * EACH + i + 1, 10, NULL, &err);
        me->odd += !image && err.code != DEN_E_BUSY;
        struct den_job_row row = claim(EVERY_CLASS);
        me->jobs += job;
        me->images += image;
        me->claims += row.id[0] != '\0';
    }
    return NULL;
}

START_TEST(a_hundred_clients_at_once_pass_no_quota_by_one)
{
    static struct client clients[CLIENTS];
    int jobs = 0, images = 0, claims = 0, odd = 0;
    allow((struct den_quotas){.queued_jobs = 17, .running_jobs = 5, .stored_bytes = 235});
    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i].number = i;
        ck_assert_int_eq(
            pthread_create(&clients[i].thread, NULL, ask_for_much, &clients[i]), 0);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        jobs += clients[i].jobs;
        images += clients[i].images;
        claims += clients[i].claims;
        odd += clients[i].odd;
    }
    struct den_quota_usage usage = usage_of("ann");
    printf("%d clients: %d jobs wait (17 may), %d are at work (5 may), %d bytes are "
           "stored (235 may)\n",
           CLIENTS, (int)usage.queued_jobs, (int)usage.running_jobs,
           (int)usage.stored_bytes);
    ck_assert_int_eq(odd, 0);
    ck_assert_int_eq(usage.queued_jobs, 17);
    ck_assert_int_eq(usage.running_jobs, 5);
    ck_assert_int_eq(usage.stored_bytes, 230);
    ck_assert_int_eq(jobs, 17 + 5);
    ck_assert_int_eq(claims, 5);
    ck_assert_int_eq(images, 23);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        jobs_that_wait_are_counted_by_owner,
        an_owner_with_enough_at_work_is_passed_over,
        who_is_passed_over_is_marked_in_the_line,
        bytes_are_counted_in_and_out,
        how_much_is_too_much_is_told_to_the_hundredth,
        seconds_at_work_are_counted_by_day,
        a_day_ends_at_midnight_utc,
        seconds_of_every_attempt_are_counted,
        an_attempt_that_ends_for_good_with_its_lease_is_counted,
        who_had_enough_in_attempts_waits_for_tomorrow,
        seconds_that_cannot_be_count_as_none,
        a_hundred_clients_at_once_pass_no_quota_by_one,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
