#include "filter.h"

#include <stdint.h>
#include <string.h>

#include "border.h"
#include "mem.h"

/* Median of the (2 radius + 1)^2 pixels around each one; border d c b a | a b c d.
 *
 * Forgetful selection: of n values the smallest and largest of any n / 2 + 2 cannot be
 * the median, so drop both, take one new value in and repeat.  Only minima and maxima of
 * pairs at fixed places are needed, hence a strip of LANES pixels is done side by side in
 * vector registers.  Exact, and independent of the values. */

enum {
    MOST_RADIUS = 5,
    MOST_VALUES = (2 * MOST_RADIUS + 1) * (2 * MOST_RADIUS + 1),
    LANES = 16,
    BAND = 16 /* rows per unit of work */
};

struct median {
    size_t width, height, radius;
    size_t stride; /* of a padded row: width + 2 radius + LANES */
    const float *in;
    float *out;
    float *bands; /* [threads][BAND + 2 radius][stride] */
};

/* Four pixels in one register.  Written with masks because a compiler may turn
 * `a < b ? a : b` into a vector minimum only when told that there are no NaN and no
 * signed zeros, and it is told so nowhere here. */
typedef float lane4 __attribute__((vector_size(16)));
typedef int32_t mask4 __attribute__((vector_size(16)));

static inline void order(lane4 *restrict low, lane4 *restrict high)
{
    for (size_t l = 0; l < LANES / 4; l++) {
        mask4 a = (mask4)low[l], b = (mask4)high[l];
        mask4 swap = (a ^ b) & (mask4)(high[l] < low[l]);
        low[l] = (lane4)(a ^ swap);
        high[l] = (lane4)(b ^ swap);
    }
}

/* The smallest of count values goes to the first place, the largest to the last. */
static void spread(lane4 (*v)[LANES / 4], size_t count)
{
    size_t half = count / 2;
    for (size_t i = 0; i < half; i++)
        order(v[i], v[count - 1 - i]);
    for (size_t i = 1; i < count - half; i++)
        order(v[0], v[i]);
    for (size_t i = half; i < count - 1; i++)
        order(v[i], v[count - 1]);
}

/* window: top left pixel of the first window, in padded rows. */
static void median_strip(const struct median *m, const float *window, float *ret)
{
    lane4 v[MOST_VALUES / 2 + 2][LANES / 4];
    size_t side = 2 * m->radius + 1, total = side * side, count = total / 2 + 2;
    size_t next = 0;
    for (; next < count; next++)
        memcpy(v[next], window + next / side * m->stride + next % side, sizeof *v);
    for (; count > 3; count--, next++) {
        spread(v, count);
        memcpy(v[0], window + next / side * m->stride + next % side, sizeof *v);
    }
    spread(v, 3);
    memcpy(ret, v[1], sizeof *v);
}

/* to [width + 2 radius]; what follows up to the stride stays 0 and only feeds lanes whose
 * result is thrown away. */
static void pad_row(const struct median *m, size_t y, float *to)
{
    const float *from = m->in + y * m->width;
    for (size_t i = 0; i < m->width + 2 * m->radius; i++)
        to[i] = from[den_border_repeat((ptrdiff_t)i - (ptrdiff_t)m->radius, m->width)];
}

static void median_band(void *context, size_t unit, int thread)
{
    const struct median *m = context;
    size_t top = unit * BAND;
    size_t rows = m->height - top < BAND ? m->height - top : BAND;
    float *band = m->bands + (size_t)thread * (BAND + 2 * m->radius) * m->stride;
    for (size_t i = 0; i < rows + 2 * m->radius; i++) {
        ptrdiff_t y = (ptrdiff_t)(top + i) - (ptrdiff_t)m->radius;
        pad_row(m, den_border_repeat(y, m->height), band + i * m->stride);
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t x = 0; x < m->width; x += LANES) {
            float strip[LANES];
            median_strip(m, band + i * m->stride + x, strip);
            for (size_t l = 0; l < LANES && x + l < m->width; l++)
                m->out[(top + i) * m->width + x + l] = strip[l];
        }
}

static size_t stride_of(size_t width, size_t radius)
{
    return width + 2 * radius + LANES;
}

static size_t bytes(size_t width, const double *values, int threads)
{
    size_t radius = (size_t)values[0];
    return (size_t)threads * (BAND + 2 * radius) * stride_of(width, radius) *
           sizeof(float);
}

static bool apply(struct den_pool *pool, size_t width, size_t height, const float *in,
                  float *out, const double *values, struct den_err *err)
{
    if (!den_filter_check(&den_filter_median, values, err))
        return false;
    struct median m = {.width = width, .height = height, .in = in, .out = out};
    m.radius = (size_t)values[0];
    m.stride = stride_of(width, m.radius);
    m.bands = den_new((size_t)den_pool_threads(pool),
                      (BAND + 2 * m.radius) * m.stride * sizeof *m.bands, err);
    if (m.bands == NULL)
        return false;
    den_pool_run(pool, (height + BAND - 1) / BAND, median_band, &m);
    den_free(m.bands);
    return true;
}

const struct den_filter den_filter_median = {
    .name = "median",
    .doc = "Median of a square window.",
    .options = {{"radius", "The window has 2 radius + 1 pixels a side.", 1, MOST_RADIUS,
                 2, true}},
    .apply = apply,
    .bytes = bytes,
};
