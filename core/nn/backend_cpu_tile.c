#include "backend_cpu.h"

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
#include "backend_cpu_tile_body.h"
#undef TILE
#undef TILE_TARGET
#undef TILE_BYTES
#undef TILE_STEP

#ifdef __x86_64__

#define TILE(name) avx2_##name
#define TILE_TARGET __attribute__((target("avx2,fma")))
#define TILE_BYTES 32
#define TILE_STEP 4
#include "backend_cpu_tile_body.h"
#undef TILE
#undef TILE_TARGET
#undef TILE_BYTES
#undef TILE_STEP

#define TILE(name) avx512_##name
#define TILE_TARGET __attribute__((target("avx512f,fma")))
#define TILE_BYTES 64
#define TILE_STEP 8
#include "backend_cpu_tile_body.h"
#undef TILE
#undef TILE_TARGET
#undef TILE_BYTES
#undef TILE_STEP

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma");
}

#endif

const struct den_cpu_tile den_cpu_tiles[] = {
#ifdef __x86_64__
    {"avx512", has_avx512, avx512_dense, avx512_narrow, avx512_outer},
    {"avx2", has_avx2, avx2_dense, avx2_narrow, avx2_outer},
#endif
    {"plain", always, plain_dense, plain_narrow, plain_outer},
    {NULL, NULL, NULL, NULL, NULL},
};

const struct den_cpu_tile *den_cpu_tile_best(void)
{
    const struct den_cpu_tile *tile = den_cpu_tiles;
    while (!tile->usable())
        tile++;
    return tile;
}
