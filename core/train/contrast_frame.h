#ifndef DEN_CONTRAST_FRAME_H
#define DEN_CONTRAST_FRAME_H

/* Views of noisy images for contrastive learning on microscopy: turns by quarters, flip,
 * a mild resized crop (area from 0.5: strong ones change the grain of the noise, and blur
 * would tell views apart), with p = 0.1 a blur of sigma up to 1; then gain 0.7 to 1.3,
 * offset up to a tenth of the range, and Gaussian noise of 0.5 to 2 times the variance
 * that the image has already. */

#include <stddef.h>
#include <stdint.h>

#include "pool.h"

struct den_contrast_frames {
    uint64_t seed;
    size_t n, side;
    double lo, hi; /* the range of pixels */
    float *work;   /* scratch [threads of the pool][side][side] */
    struct den_pool *pool;
};
/* Batch number `batch` of views, a pure function of all that: to [n][side][side] from as
 * many. */
void den_contrast_frames_fill(const struct den_contrast_frames *frames, uint64_t batch,
                              const float *from, float *to);
/* Standard deviation of the noise of [side][side], from the mean size of second diagonal
 * differences, which leave out what is smooth [after Immerkaer, CVIU 64 (1996)].  0 for
 * side < 2. */
double den_contrast_noise(size_t side, const float *image);

#endif
