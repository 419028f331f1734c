#include "backend_cpu.h"

#include <string.h>

/* Kernels between a map and one of half its sides: pooling by maxima and the repetition
 * of pixels.  A unit of work is a row of the small map with the two rows of the large one
 * that belong to it; a pixel's channels are the vector. */

struct resample {
    const struct den_view *large, *small;
    const struct den_view *dlarge; /* backward of the maximum: what it writes */
    bool add;
    void (*row)(const struct resample *job, size_t image, size_t row);
};

static void resample_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct resample *job = context;
    size_t h = job->small->shape.h;
    job->row(job, unit / h, unit % h);
}

static void run(const struct den_exec *ex, const struct resample *job)
{
    struct resample copy = *job;
    struct den_shape s = job->small->shape;
    bool alone = 4 * den_shape_count(s) < DEN_CPU_ALONE;
    den_pool_run(alone ? NULL : ex->pool, s.n * s.h, resample_unit, &copy);
}

/* The four pixels of the large map that belong to (row, x) of the small one, from left to
 * right and from top to bottom. */
struct window {
    den_real *at[4];
};

static inline struct window window_of(const struct den_view *large, size_t image,
                                      size_t row, size_t x)
{
    den_real *at = den_view_at(large, image, 2 * row, 2 * x);
    size_t down = den_view_row(large);
    return (struct window){{at, at + large->ld, at + down, at + down + large->ld}};
}

/* ---- maxima ---------------------------------------------------------------------------
 */

/* NaN goes through, so that a divergence is seen. */
static inline den_real larger(den_real best, den_real value)
{
    return value > best || value != value ? value : best;
}

static DEN_CLONES void max_row(const struct resample *job, size_t image, size_t row)
{
    struct den_shape s = job->small->shape;
    for (size_t x = 0; x < s.w; x++) {
        struct window from = window_of(job->large, image, row, x);
        const den_real *a = from.at[0], *b = from.at[1], *c = from.at[2], *d = from.at[3];
        den_real *y = den_view_at(job->small, image, row, x);
        DEN_IVDEP
        for (size_t k = 0; k < s.c; k++) {
            den_real upper = larger(a[k], b[k]), lower = larger(c[k], d[k]);
            y[k] = larger(upper, lower);
        }
    }
}

void den_cpu_max_pool_forward(const struct den_exec *ex, const struct den_view *x,
                              const struct den_view *y)
{
    run(ex, &(struct resample){.large = x, .small = y, .row = max_row});
}

/* One pixel of dy to the place of its maximum, the first of equals, 0 to the three
 * others. Written for the vectoriser: selections, no jumps. */
static inline void max_back_pixel(size_t channels, const struct window *from,
                                  const den_real *dy, bool add, const struct window *to)
{
    const den_real *a = from->at[0], *b = from->at[1], *c = from->at[2], *d = from->at[3];
    den_real *da = to->at[0], *db = to->at[1], *dc = to->at[2], *dd = to->at[3];
    DEN_IVDEP
    for (size_t k = 0; k < channels; k++) {
        bool second = b[k] > a[k];
        den_real best = second ? b[k] : a[k];
        bool third = c[k] > best;
        best = third ? c[k] : best;
        bool fourth = d[k] > best;
        den_real rest = dy[k], none = 0;
        den_real to_d = fourth ? rest : none;
        rest = fourth ? none : rest;
        den_real to_c = third ? rest : none;
        rest = third ? none : rest;
        den_real to_b = second ? rest : none;
        rest = second ? none : rest;
        da[k] = add ? da[k] + rest : rest;
        db[k] = add ? db[k] + to_b : to_b;
        dc[k] = add ? dc[k] + to_c : to_c;
        dd[k] = add ? dd[k] + to_d : to_d;
    }
}

static void clear_pixels(const struct den_view *v, size_t image, size_t row, size_t x,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        memset(den_view_at(v, image, row, x + i), 0, v->shape.c * sizeof *v->data);
}

/* Of an odd side the last row or column has no part in the output. */
static void clear_rest(const struct den_view *dx, size_t image, size_t row, bool last)
{
    struct den_shape s = dx->shape;
    for (size_t y = 2 * row; s.w % 2 == 1 && y < 2 * row + 2; y++)
        clear_pixels(dx, image, y, s.w - 1, 1);
    if (last && s.h % 2 == 1)
        clear_pixels(dx, image, s.h - 1, 0, s.w);
}

static DEN_CLONES void max_back_row(const struct resample *job, size_t image, size_t row)
{
    struct den_shape s = job->small->shape;
    for (size_t x = 0; x < s.w; x++) {
        struct window from = window_of(job->large, image, row, x);
        struct window to = window_of(job->dlarge, image, row, x);
        const den_real *dy = den_view_at(job->small, image, row, x);
        if (job->add)
            max_back_pixel(s.c, &from, dy, true, &to);
        else
            max_back_pixel(s.c, &from, dy, false, &to);
    }
    if (!job->add)
        clear_rest(job->dlarge, image, row, row + 1 == s.h);
}

void den_cpu_max_pool_backward(const struct den_exec *ex, const struct den_view *x,
                               const struct den_view *dy, const struct den_view *dx,
                               bool add)
{
    run(ex, &(struct resample){
                .large = x, .small = dy, .dlarge = dx, .add = add, .row = max_back_row});
}

/* ---- repetition -----------------------------------------------------------------------
 */

static void repeat_row(const struct resample *job, size_t image, size_t row)
{
    struct den_shape s = job->small->shape;
    for (size_t x = 0; x < s.w; x++) {
        struct window to = window_of(job->large, image, row, x);
        const den_real *from = den_view_at(job->small, image, row, x);
        for (size_t i = 0; i < 4; i++)
            memcpy(to.at[i], from, s.c * sizeof *from);
    }
}

void den_cpu_upsample_forward(const struct den_exec *ex, const struct den_view *x,
                              const struct den_view *y)
{
    run(ex, &(struct resample){.large = y, .small = x, .row = repeat_row});
}

static DEN_CLONES void repeat_back_row(const struct resample *job, size_t image,
                                       size_t row)
{
    struct den_shape s = job->small->shape;
    for (size_t x = 0; x < s.w; x++) {
        struct window from = window_of(job->large, image, row, x);
        const den_real *a = from.at[0], *b = from.at[1], *c = from.at[2], *d = from.at[3];
        den_real *dx = den_view_at(job->small, image, row, x);
        bool add = job->add;
        DEN_IVDEP
        for (size_t k = 0; k < s.c; k++)
            dx[k] = (add ? dx[k] : 0) + ((a[k] + b[k]) + (c[k] + d[k]));
    }
}

void den_cpu_upsample_backward(const struct den_exec *ex, const struct den_view *dy,
                               const struct den_view *dx, bool add)
{
    run(ex,
        &(struct resample){.large = dy, .small = dx, .add = add, .row = repeat_back_row});
}
