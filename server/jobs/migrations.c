#include "migrations.h"

#include "str.h"

/* Texts are NOT NULL and '' where there is nothing, as in rows.h; only references to
 * other tables are NULL then, so that foreign keys hold. */
const struct den_migration den_migrations[] = {
    {1, "CREATE TABLE images ("
        " id TEXT PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
        " format TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,"
        " pages INTEGER NOT NULL, channels INTEGER NOT NULL, dtype TEXT NOT NULL,"
        " pixel_size_um REAL NOT NULL, bytes INTEGER NOT NULL,"
        " created_ms INTEGER NOT NULL) STRICT;"
        "CREATE TABLE datasets ("
        " id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL,"
        " samples INTEGER NOT NULL, scenes INTEGER NOT NULL,"
        " created_ms INTEGER NOT NULL) STRICT;"
        "CREATE TABLE dataset_items ("
        " dataset TEXT NOT NULL REFERENCES datasets ON DELETE CASCADE,"
        " place INTEGER NOT NULL, noisy TEXT NOT NULL REFERENCES images,"
        " clean TEXT REFERENCES images, PRIMARY KEY (dataset, place))"
        " STRICT, WITHOUT ROWID;"
        "CREATE INDEX dataset_items_noisy ON dataset_items (noisy);"
        "CREATE INDEX dataset_items_clean ON dataset_items (clean);"},
    /* place: order in the queue; a retry goes to its end, an interrupted job keeps it. */
    {2, "CREATE TABLE jobs ("
        " id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL,"
        " place INTEGER NOT NULL, dataset TEXT NOT NULL, image TEXT NOT NULL,"
        " model TEXT NOT NULL, version INTEGER NOT NULL, method TEXT NOT NULL,"
        " preset TEXT NOT NULL, config TEXT NOT NULL, seed INTEGER NOT NULL,"
        " created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
        " finished_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,"
        " step INTEGER NOT NULL, steps INTEGER NOT NULL, error_code TEXT NOT NULL,"
        " error_text TEXT NOT NULL, result_sha256 TEXT NOT NULL,"
        " result_name TEXT NOT NULL, result_media TEXT NOT NULL,"
        " clipped INTEGER NOT NULL, seconds REAL NOT NULL) STRICT;"
        "CREATE INDEX jobs_queue ON jobs (state, kind, place);"
        "CREATE INDEX jobs_result ON jobs (result_sha256) WHERE result_sha256 <> '';"
        "CREATE TABLE events ("
        " job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, seq INTEGER NOT NULL,"
        " type TEXT NOT NULL, step INTEGER NOT NULL, steps INTEGER NOT NULL,"
        " name TEXT NOT NULL, value REAL, text TEXT NOT NULL,"
        " created_ms INTEGER NOT NULL, PRIMARY KEY (job, seq)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX events_progress ON events (job, seq) WHERE type = 'progress';"
        "CREATE TABLE scores ("
        " job TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE, place INTEGER NOT NULL,"
        " image TEXT NOT NULL, name TEXT NOT NULL, page INTEGER NOT NULL,"
        " method TEXT NOT NULL, metric TEXT NOT NULL, value REAL,"
        " PRIMARY KEY (job, place)) STRICT, WITHOUT ROWID;"},
    /* model_names outlives the versions: a number is never given twice. */
    {3, "CREATE TABLE model_names ("
        " name TEXT PRIMARY KEY, last_version INTEGER NOT NULL) STRICT;"
        "CREATE TABLE models ("
        " name TEXT NOT NULL REFERENCES model_names, version INTEGER NOT NULL,"
        " job TEXT NOT NULL, dataset TEXT NOT NULL, sha256 TEXT NOT NULL,"
        " bytes INTEGER NOT NULL, seed INTEGER NOT NULL, steps INTEGER NOT NULL,"
        " method TEXT NOT NULL, preset TEXT NOT NULL, config TEXT NOT NULL,"
        " shift REAL NOT NULL, scale REAL NOT NULL, has_validation INTEGER NOT NULL,"
        " validation_psnr REAL NOT NULL, created_ms INTEGER NOT NULL,"
        " PRIMARY KEY (name, version)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX models_sha256 ON models (sha256);"},
    /* A cell is stored when it is finished, so that no crash costs more than one.  Crops
     * lie apart: most questions are about the numbers. */
    {4, "CREATE TABLE experiments ("
        " job TEXT PRIMARY KEY REFERENCES jobs ON DELETE CASCADE, grid TEXT NOT NULL,"
        " test_dataset TEXT NOT NULL) STRICT, WITHOUT ROWID;"
        "CREATE INDEX experiments_test ON experiments (test_dataset)"
        " WHERE test_dataset <> '';"
        "CREATE TABLE experiment_cells ("
        " job TEXT NOT NULL REFERENCES experiments ON DELETE CASCADE,"
        " cell INTEGER NOT NULL, state TEXT NOT NULL, seconds REAL NOT NULL,"
        " images INTEGER NOT NULL, metrics TEXT NOT NULL, text TEXT NOT NULL,"
        " PRIMARY KEY (job, cell)) STRICT, WITHOUT ROWID;"
        "CREATE TABLE experiment_crops ("
        " job TEXT NOT NULL, cell INTEGER NOT NULL, png TEXT NOT NULL,"
        " PRIMARY KEY (job, cell),"
        " FOREIGN KEY (job, cell) REFERENCES experiment_cells ON DELETE CASCADE)"
        " STRICT;"},
    /* What the pages and samples of an image are.  Images that were there before have
     * one sample a pixel that uses its whole type, and pages that are only numbered.
     * Jobs: what they were admitted with, and what became of the planes. */
    {5, "ALTER TABLE images ADD COLUMN bits INTEGER NOT NULL DEFAULT 0;"
        "UPDATE images SET bits = CASE dtype WHEN 'uint8' THEN 8 WHEN 'uint16' THEN 16 "
        "ELSE 32 END;"
        "ALTER TABLE images ADD COLUMN alpha INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE images ADD COLUMN axes_source TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE images ADD COLUMN axes_order TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE images ADD COLUMN axes_t INTEGER NOT NULL DEFAULT 1;"
        "ALTER TABLE images ADD COLUMN axes_z INTEGER NOT NULL DEFAULT 1;"
        "ALTER TABLE images ADD COLUMN axes_c INTEGER NOT NULL DEFAULT 1;"
        "ALTER TABLE images ADD COLUMN z_step_um REAL NOT NULL DEFAULT 0;"
        /* lines, as many as channels have a name */
        "ALTER TABLE images ADD COLUMN channel_names TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE jobs ADD COLUMN peak_bytes INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE jobs ADD COLUMN planes INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE jobs ADD COLUMN planes_left INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE jobs ADD COLUMN dtype TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE jobs ADD COLUMN model_sha256 TEXT NOT NULL DEFAULT '';"},
    /* Everything has an owner; what was there before is of the one user that there was.
     * Of equal files each owner has a row of his own.  Names of models are per owner, but
     * for those that are shared.  A key cannot be changed in place, so three tables are
     * made anew [sqlite.org/lang_altertable.html, section 7]. */
    {6,
     "CREATE TABLE new_images ("
     " id TEXT PRIMARY KEY, owner TEXT NOT NULL, sha256 TEXT NOT NULL,"
     " name TEXT NOT NULL, format TEXT NOT NULL, width INTEGER NOT NULL,"
     " height INTEGER NOT NULL, pages INTEGER NOT NULL, channels INTEGER NOT NULL,"
     " dtype TEXT NOT NULL, pixel_size_um REAL NOT NULL, bytes INTEGER NOT NULL,"
     " created_ms INTEGER NOT NULL, bits INTEGER NOT NULL, alpha INTEGER NOT NULL,"
     " axes_source TEXT NOT NULL, axes_order TEXT NOT NULL, axes_t INTEGER NOT NULL,"
     " axes_z INTEGER NOT NULL, axes_c INTEGER NOT NULL, z_step_um REAL NOT NULL,"
     " channel_names TEXT NOT NULL, UNIQUE (sha256, owner)) STRICT;"
     "INSERT INTO new_images SELECT id, 'local', sha256, name, format, width, height,"
     " pages, channels, dtype, pixel_size_um, bytes, created_ms, bits, alpha,"
     " axes_source, axes_order, axes_t, axes_z, axes_c, z_step_um, channel_names"
     " FROM images;"
     "DROP TABLE images;"
     "ALTER TABLE new_images RENAME TO images;"
     "CREATE INDEX images_owner ON images (owner, id);"
     "ALTER TABLE datasets ADD COLUMN owner TEXT NOT NULL DEFAULT 'local';"
     "CREATE INDEX datasets_owner ON datasets (owner, id);"
     "ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT 'local';"
     /* of the model that the job uses, or starts from */
     "ALTER TABLE jobs ADD COLUMN model_owner TEXT NOT NULL DEFAULT '';"
     "UPDATE jobs SET model_owner = 'local' WHERE (kind <> 'train' AND model <> '') OR"
     " (kind = 'train' AND char(10) || config LIKE '%' || char(10) || 'base_model=%');"
     "CREATE INDEX jobs_owner ON jobs (owner, id);"
     "CREATE TABLE new_model_names ("
     " owner TEXT NOT NULL, name TEXT NOT NULL, last_version INTEGER NOT NULL,"
     " shared INTEGER NOT NULL, PRIMARY KEY (owner, name)) STRICT, WITHOUT ROWID;"
     "INSERT INTO new_model_names SELECT 'local', name, last_version, 0"
     " FROM model_names;"
     "CREATE TABLE new_models ("
     " owner TEXT NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,"
     " job TEXT NOT NULL, dataset TEXT NOT NULL, sha256 TEXT NOT NULL,"
     " bytes INTEGER NOT NULL, seed INTEGER NOT NULL, steps INTEGER NOT NULL,"
     " method TEXT NOT NULL, preset TEXT NOT NULL, config TEXT NOT NULL,"
     " shift REAL NOT NULL, scale REAL NOT NULL, has_validation INTEGER NOT NULL,"
     " validation_psnr REAL NOT NULL, created_ms INTEGER NOT NULL,"
     " PRIMARY KEY (owner, name, version),"
     " FOREIGN KEY (owner, name) REFERENCES new_model_names) STRICT, WITHOUT ROWID;"
     "INSERT INTO new_models SELECT 'local', name, version, job, dataset, sha256, bytes,"
     " seed, steps, method, preset, config, shift, scale, has_validation,"
     " validation_psnr, created_ms FROM models;"
     "DROP TABLE models;"
     "DROP TABLE model_names;"
     "ALTER TABLE new_model_names RENAME TO model_names;" /* new_models follows */
     "ALTER TABLE new_models RENAME TO models;"
     "CREATE INDEX models_sha256 ON models (sha256);"
     "CREATE INDEX models_name ON models (name);"
     "CREATE UNIQUE INDEX model_names_shared ON model_names (name) WHERE shared = 1;"},
    /* Who may ask, what was changed by whom, and what was answered.  A token that was
     * revoked stays: the audit table names it.  Rows of audit are only ever added: hash =
     * SHA-256 of prev, which is the hash of the row before, and the row. */
    {7, "CREATE TABLE tokens ("
        " seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
        " owner TEXT NOT NULL, scopes INTEGER NOT NULL, hash TEXT NOT NULL,"
        " created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
        " revoked_ms INTEGER NOT NULL, used_ms INTEGER NOT NULL) STRICT;"
        "CREATE UNIQUE INDEX tokens_name ON tokens (name) WHERE revoked_ms = 0;"
        "CREATE TABLE audit ("
        " seq INTEGER PRIMARY KEY AUTOINCREMENT, time_ms INTEGER NOT NULL,"
        " owner TEXT NOT NULL, token TEXT NOT NULL, action TEXT NOT NULL,"
        " object TEXT NOT NULL, result TEXT NOT NULL, request TEXT NOT NULL,"
        " prev TEXT NOT NULL, hash TEXT NOT NULL) STRICT;"
        "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit"
        " BEGIN SELECT RAISE(ABORT, 'the audit table is only added to'); END;"
        "CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit"
        " BEGIN SELECT RAISE(ABORT, 'the audit table is only added to'); END;"
        /* status 0: the request took effect, and no answer went out */
        "CREATE TABLE answers ("
        " owner TEXT NOT NULL, key TEXT NOT NULL, request_sha256 TEXT NOT NULL,"
        " object TEXT NOT NULL, status INTEGER NOT NULL, media TEXT NOT NULL,"
        " location TEXT NOT NULL, body TEXT NOT NULL, created_ms INTEGER NOT NULL,"
        " PRIMARY KEY (owner, key)) STRICT;"
        "CREATE INDEX answers_age ON answers (created_ms);"},
    /* Leases (until: milliseconds of the machine's start lease_boot), waits after a
     * failure (not_before, of the same clock; retry_ms of the wall's, for people), and
     * who comes next.  lines: how many jobs of a class an owner has waiting and at work,
     * and their turn, which is the number of the last claim; who was never served comes
     * before all others, by the place of the first job.  Triggers count, so that no
     * statement can forget to.  numbers: the last place and turn given, and how many jobs
     * are queued, in all. */
    {8, "ALTER TABLE jobs ADD COLUMN class INTEGER NOT NULL DEFAULT 2;"
        "UPDATE jobs SET class = CASE kind WHEN 'denoise' THEN 0 WHEN 'evaluate' THEN 1 "
        "WHEN 'experiment' THEN 3 ELSE 2 END;"
        "ALTER TABLE jobs ADD COLUMN rate TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE jobs ADD COLUMN units REAL NOT NULL DEFAULT 0;"
        "ALTER TABLE jobs ADD COLUMN gen INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE jobs ADD COLUMN worker TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE jobs ADD COLUMN lease_until INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE jobs ADD COLUMN lease_boot TEXT NOT NULL DEFAULT '';"
        "ALTER TABLE jobs ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE jobs ADD COLUMN retry_ms INTEGER NOT NULL DEFAULT 0;"
        "DROP INDEX jobs_queue;"
        "CREATE INDEX jobs_state ON jobs (state, kind);"
        "CREATE INDEX jobs_line ON jobs (class, owner, place, not_before) "
        "WHERE state = 'queued';"
        "CREATE INDEX jobs_later ON jobs (class, owner, not_before) "
        "WHERE state = 'queued' AND not_before > 0;"
        "CREATE TABLE numbers (name TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT;"
        "INSERT INTO numbers SELECT 'place', coalesce(max(place), 0) FROM jobs;"
        "INSERT INTO numbers SELECT 'turn', 0;"
        "INSERT INTO numbers SELECT 'queued', count(*) FROM jobs WHERE state = 'queued';"
        "CREATE TABLE lines ("
        " class INTEGER NOT NULL, owner TEXT NOT NULL, turn INTEGER NOT NULL,"
        " waiting INTEGER NOT NULL, running INTEGER NOT NULL,"
        " PRIMARY KEY (class, owner)) STRICT, WITHOUT ROWID;"
        "INSERT INTO lines SELECT class, owner, 0, sum(state = 'queued'),"
        " sum(state IN ('running', 'cancelling')) FROM jobs GROUP BY class, owner;"
        "CREATE INDEX lines_turn ON lines (class, turn, owner) WHERE waiting > 0;"
        "CREATE TRIGGER lines_add AFTER INSERT ON jobs WHEN NEW.state = 'queued' BEGIN"
        " INSERT INTO lines VALUES (NEW.class, NEW.owner,"
        " NEW.place - 1152921504606846976, 1, 0) ON CONFLICT (class, owner)"
        " DO UPDATE SET waiting = waiting + 1;"
        " UPDATE numbers SET last = last + 1 WHERE name = 'queued'; END;"
        "CREATE TRIGGER lines_change AFTER UPDATE OF state ON jobs"
        " WHEN OLD.state <> NEW.state BEGIN"
        " INSERT INTO lines VALUES (NEW.class, NEW.owner,"
        " NEW.place - 1152921504606846976,"
        " (NEW.state = 'queued') - (OLD.state = 'queued'),"
        " (NEW.state IN ('running', 'cancelling')) -"
        " (OLD.state IN ('running', 'cancelling'))) ON CONFLICT (class, owner)"
        " DO UPDATE SET waiting = waiting + excluded.waiting,"
        " running = running + excluded.running;"
        " UPDATE numbers SET last = last + (NEW.state = 'queued') -"
        " (OLD.state = 'queued') WHERE name = 'queued'; END;"},
    {10, "CREATE TABLE uploads ("
         " id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL,"
         " length INTEGER NOT NULL, image TEXT NOT NULL, created_ms INTEGER NOT NULL,"
         " expires_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
         "CREATE INDEX uploads_owner ON uploads (owner);"
         "CREATE INDEX uploads_expires ON uploads (expires_ms);"},
    {11, "CREATE TABLE aliases ("
         " owner TEXT NOT NULL, name TEXT NOT NULL, alias TEXT NOT NULL,"
         " version INTEGER NOT NULL, previous INTEGER NOT NULL,"
         " updated_ms INTEGER NOT NULL, PRIMARY KEY (owner, name, alias),"
         " FOREIGN KEY (owner, name, version) REFERENCES models) STRICT, WITHOUT ROWID;"
         "CREATE INDEX aliases_version ON aliases (owner, name, version);"},
    {12, "CREATE TABLE webhooks ("
         " job TEXT PRIMARY KEY REFERENCES jobs ON DELETE CASCADE, url TEXT NOT NULL,"
         " attempts INTEGER NOT NULL, next_ms INTEGER NOT NULL,"
         " told_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
         "CREATE INDEX webhooks_next ON webhooks (next_ms);"},
    /* What owners have stored (images, results, weights; results from before are not
     * known) and how long their jobs were at work, by day.  Counted by triggers. */
    {13, "ALTER TABLE jobs ADD COLUMN result_bytes INTEGER NOT NULL DEFAULT 0;"
         "CREATE TABLE usage ("
         " owner TEXT NOT NULL, day INTEGER NOT NULL, seconds REAL NOT NULL,"
         " PRIMARY KEY (owner, day)) STRICT, WITHOUT ROWID;"
         "CREATE TABLE stored ("
         " owner TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
         "INSERT INTO stored SELECT owner, sum(bytes) FROM (SELECT owner, bytes FROM "
         "images UNION ALL SELECT owner, bytes FROM models) GROUP BY owner;"
         "CREATE TRIGGER images_stored AFTER INSERT ON images BEGIN"
         " INSERT INTO stored VALUES (NEW.owner, NEW.bytes) ON CONFLICT (owner)"
         " DO UPDATE SET bytes = bytes + excluded.bytes; END;"
         "CREATE TRIGGER images_gone AFTER DELETE ON images BEGIN"
         " UPDATE stored SET bytes = bytes - OLD.bytes WHERE owner = OLD.owner; END;"
         "CREATE TRIGGER models_stored AFTER INSERT ON models BEGIN"
         " INSERT INTO stored VALUES (NEW.owner, NEW.bytes) ON CONFLICT (owner)"
         " DO UPDATE SET bytes = bytes + excluded.bytes; END;"
         "CREATE TRIGGER models_gone AFTER DELETE ON models BEGIN"
         " UPDATE stored SET bytes = bytes - OLD.bytes WHERE owner = OLD.owner; END;"
         "CREATE TRIGGER results_stored AFTER UPDATE OF result_bytes ON jobs"
         " WHEN OLD.result_bytes <> NEW.result_bytes BEGIN"
         " INSERT INTO stored VALUES (NEW.owner, NEW.result_bytes - OLD.result_bytes)"
         " ON CONFLICT (owner) DO UPDATE SET bytes = bytes + excluded.bytes; END;"
         "CREATE TRIGGER results_gone AFTER DELETE ON jobs WHEN OLD.result_bytes > 0"
         " BEGIN UPDATE stored SET bytes = bytes - OLD.result_bytes"
         " WHERE owner = OLD.owner; END;"},
    /* fruitless: attempts in a row that came to nothing; a training that got further than
     * before has kept what it did.  reached: how far it was when it was last begun. */
    {14, "ALTER TABLE jobs ADD COLUMN fruitless INTEGER NOT NULL DEFAULT 0;"
         "ALTER TABLE jobs ADD COLUMN reached INTEGER NOT NULL DEFAULT 0;"
         "UPDATE jobs SET fruitless = max(attempts - 1, 0), reached = step;"},
    {0, NULL},
};

