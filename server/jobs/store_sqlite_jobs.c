/* The queue. */

#include "store_sqlite.h"

#include <string.h>

#include "clock.h"
#include "str.h"

#define JOB_COLUMNS                                                                   \
    "id, kind, state, dataset, image, model, version, method, preset, config, seed, " \
    "created_ms, started_ms, finished_ms, attempts, step, steps, error_code, "        \
    "error_text, result_sha256, result_name, result_media, clipped, seconds, "        \
    "peak_bytes, planes, planes_left, dtype, model_sha256"

#define UNFINISHED "('queued', 'running', 'cancelling')"

static void read_job(struct den_tx *tx, struct den_job_row *row)
{
    char state[16];
    *row = (struct den_job_row){0};
    den_tx_get_text(tx, row->id, sizeof row->id);
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
}

/* At the end of the queue. */
static void insert_job(struct den_tx *tx, const struct den_job_row *row)
{
    den_tx_query(tx,
                 "INSERT INTO jobs (" JOB_COLUMNS ", place) VALUES (?1, ?2, ?3, ?4, ?5, "
                 "?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, "
                 "?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, (SELECT "
                 "coalesce(max(place), 0) + 1 FROM jobs))");
    den_tx_text(tx, row->id);
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
    den_tx_run(tx);
}

/* The events of the state that row is in now. */
static void tell_state(struct den_tx *tx, const struct den_job_row *row)
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
}

/* Whoever submitted may have lost a race with a deletion since the checks. */
static void need_objects(struct den_tx *tx, const struct den_job_row *row)
{
    if (row->dataset[0] != '\0' &&
        den_tx_number(tx, "SELECT count(*) FROM datasets WHERE id = ?1", row->dataset) ==
            0)
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no data set '%s'", row->dataset);
    if (row->image[0] != '\0' &&
        den_tx_number(tx, "SELECT count(*) FROM images WHERE id = ?1", row->image) == 0)
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no image '%s'", row->image);
    if (strcmp(row->kind, "train") == 0 || row->version == 0)
        return;
    den_tx_query(tx, "SELECT 1 FROM models WHERE name = ?1 AND version = ?2");
    den_tx_text(tx, row->model);
    den_tx_int(tx, row->version);
    if (!den_tx_row(tx))
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no version %lld of the model '%.64s'",
                    (long long)row->version, row->model);
}

void den_tx_add_job(struct den_tx *tx, const struct den_job_row *row, size_t queue_limit)
{
    int64_t queued =
        den_tx_number(tx, "SELECT count(*) FROM jobs WHERE state = ?1", "queued");
    if (tx->ok && queue_limit > 0 && (uint64_t)queued >= queue_limit) {
        den_err_limit(tx->err, DEN_E_BUSY, (int64_t)queue_limit, queued,
                      "%lld jobs are waiting and no more than %zu may; try later",
                      (long long)queued, queue_limit);
        tx->ok = false;
    }
    need_objects(tx, row);
    insert_job(tx, row);
    tell_state(tx, row);
}

bool den_sqlite_job_add(struct den_store *s, const struct den_job_row *row,
                        size_t queue_limit, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_add_job(&tx, row, queue_limit);
    return den_tx_end(&tx);
}

static void get_job(struct den_tx *tx, const char *id, struct den_job_row *row)
{
    den_tx_query(tx, "SELECT " JOB_COLUMNS " FROM jobs WHERE id = ?1");
    den_tx_text(tx, id);
    if (den_tx_row(tx))
        read_job(tx, row);
    else
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no job '%.40s'", id);
}

