/* Access tokens in SQLite. */

#include "store_sqlite.h"

#include <string.h>

#define COLUMNS \
    "id, name, owner, scopes, hash, created_ms, expires_ms, revoked_ms, used_ms"

static void read_token(struct den_tx *tx, struct den_token_row *row)
{
    *row = (struct den_token_row){.scopes = 0};
    den_tx_get_text(tx, row->id, sizeof row->id);
    den_tx_get_text(tx, row->name, sizeof row->name);
    den_tx_get_text(tx, row->owner, sizeof row->owner);
    row->scopes = (unsigned)den_tx_get_int(tx) & DEN_SCOPE_ALL;
    den_tx_get_text(tx, row->hash, sizeof row->hash);
    row->created_ms = den_tx_get_int(tx);
    row->expires_ms = den_tx_get_int(tx);
    row->revoked_ms = den_tx_get_int(tx);
    row->used_ms = den_tx_get_int(tx);
}

bool den_sqlite_token_add(struct den_store *s, const struct den_token_row *row,
                          struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    if (den_tx_number(&tx,
                      "SELECT count(*) FROM tokens WHERE revoked_ms = 0 AND name = ?1",
                      row->name) > 0)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "there is a token named '%s' already; revoke it first, or take "
                    "another name",
                    row->name);
    if (den_tx_number(&tx, "SELECT count(*) FROM tokens WHERE revoked_ms = 0 AND ?1 = ''",
                      "") >= DEN_TOKENS_MAX)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "there are %d tokens and no more may be; revoke those that are not "
                    "needed",
                    DEN_TOKENS_MAX);
    den_tx_query(&tx, "INSERT INTO tokens (" COLUMNS
                      ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0)");
    den_tx_text(&tx, row->id);
    den_tx_text(&tx, row->name);
    den_tx_text(&tx, row->owner);
    den_tx_int(&tx, row->scopes);
    den_tx_text(&tx, row->hash);
    den_tx_int(&tx, row->created_ms);
    den_tx_int(&tx, row->expires_ms);
    den_tx_run(&tx);
    den_tx_audit(&tx, "token.create", row->id, "done");
    return den_tx_end(&tx);
}

bool den_sqlite_token_list(struct den_store *s, const char *after, size_t limit,
                           struct den_token_row *ret, size_t *ret_count,
                           struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx,
                 "SELECT " COLUMNS " FROM tokens WHERE ?1 = '' OR seq < "
                 "(SELECT seq FROM tokens WHERE id = ?1) ORDER BY seq DESC LIMIT ?2");
    den_tx_text(&tx, after);
    den_tx_int(&tx, (int64_t)limit);
    while (count < limit && den_tx_row(&tx))
        read_token(&tx, &ret[count++]);
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

bool den_sqlite_token_revoke(struct den_store *s, const char *which, int64_t now_ms,
                             struct den_token_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_token_row row;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "UPDATE tokens SET revoked_ms = ?1 WHERE revoked_ms = 0 AND "
                      "(id = ?2 OR name = ?2) RETURNING " COLUMNS);
    den_tx_int(&tx, now_ms);
    den_tx_text(&tx, which);
    if (den_tx_row(&tx)) {
        read_token(&tx, &row);
        den_tx_run(&tx);
        den_tx_audit(&tx, "token.revoke", row.id, "done");
    } else
        den_tx_fail(&tx, DEN_E_NOT_FOUND, "there is no token '%.64s' that holds", which);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_token_used(struct den_store *s, const struct den_token_row *rows,
                           size_t count, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    for (size_t i = 0; i < count; i++) {
        den_tx_query(&tx, "UPDATE tokens SET used_ms = max(used_ms, ?1) WHERE id = ?2");
        den_tx_int(&tx, rows[i].used_ms);
        den_tx_text(&tx, rows[i].id);
        den_tx_run(&tx);
    }
    return den_tx_end(&tx);
}
