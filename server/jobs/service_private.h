#ifndef DEN_SERVICE_PRIVATE_H
#define DEN_SERVICE_PRIVATE_H

/* What the files of the job machine share. */

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "backend.h"
#include "pool.h"
#include "rates.h"
#include "service.h"
#include "tokens.h"

#define DEN_WORKERS 64                /* at most */
#define DEN_STATE_PATH (PATH_MAX / 2) /* leaves room for names below the state folder */

/* A job at a worker's hands; guarded by service->lock, but for what is atomic. */
struct den_task {
    struct den_lease lease;
    enum den_job_class class;
    size_t planned;          /* bytes */
    size_t wanted;           /* bytes that it waits for, 0 = it does not wait */
    int64_t renewed_at;      /* den_boot_ms: by the clock that leases run out by */
    atomic_bool cancel;      /* it shall stop */
    atomic_bool lost;        /* it is another's: it shall stop, and leave no trace */
    _Atomic(double) ends_at; /* monotonic seconds, as it looks now; NaN = not known */
    struct den_task *outer;  /* the training that waits between two batches meanwhile */
};
static inline bool den_class_trains(enum den_job_class class)
{
    return class >= DEN_CLASS_TRAINING;
}

struct den_worker {
    struct den_service *service;
    char name[DEN_WORKER_SIZE];
    enum den_job_class last; /* of the classes that it takes, from the first on */
    struct den_pool *pool;
    pthread_t thread;
    bool started;
    struct den_task *task; /* the job at hand, or NULL; guarded by service->lock */
    /* The model kept: bytes that its job had, and what it is; guarded the same. */
    size_t kept_bytes;
    struct den_model_key kept_key;
    atomic_bool shed;     /* another worker waits for the memory of the model kept */
    _Atomic(double) seen; /* monotonic seconds of its last sign of life */
    atomic_uint beats;    /* signs of life */
    /* The worker's own: the model of its last job, and when that ended. */
    struct den_restorer *kept;
    double kept_at; /* monotonic seconds */
};
/* NULL is fine.  Only from the worker's thread. */
void den_worker_drop_model(struct den_worker *worker);

struct den_service {
    struct den_service_config config; /* its texts are not looked at after open */
    char state[DEN_STATE_PATH];
    int lock_fd; /* holds flock(2) on <state>/lock */
    const struct den_store_kind *kind;
    struct den_store *store;
    struct den_blobs *blobs;
    const struct den_backend *backend;

    pthread_mutex_t lock; /* guards submitted, notify, the workers' tasks and kept_... */
    pthread_cond_t wake;  /* a job came in or ended, or stopping; CLOCK_MONOTONIC */
    uint64_t submitted;
    atomic_bool quick_waits; /* a short job may be waiting: worth a look */
    void (*notify)(void *context);
    void *notify_context;
    atomic_bool stopping;
    struct den_worker workers[DEN_WORKERS];
    int worker_count;
    struct den_keeper *keeper;     /* keeper.h */
    struct den_outlooks *outlooks; /* outlook.h */

    /* Held from taking a blob to the commit of the row that names it, and from deleting a
     * row to removing its blob: else one upload could lose the bytes that another
     * deletion finds unused in between.  The one lock that is held over I/O. */
    pthread_mutex_t blob_lock;

    struct den_tokens *tokens;   /* all that hold */
    pthread_mutex_t tokens_lock; /* from reading them in the store to having them here */

    struct den_upkeep *upkeep; /* upkeep.h */
    struct den_rates rates;    /* has a lock of its own */
    atomic_uint_least64_t images_added, tiles_done, iterations_done;
    struct den_histogram seconds[DEN_JOB_KINDS]; /* of ended jobs, by den_job_kinds[] */
};

/* worker.c */
bool den_workers_start(struct den_service *service, struct den_err *err) DEN_CHECKED;
void den_workers_stop(struct den_service *service);
void den_workers_wake(struct den_service *service);
/* The flag of the worker that has this job, if any. */
void den_workers_cancel(struct den_service *service, const char *job);

/* Adds events (seq and time are set here) and tells the streams.  A failure is logged:
 * a job does not fail for want of an event.  false: the lease is void. */
bool den_service_event(struct den_service *service, const struct den_lease *lease,
                       struct den_event_row *rows, size_t count);
/* Tells the streams that there is something new: after a change of state, which brings
 * its events with it. */
void den_service_notify(struct den_service *service);

/* A name as people give it; errors are at "/name". */
bool den_service_check_name(const char *name, const char *what,
                            struct den_err *err) DEN_CHECKED;
/* Removes a blob that no row names any more; blob_lock is held by the caller. */
void den_service_drop_blob(struct den_service *service, const char *sha256);

/* <state>/work/<job>.<gen>, into to[DEN_STATE_PATH + 64]. */
void den_service_work_path(const struct den_service *service,
                           const struct den_lease *lease, char *to, size_t size);
/* Makes this folder, out of what the job's lease before had: at one stroke, so that who
 * had it finds nothing any more at the names that it knows. */
bool den_service_take_work(struct den_service *service, const struct den_lease *lease,
                           struct den_err *err) DEN_CHECKED;
/* Removes what jobs that have ended, or are gone, left in work/; at start. */
bool den_service_sweep(struct den_service *service, struct den_err *err) DEN_CHECKED;
bool den_service_sweep_work(struct den_service *s,
                            struct den_err *err) DEN_CHECKED; /* the folders alone */

struct den_backoff den_service_backoff(const struct den_service *service);

const struct den_job_kind *den_job_kind_find(const char *name); /* NULL if unknown */

#endif