int den_migrations_newest(void)
{
    int newest = 0;
    for (const struct den_migration *m = den_migrations; m->version != 0; m++)
        newest = m->version;
    return newest;
}

bool den_sqlite_err(sqlite3 *db, struct den_err *err)
{
    switch (sqlite3_errcode(db) & 0xff) {
    case SQLITE_FULL:
        return den_err_set(err, DEN_E_DISK_FULL, "the disk of the server is full");
    case SQLITE_NOMEM:
        return den_err_set(err, DEN_E_NO_MEMORY,
                           "there is not enough memory for the database");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return den_err_set(err, DEN_E_IO,
                           "the database is damaged; restore it from a copy");
    case SQLITE_BUSY:
        return den_err_set(err, DEN_E_CONFLICT,
                           "another process has opened the database");
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
        return den_err_sys(err, sqlite3_system_errno(db),
                           "the database cannot be read or written");
    default:
        return den_err_set(err, DEN_E_INTERNAL, "the database refused a step (code %d)",
                           sqlite3_extended_errcode(db));
    }
}

static bool run(sqlite3 *db, const char *sql, struct den_err *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ||
           den_sqlite_err(db, err);
}

/* The number that a pragma has. */
static bool read_pragma(sqlite3 *db, const char *sql, int *ret, struct den_err *err)
{
    sqlite3_stmt *q = NULL;
    bool done = sqlite3_prepare_v2(db, sql, -1, &q, NULL) == SQLITE_OK &&
                sqlite3_step(q) == SQLITE_ROW;
    if (done)
        *ret = sqlite3_column_int(q, 0);
    else
        den_sqlite_err(db, err);
    sqlite3_finalize(q);
    return done;
}

