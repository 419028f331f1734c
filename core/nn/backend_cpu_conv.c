#include "backend_cpu.h"

#include <string.h>

#include "backend_cpu_tile.h"

/* Forward and backward-data are one thing: a grid of output pixels, each the product of
 * the taps under it with a matrix of weights.  Backward through stride s splits into s *
 * s such grids, one per position of a pixel modulo s, each a stride-1 convolution over dy
 * with every s-th tap, so that no two threads ever write the same pixel [Shi et al., CVPR
 * 2016, call it sub-pixel convolution].     */

enum {
    PANEL = 64,     /* pixels whose addresses and sums are held at once */
    CHUNK = 512,    /* taps summed in registers before they go to memory */
    NARROW = 4,     /* up to so many output channels go tap by tap */
    CLASSES = 4,    /* grids that share one loop over the pool */
    UNIT = 1 << 20, /* multiplications worth a unit of work */
    SPREAD = 16     /* units below which the channels are split as well */
};

struct product {
    size_t n, h, w; /* the grid */
    const den_real *a;
    size_t a_image, a_row, a_pixel; /* from grid point to grid point */
    den_real *y;
    size_t y_image, y_row, y_pixel;
    size_t channels;      /* of y */
    struct den_taps taps; /* as the weights are packed */
    const den_real *bias;
    bool add;

    /* w[tap iy, ix][k][channel] = from[iy wy + ix wx + k wk + channel wc] */
    const den_real *from;
    ptrdiff_t wy, wx;
    size_t wk, wc;

    /* Set by plan_product. */
    const struct den_cpu_tile *tile;
    struct den_taps runs; /* as they are multiplied: neighbours in memory are merged */
    den_real *b;          /* packed weights */
    bool narrow;
    size_t pixels, per_unit, groups, units, blocks;
};

struct products {
    size_t count;
    struct product item[CLASSES];
};

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static size_t at_most(size_t n, size_t most)
{
    return n < most ? n : most;
}

static size_t tap_count(const struct den_taps *t)
{
    return t->ny * t->nx * t->len;
}

static size_t packed_channels(size_t channels)
{
    return round_up(channels, DEN_TILE_LANES);
}

/* ---- weights ------------------------------------------------------------------------
 * Dense: [block of 32 channels][tap][32], the last block 16 wide if that is enough and
 * filled up with zeros.  Narrow: [channel][tap].     */

static size_t block_columns(const struct product *p, size_t block)
{
    size_t left = packed_channels(p->channels) - block * DEN_TILE_COLS;
    return at_most(left, DEN_TILE_COLS);
}

static void pack_block(const struct product *p, size_t block, size_t iy)
{
    const struct den_taps *t = &p->taps;
    size_t cols = block_columns(p, block), first = block * DEN_TILE_COLS;
    size_t used = at_most(cols, p->channels - first);
    den_real *to = p->b + first * tap_count(t) + iy * t->nx * t->len * cols;
    for (size_t ix = 0; ix < t->nx; ix++) {
        const den_real *from =
            p->from + (ptrdiff_t)iy * p->wy + (ptrdiff_t)ix * p->wx + first * p->wc;
        for (size_t k = 0; k < t->len; k++, to += cols) {
            for (size_t c = 0; c < used; c++)
                to[c] = from[k * p->wk + c * p->wc];
            for (size_t c = used; c < cols; c++)
                to[c] = 0;
        }
    }
}

static void pack_narrow(const struct product *p, size_t iy)
{
    const struct den_taps *t = &p->taps;
    for (size_t c = 0; c < p->channels; c++) {
        den_real *to = p->b + c * tap_count(t) + iy * t->nx * t->len;
        for (size_t ix = 0; ix < t->nx; ix++) {
            const den_real *from =
                p->from + (ptrdiff_t)iy * p->wy + (ptrdiff_t)ix * p->wx + c * p->wc;
            for (size_t k = 0; k < t->len; k++)
                *to++ = from[k * p->wk];
        }
    }
}

static size_t pack_units(const struct product *p)
{
    return p->narrow ? p->taps.ny : p->taps.ny * p->blocks;
}

/* The product a unit belongs to; *unit becomes the unit within it. */
static const struct product *product_of(const struct products *all, size_t *unit,
                                        size_t (*units)(const struct product *))
{
    const struct product *p = all->item;
    for (; *unit >= units(p); p++)
        *unit -= units(p);
    return p;
}

static void pack_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct product *p = product_of(context, &unit, pack_units);
    if (p->narrow)
        pack_narrow(p, unit);
    else
        pack_block(p, unit / p->taps.ny, unit % p->taps.ny);
}

/* ---- pixels ---------------------------------------------------------------------------
 */

