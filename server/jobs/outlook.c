/* Where jobs stand in the queue and when they will have ended.  A status is asked for
 * thousands of times a second, so the queue is looked at when it has changed, and then
 * not more often than every so many milliseconds. */

#include "outlook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "service_private.h"
#include "str.h"

struct item {
    char id[DEN_ID_SIZE];
    size_t position;
    double ends_at; /* monotonic seconds; NaN = not known */
};

struct den_outlooks {
    pthread_mutex_t lock; /* guards all below */
    struct item *items;   /* ascending by id */
    size_t count;
    uint64_t changes; /* of the queue, when it was looked at */
    bool filled, looking;
    double looked_at, took; /* monotonic seconds; seconds */
};

bool den_outlooks_new(struct den_outlooks **ret, struct den_err *err)
{
    struct den_outlooks *outlooks = den_new(1, sizeof *outlooks, err);
    if (outlooks == NULL)
        return false;
    pthread_mutex_init(&outlooks->lock, NULL);
    *ret = outlooks;
    return true;
}

void den_outlooks_free(struct den_outlooks *outlooks)
{
    if (outlooks == NULL)
        return;
    pthread_mutex_destroy(&outlooks->lock);
    den_free(outlooks->items);
    den_free(outlooks);
}

/* ---- when jobs will have ended ---- */

/* When each worker is free, and for what; NaN: not known. */
struct schedule {
    size_t count;
    double free_at[DEN_WORKERS];
    enum den_job_class last[DEN_WORKERS];
};

/* A worker with a training is free for short jobs: the training waits for them. */
static void see_workers(struct den_service *s, struct schedule *all,
                        struct schedule *short_ones, double now)
{
    *all = *short_ones = (struct schedule){.count = (size_t)s->worker_count};
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->worker_count; i++) {
        const struct den_task *task = s->workers[i].task;
        double ends = task != NULL ? atomic_load(&task->ends_at) : now;
        bool trains = task != NULL && den_class_trains(task->class);
        all->free_at[i] = ends;
        short_ones->free_at[i] = trains ? now : ends;
        all->last[i] = short_ones->last[i] = s->workers[i].last;
    }
    pthread_mutex_unlock(&s->lock);
}

/* Takes the worker that is free first: when the job ends there. */
static double assign(struct schedule *schedule, enum den_job_class class, double from,
                     double seconds)
{
    size_t best = schedule->count;
    for (size_t i = 0; i < schedule->count; i++)
        if (class <= schedule->last[i] && !isnan(schedule->free_at[i]) &&
            (best == schedule->count || schedule->free_at[i] < schedule->free_at[best]))
            best = i;
    if (best == schedule->count)
        return (double)NAN;
    schedule->free_at[best] = fmax(schedule->free_at[best], from) + seconds;
    return schedule->free_at[best];
}

static double seconds_of(struct den_service *s, const struct den_line_row *row)
{
    double rate;
    if (!(row->units > 0) || !den_rates_get(&s->rates, row->rate, &rate))
        return (double)NAN;
    return rate * row->units;
}

/* Not known if one is not. */
static double later(double a, double b)
{
    return isnan(a) || isnan(b) ? (double)NAN : fmax(a, b);
}

/* Trainings begin when no short job waits any more. */
static void foresee(struct den_service *s, const struct den_line_row *rows, size_t count,
                    struct item *items)
{
    struct schedule all, short_ones;
    double now = den_monotonic_s();
    see_workers(s, &all, &short_ones, now);
    for (size_t i = 0; i < count; i++) {
        bool trains = den_class_trains(rows[i].class);
        double from = now + 1e-3 * (double)rows[i].wait_ms;
        items[i].position = i + 1;
        memcpy(items[i].id, rows[i].id, sizeof items[i].id);
        if (rows[i].held) { /* until its owner's own jobs end, or the day does */
            items[i].ends_at = (double)NAN;
            continue;
        }
        if (!trains) {
            items[i].ends_at =
                assign(&short_ones, rows[i].class, from, seconds_of(s, &rows[i]));
            continue;
        }
        for (size_t w = 0; w < all.count; w++)
            all.free_at[w] = later(all.free_at[w], short_ones.free_at[w]);
        items[i].ends_at = assign(&all, rows[i].class, from, seconds_of(s, &rows[i]));
    }
}

