/* Models: of their owners, and those that are shared. */

#include "store_sqlite.h"

#include <string.h>

#include "str.h"

/* With n, their name; both have the columns that a query of m and n gives. */
#define MODEL_COLUMNS                                                             \
    "m.owner, m.name, m.version, m.job, m.dataset, m.sha256, m.bytes, m.seed, "   \
    "m.steps, m.method, m.preset, m.config, m.shift, m.scale, m.has_validation, " \
    "m.validation_psnr, m.created_ms"
#define MODELS "models m JOIN model_names n ON n.owner = m.owner AND n.name = m.name"
/* What ?1 may see: his own models, and those that others share, but for names that he
 * has himself. */
#define VISIBLE                                                                    \
    "(m.owner = ?1 OR (n.shared = 1 AND NOT EXISTS (SELECT 1 FROM models o WHERE " \
    "o.owner = ?1 AND o.name = m.name)))"

static void read_model(struct den_tx *tx, struct den_model_row *row)
{
    *row = (struct den_model_row){0};
    den_tx_get_text(tx, row->owner, sizeof row->owner);
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
    row->shared = den_tx_get_int(tx) != 0;
}

static void owner_of_job(struct den_tx *tx, const char *job, char *to, size_t size)
{
    den_tx_query(tx, "SELECT owner FROM jobs WHERE id = ?1");
    den_tx_text(tx, job);
    if (den_tx_row(tx))
        den_tx_get_text(tx, to, size);
    else
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no job '%.40s'", job);
}

/* UPSERT and RETURNING in one: the first version of a name is 1, each later one more than
 * any that was ever given. */
