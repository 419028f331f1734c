/* Writers of the same moment share a commit, and none of them can tell. */

#include <pthread.h>
#include <unistd.h>

#include "store_case.h"
#include "store_sqlite.h"

/* ---- writers and readers on threads of their own ---- */

struct writer {
    pthread_t thread;
    struct den_job_row row;
    struct den_err err;
    atomic_bool done;
    bool good;
};

static void *write_job(void *opaque)
{
    struct writer *w = opaque;
    w->good = kind->job_add(store, DEN_OWNER_LOCAL, &w->row, 0, &w->err);
    atomic_store(&w->done, true);
    return NULL;
}

static void start(struct writer *w, const char *image)
{
    *w = (struct writer){.row = new_job("denoise"), .err = DEN_ERR_INIT};
    den_str_copy(w->row.image, sizeof w->row.image, image);
    ck_assert_int_eq(pthread_create(&w->thread, NULL, write_job, w), 0);
}

static void join(struct writer *w)
{
    ck_assert_int_eq(pthread_join(w->thread, NULL), 0);
}

struct reader {
    pthread_t thread;
    atomic_bool done;
    uint64_t queued;
};

static uint64_t count_queued(void)
{
    struct den_err err = DEN_ERR_INIT;
    uint64_t counts[DEN_JOB_STATES];
    must(kind->job_counts(store, counts, &err));
    return counts[DEN_JOB_QUEUED];
}

static void *read_counts(void *opaque)
{
    struct reader *r = opaque;
    r->queued = count_queued();
    atomic_store(&r->done, true);
    return NULL;
}

/* ---- holding them where they are ---- */

static void wait_for_writers(unsigned count)
{
    while (atomic_load(&store->writers) != count)
        (void)usleep(100);
}

static size_t members(void)
{
    pthread_mutex_lock(&store->lock);
    size_t count = store->member_count;
    pthread_mutex_unlock(&store->lock);
    return count;
}

static void wait_for_members(size_t count)
{
    while (members() != count)
        (void)usleep(100);
}

/* A writer that is about to come: until then nobody commits. */
static void announce(void)
{
    atomic_fetch_add(&store->writers, 1);
}

/* It comes, as somebody who has nothing to do. */
static void arrive(void)
{
    atomic_fetch_sub(&store->writers, 1);
    (void)kind->ping(store, NULL);
}

static int refuse_commit(void *unused)
{
    (void)unused;
    return 1;
}

enum { WRITERS = 12 };

/* All queue for the lock at once, each for a job; the last but one names an image that
 * is not there. */
static void write_together(struct writer *writers, bool with_a_bad_one)
{
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < WRITERS; i++)
        start(&writers[i], with_a_bad_one && i == WRITERS - 2 ? "img_none" : "");
    wait_for_writers(WRITERS);
    pthread_mutex_unlock(&store->lock);
    for (size_t i = 0; i < WRITERS; i++)
        join(&writers[i]);
}

/* ---- what is shared ---- */

START_TEST(writers_of_the_same_moment_share_a_commit)
{
    static struct writer writers[WRITERS];
    uint64_t before = store->groups;
    write_together(writers, false);
    ck_assert_uint_eq(store->groups, before + 1);
    reopen();
    for (size_t i = 0; i < WRITERS; i++) {
        ck_assert(writers[i].good);
        ck_assert_int_eq(get_job(writers[i].row.id).state, DEN_JOB_QUEUED);
    }
}
END_TEST

START_TEST(a_writer_that_is_alone_commits_at_once)
{
    uint64_t before = store->groups;
    for (uint64_t i = 1; i <= 3; i++) {
        add_job("denoise");
        ck_assert_uint_eq(store->groups, before + i);
        ck_assert(sqlite3_get_autocommit(store->db));
    }
}
END_TEST

START_TEST(a_refusal_within_a_group_concerns_nobody_else)
{
    static struct writer writers[WRITERS];
    uint64_t before = store->groups;
    write_together(writers, true);
    ck_assert_uint_eq(store->groups, before + 1);
    ck_assert(!writers[WRITERS - 2].good);
    ck_assert_int_eq(writers[WRITERS - 2].err.code, DEN_E_NOT_FOUND);
    reopen();
    ck_assert_uint_eq(count_queued(), WRITERS - 1);
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    must_fail(
        kind->job_get(store, DEN_OWNER_LOCAL, writers[WRITERS - 2].row.id, &row, &err),
        DEN_E_NOT_FOUND, "no job");
}
END_TEST

/* ---- what is not durable ---- */

START_TEST(a_commit_that_fails_fails_all_of_its_members)
{
    static struct writer writers[WRITERS];
    add_job("denoise");
    sqlite3_commit_hook(store->db, refuse_commit, NULL);
    write_together(writers, true);
    sqlite3_commit_hook(store->db, NULL, NULL);
    for (size_t i = 0; i < WRITERS; i++) {
        ck_assert(!writers[i].good);
        ck_assert_int_eq(writers[i].err.code, DEN_E_INTERNAL);
        ck_assert_str_ne(writers[i].err.text, "");
    }
    ck_assert_uint_eq(count_queued(), 1);
    add_job("denoise"); /* the next group knows nothing of it */
    reopen();
    ck_assert_uint_eq(count_queued(), 2);
}
END_TEST

/* What SQLite does by itself when memory or the disk fails within a statement. */
START_TEST(a_transaction_that_is_lost_on_the_way_fails_all_of_its_members)
{
    struct writer first;
    struct den_err err = DEN_ERR_INIT;
    struct den_tx tx;
    announce();
    start(&first, "");
    wait_for_members(1);
    den_tx_write(&tx, store, &err);
    den_tx_query(&tx, "ROLLBACK");
    den_tx_run(&tx);
    ck_assert(!den_tx_end(&tx));
    ck_assert_int_eq(err.code, DEN_E_INTERNAL);
    join(&first);
    ck_assert(!first.good);
    ck_assert_int_eq(first.err.code, DEN_E_INTERNAL);
    arrive();
    ck_assert_uint_eq(count_queued(), 0);
    add_job("denoise");
}
END_TEST

