#ifndef DEN_MIGRATIONS_H
#define DEN_MIGRATIONS_H

/* The layout of the SQLite database, step by step.  A published step never changes; a new
 * layout is a new row and an upgrade test. */

#include <sqlite3.h>

#include "err.h"

struct den_migration {
    int version; /* ascending; PRAGMA user_version afterwards */
    const char *sql;
};
extern const struct den_migration den_migrations[]; /* ends with version 0 */
int den_migrations_newest(void);

/* Brings the database up to `version`, each step in a transaction of its own.
 * DEN_E_CONFLICT for a database that is newer than that. */
bool den_migrate(sqlite3 *db, int version, struct den_err *err) DEN_CHECKED;

/* The sentence for what SQLite reported last on db; false. */
bool den_sqlite_err(sqlite3 *db, struct den_err *err);

#endif
