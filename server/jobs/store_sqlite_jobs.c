/* Jobs as whoever submitted them sees them; their life is in store_sqlite_queue.c. */

#include "store_sqlite.h"

#include <string.h>

#include "actor.h"
#include "clock.h"
#include "str.h"

#define UNFINISHED "('queued', 'running', 'cancelling')"

void den_tx_read_job(struct den_tx *tx, struct den_job_row *row)
{
    char state[16];
    *row = (struct den_job_row){0};
    den_tx_get_text(tx, row->id, sizeof row->id);
    den_tx_get_text(tx, row->owner, sizeof row->owner);
    den_tx_get_text(tx, row->kind, sizeof row->kind);
    den_tx_get_text(tx, state, sizeof state);
    if (!den_job_state_find(state, &row->state))
        den_tx_fail(tx, DEN_E_INTERNAL, "a job has the unknown state '%s'", state);
    den_tx_get_text(tx, row->dataset, sizeof row->dataset);
    den_tx_get_text(tx, row->image, sizeof row->image);
    den_tx_get_text(tx, row->model, sizeof row->model);
    row->version = den_tx_get_int(tx);
    den_tx_get_text(tx, row->method, sizeof row->method);
    den_tx_get_text(tx, row->preset, sizeof row->preset);
    den_tx_get_text(tx, row->config, sizeof row->config);
    row->seed = den_tx_get_uint(tx);
    row->created_ms = den_tx_get_int(tx);
    row->started_ms = den_tx_get_int(tx);
    row->finished_ms = den_tx_get_int(tx);
    row->attempts = den_tx_get_int(tx);
    row->step = den_tx_get_uint(tx);
    row->steps = den_tx_get_uint(tx);
    den_tx_get_text(tx, row->error_code, sizeof row->error_code);
    den_tx_get_text(tx, row->error_text, sizeof row->error_text);
    den_tx_get_text(tx, row->result_sha256, sizeof row->result_sha256);
    den_tx_get_text(tx, row->result_name, sizeof row->result_name);
    den_tx_get_text(tx, row->result_media, sizeof row->result_media);
    row->clipped = den_tx_get_uint(tx);
    row->seconds = den_tx_get_real(tx);
    row->peak_bytes = den_tx_get_uint(tx);
    row->planes = den_tx_get_uint(tx);
    row->planes_left = den_tx_get_uint(tx);
    den_tx_get_text(tx, row->dtype, sizeof row->dtype);
    den_tx_get_text(tx, row->model_sha256, sizeof row->model_sha256);
    den_tx_get_text(tx, row->model_owner, sizeof row->model_owner);
    row->class = (enum den_job_class)den_tx_get_int(tx);
    den_tx_get_text(tx, row->rate, sizeof row->rate);
    row->units = den_tx_get_real(tx);
    row->retry_ms = den_tx_get_int(tx);
    row->gen = den_tx_get_int(tx);
    den_tx_get_text(tx, row->worker, sizeof row->worker);
    row->fruitless = den_tx_get_int(tx);
    row->reached = den_tx_get_uint(tx);
}

/* The next place: the end of the queue. */
static int64_t new_place(struct den_tx *tx)
{
    return den_tx_number(
        tx, "UPDATE numbers SET last = last + 1 WHERE name = ?1 RETURNING last", "place");
}

