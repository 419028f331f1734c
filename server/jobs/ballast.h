#ifndef DEN_BALLAST_H
#define DEN_BALLAST_H

/* A file beside the database that only takes up room.  When the disk is full it is given
 * up, so that changes of state still fit (SQLite's log grows with each), and when there
 * is room again it is made anew. */

#include <stdint.h>

#include "err.h"

/* Makes it when it is not there and at least `spare` bytes stay free beside it.  true
 * also when there was no room for it. */
bool den_ballast_keep(const char *database, uint64_t bytes, uint64_t spare,
                      struct den_err *err) DEN_CHECKED;
/* false: there was none.  May be called at any time. */
bool den_ballast_drop(const char *database);

#endif
