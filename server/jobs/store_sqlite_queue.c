/* The queue: the life of a job after it was submitted.  How the jobs line up is in
 * store_sqlite_line.c. */

#include "store_sqlite.h"

#include <string.h>

#include "clock.h"
#include "str.h"

/* ---- claims ---- */

/* The next job of a class, if it may begin: into *row only id, owner and model. */
static bool find_next(struct den_tx *tx, const struct den_claim *claim, int64_t class,
                      struct den_job_row *row)
{
    den_tx_query(tx, "SELECT j.id, j.owner, j.model_owner, j.model, j.version FROM lines "
                     "l JOIN jobs j "
                     "ON j.id = (SELECT id FROM jobs WHERE state = 'queued' AND class = "
                     "l.class AND owner = l.owner AND not_before <= ?1 ORDER BY place "
                     "LIMIT 1) WHERE l.class = ?2 AND l.waiting > 0 AND (?3 = 0 OR "
                     "(SELECT sum(running) FROM lines WHERE class BETWEEN 0 AND 3 AND "
                     "owner = l.owner) < ?3) AND (?4 = 0 OR NOT EXISTS (SELECT 1 FROM "
                     "usage WHERE owner = l.owner AND day = ?5 AND seconds >= ?4)) ORDER "
                     "BY l.turn, l.owner LIMIT 1");
    den_tx_int(tx, claim->now.boot_ms);
    den_tx_int(tx, class);
    den_tx_int(tx, tx->store->quotas.running_jobs);
    den_tx_int(tx, tx->store->quotas.compute_s);
    den_tx_int(tx, den_quota_day(den_wall_ms()));
    if (!den_tx_row(tx))
        return false;
    *row = (struct den_job_row){.class = (enum den_job_class) class};
    den_tx_get_text(tx, row->id, sizeof row->id);
    den_tx_get_text(tx, row->owner, sizeof row->owner);
    den_tx_get_text(tx, row->model_owner, sizeof row->model_owner);
    den_tx_get_text(tx, row->model, sizeof row->model);
    row->version = den_tx_get_int(tx);
    return true;
}

static bool left_to_others(const struct den_claim *claim, const struct den_job_row *row)
{
    for (size_t i = 0; i < claim->left_count; i++)
        if (row->version > 0 && row->version == claim->left[i].version &&
            strcmp(row->model, claim->left[i].name) == 0 &&
            strcmp(row->model_owner, claim->left[i].owner) == 0)
            return true;
    return false;
}

/* The transaction is over before any work begins: a job holds no lock while it runs. */
static void take(struct den_tx *tx, const struct den_claim *claim,
                 struct den_job_row *row)
{
    struct den_job_row taken;
    den_tx_query(
        tx, "UPDATE jobs SET state = 'running', attempts = attempts + 1, gen = "
            "gen + 1, worker = ?1, lease_until = ?2, lease_boot = ?3, "
            "not_before = 0, retry_ms = 0, reached = step, started_ms = ?4 WHERE id = ?5 "
            "RETURNING " DEN_JOB_COLUMNS);
    den_tx_text(tx, claim->worker);
    den_tx_int(tx, claim->now.boot_ms + claim->lease_ms);
    den_tx_text(tx, claim->now.boot_id);
    den_tx_int(tx, den_wall_ms());
    den_tx_text(tx, row->id);
    if (!den_tx_row(tx))
        return;
    den_tx_read_job(tx, &taken);
    *row = taken;
    int64_t turn = den_tx_number(
        tx, "UPDATE numbers SET last = last + 1 WHERE name = ?1 RETURNING last", "turn");
    den_tx_query(tx, "UPDATE lines SET turn = ?1 WHERE class = ?2 AND owner = ?3");
    den_tx_int(tx, turn);
    den_tx_int(tx, (int64_t)row->class);
    den_tx_text(tx, row->owner);
    den_tx_run(tx);
    den_tx_tell_state(tx, row);
}

bool den_sqlite_job_claim(struct den_store *s, const struct den_claim *claim,
                          struct den_job_row *ret, bool *ret_found, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    bool found = false;
    den_tx_write(&tx, s, err);
    for (int64_t class = (int64_t)claim->first; class <= (int64_t)claim->last && !found;
         class ++)
        found = find_next(&tx, claim, class, &row);
    found = found && !left_to_others(claim, &row);
    if (found)
        take(&tx, claim, &row);
    if (!den_tx_end(&tx))
        return false;
    if (found) {
        *ret = row;
        den_sqlite_queue_changed(s);
    }
    *ret_found = found;
    return true;
}

