/* Quotas: what owners have, and whether it may be more. */

#include "store_sqlite.h"

#include <math.h>

#include "clock.h"
#include "str.h"

static const double MIB = 1 << 20;

void den_sqlite_set_quotas(struct den_store *s, const struct den_quotas *quotas)
{
    pthread_mutex_lock(&s->lock);
    s->quotas = *quotas;
    pthread_mutex_unlock(&s->lock);
}

/* Classes are few, so that this is a handful of rows. */
static int64_t queued_by(struct den_tx *tx, const char *owner)
{
    return den_tx_number(
        tx, "SELECT sum(waiting) FROM lines WHERE class BETWEEN 0 AND 3 AND owner = ?1",
        owner);
}

static int64_t running_of(struct den_tx *tx, const char *owner)
{
    return den_tx_number(
        tx, "SELECT sum(running) FROM lines WHERE class BETWEEN 0 AND 3 AND owner = ?1",
        owner);
}

static int64_t stored_by(struct den_tx *tx, const char *owner)
{
    return den_tx_number(tx, "SELECT bytes FROM stored WHERE owner = ?1", owner);
}

static double computed_by(struct den_tx *tx, const char *owner, int64_t now_ms)
{
    den_tx_query(tx, "SELECT seconds FROM usage WHERE owner = ?1 AND day = ?2");
    den_tx_text(tx, owner);
    den_tx_int(tx, den_quota_day(now_ms));
    return den_tx_row(tx) ? den_tx_get_real(tx) : 0;
}

static void refuse(struct den_tx *tx, int retry_s, int64_t limit, int64_t actual,
                   const char *text)
{
    den_err_limit(tx->err, DEN_E_BUSY, limit, actual, "%s", text);
    if (tx->err != NULL)
        tx->err->retry_s = retry_s;
    tx->ok = false;
}

/* To the hundredth: in whole MiB a small file, or a small quota, would read as nothing.
 */
static void write_stored(const struct den_quotas *q, int64_t stored, const char *end,
                         char *to, size_t size)
{
    den_str_format(
        to, size, "your images, results and models take %.2f MiB and may take %lld; %s",
        (double)stored / MIB, (long long)(q->stored_bytes / (int64_t)MIB), end);
}

void den_tx_admit_job(struct den_tx *tx, const char *owner)
{
    enum { SOON_S = 10 };
    const struct den_quotas *q = &tx->store->quotas;
    const int64_t now = den_wall_ms();
    char text[200];
    int64_t queued = q->queued_jobs > 0 && tx->ok ? queued_by(tx, owner) : 0;
    if (tx->ok && q->queued_jobs > 0 && queued >= q->queued_jobs) {
        den_str_format(text, sizeof text,
                       "%lld of your jobs are waiting and no more than %lld may; try "
                       "later",
                       (long long)queued, (long long)q->queued_jobs);
        refuse(tx, SOON_S, q->queued_jobs, queued, text);
    }
    int64_t stored = q->stored_bytes > 0 && tx->ok ? stored_by(tx, owner) : 0;
    if (tx->ok && q->stored_bytes > 0 && stored >= q->stored_bytes) {
        write_stored(q, stored, "delete some", text, sizeof text);
        refuse(tx, SOON_S, q->stored_bytes, stored, text);
    }
    double seconds = q->compute_s > 0 && tx->ok ? computed_by(tx, owner, now) : 0;
    if (tx->ok && q->compute_s > 0 && seconds >= (double)q->compute_s) {
        den_str_format(text, sizeof text,
                       "your jobs were at work for %.0f seconds today and may be for "
                       "%lld; try tomorrow, UTC",
                       seconds, (long long)q->compute_s);
        refuse(tx, den_quota_seconds_left(now), q->compute_s, (int64_t)seconds, text);
    }
}

void den_tx_admit_bytes(struct den_tx *tx, const char *owner, uint64_t bytes)
{
    enum { LATER_S = 60 };
    const struct den_quotas *q = &tx->store->quotas;
    char text[200], more[64];
    if (q->stored_bytes == 0 || !tx->ok)
        return;
    int64_t stored = stored_by(tx, owner);
    if (!tx->ok || (bytes <= INT64_MAX - (uint64_t)stored &&
                    stored + (int64_t)bytes <= q->stored_bytes))
        return;
    den_str_format(more, sizeof more, "%.2f MiB more is too much",
                   ceil(100 * (double)bytes / MIB) / 100);
    write_stored(q, stored, more, text, sizeof text);
    refuse(tx, LATER_S, q->stored_bytes, stored + (int64_t)bytes, text);
}

/* On the day on which the attempt ends; what is older than a month goes. */
void den_tx_count_seconds(struct den_tx *tx, const struct den_lease *lease)
{
    enum { DAYS_KEPT = 31 };
    const int64_t day = den_quota_day(den_wall_ms());
    if (!isfinite(lease->seconds) || lease->seconds <= 0)
        return;
    den_tx_query(tx, "INSERT INTO usage SELECT owner, ?2, ?3 FROM jobs WHERE id = ?1 "
                     "ON CONFLICT (owner, day) DO UPDATE SET seconds = seconds + "
                     "excluded.seconds");
    den_tx_text(tx, lease->job);
    den_tx_int(tx, day);
    den_tx_real(tx, lease->seconds);
    den_tx_run(tx);
    den_tx_query(tx, "DELETE FROM usage WHERE owner = (SELECT owner FROM jobs WHERE id = "
                     "?1) AND day < ?2");
    den_tx_text(tx, lease->job);
    den_tx_int(tx, day - DAYS_KEPT);
    den_tx_run(tx);
}

bool den_sqlite_usage(struct den_store *s, const char *owner, struct den_quota_usage *ret,
                      struct den_err *err)
{
    struct den_tx tx;
    den_tx_read(&tx, s, err);
    struct den_quota_usage usage = {.queued_jobs = queued_by(&tx, owner),
                                    .running_jobs = running_of(&tx, owner),
                                    .stored_bytes = stored_by(&tx, owner),
                                    .compute_s = computed_by(&tx, owner, den_wall_ms())};
    if (!den_tx_end(&tx))
        return false;
    *ret = usage;
    return true;
}
