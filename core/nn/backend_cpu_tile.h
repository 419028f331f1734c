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
    DEN_TILE_COLS = 2 * DEN_TILE_LANES,
    DEN_TILE_CHUNK = 512, /* products summed in registers before they go to memory */
    /* Reals between the weights in use and those asked for from memory: the next chunk.
     * An image passes once through all the weights of a net, mostly from main memory, and
     * the hardware does not look beyond a page of 4 KB.  3 to 5 % of an image. */
    DEN_TILE_AHEAD = DEN_TILE_CHUNK * DEN_TILE_COLS
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

/* From a sum to the output, per channel:
 *     y (=, or += when add) act(scale * sum + bias),   act(v) = v > 0 ? v : slope * v
 * A scale and a slope of 1 change no bit. */
struct den_finish {
    den_real scale[DEN_TILE_COLS], bias[DEN_TILE_COLS], slope;
    bool add;
};

/* Transforms of one of Winograd's algorithms F(m x m, r x r): a tile of m x m outputs,
 * each a sum over r x r taps, from n x n products, n = m + r - 1; one of these is called
 * a point.  Channels come in `count`, a multiple of DEN_TILE_LANES. */
struct den_cpu_winograd {
    size_t m, r;
    /* V = B^T d B of n^2 pixels: line l of point p at v + p v_point + l v_line. */
    void (*input)(const den_real *const d[], size_t count, den_real *v, size_t v_line,
                  size_t v_point);
    /* dM = A dY A^T of m^2 pixels, laid out alike. */
    void (*spread)(const den_real *const dy[], size_t count, den_real *v, size_t v_line,
                   size_t v_point);
    /* m^2 pixels y from the sums A^T M A; those that are NULL are left out. */
    void (*output)(const den_real *sums, size_t point, size_t count,
                   const struct den_finish *finish, den_real *const y[]);
    /* U = G g G^T of r^2 taps, for `rows` rows g_row apart; u [rows][count] is aligned to
     * 64 bytes, and so is u_point. */
    void (*weights)(const den_real *const g[], size_t g_row, size_t rows, size_t count,
                    den_real *u, size_t u_point);
    /* r^2 taps dw += G^T dU G. */
    void (*gradient)(const den_real *du, size_t point, size_t count,
                     den_real *const dw[]);
};

enum {
    DEN_WINOGRAD_POINTS = 36, /* most that an algorithm has */
    DEN_WINOGRAD_TAPS = 9
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

    /* F(2, 2), F(4, 2), F(2, 3) and F(4, 3); ends with m = 0. */
    const struct den_cpu_winograd *winograd;
};

/* Ends with a row whose name is NULL; the first usable one is the fastest.  The last row
 * works everywhere. */
extern const struct den_cpu_tile den_cpu_tiles[];
/* The transforms of F(m x m, r x r); m is 2 or 4, r 2 or 3. */
const struct den_cpu_winograd *den_cpu_winograd_find(const struct den_cpu_tile *tile,
                                                     size_t m, size_t r);
/* The row that DENOISED_ISA names if this processor has it, else the fastest. */
const struct den_cpu_tile *den_cpu_tile_best(void);
/* Takes that row from now on, NULL the default again; false if the name is unknown or not
 * for this processor.  For tests and measurements, while no kernel runs. */
bool den_cpu_tile_use(const char *name);

#endif
