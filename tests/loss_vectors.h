#ifndef DEN_LOSS_VECTORS_H
#define DEN_LOSS_VECTORS_H

/* Expected values of the pixel losses, computed with PyTorch 1.13 in float64 from the
 * reproducible numbers of vectors.h: y (24 x 20) = u, x = clip(y + 0.2 U(1), 0, 1). */

#include <string.h>

#include "den_check.h"
#include "loss.h"
#include "mem.h"
#include "vectors.h"

enum { LOSS_H = 24, LOSS_W = 20, LOSS_N = LOSS_H * LOSS_W };
static const struct den_shape loss_shape = {1, LOSS_H, LOSS_W, 1};

static inline void loss_images(den_real *x, den_real *y)
{
    struct lcg g = {18};
    for (size_t i = 0; i < LOSS_N; i++)
        y[i] = (den_real)lcg_u(&g);
    for (size_t i = 0; i < LOSS_N; i++) {
        double v = (double)y[i] + 0.2 * (2 * lcg_u(&g) - 1);
        x[i] = (den_real)(v < 0 ? 0 : v > 1 ? 1 : v);
    }
}

/* The loss of a shape, with scratch of its own. */
static inline double loss_value(const struct den_pixel_loss *loss, struct den_shape shape,
                                const den_real *x, const den_real *y,
                                const struct den_pixel_loss_options *options,
                                double weight, den_real *dx)
{
    double *scratch = den_calloc(loss->scratch(shape), sizeof *scratch);
    ck_assert_ptr_nonnull(scratch);
    double value = loss->value(shape, x, y, options, weight, dx, scratch);
    den_free(scratch);
    return value;
}

static inline void check_dssim_vector(double tolerance)
{
    static const struct {
        size_t window;
        bool valid;
        double value, sum, sumsq, first; /* of the gradient; sumsq 0: not known */
    } rows[] = {
        {5, false, 0.0370039837786, 0.00220732252599, 0.000888868792591,
         0.000218238020003},
        {5, true, 0.0371491815093, 0, 0, 0},
        {11, false, 0.0361586505428, 0.00402411594962, 0.000842824898904, 0},
        {11, true, 0.035358744125, 0, 0, 0},
    };
    den_real x[LOSS_N], y[LOSS_N], dx[LOSS_N];
    loss_images(x, y);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct den_pixel_loss_options o = {0, 1, rows[i].window, rows[i].valid};
        memset(dx, 0, sizeof dx);
        double value = loss_value(den_loss_find("dssim"), loss_shape, x, y, &o, 1, dx);
        close_to(value / rows[i].value, 1, tolerance);
        if (rows[i].sumsq > 0) {
            close_to(sum_of(dx, LOSS_N) / rows[i].sum, 1, 10 * tolerance);
            close_to(sumsq_of(dx, LOSS_N) / rows[i].sumsq, 1, tolerance);
        }
        if (rows[i].first > 0)
            close_to((double)dx[0] / rows[i].first, 1, tolerance);
    }
}

static inline void check_tv_and_l1_vector(double tolerance)
{
    const struct den_pixel_loss_options o = {.lo = -1, .hi = 1};
    den_real x[LOSS_N], y[LOSS_N], dx[LOSS_N] = {0};
    loss_images(x, y);
    double tv = loss_value(den_loss_find("tv"), loss_shape, x, y, &o, 1, dx);
    close_to(tv, 324.694258374, tolerance);
    close_to(sum_of(dx, LOSS_N), 0, 0);
    close_to(sumsq_of(dx, LOSS_N), 3538, 0);
    double l1 = loss_value(den_loss_find("l1"), loss_shape, x, y, &o, 1, NULL);
    close_to(l1 / 0.0960547525975, 1, tolerance);
}

#endif
