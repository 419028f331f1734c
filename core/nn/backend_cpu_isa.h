/* Included once per instruction set by backend_cpu_tile.c, which defines
 *     TILE(name)        the name with a suffix
 *     TILE_TARGET       function attribute that allows the instructions, or empty
 *     TILE_BYTES        bytes of a vector register
 *     TILE_STEP         rows of the register block: 8, or 4 where there are 16 registers
 *     TILE_STREAM(p, v) *p = v past the caches, p a multiple of TILE_BYTES
 *     TILE_FENCE()      makes such stores visible to other threads
 * and forgets them again. */

typedef den_real TILE(vec)
    __attribute__((vector_size(TILE_BYTES), aligned(sizeof(den_real)), may_alias));

enum { TILE(lanes) = TILE_BYTES / sizeof(den_real) };

#define VEC TILE(vec)
#define LANES ((size_t)TILE(lanes))
#define TILE_INLINE static inline __attribute__((always_inline)) TILE_TARGET

#include "backend_cpu_tile_body.h"
#include "backend_cpu_winograd_sides.h"
#include "backend_cpu_winograd_sides3.h"
/* uses the functions of those above */
#include "backend_cpu_winograd_body.h"
/* uses those of the last one */
#include "backend_cpu_winograd_rows.h"

#undef VEC
#undef LANES
#undef TILE_INLINE
#undef TILE
#undef TILE_TARGET
#undef TILE_BYTES
#undef TILE_STEP
#undef TILE_STREAM
#undef TILE_FENCE
