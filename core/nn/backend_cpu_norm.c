#include "backend_cpu.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Per-channel sums and normalisation.  Channels are taken 128 at a time, so that all
 * per-channel numbers live on the stack.  Narrow packed rows are treated as rows of 128
 * "lanes" (several pixels side by side), which keeps the vector loops long.  Sums are in
 * double, over fixed parts of the rows that are added in order.     */

enum { LANES = 128, PARTS = 16, VIEWS = 3, UNIT_ELEMENTS = 16384 };

/* Sums of one or two views: first[c] and second[c] of a channel. */
struct sums {
    double first[LANES], second[LANES];
};

/* What is summed over a run of `pixels` pixels of `lanes` reals. */
typedef void run_fn(size_t pixels, size_t lanes, const den_real *x, size_t step_x,
                    const den_real *y, size_t step_y, const den_real *mean,
                    struct sums *to);

/* sum x, sum x^2 */
static DEN_CLONES void run_moments(size_t pixels, size_t lanes, const den_real *x,
                                   size_t step_x, const den_real *y, size_t step_y,
                                   const den_real *mean, struct sums *to)
{
    (void)y, (void)step_y, (void)mean;
    for (size_t j = 0; j < pixels; j++, x += step_x)
        DEN_IVDEP
    for (size_t k = 0; k < lanes; k++) {
        double v = (double)x[k];
        to->first[k] += v;
        to->second[k] += v * v;
    }
}

/* sum y, sum y (x - mean): the two sums of the backward pass */
static DEN_CLONES void run_backward(size_t pixels, size_t lanes, const den_real *x,
                                    size_t step_x, const den_real *y, size_t step_y,
                                    const den_real *mean, struct sums *to)
{
    for (size_t j = 0; j < pixels; j++, x += step_x, y += step_y)
        DEN_IVDEP
    for (size_t k = 0; k < lanes; k++) {
        to->first[k] += (double)y[k];
        to->second[k] += (double)(y[k] * (x[k] - mean[k]));
    }
}

/* How the rows of some views of one shape are cut into runs: a row is `whole` pixels of
 * `lanes` reals (`repeat` true pixels each) and one rest of `rest` reals. */
struct runs {
    size_t repeat, lanes, whole, rest;
};

static struct runs runs_of(const struct den_view *const view[VIEWS])
{
    struct den_shape s = view[0]->shape;
    assert(s.w > 0 && s.c > 0 && s.c <= LANES);
    bool packed = true;
    for (size_t v = 0; v < VIEWS; v++)
        packed = packed && (view[v] == NULL || view[v]->ld == s.c);
    struct runs r = {.repeat = packed ? LANES / s.c : 1};
    if (r.repeat > s.w)
        r.repeat = s.w;
    r.lanes = r.repeat * s.c;
    r.whole = s.w / r.repeat;
    r.rest = (s.w - r.whole * r.repeat) * s.c;
    return r;
}

/* Channels [c, c + count) of v, of image i alone or (i = SIZE_MAX) of all. */
static struct den_view slice_of(const struct den_view *v, size_t image, size_t c,
                                size_t count)
{
    struct den_view part = *v;
    part.shape.c = count;
    part.data += c;
    if (image != SIZE_MAX) {
        part.shape.n = 1;
        part.data += image * den_view_image(v);
    }
    return part;
}

/* ---- sums -----------------------------------------------------------------------------
 */

struct sum_job {
    run_fn *run;
    const struct den_view *view[VIEWS];
    struct runs runs;
    size_t rows, parts;
    den_real mean[LANES];
    struct sums part[PARTS];
};

static void sum_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    struct sum_job *job = context;
    const struct den_view *x = job->view[0], *y = job->view[1];
    const struct runs *runs = &job->runs;
    struct sums all = {{0}, {0}}, *to = &job->part[unit];
    size_t from, end;
    den_range(job->rows, job->parts, unit, &from, &end);
    for (size_t r = from; r < end; r++) {
        size_t i = r / x->shape.h, row = r % x->shape.h;
        const den_real *at = den_view_at(x, i, row, 0), *at_y = NULL;
        size_t step = runs->repeat * x->ld, step_y = 0;
        if (y != NULL) {
            at_y = den_view_at(y, i, row, 0);
            step_y = runs->repeat * y->ld;
        }
        job->run(runs->whole, runs->lanes, at, step, at_y, step_y, job->mean, &all);
        if (runs->rest > 0)
            job->run(1, runs->rest, at + runs->whole * step, 0,
                     y != NULL ? at_y + runs->whole * step_y : NULL, 0, job->mean, &all);
    }
    size_t c = x->shape.c;
    memset(to, 0, sizeof *to);
    for (size_t k = 0; k < runs->lanes; k++) {
        to->first[k % c] += all.first[k];
        to->second[k % c] += all.second[k];
    }
}

