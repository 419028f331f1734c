#include "backend_blas.h"

#include <assert.h>
#include <cblas.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

/* A panel is a few hundred output pixels.  The inputs under them are unfolded into the
 * rows of a matrix (im2col [Chellapilla et al., IWFHR 2006]) that stays in cache, and
 * OpenBLAS multiplies it by the weights as they are stored.  Coordinates are tested, the
 * halo is not trusted: as an oracle this file shares nothing with the tiles of
 * backend_cpu.
 *
 * Backward through stride s is s * s phases, the pixels of dx whose coordinates are equal
 * modulo s: each is a convolution of stride 1 over dy, and no pixel has two writers. */

enum {
    PANEL = 256,  /* most pixels at once; below 128 OpenBLAS spends its time on packing */
    DEPTH = 2048, /* reals of a pixel unfolded at once, if a row of taps is not longer */
    GROUP = 128,  /* channels worth a unit of their own */
    SPREAD = 16   /* units below which channels are shared out too */
};

static void stay_alone(void)
{
    openblas_set_num_threads(1);
}

void den_blas_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, stay_alone);
}

bool den_blas_alloc(size_t count, den_real **ret, struct den_err *err)
{
    den_blas_init();
    return den_backend_cpu.alloc(count, ret, err);
}

static size_t at_most(size_t n, size_t most)
{
    return n < most ? n : most;
}

static size_t at_least_1(size_t n)
{
    return n > 0 ? n : 1;
}

static size_t divide_up(size_t n, size_t by)
{
    return (n + by - 1) / by;
}

static blasint to_blas(size_t n)
{
    assert(n <= INT_MAX);
    return (blasint)n;
}

/* c [m][n] += op(a) [m][k] * op(b) [k][n], row by row */
static void multiply(enum CBLAS_TRANSPOSE op_a, enum CBLAS_TRANSPOSE op_b, size_t m,
                     size_t n, size_t k, const den_real *a, size_t lda, const den_real *b,
                     size_t ldb, den_real *c, size_t ldc)
{
#ifdef DEN_REAL_DOUBLE
    cblas_dgemm
#else
    cblas_sgemm
#endif
        (CblasRowMajor, op_a, op_b, to_blas(m), to_blas(n), to_blas(k), 1, a,
         to_blas(lda), b, to_blas(ldb), 1, c, to_blas(ldc));
}

/* ---- grids ----------------------------------------------------------------------------
 */

/* One dimension of a grid.  Output coordinate offset + i * step, i < count, sums over
 * `taps` neighbours from source + i * source_step on; the weights of these lie at kernel
 * coordinates tap, tap + tap_step, and so on. */
struct side {
    size_t count, offset, step;
    size_t taps, source_step;
    ptrdiff_t source, tap, tap_step;
};

struct grid {
    struct den_view from, to;
    struct side y, x;
};

static struct side forward_side(size_t k, struct den_conv_geom g, size_t out)
{
    return (struct side){
        .count = out,
        .step = 1,
        .taps = k,
        .source_step = g.stride,
        .source = -(ptrdiff_t)g.pad,
        .tap_step = 1,
    };
}

static struct grid forward_grid(struct den_conv_geom g, const struct den_view *x,
                                const struct den_view *y)
{
    return (struct grid){*x, *y, forward_side(g.kh, g, y->shape.h),
                         forward_side(g.kw, g, y->shape.w)};
}

/* How many phases there are: the stride, or where the kernel covers all of the input one
 * per tap, which leaves out the taps that fall beside the only pixel of dy. */
static size_t phase_step(size_t k, size_t stride, size_t out)
{
    return out == 1 && k > stride ? k : stride;
}

/* Pixels q, q + step, ... of dx.  Tap k of dy pixel o reached o step + k - pad. */
static struct side phase_side(size_t q, size_t k, size_t step, size_t pad, size_t side)
{
    size_t first = (q + pad) % step, taps = first < k ? divide_up(k - first, step) : 0;
    ptrdiff_t last = (ptrdiff_t)taps - 1; /* the last tap meets the first pixel */
    return (struct side){
        .count = q < side ? divide_up(side - q, step) : 0,
        .offset = q,
        .step = step,
        .taps = taps,
        .source_step = 1,
        .source = (ptrdiff_t)((q + pad) / step) - last,
        .tap = (ptrdiff_t)first + last * (ptrdiff_t)step,
        .tap_step = -(ptrdiff_t)step,
    };
}

