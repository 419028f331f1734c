/* The outbox: who wants to be told of the end of a job.  A row waits until its job has
 * ended; its end is what it is for, so that a job that is tried again is told of anew. */

#include "store_sqlite.h"

void den_tx_add_webhook(struct den_tx *tx, const char *job, const char *url)
{
    if (url[0] == '\0')
        return;
    den_tx_query(tx, "INSERT INTO webhooks (job, url, attempts, next_ms, told_ms) "
                     "VALUES (?1, ?2, 0, 0, 0)");
    den_tx_text(tx, job);
    den_tx_text(tx, url);
    den_tx_run(tx);
}

void den_tx_renew_webhook(struct den_tx *tx, const char *job)
{
    den_tx_query(tx, "UPDATE webhooks SET next_ms = 0 WHERE job = ?1");
    den_tx_text(tx, job);
    den_tx_run(tx);
}

bool den_sqlite_webhook_due(struct den_store *s, int64_t now_ms,
                            struct den_webhook_row *ret, bool *ret_found,
                            struct den_err *err)
{
    struct den_tx tx;
    struct den_webhook_row row = {.attempts = 0};
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT w.job, j.owner, w.url, w.attempts, j.finished_ms "
                      "FROM webhooks w JOIN jobs j ON j.id = w.job "
                      "WHERE j.finished_ms > 0 AND w.told_ms <> j.finished_ms AND "
                      "w.next_ms <= ?1 ORDER BY w.next_ms, w.job LIMIT 1");
    den_tx_int(&tx, now_ms);
    bool found = den_tx_row(&tx);
    if (found) {
        den_tx_get_text(&tx, row.job, sizeof row.job);
        den_tx_get_text(&tx, row.owner, sizeof row.owner);
        den_tx_get_text(&tx, row.url, sizeof row.url);
        row.attempts = den_tx_get_int(&tx);
        row.finished_ms = den_tx_get_int(&tx);
    }
    if (!den_tx_end(&tx))
        return false;
    *ret_found = found;
    if (found)
        *ret = row;
    return true;
}

bool den_sqlite_webhook_told(struct den_store *s, const char *job, int64_t told_ms,
                             struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    /* Out of the way of those that wait, until the job is tried again. */
    den_tx_query(&tx, "UPDATE webhooks SET told_ms = ?1, attempts = 0, "
                      "next_ms = 9223372036854775807 WHERE job = ?2");
    den_tx_int(&tx, told_ms);
    den_tx_text(&tx, job);
    den_tx_run(&tx);
    return den_tx_end(&tx);
}

bool den_sqlite_webhook_later(struct den_store *s, const char *job, int64_t next_ms,
                              struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "UPDATE webhooks SET attempts = attempts + 1, next_ms = ?1 "
                      "WHERE job = ?2");
    den_tx_int(&tx, next_ms);
    den_tx_text(&tx, job);
    den_tx_run(&tx);
    return den_tx_end(&tx);
}
