/* Group commit: writers of the same moment share one transaction and so one fsync, which
 * on a disk costs more than all their queries.  Each takes its turn under the store's
 * lock; whoever ends while others queue for the lock leaves the commit to them and waits
 * for its outcome.  The last one in the queue commits for all, so a writer that is alone
 * commits at once.  What a member did is a savepoint, which goes alone when only that
 * member fails; a commit that fails fails them all, and nobody has been told otherwise.
 *
 * Nobody sees what is not durable: a reader waits until the open group has come to its
 * end, and comes before the next one, so it waits for one group at most.  For the same
 * reason a refusal within a group waits, too: it may rest on something that an earlier
 * member did. */

#include "store_sqlite.h"

#include <assert.h>

#include "ballast.h"
#include "clock.h"
#include "fault.h"
#include "migrations.h"

/* Who is refused does not hold its thread back for long, so the queue might never be
 * empty; then the group ends by its size. */
enum { GROUP_MAX = 64 };

static bool run(struct den_store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* What SQLite has just said is what all members of the group are told. */
static void note_failure(struct den_store *s)
{
    int code = sqlite3_errcode(s->db) & 0xff;
    if (code == SQLITE_IOERR || code == SQLITE_CORRUPT)
        s->broken = true;
    if (code == SQLITE_FULL) /* the next try finds room */
        (void)den_ballast_drop(s->location);
    s->failure = DEN_ERR_INIT;
    den_sqlite_err(s->db, &s->failure);
}

void den_tx_database_failed(struct den_tx *tx)
{
    if (!tx->ok)
        return; /* the first failure decides; what comes after is about that one */
    note_failure(tx->store);
    if (tx->err != NULL && tx->err->code == DEN_OK)
        *tx->err = tx->store->failure;
    tx->ok = false;
}

static void plain(struct den_tx *tx, const char *sql)
{
    if (tx->ok && !run(tx->store, sql))
        den_tx_database_failed(tx);
}

/* ---- the end of a group ---- */

/* All members hear how it went. */
static void tell(struct den_store *s, bool done)
{
    for (struct den_tx *m = s->members; m != NULL; m = m->next) {
        if (!done && m->err != NULL)
            *m->err = s->failure; /* its own refusal, if any, rested on what is gone */
        m->ok = m->ok && done;
        m->settled = true;
    }
    s->members = NULL;
    s->member_count = 0;
    s->groups++;
    atomic_store(&s->busy, false);
    assert(s->readers_due == 0); /* or the group would not have begun */
    s->readers_due = s->readers_waiting;
    s->readers_waiting = 0;
    pthread_cond_broadcast(&s->settled);
}

static void roll_back(struct den_store *s)
{
    (void)run(s, "ROLLBACK"); /* SQLite may have done so by itself */
    (void)den_err_set(&s->failure, DEN_E_INTERNAL,
                      "the database undid what was not finished"); /* if nothing else */
    tell(s, false);
}

/* A keeper asks once a second whether there is something to recover: its empty commits
 * write nothing, and would else put off for ever what waits for the store to be idle. */
static void note_change(struct den_store *s)
{
    const int64_t changes = sqlite3_total_changes64(s->db);
    if (changes == s->changes)
        return;
    s->changes = changes;
    s->dirty = true;
    s->written_at = den_monotonic_s();
}

static void commit(struct den_store *s)
{
    struct den_tx tx = {.store = s, .ok = true};
    if (s->broken) {
        roll_back(s);
        return;
    }
    DEN_FAILPOINT("commit_before");
    plain(&tx, "COMMIT");
    DEN_FAILPOINT("commit_after");
    note_change(s);
    if (tx.ok)
        tell(s, true);
    else
        roll_back(s);
}

/* ---- readers ---- */

void den_group_read(struct den_store *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->members == NULL)
        return;
    const uint64_t group = s->groups;
    s->readers_waiting++;
    while (s->groups == group)
        pthread_cond_wait(&s->settled, &s->lock);
    if (--s->readers_due == 0)
        pthread_cond_broadcast(&s->turn);
}

/* ---- writers ---- */

void den_group_join(struct den_tx *tx)
{
    struct den_store *s = tx->store;
    atomic_fetch_add(&s->writers, 1);
    pthread_mutex_lock(&s->lock);
    while (s->members == NULL && s->readers_due > 0)
        pthread_cond_wait(&s->turn, &s->lock);
    atomic_fetch_sub(&s->writers, 1);
    if (s->broken)
        den_tx_fail(tx, DEN_E_IO,
                    "the database cannot be written since an earlier failure of the "
                    "disk; restart the server");
    if (s->members == NULL) {
        s->failure = DEN_ERR_INIT;
        plain(tx, "BEGIN IMMEDIATE"); /* the first member is the transaction itself */
        atomic_store(&s->busy, tx->ok);
    } else {
        plain(tx, "SAVEPOINT member");
    }
    tx->write = tx->ok;
}

/* What the caller did is kept, or undone without the others' part. */
static bool end_part(struct den_tx *tx)
{
    struct den_store *s = tx->store;
    if ((tx->ok || run(s, "ROLLBACK TO member")) && run(s, "RELEASE member"))
        return true;
    note_failure(s);
    return false;
}

static void become_member(struct den_tx *tx)
{
    tx->next = tx->store->members;
    tx->store->members = tx;
    tx->store->member_count++;
}

void den_group_leave(struct den_tx *tx)
{
    struct den_store *s = tx->store;
    bool first = s->members == NULL, whole = true;
    if (tx->write && first && !tx->ok) {
        (void)run(s, "ROLLBACK");
        tx->write = false;
        atomic_store(&s->busy, false);
    }
    if (tx->write) {
        /* A failure of the disk or of memory may have ended the whole transaction. */
        whole = !sqlite3_get_autocommit(s->db) && (first || end_part(tx));
        become_member(tx);
    }
    if (!whole)
        roll_back(s);
    else if (s->members != NULL &&
             (s->broken || s->member_count >= GROUP_MAX || atomic_load(&s->writers) == 0))
        commit(s);
    while (tx->write && !tx->settled)
        pthread_cond_wait(&s->settled, &s->lock);
}

bool den_sqlite_busy(struct den_store *s)
{
    return atomic_load(&s->busy);
}