/* ---- unfolding ------------------------------------------------------------------------
 */

/* `count` pixels from (y, x) of an image on; those outside it are zero.  to [count][c] */
static void unfold_row(const struct den_view *v, size_t image, ptrdiff_t y, ptrdiff_t x,
                       size_t count, den_real *to)
{
    size_t c = v->shape.c, lead = x < 0 ? at_most((size_t)-x, count) : 0;
    size_t from = x < 0 ? 0 : (size_t)x, inside = 0;
    if (y >= 0 && (size_t)y < v->shape.h && from < v->shape.w)
        inside = at_most(count - lead, v->shape.w - from);
    memset(to, 0, lead * c * sizeof *to);
    memset(to + (lead + inside) * c, 0, (count - lead - inside) * c * sizeof *to);
    if (inside == 0)
        return;
    const den_real *at = den_view_at(v, image, (size_t)y, from);
    size_t run = v->ld == c ? inside : 1; /* pixels without a gap */
    for (size_t j = lead; j < lead + inside; j += run, at += v->ld)
        memcpy(to + j * c, at, run * c * sizeof *to);
}

/* Tap rows [iy, iy + rows) under grid points [first, first + count).
 * to [count][rows][taps of a row][c] */
static void unfold(const struct grid *grid, size_t first, size_t count, size_t iy,
                   size_t rows, den_real *to)
{
    const struct side *sy = &grid->y, *sx = &grid->x;
    size_t row = sx->taps * grid->from.shape.c;
    for (size_t p = first; p < first + count; p++) {
        size_t i = p % sx->count, j = p / sx->count % sy->count;
        size_t image = p / (sx->count * sy->count);
        ptrdiff_t y = sy->source + (ptrdiff_t)(j * sy->source_step + iy);
        ptrdiff_t x = sx->source + (ptrdiff_t)(i * sx->source_step);
        for (size_t r = 0; r < rows; r++, y++, to += row)
            unfold_row(&grid->from, image, y, x, sx->taps, to);
    }
}

/* ---- plans ----------------------------------------------------------------------------
 */

/* How pixels and channels are cut up, from shapes alone, and the scratch of a thread:
 * unfolded [panel][depth], and sums or a second operand [panel][width]. */
struct plan {
    size_t panels, groups, rows; /* rows of taps that are unfolded together */
    size_t panel, depth, width;
};

/* ny rows of `row` reals lie under a pixel; `units` are there without groups. */

static struct plan plan_of(size_t pixels, size_t channels, size_t ny, size_t row,
                           size_t units)
{
    assert(pixels > 0 && row > 0);
    struct plan plan = {.panels = divide_up(pixels, PANEL)};
    plan.groups = at_least_1(at_most(channels / GROUP, SPREAD / units));
    plan.rows = at_least_1(at_most(ny, DEPTH / row));
    plan.panel = divide_up(pixels, plan.panels);
    plan.depth = plan.rows * row;
    plan.width = divide_up(channels, plan.groups);
    return plan;
}

static struct plan forward_plan(struct den_conv_geom g, struct den_shape x,
                                struct den_shape y)
{
    size_t pixels = y.n * y.h * y.w;
    return plan_of(pixels, y.c, g.kh, g.kw * x.c, divide_up(pixels, PANEL));
}

/* For the largest phase. */
static struct plan backward_plan(struct den_conv_geom g, struct den_shape x,
                                 struct den_shape y)
{
    size_t sy = phase_step(g.kh, g.stride, y.h), sx = phase_step(g.kw, g.stride, y.w);
    size_t pixels = x.n * divide_up(x.h, sy) * divide_up(x.w, sx);
    return plan_of(pixels, x.c, divide_up(g.kh, sy), divide_up(g.kw, sx) * y.c,
                   sy * sx * divide_up(pixels, PANEL));
}

/* A unit is one row of taps. */
static struct plan weights_plan(struct den_conv_geom g, struct den_shape x,
                                struct den_shape y)
{
    return plan_of(y.n * y.h * y.w, y.c, 1, g.kw * x.c, g.kh);
}

static size_t plan_scratch(const struct plan *plan)
{
    const size_t line = 64 / sizeof(den_real);
    return divide_up(plan->panel * (plan->depth + plan->width), line) * line;
}

