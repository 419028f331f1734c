#include "filter.h"

#include <math.h>
#include <string.h>

#include "border.h"
#include "mem.h"

/* Gaussian smoothing, separable, cut at 4 sigma and normalised after the cut; border d c
 * b a | a b c d.  This is gaussian_filter of SciPy's ndimage with its defaults, except
 * that sums stay in double from one axis to the other. */

#define CUT 4.0
#define MOST_SIGMA 50.0
enum { MOST_RADIUS = 200 }; /* CUT * MOST_SIGMA */

struct blur {
    size_t width, height, radius;
    const float *in;
    float *out;
    double weight[2 * MOST_RADIUS + 1];
    double *rows; /* [threads][width + 2 radius]: one row of sums down the columns */
};

static size_t radius_of(double sigma)
{
    return (size_t)(CUT * sigma + 0.5);
}

static void fill_weights(struct blur *b, double sigma)
{
    double sum = 0;
    b->radius = radius_of(sigma);
    for (size_t k = 0; k <= 2 * b->radius; k++) {
        double t = ((double)k - (double)b->radius) / sigma;
        b->weight[k] = exp(-0.5 * t * t);
        sum += b->weight[k];
    }
    for (size_t k = 0; k <= 2 * b->radius; k++)
        b->weight[k] /= sum;
}

/* sums [width] = weighted sum over the rows around y. */
static void sum_down(const struct blur *b, size_t y, double *sums)
{
    memset(sums, 0, b->width * sizeof *sums);
    for (size_t k = 0; k <= 2 * b->radius; k++) {
        ptrdiff_t at = (ptrdiff_t)(y + k) - (ptrdiff_t)b->radius;
        const float *from = b->in + den_border_repeat(at, b->height) * b->width;
        for (size_t x = 0; x < b->width; x++)
            sums[x] += b->weight[k] * (double)from[x];
    }
}

/* One row needs only its own sums down the columns, so there is no second page: rows are
 * independent units for the pool. */
static void blur_row(void *context, size_t y, int thread)
{
    const struct blur *b = context;
    size_t r = b->radius;
    double *padded = b->rows + (size_t)thread * (b->width + 2 * r);
    sum_down(b, y, padded + r);
    for (size_t k = 0; k < r; k++) {
        ptrdiff_t left = (ptrdiff_t)k - (ptrdiff_t)r;
        ptrdiff_t right = (ptrdiff_t)(b->width + k);
        padded[k] = padded[r + den_border_repeat(left, b->width)];
        padded[r + b->width + k] = padded[r + den_border_repeat(right, b->width)];
    }
    for (size_t x = 0; x < b->width; x++) {
        double sum = 0;
        for (size_t k = 0; k <= 2 * r; k++)
            sum += b->weight[k] * padded[x + k];
        b->out[y * b->width + x] = (float)sum;
    }
}

static size_t bytes(size_t width, const double *values, int threads)
{
    return (size_t)threads * (width + 2 * radius_of(values[0])) * sizeof(double);
}

static bool apply(struct den_pool *pool, size_t width, size_t height, const float *in,
                  float *out, const double *values, struct den_err *err)
{
    if (!den_filter_check(&den_filter_gaussian, values, err))
        return false;
    struct blur b = {.width = width, .height = height, .in = in, .out = out};
    fill_weights(&b, values[0]);
    b.rows = den_new((size_t)den_pool_threads(pool),
                     (width + 2 * b.radius) * sizeof *b.rows, err);
    if (b.rows == NULL)
        return false;
    den_pool_run(pool, height, blur_row, &b);
    den_free(b.rows);
    return true;
}

const struct den_filter den_filter_gaussian = {
    .name = "gaussian",
    .doc = "Gaussian smoothing, cut at 4 sigma.",
    .options = {{"sigma", "Standard deviation of the Gaussian in pixels.", 0.1,
                 MOST_SIGMA, 1.5, false}},
    .apply = apply,
    .bytes = bytes,
};
