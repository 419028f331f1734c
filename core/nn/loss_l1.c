#include "loss_rows.h"

/* L = 1/N sum |p - t|, N all elements; dL/dp = sign(p - t) / N, 0 at 0. */

static double value(struct den_shape shape, const den_real *pred, const den_real *target,
                    const struct den_pixel_loss_options *options, double weight,
                    den_real *dpred, double *scratch)
{
    (void)scratch;
    size_t n = den_shape_count(shape);
    double per_element = den_loss_scale(options) / (double)n, sum = 0;
    den_real slope = (den_real)(weight * per_element);
    for (size_t i = 0; i < n; i++) {
        den_real d = pred[i] - target[i];
        sum += d < 0 ? -(double)d : (double)d;
        if (dpred != NULL)
            dpred[i] += d > 0 ? slope : d < 0 ? -slope : 0;
    }
    return sum * per_element;
}

const struct den_pixel_loss den_loss_l1 = {
    .name = "l1",
    .doc = "mean absolute difference, images scaled to [-1, 1]",
    .value = value,
    .scratch = den_loss_no_scratch,
};
