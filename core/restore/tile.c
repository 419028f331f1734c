#include "tile.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "border.h"
#include "mem.h"

static size_t round_up(size_t n, size_t multiple)
{
    return (n + multiple - 1) / multiple * multiple;
}

/* From one tile to the next; a multiple, at least `overlap` less than the tile. */
static size_t step_of(size_t tile, size_t overlap, size_t multiple)
{
    return tile < overlap ? 0 : (tile - overlap) / multiple * multiple;
}

struct den_axis den_axis_plan(size_t size, size_t tile, size_t overlap, size_t multiple)
{
    assert(size > 0 && tile > 0 && multiple > 0);
    size_t padded = round_up(size, multiple), side = round_up(tile, multiple);
    /* A step is at least one multiple, or the tiles would never get on. */
    if (side < overlap + multiple)
        side = round_up(overlap + multiple, multiple);
    if (padded <= side)
        return (struct den_axis){size, padded, multiple, 1, NULL};
    size_t step = step_of(side, overlap, multiple);
    assert(step > 0);
    size_t tiles = 1 + (padded - side + step - 1) / step;
    /* What is shared beyond the overlap is computed twice for nothing: 1024 pixels need
     * three tiles of 384, not of 512. */
    while (side > multiple &&
           (tiles - 1) * step_of(side - multiple, overlap, multiple) + side - multiple >=
               padded)
        side -= multiple;
    return (struct den_axis){size, side, multiple, tiles, NULL};
}

/* Pixels computed along an axis. */
static double computed(const struct den_axis *axis)
{
    return (double)axis->tiles * (double)axis->tile;
}

/* Is layout a better than b?  Of equal ones the one with smaller tiles: less memory. */
static bool better(const struct den_axis *ax, const struct den_axis *ay,
                   const struct den_axis *bx, const struct den_axis *by)
{
    double a = computed(ax) * computed(ay), b = computed(bx) * computed(by);
    return a < b || (a <= b && ax->tile * ay->tile < bx->tile * by->tile);
}

void den_tile_plan(size_t width, size_t height, size_t most, size_t overlap,
                   size_t multiple, struct den_axis *ret_x, struct den_axis *ret_y)
{
    struct den_axis best_x = den_axis_plan(width, 1, overlap, multiple); /* the least */
    struct den_axis best_y = den_axis_plan(height, 1, overlap, multiple);
    size_t widest = round_up(width, multiple);
    for (size_t side = best_x.tile; side <= widest; side += multiple) {
        struct den_axis x = den_axis_plan(width, side, overlap, multiple);
        size_t rows = most / x.tile / multiple * multiple;
        if (rows == 0)
            break;
        struct den_axis y = den_axis_plan(height, rows, overlap, multiple);
        if (x.tile * y.tile <= most && better(&x, &y, &best_x, &best_y)) {
            best_x = x;
            best_y = y;
        }
    }
    *ret_x = best_x;
    *ret_y = best_y;
}

/* Starts are spread evenly in whole multiples, so that neighbours share about the same
 * everywhere.  The plan has a tile for every step of the way, so no gap is wider than a
 * step. */
size_t den_axis_start(const struct den_axis *axis, size_t i)
{
    if (axis->tiles == 1)
        return 0;
    size_t way = (round_up(axis->size, axis->multiple) - axis->tile) / axis->multiple;
    return i * way / (axis->tiles - 1) * axis->multiple;
}

/* Rises from 0 to 1 over the `shared` pixels that this tile has in common with its
 * neighbour; two such ramps that meet add up to 1. */
static double ramp(size_t from_edge, size_t shared)
{
    const double half_pi = 1.5707963267948966;
    if (from_edge >= shared)
        return 1;
    double s = sin(half_pi * ((double)from_edge + 0.5) / (double)shared);
    return s * s;
}

/* Weight of pixel `at` of tile i before the division; 1 away from seams and at the border
 * of the image. */