/* Addresses of `count` grid points from `first` on; the list is filled up to a whole tile
 * with the last one. */
static void find_pixels(const struct product *p, size_t first, size_t count,
                        const den_real **a, den_real **y)
{
    size_t x = first % p->w, row = first / p->w % p->h, i = first / (p->w * p->h);
    for (size_t m = 0; m < count;) {
        const den_real *from = p->a + i * p->a_image + row * p->a_row;
        den_real *to = p->y + i * p->y_image + row * p->y_row;
        for (; x < p->w && m < count; x++, m++) {
            a[m] = from + x * p->a_pixel;
            y[m] = to + x * p->y_pixel;
        }
        x = 0;
        if (++row == p->h) {
            row = 0;
            i++;
        }
    }
    for (size_t m = count; m % DEN_TILE_ROWS != 0; m++)
        a[m] = a[count - 1];
}

/* Stores count pixels of `cols` sums, of which `used` are real, at channel `first`. */
static void store_panel(const struct product *p, const den_real *sums, size_t count,
                        size_t cols, size_t first, size_t used, den_real *const *y)
{
    for (size_t m = 0; m < count; m++, sums += cols) {
        den_real *to = y[m] + first;
        if (p->add)
            for (size_t c = 0; c < used; c++)
                to[c] += sums[c];
        else
            memcpy(to, sums, used * sizeof *to);
        if (p->bias != NULL)
            for (size_t c = 0; c < used; c++)
                to[c] += p->bias[first + c];
    }
}

/* One panel, taps [iy, iy + ny) x [ix, ix + nx), one block of channels. */
static void multiply_chunk(const struct product *p, const den_real *const *a,
                           size_t count, size_t block, size_t iy, size_t ny, size_t ix,
                           size_t nx, den_real *sums)
{
    const struct den_taps *all = &p->runs;
    struct den_taps taps = {ny, nx, all->len, all->sy, all->sx};
    size_t cols = block_columns(p, block), shift = iy * all->sy + ix * all->sx;
    const den_real *b = p->b + block * DEN_TILE_COLS * tap_count(all) +
                        (iy * all->nx + ix) * all->len * cols;
    for (size_t m = 0; m < count; m += DEN_TILE_ROWS) {
        const den_real *from[DEN_TILE_ROWS];
        for (size_t r = 0; r < DEN_TILE_ROWS; r++)
            from[r] = a[m + r] + shift;
        p->tile->dense(from, &taps, b, cols, iy + ix > 0, sums + m * cols);
    }
}

/* Sums run over CHUNK taps in registers and then over chunks in memory: that keeps the
 * packed weights of a chunk in cache, and rounding errors small. */
static void dense_panel(const struct product *p, const den_real *const *a, size_t count,
                        size_t block, den_real *sums)
{
    const struct den_taps *t = &p->runs;
    size_t row = t->nx * t->len;
    size_t ny = row <= CHUNK ? CHUNK / row : 1,
           nx = row <= CHUNK ? t->nx : CHUNK / t->len;
    if (nx == 0)
        nx = 1;
    for (size_t iy = 0; iy < t->ny; iy += ny)
        for (size_t ix = 0; ix < t->nx; ix += nx)
            multiply_chunk(p, a, count, block, iy, at_most(ny, t->ny - iy), ix,
                           at_most(nx, t->nx - ix), sums);
}

static void narrow_panel(const struct product *p, const den_real *const *a, size_t count,
                         den_real *const *y)
{
    den_real sums[PANEL];
    for (size_t c = 0; c < p->channels; c++) {
        for (size_t m = 0; m < count; m += DEN_TILE_ROWS)
            p->tile->narrow(a + m, &p->runs, p->b + c * tap_count(&p->runs), sums + m);
        store_panel(p, sums, count, 1, c, 1, y);
    }
}

static void product_panel(const struct product *p, size_t first, size_t count,
                          size_t group)
{
    const den_real *a[PANEL];
    den_real *y[PANEL];
    find_pixels(p, first, count, a, y);
    if (p->narrow) {
        narrow_panel(p, a, count, y);
        return;
    }
    den_real sums[PANEL * DEN_TILE_COLS] __attribute__((aligned(64)));
    size_t from, to;
    den_range(p->blocks, p->groups, group, &from, &to);
    for (size_t block = from; block < to; block++) {
        size_t cols = block_columns(p, block), at = block * DEN_TILE_COLS;
        if (tap_count(&p->taps) == 0) /* a kernel smaller than its stride leaves holes */
            memset(sums, 0, sizeof sums);
        else
            dense_panel(p, a, count, block, sums);
        store_panel(p, sums, count, cols, at, at_most(cols, p->channels - at), y);
    }
}