bool den_sqlite_job_get(struct den_store *s, const char *id, struct den_job_row *ret,
                        struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    den_tx_read(&tx, s, err);
    get_job(&tx, id, &row);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_job_list(struct den_store *s, const char *state, const char *kind,
                         const char *after, size_t limit, struct den_job_row *ret,
                         size_t *ret_count, struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT " JOB_COLUMNS " FROM jobs WHERE (?1 IS NULL OR state = ?1) "
                      "AND (?2 IS NULL OR kind = ?2) AND (?3 = '' OR id < ?3) "
                      "ORDER BY id DESC LIMIT ?4");
    den_tx_text_or_null(&tx, state == NULL ? "" : state);
    den_tx_text_or_null(&tx, kind == NULL ? "" : kind);
    den_tx_text(&tx, after);
    den_tx_uint(&tx, limit);
    while (count < limit && den_tx_row(&tx))
        read_job(&tx, &ret[count++]);
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

bool den_sqlite_job_delete(struct den_store *s, const char *id, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row = {0};
    den_tx_write(&tx, s, err);
    get_job(&tx, id, &row);
    den_tx_query(&tx, "DELETE FROM jobs WHERE id = ?1 AND state NOT IN " UNFINISHED);
    den_tx_text(&tx, id);
    den_tx_run(&tx);
    if (den_tx_changes(&tx) == 0)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "the job '%.40s' is %s; only a job that has ended can be deleted", id,
                    den_job_state_name(row.state));
    return den_tx_end(&tx);
}

/* ---- the life of a job ---- */

/* One statement finds and takes the job, and the transaction is over before any work
 * begins: a job holds no lock while it runs. */
bool den_sqlite_job_claim(struct den_store *s, const char *const *kinds,
                          struct den_job_row *ret, bool *ret_found, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    bool found = false;
    den_tx_write(&tx, s, err);
    for (; !found && *kinds != NULL; kinds++) {
        den_tx_query(&tx, "UPDATE jobs SET state = 'running', attempts = attempts + 1, "
                          "started_ms = ?1 WHERE id = (SELECT id FROM jobs WHERE "
                          "state = 'queued' AND kind = ?2 ORDER BY place LIMIT 1) "
                          "RETURNING " JOB_COLUMNS);
        den_tx_int(&tx, den_wall_ms());
        den_tx_text(&tx, *kinds);
        found = den_tx_row(&tx);
        if (found)
            read_job(&tx, &row);
    }
    if (found)
        tell_state(&tx, &row);
    if (!den_tx_end(&tx))
        return false;
    if (found)
        *ret = row;
    *ret_found = found;
    return true;
}

bool den_sqlite_job_progress(struct den_store *s, const char *id, uint64_t step,
                             uint64_t steps, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "UPDATE jobs SET step = ?1, steps = ?2 WHERE id = ?3 AND "
                      "state IN ('running', 'cancelling')");
    den_tx_uint(&tx, step);
    den_tx_uint(&tx, steps);
    den_tx_text(&tx, id);
    den_tx_run(&tx);
    if (den_tx_changes(&tx) == 0)
        den_tx_fail(&tx, DEN_E_CONFLICT, "the job '%.40s' is not running", id);
    return den_tx_end(&tx);
}

/* Everything that a run changes.  Only a job at work can end: a second end, or one after
 * a cancellation has been settled, changes nothing and is an error. */
static void update_finished(struct den_tx *tx, const struct den_job_row *row)
{
    den_tx_query(tx, "UPDATE jobs SET state = ?1, version = ?2, finished_ms = ?3, "
                     "step = ?4, steps = ?5, error_code = ?6, error_text = ?7, "
                     "result_sha256 = ?8, result_name = ?9, result_media = ?10, "
                     "clipped = ?11, seconds = ?12, planes = ?13, planes_left = ?14, "
                     "dtype = ?15, model_sha256 = ?16, "
                     "started_ms = CASE ?1 WHEN 'queued' THEN 0 ELSE started_ms END "
                     "WHERE id = ?17 AND state IN ('running', 'cancelling')");
    den_tx_text(tx, den_job_state_name(row->state));
    den_tx_int(tx, row->version);
    den_tx_int(tx, row->finished_ms);
    den_tx_uint(tx, row->step);
    den_tx_uint(tx, row->steps);
    den_tx_text(tx, row->error_code);
    den_tx_text(tx, row->error_text);
    den_tx_text(tx, row->result_sha256);
    den_tx_text(tx, row->result_name);
    den_tx_text(tx, row->result_media);
    den_tx_uint(tx, row->clipped);
    den_tx_real(tx, row->seconds);
    den_tx_uint(tx, row->planes);
    den_tx_uint(tx, row->planes_left);
    den_tx_text(tx, row->dtype);
    den_tx_text(tx, row->model_sha256);
    den_tx_text(tx, row->id);
    den_tx_run(tx);
    if (den_tx_changes(tx) == 0)
        den_tx_fail(tx, DEN_E_CONFLICT, "the job '%s' is not running", row->id);
}

