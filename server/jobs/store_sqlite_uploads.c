/* Uploads in parts: whose they are, and what they become. */

#include "store_sqlite.h"

#define COLUMNS "id, owner, name, length, image, created_ms, expires_ms"

bool den_sqlite_upload_add(struct den_store *s, const struct den_upload_row *row,
                           size_t most, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    int64_t open = den_tx_number(
        &tx, "SELECT count(*) FROM uploads WHERE owner = ?1 AND image = ''", row->owner);
    if (tx.ok && (uint64_t)open >= most) {
        den_err_limit(err, DEN_E_BUSY, (int64_t)most, open,
                      "%lld uploads have been begun and not ended, and no more than %zu "
                      "may; end or remove one",
                      (long long)open, most);
        tx.ok = false;
    }
    /* What is on its way takes room as what is there. */
    int64_t coming = den_tx_number(
        &tx,
        "SELECT coalesce(sum(length), 0) FROM uploads WHERE owner = ?1 AND image = ''",
        row->owner);
    den_tx_admit_bytes(&tx, row->owner, row->length + (uint64_t)coming);
    den_tx_query(&tx, "INSERT INTO uploads (" COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
                      "?7)");
    den_tx_text(&tx, row->id);
    den_tx_text(&tx, row->owner);
    den_tx_text(&tx, row->name);
    den_tx_uint(&tx, row->length);
    den_tx_text(&tx, row->image);
    den_tx_int(&tx, row->created_ms);
    den_tx_int(&tx, row->expires_ms);
    den_tx_run(&tx);
    den_tx_audit(&tx, "upload.create", row->id, "done");
    return den_tx_end(&tx);
}

bool den_sqlite_upload_get(struct den_store *s, const char *owner, const char *id,
                           struct den_upload_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_upload_row row = {0};
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT " COLUMNS " FROM uploads WHERE id = ?1 AND owner = ?2");
    den_tx_text(&tx, id);
    den_tx_text(&tx, owner);
    if (den_tx_row(&tx)) {
        den_tx_get_text(&tx, row.id, sizeof row.id);
        den_tx_get_text(&tx, row.owner, sizeof row.owner);
        den_tx_get_text(&tx, row.name, sizeof row.name);
        row.length = den_tx_get_uint(&tx);
        den_tx_get_text(&tx, row.image, sizeof row.image);
        row.created_ms = den_tx_get_int(&tx);
        row.expires_ms = den_tx_get_int(&tx);
    } else {
        den_tx_fail(&tx, DEN_E_NOT_FOUND, "there is no upload '%.40s'", id);
    }
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

/* One change of the row `id`; when it is gone there is nothing to change. */
static void update(struct den_tx *tx, const char *id)
{
    den_tx_text(tx, id);
    den_tx_run(tx);
    if (den_tx_changes(tx) == 0)
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no upload '%.40s'", id);
}

bool den_sqlite_upload_touch(struct den_store *s, const char *id, int64_t expires_ms,
                             struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "UPDATE uploads SET expires_ms = ?1 WHERE id = ?2");
    den_tx_int(&tx, expires_ms);
    update(&tx, id);
    return den_tx_end(&tx);
}

bool den_sqlite_upload_done(struct den_store *s, const char *id, const char *image,
                            struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "UPDATE uploads SET image = ?1 WHERE id = ?2");
    den_tx_text(&tx, image);
    update(&tx, id);
    return den_tx_end(&tx);
}

bool den_sqlite_upload_delete(struct den_store *s, const char *owner, const char *id,
                              struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "DELETE FROM uploads WHERE owner = ?1 AND id = ?2");
    den_tx_text(&tx, owner);
    update(&tx, id);
    den_tx_audit(&tx, "upload.delete", id, "done");
    return den_tx_end(&tx);
}

bool den_sqlite_upload_live(struct den_store *s, const char *id, bool *ret,
                            struct den_err *err)
{
    struct den_tx tx;
    den_tx_read(&tx, s, err);
    int64_t count = den_tx_number(
        &tx, "SELECT count(*) FROM uploads WHERE id = ?1 AND image = ''", id);
    if (!den_tx_end(&tx))
        return false;
    *ret = count > 0;
    return true;
}

bool den_sqlite_upload_expire(struct den_store *s, int64_t now_ms, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    (void)den_tx_expire(&tx, "SELECT id FROM uploads WHERE expires_ms < ?1 LIMIT ?2",
                        "DELETE FROM uploads WHERE id = ?1", "upload.expire", now_ms);
    return den_tx_end(&tx);
}
