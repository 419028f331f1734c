#ifndef DEN_WORKER_H
#define DEN_WORKER_H

/* What the files of the workers share: worker.c (claims), worker_job.c (one job from its
 * claim to its end), worker_memory.c, worker_yield.c (a training gives way). */

#include "run.h"

/* Every wait of a worker is for a second at most, so one that is silent is stuck. */
void den_worker_sign(struct den_worker *worker);
/* Until something has come in or ended since `seen` was read, or a second has passed. */
uint64_t den_workers_seen(struct den_service *service);
void den_workers_wait(struct den_service *service, uint64_t seen);
struct timespec den_in_a_second(void);

/* The next job of the classes up to `last`; *ret_found false when there is none. */
bool den_worker_claim(struct den_worker *worker, enum den_job_class last,
                      struct den_job_row *ret, bool *ret_found,
                      struct den_err *err) DEN_CHECKED;

/* ---- worker_job.c ---- */
/* From claim to end.  outer: a training of the same worker that waits meanwhile, or NULL.
 * false: there is no room beside the training; the job is in the queue again. */
bool den_worker_do(struct den_worker *worker, struct den_job_row *row,
                   struct den_job_context *outer);

/* ---- worker_memory.c ----
 * Each job alone was admitted against the limit; here the workers share it. */
/* Drops the worker's model, and says so to who waits for the memory. */
void den_worker_give_memory(struct den_worker *worker);
/* Until there is room, or there is a reason to look at the job again.  false: there is
 * none, and beside the training of the same worker there will be none. */
bool den_worker_take_memory(struct den_job_context *context, size_t need);
/* A short job that goes before those of `class` waits for memory on another worker.  The
 * lock is held. */
bool den_worker_is_outranked(const struct den_worker *worker, enum den_job_class class);
/* After a job only the model that was kept counts, the job's own or an earlier one, with
 * all that its job had. */
void den_worker_settle_memory(struct den_job_context *context,
                              const struct den_job_row *row);
/* The model kept has been of no use for long, or another worker wants its memory. */
bool den_worker_may_drop(struct den_worker *worker);

/* ---- worker_yield.c ---- */
/* At a tick of a training: lets short jobs go first, on this worker when no other is
 * free.  DEN_SUSPEND when one, here or there, needs the training's memory. */
enum den_verdict den_worker_yield(struct den_job_context *context);

#endif
