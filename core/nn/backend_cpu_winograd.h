#ifndef DEN_BACKEND_CPU_WINOGRAD_H
#define DEN_BACKEND_CPU_WINOGRAD_H

/* Private to backend_cpu: 4x4 convolutions with stride 2 or 1, and 3x3 ones with stride
 * 1, by Winograd's algorithms F(m x m, r x r) [Lavin and Gray, CVPR 2016]: a tile of m x
 * m outputs of an r x r convolution from (m + r - 1)^2 products instead of m^2 r^2.
 *     F(2x2, 2x2)    9 for  16        F(2x2, 3x3)   16 for  36
 *     F(4x4, 2x2)   25 for  64        F(4x4, 3x3)   36 for 144
 *
 * A grid of outputs (struct den_product) sees its taps as phases of r x r: those of 4x4
 * as four phases of 2x2, where with stride 2 tap k = 2 t + a belongs to phase a, with
 * stride 1 tap k = 2 a + t; 3x3 is one phase.  Phases are summed like channels: V of a
 * tile holds K = phases * input channels numbers per point.     */

#include "backend_cpu_product.h"

/* What the choice of an algorithm depends on: one convolution, or the phases of one
 * backward pass.  h, w: the largest grid. */
struct den_winograd_case {
    size_t grids, n, h, w;
    size_t kh, kw, step; /* of each grid: taps, and input pixels per grid point */
    size_t len, channels;
};

enum den_winograd_use {
    DEN_WINOGRAD_CALL,    /* products with weights that each call brings into order */
    DEN_WINOGRAD_PACKED,  /* products with weights packed once */
    DEN_WINOGRAD_WEIGHTS, /* the gradient of the weights */
    DEN_WINOGRAD_USES
};

/* r: the taps a side of each phase. */
size_t den_winograd_taps(const struct den_winograd_case *c);
/* m of F(m x m, r x r): 4, 2, or 0 where plain sums are faster or the only way. */
size_t den_winograd_choose(enum den_winograd mode, const struct den_winograd_case *c,
                           enum den_winograd_use use);
/* For tests and measurements, while no kernel runs: from now on m instead of the fastest,
 * as far as mode and shape allow it; 0 ends this. */
void den_winograd_prefer(size_t m);

/* Runs the grids of a case and empties the list.  Takes ex->packed if there is one. */
void den_winograd_run(const struct den_exec *ex, size_t m, struct den_products *all);
/* Scratch of den_winograd_run, with or without weights packed before. */
size_t den_winograd_scratch(size_t m, const struct den_winograd_case *c, int threads,
                            bool packed);
/* U of all grids, and its reals. */
void den_winograd_pack(const struct den_exec *ex, size_t m, struct den_products *all,
                       den_real *to);
size_t den_winograd_packed(size_t m, const struct den_winograd_case *c);

/* Gradient of the weights, as den_cpu_conv_backward_weights; c is that of the forward
 * pass. */
void den_winograd_weights(const struct den_exec *ex, size_t m,
                          const struct den_winograd_case *c, struct den_conv_geom g,
                          const struct den_view *x, const struct den_view *dy,
                          den_real *dw);
size_t den_winograd_weights_scratch(size_t m, const struct den_winograd_case *c);

/* ---- shared by the two ---- */

/* Tiles of m x m outputs, counted over images, rows and columns. */
struct den_winograd_tiles {
    size_t m, h, w; /* h, w: tiles per image side */
    size_t count;
};
struct den_winograd_tiles den_winograd_tiles(size_t m, size_t n, size_t h, size_t w);
/* First output pixel of a tile. */
void den_winograd_place(const struct den_winograd_tiles *tiles, size_t tile,
                        size_t *ret_image, size_t *ret_y, size_t *ret_x);

/* Addresses of a square of n x n pixels of image `image`, `step` apart, from (y, x) on;
 * outside the image the address is `zero`. */
void den_winograd_window(const struct den_view *v, size_t image, ptrdiff_t y, ptrdiff_t x,
                         size_t n, size_t step, const den_real *zero,
                         const den_real **ret);

#endif
