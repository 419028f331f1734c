#ifndef DEN_RUN_H
#define DEN_RUN_H

/* What a job kind (run_x.c) has to work with. */

#include "progress.h"
#include "service_private.h"

#define DEN_JOB_METRICS 16

struct den_job_context {
    struct den_service *service;
    struct den_pool *pool; /* of this worker */
    const char *job;
    /* For all long work; ticks in the units of the job's estimate. */
    struct den_progress progress;
    char work[DEN_STATE_PATH + 64]; /* a folder of the job's own; stays while the job is
                                       interrupted, is removed when it ends */

    /* What run leaves for the worker, who puts it into the stores in one go. */
    char result[PATH_MAX];       /* file that becomes the row's result; "" = none */
    char model_file[PATH_MAX];   /* file that becomes the model's weights */
    struct den_model_row *model; /* den_free; NULL = none; sha256, bytes, version unset */
    struct den_score_row *scores; /* den_free */
    size_t score_count;

    /* The worker's own. */
    struct den_worker *worker;
    struct den_task task;
    const char *rate;                         /* of the row; "": it measures itself */
    double units;                             /* of that rate, in the whole job */
    atomic_uint_least64_t *counter;           /* of the service's stats */
    size_t done, total;                       /* as ticked last */
    size_t first;                             /* as ticked first, in this attempt */
    bool ticked;                              /* that was */
    bool too_long;                            /* it has been at it for too long */
    double started_at, first_at, reported_at; /* monotonic seconds */
    double paused;                            /* seconds for which it gave way */
    struct den_event_row metrics[DEN_JOB_METRICS]; /* not stored yet */
    size_t metric_count;
};

/* A `log` event: one sentence. */
void den_job_log(struct den_job_context *context, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A `metric` event.  Those of one step are stored together at the next tick, and at the
 * end: one fsync, not seven. */
void den_job_metric(struct den_job_context *context, size_t step, const char *name,
                    double value);
void den_job_flush_metrics(struct den_job_context *context);
/* Turns the verdict of a tick into true, DEN_E_CANCELLED or DEN_E_DRAINING. */
bool den_job_go_on(enum den_verdict verdict, struct den_err *err) DEN_CHECKED;

/* ---- checks that kinds share ---- */
/* The request names nothing it has no use for: value must be "". */
bool den_check_unused(const char *value, const char *field, const char *kind,
                      struct den_err *err) DEN_CHECKED;
/* Hands an error of core on with its field as JSON Pointer: prefix + field. */
bool den_err_under(const struct den_err *inner, const char *prefix, struct den_err *err);
/* 1 to 64 of A-Z a-z 0-9 . _ - */
bool den_model_name_valid(const char *name);
/* The newest version of "name", or the one that "name@3" or "name@champion" says, as the
 * owner sees it; errors are at `field`. */
bool den_model_of_name(struct den_service *service, const char *owner, const char *text,
                       const char *field, struct den_model_row *ret,
                       struct den_err *err) DEN_CHECKED;
/* The settings that a model was trained with; keys that this version does not know are
 * left out. */
bool den_model_settings(const struct den_model_row *model, struct den_train_config *ret,
                        struct den_err *err) DEN_CHECKED;
/* Appends "key=value\n" to config[DEN_CONFIG_SIZE]; DEN_E_INTERNAL when it is full. */
bool den_config_add(char *config, const char *key, const char *value,
                    struct den_err *err) DEN_CHECKED;
/* Calls set for every line of config; stops at the first false. */
bool den_config_each(const char *config,
                     bool (*set)(void *context, const char *key, const char *value,
                                 struct den_err *err),
                     void *context, struct den_err *err) DEN_CHECKED;

#endif
