#ifndef DEN_BACKOFF_H
#define DEN_BACKOFF_H

/* When a job that could not be done is tried again. */

#include "err.h"

#include <stddef.h>

struct den_backoff {
    int64_t first_ms;     /* before the second attempt; doubles with each further one */
    int64_t max_attempts; /* starts of a job; after the last one it has failed */
};
#define DEN_BACKOFF_MOST_MS INT64_C(600000)

/* How long after its n-th failure (from 1 on) a job has to wait.  chance: from 0 to 1,
 * what is added of a fifth, so that jobs which failed together do not come back together.
 */
int64_t den_backoff_ms(const struct den_backoff *backoff, int64_t failures,
                       double chance);
/* The same with a chance of its own. */
int64_t den_backoff_draw(const struct den_backoff *backoff, int64_t failures);

/* May the same attempt go well another time?  What was wrong with the disk or the memory
 * may pass; what was wrong with the request or the file does not. */
bool den_backoff_helps(enum den_code code);

#endif
