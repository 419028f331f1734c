#include "backend_cpu.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "backend_cpu_tile.h"

static bool always(void)
{
    return true;
}

/* SSE2 and NEON; other machines get their vectors split by the compiler. */
#define TILE(name) plain_##name
#define TILE_TARGET
#define TILE_BYTES 16
#define TILE_STEP 4
#define TILE_STREAM(to, vector) (*(plain_vec *)(to) = (vector))
#define TILE_FENCE() ((void)0)
#include "backend_cpu_isa.h"

#ifdef __x86_64__

#include <immintrin.h>

#define TILE(name) avx2_##name
#define TILE_TARGET __attribute__((target("avx2,fma")))
#define TILE_BYTES 32
#define TILE_STEP 4
#define TILE_STREAM(to, vector) \
    _mm256_stream_si256((__m256i *)(void *)(to), (__m256i)(vector))
#define TILE_FENCE() _mm_sfence()
#include "backend_cpu_isa.h"

#define TILE(name) avx512_##name
#define TILE_TARGET __attribute__((target("avx512f,fma")))
#define TILE_BYTES 64
#define TILE_STEP 8
#define TILE_STREAM(to, vector) \
    _mm512_stream_si512((__m512i *)(void *)(to), (__m512i)(vector))
#define TILE_FENCE() _mm_sfence()
#include "backend_cpu_isa.h"

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma");
}

#endif

#define ROW(isa, usable)                                                     \
    {                                                                        \
#isa, usable, isa##_dense, isa##_narrow, isa##_outer, isa##_winograd \
    }

const struct den_cpu_tile den_cpu_tiles[] = {
#ifdef __x86_64__
    ROW(avx512, has_avx512),
    ROW(avx2, has_avx2),
#endif
    ROW(plain, always),
    {.name = NULL},
};

const struct den_cpu_winograd *den_cpu_winograd_find(const struct den_cpu_tile *tile,
                                                     size_t m, size_t r)
{
    const struct den_cpu_winograd *row = tile->winograd;
    while (row->m > 0 && (row->m != m || row->r != r))
        row++;
    assert(row->m > 0);
    return row;
}

static const struct den_cpu_tile *find(const char *name)
{
    for (const struct den_cpu_tile *t = den_cpu_tiles; t->name != NULL; t++)
        if (strcmp(t->name, name) == 0 && t->usable())
            return t;
    return NULL;
}

static _Atomic(const struct den_cpu_tile *) chosen;

/* Two threads that come first at once choose the same row. */
const struct den_cpu_tile *den_cpu_tile_best(void)
{
    const struct den_cpu_tile *tile = atomic_load(&chosen);
    if (tile != NULL)
        return tile;
    const char *name = getenv("DENOISED_ISA");
    tile = name != NULL ? find(name) : NULL;
    for (const struct den_cpu_tile *t = den_cpu_tiles; tile == NULL; t++)
        if (t->usable())
            tile = t;
    atomic_store(&chosen, tile);
    return tile;
}

bool den_cpu_tile_use(const char *name)
{
    const struct den_cpu_tile *tile = name != NULL ? find(name) : NULL;
    if (name != NULL && tile == NULL)
        return false;
    atomic_store(&chosen, tile);
    return true;
}