static double raw_weight(const struct den_axis *axis, size_t i, size_t at)
{
    size_t start = den_axis_start(axis, i), end = start + axis->tile;
    double weight = 1;
    if (i > 0)
        weight *= ramp(at, den_axis_start(axis, i - 1) + axis->tile - start);
    if (i + 1 < axis->tiles)
        weight *= ramp(axis->tile - 1 - at, end - den_axis_start(axis, i + 1));
    return weight;
}

/* Divided by their sum, because three tiles may meet where the overlap is large. */
static void fill_weights(const struct den_axis *axis, double *sums)
{
    for (size_t i = 0; i < axis->tiles; i++)
        for (size_t k = 0; k < axis->tile; k++)
            sums[den_axis_start(axis, i) + k] += raw_weight(axis, i, k);
    for (size_t i = 0; i < axis->tiles; i++)
        for (size_t k = 0; k < axis->tile; k++)
            axis->weight[i * axis->tile + k] =
                (float)(raw_weight(axis, i, k) / sums[den_axis_start(axis, i) + k]);
}

bool den_axis_weigh(struct den_axis *axis, struct den_err *err)
{
    double *sums = den_new(round_up(axis->size, axis->multiple), sizeof *sums, err);
    if (sums == NULL)
        return false;
    axis->weight = den_new(axis->tiles, axis->tile * sizeof *axis->weight, err);
    if (axis->weight != NULL)
        fill_weights(axis, sums);
    den_free(sums);
    return axis->weight != NULL;
}

void den_axis_release(struct den_axis *axis)
{
    den_free(axis->weight);
    axis->weight = NULL;
}

/* to [tile]: pixels from `left` on, the copy apart from the rare mirrored end. */
static void cut_row(const struct den_axis *x, size_t left, const float *from,
                    double shift, double scale, float *to)
{
    size_t inside = left >= x->size ? 0 : x->size - left;
    if (inside > x->tile)
        inside = x->tile;
    for (size_t i = 0; i < inside; i++)
        to[i] = (float)(((double)from[left + i] - shift) / scale);
    for (size_t i = inside; i < x->tile; i++) {
        size_t mirrored = den_border_mirror((ptrdiff_t)(left + i), x->size);
        to[i] = (float)(((double)from[mirrored] - shift) / scale);
    }
}

void den_tile_cut_rows(const struct den_axis *x, const struct den_axis *y, size_t column,
                       size_t row, const float *image, double shift, double scale,
                       size_t from_row, size_t to_row, float *tile)
{
    size_t left = den_axis_start(x, column), top = den_axis_start(y, row);
    for (size_t i = from_row; i < to_row; i++) {
        const float *from =
            image + den_border_mirror((ptrdiff_t)(top + i), y->size) * x->size;
        cut_row(x, left, from, shift, scale, tile + i * x->tile);
    }
}

void den_tile_cut(const struct den_axis *x, const struct den_axis *y, size_t column,
                  size_t row, const float *image, double shift, double scale, float *tile)
{
    den_tile_cut_rows(x, y, column, row, image, shift, scale, 0, y->tile, tile);
}

void den_tile_blend_rows(const struct den_axis *x, const struct den_axis *y,
                         size_t column, size_t row, const float *tile, size_t from_row,
                         size_t to_row, float *image)
{
    size_t left = den_axis_start(x, column), top = den_axis_start(y, row);
    const float *across = x->weight + column * x->tile, *down = y->weight + row * y->tile;
    for (size_t i = from_row; i < to_row && top + i < y->size; i++) {
        float *to = image + (top + i) * x->size + left;
        const float *from = tile + i * x->tile;
        for (size_t k = 0; k < x->tile && left + k < x->size; k++)
            to[k] += down[i] * across[k] * from[k];
    }
}

void den_tile_blend(const struct den_axis *x, const struct den_axis *y, size_t column,
                    size_t row, const float *tile, float *image)
{
    den_tile_blend_rows(x, y, column, row, tile, 0, y->tile, image);
}