size_t den_blas_conv_scratch(struct den_conv_geom g, struct den_shape x,
                             struct den_shape y, int threads)
{
    struct plan plans[] = {forward_plan(g, x, y), backward_plan(g, x, y),
                           weights_plan(g, x, y)};
    size_t most = 0;
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++)
        if (plan_scratch(&plans[i]) > most)
            most = plan_scratch(&plans[i]);
    return most * (size_t)threads;
}

/* ---- forward and backward-data --------------------------------------------------------
 */

struct conv {
    struct den_conv_geom g;
    const struct den_view *x, *y; /* backward: dx and dy */
    const den_real *w, *bias;
    bool backward, add;
    size_t step_y, step_x; /* backward: phases */
    struct plan plan;
    den_real *scratch;
};

/* Grid points [point, point + count) and channels [first, first + channels). */
struct panel {
    size_t point, count, first, channels;
    den_real *unfolded, *sums; /* [count][depth], [count][channels] */
};

/* sums += tap rows [iy, iy + rows), which are unfolded, times their weights. */
static void add_forward(const struct conv *job, const struct grid *grid,
                        const struct panel *at, size_t iy, size_t rows)
{
    size_t co = job->y->shape.c, row = grid->x.taps * job->x->shape.c;
    multiply(CblasNoTrans, CblasNoTrans, at->count, at->channels, rows * row,
             at->unfolded, rows * row, job->w + iy * row * co + at->first, co, at->sums,
             at->channels);
}

/* The same with taps as [ci][co], which cannot be joined to one matrix. */
static void add_backward(const struct conv *job, const struct grid *grid,
                         const struct panel *at, size_t iy, size_t rows)
{
    size_t ci = job->x->shape.c, co = job->y->shape.c, nx = grid->x.taps;
    for (size_t r = 0; r < rows * nx; r++) {
        ptrdiff_t ky = grid->y.tap + (ptrdiff_t)(iy + r / nx) * grid->y.tap_step;
        ptrdiff_t kx = grid->x.tap + (ptrdiff_t)(r % nx) * grid->x.tap_step;
        const den_real *w = job->w + (size_t)(ky * (ptrdiff_t)job->g.kw + kx) * ci * co;
        multiply(CblasNoTrans, CblasTrans, at->count, at->channels, co,
                 at->unfolded + r * co, rows * nx * co, w + at->first * co, co, at->sums,
                 at->channels);
    }
}

static void store_panel(const struct conv *job, const struct grid *grid,
                        const struct panel *at)
{
    const struct side *sy = &grid->y, *sx = &grid->x;
    const den_real *sums = at->sums;
    for (size_t p = at->point; p < at->point + at->count; p++, sums += at->channels) {
        size_t x = sx->offset + p % sx->count * sx->step;
        size_t y = sy->offset + p / sx->count % sy->count * sy->step;
        size_t image = p / (sx->count * sy->count);
        den_real *to = den_view_at(&grid->to, image, y, x) + at->first;
        for (size_t c = 0; c < at->channels; c++) {
            den_real sum = sums[c] + (job->bias != NULL ? job->bias[at->first + c] : 0);
            to[c] = job->add ? to[c] + sum : sum;
        }
    }
}

static struct grid conv_grid(const struct conv *job, size_t phase)
{
    if (!job->backward)
        return forward_grid(job->g, job->x, job->y);
    struct den_conv_geom g = job->g;
    size_t qy = phase / job->step_x, qx = phase % job->step_x;
    return (struct grid){
        *job->y,
        *job->x,
        phase_side(qy, g.kh, job->step_y, g.pad, job->x->shape.h),
        phase_side(qx, g.kw, job->step_x, g.pad, job->x->shape.w),
    };
}