/* ---- looking ---- */

static int compare_ids(const void *a, const void *b)
{
    const struct item *p = a, *q = b;
    return strcmp(p->id, q->id);
}

/* Without the lock: who asks meanwhile is answered from the last look. */
static bool look(struct den_service *s, struct item **ret, size_t *ret_count,
                 struct den_err *err)
{
    struct den_line_row *rows = NULL;
    size_t count = 0;
    if (!s->kind->job_line(s->store, &rows, &count, err))
        return false;
    struct item *items = den_new(count, sizeof *items, err);
    if (items == NULL) {
        den_free(rows);
        return false;
    }
    foresee(s, rows, count, items);
    qsort(items, count, sizeof *items, compare_ids);
    den_free(rows);
    *ret = items;
    *ret_count = count;
    return true;
}

/* One at a time; the lock is held when it returns, as when it is called. */
static bool look_again(struct den_service *s, struct den_err *err)
{
    struct den_outlooks *o = s->outlooks;
    struct item *items = NULL;
    size_t count = 0;
    double began = den_monotonic_s();
    uint64_t changes = s->kind->job_changes(s->store);
    o->looking = true;
    pthread_mutex_unlock(&o->lock);
    bool done = look(s, &items, &count, err);
    pthread_mutex_lock(&o->lock);
    o->looking = false;
    if (!done)
        return false;
    den_free(o->items);
    o->items = items;
    o->count = count;
    o->changes = changes;
    o->filled = true;
    o->looked_at = den_monotonic_s();
    o->took = o->looked_at - began;
    return true;
}

/* At most a fortieth of the time is spent on this, since the database stands still
 * meanwhile: with 20,000 jobs for a tenth of a second.  Without a change of the queue the
 * times are of use for a second: the running jobs go on. */
static bool is_due(struct den_service *s, const struct den_outlooks *o)
{
    const double changed_s = 0.1, same_s = 1, share = 40;
    double age = den_monotonic_s() - o->looked_at;
    if (o->looking)
        return false;
    if (!o->filled)
        return true;
    bool changed = s->kind->job_changes(s->store) != o->changes;
    return age >= fmax(changed ? changed_s : same_s, share * o->took);
}

static bool find(struct den_service *s, const char *id, struct item *ret,
                 struct den_err *err)
{
    struct den_outlooks *o = s->outlooks;
    struct item key = {.position = 0, .ends_at = (double)NAN};
    memcpy(key.id, id, sizeof key.id);
    pthread_mutex_lock(&o->lock);
    bool done = !is_due(s, o) || look_again(s, err);
    const struct item *found =
        done && o->count > 0
            ? bsearch(&key, o->items, o->count, sizeof *o->items, compare_ids)
            : NULL;
    *ret = found != NULL ? *found : key;
    pthread_mutex_unlock(&o->lock);
    return done;
}

static double ends_at(struct den_service *s, const char *id)
{
    double ends = (double)NAN;
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->worker_count; i++)
        for (struct den_task *t = s->workers[i].task; t != NULL; t = t->outer)
            if (strcmp(t->lease.job, id) == 0)
                ends = atomic_load(&t->ends_at);
    pthread_mutex_unlock(&s->lock);
    return ends;
}

bool den_service_outlook(struct den_service *service, const struct den_job_row *row,
                         struct den_outlook *ret, struct den_err *err)
{
    struct item item = {.position = 0, .ends_at = (double)NAN};
    if (row->state == DEN_JOB_QUEUED) {
        if (!find(service, row->id, &item, err))
            return false;
        /* It came in since the last look. */
        if (item.position == 0 &&
            !service->kind->job_position(service->store, row->owner, row->id,
                                         &item.position, err))
            return false;
    } else if (row->state == DEN_JOB_RUNNING) {
        item.ends_at = ends_at(service, row->id);
    }
    double left = item.ends_at - den_monotonic_s();
    *ret = (struct den_outlook){
        .position = item.position,
        .eta_s = isnan(item.ends_at) ? -1 : fmax(left, 0),
    };
    return true;
}
