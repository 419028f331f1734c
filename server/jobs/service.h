#ifndef DEN_SERVICE_H
#define DEN_SERVICE_H

/* The job machine as the API sees it: images, data sets, jobs, models.  Every call may
 * come from any thread.  No JSON and no HTTP here. */

#include "blob.h"
#include "experiment.h"
#include "histogram.h"
#include "quota.h"
#include "selection.h"
#include "store.h"
#include "train_config.h"

struct den_service;

struct den_service_config {
    const char *state;   /* folder; everything lies under it */
    const char *store;   /* a name of den_stores[]; NULL = the first */
    const char *backend; /* a name of den_backends[]; NULL = the first */
    int threads;         /* per worker */
    bool with_workers;   /* false: only the data, for tools and tests */
    size_t queue_limit;
    int64_t max_attempts;
    int workers; /* 0 = 2 */
    /* While a microscope's image is worked on, a training on another worker waits. */
    bool training_yields;
    double lease_s; /* a worker's right to a job, before it is another's; 0 = 60 */
    double stall_s; /* of silence after which a worker does not keep its job; 0 = none */
    double retry_s; /* before the second attempt; doubles with each further one */
    double job_s;   /* that one attempt may take; 0 = as long as it likes */
    struct den_quotas quotas; /* of each owner */
    size_t memory_limit;      /* bytes a job may plan for; 0 = none */
    struct den_image_limits image_limits;
    double checkpoint_seconds;
    size_t model_tile;      /* side of a tile, pixels */
    uint64_t min_free;      /* bytes that uploads must leave on the disk */
    uint64_t ballast;       /* bytes kept aside for when the disk is full; 0 = none */
    int64_t retention_days; /* of what is not used; 0 = for ever */
    double collect_s;    /* after the start, until what is old is first deleted; 0 = 60 */
    bool auth_required;  /* who asks must show a token */
    int64_t token_per_s; /* requests of one token a second; 0 = no limit */
    bool as_it_is;       /* nothing is recovered or removed: for tools that look */
};

/* Is there one of that name?  DEN_E_INVALID names those that there are; who only collects
 * such texts need not look at the answer. */
bool den_service_has_store(const char *name, struct den_err *err);
bool den_service_has_backend(const char *name, struct den_err *err);

/* Opens or makes the state folder, takes its lock (DEN_E_CONFLICT when another process
 * has it), recovers interrupted jobs.  Workers start with den_service_start. */
bool den_service_open(const struct den_service_config *config, struct den_service **ret,
                      struct den_err *err) DEN_CHECKED;
/* Of two or more workers the first never trains: a microscope does not wait for a
 * training.  Where all are busy, a training does a short job between two of its batches.
 */
bool den_service_start(struct den_service *service, struct den_err *err) DEN_CHECKED;
/* Running jobs save a checkpoint and go back to the queue; returns when the workers have
 * ended. */
void den_service_stop(struct den_service *service);
void den_service_close(struct den_service *service); /* after stop; NULL is fine */

/* For reads and simple changes the API uses the store directly.  Here as there, `owner`
 * is who asks: what is another's is not there. */
const struct den_store_kind *den_service_store(struct den_service *service,
                                               struct den_store **ret_store);
struct den_blobs *den_service_blobs(struct den_service *service);
const struct den_image_limits *
den_service_image_limits(const struct den_service *service);

/* ---- images ---- */
/* Takes a complete temporary file: decodes every page (so a truncated file or a NaN is
 * refused and nothing stays), stores it under its hash.  The temporary file is gone
 * afterwards.  *ret_new false: the owner had the same bytes already, ret is that row. */
bool den_service_add_image(struct den_service *service, const char *owner,
                           const char *temporary, const char *name, const char *sha256,
                           struct den_image_row *ret, bool *ret_new,
                           struct den_err *err) DEN_CHECKED;
/* Deletes the row and the bytes when nobody else needs them. */
bool den_service_delete_image(struct den_service *service, const char *owner,
                              const char *id, struct den_err *err) DEN_CHECKED;

/* ---- data sets ---- */
/* Checks that the images exist and that pairs agree in size and pages; fields in errors
 * are JSON Pointers
 * ("/pairs/3/clean", "/images/0").  ret gets id, counts and time. */
bool den_service_add_dataset(struct den_service *service, const char *owner,
                             const char *name, const char *kind,
                             const struct den_dataset_item *items, size_t count,
                             struct den_dataset_row *ret,
                             struct den_err *err) DEN_CHECKED;

