#ifndef DEN_POOL_H
#define DEN_POOL_H

/* A pool of threads for loops.  One pool per worker; OpenBLAS itself stays
 * single-threaded inside it, because two thread systems awake at once halve each other.
 */

#include <stddef.h>

#include "err.h"

struct den_pool;

/* threads >= 1 counts the caller, so threads - 1 are started.  Free with den_pool_free.
 */
bool den_pool_new(int threads, struct den_pool **ret, struct den_err *err) DEN_CHECKED;
void den_pool_free(struct den_pool *pool);
int den_pool_threads(const struct den_pool *pool); /* NULL counts as 1 */

/* Calls fn(context, unit, thread) for unit = 0..units-1 and returns when all are done;
 * the caller works too.  thread in [0, threads) indexes private scratch.  Units are
 * handed out one by one, so a sum over units must be kept per unit, not per thread.  pool
 * NULL runs all in the caller. */
void den_pool_run(struct den_pool *pool, size_t units,
                  void (*fn)(void *context, size_t unit, int thread), void *context);

/* Splits n items into `parts` nearly equal ranges; range `part` is [*ret_from, *ret_to).
 */
void den_range(size_t n, size_t parts, size_t part, size_t *ret_from, size_t *ret_to);

#endif
