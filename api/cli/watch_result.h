#ifndef DEN_WATCH_RESULT_H
#define DEN_WATCH_RESULT_H

/* Where the results of a watched folder lie, and how they get there. */

#include "watch_work.h"

bool den_watch_result_exists(const struct den_watch *w, const struct den_watched *e);

/* The result of a succeeded job: into a hidden file beside its place, compared with the
 * server's SHA-256, flushed, and renamed.  ret_path[DEN_PATH_SIZE]: its place as people
 * name it. DEN_E_CONFLICT when somebody else's file lies there, DEN_E_INVALID when the
 * place cannot be; else as of the client. */
bool den_watch_result_fetch(const struct den_watch *w, const struct den_watched *e,
                            const json_t *job, char *ret_path,
                            struct den_err *err) DEN_CHECKED;

#endif
