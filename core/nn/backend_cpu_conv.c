#include "backend_cpu.h"

#include <string.h>

#include "backend_cpu_winograd.h"

/* Forward and backward-data are one thing, a grid of products.  Backward through stride s
 * splits into s * s grids, one per position of a pixel modulo s (its phase), each a
 * stride-1 convolution over dy with every s-th tap, so that no two threads ever write the
 * same pixel [Shi et al., CVPR 2016, call it sub-pixel convolution].     */

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static struct den_winograd_case forward_case(struct den_conv_geom g, struct den_shape x,
                                             struct den_shape y)
{
    return (struct den_winograd_case){
        .grids = 1,
        .n = y.n,
        .h = y.h,
        .w = y.w,
        .kh = g.kh,
        .kw = g.kw,
        .step = g.stride,
        .len = x.c,
        .channels = y.c,
    };
}

/* Of the call: apart from the bias what comes after the sums. */
static void set_epilogue(const struct den_exec *ex, struct den_products *all)
{
    const struct den_epilogue *e = ex->packed != NULL ? ex->epilogue : NULL;
    for (size_t i = 0; i < all->count; i++) {
        all->item[i].scale = e != NULL ? e->scale : NULL;
        all->item[i].slope = e != NULL ? (den_real)e->slope : 1;
    }
}

static struct den_products forward_products(struct den_conv_geom g,
                                            const struct den_view *x, const den_real *w,
                                            const den_real *bias,
                                            const struct den_view *y)
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
        .in = x,
        .in_y = -(ptrdiff_t)g.pad,
        .in_x = -(ptrdiff_t)g.pad,
        .from = w,
        .wy = (ptrdiff_t)(g.kw * ci * co),
        .wx = (ptrdiff_t)(ci * co),
        .wk = co,
        .wc = 1,
    };
    return all;
}

static enum den_winograd_use use_of(const struct den_exec *ex)
{
    return ex->packed != NULL ? DEN_WINOGRAD_PACKED : DEN_WINOGRAD_CALL;
}

/* ---- fast products ------------------------------------------------------------------
 */

/* Reals of U (see backend_cpu_winograd.h) that a call makes at once; a larger one is made
 * grid by grid and, if need be, for some of the channels at a time. */
enum { U_PART = 1 << 23 };

static struct den_winograd_case part_of(size_t m, const struct den_winograd_case *c)
{
    struct den_winograd_case part = *c;
    if (den_winograd_packed(m, &part) > U_PART)
        part.grids = 1;
    while (den_winograd_packed(m, &part) > U_PART && part.channels > DEN_TILE_COLS)
        part.channels = round_up(part.channels / 2, DEN_TILE_COLS);
    return part;
}

/* Channels [first, first + count) of a grid. */
static struct den_product some_channels(const struct den_product *p, size_t first,
                                        size_t count)
{
    struct den_product part = *p;
    part.channels = count;
    part.y += first;
    part.from += first * p->wc;
    part.bias = p->bias != NULL ? p->bias + first : NULL;
    part.scale = p->scale != NULL ? p->scale + first : NULL;
    return part;
}

/* Runs and empties the list. */
static void run_fast(const struct den_exec *ex, size_t m,
                     const struct den_winograd_case *c, struct den_products *all)
{
    struct den_winograd_case part = ex->packed != NULL ? *c : part_of(m, c);
    set_epilogue(ex, all);
    for (size_t i = 0; i < all->count; i += part.grids)
        for (size_t first = 0; first < c->channels; first += part.channels) {
            struct den_products some = {.count = 0};
            size_t left = c->channels - first;
            size_t channels = left < part.channels ? left : part.channels;
            for (size_t k = i; k < all->count && some.count < part.grids; k++)
                some.item[some.count++] = some_channels(&all->item[k], first, channels);
            den_winograd_run(ex, m, &some);
        }
    all->count = 0;
}

/* A part of fewer grids may have one row or column of outputs less. */
static size_t fast_products_scratch(size_t m, const struct den_winograd_case *c,
                                    int threads)
{
    struct den_winograd_case part = part_of(m, c);
    size_t most = 0, fewer = part.grids < c->grids ? 1 : 0;
    for (size_t i = 0; i <= 3 * fewer; i++) {
        struct den_winograd_case one = part;
        one.h -= i / 2;
        one.w -= i % 2;
        size_t count = den_winograd_scratch(m, &one, threads, false);
        most = count > most ? count : most;
    }
    return most;
}

/* ---- forward and backward-data -------------------------------------------------------
 */

/* Runs and empties the list. */
static void run_direct(const struct den_exec *ex, struct den_products *all,
                       den_real *scratch)
{
    set_epilogue(ex, all);
    if (ex->packed != NULL)
        den_products_run_packed(ex, all, ex->packed);
    else
        den_products_run(ex, all, scratch);
}