static void insert_job(struct den_tx *tx, const char *owner,
                       const struct den_job_row *row)
{
    int64_t place = new_place(tx);
    den_tx_query(
        tx, "INSERT INTO jobs (" DEN_JOB_COLUMNS ", place) VALUES (?1, ?2, ?3, ?4, ?5, "
            "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "
            "?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, "
            "?35, ?36, ?37, ?38, ?39, ?40)");
    den_tx_text(tx, row->id);
    den_tx_text(tx, owner);
    den_tx_text(tx, row->kind);
    den_tx_text(tx, den_job_state_name(row->state));
    den_tx_text(tx, row->dataset);
    den_tx_text(tx, row->image);
    den_tx_text(tx, row->model);
    den_tx_int(tx, row->version);
    den_tx_text(tx, row->method);
    den_tx_text(tx, row->preset);
    den_tx_text(tx, row->config);
    den_tx_uint(tx, row->seed);
    den_tx_int(tx, row->created_ms);
    den_tx_int(tx, row->started_ms);
    den_tx_int(tx, row->finished_ms);
    den_tx_int(tx, row->attempts);
    den_tx_uint(tx, row->step);
    den_tx_uint(tx, row->steps);
    den_tx_text(tx, row->error_code);
    den_tx_text(tx, row->error_text);
    den_tx_text(tx, row->result_sha256);
    den_tx_text(tx, row->result_name);
    den_tx_text(tx, row->result_media);
    den_tx_uint(tx, row->clipped);
    den_tx_real(tx, row->seconds);
    den_tx_uint(tx, row->peak_bytes);
    den_tx_uint(tx, row->planes);
    den_tx_uint(tx, row->planes_left);
    den_tx_text(tx, row->dtype);
    den_tx_text(tx, row->model_sha256);
    den_tx_text(tx, row->model_owner);
    den_tx_int(tx, (int64_t)row->class);
    den_tx_text(tx, row->rate);
    den_tx_real(tx, row->units);
    den_tx_int(tx, row->retry_ms);
    den_tx_int(tx, row->gen);
    den_tx_text(tx, row->worker);
    den_tx_int(tx, row->fruitless);
    den_tx_uint(tx, row->reached);
    den_tx_int(tx, place);
    den_tx_run(tx);
}

/* The events of the state that row is in now. */
void den_tx_tell_state(struct den_tx *tx, const struct den_job_row *row)
{
    bool ended = row->state == DEN_JOB_SUCCEEDED || row->state == DEN_JOB_FAILED ||
                 row->state == DEN_JOB_CANCELLED;
    struct den_event_row events[2] = {{.type = "state",
                                       .step = row->step,
                                       .steps = row->steps,
                                       .created_ms = den_wall_ms()}};
    den_str_copy(events[0].name, sizeof events[0].name, den_job_state_name(row->state));
    den_str_copy(events[0].text, sizeof events[0].text, row->error_text);
    events[1] = events[0];
    den_str_copy(events[1].type, sizeof events[1].type, "done");
    den_tx_add_events(tx, row->id, events, ended ? 2 : 1);
    if (ended && den_actor() == NULL) /* else it is part of what somebody did */
        den_tx_audit(tx, "job.end", row->id, den_job_state_name(row->state));
}

/* Whoever submitted may have lost a race with a deletion since the checks. */
static void need_objects(struct den_tx *tx, const char *owner,
                         const struct den_job_row *row)
{
    if (row->dataset[0] != '\0')
        den_tx_need_dataset(tx, owner, row->dataset);
    if (row->image[0] != '\0')
        den_tx_need_image(tx, owner, row->image);
    if (strcmp(row->kind, "train") == 0 || row->version == 0)
        return;
    den_tx_query(tx, "SELECT 1 FROM models m JOIN model_names n USING (owner, name) "
                     "WHERE m.owner = ?1 AND m.name = ?2 AND m.version = ?3 AND "
                     "(m.owner = ?4 OR n.shared)");
    den_tx_text(tx, row->model_owner);
    den_tx_text(tx, row->model);
    den_tx_int(tx, row->version);
    den_tx_text(tx, owner);
    if (!den_tx_row(tx))
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no version %lld of the model '%.64s'",
                    (long long)row->version, row->model);
}

void den_tx_add_job(struct den_tx *tx, const char *owner, const struct den_job_row *row,
                    size_t queue_limit)
{
    int64_t queued =
        den_tx_number(tx, "SELECT last FROM numbers WHERE name = ?1", "queued");
    if (tx->ok && queue_limit > 0 && (uint64_t)queued >= queue_limit) {
        den_err_limit(tx->err, DEN_E_BUSY, (int64_t)queue_limit, queued,
                      "%lld jobs are waiting and no more than %zu may; try later",
                      (long long)queued, queue_limit);
        tx->ok = false;
    }
    den_tx_admit_job(tx, owner);
    need_objects(tx, owner, row);
    insert_job(tx, owner, row);
    den_tx_add_webhook(tx, row->id, row->webhook);
    den_tx_tell_state(tx, row);
    den_tx_audit(tx, "job.create", row->id, den_job_state_name(row->state));
}

