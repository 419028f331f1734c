/* Answers that are kept for requests with an Idempotency-Key. */

#include "store_sqlite.h"

#include <string.h>

#include "actor.h"
#include "clock.h"
#include "mem.h"

/* In the transaction of the effect: whoever finds it there finds its key, too. */
void den_tx_idempotency(struct den_tx *tx, const char *object)
{
    const struct den_actor *actor = den_actor();
    if (actor == NULL || actor->key == NULL)
        return;
    den_tx_query(tx, "INSERT INTO answers (owner, key, request_sha256, object, status, "
                     "media, location, body, created_ms) VALUES (?1, ?2, ?3, ?4, 0, '', "
                     "'', '', ?5) ON CONFLICT DO NOTHING");
    den_tx_text(tx, actor->owner);
    den_tx_text(tx, actor->key);
    den_tx_text(tx, actor->key_sha256);
    den_tx_text(tx, object);
    den_tx_int(tx, den_wall_ms());
    den_tx_run(tx);
}

bool den_sqlite_answer_get(struct den_store *s, const char *owner, const char *key,
                           struct den_answer_row *ret, bool *ret_found,
                           struct den_err *err)
{
    struct den_tx tx;
    struct den_answer_row row = {.status = 0};
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT request_sha256, object, status, media, location, body, "
                      "created_ms FROM answers WHERE owner = ?1 AND key = ?2");
    den_tx_text(&tx, owner);
    den_tx_text(&tx, key);
    bool found = den_tx_row(&tx);
    if (found) {
        den_tx_get_text(&tx, row.request_sha256, sizeof row.request_sha256);
        den_tx_get_text(&tx, row.object, sizeof row.object);
        row.status = (unsigned)den_tx_get_int(&tx);
        den_tx_get_text(&tx, row.media, sizeof row.media);
        den_tx_get_text(&tx, row.location, sizeof row.location);
        row.body = den_tx_copy_text(&tx);
        row.created_ms = den_tx_get_int(&tx);
    }
    if (!den_tx_end(&tx)) {
        den_free(row.body);
        return false;
    }
    *ret = row;
    *ret_found = found;
    return true;
}

bool den_sqlite_answer_put(struct den_store *s, const char *owner, const char *key,
                           const struct den_answer_row *row, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "UPDATE answers SET status = ?1, media = ?2, location = ?3, "
                      "body = ?4 WHERE owner = ?5 AND key = ?6");
    den_tx_int(&tx, row->status);
    den_tx_text(&tx, row->media);
    den_tx_text(&tx, row->location);
    den_tx_text(&tx, row->body);
    den_tx_text(&tx, owner);
    den_tx_text(&tx, key);
    den_tx_run(&tx);
    if (den_tx_changes(&tx) == 0) { /* it had no effect, which may be asked for often */
        den_tx_query(&tx, "INSERT INTO answers (owner, key, request_sha256, object, "
                          "status, media, location, body, created_ms) SELECT ?1, ?2, ?3, "
                          "'', ?4, ?5, ?6, ?7, ?8 WHERE (SELECT count(*) FROM answers "
                          "WHERE owner = ?1) < ?9");
        den_tx_text(&tx, owner);
        den_tx_text(&tx, key);
        den_tx_text(&tx, row->request_sha256);
        den_tx_int(&tx, row->status);
        den_tx_text(&tx, row->media);
        den_tx_text(&tx, row->location);
        den_tx_text(&tx, row->body);
        den_tx_int(&tx, row->created_ms);
        den_tx_int(&tx, DEN_ANSWERS_MAX);
        den_tx_run(&tx);
    }
    return den_tx_end(&tx);
}

bool den_sqlite_answer_drop(struct den_store *s, const char *owner, const char *key,
                            int64_t before_ms, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "DELETE FROM answers WHERE created_ms < ?1 AND (?2 = '' OR "
                      "(owner = ?2 AND key = ?3))");
    den_tx_int(&tx, before_ms);
    den_tx_text(&tx, owner);
    den_tx_text(&tx, key);
    den_tx_run(&tx);
    return den_tx_end(&tx);
}