/* Does every row name rows that are there?  They are not looked at while a step runs. */
static bool check_references(sqlite3 *db, struct den_err *err)
{
    sqlite3_stmt *q = NULL;
    int code = sqlite3_prepare_v2(db, "PRAGMA foreign_key_check", -1, &q, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_step(q);
    bool done = code == SQLITE_DONE;
    if (code == SQLITE_ROW)
        den_err_set(err, DEN_E_INTERNAL,
                    "the database cannot be brought to the new layout: a row of '%s' "
                    "names one that is not there",
                    (const char *)sqlite3_column_text(q, 0));
    else if (!done)
        den_sqlite_err(db, err);
    sqlite3_finalize(q);
    return done;
}

static bool step(sqlite3 *db, const struct den_migration *m, struct den_err *err)
{
    char mark[48];
    den_str_format(mark, sizeof mark, "PRAGMA user_version = %d", m->version);
    if (run(db, "BEGIN IMMEDIATE", err) && run(db, m->sql, err) &&
        check_references(db, err) && run(db, mark, err) && run(db, "COMMIT", err))
        return true;
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* no transaction: no harm */
    return false;
}

bool den_migrate(sqlite3 *db, int version, struct den_err *err)
{
    int have = 0, enforced = 0;
    if (!read_pragma(db, "PRAGMA user_version", &have, err) ||
        !read_pragma(db, "PRAGMA foreign_keys", &enforced, err))
        return false;
    if (have > version)
        return den_err_set(err, DEN_E_CONFLICT,
                           "the database has layout %d and this program knows layouts up "
                           "to %d; start a newer version",
                           have, version);
    /* A table that goes to make room for its successor must not take along the rows that
     * name its own; inside a transaction this cannot be said. */
    bool done = run(db, "PRAGMA foreign_keys = OFF", err);
    for (const struct den_migration *m = den_migrations; done && m->version != 0; m++)
        if (m->version > have && m->version <= version)
            done = step(db, m, err);
    return run(db, enforced ? "PRAGMA foreign_keys = ON" : "PRAGMA foreign_keys = OFF",
               done ? err : NULL) &&
           done;
}
