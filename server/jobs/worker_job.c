/* One job of a worker, from its claim to its end. */

#include "worker.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "fs.h"
#include "log.h"
#include "mem.h"
#include "str.h"

static bool lost(const struct den_job_context *context)
{
    return atomic_load(&context->task.lost);
}

/* ---- the task ---- */

static void take_up(struct den_job_context *context)
{
    struct den_worker *worker = context->worker;
    struct den_service *s = worker->service;
    pthread_mutex_lock(&s->lock);
    context->task.outer = worker->task;
    worker->task = &context->task;
    pthread_mutex_unlock(&s->lock);
    /* A cancellation between the claim and the line above found no worker to tell. */
    struct den_job_row row;
    if (s->kind->job_any(s->store, context->job, &row, NULL) &&
        row.state == DEN_JOB_CANCELLING)
        atomic_store(&context->task.cancel, true);
}

static void put_down(struct den_job_context *context)
{
    struct den_worker *worker = context->worker;
    struct den_service *s = worker->service;
    pthread_mutex_lock(&s->lock);
    worker->task = context->task.outer;
    pthread_cond_broadcast(&s->wake); /* a training may wait for just this */
    pthread_mutex_unlock(&s->lock);
}

/* ---- progress ---- */

/* Seconds at work in this attempt. */
static double at_work(const struct den_job_context *context)
{
    return den_monotonic_s() - context->started_at - context->paused;
}

/* For estimates of jobs like this one. */
static void measure(struct den_job_context *context)
{
    if (!context->ticked || context->total == 0)
        return;
    size_t done = context->done - context->first;
    den_rates_add(&context->service->rates, context->rate,
                  at_work(context) - context->first_at,
                  context->units * (double)done / (double)context->total);
}

/* The first of its kind says how long those behind it will take, long before it ends. */
static void measure_first(struct den_job_context *context)
{
    double rate;
    if (!den_rates_get(&context->service->rates, context->rate, &rate))
        measure(context);
}

static void report(struct den_job_context *context)
{
    struct den_service *s = context->service;
    struct den_err err = DEN_ERR_INIT;
    struct den_event_row event = {
        .type = "progress", .step = context->done, .steps = context->total};
    struct den_lease lease = context->task.lease;
    lease.seconds = at_work(context);
    /* Another failure is of no weight: the next report comes in a second. */
    if (!s->kind->job_progress(s->store, &lease, context->done, context->total, &err))
        atomic_store(&context->task.lost, lost(context) || err.code == DEN_E_CONFLICT);
    else if (!den_service_event(s, &lease, &event, 1))
        atomic_store(&context->task.lost, true);
    measure_first(context);
    context->reported_at = den_monotonic_s();
}

/* When it will have ended, by the speed since the first tick of this attempt: what an
 * earlier one did before it took no time here. */
static void foresee(struct den_job_context *context)
{
    double spent = at_work(context);
    if (!context->ticked) {
        context->ticked = true;
        context->first = context->done;
        context->first_at = spent;
    }
    if (context->done <= context->first || context->total < context->done)
        return;
    double each = (spent - context->first_at) / (double)(context->done - context->first);
    double rest = each * (double)(context->total - context->done);
    atomic_store_explicit(&context->task.ends_at, den_monotonic_s() + rest,
                          memory_order_relaxed);
}

static bool took_too_long(struct den_job_context *context)
{
    double limit = context->service->config.job_s;
    if (limit > 0 && at_work(context) > limit)
        context->too_long = true;
    return context->too_long;
}

static enum den_verdict tick(void *opaque, size_t done, size_t total)
{
    struct den_job_context *context = opaque;
    const double between_s = 1;
    den_worker_sign(context->worker);
    if (done > context->done)
        atomic_fetch_add(context->counter, done - context->done);
    context->done = done;
    context->total = total;
    foresee(context);
    den_job_flush_metrics(context);
    if (den_monotonic_s() - context->reported_at >= between_s)
        report(context);
    if (lost(context) || atomic_load(&context->task.cancel) || took_too_long(context))
        return DEN_CANCEL;
    if (atomic_load(&context->service->stopping))
        return DEN_SUSPEND;
    if (den_class_trains(context->task.class) && context->worker->task == &context->task)
        return den_worker_yield(context);
    return DEN_GO_ON;
}

/* ---- the end of a job ---- */

