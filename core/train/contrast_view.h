#ifndef DEN_CONTRAST_VIEW_H
#define DEN_CONTRAST_VIEW_H

/* Views of images for contrastive learning: flipped, cropped and resized, blurred.  All
 * channels of an image in the same way; arrays are packed [side][side][channels]. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"
#include "rng.h"

struct den_contrast_view {
    bool flip;         /* left and right, before the crop */
    size_t x, y, w, h; /* the crop, of the flipped image; w, h >= 1 */
};

/* Flip with p = 0.5; area uniform from area_min to 1 of the image, aspect 3/4 to 4/3, as
 * in Inception [Szegedy et al., CVPR 2015]; place uniform. */
struct den_contrast_view den_contrast_view_crop(struct den_rng *rng, double area_min,
                                                size_t side);
/* Bilinear, the crop's corner pixels on those of the result ("align corners"). */
void den_contrast_view_sample(const struct den_contrast_view *view, size_t side,
                              size_t channels, const float *from, float *to);
/* 3 x 3 Gaussian, border reflected without repeating the edge. */
void den_contrast_view_blur(double sigma, size_t side, size_t channels, const float *from,
                            float *to);

/* ---- views of pairs, as the authors made them: area from 0.08, and with p = 0.1 a blur
 * of sigma 1.5 of a whole batch ---- */

/* Image i of batch number `batch` of n images; a pure function of all of them. */
struct den_contrast_view den_contrast_view_draw(uint64_t seed, uint64_t batch, size_t n,
                                                size_t i, size_t side);
bool den_contrast_view_blurs(uint64_t seed, uint64_t batch, size_t n);
#define DEN_CONTRAST_BLUR 1.5 /* sigma */
/* Batch number `batch`: to [n][side][side][2] from as many; blurred: scratch [threads of
 * the pool][side][side][2]. */
void den_contrast_views_fill(uint64_t seed, uint64_t batch, size_t n, size_t side,
                             const float *from, float *to, float *blurred,
                             struct den_pool *pool);

#endif
