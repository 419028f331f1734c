#ifndef DEN_INFER_H
#define DEN_INFER_H

/* A net on an image of any size: reflect padding, tiles with overlap, feathered blend,
 * normalised once per model, series or page, never per tile; bounded memory. */

#include "model.h"
#include "progress.h"

struct den_infer_options {
    size_t tile;    /* largest side of a tile in pixels, rounded up to the net's multiple;
                     0 = those of up to 1.5 M pixels that compute the fewest twice */
    size_t overlap; /* pixels shared by neighbours, at least 32 by default (0 = 32) */
    size_t batch;   /* tiles per forward pass; 0 = 1 */
    int threads;    /* of the pool to come, for den_infer_bytes alone; 0 = 1 */
};
#define DEN_INFER_TILE_MAX 8192
#define DEN_INFER_BATCH_MAX 256

struct den_infer; /* a graph for one tile size; reusable over pages and images */

/* model and pool are borrowed.  A model that comes from a file gives its weights to the
 * infer, which holds them in another order; the next den_infer_new reads them again.  A
 * width x height image smaller than a tile gets a tile of its own padded size.
 * DEN_E_UNPROCESSABLE for a net that does not make one grey image from one. Norm layers
 * use what training left in the model, never the tile at hand (instance norm has nothing
 * but the tile, so there the result depends on the tile size). */
bool den_infer_new(struct den_model *model, struct den_pool *pool, size_t width,
                   size_t height, const struct den_infer_options *options,
                   struct den_infer **ret, struct den_err *err) DEN_CHECKED;
void den_infer_free(struct den_infer *infer);
size_t den_infer_tiles(const struct den_infer *infer); /* per page */
/* Pages from now on are normalised by this pair, all the same; NULL: by the model's, or
 * each by its own where the model's kind goes by the image. */
void den_infer_set_norm(struct den_infer *infer, const struct den_norm *norm);
/* noisy, denoised: [height][width] grey values; may not overlap; on failure denoised
 * holds nothing of use.  Progress ticks per tile, from `first` of `total` tiles (a stack
 * counts over all its pages). */
bool den_infer_page(struct den_infer *infer, const float *noisy, float *denoised,
                    const struct den_progress *progress, size_t first, size_t total,
                    struct den_err *err) DEN_CHECKED;
/* Peak bytes of the above (graph, weights, page buffers) with a model from a file, from
 * numbers alone. */
bool den_infer_bytes(const struct den_net *net, const struct den_net_options *net_options,
                     size_t width, size_t height, const struct den_infer_options *options,
                     size_t *ret_bytes, size_t *ret_tiles,
                     struct den_err *err) DEN_CHECKED;

#endif
