#ifndef DEN_STORE_H
#define DEN_STORE_H

/* The store seam: metadata and the durable queue.  One row of den_stores[] per kind of
 * database; the suite in tests/store runs on each.  Every function is one transaction and
 * may be called from any thread.  A function that returned true has been made durable.
 * Every change of a job's state adds its `state` event in the same transaction, and an
 * end its `done` event, so that whoever sees the state also sees the event. Lists are
 * newest first; `after` is the id of the last row seen ("" = from the start), at most
 * `limit` rows are written to ret, *ret_count says how many.
 *
 * `owner` is who asks.  Nobody sees what is another's: the answer is the very one to an
 * id that does not exist, an empty list where that is the answer.  Only models can be
 * shared: then everybody may see and use them.  Functions without an owner are the
 * machine's own; what these add belongs to the owner of the job. */

#include "accounts.h"
#include "audit.h"
#include "lease.h"
#include "rows.h"

struct den_store;
struct den_quotas;
struct den_quota_usage;

#define DEN_ALIASES 32 /* of a model */

struct den_store_kind {
    const char *name, *doc;
    /* location: for sqlite the path of the database file; migrations run here. */
    bool (*open)(const char *location, struct den_store **ret, struct den_err *err);
    void (*close)(struct den_store *store);
    bool (*ping)(struct den_store *store, struct den_err *err); /* for readiness */
    /* Would a reader wait for the disk?  A hint, for who must not; cannot fail. */
    bool (*busy)(struct den_store *store);

    /* images; add gives the row of the same owner that has the same sha256 when there is
     * one (*ret_new false); the row's own owner is not looked at, here and in all _add */
    bool (*image_add)(struct den_store *s, const char *owner,
                      const struct den_image_row *row, struct den_image_row *ret,
                      bool *ret_new, struct den_err *err);
    bool (*image_get)(struct den_store *s, const char *owner, const char *id,
                      struct den_image_row *ret, struct den_err *err);
    bool (*image_list)(struct den_store *s, const char *owner, const char *after,
                       size_t limit, struct den_image_row *ret, size_t *ret_count,
                       struct den_err *err);
    /* DEN_E_CONFLICT while a data set or an unfinished job names it. */
    bool (*image_delete)(struct den_store *s, const char *owner, const char *id,
                         struct den_err *err);

    bool (*dataset_add)(struct den_store *s, const char *owner,
                        const struct den_dataset_row *row,
                        const struct den_dataset_item *items, size_t count,
                        struct den_err *err);
    bool (*dataset_get)(struct den_store *s, const char *owner, const char *id,
                        struct den_dataset_row *ret, struct den_err *err);
    /* items: fresh memory, den_free */
    bool (*dataset_items)(struct den_store *s, const char *owner, const char *id,
                          struct den_dataset_item **ret, size_t *ret_count,
                          struct den_err *err);
    bool (*dataset_list)(struct den_store *s, const char *owner, const char *after,
                         size_t limit, struct den_dataset_row *ret, size_t *ret_count,
                         struct den_err *err);
    bool (*dataset_delete)(struct den_store *s, const char *owner, const char *id,
                           struct den_err *err);

