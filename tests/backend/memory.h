#ifndef DEN_BACKEND_MEMORY_H
#define DEN_BACKEND_MEMORY_H

/* Memory for the tests of backends; a test that gets none fails. */

#include <math.h>
#include <string.h>

#include "backend.h"
#include "den_check.h"
#include "mem.h"

static inline den_real *device(const struct den_backend *be, size_t count)
{
    struct den_err err = DEN_ERR_INIT;
    den_real *data = NULL;
    must(be->alloc(count, &data, &err));
    return data;
}

static inline den_real *host(size_t count)
{
    den_real *data = den_calloc(count, sizeof *data);
    ck_assert_ptr_nonnull(data);
    return data;
}

/* Bit for bit, as a seed must give the same result again. */
static inline bool same_bits(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes) == 0;
}

static inline double largest(const den_real *x, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

#endif
