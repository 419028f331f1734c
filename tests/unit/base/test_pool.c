/* The pool: every unit once, and whoever calls waits for all of them. */

#include <stdatomic.h>
#include <string.h>

#include "den_check.h"
#include "mem.h"
#include "pool.h"

enum { MOST_UNITS = 1000, MOST_THREADS = 4 };

struct tally {
    int threads;
    unsigned char seen[MOST_UNITS]; /* plain: a unit done twice is a data race too */
    size_t of_thread[MOST_THREADS]; /* private scratch of each thread */
    atomic_int strangers;           /* calls with a thread out of range */
};

static void count_unit(void *context, size_t unit, int thread)
{
    struct tally *tally = context;
    if (thread < 0 || thread >= tally->threads) {
        atomic_fetch_add(&tally->strangers, 1);
        return;
    }
    tally->seen[unit]++;
    tally->of_thread[thread]++;
}

static void check_run(struct den_pool *pool, size_t units)
{
    struct tally tally = {.threads = den_pool_threads(pool)};
    den_pool_run(pool, units, count_unit, &tally);
    size_t sum = 0;
    for (int i = 0; i < MOST_THREADS; i++)
        sum += tally.of_thread[i];
    ck_assert_uint_eq(sum, units);
    ck_assert_int_eq(atomic_load(&tally.strangers), 0);
    for (size_t i = 0; i < MOST_UNITS; i++)
        ck_assert_int_eq(tally.seen[i], i < units);
}

START_TEST(every_unit_runs_exactly_once)
{
    static const size_t units[] = {0, 1, 2, 3, 7, 64, MOST_UNITS};
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must(den_pool_new(_i, &pool, &err));
    ck_assert_int_eq(den_pool_threads(pool), _i);
    for (int round = 0; round < 30; round++)
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            check_run(pool, units[i]);
    den_pool_free(pool);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(sleepers_are_woken)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must(den_pool_new(MOST_THREADS, &pool, &err));
    for (int round = 0; round < 50; round++) {
        usleep(1000); /* beyond the spinning */
        check_run(pool, 100);
    }
    den_pool_free(pool);
}
END_TEST

struct meeting {
    atomic_int present;
    int wanted;
};

/* Ends only when as many threads as wanted are in here at the same time. */
static void meet(void *context, size_t unit, int thread)
{
    (void)unit;
    (void)thread;
    struct meeting *meeting = context;
    atomic_fetch_add(&meeting->present, 1);
    while (atomic_load(&meeting->present) < meeting->wanted)
        usleep(100);
}

START_TEST(all_threads_work_at_the_same_time)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must(den_pool_new(MOST_THREADS, &pool, &err));
    for (int round = 0; round < 20; round++) {
        struct meeting meeting = {.wanted = MOST_THREADS};
        den_pool_run(pool, MOST_THREADS, meet, &meeting);
        ck_assert_int_eq(atomic_load(&meeting.present), MOST_THREADS);
    }
    den_pool_free(pool);
}
END_TEST

static void slow_last(void *context, size_t unit, int thread)
{
    (void)thread;
    if (unit == 1)
        usleep(20000);
    ((int *)context)[unit] = 1;
}

START_TEST(the_caller_waits_for_the_slowest_unit)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must(den_pool_new(2, &pool, &err));
    for (int round = 0; round < 10; round++) {
        int done[4] = {0}; /* plain: the pool has to order these for us */
        den_pool_run(pool, 4, slow_last, done);
        ck_assert(done[0] && done[1] && done[2] && done[3]);
    }
    den_pool_free(pool);
}
END_TEST

START_TEST(no_pool_is_a_pool_of_one)
{
    ck_assert_int_eq(den_pool_threads(NULL), 1);
    check_run(NULL, 10);
    den_pool_free(NULL);
}
END_TEST

START_TEST(a_loop_allocates_nothing)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must(den_pool_new(3, &pool, &err));
    den_mem_fail_at(1);
    check_run(pool, 100);
    ck_assert_ptr_null(den_calloc(1, 1)); /* the one that fails is still to come */
    den_pool_free(pool);
}
END_TEST

START_TEST(pools_come_and_go)
{
    struct den_err err = DEN_ERR_INIT;
    for (int round = 0; round < 50; round++) {
        struct den_pool *pool = NULL;
        must(den_pool_new(1 + round % MOST_THREADS, &pool, &err));
        if (round % 3 == 0)
            check_run(pool, 5);
        den_pool_free(pool);
    }
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(a_pool_that_cannot_be_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must_fail(den_pool_new(0, &pool, &err), DEN_E_INVALID, "0 is not");
    must_fail(den_pool_new(-3, &pool, &err), DEN_E_INVALID, "-3 is not");
    must_fail(den_pool_new(1 << 20, &pool, &err), DEN_E_INVALID, "1 to ");
    for (size_t n = 1; n <= 2; n++) {
        den_mem_fail_at(n);
        must_fail(den_pool_new(2, &pool, &err), DEN_E_NO_MEMORY, "memory");
    }
    ck_assert_ptr_null(pool);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(ranges_cover_everything_once_and_evenly)
{
    static const size_t sizes[] = {0, 1, 2, 7, 100, SIZE_MAX};
    static const size_t parts[] = {1, 2, 3, 7, 64};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
            size_t n = sizes[s], next = 0, least = n / parts[p];
            for (size_t part = 0; part < parts[p]; part++) {
                size_t from, to;
                den_range(n, parts[p], part, &from, &to);
                ck_assert_uint_eq(from, next);
                ck_assert_uint_ge(to - from, least);
                ck_assert_uint_le(to - from, least + (n % parts[p] != 0));
                next = to;
            }
            ck_assert_uint_eq(next, n);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pool");
    TCase *all = tcase_create("pool");
    tcase_set_timeout(all, 30);
    tcase_add_loop_test(all, every_unit_runs_exactly_once, 1, MOST_THREADS + 1);
    tcase_add_test(all, sleepers_are_woken);
    tcase_add_test(all, all_threads_work_at_the_same_time);
    tcase_add_test(all, the_caller_waits_for_the_slowest_unit);
    tcase_add_test(all, no_pool_is_a_pool_of_one);
    tcase_add_test(all, a_loop_allocates_nothing);
    tcase_add_test(all, pools_come_and_go);
    tcase_add_test(all, a_pool_that_cannot_be_is_refused);
    tcase_add_test(all, ranges_cover_everything_once_and_evenly);
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