    /* jobs; add fails with DEN_E_BUSY when `queue_limit` jobs are queued already (0 = no
     * limit) */
    bool (*job_add)(struct den_store *s, const char *owner, const struct den_job_row *row,
                    size_t queue_limit, struct den_err *err);
    bool (*job_get)(struct den_store *s, const char *owner, const char *id,
                    struct den_job_row *ret, struct den_err *err);
    /* Whoever's it is: for the machine, which was told the id by itself. */
    bool (*job_any)(struct den_store *s, const char *id, struct den_job_row *ret,
                    struct den_err *err);
    /* state and kind filter: NULL = all */
    bool (*job_list)(struct den_store *s, const char *owner, const char *state,
                     const char *kind, const char *after, size_t limit,
                     struct den_job_row *ret, size_t *ret_count, struct den_err *err);
    bool (*job_delete)(struct den_store *s, const char *owner, const char *id,
                       struct den_err *err); /* ended only */
    /* The next queued job of the lowest class becomes running; *ret_found false when
     * there is none, or it is left to others.  Within a class the owner comes first who
     * was served longest ago, with the oldest of their jobs. */
    bool (*job_claim)(struct den_store *s, const struct den_claim *claim,
                      struct den_job_row *ret, bool *ret_found, struct den_err *err);
    /* Would job_claim find one? */
    bool (*job_waits)(struct den_store *s, const struct den_claim *claim, bool *ret,
                      struct den_err *err);
    /* ---- with a lease; DEN_E_CONFLICT when it is not the newest, or was void: whoever
     * has it stops and leaves the job alone.  Nothing has changed then. ---- */
    bool (*job_renew)(struct den_store *s, const struct den_lease *lease,
                      int64_t lease_ms, const struct den_moment *now,
                      struct den_err *err);
    /* How far it is, and its seconds so far: whatever ends the attempt, they count. */
    bool (*job_progress)(struct den_store *s, const struct den_lease *lease,
                         uint64_t step, uint64_t steps, struct den_err *err);
    /* The end of a running job (gen and worker of row are the lease): state succeeded,
     * failed or cancelled, with everything of `row` that is a result or an error.  A
     * train job's model row is added in the same transaction (model may be NULL; its
     * version is chosen here and written to row and model), so are the scores. */
    bool (*job_finish)(struct den_store *s, struct den_job_row *row,
                       struct den_model_row *model, const struct den_score_row *scores,
                       size_t score_count, struct den_err *err);
    /* running -> queued again, in its old place, as if it had not begun (graceful stop).
     */
    bool (*job_requeue)(struct den_store *s, const struct den_lease *lease,
                        struct den_err *err);
    /* The same after a failure that may pass; the attempt counts, the next one has to
     * wait so long.  why: told as an event. */
    bool (*job_again)(struct den_store *s, const struct den_lease *lease, int64_t wait_ms,
                      const struct den_moment *now, const char *why, struct den_err *err);
    /* queued -> cancelled, running -> cancelling; ended or cancelling: no change.  ret:
     * the row after. */
    bool (*job_cancel)(struct den_store *s, const char *owner, const char *id,
                       struct den_job_row *ret, struct den_err *err);
    /* failed or cancelled -> queued; queued or running: no change; succeeded:
     * DEN_E_CONFLICT, and when its model is another's who shares it no more.  The earlier
     * `done` events go: the story is not at its end. */
    bool (*job_retry)(struct den_store *s, const char *owner, const char *id,
                      struct den_job_row *ret, struct den_err *err);
    /* Jobs whose lease is void: running ones become queued, to begin after a wait;
     * cancelling ones cancelled; one that was started max_attempts times fails with a
     * sentence (a poison job must not loop). */
    bool (*job_recover)(struct den_store *s, const struct den_recovery *how,
                        size_t *ret_requeued, struct den_err *err);
    /* 0 for a job that is not queued; else 1 = next: the order in which they are claimed
     * by workers that take all classes, if no more come in.  Jobs that have to wait after
     * a failure come last. */
    bool (*job_position)(struct den_store *s, const char *owner, const char *id,
                         size_t *ret, struct den_err *err);
    /* Where a job of this owner and class would stand that came in now. */
    bool (*job_last_position)(struct den_store *s, const char *owner,
                              enum den_job_class class, size_t *ret, struct den_err *err);
    /* The whole queue in this order: fresh memory, den_free. */
    bool (*job_line)(struct den_store *s, struct den_line_row **ret, size_t *ret_count,
                     struct den_err *err);
    /* Of what each owner may have, from here on: of job_add, job_retry and image_add,
     * which refuse with DEN_E_BUSY, and of job_claim, which passes over who has enough.
     */
    void (*set_quotas)(struct den_store *s, const struct den_quotas *quotas);
    bool (*usage)(struct den_store *s, const char *owner, struct den_quota_usage *ret,
                  struct den_err *err);
    /* Grows with every change of the queue. */
    uint64_t (*job_changes)(struct den_store *s);
    bool (*job_counts)(struct den_store *s, uint64_t counts[DEN_JOB_STATES],
                       struct den_err *err);
    /* Queued jobs of each of these kinds (`count` of them), into ret[count]. */
    bool (*job_depths)(struct den_store *s, const char *const *kinds, size_t count,
                       uint64_t *ret, struct den_err *err);

    /* events: count rows at once, by who has the job; seq is set here; list gives those
     * with seq > since, oldest first.  A new progress event takes the place of older
     * ones: of those only the newest is kept. */
    bool (*event_add)(struct den_store *s, const struct den_lease *lease,
                      struct den_event_row *rows, size_t count, struct den_err *err);
    bool (*event_list)(struct den_store *s, const char *owner, const char *job,
                       uint64_t since, size_t limit, struct den_event_row *ret,
                       size_t *ret_count, struct den_err *err);
    /* scores: fresh memory, den_free; order of adding */
    bool (*score_list)(struct den_store *s, const char *owner, const char *job,
                       struct den_score_row **ret, size_t *ret_count,
                       struct den_err *err);