void den_tx_add_model(struct den_tx *tx, const char *job, struct den_model_row *model)
{
    owner_of_job(tx, job, model->owner, sizeof model->owner);
    int64_t version =
        den_tx_owned(tx,
                     "INSERT INTO model_names (owner, name, last_version, shared) "
                     "VALUES (?1, ?2, 1, 0) ON CONFLICT (owner, name) DO UPDATE SET "
                     "last_version = last_version + 1 RETURNING last_version",
                     model->owner, model->name);
    den_tx_query(tx,
                 "INSERT INTO models (owner, name, version, job, dataset, sha256, bytes, "
                 "seed, steps, method, preset, config, shift, scale, has_validation, "
                 "validation_psnr, created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
                 "?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)");
    den_tx_text(tx, model->owner);
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
    char object[160];
    den_str_format(object, sizeof object, "%s@%lld", model->name, (long long)version);
    den_tx_audit(tx, "model.create", object, "done");
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

/* sql: of ?1 = owner, ?2 = name, ?3 = version. */
static void get_row(struct den_tx *tx, const char *sql, const char *owner,
                    const char *name, int64_t version, struct den_model_row *row)
{
    den_tx_query(tx, sql);
    den_tx_text(tx, owner);
    den_tx_text(tx, name);
    den_tx_int(tx, version);
    if (den_tx_row(tx))
        read_model(tx, row);
    else
        no_model(tx, name, version);
}

static bool get(struct den_store *s, const char *sql, const char *owner, const char *name,
                int64_t version, struct den_model_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_model_row row;
    den_tx_read(&tx, s, err);
    get_row(&tx, sql, owner, name, version, &row);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

#define THIS_VERSION \
    "m.name = ?2 AND (?3 = 0 OR m.version = ?3) ORDER BY m.version DESC LIMIT 1"
#define OWN_MODEL                                     \
    "SELECT " MODEL_COLUMNS ", n.shared FROM " MODELS \
    " WHERE m.owner = ?1 AND " THIS_VERSION

bool den_sqlite_model_get(struct den_store *s, const char *owner, const char *name,
                          int64_t version, struct den_model_row *ret, struct den_err *err)
{
    return get(s,
               "SELECT " MODEL_COLUMNS ", n.shared FROM " MODELS " WHERE " VISIBLE
               " AND " THIS_VERSION,
               owner, name, version, ret, err);
}

bool den_sqlite_model_own(struct den_store *s, const char *owner, const char *name,
                          int64_t version, struct den_model_row *ret, struct den_err *err)
{
    return get(s, OWN_MODEL, owner, name, version, ret, err);
}

/* Cursor of all models: the name, of which the newest version gives the place in time.
 * Of what is visible, no two have one name. */
static void query_models(struct den_tx *tx, const char *owner, const char *after)
{
    den_tx_query(tx,
                 "WITH newest AS (SELECT " MODEL_COLUMNS ", n.shared FROM " MODELS
                 " WHERE " VISIBLE " AND m.version = (SELECT max(version) FROM models "
                 "WHERE owner = m.owner AND name = m.name)) "
                 "SELECT * FROM newest WHERE ?2 = '' OR (created_ms, name) < "
                 "(SELECT created_ms, name FROM newest WHERE name = ?2) "
                 "ORDER BY created_ms DESC, name DESC LIMIT ?3");
    den_tx_text(tx, owner);
    den_tx_text(tx, after);
}

/* Cursor of the versions of one model: the version in decimal. */
static void query_versions(struct den_tx *tx, const char *owner, const char *name,
                           const char *after)
{
    den_tx_query(tx, "SELECT " MODEL_COLUMNS ", n.shared FROM " MODELS " WHERE " VISIBLE
                     " AND m.name = ?2 AND (?3 = '' OR m.version < CAST(?3 AS INTEGER)) "
                     "ORDER BY m.version DESC LIMIT ?4");
    den_tx_text(tx, owner);
    den_tx_text(tx, name);
    den_tx_text(tx, after);
}

bool den_sqlite_model_list(struct den_store *s, const char *owner, const char *name,
                           const char *after, size_t limit, struct den_model_row *ret,
                           size_t *ret_count, struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    if (name == NULL)
        query_models(&tx, owner, after);
    else
        query_versions(&tx, owner, name, after);
    den_tx_uint(&tx, limit);
    while (count < limit && den_tx_row(&tx))
        read_model(&tx, &ret[count++]);
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

void den_tx_own_model(struct den_tx *tx, const char *owner, const char *name,
                      int64_t version)
{
    char whose[DEN_OWNER_SIZE];
    den_tx_query(tx,
                 "SELECT m.owner FROM " MODELS " WHERE " VISIBLE " AND " THIS_VERSION);
    den_tx_text(tx, owner);
    den_tx_text(tx, name);
    den_tx_int(tx, version);
    if (!den_tx_row(tx)) {
        no_model(tx, name, version);
        return;
    }
    den_tx_get_text(tx, whose, sizeof whose);
    if (strcmp(whose, owner) != 0)
        den_tx_fail(tx, DEN_E_FORBIDDEN,
                    "the model '%.64s' is shared by '%s', and only its owner can change "
                    "or delete it",
                    name, whose);
}

/* The whole of a model goes with its aliases. */
static void need_no_alias(struct den_tx *tx, const char *owner, const char *name,
                          int64_t version)
{
    char alias[DEN_ALIAS_SIZE];
    den_tx_query(tx, "SELECT alias FROM aliases WHERE owner = ?1 AND name = ?2 AND "
                     "version = ?3 LIMIT 1");
    den_tx_text(tx, owner);
    den_tx_text(tx, name);
    den_tx_int(tx, version);
    if (!den_tx_row(tx))
        return;
    den_tx_get_text(tx, alias, sizeof alias);
    den_tx_fail(tx, DEN_E_CONFLICT,
                "version %lld of the model '%.64s' is its '%s'; let that name another "
                "version first",
                (long long)version, name, alias);
}

/* Whoever's the job is. */
static void need_unused(struct den_tx *tx, const char *owner, const char *name,
                        int64_t version)
{
    char job[DEN_ID_SIZE], whose[DEN_OWNER_SIZE];
    den_tx_query(tx, "SELECT id, owner FROM jobs WHERE model_owner = ?1 AND model = ?2 "
                     "AND (?3 = 0 OR version = ?3) AND kind <> 'train' AND state IN "
                     "('queued', 'running', 'cancelling') ORDER BY owner <> ?1 LIMIT 1");
    den_tx_text(tx, owner);
    den_tx_text(tx, name);
    den_tx_int(tx, version);
    if (!den_tx_row(tx))
        return;
    den_tx_get_text(tx, job, sizeof job);
    den_tx_get_text(tx, whose, sizeof whose);
    if (strcmp(whose, owner) == 0)
        den_tx_fail(tx, DEN_E_CONFLICT,
                    "the job '%s' needs the model '%.64s' and has not ended", job, name);
    else
        den_tx_fail(tx, DEN_E_CONFLICT,
                    "a job of another user needs the model '%.64s' and has not ended",
                    name);
}

bool den_sqlite_model_delete(struct den_store *s, const char *owner, const char *name,
                             int64_t version, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_own_model(&tx, owner, name, version);
    need_unused(&tx, owner, name, version);
    need_no_alias(&tx, owner, name, version);
    den_tx_query(&tx, "DELETE FROM aliases WHERE owner = ?1 AND name = ?2 AND ?3 = 0");
    den_tx_text(&tx, owner);
    den_tx_text(&tx, name);
    den_tx_int(&tx, version);
    den_tx_run(&tx);
    den_tx_query(&tx, "DELETE FROM models WHERE owner = ?1 AND name = ?2 AND "
                      "(?3 = 0 OR version = ?3)");
    den_tx_text(&tx, owner);
    den_tx_text(&tx, name);
    den_tx_int(&tx, version);
    den_tx_run(&tx);
    /* A name without versions is in nobody's way. */
    den_tx_query(&tx, "UPDATE model_names SET shared = 0 WHERE owner = ?1 AND name = ?2 "
                      "AND NOT EXISTS (SELECT 1 FROM models WHERE owner = ?1 AND "
                      "name = ?2)");
    den_tx_text(&tx, owner);
    den_tx_text(&tx, name);
    den_tx_run(&tx);
    char object[160];
    if (version == 0)
        den_str_copy(object, sizeof object, name);
    else
        den_str_format(object, sizeof object, "%s@%lld", name, (long long)version);
    den_tx_audit(&tx, "model.delete", object, "done");
    return den_tx_end(&tx);
}

bool den_sqlite_model_share(struct den_store *s, const char *owner, const char *name,
                            bool shared, struct den_model_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_model_row row;
    den_tx_write(&tx, s, err);
    den_tx_own_model(&tx, owner, name, 0);
    if (shared && den_tx_owned(&tx,
                               "SELECT 1 FROM model_names WHERE owner <> ?1 AND "
                               "name = ?2 AND shared = 1",
                               owner, name) != 0)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "another shares a model '%.64s' already, and a shared name must be "
                    "unique",
                    name);
    den_tx_query(&tx,
                 "UPDATE model_names SET shared = ?1 WHERE owner = ?2 AND name = ?3");
    den_tx_int(&tx, shared);
    den_tx_text(&tx, owner);
    den_tx_text(&tx, name);
    den_tx_run(&tx);
    den_tx_audit(&tx, shared ? "model.share" : "model.unshare", name, "done");
    get_row(&tx, OWN_MODEL, owner, name, 0, &row);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}