bool den_sqlite_job_add(struct den_store *s, const char *owner,
                        const struct den_job_row *row, size_t queue_limit,
                        struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_add_job(&tx, owner, row, queue_limit);
    if (!den_tx_end(&tx))
        return false;
    den_sqlite_queue_changed(s);
    return true;
}

static void read_job_or_fail(struct den_tx *tx, const char *id, struct den_job_row *row)
{
    if (den_tx_row(tx))
        den_tx_read_job(tx, row);
    else
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no job '%.40s'", id);
}

void den_tx_get_job(struct den_tx *tx, const char *id, struct den_job_row *row)
{
    den_tx_query(tx, "SELECT " DEN_JOB_COLUMNS " FROM jobs WHERE id = ?1");
    den_tx_text(tx, id);
    read_job_or_fail(tx, id, row);
}

void den_tx_own_job(struct den_tx *tx, const char *owner, const char *id,
                    struct den_job_row *row)
{
    den_tx_query(tx, "SELECT " DEN_JOB_COLUMNS " FROM jobs WHERE id = ?1 AND owner = ?2");
    den_tx_text(tx, id);
    den_tx_text(tx, owner);
    read_job_or_fail(tx, id, row);
}

bool den_sqlite_job_get(struct den_store *s, const char *owner, const char *id,
                        struct den_job_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    den_tx_read(&tx, s, err);
    den_tx_own_job(&tx, owner, id, &row);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_job_any(struct den_store *s, const char *id, struct den_job_row *ret,
                        struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    den_tx_read(&tx, s, err);
    den_tx_get_job(&tx, id, &row);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_job_list(struct den_store *s, const char *owner, const char *state,
                         const char *kind, const char *after, size_t limit,
                         struct den_job_row *ret, size_t *ret_count, struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT " DEN_JOB_COLUMNS " FROM jobs WHERE owner = ?1 AND "
                      "(?2 IS NULL OR state = ?2) AND (?3 IS NULL OR kind = ?3) AND "
                      "(?4 = '' OR id < ?4) ORDER BY id DESC LIMIT ?5");
    den_tx_text(&tx, owner);
    den_tx_text_or_null(&tx, state == NULL ? "" : state);
    den_tx_text_or_null(&tx, kind == NULL ? "" : kind);
    den_tx_text(&tx, after);
    den_tx_uint(&tx, limit);
    while (count < limit && den_tx_row(&tx))
        den_tx_read_job(&tx, &ret[count++]);
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

bool den_sqlite_job_delete(struct den_store *s, const char *owner, const char *id,
                           struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row = {0};
    den_tx_write(&tx, s, err);
    den_tx_own_job(&tx, owner, id, &row);
    den_tx_query(&tx, "DELETE FROM jobs WHERE id = ?1 AND owner = ?2 AND state NOT "
                      "IN " UNFINISHED);
    den_tx_text(&tx, id);
    den_tx_text(&tx, owner);
    den_tx_run(&tx);
    if (den_tx_changes(&tx) == 0)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "the job '%.40s' is %s; only a job that has ended can be deleted", id,
                    den_job_state_name(row.state));
    den_tx_audit(&tx, "job.delete", id, "done");
    return den_tx_end(&tx);
}

/* Runs a query of (id) or (id, now), then gives the row as it is afterwards. */
void den_tx_change_job(struct den_tx *tx, const char *sql, const char *id,
                       struct den_job_row *ret)
{
    enum den_job_state before = ret->state;
    den_tx_query(tx, sql);
    den_tx_text(tx, id);
    if (sqlite3_bind_parameter_count(tx->statement) > 1)
        den_tx_int(tx, den_wall_ms());
    den_tx_run(tx);
    den_tx_get_job(tx, id, ret);
    if (tx->ok && ret->state != before)
        den_tx_tell_state(tx, ret);
}

bool den_sqlite_job_cancel(struct den_store *s, const char *owner, const char *id,
                           struct den_job_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row = {0};
    den_tx_write(&tx, s, err);
    den_tx_own_job(&tx, owner, id, &row);
    const enum den_job_state before = row.state;
    den_tx_change_job(&tx,
                      "UPDATE jobs SET finished_ms = CASE state WHEN 'queued' THEN ?2 "
                      "ELSE finished_ms END, state = CASE state WHEN 'queued' THEN "
                      "'cancelled' ELSE 'cancelling' END "
                      "WHERE id = ?1 AND state IN ('queued', 'running')",
                      id, &row);
    if (row.state != before)
        den_tx_audit(&tx, "job.cancel", id, den_job_state_name(row.state));
    if (!den_tx_end(&tx))
        return false;
    den_sqlite_queue_changed(s);
    *ret = row;
    return true;
}

/* A new use of another's model needs his leave again; a job that was accepted and has not
 * ended keeps it. */
static void need_leave(struct den_tx *tx, const struct den_job_row *row)
{
    bool ended = row->state == DEN_JOB_FAILED || row->state == DEN_JOB_CANCELLED;
    if (!tx->ok || !ended || row->model_owner[0] == '\0' ||
        strcmp(row->model_owner, row->owner) == 0)
        return;
    if (den_tx_owned(tx,
                     "SELECT 1 FROM jobs j JOIN model_names n ON n.owner = j.model_owner "
                     "WHERE j.owner = ?1 AND j.id = ?2 AND n.shared = 1 AND CASE j.kind "
                     "WHEN 'train' THEN instr(char(10) || j.config, char(10) || "
                     "'base_model=' || n.name || '@') > 0 ELSE n.name = j.model END",
                     row->owner, row->id) == 0)
        den_tx_fail(tx, DEN_E_CONFLICT,
                    "the model that the job '%.40s' uses is not shared any more",
                    row->id);
}

bool den_sqlite_job_retry(struct den_store *s, const char *owner, const char *id,
                          struct den_job_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row = {0};
    den_tx_write(&tx, s, err);
    den_tx_own_job(&tx, owner, id, &row);
    const enum den_job_state before = row.state;
    const bool waited = row.retry_ms > 0;
    if (row.state == DEN_JOB_SUCCEEDED)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "the job '%.40s' has succeeded; only a failed or cancelled job can "
                    "be tried again",
                    id);
    if (row.state == DEN_JOB_FAILED || row.state == DEN_JOB_CANCELLED)
        den_tx_admit_job(&tx, owner);
    need_leave(&tx, &row);
    (void)new_place(&tx);
    den_tx_change_job(
        &tx,
        "UPDATE jobs SET state = 'queued', attempts = 0, fruitless = 0, reached = 0, "
        "started_ms = 0, "
        "finished_ms = 0, step = 0, error_code = '', error_text = '', "
        "seconds = 0.0, clipped = 0, planes = 0, planes_left = 0, not_before = 0, "
        "retry_ms = 0, place = (SELECT last FROM numbers WHERE name = 'place') "
        "WHERE id = ?1 AND state IN ('failed', 'cancelled')",
        id, &row);
    /* Who asks again does not want to wait for the next attempt. */
    den_tx_change_job(&tx,
                      "UPDATE jobs SET not_before = 0, retry_ms = 0 WHERE id = ?1 "
                      "AND state = 'queued'",
                      id, &row);
    if (row.state != before || waited)
        den_tx_audit(&tx, "job.retry", id, den_job_state_name(row.state));
    den_tx_renew_webhook(&tx, id);
    /* After the new event, so that no number is given twice. */
    den_tx_query(&tx, "DELETE FROM events WHERE job = ?1 AND type = 'done'");
    den_tx_text(&tx, id);
    den_tx_run(&tx);
    if (!den_tx_end(&tx))
        return false;
    den_sqlite_queue_changed(s);
    *ret = row;
    return true;
}