START_TEST(a_disk_that_is_full_for_one_is_told_to_those_it_concerns)
{
    static struct writer writers[WRITERS];
    size_t good = 0;
    ck_assert_int_eq(
        sqlite3_exec(store->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL),
        SQLITE_OK); /* no page more than there are */
    do {
        write_together(writers, false);
        good = 0;
        for (size_t i = 0; i < WRITERS; i++) {
            good += writers[i].good;
            ck_assert(writers[i].good || writers[i].err.code == DEN_E_DISK_FULL);
        }
    } while (good == WRITERS);
    uint64_t kept = count_queued();
    ck_assert_int_eq(
        sqlite3_exec(store->db, "PRAGMA max_page_count = 6400", NULL, NULL, NULL),
        SQLITE_OK);
    for (size_t i = 0; i < WRITERS; i++) {
        struct den_job_row row;
        ck_assert_int_eq(
            kind->job_get(store, DEN_OWNER_LOCAL, writers[i].row.id, &row, NULL),
            writers[i].good);
    }
    add_job("denoise");
    ck_assert_uint_eq(count_queued(), kept + 1);
}
END_TEST

START_TEST(nobody_reads_what_is_not_durable)
{
    struct writer first;
    struct reader reader = {.queued = 9};
    for (int refused = 0; refused < 2; refused++) {
        uint64_t before = count_queued();
        if (refused)
            sqlite3_commit_hook(store->db, refuse_commit, NULL);
        atomic_store(&reader.done, false);
        announce();
        start(&first, "");
        wait_for_members(1);
        ck_assert_int_eq(pthread_create(&reader.thread, NULL, read_counts, &reader), 0);
        (void)usleep(20000);
        ck_assert(!atomic_load(&reader.done));
        ck_assert(!atomic_load(&first.done));
        ck_assert(kind->busy(store));
        arrive();
        join(&first);
        ck_assert_int_eq(pthread_join(reader.thread, NULL), 0);
        ck_assert_int_eq(first.good, !refused);
        ck_assert_uint_eq(reader.queued, before + !refused);
        ck_assert(!kind->busy(store));
    }
    sqlite3_commit_hook(store->db, NULL, NULL);
}
END_TEST

/* What an earlier member did may be the reason, and may be undone. */
START_TEST(a_refusal_that_rests_on_what_is_not_durable_waits)
{
    struct writer first;
    struct writer again;
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = add_job("denoise");
    announce();
    start(&first, "");
    wait_for_members(1);
    start(&again, "img_none");
    wait_for_members(2);
    (void)usleep(20000);
    ck_assert(!atomic_load(&again.done));
    sqlite3_commit_hook(store->db, refuse_commit, NULL);
    arrive();
    join(&first);
    join(&again);
    sqlite3_commit_hook(store->db, NULL, NULL);
    ck_assert_int_eq(again.err.code, DEN_E_INTERNAL);
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, row.id, &row, &err));
}
END_TEST

/* A copy that is made in the middle of a group holds whole groups. */
START_TEST(a_backup_holds_nothing_that_is_not_durable)
{
    struct writer first;
    struct den_err err = DEN_ERR_INIT;
    char copy[120];
    den_str_format(copy, sizeof copy, "%s.copy", location);
    sqlite3_commit_hook(store->db, refuse_commit, NULL);
    announce();
    start(&first, "");
    wait_for_members(1);
    arrive();
    must(kind->backup(store, copy, &err));
    join(&first);
    ck_assert(!first.good);
    sqlite3_commit_hook(store->db, NULL, NULL);
    kind->close(store);
    must(kind->open(copy, &store, &err));
    ck_assert_uint_eq(count_queued(), 0);
}
END_TEST

/* ---- many of each ---- */

enum { ROUNDS = 40, THREADS = 6 };

static void *write_rounds(void *opaque)
{
    size_t *refused = opaque;
    for (size_t i = 0; i < ROUNDS; i++) {
        struct den_job_row row = new_job("denoise");
        if (i % 3 == 0)
            den_str_copy(row.image, sizeof row.image, "img_none");
        *refused += !kind->job_add(store, DEN_OWNER_LOCAL, &row, 0, NULL);
        (void)count_queued();
    }
    return NULL;
}

START_TEST(readers_and_writers_all_come_to_their_end)
{
    pthread_t threads[THREADS];
    size_t refused[THREADS] = {0};
    const size_t refusals = (ROUNDS + 2) / 3;
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, write_rounds, &refused[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_uint_eq(refused[i], refusals);
    }
    ck_assert_uint_eq(count_queued(), THREADS * (ROUNDS - refusals));
    ck_assert_uint_eq(members(), 0);
    ck_assert(sqlite3_get_autocommit(store->db));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        writers_of_the_same_moment_share_a_commit,
        a_writer_that_is_alone_commits_at_once,
        a_refusal_within_a_group_concerns_nobody_else,
        a_commit_that_fails_fails_all_of_its_members,
        a_transaction_that_is_lost_on_the_way_fails_all_of_its_members,
        a_disk_that_is_full_for_one_is_told_to_those_it_concerns,
        nobody_reads_what_is_not_durable,
        a_refusal_that_rests_on_what_is_not_durable_waits,
        a_backup_holds_nothing_that_is_not_durable,
        readers_and_writers_all_come_to_their_end,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