    /* experiments: job_add with the grid, as text, and the data set it tests on ("" =
     * part of row's), in one transaction */
    bool (*experiment_add)(struct den_store *s, const char *owner,
                           const struct den_job_row *row, const char *grid,
                           const char *test_dataset, size_t queue_limit,
                           struct den_err *err);
    /* The grid: fresh memory, den_free; DEN_E_NOT_FOUND for a job that has none. */
    bool (*experiment_get)(struct den_store *s, const char *owner, const char *job,
                           char **ret, struct den_err *err);
    /* A cell that is there already is replaced.  crop: a PNG file in base64, or NULL.
     * model: added as by job_finish, or NULL. */
    bool (*cell_add)(struct den_store *s, const struct den_lease *lease,
                     const struct den_cell_row *row, const char *crop,
                     struct den_model_row *model, struct den_err *err);
    /* All cells of a job, ascending by number: fresh memory, den_free. */
    bool (*cell_list)(struct den_store *s, const char *owner, const char *job,
                      struct den_cell_row **ret, size_t *ret_count, struct den_err *err);
    /* Its crop: fresh memory, den_free; NULL when it has none. */
    bool (*cell_crop)(struct den_store *s, const char *owner, const char *job,
                      int64_t cell, char **ret, struct den_err *err);

    /* The owner's own, or else one that another shares. */
    bool (*model_get)(struct den_store *s, const char *owner, const char *name,
                      int64_t version /* 0 = newest */, struct den_model_row *ret,
                      struct den_err *err);
    /* The owner's own and no other: with a job's model_owner, the one it was admitted
     * with. */
    bool (*model_own)(struct den_store *s, const char *owner, const char *name,
                      int64_t version /* 0 = newest */, struct den_model_row *ret,
                      struct den_err *err);
    /* What model_get gives.  name NULL: the newest version of each model, `after` is a
     * name; else all versions of it, `after` is a version in decimal */
    bool (*model_list)(struct den_store *s, const char *owner, const char *name,
                       const char *after, size_t limit, struct den_model_row *ret,
                       size_t *ret_count, struct den_err *err);
    /* version 0: all versions.  DEN_E_CONFLICT while an unfinished job, whoever's, uses
     * it; DEN_E_FORBIDDEN for one that another shares. */
    bool (*model_delete)(struct den_store *s, const char *owner, const char *name,
                         int64_t version, struct den_err *err);
    /* Of all versions; ret: the newest.  Among what is shared a name is unique:
     * DEN_E_CONFLICT.  DEN_E_FORBIDDEN for one that another shares. */
    bool (*model_share)(struct den_store *s, const char *owner, const char *name,
                        bool shared, struct den_model_row *ret, struct den_err *err);
    /* aliases: of models that the owner may see; changed only by whoever has the model.
     * set: the alias becomes ret->version of ret->model; if_version: the version it must
     * have now, 0 = it must not be there, < 0 = whatever, else DEN_E_CONFLICT.  ret: the
     * row after. */
    bool (*alias_set)(struct den_store *s, const char *owner, struct den_alias_row *ret,
                      int64_t if_version, struct den_err *err);
    /* The version before takes the place of the version: done twice, nothing is changed.
     * DEN_E_CONFLICT when there is none, or no more. */
    bool (*alias_rollback)(struct den_store *s, const char *owner, const char *model,
                           const char *name, struct den_alias_row *ret,
                           struct den_err *err);
    bool (*alias_get)(struct den_store *s, const char *owner, const char *model,
                      const char *name, struct den_alias_row *ret, struct den_err *err);
    bool (*alias_delete)(struct den_store *s, const char *owner, const char *model,
                         const char *name, struct den_err *err);
    /* By name, at most DEN_ALIASES. */
    bool (*alias_list)(struct den_store *s, const char *owner, const char *model,
                       struct den_alias_row *ret, size_t *ret_count, struct den_err *err);

    /* webhooks, which job_add puts in: one whose job has ended and which is due */
    bool (*webhook_due)(struct den_store *s, int64_t now_ms, struct den_webhook_row *ret,
                        bool *ret_found, struct den_err *err);
    /* Told (or given up) of the end at that time; to be tried again then. */
    bool (*webhook_told)(struct den_store *s, const char *job, int64_t told_ms,
                         struct den_err *err);
    bool (*webhook_later)(struct den_store *s, const char *job, int64_t next_ms,
                          struct den_err *err);

