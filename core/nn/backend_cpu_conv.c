#include "backend_cpu.h"

#include <string.h>

#include "backend_cpu_product.h"

/* Forward and backward-data are one thing, a grid of products.  Backward through stride s
 * splits into s * s grids, one per position of a pixel modulo s (its phase), each a
 * stride-1 convolution over dy with every s-th tap, so that no two threads ever write the
 * same pixel [Shi et al., CVPR 2016, call it sub-pixel convolution].     */

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

void den_cpu_conv_forward(const struct den_exec *ex, struct den_conv_geom g,
                          const struct den_view *x, const den_real *w,
                          const den_real *bias, const struct den_view *y)
{
    size_t ci = x->shape.c, co = y->shape.c;
    struct den_products all = {.count = 1};
    all.item[0] = (struct den_product){
        .n = y->shape.n,
        .h = y->shape.h,
        .w = y->shape.w,
        .a = x->data - g.pad * (den_view_row(x) + x->ld),
        .a_image = den_view_image(x),
        .a_row = g.stride * den_view_row(x),
        .a_pixel = g.stride * x->ld,
        .y = y->data,
        .y_image = den_view_image(y),
        .y_row = den_view_row(y),
        .y_pixel = y->ld,
        .channels = co,
        .taps = {g.kh, g.kw, ci, den_view_row(x), x->ld},
        .bias = bias,
        .from = w,
        .wy = (ptrdiff_t)(g.kw * ci * co),
        .wx = (ptrdiff_t)(ci * co),
        .wk = co,
        .wc = 1,
    };
    den_products_run(ex, &all, ex->scratch);
}

/* One dimension of backward-data: the pixels at * step + offset, at < count, take taps
 * tap_first - i * step from dy coordinates start + at + i. */
struct phase {
    size_t count, offset, taps, tap_first;
    ptrdiff_t start;
};

/* A single output pixel makes every tap a phase of its own, whatever the stride was. */
static size_t phase_step(size_t k, size_t stride, size_t out)
{
    return out == 1 && k > stride ? k : stride;
}

static struct phase phase_of(size_t q, size_t k, size_t step, size_t pad, size_t side)
{
    struct phase f = {0};
    f.taps = q < k ? (k - q + step - 1) / step : 0;
    f.tap_first = f.taps > 0 ? q + (f.taps - 1) * step : 0;
    size_t lead = q < pad ? (pad - q + step - 1) / step : 0; /* these fall before 0 */
    f.offset = q + lead * step - pad;
    f.count = f.offset < side ? (side - f.offset + step - 1) / step : 0;
    f.start = (ptrdiff_t)lead - (f.taps > 0 ? (ptrdiff_t)f.taps - 1 : 0);
    return f;
}

/* Zero pixels that all phases need around dy. */
static size_t halo_needed(size_t k, size_t stride, size_t pad, size_t side, size_t out)
{
    size_t step = phase_step(k, stride, out), need = 0;
    for (size_t q = 0; q < step; q++) {
        struct phase f = phase_of(q, k, step, pad, side);
        if (f.count == 0 || f.taps == 0)
            continue;
        ptrdiff_t last = f.start + (ptrdiff_t)(f.count - 1 + f.taps - 1);
        if (f.start < 0 && (size_t)-f.start > need)
            need = (size_t)-f.start;
        if (last >= (ptrdiff_t)out && (size_t)last - (out - 1) > need)
            need = (size_t)last - (out - 1);
    }
    return need;
}

static size_t conv_halo(struct den_conv_geom g, struct den_shape x, struct den_shape y)
{
    size_t v = halo_needed(g.kh, g.stride, g.pad, x.h, y.h);
    size_t h = halo_needed(g.kw, g.stride, g.pad, x.w, y.w);
    return v > h ? v : h;
}

static size_t haloed_count(struct den_shape s, size_t halo)
{
    return s.n * (s.h + 2 * halo) * (s.w + 2 * halo) * s.c;
}

struct widen {
    const struct den_view *from;
    struct den_view to;
};

static void widen_unit(void *context, size_t image, int thread)
{
    (void)thread;
    const struct widen *job = context;
    const struct den_view *to = &job->to;
    size_t row = den_view_row(to), edge = to->halo * (row + to->ld);
    memset(den_view_at(to, image, 0, 0) - edge, 0, den_view_image(to) * sizeof *to->data);
    for (size_t y = 0; y < to->shape.h; y++)
        for (size_t x = 0; x < to->shape.w; x++)
            memcpy(den_view_at(to, image, y, x), den_view_at(job->from, image, y, x),
                   to->shape.c * sizeof *to->data);
}