static size_t product_units(const struct product *p)
{
    return p->units;
}

static void product_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct product *p = product_of(context, &unit, product_units);
    size_t group = unit % p->groups, first = unit / p->groups * p->per_unit;
    size_t end = at_most(first + p->per_unit, p->pixels);
    for (; first < end; first += PANEL)
        product_panel(p, first, at_most(PANEL, end - first), group);
}

/* Chooses kernels and units; b is where the packed weights go.  Depends on shapes alone,
 * so the result does not depend on the number of threads. */
static void plan_product(struct product *p, den_real *b)
{
    p->tile = den_cpu_tile_best();
    p->b = b;
    p->runs = p->taps;
    if (p->taps.sx == p->taps.len) {
        p->runs.len = p->taps.len * p->taps.nx;
        p->runs.nx = p->taps.nx > 0;
    }
    p->narrow = p->channels <= NARROW && p->runs.len >= DEN_TILE_LANES;
    p->blocks = (p->channels + DEN_TILE_COLS - 1) / DEN_TILE_COLS;
    p->pixels = p->n * p->h * p->w;
    size_t work = PANEL * (tap_count(&p->taps) + 1) * packed_channels(p->channels);
    size_t panels = UNIT / work + 1, all = (p->pixels + PANEL - 1) / PANEL;
    if (panels > all / SPREAD)
        panels = all / SPREAD + 1;
    p->per_unit = panels * PANEL;
    size_t spans = (p->pixels + p->per_unit - 1) / p->per_unit;
    p->groups = p->narrow || spans >= SPREAD ? 1 : at_most(p->blocks, SPREAD / spans);
    p->units = spans * p->groups;
}

static size_t packed_count(const struct product *p)
{
    return tap_count(&p->taps) * packed_channels(p->channels);
}

/* Runs and empties the set; *b is the free part of the scratch. */
static void run_products(const struct den_exec *ex, struct products *all, den_real *b)
{
    size_t pack = 0, units = 0, packed = 0;
    for (size_t i = 0; i < all->count; i++) {
        plan_product(&all->item[i], b + packed);
        packed += packed_count(&all->item[i]);
        pack += pack_units(&all->item[i]);
        units += all->item[i].units;
    }
    den_pool_run(packed < DEN_CPU_ALONE ? NULL : ex->pool, pack, pack_unit, all);
    den_pool_run(ex->pool, units, product_unit, all);
    all->count = 0;
}

/* ---- the two kernels ------------------------------------------------------------------
 */

void den_cpu_conv_forward(const struct den_exec *ex, struct den_conv_geom g,
                          const struct den_view *x, const den_real *w,
                          const den_real *bias, const struct den_view *y)
{
    size_t ci = x->shape.c, co = y->shape.c;
    struct products all = {.count = 1};
    struct product *p = &all.item[0];
    *p = (struct product){
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
    run_products(ex, &all, ex->scratch);
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

static struct product phase_product(struct den_conv_geom g, const struct den_view *dy,
                                    const den_real *w, const struct den_view *dx,
                                    struct phase fy, struct phase fx, size_t step_y,
                                    size_t step_x)
{
    size_t ci = dx->shape.c, co = dy->shape.c, row = den_view_row(dy);
    struct product p = {
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
    struct products all = {.count = 0};
    for (size_t qy = 0; qy < step_y; qy++)
        for (size_t qx = 0; qx < step_x; qx++) {
            struct phase fy = phase_of(qy, g.kh, step_y, g.pad, x.h);
            struct phase fx = phase_of(qx, g.kw, step_x, g.pad, x.w);
            if (fy.count == 0 || fx.count == 0)
                continue;
            struct product *p = &all.item[all.count++];
            *p = phase_product(g, &wide, w, dx, fy, fx, step_y, step_x);
            p->bias = bias;
            p->add = add;
            if (all.count == CLASSES)
                run_products(ex, &all, free_part);
        }
    run_products(ex, &all, free_part);
}

size_t den_cpu_conv_scratch(struct den_conv_geom g, struct den_shape x,
                            struct den_shape y, int threads)
{
    (void)threads;
    size_t taps = g.kh * g.kw;
    size_t forward = taps * x.c * packed_channels(y.c);
    size_t halo = conv_halo(g, x, y);
    size_t wide = halo > 0 ? round_up(haloed_count(y, halo), DEN_TILE_LANES) : 0;
    size_t data = taps * y.c * packed_channels(x.c) + wide;
    size_t weights = den_cpu_weights_scratch(g, x, y);
    size_t most = forward > data ? forward : data;
    return most > weights ? most : weights;
}
