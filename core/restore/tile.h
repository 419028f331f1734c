#ifndef DEN_TILE_H
#define DEN_TILE_H

/* An image as overlapping tiles of one size, cut out with reflection beyond the border
 * and blended back with weights that rise over the overlap.
 *
 * Rows and columns are tiled independently and the weight of a pixel is the product of
 * its two weights, so no image of weights is needed.  Tiles begin at multiples of the
 * net's multiple: a net with strides gives the same for an image and for its shifted copy
 * only when the shift is such a multiple. */

#include <stddef.h>

#include "err.h"

struct den_axis {
    size_t size;     /* pixels of the image */
    size_t tile;     /* pixels of a tile, a multiple of `multiple` */
    size_t multiple; /* of the net */
    size_t tiles;
    float *weight; /* [tiles][tile], over all tiles they sum to 1 at each pixel */
};

/* The layout alone, without weights.  One tile of the padded size when that is not
 * larger than `tile` (rounded up to a multiple, and made larger than the overlap), else
 * as few tiles of that side as share `overlap` pixels with the next, and those as small
 * as their number allows.  size, tile, multiple > 0. */
struct den_axis den_axis_plan(size_t size, size_t tile, size_t overlap, size_t multiple);
/* The layout of a width x height image with the fewest computed pixels among those whose
 * tiles have at most `most` pixels (or the least that overlap and multiple allow).  What
 * tiles share is computed twice, and of a net with a large multiple that is much: 2048 x
 * 2048 in tiles of 512 with a multiple of 128 are 25 tiles, 1.56 times the pixels of the
 * image, in tiles of 1152 they are 1.27 times. */
void den_tile_plan(size_t width, size_t height, size_t most, size_t overlap,
                   size_t multiple, struct den_axis *ret_x, struct den_axis *ret_y);
/* Adds the weights. */
bool den_axis_weigh(struct den_axis *axis, struct den_err *err) DEN_CHECKED;
void den_axis_release(struct den_axis *axis);
/* First pixel of tile i.  The last tile ends at the first multiple at or after size. */
size_t den_axis_start(const struct den_axis *axis, size_t i);

/* tile [y.tile][x.tile] = (image - shift) / scale, image [y.size][x.size] mirrored beyond
 * its border as often as needed.  Rows from..to - 1 of the tile. */
void den_tile_cut_rows(const struct den_axis *x, const struct den_axis *y, size_t column,
                       size_t row, const float *image, double shift, double scale,
                       size_t from, size_t to, float *tile);
/* The same with all rows. */
void den_tile_cut(const struct den_axis *x, const struct den_axis *y, size_t column,
                  size_t row, const float *image, double shift, double scale,
                  float *tile);
/* image += weight * tile where the tile lies on the image, for rows from..to - 1 of the
 * tile. */
void den_tile_blend_rows(const struct den_axis *x, const struct den_axis *y,
                         size_t column, size_t row, const float *tile, size_t from,
                         size_t to, float *image);
/* The same with all rows. */
void den_tile_blend(const struct den_axis *x, const struct den_axis *y, size_t column,
                    size_t row, const float *tile, float *image);

#endif
