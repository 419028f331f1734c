#include "pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#include "clock.h"
#include "mem.h"

struct job {
    void (*fn)(void *context, size_t unit, int thread);
    void *context;
    size_t units;
};

struct worker {
    struct den_pool *pool;
    pthread_t id;
    int thread; /* 1.. ; the caller of den_pool_run is 0 */
};

/* lock guards job, open, stop, sleepers, and every change of generation and busy; these
 * two are atomic as well, so that they can be watched without the lock.  next is atomic
 * and free of the lock: it hands out the units.
 *
 * A worker joins a job only while it is open, and only the joined ones are waited for: a
 * loop too short to wake anybody is not held up by a sleeper. */
struct den_pool {
    int threads;
    double spin_s;          /* how long to watch before sleeping */
    struct worker *workers; /* threads - 1 */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    struct job job;
    bool open, stop;
    int sleepers;
    atomic_uint generation; /* + 1 per job and at the end */
    atomic_int busy;        /* workers that have joined the job */
    atomic_size_t next;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Waking a sleeper costs some 40 us, and the next loop of a network often comes sooner
 * than that: with serial gaps of 50 to 150 us, loops of 200 us were 10 % faster with 200
 * us of spinning than with 20.  Where threads outnumber processors, spinning only takes
 * time from those that have work. */
static double spin_for(int threads)
{
    cpu_set_t cpus;
    int processors = 1;
    if (sched_getaffinity(0, sizeof cpus, &cpus) == 0)
        processors = CPU_COUNT(&cpus);
    return threads <= processors ? 200e-6 : 20e-6;
}

static bool spin_over(const struct den_pool *pool, double *end)
{
    if (*end == 0) {
        *end = den_monotonic_s() + pool->spin_s;
        return false;
    }
    for (int i = 0; i < 8; i++)
        relax();
    return den_monotonic_s() > *end;
}

static void work(struct den_pool *pool, const struct job *job, int thread)
{
    for (;;) {
        size_t unit = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (unit >= job->units)
            return;
        job->fn(job->context, unit, thread);
    }
}

/* Waits for a generation other than `seen`, and joins its job if that is still open.
 * *ret_joined says so; false when the pool ends. */
static bool join_next(struct den_pool *pool, unsigned *seen, struct job *ret_job,
                      bool *ret_joined)
{
    double end = 0;
    while (atomic_load(&pool->generation) == *seen && !spin_over(pool, &end))
        ;
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->generation) == *seen) {
        pool->sleepers++;
        pthread_cond_wait(&pool->wake, &pool->lock);
        pool->sleepers--;
    }
    *seen = atomic_load(&pool->generation);
    bool stop = pool->stop;
    *ret_joined = pool->open;
    if (pool->open) {
        *ret_job = pool->job;
        atomic_fetch_add(&pool->busy, 1);
    }
    pthread_mutex_unlock(&pool->lock);
    return !stop;
}

static void leave(struct den_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    if (atomic_fetch_sub(&pool->busy, 1) == 1)
        pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct den_pool *pool = worker->pool;
    unsigned seen = 0;
    struct job job;
    bool joined;
    while (join_next(pool, &seen, &job, &joined)) {
        if (!joined)
            continue;
        work(pool, &job, worker->thread);
        leave(pool);
    }
    return NULL;
}

/* Announces a generation; under the lock, so that nobody falls asleep over it. */
static void announce(struct den_pool *pool)
{
    atomic_fetch_add(&pool->generation, 1);
    if (pool->sleepers > 0)
        pthread_cond_broadcast(&pool->wake);
}

/* Ends and joins the first `started` workers. */
static void stop_workers(struct den_pool *pool, int started)
{
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    announce(pool);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < started; i++)
        pthread_join(pool->workers[i].id, NULL);
}

static bool start_workers(struct den_pool *pool, struct den_err *err)
{
    for (int i = 0; i < pool->threads - 1; i++) {
        pool->workers[i] = (struct worker){.pool = pool, .thread = i + 1};
        int sys =
            pthread_create(&pool->workers[i].id, NULL, worker_main, &pool->workers[i]);
        if (sys != 0) {
            stop_workers(pool, i);
            return den_err_sys(err, sys, "only %d of %d threads can be started", i + 1,
                               pool->threads);
        }
    }
    return true;
}

bool den_pool_new(int threads, struct den_pool **ret, struct den_err *err)
{
    enum { MOST = 1024 };
    if (threads < 1 || threads > MOST)
        return den_err_set(err, DEN_E_INVALID,
                           "%d is not a number of threads from 1 to %d", threads, MOST);
    struct den_pool *pool = den_new(1, sizeof *pool, err);
    if (pool == NULL)
        return false;
    pool->workers = den_new((size_t)threads, sizeof *pool->workers, err);
    if (pool->workers == NULL) {
        den_free(pool);
        return false;
    }
    pool->threads = threads;
    pool->spin_s = spin_for(threads);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    if (!start_workers(pool, err)) {
        pool->threads = 1; /* the started ones are joined already */
        den_pool_free(pool);
        return false;
    }
    *ret = pool;
    return true;
}

void den_pool_free(struct den_pool *pool)
{
    if (pool == NULL)
        return;
    stop_workers(pool, pool->threads - 1);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    den_free(pool->workers);
    den_free(pool);
}

int den_pool_threads(const struct den_pool *pool)
{
    return pool == NULL ? 1 : pool->threads;
}

/* No worker can join once open is false, so busy only falls from here on. */
static void wait_for_joined(struct den_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->open = false;
    pthread_mutex_unlock(&pool->lock);
    double end = 0;
    while (atomic_load(&pool->busy) > 0)
        if (spin_over(pool, &end))
            break;
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->busy) > 0)
        pthread_cond_wait(&pool->done, &pool->lock);
    pthread_mutex_unlock(&pool->lock);
}

void den_pool_run(struct den_pool *pool, size_t units,
                  void (*fn)(void *context, size_t unit, int thread), void *context)
{
    if (pool == NULL || pool->threads == 1 || units <= 1) {
        for (size_t unit = 0; unit < units; unit++)
            fn(context, unit, 0);
        return;
    }
    struct job job = {.fn = fn, .context = context, .units = units};
    pthread_mutex_lock(&pool->lock);
    assert(!pool->open && atomic_load(&pool->busy) == 0); /* no loop within a loop */
    pool->job = job;
    pool->open = true;
    atomic_store(&pool->next, 0);
    announce(pool);
    pthread_mutex_unlock(&pool->lock);
    work(pool, &job, 0);
    wait_for_joined(pool);
}

void den_range(size_t n, size_t parts, size_t part, size_t *ret_from, size_t *ret_to)
{
    assert(parts > 0 && part < parts);
    size_t each = n / parts, rest = n % parts; /* the first `rest` ranges get one more */
    size_t extra = part < rest ? part : rest;
    *ret_from = part * each + extra;
    *ret_to = *ret_from + each + (part < rest ? 1 : 0);
}
