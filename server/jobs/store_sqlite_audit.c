/* The audit table in SQLite; its triggers refuse every change but another row. */

#include "store_sqlite.h"

#include <string.h>

#include "actor.h"
#include "clock.h"
#include "str.h"

#define COLUMNS "seq, time_ms, owner, token, action, object, result, request, prev, hash"

/* A field that is not what it was written as may still read the same. */
static void get_text(struct den_tx *tx, char *to, size_t size, bool *odd)
{
    int column = tx->column;
    *odd = *odd || sqlite3_column_type(tx->statement, column) != SQLITE_TEXT;
    den_tx_get_text(tx, to, size);
    *odd = *odd || sqlite3_column_bytes(tx->statement, column) != (int)strlen(to);
}

static int64_t get_int(struct den_tx *tx, bool *odd)
{
    *odd = *odd || sqlite3_column_type(tx->statement, tx->column) != SQLITE_INTEGER;
    return den_tx_get_int(tx);
}

static void read_row(struct den_tx *tx, struct den_audit_row *row)
{
    *row = (struct den_audit_row){.odd = false};
    row->seq = get_int(tx, &row->odd);
    row->time_ms = get_int(tx, &row->odd);
    get_text(tx, row->owner, sizeof row->owner, &row->odd);
    get_text(tx, row->token, sizeof row->token, &row->odd);
    get_text(tx, row->action, sizeof row->action, &row->odd);
    get_text(tx, row->object, sizeof row->object, &row->odd);
    get_text(tx, row->result, sizeof row->result, &row->odd);
    get_text(tx, row->request, sizeof row->request, &row->odd);
    get_text(tx, row->prev, sizeof row->prev, &row->odd);
    get_text(tx, row->hash, sizeof row->hash, &row->odd);
}

static void insert_row(struct den_tx *tx, const struct den_audit_row *row)
{
    den_tx_query(tx, "INSERT INTO audit (" COLUMNS
                     ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
    den_tx_int(tx, row->seq);
    den_tx_int(tx, row->time_ms);
    den_tx_text(tx, row->owner);
    den_tx_text(tx, row->token);
    den_tx_text(tx, row->action);
    den_tx_text(tx, row->object);
    den_tx_text(tx, row->result);
    den_tx_text(tx, row->request);
    den_tx_text(tx, row->prev);
    den_tx_text(tx, row->hash);
    den_tx_run(tx);
}

void den_tx_audit(struct den_tx *tx, const char *action, const char *object,
                  const char *result)
{
    const struct den_actor *actor = den_actor();
    struct den_audit_row row = {.time_ms = den_wall_ms()};
    if (!tx->ok)
        return;
    (void)den_str_copy(row.owner, sizeof row.owner,
                       actor != NULL ? actor->owner : DEN_AUDIT_SYSTEM);
    (void)den_str_copy(row.token, sizeof row.token, actor != NULL ? actor->token : "");
    (void)den_str_copy(row.request, sizeof row.request,
                       actor != NULL ? actor->request : "");
    (void)den_str_copy(row.action, sizeof row.action, action);
    (void)den_str_copy(row.object, sizeof row.object, object);
    (void)den_str_copy(row.result, sizeof row.result, result);
    den_tx_query(tx, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1");
    if (den_tx_row(tx)) {
        row.seq = den_tx_get_int(tx);
        den_tx_get_text(tx, row.prev, sizeof row.prev);
    }
    row.seq++;
    den_audit_hash(&row, row.hash);
    insert_row(tx, &row);
    den_tx_idempotency(tx, object);
}

bool den_sqlite_audit_list(struct den_store *s, bool forward, int64_t from, size_t limit,
                           struct den_audit_row *ret, size_t *ret_count,
                           struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    if (forward)
        den_tx_query(&tx, "SELECT " COLUMNS
                          " FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2");
    else
        den_tx_query(&tx, "SELECT " COLUMNS " FROM audit WHERE ?1 = 0 OR seq < ?1 "
                          "ORDER BY seq DESC LIMIT ?2");
    den_tx_int(&tx, from);
    den_tx_uint(&tx, limit);
    while (count < limit && den_tx_row(&tx))
        read_row(&tx, &ret[count++]);
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

bool den_sqlite_audit_end(struct den_store *s, int64_t *ret, struct den_err *err)
{
    struct den_tx tx;
    den_tx_read(&tx, s, err);
    int64_t end =
        den_tx_number(&tx, "SELECT seq FROM sqlite_sequence WHERE name = ?1", "audit");
    if (!den_tx_end(&tx))
        return false;
    *ret = end;
    return true;
}
