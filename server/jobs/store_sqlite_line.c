/* How jobs line up: who stands where, and how many there are. */

#include "store_sqlite.h"

#include <string.h>

#include "clock.h"
#include "mem.h"
#include "str.h"

void den_sqlite_queue_changed(struct den_store *s)
{
    atomic_fetch_add(&s->queue_changes, 1);
}

uint64_t den_sqlite_job_changes(struct den_store *s)
{
    return atomic_load(&s->queue_changes);
}

/* Owners of a class take turns, so the k-th job of an owner begins after k - 1 jobs of
 * each other owner, or k when it is the other's turn first, as far as these have so many.
 * Jobs that may not begin yet do not stand in the way; few do. */
#define READY                                                                            \
    "(l.waiting - (SELECT count(*) FROM jobs WHERE state = 'queued' AND not_before > 0 " \
    "AND class = l.class AND owner = l.owner AND not_before > ?2))"

/* The place of the k-th job of an owner, from a row `mine` (turn, k). */
#define PLACE(class, owner)                                                         \
    "k + (SELECT coalesce(sum(" READY "), 0) FROM lines l WHERE l.waiting > 0 AND " \
    "l.class < " class ") + (SELECT coalesce(sum(min(" READY ", k - 1 + ((l.turn, " \
                       "l.owner) < (mine.turn, " owner                              \
                       ")))), 0) FROM lines l WHERE l.waiting > 0 AND "             \
                       "l.class = " class " AND l.owner <> " owner ")"

bool den_sqlite_job_position(struct den_store *s, const char *owner, const char *id,
                             size_t *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_job_row row;
    int64_t position = 0;
    den_tx_read(&tx, s, err);
    den_tx_own_job(&tx, owner, id, &row);
    if (tx.ok && row.state == DEN_JOB_QUEUED) {
        den_tx_query(
            &tx,
            "WITH job AS (SELECT id, class, owner, place, not_before > ?2 AS late, "
            "not_before FROM jobs WHERE id = ?1), "
            /* counted from the end: the newest jobs are asked for most */
            "mine AS (SELECT turn, " READY " - (SELECT count(*) FROM jobs WHERE state = "
            "'queued' AND class = job.class AND owner = job.owner AND place > job.place "
            "AND not_before <= ?2) AS k FROM lines l JOIN job USING (class, owner)) "
            "SELECT CASE WHEN late THEN (SELECT sum(" READY ") FROM lines l WHERE "
            "l.waiting > 0) + (SELECT count(*) FROM jobs WHERE state = 'queued' AND "
            "not_before > ?2 AND (not_before, id) <= (job.not_before, job.id)) "
            "ELSE " PLACE("job.class", "job.owner") " END FROM job, mine");
        den_tx_text(&tx, id);
        den_tx_int(&tx, den_boot_ms());
        if (den_tx_row(&tx))
            position = den_tx_get_int(&tx);
    }
    if (!den_tx_end(&tx))
        return false;
    *ret = (size_t)position;
    return true;
}

/* As above, with a job that is not there: the last of its owner's, whose turn, when there
 * was never one, is that of the next place (as the triggers say). */
bool den_sqlite_job_last_position(struct den_store *s, const char *owner,
                                  enum den_job_class class, size_t *ret,
                                  struct den_err *err)
{
    struct den_tx tx;
    int64_t position = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(
        &tx,
        "WITH mine (turn, k) AS (SELECT coalesce((SELECT turn FROM lines WHERE class = "
        "?3 AND owner = ?1), (SELECT last + 1 - 1152921504606846976 FROM numbers WHERE "
        "name = 'place')), 1 + coalesce((SELECT " READY " FROM lines l WHERE l.class = "
        "?3 AND l.owner = ?1), 0)) "
        "SELECT " PLACE("?3", "?1") " FROM mine");
    den_tx_text(&tx, owner);
    den_tx_int(&tx, den_boot_ms());
    den_tx_int(&tx, (int64_t) class);
    if (den_tx_row(&tx))
        position = den_tx_get_int(&tx);
    if (!den_tx_end(&tx))
        return false;
    *ret = (size_t)position;
    return true;
}

static void read_line(struct den_tx *tx, struct den_line_row *row)
{
    *row = (struct den_line_row){.units = 0};
    den_tx_get_text(tx, row->id, sizeof row->id);
    den_tx_get_text(tx, row->rate, sizeof row->rate);
    row->units = den_tx_get_real(tx);
    row->class = (enum den_job_class)den_tx_get_int(tx);
    row->wait_ms = den_tx_get_int(tx);
    row->held = den_tx_get_int(tx) != 0;
}

bool den_sqlite_job_line(struct den_store *s, struct den_line_row **ret,
                         size_t *ret_count, struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    size_t size =
        (size_t)den_tx_number(&tx, "SELECT last FROM numbers WHERE name = ?1", "queued");
    struct den_line_row *rows = den_new(size, sizeof *rows, err);
    tx.ok = tx.ok && rows != NULL;
    den_tx_query(&tx,
                 "WITH line AS (SELECT id, class, owner, rate, units, not_before, "
                 "not_before > ?1 AS late, row_number() OVER (PARTITION BY class, owner, "
                 "not_before > ?1 ORDER BY place) AS k FROM jobs WHERE state = 'queued') "
                 "SELECT id, rate, units, class, CASE late WHEN 0 THEN 0 ELSE not_before "
                 "- ?1 END, line.owner IN (SELECT owner FROM lines WHERE class BETWEEN 0 "
                 "AND 3 GROUP BY owner HAVING ?2 > 0 AND sum(running) >= ?2 UNION SELECT "
                 "owner FROM usage WHERE ?3 > 0 AND day = ?4 AND seconds >= ?3) "
                 "FROM line JOIN lines USING (class, owner) ORDER BY late, CASE "
                 "late WHEN 0 THEN class ELSE not_before END, CASE late WHEN 0 THEN k "
                 "ELSE 0 END, CASE late WHEN 0 THEN turn ELSE 0 END, CASE late WHEN 0 "
                 "THEN owner ELSE id END");
    den_tx_int(&tx, den_boot_ms());
    den_tx_int(&tx, s->quotas.running_jobs);
    den_tx_int(&tx, s->quotas.compute_s);
    den_tx_int(&tx, den_quota_day(den_wall_ms()));
    while (rows != NULL && count < size && den_tx_row(&tx))
        read_line(&tx, &rows[count++]);
    if (!den_tx_end(&tx)) {
        den_free(rows);
        return false;
    }
    *ret = rows;
    *ret_count = count;
    return true;
}

/* ---- how many ---- */

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
