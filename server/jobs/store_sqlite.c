#include "store_sqlite.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fs.h"
#include "mem.h"
#include "migrations.h"
#include "str.h"

/* ---- transactions ---- */

static void begin(struct den_tx *tx, struct den_store *store, struct den_err *err)
{
    *tx = (struct den_tx){.store = store, .err = err, .ok = true};
}

void den_tx_read(struct den_tx *tx, struct den_store *store, struct den_err *err)
{
    begin(tx, store, err);
    /* No BEGIN: with the only connection under the lock nothing changes in between. */
    den_group_read(store);
}

void den_tx_write(struct den_tx *tx, struct den_store *store, struct den_err *err)
{
    begin(tx, store, err);
    den_group_join(tx);
}

static void reset(struct den_tx *tx)
{
    if (tx->statement == NULL)
        return;
    sqlite3_reset(tx->statement);
    sqlite3_clear_bindings(tx->statement);
    tx->statement = NULL;
}

bool den_tx_end(struct den_tx *tx)
{
    reset(tx);
    den_group_leave(tx);
    pthread_mutex_unlock(&tx->store->lock);
    return tx->ok;
}

void den_tx_fail(struct den_tx *tx, enum den_code code, const char *format, ...)
{
    if (!tx->ok)
        return;
    char text[sizeof tx->err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    den_err_set(tx->err, code, "%s", text);
    tx->ok = false;
}

void den_tx_query(struct den_tx *tx, const char *sql)
{
    reset(tx);
    tx->bound = tx->column = 0;
    if (!tx->ok)
        return;
    struct den_store *s = tx->store;
    size_t i = 0;
    while (i < DEN_STATEMENTS && s->cache[i].sql != NULL && s->cache[i].sql != sql)
        i++;
    assert(i < DEN_STATEMENTS); /* there are fewer queries than that */
    if (s->cache[i].sql == NULL) {
        if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                               &s->cache[i].statement, NULL) != SQLITE_OK) {
            den_tx_database_failed(tx);
            return;
        }
        s->cache[i].sql = sql;
    }
    tx->statement = s->cache[i].statement;
}

static void bound(struct den_tx *tx, int code)
{
    if (code != SQLITE_OK)
        den_tx_database_failed(tx);
}

void den_tx_text(struct den_tx *tx, const char *text)
{
    tx->bound++;
    if (tx->ok)
        bound(tx, sqlite3_bind_text(tx->statement, tx->bound, text, -1, SQLITE_STATIC));
}

void den_tx_text_or_null(struct den_tx *tx, const char *text)
{
    if (text[0] != '\0')
        den_tx_text(tx, text);
    else
        tx->bound++; /* what is not bound is NULL */
}

void den_tx_int(struct den_tx *tx, int64_t value)
{
    tx->bound++;
    if (tx->ok)
        bound(tx, sqlite3_bind_int64(tx->statement, tx->bound, value));
}

void den_tx_uint(struct den_tx *tx, uint64_t value)
{
    den_tx_int(tx, (int64_t)value);
}

void den_tx_real(struct den_tx *tx, double value)
{
    tx->bound++;
    if (tx->ok)
        bound(tx, sqlite3_bind_double(tx->statement, tx->bound, value));
}