bool den_sqlite_job_finish(struct den_store *s, struct den_job_row *row,
                           struct den_model_row *model,
                           const struct den_score_row *scores, size_t score_count,
                           struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row ended = *row;
    struct den_model_row made = {0};
    if (ended.finished_ms == 0)
        ended.finished_ms = den_wall_ms();
    den_tx_write(&tx, s, err);
    if (model != NULL) {
        made = *model;
        den_tx_add_model(&tx, &made);
        ended.version = made.version;
    }
    update_finished(&tx, &ended);
    tell_state(&tx, &ended);
    den_tx_add_scores(&tx, row->id, scores, score_count);
    if (!den_tx_end(&tx))
        return false;
    *row = ended;
    if (model != NULL)
        *model = made;
    return true;
}

/* Runs a query of (id) or (id, now), then gives the row as it is afterwards. */
static void change(struct den_tx *tx, const char *sql, const char *id,
                   struct den_job_row *ret)
{
    enum den_job_state before = ret->state;
    den_tx_query(tx, sql);
    den_tx_text(tx, id);
    if (sqlite3_bind_parameter_count(tx->statement) > 1)
        den_tx_int(tx, den_wall_ms());
    den_tx_run(tx);
    get_job(tx, id, ret);
    if (tx->ok && ret->state != before)
        tell_state(tx, ret);
}

