#ifndef DEN_LOSS_H
#define DEN_LOSS_H

/* Losses live outside the graph, on packed host arrays [n][h][w][c].
 * Each returns the unweighted value and ADDS weight * dL/dpred to dpred (NULL: value
 * only).
 *
 * Pixel losses are defined by the paper on images scaled to [-1, 1].  Here the net may
 * work in other units; lo and hi are the network values that count as -1 and 1: v -> 2 (v
 * - lo) / (hi - lo) - 1, so that lambda means the same whatever the normalisation. */

#include "err.h"
#include "view.h"

struct den_pixel_loss_options {
    double lo, hi; /* -1, 1 = identity */
    size_t window; /* dssim: 5 or 11 (Gaussian, sigma 1.5) */
    bool valid;    /* dssim: only windows inside the image; else reflected border */
};

struct den_pixel_loss {
    const char *name, *doc;
    double (*value)(struct den_shape shape, const den_real *pred, const den_real *target,
                    const struct den_pixel_loss_options *options, double weight,
                    den_real *dpred, double *scratch);
    /* doubles of scratch for this shape */
    size_t (*scratch)(struct den_shape shape);
};
/* l1: mean |p - t|; subgradient 0 at 0.
 * dssim: mean clamp((1 - SSIM) / 2, 0, 1), on (v + 1) / 2, C1 = 0.01^2, C2 = 0.03^2 [Wang
 * et al., IEEE TIP 13 (2004), eq. 13], per image and channel, mean over all. tv: per
 * image sum of |vertical| + |horizontal| differences, mean over images; target unused. */
extern const struct den_pixel_loss *const den_losses[]; /* ends with NULL */
const struct den_pixel_loss *den_loss_find(const char *name);

struct den_gan_mode {
    const char *name, *doc;
    /* mean over n logits against label 1 (real) or 0 (fake) */
    double (*value)(size_t n, const den_real *logits, double label, double weight,
                    den_real *dlogits);
};
/* vanilla: binary cross entropy with logits; lsgan: mean (l - t)^2 [Mao et al., ICCV
 * 2017]. */
extern const struct den_gan_mode *const den_gan_modes[]; /* ends with NULL */
const struct den_gan_mode *den_gan_find(const char *name);

/* Learning rate factor at step e (0-based): 1 - max(0, e - constant) / (decay + 1), not
 * below 0. */
double den_linear_decay(size_t step, size_t constant, size_t decay);

#endif