bool den_tx_row(struct den_tx *tx)
{
    if (!tx->ok)
        return false;
    tx->column = 0;
    int code = sqlite3_step(tx->statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        den_tx_database_failed(tx);
    return code == SQLITE_ROW;
}

void den_tx_run(struct den_tx *tx)
{
    while (den_tx_row(tx))
        ;
}

int den_tx_changes(const struct den_tx *tx)
{
    return tx->ok ? sqlite3_changes(tx->store->db) : 0;
}

void den_tx_get_text(struct den_tx *tx, char *to, size_t size)
{
    const unsigned char *text = sqlite3_column_text(tx->statement, tx->column++);
    den_str_copy(to, size, text != NULL ? (const char *)text : "");
}

char *den_tx_copy_text(struct den_tx *tx)
{
    const unsigned char *text = sqlite3_column_text(tx->statement, tx->column++);
    char *copy = den_strdup(text != NULL ? (const char *)text : "");
    if (copy == NULL)
        den_tx_fail(tx, DEN_E_NO_MEMORY, "there is not enough memory");
    return copy;
}

int64_t den_tx_get_int(struct den_tx *tx)
{
    return sqlite3_column_int64(tx->statement, tx->column++);
}

uint64_t den_tx_get_uint(struct den_tx *tx)
{
    return (uint64_t)den_tx_get_int(tx);
}

double den_tx_get_real(struct den_tx *tx)
{
    int column = tx->column++;
    if (sqlite3_column_type(tx->statement, column) == SQLITE_NULL)
        return (double)NAN;
    return sqlite3_column_double(tx->statement, column);
}

int64_t den_tx_number(struct den_tx *tx, const char *sql, const char *text)
{
    den_tx_query(tx, sql);
    den_tx_text(tx, text);
    return den_tx_row(tx) ? den_tx_get_int(tx) : 0;
}

int64_t den_tx_owned(struct den_tx *tx, const char *sql, const char *owner,
                     const char *id)
{
    den_tx_query(tx, sql);
    den_tx_text(tx, owner);
    den_tx_text(tx, id);
    return den_tx_row(tx) ? den_tx_get_int(tx) : 0;
}

/* ---- open and close ---- */

static void sqlite_close(struct den_store *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < DEN_STATEMENTS; i++)
        sqlite3_finalize(s->cache[i].statement);
    sqlite3_close(s->db);
    pthread_cond_destroy(&s->settled);
    pthread_cond_destroy(&s->turn);
    pthread_mutex_destroy(&s->lock);
    den_free(s->location);
    den_free(s);
}

/* EXCLUSIVE must come before the first access: then the WAL's index lies in this process'
 * memory and not in a mapped file, which on a full disk would end in SIGBUS. */
static const char *const pragmas[] = {
    "PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",       "PRAGMA foreign_keys = ON",
    "PRAGMA trusted_schema = OFF",     "PRAGMA cell_size_check = ON",
};

static bool configure(sqlite3 *db, struct den_err *err)
{
    for (size_t i = 0; i < sizeof pragmas / sizeof *pragmas; i++)
        if (sqlite3_exec(db, pragmas[i], NULL, NULL, NULL) != SQLITE_OK)
            return den_sqlite_err(db, err);
    return true;
}

/* Reads every page once, at start only: a damaged database that is written to gets
 * worse. */
static bool check_whole(sqlite3 *db, struct den_err *err)
{
    sqlite3_stmt *q = NULL;
    bool done = false;
    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &q, NULL) != SQLITE_OK ||
        sqlite3_step(q) != SQLITE_ROW)
        den_sqlite_err(db, err);
    else if (strcmp((const char *)sqlite3_column_text(q, 0), "ok") != 0)
        den_err_set(err, DEN_E_IO, "the database is damaged; restore it from a copy");
    else
        done = true;
    sqlite3_finalize(q);
    return done;
}

static bool sqlite_open(const char *location, struct den_store **ret, struct den_err *err)
{
    /* Nobody else should ever have it open: the wait is for a backup tool that looks in.
     */
    enum { BUSY_MS = 500 };
    struct den_store *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->settled, NULL);
    pthread_cond_init(&s->turn, NULL);
    s->location = den_strdup(location);
    if (s->location == NULL) {
        den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
        goto fail;
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(location, &s->db, flags, NULL) != SQLITE_OK) {
        if (s->db == NULL)
            den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
        else
            den_sqlite_err(s->db, err);
        goto fail;
    }
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    /* Plans that do not look at bound values: else a query whose index has a condition is
     * prepared again for each new value. */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
    /* SQLite makes the name of its log durable with the first commit, but does not look
     * whether that went well: the folder is synced here. */
    if (!configure(s->db, err) || !check_whole(s->db, err) ||
        !den_migrate(s->db, den_migrations_newest(), err) ||
        !den_fs_sync_folder_of(location, err))
        goto fail;
    *ret = s;
    return true;
fail:
    sqlite_close(s);
    return false;
}

static bool sqlite_ping(struct den_store *s, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err); /* answers for the disk's health, too */
    den_tx_query(&tx, "SELECT 1");
    den_tx_run(&tx);
    return den_tx_end(&tx);
}

