/* Two threads that take jobs from the queue. */

#include "run.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "fs.h"
#include "log.h"
#include "mem.h"
#include "str.h"

/* The first never trains: a microscope does not wait for a training to end. */
static const char *const quick_kinds[] = {"denoise", "evaluate", NULL};
static const char *const all_kinds[] = {"denoise", "evaluate", "train", "experiment",
                                        NULL};

static bool trains(const char *kind)
{
    return strcmp(kind, "train") == 0 || strcmp(kind, "experiment") == 0;
}

/* How long an idle worker keeps the model of its last job. */
#define KEEP_S 120

/* ---- waiting ---- */

void den_workers_wake(struct den_service *service)
{
    pthread_mutex_lock(&service->lock);
    service->submitted++;
    pthread_cond_broadcast(&service->wake);
    pthread_mutex_unlock(&service->lock);
}

static uint64_t submitted(struct den_service *service)
{
    pthread_mutex_lock(&service->lock);
    uint64_t count = service->submitted;
    pthread_mutex_unlock(&service->lock);
    return count;
}

static struct timespec in_a_second(void)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    return until;
}

/* Until a job comes in after the count was read, or the service stops, or a second has
 * passed (so that a wake-up that went wrong costs no more than that). */
static void wait_for_work(struct den_service *service, uint64_t seen)
{
    struct timespec until = in_a_second();
    pthread_mutex_lock(&service->lock);
    while (!atomic_load(&service->stopping) && service->submitted == seen)
        if (pthread_cond_timedwait(&service->wake, &service->lock, &until) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&service->lock);
}

/* Every wait here is for a second at most, so a worker that is silent is stuck. */
static void sign_of_life(struct den_worker *worker)
{
    atomic_store_explicit(&worker->seen, den_monotonic_s(), memory_order_relaxed);
}

void den_workers_cancel(struct den_service *service, const char *job)
{
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < DEN_WORKERS; i++)
        if (strcmp(service->workers[i].job, job) == 0)
            atomic_store(&service->workers[i].cancel, true);
    pthread_mutex_unlock(&service->lock);
}

static void take_up(struct den_worker *worker, const char *job, bool with_checkpoints)
{
    struct den_service *s = worker->service;
    pthread_mutex_lock(&s->lock);
    atomic_store(&worker->cancel, false);
    den_str_copy(worker->job, sizeof worker->job, job);
    worker->trains = with_checkpoints;
    pthread_mutex_unlock(&s->lock);
    if (job[0] == '\0')
        return;
    /* A cancellation between the claim and the line above found no worker to tell. */
    struct den_job_row row;
    if (s->kind->job_any(s->store, job, &row, NULL) && row.state == DEN_JOB_CANCELLING)
        atomic_store(&worker->cancel, true);
}

/* ---- memory ----
 * Each job alone was admitted against the limit; here the workers share it. */