/* Sums over all rows of x (and y, or NULL); mean [c] or NULL. */
static void sum_views(const struct den_exec *ex, run_fn *run, const struct den_view *x,
                      const struct den_view *y, const den_real *mean, struct sums *ret)
{
    struct sum_job job = {.run = run, .view = {x, y}, .rows = x->shape.n * x->shape.h};
    size_t c = x->shape.c, count = den_shape_count(x->shape);
    job.runs = runs_of(job.view);
    job.parts = count / (UNIT_ELEMENTS / 2) + 1;
    if (job.parts > PARTS)
        job.parts = PARTS;
    if (job.parts > job.rows)
        job.parts = job.rows;
    if (mean != NULL)
        for (size_t k = 0; k < job.runs.lanes; k++)
            job.mean[k] = mean[k % c];
    den_pool_run(count < DEN_CPU_ALONE ? NULL : ex->pool, job.parts, sum_unit, &job);
    memset(ret, 0, sizeof *ret);
    for (size_t p = 0; p < job.parts; p++)
        for (size_t k = 0; k < c; k++) {
            ret->first[k] += job.part[p].first[k];
            ret->second[k] += job.part[p].second[k];
        }
}

static size_t block_of(size_t channels, size_t c)
{
    return channels - c < LANES ? channels - c : LANES;
}

void den_cpu_channel_sum(const struct den_exec *ex, const struct den_view *dy,
                         den_real *db)
{
    struct sums sums;
    for (size_t c = 0; c < dy->shape.c; c += LANES) {
        struct den_view part = slice_of(dy, SIZE_MAX, c, block_of(dy->shape.c, c));
        sum_views(ex, run_moments, &part, NULL, NULL, &sums);
        for (size_t k = 0; k < part.shape.c; k++)
            db[c + k] = (den_real)((double)db[c + k] + sums.first[k]);
    }
}

static size_t groups_of(const struct den_view *v, bool per_image)
{
    return per_image ? v->shape.n : 1;
}

void den_cpu_moments(const struct den_exec *ex, const struct den_view *x, bool per_image,
                     den_real *mean, den_real *var)
{
    struct sums sums;
    size_t channels = x->shape.c;
    for (size_t g = 0; g < groups_of(x, per_image); g++)
        for (size_t c = 0; c < channels; c += LANES) {
            struct den_view part =
                slice_of(x, per_image ? g : SIZE_MAX, c, block_of(channels, c));
            double count = (double)(part.shape.n * part.shape.h * part.shape.w);
            sum_views(ex, run_moments, &part, NULL, NULL, &sums);
            for (size_t k = 0; k < part.shape.c; k++) {
                double m = sums.first[k] / count;
                double v = sums.second[k] / count - m * m;
                mean[g * channels + c + k] = (den_real)m;
                var[g * channels + c + k] = (den_real)(v > 0 ? v : 0);
            }
        }
}

/* ---- affine passes --------------------------------------------------------------------
 */

/* to (=, or +=) a y + b (x - mean) + d per channel; y NULL: to = b (x - mean) + d. */
struct affine {
    const struct den_view *view[VIEWS]; /* x, y or NULL, to */
    struct runs runs;
    size_t rows, per_unit;
    bool add;
    den_real mean[LANES], a[LANES], b[LANES], d[LANES];
};

static DEN_CLONES void affine_run(const struct affine *job, size_t pixels, size_t lanes,
                                  const den_real *x, size_t step_x, const den_real *y,
                                  size_t step_y, den_real *to, size_t step_to)
{
    const den_real *mean = job->mean, *a = job->a, *b = job->b, *d = job->d;
    for (size_t j = 0; j < pixels; j++, x += step_x, to += step_to) {
        if (y == NULL)
            DEN_IVDEP
        for (size_t k = 0; k < lanes; k++)
            to[k] = b[k] * (x[k] - mean[k]) + d[k];
        else if (job->add) DEN_IVDEP for (size_t k = 0; k < lanes; k++) to[k] +=
            a[k] * y[k] + b[k] * (x[k] - mean[k]) + d[k];
        else DEN_IVDEP for (size_t k = 0; k < lanes; k++) to[k] =
            a[k] * y[k] + b[k] * (x[k] - mean[k]) + d[k];
        y = y == NULL ? NULL : y + step_y;
    }
}

static void affine_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct affine *job = context;
    const struct den_view *x = job->view[0], *y = job->view[1], *to = job->view[2];
    const struct runs *runs = &job->runs;
    size_t end = (unit + 1) * job->per_unit;
    if (end > job->rows)
        end = job->rows;
    for (size_t r = unit * job->per_unit; r < end; r++) {
        size_t i = r / x->shape.h, row = r % x->shape.h, whole = runs->whole;
        const den_real *at = den_view_at(x, i, row, 0);
        const den_real *at_y = y != NULL ? den_view_at(y, i, row, 0) : NULL;
        den_real *at_to = den_view_at(to, i, row, 0);
        size_t step = runs->repeat * x->ld, step_to = runs->repeat * to->ld;
        size_t step_y = y != NULL ? runs->repeat * y->ld : 0;
        affine_run(job, whole, runs->lanes, at, step, at_y, step_y, at_to, step_to);
        if (runs->rest > 0)
            affine_run(job, 1, runs->rest, at + whole * step, 0,
                       y != NULL ? at_y + whole * step_y : NULL, 0,
                       at_to + whole * step_to, 0);
    }
}