static const struct den_store_kind sqlite_kind = {
    .name = "sqlite",
    .doc = "One SQLite file in the state folder, for one server.",
    .open = sqlite_open,
    .close = sqlite_close,
    .ping = sqlite_ping,
    .busy = den_sqlite_busy,
    .image_add = den_sqlite_image_add,
    .image_get = den_sqlite_image_get,
    .image_list = den_sqlite_image_list,
    .image_delete = den_sqlite_image_delete,
    .dataset_add = den_sqlite_dataset_add,
    .dataset_get = den_sqlite_dataset_get,
    .dataset_items = den_sqlite_dataset_items,
    .dataset_list = den_sqlite_dataset_list,
    .dataset_delete = den_sqlite_dataset_delete,
    .job_add = den_sqlite_job_add,
    .job_get = den_sqlite_job_get,
    .job_any = den_sqlite_job_any,
    .job_list = den_sqlite_job_list,
    .job_delete = den_sqlite_job_delete,
    .job_claim = den_sqlite_job_claim,
    .job_waits = den_sqlite_job_waits,
    .job_renew = den_sqlite_job_renew,
    .job_progress = den_sqlite_job_progress,
    .job_finish = den_sqlite_job_finish,
    .job_cancel = den_sqlite_job_cancel,
    .job_retry = den_sqlite_job_retry,
    .job_requeue = den_sqlite_job_requeue,
    .job_again = den_sqlite_job_again,
    .job_recover = den_sqlite_job_recover,
    .job_position = den_sqlite_job_position,
    .job_last_position = den_sqlite_job_last_position,
    .job_line = den_sqlite_job_line,
    .job_changes = den_sqlite_job_changes,
    .set_quotas = den_sqlite_set_quotas,
    .usage = den_sqlite_usage,
    .job_counts = den_sqlite_job_counts,
    .job_depths = den_sqlite_job_depths,
    .event_add = den_sqlite_event_add,
    .event_list = den_sqlite_event_list,
    .score_list = den_sqlite_score_list,
    .experiment_add = den_sqlite_experiment_add,
    .experiment_get = den_sqlite_experiment_get,
    .cell_add = den_sqlite_cell_add,
    .cell_list = den_sqlite_cell_list,
    .cell_crop = den_sqlite_cell_crop,
    .model_get = den_sqlite_model_get,
    .model_own = den_sqlite_model_own,
    .model_list = den_sqlite_model_list,
    .model_delete = den_sqlite_model_delete,
    .model_share = den_sqlite_model_share,
    .alias_set = den_sqlite_alias_set,
    .alias_rollback = den_sqlite_alias_rollback,
    .alias_get = den_sqlite_alias_get,
    .alias_delete = den_sqlite_alias_delete,
    .alias_list = den_sqlite_alias_list,
    .webhook_due = den_sqlite_webhook_due,
    .webhook_told = den_sqlite_webhook_told,
    .webhook_later = den_sqlite_webhook_later,
    .upload_add = den_sqlite_upload_add,
    .upload_get = den_sqlite_upload_get,
    .upload_delete = den_sqlite_upload_delete,
    .upload_touch = den_sqlite_upload_touch,
    .upload_done = den_sqlite_upload_done,
    .upload_live = den_sqlite_upload_live,
    .upload_expire = den_sqlite_upload_expire,
    .blob_used = den_sqlite_blob_used,
    .blob_each = den_sqlite_blob_each,
    .backup = den_sqlite_backup,
    .check = den_sqlite_check,
    .tidy = den_sqlite_tidy,
    .ballast = den_sqlite_ballast,
    .old = den_sqlite_old,
    .expire = den_sqlite_expire,
    .token_add = den_sqlite_token_add,
    .token_list = den_sqlite_token_list,
    .token_revoke = den_sqlite_token_revoke,
    .token_used = den_sqlite_token_used,
    .audit_list = den_sqlite_audit_list,
    .audit_end = den_sqlite_audit_end,
    .answer_get = den_sqlite_answer_get,
    .answer_put = den_sqlite_answer_put,
    .answer_drop = den_sqlite_answer_drop,
};

const struct den_store_kind *const den_stores[] = {&sqlite_kind, NULL};