/* A cancelled job has no error: somebody got what they asked for. */
static void set_error(struct den_job_row *row, const struct den_err *err)
{
    row->state = err->code == DEN_E_CANCELLED ? DEN_JOB_CANCELLED : DEN_JOB_FAILED;
    row->result_sha256[0] = row->result_name[0] = row->result_media[0] = '\0';
    row->clipped = row->planes = row->planes_left = row->result_bytes = 0;
    row->error_code[0] = row->error_text[0] = '\0';
    if (row->state == DEN_JOB_CANCELLED)
        return;
    den_str_copy(row->error_code, sizeof row->error_code, den_code_name(err->code));
    den_str_copy(row->error_text, sizeof row->error_text, err->text);
    den_utf8_trim(row->error_text);
}

/* The files that a job made, from their taking to the row that names them. */
struct taken {
    struct den_blob_pin result, model;
};

/* After it the files at their old names are gone in any case. */
static bool take_files(struct den_job_context *context, struct den_job_row *row,
                       struct taken *taken, struct den_err *err)
{
    struct den_blobs *blobs = context->service->blobs;
    row->result_bytes = 0;
    if (context->result[0] != '\0') {
        if (!den_blobs_take(blobs, context->result, NULL, row->result_sha256,
                            &row->result_bytes, err))
            return false;
        den_blobs_pin(blobs, &taken->result, row->result_sha256);
    }
    if (context->model != NULL) {
        if (!den_blobs_take(blobs, context->model_file, NULL, context->model->sha256,
                            &context->model->bytes, err))
            return false;
        den_blobs_pin(blobs, &taken->model, context->model->sha256);
    }
    return true;
}

/* The lock is not held until the row is there, which may be long on a full disk: the
 * pins keep what was taken while somebody deletes another job with the same bytes. */
static bool take(struct den_job_context *context, struct den_job_row *row,
                 struct taken *taken, struct den_err *err)
{
    struct den_service *s = context->service;
    pthread_mutex_lock(&s->blob_lock);
    bool done = take_files(context, row, taken, err);
    pthread_mutex_unlock(&s->blob_lock);
    DEN_FAILPOINT("result_taken");
    return done;
}

/* What no row names stays not: the job is another's by now, is to be done again, or was
 * deleted while the pins still held its files. */
static void let_go(struct den_job_context *context, struct taken *taken)
{
    struct den_service *s = context->service;
    pthread_mutex_lock(&s->blob_lock);
    den_blobs_unpin(s->blobs, &taken->result);
    den_blobs_unpin(s->blobs, &taken->model);
    den_service_drop_blob(s, taken->result.sha256);
    den_service_drop_blob(s, taken->model.sha256);
    pthread_mutex_unlock(&s->blob_lock);
}

/* What became of a change of the job's row. */
enum outcome {
    STORED,
    REFUSED, /* somebody cancelled the job in the meantime, or it is another's */
    LEFT     /* the server ends: its next start puts the job back */
};

/* A store that cannot write (a full disk, no memory) is asked again until it can: that
 * says nothing about the job.  true: now. */
static bool ask_again(struct den_job_context *context, struct den_err *err)
{
    struct den_service *s = context->service;
    char text[sizeof err->text + 8];
    if (err->code == DEN_E_CONFLICT || lost(context))
        return false;
    den_log(DEN_ERROR, "job_end_not_stored", " job=%s error=%s", context->job,
            den_log_quote(err->text, text, sizeof text));
    if (atomic_load(&s->stopping))
        return false;
    *err = DEN_ERR_INIT;
    den_worker_sign(context->worker);
    den_workers_wait(s, den_workers_seen(s));
    return true;
}

static enum outcome not_stored(const struct den_err *err)
{
    return err->code == DEN_E_CONFLICT ? REFUSED : LEFT;
}

static bool finish(struct den_job_context *context, struct den_job_row *row)
{
    struct den_service *s = context->service;
    struct den_err err = DEN_ERR_INIT;
    bool good = row->state == DEN_JOB_SUCCEEDED;
    while (!s->kind->job_finish(s->store, row, good ? context->model : NULL,
                                context->scores, good ? context->score_count : 0, &err))
        if (!ask_again(context, &err)) {
            if (err.code == DEN_E_CONFLICT)
                atomic_store(&context->task.lost, true);
            return false;
        }
    DEN_FAILPOINT("job_finished");
    return true;
}

static enum outcome requeue(struct den_job_context *context, struct den_job_row *row)
{
    struct den_service *s = context->service;
    struct den_err err = DEN_ERR_INIT;
    const struct den_lease lease = den_job_lease(row);
    while (!s->kind->job_requeue(s->store, &lease, &err))
        if (!ask_again(context, &err))
            return not_stored(&err);
    row->state = DEN_JOB_QUEUED;
    DEN_FAILPOINT("job_requeued");
    den_log(DEN_INFO, "job_interrupted", " job=%s step=%llu", row->id,
            (unsigned long long)row->step);
    den_service_notify(s);
    return STORED;
}

