#ifndef DEN_LOSS_ROWS_H
#define DEN_LOSS_ROWS_H

/* Private to core/nn: the rows of den_losses[] and den_gan_modes[]. */

#include "loss.h"

extern const struct den_pixel_loss den_loss_l1, den_loss_dssim, den_loss_tv;
extern const struct den_gan_mode den_gan_vanilla, den_gan_lsgan;

/* Units of the paper per network unit: hi - lo counts as 2. */
static inline double den_loss_scale(const struct den_pixel_loss_options *options)
{
    return 2 / (options->hi - options->lo);
}

static inline size_t den_loss_no_scratch(struct den_shape shape)
{
    (void)shape;
    return 0;
}

#endif
