/* The queue: the life of a job after it was submitted. */

#include "store_sqlite.h"

#include <string.h>

#include "clock.h"
#include "str.h"

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
                          "RETURNING " DEN_JOB_COLUMNS);
        den_tx_int(&tx, den_wall_ms());
        den_tx_text(&tx, *kinds);
        found = den_tx_row(&tx);
        if (found)
            den_tx_read_job(&tx, &row);
    }
    if (found)
        den_tx_tell_state(&tx, &row);
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
        den_tx_add_model(&tx, row->id, &made);
        ended.version = made.version;
    }
    update_finished(&tx, &ended);
    den_tx_tell_state(&tx, &ended);
    den_tx_add_scores(&tx, row->id, scores, score_count);
    if (!den_tx_end(&tx))
        return false;
    *row = ended;
    if (model != NULL)
        *model = made;
    return true;
}

bool den_sqlite_job_requeue(struct den_store *s, const char *id, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row = {0};
    den_tx_write(&tx, s, err);
    den_tx_get_job(&tx, id, &row);
    if (row.state != DEN_JOB_RUNNING)
        den_tx_fail(&tx, DEN_E_CONFLICT, "the job '%.40s' is not running", id);
    /* A graceful stop says nothing against the job: the attempt does not count. */
    den_tx_change_job(
        &tx,
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
    den_tx_tell_state(tx, row);
}

bool den_sqlite_job_recover(struct den_store *s, int64_t max_attempts,
                            size_t *ret_requeued, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    size_t requeued = 0;
    den_tx_write(&tx, s, err);
    for (;;) {
        den_tx_query(&tx, "SELECT " DEN_JOB_COLUMNS " FROM jobs WHERE state IN "
                          "('running', 'cancelling') LIMIT 1");
        if (!den_tx_row(&tx))
            break;
        den_tx_read_job(&tx, &row);
        recover_one(&tx, &row, max_attempts);
        requeued += row.state == DEN_JOB_QUEUED;
    }
    if (!den_tx_end(&tx))
        return false;
    *ret_requeued = requeued;
    return true;
}

/* ---- looking at the queue ---- */

bool den_sqlite_job_position(struct den_store *s, const char *owner, const char *id,
                             size_t *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    den_tx_read(&tx, s, err);
    den_tx_own_job(&tx, owner, id, &row);
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
