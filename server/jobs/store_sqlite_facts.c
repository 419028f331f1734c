/* What jobs leave behind: events and scores; and which blobs are named. */

#include "store_sqlite.h"

#include <string.h>

#include "mem.h"
#include "str.h"

static void add_event(struct den_tx *tx, const char *job, const struct den_event_row *row)
{
    den_tx_query(tx, "INSERT INTO events (job, seq, type, step, steps, name, value, "
                     "text, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
    den_tx_text(tx, job);
    den_tx_uint(tx, row->seq);
    den_tx_text(tx, row->type);
    den_tx_uint(tx, row->step);
    den_tx_uint(tx, row->steps);
    den_tx_text(tx, row->name);
    den_tx_real(tx, row->value);
    den_tx_text(tx, row->text);
    den_tx_int(tx, row->created_ms);
    den_tx_run(tx);
    if (strcmp(row->type, "progress") != 0)
        return;
    /* Only the newest progress says anything; the others would fill the disk. */
    den_tx_query(tx, "DELETE FROM events WHERE job = ?1 AND type = 'progress' "
                     "AND seq < ?2");
    den_tx_text(tx, job);
    den_tx_uint(tx, row->seq);
    den_tx_run(tx);
}

void den_tx_add_events(struct den_tx *tx, const char *job, struct den_event_row *rows,
                       size_t count)
{
    int64_t seq =
        den_tx_number(tx, "SELECT max(seq) FROM events WHERE job = ?1", job) + 1;
    for (size_t i = 0; tx->ok && i < count; i++) {
        rows[i].seq = (uint64_t)seq + i;
        add_event(tx, job, &rows[i]);
    }
}

bool den_sqlite_event_add(struct den_store *s, const struct den_lease *lease,
                          struct den_event_row *rows, size_t count, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_need_lease(&tx, lease);
    den_tx_add_events(&tx, lease->job, rows, count);
    return den_tx_end(&tx);
}

bool den_sqlite_event_list(struct den_store *s, const char *owner, const char *job,
                           uint64_t since, size_t limit, struct den_event_row *ret,
                           size_t *ret_count, struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT seq, type, step, steps, name, value, text, created_ms "
                      "FROM events WHERE job = ?1 AND " DEN_OWN_JOB
                      " AND seq > ?3 ORDER BY seq LIMIT ?4");
    den_tx_text(&tx, job);
    den_tx_text(&tx, owner);
    den_tx_uint(&tx, since > INT64_MAX ? INT64_MAX : since);
    den_tx_uint(&tx, limit);
    while (count < limit && den_tx_row(&tx)) {
        struct den_event_row *row = &ret[count++];
        *row = (struct den_event_row){0};
        row->seq = den_tx_get_uint(&tx);
        den_tx_get_text(&tx, row->type, sizeof row->type);
        row->step = den_tx_get_uint(&tx);
        row->steps = den_tx_get_uint(&tx);
        den_tx_get_text(&tx, row->name, sizeof row->name);
        row->value = den_tx_get_real(&tx);
        den_tx_get_text(&tx, row->text, sizeof row->text);
        row->created_ms = den_tx_get_int(&tx);
    }
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

/* ---- scores ---- */

void den_tx_add_scores(struct den_tx *tx, const char *job,
                       const struct den_score_row *scores, size_t count)
{
    for (size_t i = 0; tx->ok && i < count; i++) {
        den_tx_query(tx, "INSERT INTO scores (job, place, image, name, page, method, "
                         "metric, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        den_tx_text(tx, job);
        den_tx_uint(tx, i);
        den_tx_text(tx, scores[i].image);
        den_tx_text(tx, scores[i].name);
        den_tx_int(tx, scores[i].page);
        den_tx_text(tx, scores[i].method);
        den_tx_text(tx, scores[i].metric);
        den_tx_real(tx, scores[i].value);
        den_tx_run(tx);
    }
}

static struct den_score_row *read_scores(struct den_tx *tx, const char *owner,
                                         const char *job, size_t *ret_count)
{
    size_t count =
        (size_t)den_tx_owned(tx,
                             "SELECT count(*) FROM scores s JOIN jobs ON jobs.id = s.job "
                             "WHERE owner = ?1 AND s.job = ?2",
                             owner, job);
    struct den_score_row *rows = den_new(count, sizeof *rows, tx->err);
    if (rows == NULL) {
        tx->ok = false;
        return NULL;
    }
    den_tx_query(tx, "SELECT image, name, page, method, metric, value FROM scores "
                     "WHERE job = ?1 AND " DEN_OWN_JOB " ORDER BY place");
    den_tx_text(tx, job);
    den_tx_text(tx, owner);
    for (size_t i = 0; i < count && den_tx_row(tx); i++) {
        den_tx_get_text(tx, rows[i].image, sizeof rows[i].image);
        den_tx_get_text(tx, rows[i].name, sizeof rows[i].name);
        rows[i].page = (uint32_t)den_tx_get_int(tx);
        den_tx_get_text(tx, rows[i].method, sizeof rows[i].method);
        den_tx_get_text(tx, rows[i].metric, sizeof rows[i].metric);
        rows[i].value = den_tx_get_real(tx);
    }
    *ret_count = count;
    return rows;
}

bool den_sqlite_score_list(struct den_store *s, const char *owner, const char *job,
                           struct den_score_row **ret, size_t *ret_count,
                           struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    struct den_score_row *rows = read_scores(&tx, owner, job, &count);
    if (!den_tx_end(&tx)) {
        den_free(rows);
        return false;
    }
    *ret = rows;
    *ret_count = count;
    return true;
}

bool den_sqlite_blob_used(struct den_store *s, const char *sha256, bool *ret,
                          struct den_err *err)
{
    struct den_tx tx;
    den_tx_read(&tx, s, err);
    bool used = den_tx_number(&tx,
                              "SELECT EXISTS (SELECT 1 FROM images WHERE sha256 = ?1) OR "
                              "EXISTS (SELECT 1 FROM models WHERE sha256 = ?1) OR "
                              "EXISTS (SELECT 1 FROM jobs WHERE result_sha256 = ?1 AND "
                              "result_sha256 <> '')",
                              sha256) != 0;
    if (!den_tx_end(&tx))
        return false;
    *ret = used;
    return true;
}