static void conv_unit(void *context, size_t unit, int thread)
{
    const struct conv *job = context;
    const struct plan *plan = &job->plan;
    size_t group = unit % plan->groups, rest = unit / plan->groups;
    struct grid grid = conv_grid(job, rest / plan->panels);
    if (grid.y.count == 0 || grid.x.count == 0)
        return; /* an image narrower than the stride has no pixel in some phases */
    size_t points = grid.to.shape.n * grid.y.count * grid.x.count, end;
    struct panel at = {.unfolded = job->scratch + (size_t)thread * plan_scratch(plan)};
    at.sums = at.unfolded + plan->panel * plan->depth;
    den_range(points, plan->panels, rest % plan->panels, &at.point, &end);
    at.count = end - at.point;
    den_range(grid.to.shape.c, plan->groups, group, &at.first, &end);
    at.channels = end - at.first;
    memset(at.sums, 0, at.count * at.channels * sizeof *at.sums);
    bool holes = grid.x.taps == 0; /* where a kernel is smaller than its stride */
    for (size_t iy = 0; iy < grid.y.taps && !holes; iy += plan->rows) {
        size_t rows = at_most(plan->rows, grid.y.taps - iy);
        unfold(&grid, at.point, at.count, iy, rows, at.unfolded);
        (job->backward ? add_backward : add_forward)(job, &grid, &at, iy, rows);
    }
    store_panel(job, &grid, &at);
}

void den_blas_conv_forward(const struct den_exec *ex, struct den_conv_geom g,
                           const struct den_view *x, const den_real *w,
                           const den_real *bias, const struct den_view *y)
{
    struct conv job = {.g = g, .x = x, .y = y, .w = w, .bias = bias};
    job.plan = forward_plan(g, x->shape, y->shape);
    job.scratch = ex->scratch;
    den_pool_run(ex->pool, job.plan.panels * job.plan.groups, conv_unit, &job);
}

void den_blas_conv_backward_data(const struct den_exec *ex, struct den_conv_geom g,
                                 const struct den_view *dy, const den_real *w,
                                 const den_real *bias, const struct den_view *dx,
                                 bool add)
{
    struct conv job = {.g = g, .x = dx, .y = dy, .w = w, .bias = bias, .add = add};
    job.backward = true;
    job.step_y = phase_step(g.kh, g.stride, dy->shape.h);
    job.step_x = phase_step(g.kw, g.stride, dy->shape.w);
    job.plan = backward_plan(g, dx->shape, dy->shape);
    job.scratch = ex->scratch;
    size_t phases = job.step_y * job.step_x;
    den_pool_run(ex->pool, phases * job.plan.panels * job.plan.groups, conv_unit, &job);
}

/* ---- backward-weights -----------------------------------------------------------------
 */

struct weights {
    struct grid grid;
    struct plan plan;
    den_real *dw, *scratch;
};

/* Channels [first, first + channels) of count pixels; to [count][channels]. */
static void gather(const struct den_view *v, size_t pixel, size_t count, size_t first,
                   size_t channels, den_real *to)
{
    size_t h = v->shape.h, w = v->shape.w;
    for (size_t p = pixel; p < pixel + count; p++, to += channels)
        memcpy(to, den_view_at(v, p / (h * w), p / w % h, p % w) + first,
               channels * sizeof *to);
}

/* dw [kx, c][channels of the group] of tap row ky, summed over panel after panel. */
static void weights_unit(void *context, size_t unit, int thread)
{
    const struct weights *job = context;
    const struct plan *plan = &job->plan;
    const struct den_view *dy = &job->grid.to;
    size_t co = dy->shape.c, ky = unit / plan->groups, first, end;
    den_range(co, plan->groups, unit % plan->groups, &first, &end);
    size_t channels = end - first, pixels = dy->shape.n * dy->shape.h * dy->shape.w;
    den_real *unfolded = job->scratch + (size_t)thread * plan_scratch(plan);
    den_real *gathered = unfolded + plan->panel * plan->depth;
    for (size_t panel = 0; panel < plan->panels; panel++) {
        size_t from, to;
        den_range(pixels, plan->panels, panel, &from, &to);
        unfold(&job->grid, from, to - from, ky, 1, unfolded);
        gather(dy, from, to - from, first, channels, gathered);
        multiply(CblasTrans, CblasNoTrans, plan->depth, channels, to - from, unfolded,
                 plan->depth, gathered, channels, job->dw + ky * plan->depth * co + first,
                 co);
    }
}

void den_blas_conv_backward_weights(const struct den_exec *ex, struct den_conv_geom g,
                                    const struct den_view *x, const struct den_view *dy,
                                    den_real *dw)
{
    struct weights job = {.grid = forward_grid(g, x, dy), .dw = dw};
    job.plan = weights_plan(g, x->shape, dy->shape);
    job.scratch = ex->scratch;
    den_pool_run(ex->pool, g.kh * job.plan.groups, weights_unit, &job);
}