    /* uploads in parts; add fails with DEN_E_BUSY when the owner has `most` unfinished
     * ones */
    bool (*upload_add)(struct den_store *s, const struct den_upload_row *row, size_t most,
                       struct den_err *err);
    bool (*upload_get)(struct den_store *s, const char *owner, const char *id,
                       struct den_upload_row *ret, struct den_err *err);
    bool (*upload_delete)(struct den_store *s, const char *owner, const char *id,
                          struct den_err *err);
    /* It lives longer; it has become an image. */
    bool (*upload_touch)(struct den_store *s, const char *id, int64_t expires_ms,
                         struct den_err *err);
    bool (*upload_done)(struct den_store *s, const char *id, const char *image,
                        struct den_err *err);
    /* Is there an unfinished one of that id?  (For removal of files.) */
    bool (*upload_live)(struct den_store *s, const char *id, bool *ret,
                        struct den_err *err);
    /* Those go whose time has come. */
    bool (*upload_expire)(struct den_store *s, int64_t now_ms, struct den_err *err);
    /* Is a blob named by any row?  (For removal of what nobody needs.) */
    bool (*blob_used)(struct den_store *s, const char *sha256, bool *ret,
                      struct den_err *err);
    /* ---- upkeep ---- */
    /* All blobs that rows name, as "image img_..." and so on; bytes -1 where no row says.
     * A blob that is named twice is visited twice. */
    bool (*blob_each)(struct den_store *s,
                      bool (*visit)(void *context, const char *sha256, const char *what,
                                    int64_t bytes, struct den_err *err),
                      void *context, struct den_err *err);
    /* A whole copy to a new file, durable, while others write. */
    bool (*backup)(struct den_store *s, const char *location, struct den_err *err);
    /* Says a line for each thing that is wrong with the database itself. */
    bool (*check)(struct den_store *s, bool (*say)(void *context, const char *line),
                  void *context, size_t *ret_found, struct den_err *err);
    /* Small chores for when nothing was written lately; to be called often. */
    bool (*tidy)(struct den_store *s, struct den_err *err);
    /* Keeps `bytes` aside for when the disk is full, if then `spare` are free still. */
    bool (*ballast)(struct den_store *s, uint64_t bytes, uint64_t spare,
                    struct den_err *err);
    /* What `expire` would delete now, jobs or images, ordered by id, behind `after`. */
    bool (*old)(struct den_store *s, bool images, int64_t before_ms, const char *after,
                size_t limit, struct den_old_row *ret, size_t *ret_count,
                struct den_err *err);
    /* Deletes jobs that ended with a result before that time, and images which since then
     * were neither uploaded nor used, and are in no data set: some hundred at most.
     * There are no more when both counts are 0. */
    bool (*expire)(struct den_store *s, int64_t before_ms, size_t *ret_jobs,
                   size_t *ret_images, struct den_err *err);

    /* ---- access tokens; DEN_E_CONFLICT when one that holds has the name ---- */
    bool (*token_add)(struct den_store *s, const struct den_token_row *row,
                      struct den_err *err);
    /* All there ever were, revoked ones too. */
    bool (*token_list)(struct den_store *s, const char *after, size_t limit,
                       struct den_token_row *ret, size_t *ret_count, struct den_err *err);
    /* By id or name; ret: the row after.  DEN_E_NOT_FOUND for one that was revoked. */
    bool (*token_revoke)(struct den_store *s, const char *which, int64_t now_ms,
                         struct den_token_row *ret, struct den_err *err);
    /* Writes used_ms of each row, found by its id. */
    bool (*token_used)(struct den_store *s, const struct den_token_row *rows,
                       size_t count, struct den_err *err);

    /* ---- audit: every function above that changes what users have adds a row ---- */
    /* forward: those behind `from`, oldest first; else those before it (0 = from the
     * end), newest first. */
    bool (*audit_list)(struct den_store *s, bool forward, int64_t from, size_t limit,
                       struct den_audit_row *ret, size_t *ret_count, struct den_err *err);
    /* How many rows there have ever been. */
    bool (*audit_end)(struct den_store *s, int64_t *ret, struct den_err *err);

    /* ---- answers, by Idempotency-Key; actor.h says which one a change belongs to ----
     */
    /* ret->body: fresh memory, den_free. */
    bool (*answer_get)(struct den_store *s, const char *owner, const char *key,
                       struct den_answer_row *ret, bool *ret_found, struct den_err *err);
    bool (*answer_put)(struct den_store *s, const char *owner, const char *key,
                       const struct den_answer_row *row, struct den_err *err);
    /* If it is older than that; owner "": all that are. */
    bool (*answer_drop)(struct den_store *s, const char *owner, const char *key,
                        int64_t before_ms, struct den_err *err);
};

extern const struct den_store_kind
    *const den_stores[]; /* ends with NULL; the first is the default */

#endif