void den_cpu_conv_forward(const struct den_exec *ex, struct den_conv_geom g,
                          const struct den_view *x, const den_real *w,
                          const den_real *bias, const struct den_view *y)
{
    struct den_products all = forward_products(g, x, w, bias, y);
    struct den_winograd_case c = forward_case(g, x->shape, y->shape);
    size_t m = den_winograd_choose(ex->winograd, &c, use_of(ex));
    if (m > 0)
        run_fast(ex, m, &c, &all);
    else
        run_direct(ex, &all, ex->scratch);
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

enum { WIDE = 1 << 20 }; /* reals that are copied for a wider halo at a time, about */

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
        .in = dy,
        .in_y = fy.start,
        .in_x = fx.start,
        .from = w != NULL ? w + (fy.tap_first * g.kw + fx.tap_first) * ci * co : NULL,
        .wy = -(ptrdiff_t)(step_y * g.kw * ci * co),
        .wx = -(ptrdiff_t)(step_x * ci * co),
        .wk = 1,
        .wc = co,
    };
    return p;
}

/* Every phase has k / stride taps a side.  A grid with other ones, or none, makes the
 * case one that no fast algorithm takes. */
static struct den_winograd_case backward_case(struct den_conv_geom g, struct den_shape x,
                                              struct den_shape y)
{
    bool even = g.kh % g.stride == 0 && g.kw % g.stride == 0 && y.h > 1 && y.w > 1 &&
                x.h >= g.stride && x.w >= g.stride;
    return (struct den_winograd_case){
        .grids = g.stride * g.stride,
        .n = y.n,
        .h = (x.h + g.stride - 1) / g.stride,
        .w = (x.w + g.stride - 1) / g.stride,
        .kh = even ? g.kh / g.stride : 0,
        .kw = even ? g.kw / g.stride : 0,
        .step = 1,
        .len = y.c,
        .channels = x.c,
    };
}

/* What the grids of backward-data are made of. */
struct phases {
    struct den_conv_geom g;
    const struct den_view *dy, *dx;
    const den_real *w, *bias;
    bool add;
};

/* The list of phases from number *at on, as far as it goes; false when there are none. */
static bool backward_products(const struct phases *b, size_t *at,
                              struct den_products *ret)
{
    struct den_shape x = b->dx->shape, y = b->dy->shape;
    size_t step_y = phase_step(b->g.kh, b->g.stride, y.h);
    size_t step_x = phase_step(b->g.kw, b->g.stride, y.w);
    ret->count = 0;
    for (; *at < step_y * step_x && ret->count < DEN_PRODUCTS; (*at)++) {
        struct phase fy = phase_of(*at / step_x, b->g.kh, step_y, b->g.pad, x.h);
        struct phase fx = phase_of(*at % step_x, b->g.kw, step_x, b->g.pad, x.w);
        if (fy.count == 0 || fx.count == 0)
            continue;
        struct den_product *p = &ret->item[ret->count++];
        *p = phase_product(b->g, b->dy, b->w, b->dx, fy, fx, step_y, step_x);
        p->bias = b->bias;
        p->add = b->add;
    }
    return ret->count > 0;
}

static struct den_view some_images(const struct den_view *v, size_t first, size_t count)
{
    struct den_view some = *v;
    some.data = den_view_at(v, first, 0, 0);
    some.shape.n = count;
    return some;
}

/* Plain sums over all phases; dy's halo is wide enough. */
static void run_phases(const struct den_exec *ex, const struct phases *phases,
                       den_real *scratch)
{
    struct den_products all;
    size_t at = 0;
    while (backward_products(phases, &at, &all))
        run_direct(ex, &all, scratch);
}

/* So many images get a wider halo at a time. */
static size_t wide_images(struct den_shape y, size_t halo)
{
    size_t images = WIDE / haloed_count((struct den_shape){1, y.h, y.w, y.c}, halo) + 1;
    return images < y.n ? images : y.n;
}

static void run_widened(const struct den_exec *ex, const struct phases *phases,
                        size_t halo)
{
    size_t n = phases->dy->shape.n, step = wide_images(phases->dy->shape, halo);
    for (size_t i = 0; i < n; i += step) {
        size_t count = n - i < step ? n - i : step;
        struct den_view dy = some_images(phases->dy, i, count), wide;
        struct den_view dx = some_images(phases->dx, i, count);
        den_real *free_part = widen(ex, &dy, halo, ex->scratch, &wide);
        struct phases some = *phases;
        some.dy = &wide;
        some.dx = &dx;
        run_phases(ex, &some, free_part);
    }
}

