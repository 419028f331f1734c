/* What jobs leave behind: events, scores, models; and which blobs are named. */

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

bool den_sqlite_event_add(struct den_store *s, const char *job,
                          struct den_event_row *rows, size_t count, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    if (den_tx_number(&tx, "SELECT count(*) FROM jobs WHERE id = ?1", job) == 0)
        den_tx_fail(&tx, DEN_E_NOT_FOUND, "there is no job '%.40s'", job);
    den_tx_add_events(&tx, job, rows, count);
    return den_tx_end(&tx);
}

bool den_sqlite_event_list(struct den_store *s, const char *job, uint64_t since,
                           size_t limit, struct den_event_row *ret, size_t *ret_count,
                           struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT seq, type, step, steps, name, value, text, created_ms "
                      "FROM events WHERE job = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
    den_tx_text(&tx, job);
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

static struct den_score_row *read_scores(struct den_tx *tx, const char *job,
                                         size_t *ret_count)
{
    size_t count =
        (size_t)den_tx_number(tx, "SELECT count(*) FROM scores WHERE job = ?1", job);
    struct den_score_row *rows = den_new(count, sizeof *rows, tx->err);
    if (rows == NULL) {
        tx->ok = false;
        return NULL;
    }
    den_tx_query(tx, "SELECT image, name, page, method, metric, value FROM scores "
                     "WHERE job = ?1 ORDER BY place");
    den_tx_text(tx, job);
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

bool den_sqlite_score_list(struct den_store *s, const char *job,
                           struct den_score_row **ret, size_t *ret_count,
                           struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    struct den_score_row *rows = read_scores(&tx, job, &count);
    if (!den_tx_end(&tx)) {
        den_free(rows);
        return false;
    }
    *ret = rows;
    *ret_count = count;
    return true;
}

/* ---- models ---- */

#define MODEL_COLUMNS                                                                   \
    "name, version, job, dataset, sha256, bytes, seed, steps, method, preset, config, " \
    "shift, scale, has_validation, validation_psnr, created_ms"

static void read_model(struct den_tx *tx, struct den_model_row *row)
{
    *row = (struct den_model_row){0};
    den_tx_get_text(tx, row->name, sizeof row->name);
    row->version = den_tx_get_int(tx);
    den_tx_get_text(tx, row->job, sizeof row->job);
    den_tx_get_text(tx, row->dataset, sizeof row->dataset);
    den_tx_get_text(tx, row->sha256, sizeof row->sha256);
    row->bytes = den_tx_get_uint(tx);
    row->seed = den_tx_get_uint(tx);
    row->steps = den_tx_get_uint(tx);
    den_tx_get_text(tx, row->method, sizeof row->method);
    den_tx_get_text(tx, row->preset, sizeof row->preset);
    den_tx_get_text(tx, row->config, sizeof row->config);
    row->shift = den_tx_get_real(tx);
    row->scale = den_tx_get_real(tx);
    row->has_validation = den_tx_get_int(tx) != 0;
    row->validation_psnr = den_tx_get_real(tx);
    row->created_ms = den_tx_get_int(tx);
}

/* UPSERT and RETURNING in one: the first version of a name is 1, each later one more than
 * any that was ever given. */
void den_tx_add_model(struct den_tx *tx, struct den_model_row *model)
{
    int64_t version = den_tx_number(
        tx,
        "INSERT INTO model_names (name, last_version) VALUES (?1, 1) ON CONFLICT (name) "
        "DO UPDATE SET last_version = last_version + 1 RETURNING last_version",
        model->name);
    den_tx_query(tx,
                 "INSERT INTO models (" MODEL_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                 "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)");
    den_tx_text(tx, model->name);
    den_tx_int(tx, version);
    den_tx_text(tx, model->job);
    den_tx_text(tx, model->dataset);
    den_tx_text(tx, model->sha256);
    den_tx_uint(tx, model->bytes);
    den_tx_uint(tx, model->seed);
    den_tx_uint(tx, model->steps);
    den_tx_text(tx, model->method);
    den_tx_text(tx, model->preset);
    den_tx_text(tx, model->config);
    den_tx_real(tx, model->shift);
    den_tx_real(tx, model->scale);
    den_tx_int(tx, model->has_validation);
    den_tx_real(tx, model->validation_psnr);
    den_tx_int(tx, model->created_ms);
    den_tx_run(tx);
    if (tx->ok)
        model->version = version;
}

static void no_model(struct den_tx *tx, const char *name, int64_t version)
{
    if (version == 0)
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no model '%.64s'", name);
    else
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no version %lld of the model '%.64s'",
                    (long long)version, name);
}

bool den_sqlite_model_get(struct den_store *s, const char *name, int64_t version,
                          struct den_model_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_model_row row;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT " MODEL_COLUMNS " FROM models WHERE name = ?1 AND "
                      "(?2 = 0 OR version = ?2) ORDER BY version DESC LIMIT 1");
    den_tx_text(&tx, name);
    den_tx_int(&tx, version);
    if (den_tx_row(&tx))
        read_model(&tx, &row);
    else
        no_model(&tx, name, version);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

/* Cursor of all models: the name, of which the newest version gives the place in time. */
static void query_models(struct den_tx *tx, const char *after)
{
    den_tx_query(tx,
                 "WITH newest AS (SELECT " MODEL_COLUMNS " FROM models m WHERE version = "
                 "(SELECT max(version) FROM models WHERE name = m.name)) "
                 "SELECT " MODEL_COLUMNS " FROM newest WHERE ?1 = '' OR "
                 "(created_ms, name) < (SELECT created_ms, name FROM newest WHERE "
                 "name = ?1) ORDER BY created_ms DESC, name DESC LIMIT ?2");
    den_tx_text(tx, after);
}

/* Cursor of the versions of one model: the version in decimal. */
static void query_versions(struct den_tx *tx, const char *name, const char *after)
{
    den_tx_query(tx, "SELECT " MODEL_COLUMNS " FROM models WHERE name = ?1 AND "
                     "(?2 = '' OR version < CAST(?2 AS INTEGER)) "
                     "ORDER BY version DESC LIMIT ?3");
    den_tx_text(tx, name);
    den_tx_text(tx, after);
}

bool den_sqlite_model_list(struct den_store *s, const char *name, const char *after,
                           size_t limit, struct den_model_row *ret, size_t *ret_count,
                           struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    if (name == NULL)
        query_models(&tx, after);
    else
        query_versions(&tx, name, after);
    den_tx_uint(&tx, limit);
    while (count < limit && den_tx_row(&tx))
        read_model(&tx, &ret[count++]);
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

bool den_sqlite_model_delete(struct den_store *s, const char *name, int64_t version,
                             struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "SELECT id FROM jobs WHERE model = ?1 AND "
                      "(?2 = 0 OR version = ?2) AND kind <> 'train' AND state IN "
                      "('queued', 'running', 'cancelling') LIMIT 1");
    den_tx_text(&tx, name);
    den_tx_int(&tx, version);
    if (den_tx_row(&tx)) {
        char job[DEN_ID_SIZE];
        den_tx_get_text(&tx, job, sizeof job);
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "the job '%s' needs the model '%.64s' and has not ended", job, name);
    }
    den_tx_query(&tx, "DELETE FROM models WHERE name = ?1 AND (?2 = 0 OR version = ?2)");
    den_tx_text(&tx, name);
    den_tx_int(&tx, version);
    den_tx_run(&tx);
    if (den_tx_changes(&tx) == 0)
        no_model(&tx, name, version);
    return den_tx_end(&tx);
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
