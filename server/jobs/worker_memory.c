#include "worker.h"

#include <string.h>
#include <time.h>

#include "clock.h"

/* How long a worker keeps the model of its last job. */
#define KEEP_S 120

void den_worker_give_memory(struct den_worker *worker)
{
    struct den_service *s = worker->service;
    den_worker_drop_model(worker);
    pthread_mutex_lock(&s->lock);
    worker->kept_bytes = 0;
    worker->kept_key = (struct den_model_key){.version = 0};
    atomic_store(&worker->shed, false);
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

bool den_worker_may_drop(struct den_worker *worker)
{
    return worker->kept != NULL &&
           (atomic_load(&worker->shed) || den_monotonic_s() - worker->kept_at > KEEP_S);
}

/* The lock is held. */
static size_t planned_by(const struct den_worker *worker)
{
    size_t sum = worker->kept_bytes;
    for (const struct den_task *t = worker->task; t != NULL; t = t->outer)
        sum += t->planned;
    return sum;
}

/* What the other workers have planned; those that only keep a model are asked for it, as
 * are those with a training, which does not use it.  The lock is held. */
static size_t planned_by_others(struct den_worker *worker, bool ask)
{
    struct den_service *s = worker->service;
    size_t sum = 0;
    for (int i = 0; i < s->worker_count; i++) {
        struct den_worker *other = &s->workers[i];
        if (other == worker)
            continue;
        sum += planned_by(other);
        bool idle = other->task == NULL || den_class_trains(other->task->class);
        if (ask && idle && other->kept_bytes > 0)
            atomic_store(&other->shed, true);
    }
    return sum;
}

bool den_worker_is_outranked(const struct den_worker *worker, enum den_job_class class)
{
    const struct den_service *s = worker->service;
    for (int i = 0; i < s->worker_count; i++) {
        const struct den_task *task = s->workers[i].task;
        if (&s->workers[i] != worker && task != NULL && task->wanted > 0 &&
            !den_class_trains(task->class) && task->class < class)
            return true;
    }
    return false;
}

/* Takes `need` bytes if they are there beside what all others and the worker itself have,
 * and no job that goes first waits for them.  A job always finds room when there is
 * nobody else. */
static bool try_take(struct den_job_context *context, size_t need, bool wait)
{
    struct den_worker *worker = context->worker;
    struct den_service *s = worker->service;
    size_t limit = s->config.memory_limit;
    den_worker_sign(worker);
    pthread_mutex_lock(&s->lock);
    size_t own = planned_by(worker), others = planned_by_others(worker, wait);
    bool fits = limit == 0 || own + others == 0 ||
                (own + others + need <= limit &&
                 !den_worker_is_outranked(worker, context->task.class));
    if (fits) {
        context->task.planned = need;
        context->task.wanted = 0;
    } else if (wait) {
        struct timespec until = den_in_a_second();
        context->task.wanted = need;
        pthread_cond_timedwait(&s->wake, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return fits;
}

bool den_worker_take_memory(struct den_job_context *context, size_t need)
{
    struct den_worker *worker = context->worker;
    struct den_service *s = worker->service;
    if (try_take(context, need, false))
        return true;
    den_worker_give_memory(worker);
    if (try_take(context, need, false))
        return true;
    if (context->task.outer != NULL)
        return false;
    den_job_log(context, "waiting for memory that another job uses");
    while (!try_take(context, need, true))
        if (atomic_load(&s->stopping) || atomic_load(&context->task.cancel) ||
            atomic_load(&context->task.lost))
            break;
    return true;
}

void den_worker_settle_memory(struct den_job_context *context,
                              const struct den_job_row *row)
{
    struct den_worker *worker = context->worker;
    struct den_service *s = worker->service;
    pthread_mutex_lock(&s->lock);
    context->task.planned = context->task.wanted = 0;
    if (worker->kept == NULL) {
        worker->kept_bytes = 0;
    } else if (row->model[0] != '\0' && !den_class_trains(row->class)) {
        if (worker->kept_bytes < row->peak_bytes)
            worker->kept_bytes = row->peak_bytes;
        memcpy(worker->kept_key.owner, row->model_owner, sizeof worker->kept_key.owner);
        memcpy(worker->kept_key.name, row->model, sizeof worker->kept_key.name);
        worker->kept_key.version = row->version;
    }
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}
