#ifndef DEN_CONTRAST_FRAME_H
#define DEN_CONTRAST_FRAME_H

/* Views of noisy images for contrastive learning on microscopy: turns by quarters, flip,
 * a mild resized crop (area from 0.5: strong ones change the grain of the noise, and blur
 * would tell views apart), with p = 0.1 a blur of sigma up to 1; then gain 0.7 to 1.3,
 * offset up to a tenth of the range, and noise as the image has it already, of 0.5 to 2
 * times the variance. */

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

/* Poisson-Gaussian noise: the variance of a pixel of grey value v is
 *     a max(v - dark, 0) + b
 * [Foi et al., IEEE Trans. Image Process. 17 (2008)].  Photons make a, the camera b;
 * dark: the mean of the darkest block of 8 x 8 pixels, so that b is the least variance
 * there is.  The darkest pixel would be one that noise has made dark, where no variance
 * is known. */
struct den_contrast_noise {
    double a, b, dark; /* a, b >= 0; grey values; b their square */
};
/* Fitted to [side][side] itself: variances of blocks against their means, by weighted
 * least squares.  a = 0 when the blocks do not vary more than noise makes them; all 0 for
 * side < 2.  scratch: [side][side]. */
struct den_contrast_noise den_contrast_noise_fit(size_t side, const float *image,
                                                 float *scratch);
double den_contrast_noise_variance(const struct den_contrast_noise *noise, double value);

#endif
