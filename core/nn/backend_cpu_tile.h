#ifndef DEN_BACKEND_CPU_TILE_H
#define DEN_BACKEND_CPU_TILE_H

/* Private to backend_cpu: the inner loops of the convolutions.  A tile is 8 pixels (or 8
 * weights) by up to two cache lines of channels, held in registers while a sum runs.  The
 * operands are read where they lie: on channels-last data with a halo a convolution is a
 * matrix product whose left operand is addressed by pixel pointers plus tap offsets, so
 * no column buffer (im2col) is written.  One row of den_cpu_tiles[] per instruction set,
 * chosen at run time.
 *
 * Measured (Zen 4, one thread): 102 to 113 GFLOP/s on 4x4 stride 2 layers of 16 to 512
 * channels, where OpenBLAS reaches 95 to 104 on columns that are already there.     */

#include "backend.h"

enum {
    DEN_TILE_ROWS = 8,
    DEN_TILE_LANES = 64 / sizeof(den_real), /* reals of a cache line: 16 or 8 */
    DEN_TILE_COLS = 2 * DEN_TILE_LANES
};

/* Offsets iy * sy + ix * sx + k for iy < ny, ix < nx, k < len, in this order. */
struct den_taps {
    size_t ny, nx, len, sy, sx;
};

/* Pixels (i, y, x) of two views side by side; strides in reals. */
struct den_walk {
    size_t n, h, w;
    size_t a_image, a_row, a_pixel;
    size_t b_image, b_row, b_pixel;
};

struct den_cpu_tile {
    const char *name;
    bool (*usable)(void); /* does this processor have the instructions */

    /* out[r][j] (=, or += when add) sum over taps t of a[r][offset t] * b[t][j], for r <
     * 8, j < cols; cols is DEN_TILE_LANES or DEN_TILE_COLS.  b and out are packed. */
    void (*dense)(const den_real *const a[], const struct den_taps *taps,
                  const den_real *b, size_t cols, bool add, den_real *out);
    /* out[r] = sum over taps t of a[r][offset t] * b[t], r < 8: for layers with one or
     * two output channels, vectorised along the taps. */
    void (*narrow)(const den_real *const a[], const struct den_taps *taps,
                   const den_real *b, den_real *out);
    /* out[r][j] = sum over the pixels of the walk of a[r][pixel] * b[pixel + j]. */
    void (*outer)(const den_real *const a[], const den_real *b,
                  const struct den_walk *walk, size_t cols, den_real *out);
};

/* Ends with a row whose name is NULL; the first usable one is the fastest.  The last row
 * works everywhere. */
extern const struct den_cpu_tile den_cpu_tiles[];
const struct den_cpu_tile *den_cpu_tile_best(void);

#endif