/* Drops the worker's model, and says so to who waits for the memory. */
static void give_memory(struct den_worker *worker)
{
    struct den_service *s = worker->service;
    den_worker_drop_model(worker);
    pthread_mutex_lock(&s->lock);
    worker->planned = 0;
    atomic_store(&worker->shed, false);
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

/* What the other workers have planned; those that only keep a model are asked for it.
 * The lock is held. */
static size_t planned_by_others(struct den_worker *worker, bool ask)
{
    struct den_service *s = worker->service;
    size_t sum = 0;
    for (size_t i = 0; i < DEN_WORKERS; i++) {
        struct den_worker *other = &s->workers[i];
        if (other == worker)
            continue;
        sum += other->planned;
        if (ask && other->job[0] == '\0' && other->planned > 0)
            atomic_store(&other->shed, true);
    }
    return sum;
}

/* Takes `need` bytes if they are there beside what all others and the worker's own model
 * have.  A job always finds room when there is nobody else. */
static bool try_take(struct den_worker *worker, size_t need, bool wait)
{
    struct den_service *s = worker->service;
    size_t limit = s->config.memory_limit;
    sign_of_life(worker);
    pthread_mutex_lock(&s->lock);
    size_t own = worker->planned, others = planned_by_others(worker, wait);
    bool fits = limit == 0 || own + others == 0 || own + others + need <= limit;
    if (fits) {
        worker->planned = own + need;
    } else if (wait) {
        struct timespec until = in_a_second();
        pthread_cond_timedwait(&s->wake, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return fits;
}

/* Until there is room, or there is a reason to look at the job again. */
static void take_memory(struct den_job_context *context, size_t need)
{
    struct den_worker *worker = context->worker;
    struct den_service *s = worker->service;
    if (try_take(worker, need, false))
        return;
    give_memory(worker);
    if (try_take(worker, need, false))
        return;
    den_job_log(context, "waiting for memory that another job uses");
    while (!try_take(worker, need, true))
        if (atomic_load(&s->stopping) || atomic_load(&worker->cancel))
            return;
}

/* After a job only the model that was kept counts, the job's own or an earlier one, with
 * all that its job had. */
static void settle_memory(struct den_worker *worker, const struct den_job_row *row)
{
    struct den_service *s = worker->service;
    pthread_mutex_lock(&s->lock);
    size_t before = worker->planned - row->peak_bytes;
    if (worker->kept == NULL)
        worker->planned = 0;
    else if (row->model[0] == '\0' || before > row->peak_bytes)
        worker->planned = before;
    else
        worker->planned = row->peak_bytes;
    pthread_cond_broadcast(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

/* ---- progress ---- */

static void report(struct den_job_context *context)
{
    struct den_service *s = context->service;
    struct den_event_row event = {
        .type = "progress", .step = context->done, .steps = context->total};
    /* A failure is of no weight: the next report comes in a second. */
    if (s->kind->job_progress(s->store, context->job, context->done, context->total,
                              NULL))
        den_service_event(s, context->job, &event, 1);
    context->reported_at = den_monotonic_s();
}

static enum den_verdict tick(void *opaque, size_t done, size_t total)
{
    struct den_job_context *context = opaque;
    const double between_s = 1;
    sign_of_life(context->worker);
    if (done > context->done)
        atomic_fetch_add(context->counter, done - context->done);
    context->done = done;
    context->total = total;
    den_job_flush_metrics(context);
    if (atomic_load(&context->worker->cancel))
        return DEN_CANCEL;
    if (atomic_load(&context->service->stopping))
        return DEN_SUSPEND;
    if (den_monotonic_s() - context->reported_at >= between_s)
        report(context);
    return DEN_GO_ON;
}

/* ---- the end of a job ---- */

/* A cancelled job has no error: somebody got what they asked for. */
static void set_error(struct den_job_row *row, const struct den_err *err)
{
    row->state = err->code == DEN_E_CANCELLED ? DEN_JOB_CANCELLED : DEN_JOB_FAILED;
    row->result_sha256[0] = row->result_name[0] = row->result_media[0] = '\0';
    row->clipped = row->planes = row->planes_left = 0;
    row->error_code[0] = row->error_text[0] = '\0';
    if (row->state == DEN_JOB_CANCELLED)
        return;
    den_str_copy(row->error_code, sizeof row->error_code, den_code_name(err->code));
    den_str_copy(row->error_text, sizeof row->error_text, err->text);
    den_utf8_trim(row->error_text);
}

/* Under blob_lock; after it the files at their old names are gone in any case. */
static bool take_files(struct den_job_context *context, struct den_job_row *row,
                       struct den_err *err)
{
    struct den_blobs *blobs = context->service->blobs;
    uint64_t bytes = 0;
    if (context->result[0] != '\0' &&
        !den_blobs_take(blobs, context->result, NULL, row->result_sha256, &bytes, err))
        return false;
    return context->model == NULL ||
           den_blobs_take(blobs, context->model_file, NULL, context->model->sha256,
                          &context->model->bytes, err);
}

static bool try_finish(struct den_job_context *context, struct den_job_row *row,
                       struct den_err *err)
{
    struct den_service *s = context->service;
    bool good = row->state == DEN_JOB_SUCCEEDED;
    return s->kind->job_finish(s->store, row, good ? context->model : NULL,
                               context->scores, good ? context->score_count : 0, err);
}

/* Files first, then the row that names them.  A store that cannot write (a full disk) is
 * asked again until it can; should the server end before that, the job runs again. */
static bool finish(struct den_job_context *context, struct den_job_row *row)
{
    struct den_service *s = context->service;
    struct den_err err = DEN_ERR_INIT;
    char text[sizeof err.text + 8];
    pthread_mutex_lock(&s->blob_lock);
    if (row->state == DEN_JOB_SUCCEEDED && !take_files(context, row, &err)) {
        set_error(row, &err);
        err = DEN_ERR_INIT;
    }
    DEN_FAILPOINT("result_taken");
    bool done = try_finish(context, row, &err);
    pthread_mutex_unlock(&s->blob_lock);
    DEN_FAILPOINT("job_finished");
    while (!done && !atomic_load(&s->stopping)) {
        den_log(DEN_ERROR, "job_end_not_stored", " job=%s error=%s", row->id,
                den_log_quote(err.text, text, sizeof text));
        err = DEN_ERR_INIT;
        sign_of_life(context->worker);
        wait_for_work(s, submitted(s));
        done = try_finish(context, row, &err);
    }
    return done;
}

static bool requeue(struct den_service *s, struct den_job_row *row)
{
    /* Refused when somebody cancelled the job in the meantime. */
    if (!s->kind->job_requeue(s->store, row->id, NULL))
        return false;
    row->state = DEN_JOB_QUEUED;
    DEN_FAILPOINT("job_requeued");
    den_log(DEN_INFO, "job_interrupted", " job=%s step=%llu", row->id,
            (unsigned long long)row->step);
    den_service_notify(s);
    return true;
}

/* What becomes of the job: back to the queue, or one of the three ends.  The work folder
 * goes after the row says so: a crash in between leaves it to the sweep. */
static void settle(struct den_job_context *context, struct den_job_row *row, bool good,
                   struct den_err *result)
{
    struct den_service *s = context->service;
    row->step = context->done;
    row->steps = context->total > 0 ? context->total : row->steps;
    row->state = DEN_JOB_SUCCEEDED;
    if (!good && result->code == DEN_E_DRAINING) {
        if (requeue(s, row))
            return;
        result->code = DEN_E_CANCELLED;
    }
    if (!good)
        set_error(row, result);
    if (!finish(context, row))
        return;
    for (size_t i = 0; den_job_kinds[i] != NULL; i++)
        if (strcmp(den_job_kinds[i]->name, row->kind) == 0)
            den_histogram_add(den_service_seconds(s, i), &den_job_bounds, row->seconds);
    den_service_notify(s); /* first of all: somebody waits for this */
    struct den_err err = DEN_ERR_INIT;
    if (!den_fs_remove_tree(context->work, &err))
        den_log(DEN_WARN, "work_not_removed", " job=%s code=%s", row->id,
                den_code_name(err.code));
    char text[sizeof row->error_text + 8];
    den_log(DEN_INFO, "job_ended", " job=%s kind=%s state=%s seconds=%.3f error=%s",
            row->id, row->kind, den_job_state_name(row->state), row->seconds,
            den_log_quote(row->error_text, text, sizeof text));
}

/* ---- the loop ---- */

static bool run(struct den_job_context *context, struct den_job_row *row,
                struct den_err *err)
{
    const struct den_job_kind *kind = den_job_kind_find(row->kind);
    if (kind == NULL)
        return den_err_set(err, DEN_E_INTERNAL, "there is no job kind '%s'", row->kind);
    if (!den_fs_mkdirs(context->work, 0700, err))
        return false;
    take_memory(context, row->peak_bytes);
    if (atomic_load(&context->worker->cancel))
        return den_job_go_on(DEN_CANCEL, err);
    if (atomic_load(&context->service->stopping))
        return den_job_go_on(DEN_SUSPEND, err);
    return kind->run(context, row, err);
}

static void do_job(struct den_worker *worker, struct den_job_row *row)
{
    struct den_service *s = worker->service;
    struct den_err err = DEN_ERR_INIT;
    struct den_job_context *context = den_new(1, sizeof *context, &err);
    den_log_context("job", row->id);
    take_up(worker, row->id, trains(row->kind));
    if (context == NULL) {
        /* Back to the queue; a pause, so that the lack of memory can pass. */
        requeue(s, row);
        take_up(worker, "", false);
        wait_for_work(s, submitted(s));
        return;
    }
    *context = (struct den_job_context){
        .service = s,
        .pool = worker->pool,
        .job = row->id,
        .worker = worker,
        .counter = trains(row->kind) ? &s->iterations_done : &s->tiles_done,
        .total = row->steps,
        .reported_at = den_monotonic_s(),
    };
    context->progress = (struct den_progress){.tick = tick, .context = context};
    den_service_work_path(s, row->id, context->work, sizeof context->work);
    den_log(DEN_INFO, "job_started", " job=%s kind=%s attempt=%lld", row->id, row->kind,
            (long long)row->attempts);
    den_service_notify(s);
    double started = den_monotonic_s();
    bool good = run(context, row, &err);
    row->seconds = den_monotonic_s() - started;
    settle_memory(worker, row);
    den_job_flush_metrics(context);
    DEN_FAILPOINT("job_ran");
    settle(context, row, good, &err);
    DEN_FAILPOINT("job_settled");
    take_up(worker, "", false);
    if (context->result[0] != '\0')
        unlink(context->result); /* what was not taken is half a file */
    den_free(context->model);
    den_free(context->scores);
    den_free(context);
}

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
        uint64_t seen = submitted(s);
        sign_of_life(worker);
        if (!s->kind->job_claim(s->store, worker->kinds, &row, &found, &err))
            den_log(DEN_ERROR, "queue_not_read", " error=%s",
                    den_log_quote(err.text, text, sizeof text));
        if (found && trains(row.kind))
            give_memory(worker); /* a training wants it */
        if (found)
            DEN_FAILPOINT("job_claimed");
        if (found) {
            do_job(worker, &row);
            den_log_context(NULL, NULL);
        } else if (worker->kept != NULL && (atomic_load(&worker->shed) ||
                                            den_monotonic_s() - worker->kept_at > KEEP_S))
            give_memory(worker);
        else
            wait_for_work(s, seen);
    }
    den_worker_drop_model(worker);
    return NULL;
}

bool den_workers_start(struct den_service *service, struct den_err *err)
{
    for (size_t i = 0; i < DEN_WORKERS; i++) {
        struct den_worker *worker = &service->workers[i];
        worker->service = service;
        worker->kinds = i == 0 ? quick_kinds : all_kinds;
        int threads = service->config.threads > 0 ? service->config.threads : 1;
        if (!den_pool_new(threads, &worker->pool, err))
            goto fail;
        sign_of_life(worker);
        int sys = pthread_create(&worker->thread, NULL, work, worker);
        if (sys != 0) {
            den_err_sys(err, sys, "a worker cannot be started");
            goto fail;
        }
        pthread_mutex_lock(&service->lock);
        worker->started = true;
        pthread_mutex_unlock(&service->lock);
    }
    return true;
fail:
    den_workers_stop(service);
    return false;
}

void den_workers_stop(struct den_service *service)
{
    pthread_mutex_lock(&service->lock);
    atomic_store(&service->stopping, true);
    pthread_cond_broadcast(&service->wake);
    pthread_mutex_unlock(&service->lock);
    for (size_t i = 0; i < DEN_WORKERS; i++) {
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
