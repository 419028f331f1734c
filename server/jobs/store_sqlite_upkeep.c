/* What keeps a database in order: copies, checks, and an end to what is old. */

#include "store_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ballast.h"
#include "clock.h"
#include "fs.h"
#include "migrations.h"
#include "str.h"

/* ---- copy ---- */

static bool sync_file(const char *path, struct den_err *err)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return den_err_sys(err, errno, "the copy of the database cannot be opened");
    bool done =
        fsync(fd) == 0 ||
        den_err_sys(err, errno, "the copy of the database cannot be written to disk");
    close(fd);
    return done;
}

/* Some pages at a time with the lock given back in between, so that nobody waits long.
 * Pages that change meanwhile go through the same connection, which brings them to the
 * copy as well: it shows the moment of the last step [sqlite.org/backup.html]. */
static bool copy_pages(struct den_store *s, sqlite3_backup *copy)
{
    enum { PAGES = 256 };
    int code = SQLITE_OK;
    while (code == SQLITE_OK) {
        den_group_read(s); /* what is not committed has no place in a copy */
        code = sqlite3_backup_step(copy, PAGES);
        pthread_mutex_unlock(&s->lock);
    }
    return code == SQLITE_DONE;
}

bool den_sqlite_backup(struct den_store *s, const char *location, struct den_err *err)
{
    sqlite3 *to = NULL;
    bool done = false;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(location, &to, flags, NULL) != SQLITE_OK) {
        den_err_set(err, DEN_E_IO, "the copy of the database cannot be made");
        goto out;
    }
    den_group_read(s);
    sqlite3_backup *copy = sqlite3_backup_init(to, "main", s->db, "main");
    pthread_mutex_unlock(&s->lock);
    if (copy == NULL) {
        den_sqlite_err(to, err);
        goto out;
    }
    done = copy_pages(s, copy);
    den_group_read(s);
    sqlite3_backup_finish(copy);
    pthread_mutex_unlock(&s->lock);
    if (!done)
        den_sqlite_err(to, err);
out:
    if (sqlite3_close(to) != SQLITE_OK && done)
        done = den_err_set(err, DEN_E_IO, "the copy of the database cannot be closed");
    return done && sync_file(location, err);
}

/* ---- tidy ---- */

/* The log is emptied when nobody has written for a while: a start after a crash has
 * nothing to replay then, and the log's room is free. */
bool den_sqlite_tidy(struct den_store *s, struct den_err *err)
{
    const double idle_s = 5;
    struct den_tx tx;
    den_tx_read(&tx, s, err);
    if (s->dirty && !s->broken && den_monotonic_s() - s->written_at >= idle_s) {
        den_tx_query(&tx, "PRAGMA wal_checkpoint(TRUNCATE)");
        den_tx_run(&tx);
        s->dirty = !tx.ok;
    }
    return den_tx_end(&tx);
}

bool den_sqlite_ballast(struct den_store *s, uint64_t bytes, uint64_t spare,
                        struct den_err *err)
{
    return den_ballast_keep(s->location, bytes, spare, err);
}

/* ---- check ---- */

static void say_rows(struct den_tx *tx, const char *sql,
                     bool (*say)(void *, const char *), void *context, size_t *found)
{
    char text[300], line[400];
    den_tx_query(tx, sql);
    while (den_tx_row(tx)) {
        den_tx_get_text(tx, text, sizeof text);
        if (strcmp(text, "ok") == 0)
            continue;
        (void)den_str_format(line, sizeof line, "database: %s", text);
        (void)say(context, line);
        ++*found;
    }
}

bool den_sqlite_check(struct den_store *s, bool (*say)(void *, const char *),
                      void *context, size_t *ret_found, struct den_err *err)
{
    struct den_tx tx;
    size_t found = 0;
    den_tx_read(&tx, s, err);
    say_rows(&tx, "PRAGMA integrity_check(100)", say, context, &found);
    say_rows(&tx,
             "SELECT 'a row of ' || \"table\" || ' names one of ' || \"parent\" || "
             "' that is not there' FROM pragma_foreign_key_check LIMIT 100",
             say, context, &found);
    if (!den_tx_end(&tx))
        return false;
    *ret_found = found;
    return true;
}

/* ---- blobs and age ---- */

#define NAMED                                                     \
    "SELECT sha256, 'image ' || id, bytes FROM images UNION ALL " \
    "SELECT result_sha256, 'the result of ' || id, -1 FROM jobs " \
    "WHERE result_sha256 <> '' UNION ALL "                        \
    "SELECT sha256, 'model ' || name || '@' || version, bytes FROM models"

