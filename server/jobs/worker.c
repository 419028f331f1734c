/* Threads that take jobs from the queue. */

#include "worker.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "fault.h"
#include "log.h"
#include "str.h"

/* ---- waiting ---- */

void den_workers_wake(struct den_service *service)
{
    atomic_store(&service->quick_waits, true);
    pthread_mutex_lock(&service->lock);
    service->submitted++;
    pthread_cond_broadcast(&service->wake);
    pthread_mutex_unlock(&service->lock);
}

uint64_t den_workers_seen(struct den_service *service)
{
    pthread_mutex_lock(&service->lock);
    uint64_t count = service->submitted;
    pthread_mutex_unlock(&service->lock);
    return count;
}

struct timespec den_in_a_second(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    return until;
}

/* The second is for a wake-up that went wrong, and for jobs whose wait is over. */
void den_workers_wait(struct den_service *service, uint64_t seen)
{
    struct timespec until = den_in_a_second();
    pthread_mutex_lock(&service->lock);
    while (!atomic_load(&service->stopping) && service->submitted == seen)
        if (pthread_cond_timedwait(&service->wake, &service->lock, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&service->lock);
}

void den_worker_sign(struct den_worker *worker)
{
    atomic_store_explicit(&worker->seen, den_monotonic_s(), memory_order_relaxed);
    atomic_fetch_add_explicit(&worker->beats, 1, memory_order_relaxed);
}

void den_workers_cancel(struct den_service *service, const char *job)
{
    pthread_mutex_lock(&service->lock);
    for (int i = 0; i < service->worker_count; i++)
        for (struct den_task *t = service->workers[i].task; t != NULL; t = t->outer)
            if (strcmp(t->lease.job, job) == 0)
                atomic_store(&t->cancel, true);
    pthread_mutex_unlock(&service->lock);
}

/* ---- claims ---- */

/* The models of other workers that have nothing else to do: a job for one of these begins
 * at once there, and would have to read the weights here. */
static size_t models_of_idle(struct den_worker *worker, struct den_model_key *keys)
{
    struct den_service *s = worker->service;
    size_t count = 0;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->worker_count; i++) {
        const struct den_worker *other = &s->workers[i];
        bool same = other->kept_key.version == worker->kept_key.version &&
                    strcmp(other->kept_key.name, worker->kept_key.name) == 0 &&
                    strcmp(other->kept_key.owner, worker->kept_key.owner) == 0;
        if (other != worker && other->started && other->task == NULL &&
            other->kept_bytes > 0 && !same)
            keys[count++] = other->kept_key;
    }
    pthread_mutex_unlock(&s->lock);
    return count;
}

bool den_worker_claim(struct den_worker *worker, enum den_job_class last,
                      struct den_job_row *ret, bool *ret_found, struct den_err *err)
{
    struct den_service *s = worker->service;
    struct den_model_key keys[DEN_WORKERS];
    const struct den_claim claim = {
        .now = den_moment_now(),
        .worker = worker->name,
        .lease_ms = (int64_t)(1000 * s->config.lease_s),
        .last = last,
        .left = keys,
        .left_count = models_of_idle(worker, keys),
    };
    if (!s->kind->job_claim(s->store, &claim, ret, ret_found, err))
        return false;
    if (!*ret_found)
        return true;
    DEN_FAILPOINT("job_claimed");
    if (claim.left_count > 0)
        den_workers_wake(s); /* somebody may have left the next one to others */
    return true;
}

/* ---- the loop ---- */

/* The count is read before the claim: a job that comes in after a claim in vain changes
 * it, and the wait does not begin. */
static void *work(void *opaque)
{
    struct den_worker *worker = opaque;
    struct den_service *s = worker->service;
    char text[sizeof(struct den_err)];
    while (!atomic_load(&s->stopping)) {
        struct den_err err = DEN_ERR_INIT;
        struct den_job_row row;
        bool found = false;
        uint64_t seen = den_workers_seen(s);
        den_worker_sign(worker);
        if (!den_worker_claim(worker, worker->last, &row, &found, &err))
            den_log(DEN_ERROR, "queue_not_read", " error=%s",
                    den_log_quote(err.text, text, sizeof text));
        if (found && den_class_trains(row.class))
            den_worker_give_memory(worker); /* a training wants it */
        if (found)
            (void)den_worker_do(worker, &row, NULL);
        else if (den_worker_may_drop(worker))
            den_worker_give_memory(worker);
        else
            den_workers_wait(s, seen);
    }
    den_worker_drop_model(worker);
    return NULL;
}

static bool start(struct den_service *service, int number, struct den_err *err)
{
    struct den_worker *worker = &service->workers[number];
    int threads = service->config.threads > 0 ? service->config.threads : 1;
    bool alone = service->worker_count == 1;
    worker->service = service;
    worker->last = number > 0 || alone ? DEN_CLASS_EXPERIMENT : DEN_CLASS_BATCH;
    den_str_format(worker->name, sizeof worker->name, "worker-%d", number + 1);
    if (!den_pool_new(threads, &worker->pool, err))
        return false;
    den_worker_sign(worker);
    int sys = pthread_create(&worker->thread, NULL, work, worker);
    if (sys != 0)
        return den_err_sys(err, sys, "a worker cannot be started");
    pthread_mutex_lock(&service->lock);
    worker->started = true;
    pthread_mutex_unlock(&service->lock);
    return true;
}

bool den_workers_start(struct den_service *service, struct den_err *err)
{
    for (int i = 0; i < service->worker_count; i++)
        if (!start(service, i, err)) {
            den_workers_stop(service);
            return false;
        }
    return true;
}

void den_workers_stop(struct den_service *service)
{
    pthread_mutex_lock(&service->lock);
    atomic_store(&service->stopping, true);
    pthread_cond_broadcast(&service->wake);
    pthread_mutex_unlock(&service->lock);
    for (int i = 0; i < service->worker_count; i++) {
        struct den_worker *worker = &service->workers[i];
        if (worker->started)
            pthread_join(worker->thread, NULL);
        pthread_mutex_lock(&service->lock);
        worker->started = false;
        pthread_mutex_unlock(&service->lock);
        den_pool_free(worker->pool);
        worker->pool = NULL;
    }
}
