#ifndef DEN_BACKEND_CPU_PRODUCT_H
#define DEN_BACKEND_CPU_PRODUCT_H

/* Private to backend_cpu: a grid of output pixels, each the product of the taps under it
 * with a matrix of weights.  Forward is one such grid, backward-data one per phase. */

#include "backend_cpu_tile.h"

enum { DEN_PRODUCTS = 4 }; /* grids that share one loop over the pool */

struct den_product {
    size_t n, h, w; /* the grid */
    const den_real *a;
    size_t a_image, a_row, a_pixel; /* from grid point to grid point */
    den_real *y;
    size_t y_image, y_row, y_pixel;
    size_t channels;              /* of y */
    struct den_taps taps;         /* as the weights are packed */
    const den_real *bias, *scale; /* NULL: 0 and 1 */
    den_real slope;
    bool add;

    /* Where `a` lies: tap (0, 0) of grid point (0, 0) reads pixel (in_y, in_x) of in. */
    const struct den_view *in;
    ptrdiff_t in_y, in_x;

    /* w[tap iy, ix][k][channel] = from[iy wy + ix wx + k wk + channel wc] */
    const den_real *from;
    ptrdiff_t wy, wx;
    size_t wk, wc;

    /* Set by den_products_run. */
    const struct den_cpu_tile *tile;
    struct den_taps runs; /* as they are multiplied: neighbours in memory are merged */
    den_real *b;          /* packed weights */
    bool narrow;
    size_t pixels, per_unit, groups, units, blocks;
};

struct den_products {
    size_t count;
    bool together; /* set by den_products_run: a unit takes its part of every grid */
    struct den_product item[DEN_PRODUCTS];
};

/* Runs all grids and empties the list.  scratch holds the packed weights of all:
 * den_packed_count(taps, channels) reals each.  Grids must not write the same pixels. */
void den_products_run(const struct den_exec *ex, struct den_products *all,
                      den_real *scratch);
/* The same in two steps: packs the weights of all grids, which empties the list, and
 * takes them as they were packed. */
void den_products_pack(const struct den_exec *ex, struct den_products *all, den_real *to);
void den_products_run_packed(const struct den_exec *ex, struct den_products *all,
                             den_real *packed);

/* Of channels [first, first + used). */
struct den_finish den_product_finish(const struct den_product *p, size_t first,
                                     size_t used);

/* A transposition: to[k * ld + c] = from[k + c * step] for k < rows, c < cols. */
void den_turn(size_t rows, size_t cols, const den_real *from, size_t step, den_real *to,
              size_t ld);

/* taps: how many numbers are summed for an output. */
size_t den_packed_count(size_t taps, size_t channels);

#endif