/* May the job go well another time, and has it not been tried often enough? */
static bool is_worth_another(const struct den_job_context *context,
                             const struct den_job_row *row, struct den_err *why)
{
    const struct den_backoff backoff = den_service_backoff(context->service);
    char text[sizeof why->text];
    if (!den_backoff_helps(why->code) || atomic_load(&context->task.cancel))
        return false;
    if (den_job_fruitless(row, row->step) < backoff.max_attempts)
        return true;
    memcpy(text, why->text, sizeof text);
    den_str_format(why->text, sizeof why->text,
                   "%.300s; it was tried %lld times, and is not tried again by itself",
                   text, (long long)row->attempts);
    return false;
}

/* It waits in the queue for its next attempt. */
static enum outcome try_again(struct den_job_context *context, struct den_job_row *row,
                              const struct den_err *why)
{
    struct den_service *s = context->service;
    struct den_err err = DEN_ERR_INIT;
    const struct den_backoff backoff = den_service_backoff(s);
    const int64_t fruitless = den_job_fruitless(row, row->step);
    const int64_t wait_ms = den_backoff_draw(&backoff, fruitless);
    char text[sizeof why->text];
    den_str_format(text, sizeof text, "attempt %lld of %lld failed: %.300s",
                   (long long)fruitless, (long long)backoff.max_attempts, why->text);
    const struct den_lease lease = den_job_lease(row);
    struct den_moment now = den_moment_now();
    while (!s->kind->job_again(s->store, &lease, wait_ms, &now, text, &err)) {
        if (!ask_again(context, &err))
            return not_stored(&err);
        now = den_moment_now();
    }
    row->state = DEN_JOB_QUEUED;
    den_log(DEN_WARN, "job_tried_again", " job=%s attempt=%lld wait_ms=%lld code=%s",
            row->id, (long long)row->attempts, (long long)wait_ms,
            den_code_name(why->code));
    den_service_notify(s);
    return STORED;
}

static void set_too_long(struct den_job_context *context, struct den_err *result)
{
    double limit = context->service->config.job_s, took = at_work(context);
    *result = DEN_ERR_INIT;
    den_err_limit(result, DEN_E_UNPROCESSABLE, (int64_t)limit, (int64_t)took,
                  "the job was at work for %.0f seconds and may be for %.0f", took,
                  limit);
}

static void tell_ended(struct den_job_context *context, const struct den_job_row *row)
{
    struct den_service *s = context->service;
    char text[sizeof row->error_text + 8];
    for (size_t i = 0; den_job_kinds[i] != NULL; i++)
        if (strcmp(den_job_kinds[i]->name, row->kind) == 0)
            den_histogram_add(den_service_seconds(s, i), &den_job_bounds, row->seconds);
    den_service_notify(s); /* first of all: somebody waits for this */
    den_log(DEN_INFO, "job_ended", " job=%s kind=%s state=%s seconds=%.3f error=%s",
            row->id, row->kind, den_job_state_name(row->state), row->seconds,
            den_log_quote(row->error_text, text, sizeof text));
}

static void remove_work(const struct den_job_context *context)
{
    struct den_err err = DEN_ERR_INIT;
    if (!den_fs_remove_tree(context->work, &err))
        den_log(DEN_WARN, "work_not_removed", " job=%s code=%s", context->job,
                den_code_name(err.code));
}

/* Of a job that is not done: STORED = in the queue again, REFUSED = it ends. */
static enum outcome back_to_queue(struct den_job_context *context,
                                  struct den_job_row *row, struct den_err *result)
{
    enum outcome outcome = REFUSED;
    if (context->too_long && result->code == DEN_E_CANCELLED)
        set_too_long(context, result);
    if (result->code == DEN_E_DRAINING) {
        outcome = requeue(context, row);
        result->code = DEN_E_CANCELLED;
    } else if (is_worth_another(context, row, result)) {
        outcome = try_again(context, row, result);
    }
    return outcome;
}

/* What becomes of the job: back to the queue, or one of the three ends.  Files first,
 * then the row that names them; the work folder goes after the row says so: a crash in
 * between leaves it to the sweep. */
