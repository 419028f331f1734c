#include "backend.h"

#include <cblas.h>
#include <stdlib.h>
#include <string.h>

#include "backend_cpu_tile.h"
#include "str.h"

const struct den_backend *const den_backends[] = {&den_backend_cpu, &den_backend_blas,
                                                  &den_backend_ref, NULL};

/* Processors from the years between AVX and AVX2: OpenBLAS has kernels for them, the
 * usual backend only those for SSE2. */
static bool blas_is_faster(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx") &&
           !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
#else
    return false;
#endif
}

const struct den_backend *den_backend_default(void)
{
    const char *isa = getenv("DENOISED_ISA");
    bool blas = isa != NULL ? strcmp(isa, "blas") == 0 : blas_is_faster();
    return blas ? &den_backend_blas : den_backends[0];
}

static const char *const winograd_names[] = {
    [DEN_WINOGRAD_AUTO] = "auto", [DEN_WINOGRAD_F22] = "f22", [DEN_WINOGRAD_OFF] = "off"};

const char *den_winograd_name(enum den_winograd winograd)
{
    return winograd_names[winograd];
}

bool den_winograd_find(const char *name, enum den_winograd *ret)
{
    for (size_t i = 0; i < sizeof winograd_names / sizeof winograd_names[0]; i++)
        if (strcmp(winograd_names[i], name) == 0) {
            *ret = (enum den_winograd)i;
            return true;
        }
    return false;
}

const struct den_backend *den_backend_find(const char *name)
{
    for (size_t i = 0; den_backends[i] != NULL; i++)
        if (strcmp(den_backends[i]->name, name) == 0)
            return den_backends[i];
    return NULL;
}

void den_backend_machine(const struct den_backend *backend, int threads, char *ret,
                         size_t size)
{
    (void)den_str_format(ret, size, "%s, %s, OpenBLAS %s, %d thread%s", backend->name,
                         den_cpu_tile_best()->name, openblas_get_corename(), threads,
                         threads == 1 ? "" : "s");
}