bool den_sqlite_job_waits(struct den_store *s, const struct den_claim *claim, bool *ret,
                          struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    bool found = false;
    den_tx_read(&tx, s, err);
    for (int64_t class = (int64_t)claim->first; class <= (int64_t)claim->last && !found;
         class ++)
        found = find_next(&tx, claim, class, &row);
    if (!den_tx_end(&tx))
        return false;
    *ret = found;
    return true;
}

/* ---- with a lease ---- */

#define LEASED \
    " WHERE id = ?1 AND worker = ?2 AND gen = ?3 AND state IN ('running', 'cancelling')"

/* Binds the first three parameters of a query that ends with the above. */
static void query_leased(struct den_tx *tx, const char *sql,
                         const struct den_lease *lease)
{
    den_tx_query(tx, sql);
    den_tx_text(tx, lease->job);
    den_tx_text(tx, lease->worker);
    den_tx_int(tx, lease->gen);
}

static void refuse_void(struct den_tx *tx, const struct den_lease *lease)
{
    den_tx_fail(tx, DEN_E_CONFLICT,
                "the job '%.40s' is not running, or is another worker's by now",
                lease->job);
}

void den_tx_need_lease(struct den_tx *tx, const struct den_lease *lease)
{
    query_leased(tx, "SELECT 1 FROM jobs" LEASED, lease);
    if (!den_tx_row(tx))
        refuse_void(tx, lease);
}

bool den_sqlite_job_renew(struct den_store *s, const struct den_lease *lease,
                          int64_t lease_ms, const struct den_moment *now,
                          struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    query_leased(&tx, "UPDATE jobs SET lease_until = ?4, lease_boot = ?5" LEASED, lease);
    den_tx_int(&tx, now->boot_ms + lease_ms);
    den_tx_text(&tx, now->boot_id);
    den_tx_run(&tx);
    if (den_tx_changes(&tx) == 0)
        refuse_void(&tx, lease);
    return den_tx_end(&tx);
}

bool den_sqlite_job_progress(struct den_store *s, const struct den_lease *lease,
                             uint64_t step, uint64_t steps, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    query_leased(&tx, "UPDATE jobs SET step = ?4, steps = ?5, seconds = ?6" LEASED,
                 lease);
    den_tx_uint(&tx, step);
    den_tx_uint(&tx, steps);
    den_tx_real(&tx, lease->seconds);
    den_tx_run(&tx);
    if (den_tx_changes(&tx) == 0)
        refuse_void(&tx, lease);
    return den_tx_end(&tx);
}

/* Everything that a run changes, and its seconds.  Only a job at work can end, and only
 * by who has it: a second end, or one after a cancellation has been settled, changes
 * nothing and is an error. */
