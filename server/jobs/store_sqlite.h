#ifndef DEN_STORE_SQLITE_H
#define DEN_STORE_SQLITE_H

/* What the files store_sqlite*.c share: one connection behind one mutex, statements that
 * are prepared once, and a transaction in which the first failure sticks, so that queries
 * read as straight-line code:
 *
 *     struct den_tx tx;
 *     den_tx_write(&tx, s, err);
 *     den_tx_query(&tx, "DELETE FROM images WHERE id = ?1");
 *     den_tx_text(&tx, id);
 *     den_tx_run(&tx);
 *     return den_tx_end(&tx);  */

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "quota.h"
#include "store.h"

#define DEN_STATEMENTS 256

struct den_store {
    pthread_mutex_t lock; /* guards all below but writers and busy */
    sqlite3 *db;
    /* A read or write of the file failed.  Linux may have dropped what it could not
     * write, so nothing more is promised until a restart reads it all again. */
    bool broken;
    bool dirty;        /* written to since the log was emptied */
    int64_t changes;   /* of rows, on this connection, when it was written to last */
    double written_at; /* monotonic seconds */
    /* The open group of writers: see store_sqlite_group.c.  Whenever the lock is free
     * there are members exactly when a transaction is open. */
    struct den_tx *members;
    size_t member_count;
    uint64_t groups;                       /* that have come to their end */
    pthread_cond_t settled;                /* one more has */
    unsigned readers_waiting, readers_due; /* for its end; for their turn after it */
    pthread_cond_t turn;                   /* no reader is due any more */
    struct den_err failure;                /* of the database, the last one */
    atomic_uint writers; /* that queue for the lock; not guarded by it */
    atomic_bool busy;    /* a transaction is open, which ends with a commit; likewise */
    char *location;      /* of the database file */
    struct den_quotas quotas;
    atomic_uint_least64_t queue_changes; /* without the lock */
    struct {
        const char *sql; /* compared as pointer: every query is a literal */
        sqlite3_stmt *statement;
    } cache[DEN_STATEMENTS];
};

struct den_tx {
    struct den_store *store;
    struct den_err *err;
    sqlite3_stmt *statement;
    bool ok, write;
    int bound, column;   /* parameters and columns used up so far */
    struct den_tx *next; /* member of the same group */
    bool settled;        /* the group has been committed or rolled back */
};

/* Take the store's lock; end releases it. */
void den_tx_read(struct den_tx *tx, struct den_store *store, struct den_err *err);
void den_tx_write(struct den_tx *tx, struct den_store *store, struct den_err *err);
/* Commits when all went well (true: durable), else rolls back.  Writers of the same
 * moment may share the commit, which changes nothing for any of them. */
bool den_tx_end(struct den_tx *tx) DEN_CHECKED;

/* sql: a string literal with ?1, ?2, ...; the next calls bind them in this order.  Texts
 * must live until the next query or the end. */
void den_tx_query(struct den_tx *tx, const char *sql);
void den_tx_text(struct den_tx *tx, const char *text);
void den_tx_text_or_null(struct den_tx *tx, const char *text); /* "" is NULL */
void den_tx_int(struct den_tx *tx, int64_t value);
void den_tx_uint(struct den_tx *tx, uint64_t value); /* the same 64 bits */
void den_tx_real(struct den_tx *tx, double value);   /* NaN becomes NULL */

bool den_tx_row(struct den_tx *tx); /* next row, false: none, or a failure */
void den_tx_run(struct den_tx *tx); /* to the end */
int den_tx_changes(const struct den_tx *tx);

/* Columns of the row, from left to right. */
void den_tx_get_text(struct den_tx *tx, char *to, size_t size);
/* Of any length, the caller's to free; NULL, with the failure in tx: no memory. */
char *den_tx_copy_text(struct den_tx *tx);
int64_t den_tx_get_int(struct den_tx *tx);
uint64_t den_tx_get_uint(struct den_tx *tx);
double den_tx_get_real(struct den_tx *tx); /* NULL is NaN */