bool den_sqlite_job_cancel(struct den_store *s, const char *id, struct den_job_row *ret,
                           struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row = {0};
    den_tx_write(&tx, s, err);
    get_job(&tx, id, &row);
    change(&tx,
           "UPDATE jobs SET finished_ms = CASE state WHEN 'queued' THEN ?2 "
           "ELSE finished_ms END, state = CASE state WHEN 'queued' THEN "
           "'cancelled' ELSE 'cancelling' END "
           "WHERE id = ?1 AND state IN ('queued', 'running')",
           id, &row);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_job_retry(struct den_store *s, const char *id, struct den_job_row *ret,
                          struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row = {0};
    den_tx_write(&tx, s, err);
    get_job(&tx, id, &row);
    if (row.state == DEN_JOB_SUCCEEDED)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "the job '%.40s' has succeeded; only a failed or cancelled job can "
                    "be tried again",
                    id);
    change(&tx,
           "UPDATE jobs SET state = 'queued', attempts = 0, started_ms = 0, "
           "finished_ms = 0, step = 0, error_code = '', error_text = '', "
           "seconds = 0.0, clipped = 0, planes = 0, planes_left = 0, place = (SELECT "
           "max(place) + 1 FROM jobs) "
           "WHERE id = ?1 AND state IN ('failed', 'cancelled')",
           id, &row);
    /* After the new event, so that no number is given twice. */
    den_tx_query(&tx, "DELETE FROM events WHERE job = ?1 AND type = 'done'");
    den_tx_text(&tx, id);
    den_tx_run(&tx);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_job_requeue(struct den_store *s, const char *id, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row = {0};
    den_tx_write(&tx, s, err);
    get_job(&tx, id, &row);
    if (row.state != DEN_JOB_RUNNING)
        den_tx_fail(&tx, DEN_E_CONFLICT, "the job '%.40s' is not running", id);
    /* A graceful stop says nothing against the job: the attempt does not count. */
    change(&tx,
           "UPDATE jobs SET state = 'queued', attempts = attempts - 1, started_ms = 0 "
           "WHERE id = ?1",
           id, &row);
    return den_tx_end(&tx);
}

/* One job that was at work; what becomes of it. */
static void recover_one(struct den_tx *tx, struct den_job_row *row, int64_t max_attempts)
{
    if (row->state == DEN_JOB_CANCELLING)
        row->state = DEN_JOB_CANCELLED;
    else if (row->attempts < max_attempts)
        row->state = DEN_JOB_QUEUED;
    else {
        row->state = DEN_JOB_FAILED;
        den_str_copy(row->error_code, sizeof row->error_code,
                     den_code_name(DEN_E_INTERNAL));
        den_str_format(row->error_text, sizeof row->error_text,
                       "the job was started %lld times and the server stopped each time "
                       "before it ended; it is not tried again by itself",
                       (long long)row->attempts);
    }
    row->finished_ms = row->state == DEN_JOB_QUEUED ? 0 : den_wall_ms();
    update_finished(tx, row);
    tell_state(tx, row);
}

bool den_sqlite_job_recover(struct den_store *s, int64_t max_attempts,
                            size_t *ret_requeued, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    size_t requeued = 0;
    den_tx_write(&tx, s, err);
    for (;;) {
        den_tx_query(&tx, "SELECT " JOB_COLUMNS " FROM jobs WHERE state IN "
                          "('running', 'cancelling') LIMIT 1");
        if (!den_tx_row(&tx))
            break;
        read_job(&tx, &row);
        recover_one(&tx, &row, max_attempts);
        requeued += row.state == DEN_JOB_QUEUED;
    }
    if (!den_tx_end(&tx))
        return false;
    *ret_requeued = requeued;
    return true;
}

/* ---- looking at the queue ---- */

bool den_sqlite_job_position(struct den_store *s, const char *id, size_t *ret,
                             struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    den_tx_read(&tx, s, err);
    get_job(&tx, id, &row);
    /* In the order in which the workers claim: short jobs before trainings, and these
     * before experiments. */
    int64_t position = den_tx_number(
        &tx,
        "WITH line AS (SELECT id, place, CASE kind WHEN 'denoise' THEN 0 WHEN 'evaluate' "
        "THEN 1 WHEN 'experiment' THEN 3 ELSE 2 END AS class FROM jobs WHERE state = "
        "'queued') "
        "SELECT count(*) FROM line WHERE (class, place) <= "
        "(SELECT class, place FROM line WHERE id = ?1)",
        id);
    if (!den_tx_end(&tx))
        return false;
    *ret = (size_t)position;
    return true;
}

bool den_sqlite_job_depths(struct den_store *s, const char *const *kinds, size_t count,
                           uint64_t *ret, struct den_err *err)
{
    struct den_tx tx;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx,
                 "SELECT kind, count(*) FROM jobs WHERE state = 'queued' GROUP BY kind");
    memset(ret, 0, count * sizeof *ret);
    while (den_tx_row(&tx)) {
        char kind[16];
        den_tx_get_text(&tx, kind, sizeof kind);
        uint64_t depth = den_tx_get_uint(&tx);
        for (size_t i = 0; i < count; i++)
            if (strcmp(kinds[i], kind) == 0)
                ret[i] = depth;
    }
    return den_tx_end(&tx);
}

bool den_sqlite_job_counts(struct den_store *s, uint64_t counts[DEN_JOB_STATES],
                           struct den_err *err)
{
    struct den_tx tx;
    uint64_t all[DEN_JOB_STATES] = {0};
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT state, count(*) FROM jobs GROUP BY state");
    while (den_tx_row(&tx)) {
        char name[16];
        enum den_job_state state;
        den_tx_get_text(&tx, name, sizeof name);
        if (den_job_state_find(name, &state))
            all[state] = den_tx_get_uint(&tx);
    }
    if (!den_tx_end(&tx))
        return false;
    memcpy(counts, all, sizeof all);
    return true;
}
