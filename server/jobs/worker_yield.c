/* A training lets short jobs go first.  All of this happens between two of its batches,
 * where its pool is idle, and touches nothing that it computes with: it goes on to the
 * same bytes. */

#include "worker.h"

#include <time.h>

#include "clock.h"
#include "log.h"
#include "str.h"

/* ---- on this worker ---- */

/* The lock is held. */
static bool is_any_free(const struct den_service *s)
{
    for (int i = 0; i < s->worker_count; i++)
        if (s->workers[i].started && s->workers[i].task == NULL)
            return true;
    return false;
}

static bool somebody_is_free(struct den_service *s)
{
    pthread_mutex_lock(&s->lock);
    bool is_free = is_any_free(s);
    pthread_mutex_unlock(&s->lock);
    return is_free;
}

/* The mark is taken away before the look: a job that comes in after it sets it again. */
static bool do_short_jobs(struct den_job_context *context)
{
    struct den_worker *worker = context->worker;
    struct den_service *s = worker->service;
    while (!atomic_load(&s->stopping) && !atomic_load(&context->task.cancel) &&
           !somebody_is_free(s) && atomic_exchange(&s->quick_waits, false)) {
        struct den_err err = DEN_ERR_INIT;
        struct den_job_row row;
        bool found = false;
        if (!den_worker_claim(worker, DEN_CLASS_BATCH, &row, &found, &err) || !found)
            break;
        bool done = den_worker_do(worker, &row, context);
        den_log_context("job", context->job);
        atomic_store(&s->quick_waits, true); /* there may be more */
        if (!done)
            return false;
    }
    return true;
}

/* ---- on another one ---- */

static bool interactive_elsewhere(const struct den_worker *worker)
{
    const struct den_service *s = worker->service;
    for (int i = 0; i < s->worker_count; i++) {
        const struct den_task *task = s->workers[i].task;
        if (&s->workers[i] != worker && task != NULL && task->wanted == 0 &&
            task->class == DEN_CLASS_INTERACTIVE)
            return true;
    }
    return false;
}

/* So that the microscope has the whole machine.  Where one image follows the other, the
 * training does a batch a minute all the same.  true: a short job has come that nobody
 * else can take. */
static bool wait_for_others(struct den_job_context *context, double since)
{
    const double longest_s = 60;
    struct den_worker *worker = context->worker;
    struct den_service *s = worker->service;
    bool waits = false;
    pthread_mutex_lock(&s->lock);
    while (!waits && interactive_elsewhere(worker) && !atomic_load(&s->stopping) &&
           !atomic_load(&context->task.cancel) && !atomic_load(&context->task.lost) &&
           den_monotonic_s() - since < longest_s) {
        struct timespec until = den_in_a_second();
        pthread_cond_timedwait(&s->wake, &s->lock, &until);
        den_worker_sign(worker);
        waits = atomic_load(&s->quick_waits) && !is_any_free(s);
    }
    pthread_mutex_unlock(&s->lock);
    return waits;
}

static bool memory_is_wanted(struct den_job_context *context)
{
    struct den_service *s = context->worker->service;
    pthread_mutex_lock(&s->lock);
    bool wanted = den_worker_is_outranked(context->worker, context->task.class);
    pthread_mutex_unlock(&s->lock);
    return wanted;
}

enum den_verdict den_worker_yield(struct den_job_context *context)
{
    struct den_worker *worker = context->worker;
    double since = den_monotonic_s();
    bool yields = worker->service->config.training_yields;
    bool done = do_short_jobs(context);
    while (done && yields && wait_for_others(context, since))
        done = do_short_jobs(context);
    if (den_worker_may_drop(worker))
        den_worker_give_memory(worker);
    context->paused += den_monotonic_s() - since;
    if (done && !memory_is_wanted(context))
        return DEN_GO_ON;
    den_job_log(context, "makes room for a job that needs its memory");
    return DEN_SUSPEND;
}