void den_cpu_conv_backward_data(const struct den_exec *ex, struct den_conv_geom g,
                                const struct den_view *dy, const den_real *w,
                                const den_real *bias, const struct den_view *dx, bool add)
{
    struct den_winograd_case c = backward_case(g, dx->shape, dy->shape);
    size_t m = den_winograd_choose(ex->winograd, &c, use_of(ex)), at = 0;
    size_t halo = conv_halo(g, dx->shape, dy->shape);
    struct phases phases = {g, dy, dx, w, bias, add};
    struct den_products all;
    if (m > 0) {
        if (backward_products(&phases, &at, &all))
            run_fast(ex, m, &c, &all);
    } else if (dy->halo < halo) {
        run_widened(ex, &phases, halo);
    } else {
        run_phases(ex, &phases, ex->scratch);
    }
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* The scratch of plain sums, apart from that for weights. */
static size_t wide_count(struct den_conv_geom g, struct den_shape x, struct den_shape y)
{
    size_t halo = conv_halo(g, x, y);
    y.n = wide_images(y, halo);
    return halo > 0 ? round_up(haloed_count(y, halo), DEN_TILE_LANES) : 0;
}

/* Of one case in any mode. */
static size_t fast_scratch(const struct den_winograd_case *c, enum den_winograd_use use,
                           int threads)
{
    size_t most = 0;
    for (enum den_winograd mode = DEN_WINOGRAD_AUTO; mode < DEN_WINOGRAD_OFF; mode++) {
        size_t m = den_winograd_choose(mode, c, use);
        if (m > 0)
            most = larger(most, use == DEN_WINOGRAD_WEIGHTS
                                    ? den_winograd_weights_scratch(m, c)
                                    : fast_products_scratch(m, c, threads));
    }
    return most;
}

size_t den_cpu_conv_scratch(struct den_conv_geom g, struct den_shape x,
                            struct den_shape y, int threads)
{
    size_t taps = g.kh * g.kw;
    size_t forward = den_packed_count(taps * x.c, y.c);
    size_t data = den_packed_count(taps * y.c, x.c) + wide_count(g, x, y);
    size_t direct =
        larger(larger(forward, data), den_cpu_direct_weights_scratch(g, x, y));
    struct den_winograd_case cf = forward_case(g, x, y), cb = backward_case(g, x, y);
    size_t products = larger(fast_scratch(&cf, DEN_WINOGRAD_CALL, threads),
                             fast_scratch(&cb, DEN_WINOGRAD_CALL, threads));
    return larger(direct,
                  larger(products, fast_scratch(&cf, DEN_WINOGRAD_WEIGHTS, threads)));
}

void den_cpu_conv_backward_weights(const struct den_exec *ex, struct den_conv_geom g,
                                   const struct den_view *x, const struct den_view *dy,
                                   den_real *dw)
{
    struct den_winograd_case c = forward_case(g, x->shape, dy->shape);
    size_t m = den_winograd_choose(ex->winograd, &c, DEN_WINOGRAD_WEIGHTS);
    if (m > 0)
        den_winograd_weights(ex, m, &c, g, x, dy, dw);
    else
        den_cpu_direct_weights(ex, g, x, dy, dw);
}

/* ---- weights packed once ---- */

size_t den_cpu_conv_packed(enum den_winograd winograd, struct den_conv_geom g,
                           struct den_shape x, struct den_shape y, bool transposed,
                           int threads, size_t *ret_scratch)
{
    struct den_winograd_case c =
        transposed ? backward_case(g, x, y) : forward_case(g, x, y);
    size_t m = den_winograd_choose(winograd, &c, DEN_WINOGRAD_PACKED);
    if (m > 0) {
        *ret_scratch = den_winograd_scratch(m, &c, threads, true);
        return den_winograd_packed(m, &c);
    }
    size_t lists = phase_step(g.kh, g.stride, y.h) * phase_step(g.kw, g.stride, y.w);
    if (transposed && lists > DEN_PRODUCTS)
        return 0;
    *ret_scratch = transposed ? wide_count(g, x, y) : 0;
    return transposed ? den_packed_count(g.kh * g.kw * y.c, x.c)
                      : den_packed_count(g.kh * g.kw * x.c, y.c);
}

void den_cpu_conv_pack(const struct den_exec *ex, struct den_conv_geom g,
                       const struct den_view *x, const struct den_view *y,
                       bool transposed, const den_real *w, den_real *to)
{
    struct den_winograd_case c = transposed ? backward_case(g, x->shape, y->shape)
                                            : forward_case(g, x->shape, y->shape);
    size_t m = den_winograd_choose(ex->winograd, &c, DEN_WINOGRAD_PACKED), at = 0;
    struct phases phases = {.g = g, .dy = y, .dx = x, .w = w};
    struct den_products all;
    if (!transposed)
        all = forward_products(g, x, w, NULL, y);
    else if (!backward_products(&phases, &at, &all))
        return;
    if (m > 0)
        den_winograd_pack(ex, m, &all, to);
    else
        den_products_pack(ex, &all, to);
}