static void update_finished(struct den_tx *tx, const struct den_job_row *row)
{
    const struct den_lease lease = den_job_lease(row);
    query_leased(tx,
                 "UPDATE jobs SET state = ?4, version = ?5, finished_ms = ?6, "
                 "step = ?7, steps = ?8, error_code = ?9, error_text = ?10, "
                 "result_sha256 = ?11, result_name = ?12, result_media = ?13, "
                 "clipped = ?14, seconds = ?15, planes = ?16, planes_left = ?17, "
                 "dtype = ?18, model_sha256 = ?19, result_bytes = ?20" LEASED,
                 &lease);
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
    den_tx_uint(tx, row->result_bytes);
    den_tx_run(tx);
    if (den_tx_changes(tx) == 0)
        refuse_void(tx, &lease);
    den_tx_count_seconds(tx, &lease);
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

/* ---- back to the queue ---- */

/* Of a job at work; its lease is void from here on, and the seconds under it are counted.
 * failed: the attempt counts, and came to nothing unless it is a training that got
 * further (den_job_fruitless). */
static void put_back(struct den_tx *tx, const struct den_lease *lease, bool failed,
                     int64_t wait_ms, const struct den_moment *now)
{
    struct den_job_row row;
    den_tx_query(
        tx,
        "UPDATE jobs SET state = 'queued', attempts = attempts - NOT ?1, "
        "fruitless = CASE WHEN NOT ?1 THEN fruitless WHEN class >= 2 AND "
        "step > reached THEN 0 ELSE fruitless + 1 END, started_ms = 0, "
        "seconds = 0.0, worker = '', not_before = ?2, retry_ms = ?3 WHERE id = ?4 AND "
        "worker = ?5 AND gen = ?6 AND state = 'running' "
        "RETURNING " DEN_JOB_COLUMNS);
    den_tx_int(tx, failed);
    den_tx_int(tx, wait_ms > 0 ? now->boot_ms + wait_ms : 0);
    den_tx_int(tx, wait_ms > 0 ? den_wall_ms() + wait_ms : 0);
    den_tx_text(tx, lease->job);
    den_tx_text(tx, lease->worker);
    den_tx_int(tx, lease->gen);
    if (den_tx_row(tx)) {
        den_tx_read_job(tx, &row);
        den_tx_count_seconds(tx, lease);
        den_tx_tell_state(tx, &row);
    } else {
        refuse_void(tx, lease);
    }
}

/* A graceful stop says nothing against the job: the attempt does not count. */
bool den_sqlite_job_requeue(struct den_store *s, const struct den_lease *lease,
                            struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    put_back(&tx, lease, false, 0, NULL);
    if (!den_tx_end(&tx))
        return false;
    den_sqlite_queue_changed(s);
    return true;
}

static void tell_why(struct den_tx *tx, const char *job, const char *why)
{
    struct den_event_row event = {.type = "log", .created_ms = den_wall_ms()};
    den_str_copy(event.text, sizeof event.text, why);
    den_utf8_trim(event.text);
    den_tx_add_events(tx, job, &event, 1);
}

bool den_sqlite_job_again(struct den_store *s, const struct den_lease *lease,
                          int64_t wait_ms, const struct den_moment *now, const char *why,
                          struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_need_lease(&tx, lease);
    tell_why(&tx, lease->job, why);
    put_back(&tx, lease, true, wait_ms, now);
    if (!den_tx_end(&tx))
        return false;
    den_sqlite_queue_changed(s);
    return true;
}

/* ---- void leases ---- */

/* A server that died may do so for a reason of its own, so the job has one more attempt
 * at once; a worker that fell silent did so over this job. */
static int64_t wait_of(const struct den_recovery *how, const struct den_job_row *row)
{
    int64_t failures = den_job_fruitless(row, row->step) - how->all;
    return failures > 0 ? den_backoff_draw(&how->backoff, failures) : 0;
}

static void end_recovered(struct den_tx *tx, const struct den_recovery *how,
                          struct den_job_row *row)
{
    row->state = row->state == DEN_JOB_CANCELLING ? DEN_JOB_CANCELLED : DEN_JOB_FAILED;
    row->finished_ms = den_wall_ms();
    if (row->state == DEN_JOB_FAILED) {
        den_str_copy(row->error_code, sizeof row->error_code,
                     den_code_name(DEN_E_INTERNAL));
        den_str_format(row->error_text, sizeof row->error_text,
                       "the job was started %lld times and %s each time before it ended; "
                       "it is not tried again by itself",
                       (long long)row->attempts,
                       how->all ? "the server stopped" : "its worker fell silent");
    }
    update_finished(tx, row);
    den_tx_tell_state(tx, row);
}

/* One job that was at work; what becomes of it. */
static void recover_one(struct den_tx *tx, const struct den_recovery *how,
                        struct den_job_row *row)
{
    struct den_lease lease = den_job_lease(row);
    if (row->state == DEN_JOB_CANCELLING ||
        den_job_fruitless(row, row->step) >= how->backoff.max_attempts) {
        end_recovered(tx, how, row);
        return;
    }
    put_back(tx, &lease, true, wait_of(how, row), &how->now);
    row->state = DEN_JOB_QUEUED;
}

bool den_sqlite_job_recover(struct den_store *s, const struct den_recovery *how,
                            size_t *ret_requeued, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    size_t requeued = 0;
    bool found = false;
    den_tx_write(&tx, s, err);
    for (;;) {
        den_tx_query(&tx, "SELECT " DEN_JOB_COLUMNS " FROM jobs WHERE state IN "
                          "('running', 'cancelling') AND (?1 OR lease_until < ?2 OR "
                          "lease_boot <> ?3) LIMIT 1");
        den_tx_int(&tx, how->all);
        den_tx_int(&tx, how->now.boot_ms);
        den_tx_text(&tx, how->now.boot_id);
        if (!den_tx_row(&tx))
            break;
        den_tx_read_job(&tx, &row);
        recover_one(&tx, how, &row);
        requeued += row.state == DEN_JOB_QUEUED;
        found = true;
    }
    if (how->all) {
        /* The machine has started since then, and its clock with it. */
        den_tx_query(&tx, "UPDATE jobs SET not_before = 0, retry_ms = 0 WHERE state = "
                          "'queued' AND not_before > 0 AND lease_boot <> ?1");
        den_tx_text(&tx, how->now.boot_id);
        den_tx_run(&tx);
    }
    if (!den_tx_end(&tx))
        return false;
    if (found)
        den_sqlite_queue_changed(s);
    *ret_requeued = requeued;
    return true;
}
