#include "keeper.h"

#include <math.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "service_private.h"
#include "str.h"

/* Silence is counted in rounds of the keeper and not by a clock: when the whole process
 * was stopped, or the machine slept, nobody was silent. */
struct den_keeper {
    struct den_service *service;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stop */
    pthread_cond_t wake;
    bool stop;
    double each_s; /* a round */
    unsigned beats[DEN_WORKERS];
    double silent_s[DEN_WORKERS];
};

static void listen_to(struct den_keeper *keeper)
{
    struct den_service *s = keeper->service;
    for (int i = 0; i < s->worker_count; i++) {
        unsigned beats = atomic_load_explicit(&s->workers[i].beats, memory_order_relaxed);
        keeper->silent_s[i] =
            beats == keeper->beats[i] ? keeper->silent_s[i] + keeper->each_s : 0;
        keeper->beats[i] = beats;
    }
}

/* A lease that is due, with the time of this renewal; "" when there is none. */
static struct den_lease next_due(struct den_keeper *keeper, int worker, int64_t now)
{
    struct den_service *s = keeper->service;
    const double each_ms = 1000 * s->config.lease_s / 6;
    struct den_lease due = {.gen = 0};
    double stall = s->config.stall_s;
    if (stall > 0 && keeper->silent_s[worker] > stall)
        return due;
    pthread_mutex_lock(&s->lock);
    for (struct den_task *t = s->workers[worker].task; t != NULL; t = t->outer)
        if (due.job[0] == '\0' && (double)(now - t->renewed_at) >= each_ms &&
            !atomic_load(&t->lost)) {
            due = t->lease;
            t->renewed_at = now;
        }
    pthread_mutex_unlock(&s->lock);
    return due;
}

static void lost(struct den_service *s, int worker, const struct den_lease *lease)
{
    pthread_mutex_lock(&s->lock);
    for (struct den_task *t = s->workers[worker].task; t != NULL; t = t->outer)
        if (t->lease.gen == lease->gen && strcmp(t->lease.job, lease->job) == 0)
            atomic_store(&t->lost, true);
    pthread_mutex_unlock(&s->lock);
}

static void renew(struct den_keeper *keeper)
{
    struct den_service *s = keeper->service;
    int64_t now = den_boot_ms();
    int64_t lease_ms = (int64_t)(1000 * s->config.lease_s);
    for (int i = 0; i < s->worker_count; i++)
        for (;;) {
            struct den_err err = DEN_ERR_INIT;
            struct den_lease lease = next_due(keeper, i, now);
            struct den_moment moment = den_moment_now();
            if (lease.job[0] == '\0')
                break;
            if (s->kind->job_renew(s->store, &lease, lease_ms, &moment, &err))
                continue;
            if (err.code == DEN_E_CONFLICT)
                lost(s, i, &lease);
            else
                den_log(DEN_WARN, "lease_not_renewed", " job=%s code=%s", lease.job,
                        den_code_name(err.code));
        }
}

static void put_back(struct den_keeper *keeper)
{
    struct den_service *s = keeper->service;
    struct den_err err = DEN_ERR_INIT;
    const struct den_recovery how = {.now = den_moment_now(),
                                     .backoff = den_service_backoff(s)};
    size_t requeued = 0;
    if (!s->kind->job_recover(s->store, &how, &requeued, &err)) {
        den_log(DEN_WARN, "leases_not_looked_at", " code=%s", den_code_name(err.code));
        return;
    }
    if (requeued == 0)
        return;
    den_log(DEN_WARN, "leases_ran_out", " jobs=%zu", requeued);
    den_service_notify(s);
    den_workers_wake(s);
}

/* false: it shall stop. */
static bool pause_for(struct den_keeper *keeper)
{
    struct timespec until;
    double whole, part;
    clock_gettime(CLOCK_MONOTONIC, &until);
    part = modf((double)until.tv_sec + 1e-9 * (double)until.tv_nsec + keeper->each_s,
                &whole);
    until.tv_sec = (time_t)whole;
    until.tv_nsec = (long)(1e9 * part);
    pthread_mutex_lock(&keeper->lock);
    if (!keeper->stop)
        (void)pthread_cond_timedwait(&keeper->wake, &keeper->lock, &until);
    bool stop = keeper->stop;
    pthread_mutex_unlock(&keeper->lock);
    return !stop;
}

/* Renewed first: what only waited for this thread has not run out. */
static void *work(void *opaque)
{
    struct den_keeper *keeper = opaque;
    while (pause_for(keeper)) {
        listen_to(keeper);
        renew(keeper);
        put_back(keeper);
        /* A job whose wait is over wakes nobody. */
        atomic_store(&keeper->service->quick_waits, true);
    }
    return NULL;
}

bool den_keeper_start(struct den_service *service, struct den_keeper **ret,
                      struct den_err *err)
{
    pthread_condattr_t attributes;
    struct den_keeper *keeper = den_new(1, sizeof *keeper, err);
    if (keeper == NULL)
        return false;
    keeper->service = service;
    keeper->each_s = fmin(1, service->config.lease_s / 12);
    pthread_mutex_init(&keeper->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    int sys = pthread_create(&keeper->thread, NULL, work, keeper);
    if (sys != 0) {
        pthread_cond_destroy(&keeper->wake);
        pthread_mutex_destroy(&keeper->lock);
        den_free(keeper);
        return den_err_sys(err, sys, "the keeper of the leases cannot be started");
    }
    *ret = keeper;
    return true;
}

void den_keeper_stop(struct den_keeper *keeper)
{
    if (keeper == NULL)
        return;
    pthread_mutex_lock(&keeper->lock);
    keeper->stop = true;
    pthread_cond_signal(&keeper->wake);
    pthread_mutex_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    pthread_cond_destroy(&keeper->wake);
    pthread_mutex_destroy(&keeper->lock);
    den_free(keeper);
}