/* Whole pages of rows, so that visit can take its time without the lock. */
bool den_sqlite_blob_each(struct den_store *s,
                          bool (*visit)(void *, const char *, const char *, int64_t,
                                        struct den_err *),
                          void *context, struct den_err *err)
{
    enum { ROWS = 64 };
    struct {
        char sha256[DEN_SHA256_SIZE], what[160];
        int64_t bytes;
    } rows[ROWS];
    for (int64_t from = 0;; from += ROWS) {
        struct den_tx tx;
        size_t count = 0;
        den_tx_read(&tx, s, err);
        den_tx_query(&tx, NAMED " ORDER BY 1, 2 LIMIT ?1 OFFSET ?2");
        den_tx_int(&tx, ROWS);
        den_tx_int(&tx, from);
        for (; count < ROWS && den_tx_row(&tx); count++) {
            den_tx_get_text(&tx, rows[count].sha256, sizeof rows[count].sha256);
            den_tx_get_text(&tx, rows[count].what, sizeof rows[count].what);
            rows[count].bytes = den_tx_get_int(&tx);
        }
        if (!den_tx_end(&tx))
            return false;
        for (size_t i = 0; i < count; i++)
            if (!visit(context, rows[i].sha256, rows[i].what, rows[i].bytes, err))
                return false;
        if (count < ROWS)
            return true;
    }
}

enum { SOME = 256 };

/* What is old, by id: a query of (before, limit, after), where `after` may be left out.
 * A job with a result goes by its end, an image by its upload and its use. */
static const char old_jobs[] =
    "SELECT id, result_sha256, finished_ms FROM jobs WHERE id > coalesce(?3, '') AND "
    "result_sha256 <> '' AND finished_ms > 0 AND finished_ms < ?1 AND "
    "state IN ('succeeded', 'failed', 'cancelled') ORDER BY id LIMIT ?2";
static const char old_images[] =
    "SELECT id, sha256, created_ms FROM images WHERE id > coalesce(?3, '') AND "
    "created_ms < ?1 AND id NOT IN (SELECT noisy FROM dataset_items) AND id NOT IN "
    "(SELECT clean FROM dataset_items WHERE clean IS NOT NULL) AND id NOT IN "
    "(SELECT image FROM jobs WHERE finished_ms = 0 OR finished_ms >= ?1) "
    "ORDER BY id LIMIT ?2";

bool den_sqlite_old(struct den_store *s, bool images, int64_t before_ms,
                    const char *after, size_t limit, struct den_old_row *ret,
                    size_t *ret_count, struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, images ? old_images : old_jobs);
    den_tx_int(&tx, before_ms);
    den_tx_int(&tx, (int64_t)limit);
    den_tx_text(&tx, after);
    for (; count < limit && den_tx_row(&tx); count++) {
        den_tx_get_text(&tx, ret[count].id, sizeof ret[count].id);
        den_tx_get_text(&tx, ret[count].sha256, sizeof ret[count].sha256);
        ret[count].since_ms = den_tx_get_int(&tx);
    }
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

/* The first of what `find` gives: how many there were. */
static size_t expire_some(struct den_tx *tx, const char *find, const char *remove,
                          const char *action, int64_t before_ms)
{
    char ids[SOME][DEN_ID_SIZE];
    size_t count = 0;
    den_tx_query(tx, find);
    den_tx_int(tx, before_ms);
    den_tx_int(tx, SOME);
    for (; count < SOME && den_tx_row(tx); count++)
        den_tx_get_text(tx, ids[count], sizeof ids[count]);
    for (size_t i = 0; i < count; i++) {
        den_tx_query(tx, remove);
        den_tx_text(tx, ids[i]);
        den_tx_run(tx);
        den_tx_audit(tx, action, ids[i], "done");
    }
    return count;
}

size_t den_tx_expire(struct den_tx *tx, const char *find, const char *remove,
                     const char *action, int64_t before_ms)
{
    size_t all = 0, count = SOME;
    while (tx->ok && count == SOME) {
        count = expire_some(tx, find, remove, action, before_ms);
        all += count;
    }
    return all;
}

/* Jobs with a result first: an image that only they used is then free, too.  Some of
 * each, so that a first round over years of them keeps no other writer waiting. */
bool den_sqlite_expire(struct den_store *s, int64_t before_ms, size_t *ret_jobs,
                       size_t *ret_images, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    size_t jobs = expire_some(&tx, old_jobs, "DELETE FROM jobs WHERE id = ?1",
                              "job.expire", before_ms);
    size_t images = expire_some(&tx, old_images, "DELETE FROM images WHERE id = ?1",
                                "image.expire", before_ms);
    if (!den_tx_end(&tx))
        return false;
    *ret_jobs = jobs;
    *ret_images = images;
    return true;
}