/* ---- jobs ---- */
struct den_setting {
    char key[48], value[64];
};
struct den_job_request { /* "" or 0 where the client said nothing */
    char kind[16], dataset[DEN_ID_SIZE], image[DEN_ID_SIZE];
    char model[DEN_NAME_SIZE];      /* "name", or "name@3" for denoise and evaluate */
    char base_model[DEN_NAME_SIZE]; /* train: "name" or "name@3" to start from */
    char method[32], preset[32];
    bool has_seed;
    uint64_t seed;
    struct den_setting settings[64]; /* of config, unchecked text */
    size_t setting_count;
    /* kind experiment: its grid, put together but not finished; the caller's.  The checks
     * complete it.  NULL for other kinds. */
    struct den_experiment *experiment;
    char webhook[DEN_WEBHOOK_URL_SIZE]; /* to be told of the end; checked by the caller */
    /* denoise: which planes, as of selection.h; "" = all */
    char pages[DEN_PAGES_SIZE], channels[DEN_CHANNELS_SIZE];
    char priority[16]; /* denoise: interactive or batch; "" = interactive */
};
struct den_job_estimate {
    size_t bytes, steps; /* steps: tiles for denoise and evaluate, iterations for train */
    size_t queue_position; /* of a dry run */
    double seconds;        /* denoise: of work, without waiting; 0 = not known */
    bool measured; /* seconds go by earlier jobs, else by a rate that is built in */
    char rate[DEN_NAME_SIZE]; /* of den_rates, what this job's speed is known as */
    double units;             /* of that rate */
};
/* Everything that can be known to be wrong is refused here, before the queue: unknown
 * ids, unknown or contradictory settings, a crop larger than the images, more memory than
 * allowed.  dry_run: no job is made, ret has no id. */
bool den_service_submit(struct den_service *service, const char *owner,
                        const struct den_job_request *request, bool dry_run,
                        struct den_job_row *ret, struct den_job_estimate *ret_estimate,
                        struct den_err *err) DEN_CHECKED;
bool den_service_cancel(struct den_service *service, const char *owner, const char *id,
                        struct den_job_row *ret, struct den_err *err) DEN_CHECKED;
bool den_service_retry(struct den_service *service, const char *owner, const char *id,
                       struct den_job_row *ret, struct den_err *err) DEN_CHECKED;
/* Where a job stands and when it will be done, by what is known at this moment: for
 * answers, at any rate.  A queue that changes fast is looked at ten times a second. */
struct den_outlook {
    size_t position; /* queued: 1 = next; else 0 */
    double eta_s;    /* queued, running: seconds until it has ended; < 0 = not known */
};
bool den_service_outlook(struct den_service *service, const struct den_job_row *row,
                         struct den_outlook *ret, struct den_err *err) DEN_CHECKED;
bool den_service_delete_job(struct den_service *service, const char *owner,
                            const char *id, struct den_err *err) DEN_CHECKED;
bool den_service_delete_model(struct den_service *service, const char *owner,
                              const char *name, int64_t version,
                              struct den_err *err) DEN_CHECKED;

/* Can an alias have this name?  A letter, then up to 63 of A-Z a-z 0-9 . _ - */
bool den_alias_valid(const char *name);

/* Where a running training puts a picture of a validation image: noisy, denoised and
 * target side by side; into to[PATH_MAX].  There is none until it has validated. */
void den_service_sample_path(const struct den_service *service,
                             const struct den_job_row *job, char *to, size_t size);

/* Called (from any worker thread, no lock held) whenever a job got a new event; for
 * streams. */
void den_service_on_event(struct den_service *service, void (*notify)(void *context),
                          void *context);

/* Numbers for /metrics. */
struct den_service_stats {
    uint64_t jobs[DEN_JOB_STATES];
    uint64_t images_added, tiles_done, iterations_done; /* since start */
    int workers, workers_busy;
};
bool den_service_stats(struct den_service *service, struct den_service_stats *ret,
                       struct den_err *err) DEN_CHECKED;

/* ---- health.c ---- */
enum { DEN_JOB_KINDS = 4 }; /* rows of den_job_kinds[] */
struct den_service_vitals {
    uint64_t queued[DEN_JOB_KINDS]; /* by row of den_job_kinds[] */
    uint64_t disk_free, disk_least; /* bytes; least: what uploads have to leave */
    double checkpoint_age; /* seconds since the newest checkpoint of a running training,
                              or its start; < 0 when there is none */
    double silent;         /* seconds since the last sign of life, of the worker that has
                              been silent longest */
};
bool den_service_vitals(struct den_service *service, struct den_service_vitals *ret,
                        struct den_err *err) DEN_CHECKED;
/* How long jobs of the kind took that have ended (den_job_bounds); the service's own. */
struct den_histogram *den_service_seconds(struct den_service *service, size_t kind);
/* Can it take and do work?  Each says in a sentence why not; den_service_room of upkeep.h
 * is one more. */
bool den_service_store_answers(struct den_service *service,
                               struct den_err *err) DEN_CHECKED;
/* DEN_E_INTERNAL when a worker gave no sign of life for so long; 0 = it may. */
bool den_service_workers_live(struct den_service *service, double silent_s,
                              struct den_err *err) DEN_CHECKED;

/* ---- the job kind seam: each is run_x.c and one row ---- */
struct den_job_context; /* run.h, private to server/jobs */
struct den_job_kind {
    const char *name, *doc;
    /* Fills and checks the row, which has its owner, from the request; the estimate
     * without the position. */
    bool (*check)(struct den_service *service, const struct den_job_request *request,
                  struct den_job_row *row, struct den_job_estimate *ret,
                  struct den_err *err);
    bool (*run)(struct den_job_context *context, struct den_job_row *row,
                struct den_err *err);
};
extern const struct den_job_kind
    *const den_job_kinds[]; /* train, denoise, evaluate, experiment; ends with NULL */

#endif
