#include <math.h>

#include "loss_rows.h"

/* Anisotropic total variation [Rudin, Osher and Fatemi, Physica D 60 (1992), here with
 * absolute differences]: per image the SUM of |p(y+1,x) - p(y,x)| + |p(y,x+1) - p(y,x)|,
 * then the mean over images.  No wrap-around; subgradient 0 at 0.  Being a sum it grows
 * with the crop's area. */

struct tv {
    const den_real *pred;
    den_real *dpred; /* or NULL */
    den_real slope;  /* of one difference */
};

/* |a - b| of elements i and j, and its subgradient. */
static double difference(const struct tv *tv, size_t i, size_t j)
{
    den_real d = tv->pred[i] - tv->pred[j];
    if (tv->dpred != NULL && d != 0) {
        den_real slope = d > 0 ? tv->slope : -tv->slope;
        tv->dpred[i] += slope;
        tv->dpred[j] -= slope;
    }
    return fabs((double)d);
}

static double value(struct den_shape shape, const den_real *pred, const den_real *target,
                    const struct den_pixel_loss_options *options, double weight,
                    den_real *dpred, double *scratch)
{
    (void)target;
    (void)scratch;
    size_t column = shape.c, row = shape.w * shape.c;
    double per_element = den_loss_scale(options) / (double)shape.n, sum = 0;
    struct tv tv = {pred, dpred, (den_real)(weight * per_element)};
    for (size_t i = 0; i < shape.n; i++)
        for (size_t y = 0; y < shape.h; y++) {
            size_t at = (i * shape.h + y) * row;
            for (size_t e = column; e < row; e++)
                sum += difference(&tv, at + e, at + e - column);
            for (size_t e = 0; y > 0 && e < row; e++)
                sum += difference(&tv, at + e, at + e - row);
        }
    return sum * per_element;
}

const struct den_pixel_loss den_loss_tv = {
    .name = "tv",
    .doc = "total variation: sum of absolute neighbour differences per image",
    .value = value,
    .scratch = den_loss_no_scratch,
};