static void settle(struct den_job_context *context, struct den_job_row *row, bool good,
                   struct den_err *result)
{
    struct taken taken = {0};
    row->step = context->done;
    row->steps = context->total > 0 ? context->total : row->steps;
    row->state = DEN_JOB_SUCCEEDED;
    good = good && take(context, row, &taken, result);
    if (!good) {
        if (back_to_queue(context, row, result) != REFUSED)
            goto out;
        set_error(row, result);
    }
    if (finish(context, row)) {
        tell_ended(context, row);
        remove_work(context);
    }
out:
    let_go(context, &taken);
}

/* ---- all of it ---- */

/* *ret_room false: there is none beside the training that waits. */
static bool run(struct den_job_context *context, struct den_job_row *row, bool *ret_room,
                struct den_err *err)
{
    const struct den_job_kind *kind = den_job_kind_find(row->kind);
    if (kind == NULL)
        return den_err_set(err, DEN_E_INTERNAL, "there is no job kind '%s'", row->kind);
    if (!den_service_take_work(context->service, &context->task.lease, err))
        return false;
    *ret_room = den_worker_take_memory(context, row->peak_bytes);
    context->started_at = context->reported_at = den_monotonic_s();
    if (atomic_load(&context->task.cancel) || lost(context))
        return den_job_go_on(DEN_CANCEL, err);
    if (atomic_load(&context->service->stopping) || !*ret_room)
        return den_job_go_on(DEN_SUSPEND, err);
    return kind->run(context, row, err);
}

/* Back to the queue; a pause, so that the lack of memory can pass. */
static void no_context(struct den_worker *worker, const struct den_job_row *row)
{
    struct den_service *s = worker->service;
    const struct den_lease lease = den_job_lease(row);
    (void)s->kind->job_requeue(s->store, &lease, NULL);
    den_workers_wait(s, den_workers_seen(s));
}

static double expected_end(struct den_service *s, const struct den_job_row *row)
{
    double rate;
    if (!(row->units > 0) || !den_rates_get(&s->rates, row->rate, &rate))
        return (double)NAN;
    return den_monotonic_s() + rate * row->units;
}

static void begin(struct den_worker *worker, const struct den_job_row *row,
                  struct den_job_context *context)
{
    struct den_service *s = worker->service;
    double now = den_monotonic_s();
    int64_t renewed_at = den_boot_ms();
    *context = (struct den_job_context){
        .service = s,
        .pool = worker->pool,
        .job = row->id,
        .worker = worker,
        .task = {.lease = den_job_lease(row),
                 .class = row->class,
                 .renewed_at = renewed_at},
        /* It measures itself, without what is around the work. */
        .rate = strcmp(row->kind, "denoise") == 0 ? "" : row->rate,
        .units = row->units,
        .counter = den_class_trains(row->class) ? &s->iterations_done : &s->tiles_done,
        .total = row->steps,
        .started_at = now,
        .reported_at = now,
    };
    atomic_init(&context->task.ends_at, expected_end(s, row));
    context->progress = (struct den_progress){.tick = tick, .context = context};
    den_service_work_path(s, &context->task.lease, context->work, sizeof context->work);
    take_up(context);
}

/* Who has lost the job writes nothing of it, and clears away what is its own. */
static void end(struct den_job_context *context, struct den_job_row *row, bool good,
                struct den_err *err)
{
    den_job_flush_metrics(context);
    DEN_FAILPOINT("job_ran");
    if (!lost(context))
        settle(context, row, good, err);
    if (lost(context)) {
        den_log(DEN_WARN, "lease_lost", " job=%s gen=%lld", row->id, (long long)row->gen);
        remove_work(context);
    }
    DEN_FAILPOINT("job_settled");
    put_down(context);
    if (context->result[0] != '\0')
        unlink(context->result); /* what was not taken is half a file */
    den_free(context->model);
    den_free(context->scores);
}

bool den_worker_do(struct den_worker *worker, struct den_job_row *row,
                   struct den_job_context *outer)
{
    struct den_err err = DEN_ERR_INIT;
    bool room = true;
    struct den_job_context *context = den_new(1, sizeof *context, &err);
    den_log_context("job", row->id);
    if (context == NULL) {
        no_context(worker, row);
        return outer == NULL;
    }
    begin(worker, row, context);
    den_log(DEN_INFO, "job_started", " job=%s kind=%s attempt=%lld", row->id, row->kind,
            (long long)row->attempts);
    den_service_notify(worker->service);
    bool good = run(context, row, &room, &err);
    row->seconds = at_work(context);
    if (good)
        measure(context);
    den_worker_settle_memory(context, row);
    end(context, row, good, &err);
    den_free(context);
    den_log_context(NULL, NULL);
    return room;
}