/* The first column of the first row of a query of one text parameter; 0 when none. */
int64_t den_tx_number(struct den_tx *tx, const char *sql, const char *text);
/* The same of a query of ?1 = owner and ?2 = an id or a name. */
int64_t den_tx_owned(struct den_tx *tx, const char *sql, const char *owner,
                     const char *id);

/* Our own refusals; the first one sticks. */
void den_tx_fail(struct den_tx *tx, enum den_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- store_sqlite_group.c ---- */
/* After a call of SQLite that went wrong. */
void den_tx_database_failed(struct den_tx *tx);
/* Take the lock, as a reader when nothing is open any more, or as a writer. */
void den_group_read(struct den_store *s);
void den_group_join(struct den_tx *tx);
/* Commits, or waits for the commit; the lock is still held. */
void den_group_leave(struct den_tx *tx);
bool den_sqlite_busy(struct den_store *s);

/* ---- rows of the table, by file ---- */
/* store_sqlite_images.c */
bool den_sqlite_image_add(struct den_store *s, const char *owner,
                          const struct den_image_row *row, struct den_image_row *ret,
                          bool *ret_new, struct den_err *err);
bool den_sqlite_image_get(struct den_store *s, const char *owner, const char *id,
                          struct den_image_row *ret, struct den_err *err);
bool den_sqlite_image_list(struct den_store *s, const char *owner, const char *after,
                           size_t limit, struct den_image_row *ret, size_t *ret_count,
                           struct den_err *err);
bool den_sqlite_image_delete(struct den_store *s, const char *owner, const char *id,
                             struct den_err *err);
bool den_sqlite_dataset_add(struct den_store *s, const char *owner,
                            const struct den_dataset_row *row,
                            const struct den_dataset_item *items, size_t count,
                            struct den_err *err);
bool den_sqlite_dataset_get(struct den_store *s, const char *owner, const char *id,
                            struct den_dataset_row *ret, struct den_err *err);
bool den_sqlite_dataset_items(struct den_store *s, const char *owner, const char *id,
                              struct den_dataset_item **ret, size_t *ret_count,
                              struct den_err *err);
bool den_sqlite_dataset_list(struct den_store *s, const char *owner, const char *after,
                             size_t limit, struct den_dataset_row *ret, size_t *ret_count,
                             struct den_err *err);
bool den_sqlite_dataset_delete(struct den_store *s, const char *owner, const char *id,
                               struct den_err *err);
/* Fails unless the owner has it. */
void den_tx_need_dataset(struct den_tx *tx, const char *owner, const char *id);
void den_tx_need_image(struct den_tx *tx, const char *owner, const char *id);
/* store_sqlite_jobs.c */
bool den_sqlite_job_add(struct den_store *s, const char *owner,
                        const struct den_job_row *row, size_t queue_limit,
                        struct den_err *err);
bool den_sqlite_job_get(struct den_store *s, const char *owner, const char *id,
                        struct den_job_row *ret, struct den_err *err);
bool den_sqlite_job_any(struct den_store *s, const char *id, struct den_job_row *ret,
                        struct den_err *err);
bool den_sqlite_job_list(struct den_store *s, const char *owner, const char *state,
                         const char *kind, const char *after, size_t limit,
                         struct den_job_row *ret, size_t *ret_count, struct den_err *err);
bool den_sqlite_job_delete(struct den_store *s, const char *owner, const char *id,
                           struct den_err *err);
bool den_sqlite_job_cancel(struct den_store *s, const char *owner, const char *id,
                           struct den_job_row *ret, struct den_err *err);
bool den_sqlite_job_retry(struct den_store *s, const char *owner, const char *id,
                          struct den_job_row *ret, struct den_err *err);
/* Inside experiment_add, too: the job behind all that wait. */
void den_tx_add_job(struct den_tx *tx, const char *owner, const struct den_job_row *row,
                    size_t queue_limit);
#define DEN_JOB_COLUMNS                                                                \
    "id, owner, kind, state, dataset, image, model, version, method, preset, config, " \
    "seed, "                                                                           \
    "created_ms, started_ms, finished_ms, attempts, step, steps, error_code, "         \
    "error_text, result_sha256, result_name, result_media, clipped, seconds, "         \
    "peak_bytes, planes, planes_left, dtype, model_sha256, model_owner, class, "       \
    "rate, units, retry_ms, gen, worker, fruitless, reached"
/* In a question about a job, where ?1 is its id and ?2 who asks. */
#define DEN_OWN_JOB "EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND owner = ?2)"
/* The columns above, in their order. */
void den_tx_read_job(struct den_tx *tx, struct den_job_row *row);
void den_tx_get_job(struct den_tx *tx, const char *id, struct den_job_row *row);
/* The same for who asks: another's job is not there. */
void den_tx_own_job(struct den_tx *tx, const char *owner, const char *id,
                    struct den_job_row *row);
/* Adds the events of the state that row is in now. */
void den_tx_tell_state(struct den_tx *tx, const struct den_job_row *row);
/* Runs a query of (id) or (id, now), then gives the row as it is afterwards; a change of
 * state is told. */
void den_tx_change_job(struct den_tx *tx, const char *sql, const char *id,
                       struct den_job_row *ret);
/* store_sqlite_queue.c */
bool den_sqlite_job_claim(struct den_store *s, const struct den_claim *claim,
                          struct den_job_row *ret, bool *ret_found, struct den_err *err);
bool den_sqlite_job_waits(struct den_store *s, const struct den_claim *claim, bool *ret,
                          struct den_err *err);
bool den_sqlite_job_renew(struct den_store *s, const struct den_lease *lease,
                          int64_t lease_ms, const struct den_moment *now,
                          struct den_err *err);
bool den_sqlite_job_progress(struct den_store *s, const struct den_lease *lease,
                             uint64_t step, uint64_t steps, struct den_err *err);
bool den_sqlite_job_finish(struct den_store *s, struct den_job_row *row,
                           struct den_model_row *model,
                           const struct den_score_row *scores, size_t score_count,
                           struct den_err *err);
bool den_sqlite_job_requeue(struct den_store *s, const struct den_lease *lease,
                            struct den_err *err);
bool den_sqlite_job_again(struct den_store *s, const struct den_lease *lease,
                          int64_t wait_ms, const struct den_moment *now, const char *why,
                          struct den_err *err);
bool den_sqlite_job_recover(struct den_store *s, const struct den_recovery *how,
                            size_t *ret_requeued, struct den_err *err);
/* Fails with DEN_E_CONFLICT unless the lease is the job's. */
void den_tx_need_lease(struct den_tx *tx, const struct den_lease *lease);
/* store_sqlite_line.c */
void den_sqlite_queue_changed(struct den_store *s); /* after the commit */
uint64_t den_sqlite_job_changes(struct den_store *s);
bool den_sqlite_job_position(struct den_store *s, const char *owner, const char *id,
                             size_t *ret, struct den_err *err);
bool den_sqlite_job_last_position(struct den_store *s, const char *owner,
                                  enum den_job_class class, size_t *ret,
                                  struct den_err *err);
bool den_sqlite_job_line(struct den_store *s, struct den_line_row **ret,
                         size_t *ret_count, struct den_err *err);
bool den_sqlite_job_depths(struct den_store *s, const char *const *kinds, size_t count,
                           uint64_t *ret, struct den_err *err);
bool den_sqlite_job_counts(struct den_store *s, uint64_t counts[DEN_JOB_STATES],
                           struct den_err *err);
/* store_sqlite_quota.c */
void den_sqlite_set_quotas(struct den_store *s, const struct den_quotas *quotas);
bool den_sqlite_usage(struct den_store *s, const char *owner, struct den_quota_usage *ret,
                      struct den_err *err);
/* Fail with DEN_E_BUSY when the owner has enough. */
void den_tx_admit_job(struct den_tx *tx, const char *owner);
void den_tx_admit_bytes(struct den_tx *tx, const char *owner, uint64_t bytes);
/* Once for each lease, in the transaction that ends it. */
void den_tx_count_seconds(struct den_tx *tx, const struct den_lease *lease);
/* store_sqlite_cells.c */
bool den_sqlite_experiment_add(struct den_store *s, const char *owner,
                               const struct den_job_row *row, const char *grid,
                               const char *test_dataset, size_t queue_limit,
                               struct den_err *err);
bool den_sqlite_experiment_get(struct den_store *s, const char *owner, const char *job,
                               char **ret, struct den_err *err);
bool den_sqlite_cell_add(struct den_store *s, const struct den_lease *lease,
                         const struct den_cell_row *row, const char *crop,
                         struct den_model_row *model, struct den_err *err);
bool den_sqlite_cell_list(struct den_store *s, const char *owner, const char *job,
                          struct den_cell_row **ret, size_t *ret_count,
                          struct den_err *err);
bool den_sqlite_cell_crop(struct den_store *s, const char *owner, const char *job,
                          int64_t cell, char **ret, struct den_err *err);
/* store_sqlite_facts.c */
bool den_sqlite_event_add(struct den_store *s, const struct den_lease *lease,
                          struct den_event_row *rows, size_t count, struct den_err *err);
bool den_sqlite_event_list(struct den_store *s, const char *owner, const char *job,
                           uint64_t since, size_t limit, struct den_event_row *ret,
                           size_t *ret_count, struct den_err *err);
bool den_sqlite_score_list(struct den_store *s, const char *owner, const char *job,
                           struct den_score_row **ret, size_t *ret_count,
                           struct den_err *err);
bool den_sqlite_blob_used(struct den_store *s, const char *sha256, bool *ret,
                          struct den_err *err);
/* store_sqlite_models.c */
bool den_sqlite_model_get(struct den_store *s, const char *owner, const char *name,
                          int64_t version, struct den_model_row *ret,
                          struct den_err *err);
bool den_sqlite_model_own(struct den_store *s, const char *owner, const char *name,
                          int64_t version, struct den_model_row *ret,
                          struct den_err *err);
bool den_sqlite_model_list(struct den_store *s, const char *owner, const char *name,
                           const char *after, size_t limit, struct den_model_row *ret,
                           size_t *ret_count, struct den_err *err);
bool den_sqlite_model_delete(struct den_store *s, const char *owner, const char *name,
                             int64_t version, struct den_err *err);
bool den_sqlite_model_share(struct den_store *s, const char *owner, const char *name,
                            bool shared, struct den_model_row *ret, struct den_err *err);
/* Fails unless the owner has it: with DEN_E_FORBIDDEN where he may see another's. */
void den_tx_own_model(struct den_tx *tx, const char *owner, const char *name,
                      int64_t version);
/* store_sqlite_aliases.c */
bool den_sqlite_alias_set(struct den_store *s, const char *owner,
                          struct den_alias_row *ret, int64_t if_version,
                          struct den_err *err);
bool den_sqlite_alias_rollback(struct den_store *s, const char *owner, const char *model,
                               const char *name, struct den_alias_row *ret,
                               struct den_err *err);
bool den_sqlite_alias_get(struct den_store *s, const char *owner, const char *model,
                          const char *name, struct den_alias_row *ret,
                          struct den_err *err);
bool den_sqlite_alias_delete(struct den_store *s, const char *owner, const char *model,
                             const char *name, struct den_err *err);
bool den_sqlite_alias_list(struct den_store *s, const char *owner, const char *model,
                           struct den_alias_row *ret, size_t *ret_count,
                           struct den_err *err);
/* store_sqlite_webhooks.c; add: inside job_add, nothing for "" */
void den_tx_add_webhook(struct den_tx *tx, const char *job, const char *url);
/* Inside job_retry: there will be another end to tell of. */
void den_tx_renew_webhook(struct den_tx *tx, const char *job);
bool den_sqlite_webhook_due(struct den_store *s, int64_t now_ms,
                            struct den_webhook_row *ret, bool *ret_found,
                            struct den_err *err);
bool den_sqlite_webhook_told(struct den_store *s, const char *job, int64_t told_ms,
                             struct den_err *err);
bool den_sqlite_webhook_later(struct den_store *s, const char *job, int64_t next_ms,
                              struct den_err *err);
/* store_sqlite_uploads.c */
bool den_sqlite_upload_add(struct den_store *s, const struct den_upload_row *row,
                           size_t most, struct den_err *err);
bool den_sqlite_upload_get(struct den_store *s, const char *owner, const char *id,
                           struct den_upload_row *ret, struct den_err *err);
bool den_sqlite_upload_delete(struct den_store *s, const char *owner, const char *id,
                              struct den_err *err);
bool den_sqlite_upload_touch(struct den_store *s, const char *id, int64_t expires_ms,
                             struct den_err *err);
bool den_sqlite_upload_done(struct den_store *s, const char *id, const char *image,
                            struct den_err *err);
bool den_sqlite_upload_live(struct den_store *s, const char *id, bool *ret,
                            struct den_err *err);
bool den_sqlite_upload_expire(struct den_store *s, int64_t now_ms, struct den_err *err);
/* store_sqlite_upkeep.c */
bool den_sqlite_backup(struct den_store *s, const char *location, struct den_err *err);
bool den_sqlite_check(struct den_store *s, bool (*say)(void *, const char *),
                      void *context, size_t *ret_found, struct den_err *err);
bool den_sqlite_tidy(struct den_store *s, struct den_err *err);
bool den_sqlite_ballast(struct den_store *s, uint64_t bytes, uint64_t spare,
                        struct den_err *err);
bool den_sqlite_blob_each(struct den_store *s,
                          bool (*visit)(void *, const char *, const char *, int64_t,
                                        struct den_err *),
                          void *context, struct den_err *err);
bool den_sqlite_old(struct den_store *s, bool images, int64_t before_ms,
                    const char *after, size_t limit, struct den_old_row *ret,
                    size_t *ret_count, struct den_err *err);
bool den_sqlite_expire(struct den_store *s, int64_t before_ms, size_t *ret_jobs,
                       size_t *ret_images, struct den_err *err);
/* Deletes what `find` gives, some at a time, with a row about each.  find: a query of
 * (before, limit); remove: of (id). */
size_t den_tx_expire(struct den_tx *tx, const char *find, const char *remove,
                     const char *action, int64_t before_ms);
/* store_sqlite_tokens.c */
bool den_sqlite_token_add(struct den_store *s, const struct den_token_row *row,
                          struct den_err *err);
bool den_sqlite_token_list(struct den_store *s, const char *after, size_t limit,
                           struct den_token_row *ret, size_t *ret_count,
                           struct den_err *err);
bool den_sqlite_token_revoke(struct den_store *s, const char *which, int64_t now_ms,
                             struct den_token_row *ret, struct den_err *err);
bool den_sqlite_token_used(struct den_store *s, const struct den_token_row *rows,
                           size_t count, struct den_err *err);
/* store_sqlite_audit.c */
bool den_sqlite_audit_list(struct den_store *s, bool forward, int64_t from, size_t limit,
                           struct den_audit_row *ret, size_t *ret_count,
                           struct den_err *err);
bool den_sqlite_audit_end(struct den_store *s, int64_t *ret, struct den_err *err);
/* A row about what this transaction changes, by the thread's actor (actor.h).  object: an
 * id, or name@version; result: "done", or the state that a job is in now. */
void den_tx_audit(struct den_tx *tx, const char *action, const char *object,
                  const char *result);
/* store_sqlite_answers.c */
bool den_sqlite_answer_get(struct den_store *s, const char *owner, const char *key,
                           struct den_answer_row *ret, bool *ret_found,
                           struct den_err *err);
bool den_sqlite_answer_put(struct den_store *s, const char *owner, const char *key,
                           const struct den_answer_row *row, struct den_err *err);
bool den_sqlite_answer_drop(struct den_store *s, const char *owner, const char *key,
                            int64_t before_ms, struct den_err *err);
/* Part of den_tx_audit: the key of the thread's actor goes with this transaction. */
void den_tx_idempotency(struct den_tx *tx, const char *object);
/* Adds events, numbered on. */
void den_tx_add_events(struct den_tx *tx, const char *job, struct den_event_row *rows,
                       size_t count);
/* Inside job_finish and cell_add: of the job's owner; that and the next version are
 * written to model. */
void den_tx_add_model(struct den_tx *tx, const char *job, struct den_model_row *model);
void den_tx_add_scores(struct den_tx *tx, const char *job,
                       const struct den_score_row *scores, size_t count);

#endif