/* A copy of v with a wider halo at `memory`; returns what is left of it. */
static den_real *widen(const struct den_exec *ex, const struct den_view *v, size_t halo,
                       den_real *memory, struct den_view *ret)
{
    struct widen job = {v, *v};
    job.to.ld = v->shape.c;
    job.to.halo = halo;
    job.to.data = memory + halo * (den_view_row(&job.to) + job.to.ld);
    size_t count = haloed_count(v->shape, halo);
    den_pool_run(count < DEN_CPU_ALONE ? NULL : ex->pool, v->shape.n, widen_unit, &job);
    *ret = job.to;
    return memory + round_up(count, DEN_TILE_LANES);
}

static struct den_product phase_product(struct den_conv_geom g, const struct den_view *dy,
                                        const den_real *w, const struct den_view *dx,
                                        struct phase fy, struct phase fx, size_t step_y,
                                        size_t step_x)
{
    size_t ci = dx->shape.c, co = dy->shape.c, row = den_view_row(dy);
    struct den_product p = {
        .n = dx->shape.n,
        .h = fy.count,
        .w = fx.count,
        .a = dy->data + fy.start * (ptrdiff_t)row + fx.start * (ptrdiff_t)dy->ld,
        .a_image = den_view_image(dy),
        .a_row = row,
        .a_pixel = dy->ld,
        .y = den_view_at(dx, 0, fy.offset, fx.offset),
        .y_image = den_view_image(dx),
        .y_row = step_y * den_view_row(dx),
        .y_pixel = step_x * dx->ld,
        .channels = ci,
        .taps = {fy.taps, fx.taps, co, row, dy->ld},
        .from = w + (fy.tap_first * g.kw + fx.tap_first) * ci * co,
        .wy = -(ptrdiff_t)(step_y * g.kw * ci * co),
        .wx = -(ptrdiff_t)(step_x * ci * co),
        .wk = 1,
        .wc = co,
    };
    return p;
}

void den_cpu_conv_backward_data(const struct den_exec *ex, struct den_conv_geom g,
                                const struct den_view *dy, const den_real *w,
                                const den_real *bias, const struct den_view *dx, bool add)
{
    struct den_shape x = dx->shape, y = dy->shape;
    struct den_view wide = *dy;
    den_real *free_part = ex->scratch;
    size_t halo = conv_halo(g, x, y);
    if (dy->halo < halo)
        free_part = widen(ex, dy, halo, free_part, &wide);
    size_t step_y = phase_step(g.kh, g.stride, y.h);
    size_t step_x = phase_step(g.kw, g.stride, y.w);
    struct den_products all = {.count = 0};
    for (size_t qy = 0; qy < step_y; qy++)
        for (size_t qx = 0; qx < step_x; qx++) {
            struct phase fy = phase_of(qy, g.kh, step_y, g.pad, x.h);
            struct phase fx = phase_of(qx, g.kw, step_x, g.pad, x.w);
            if (fy.count == 0 || fx.count == 0)
                continue;
            struct den_product *p = &all.item[all.count++];
            *p = phase_product(g, &wide, w, dx, fy, fx, step_y, step_x);
            p->bias = bias;
            p->add = add;
            if (all.count == DEN_PRODUCTS)
                den_products_run(ex, &all, free_part);
        }
    if (all.count > 0)
        den_products_run(ex, &all, free_part);
}

size_t den_cpu_conv_scratch(struct den_conv_geom g, struct den_shape x,
                            struct den_shape y, int threads)
{
    (void)threads;
    size_t taps = g.kh * g.kw;
    size_t forward = den_packed_count(taps * x.c, y.c);
    size_t halo = conv_halo(g, x, y);
    size_t wide = halo > 0 ? round_up(haloed_count(y, halo), DEN_TILE_LANES) : 0;
    size_t data = den_packed_count(taps * y.c, x.c) + wide;
    size_t weights = den_cpu_weights_scratch(g, x, y);
    size_t most = forward > data ? forward : data;
    return most > weights ? most : weights;
}
