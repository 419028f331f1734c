/* Names for versions of models. */

#include "store_sqlite.h"

#include "clock.h"
#include "str.h"

/* Of the model `?2` that `?1` sees: his own, or else the one that is shared. */
#define OWNER                                                                       \
    "(SELECT owner FROM model_names n WHERE n.name = ?2 AND (n.owner = ?1 OR "      \
    "n.shared = 1) AND EXISTS (SELECT 1 FROM models m WHERE m.owner = n.owner AND " \
    "m.name = n.name) ORDER BY n.owner <> ?1 LIMIT 1)"
#define COLUMNS "name, alias, version, previous, updated_ms"

static void read_alias(struct den_tx *tx, struct den_alias_row *row)
{
    *row = (struct den_alias_row){0};
    den_tx_get_text(tx, row->model, sizeof row->model);
    den_tx_get_text(tx, row->name, sizeof row->name);
    row->version = den_tx_get_int(tx);
    row->previous = den_tx_get_int(tx);
    row->updated_ms = den_tx_get_int(tx);
}

static bool find(struct den_tx *tx, const char *owner, const char *model,
                 const char *name, struct den_alias_row *ret)
{
    den_tx_query(tx, "SELECT " COLUMNS " FROM aliases WHERE owner = " OWNER
                     " AND name = ?2 AND alias = ?3");
    den_tx_text(tx, owner);
    den_tx_text(tx, model);
    den_tx_text(tx, name);
    bool found = den_tx_row(tx);
    if (found)
        read_alias(tx, ret);
    return found;
}

static void none(struct den_tx *tx, const char *model, const char *name)
{
    den_tx_fail(tx, DEN_E_NOT_FOUND, "the model '%.64s' has no alias '%.64s'", model,
                name);
}

bool den_sqlite_alias_get(struct den_store *s, const char *owner, const char *model,
                          const char *name, struct den_alias_row *ret,
                          struct den_err *err)
{
    struct den_tx tx;
    struct den_alias_row row;
    den_tx_read(&tx, s, err);
    if (!find(&tx, owner, model, name, &row))
        none(&tx, model, name);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_alias_list(struct den_store *s, const char *owner, const char *model,
                           struct den_alias_row *ret, size_t *ret_count,
                           struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT " COLUMNS " FROM aliases WHERE owner = " OWNER
                      " AND name = ?2 ORDER BY alias");
    den_tx_text(&tx, owner);
    den_tx_text(&tx, model);
    while (count < DEN_ALIASES && den_tx_row(&tx))
        read_alias(&tx, &ret[count++]);
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

static void put(struct den_tx *tx, const char *owner, const struct den_alias_row *row)
{
    den_tx_query(tx, "INSERT INTO aliases (owner, " COLUMNS ") VALUES (?1, ?2, ?3, ?4, "
                     "?5, ?6) ON CONFLICT (owner, name, alias) DO UPDATE SET "
                     "version = excluded.version, previous = excluded.previous, "
                     "updated_ms = excluded.updated_ms");
    den_tx_text(tx, owner);
    den_tx_text(tx, row->model);
    den_tx_text(tx, row->name);
    den_tx_int(tx, row->version);
    den_tx_int(tx, row->previous);
    den_tx_int(tx, row->updated_ms);
    den_tx_run(tx);
}

/* A model has few of them. */
static void need_room(struct den_tx *tx, const char *owner, const char *model)
{
    int64_t count = den_tx_owned(
        tx, "SELECT count(*) FROM aliases WHERE owner = ?1 AND name = ?2", owner, model);
    if (count >= DEN_ALIASES)
        den_tx_fail(tx, DEN_E_CONFLICT, "the model '%.64s' has %d aliases already", model,
                    DEN_ALIASES);
}

static void need_version(struct den_tx *tx, const struct den_alias_row *row,
                         int64_t if_version)
{
    if (if_version < 0 || row->version == if_version)
        return;
    if (row->version == 0)
        den_tx_fail(tx, DEN_E_CONFLICT, "the model '%.64s' has no alias '%s'", row->model,
                    row->name);
    else
        den_tx_fail(tx, DEN_E_CONFLICT,
                    "the '%s' of the model '%.64s' is version %lld by now", row->name,
                    row->model, (long long)row->version);
}

static void audit(struct den_tx *tx, const char *action, const char *model,
                  const char *alias)
{
    char object[160];
    den_str_format(object, sizeof object, "%s@%s", model, alias);
    den_tx_audit(tx, action, object, "done");
}

bool den_sqlite_alias_set(struct den_store *s, const char *owner,
                          struct den_alias_row *ret, int64_t if_version,
                          struct den_err *err)
{
    struct den_tx tx;
    struct den_alias_row row = {0};
    den_tx_write(&tx, s, err);
    den_tx_own_model(&tx, owner, ret->model, ret->version);
    if (!find(&tx, owner, ret->model, ret->name, &row)) {
        row = *ret;
        row.version = 0;
        need_room(&tx, owner, ret->model);
    }
    need_version(&tx, &row, if_version);
    if (row.version != ret->version) {
        row.previous = row.version;
        row.version = ret->version;
        row.updated_ms = den_wall_ms();
        put(&tx, owner, &row);
        audit(&tx, "alias.set", row.model, row.name);
    }
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_alias_rollback(struct den_store *s, const char *owner, const char *model,
                               const char *name, struct den_alias_row *ret,
                               struct den_err *err)
{
    struct den_tx tx;
    struct den_alias_row row = {0};
    den_tx_write(&tx, s, err);
    den_tx_own_model(&tx, owner, model, 0);
    if (!find(&tx, owner, model, name, &row))
        none(&tx, model, name);
    else if (row.previous == 0)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "the '%s' of the model '%.64s' has been version %lld from the "
                    "beginning; there is none to go back to",
                    row.name, row.model, (long long)row.version);
    else {
        int64_t back = row.previous;
        den_tx_own_model(&tx, owner, model, back);
        row.previous = row.version;
        row.version = back;
        row.updated_ms = den_wall_ms();
        put(&tx, owner, &row);
        audit(&tx, "alias.rollback", row.model, row.name);
    }
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_alias_delete(struct den_store *s, const char *owner, const char *model,
                             const char *name, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_own_model(&tx, owner, model, 0);
    den_tx_query(&tx,
                 "DELETE FROM aliases WHERE owner = ?1 AND name = ?2 AND alias = ?3");
    den_tx_text(&tx, owner);
    den_tx_text(&tx, model);
    den_tx_text(&tx, name);
    den_tx_run(&tx);
    if (den_tx_changes(&tx) == 0)
        none(&tx, model, name);
    audit(&tx, "alias.delete", model, name);
    return den_tx_end(&tx);
}