/* The first c entries of mean, a, b, d are set. */
static void run_affine(const struct den_exec *ex, struct affine *job)
{
    struct den_shape s = job->view[0]->shape;
    assert(s.w > 0 && s.c > 0);
    job->runs = runs_of(job->view);
    for (size_t k = s.c; k < job->runs.lanes; k++) {
        job->mean[k] = job->mean[k - s.c];
        job->a[k] = job->a[k - s.c];
        job->b[k] = job->b[k - s.c];
        job->d[k] = job->d[k - s.c];
    }
    job->rows = s.n * s.h;
    job->per_unit = UNIT_ELEMENTS / (s.w * s.c) + 1;
    den_pool_run(den_shape_count(s) < DEN_CPU_ALONE ? NULL : ex->pool,
                 (job->rows + job->per_unit - 1) / job->per_unit, affine_unit, job);
}

void den_cpu_norm_forward(const struct den_exec *ex, const struct den_view *x,
                          bool per_image, const den_real *mean, const den_real *var,
                          const den_real *gamma, const den_real *beta, double eps,
                          const struct den_view *y)
{
    size_t channels = x->shape.c;
    for (size_t g = 0; g < groups_of(x, per_image); g++)
        for (size_t c = 0; c < channels; c += LANES) {
            size_t image = per_image ? g : SIZE_MAX, count = block_of(channels, c);
            struct den_view px = slice_of(x, image, c, count);
            struct den_view py = slice_of(y, image, c, count);
            struct affine job = {.view = {&px, NULL, &py}};
            for (size_t k = 0; k < count; k++) {
                size_t at = g * channels + c + k;
                double istd = 1 / sqrt((double)var[at] + eps);
                job.mean[k] = mean[at];
                job.b[k] = (den_real)(gamma == NULL ? istd : istd * (double)gamma[c + k]);
                job.d[k] = beta == NULL ? 0 : beta[c + k];
            }
            run_affine(ex, &job);
        }
}

/* As backend_ref, in the form dx = a dy + b (x - mean) + d. */
static void backward_block(const struct den_exec *ex, const struct den_view *x,
                           const struct den_view *dy, const struct den_view *dx,
                           const den_real *mean, const den_real *var,
                           const den_real *gamma, double eps, bool add, den_real *dgamma,
                           den_real *dbeta)
{
    struct sums sums;
    struct affine job = {.view = {x, dy, dx}, .add = add};
    double count = (double)(x->shape.n * x->shape.h * x->shape.w);
    sum_views(ex, run_backward, x, dy, mean, &sums);
    for (size_t k = 0; k < x->shape.c; k++) {
        double istd = 1 / sqrt((double)var[k] + eps);
        double xhat_dy = sums.second[k] * istd;
        double a = istd * (gamma == NULL ? 1 : (double)gamma[k]);
        job.mean[k] = mean[k];
        job.a[k] = (den_real)a;
        job.b[k] = (den_real)(-a * istd * xhat_dy / count);
        job.d[k] = (den_real)(-a * sums.first[k] / count);
        if (dgamma != NULL)
            dgamma[k] = (den_real)((double)dgamma[k] + xhat_dy);
        if (dbeta != NULL)
            dbeta[k] = (den_real)((double)dbeta[k] + sums.first[k]);
    }
    run_affine(ex, &job);
}

void den_cpu_norm_backward(const struct den_exec *ex, const struct den_view *x,
                           bool per_image, const den_real *mean, const den_real *var,
                           const den_real *gamma, double eps, const struct den_view *dy,
                           const struct den_view *dx, bool add, den_real *dgamma,
                           den_real *dbeta)
{
    size_t channels = x->shape.c;
    for (size_t g = 0; g < groups_of(x, per_image); g++)
        for (size_t c = 0; c < channels; c += LANES) {
            size_t image = per_image ? g : SIZE_MAX, count = block_of(channels, c);
            size_t at = g * channels + c;
            struct den_view px = slice_of(x, image, c, count);
            struct den_view pdy = slice_of(dy, image, c, count);
            struct den_view pdx = slice_of(dx, image, c, count);
            backward_block(ex, &px, &pdy, &pdx, mean + at, var + at,
                           gamma == NULL ? NULL : gamma + c, eps, add,
                           dgamma == NULL ? NULL : dgamma + c,
                           dbeta == NULL ? NULL : dbeta + c);
        }
}
