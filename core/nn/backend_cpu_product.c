#include "backend_cpu.h"

#include <string.h>

#include "backend_cpu_product.h"

enum {
    PANEL = 64,     /* pixels whose addresses and sums are held at once */
    NARROW = 4,     /* up to so many output channels go tap by tap */
    UNIT = 1 << 20, /* multiplications worth a unit of work */
    SPREAD = 16,    /* units below which the channels are split as well */
    TOGETHER = 32   /* units from which on they take a part of every grid */
};

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
    return (channels + DEN_TILE_LANES - 1) / DEN_TILE_LANES * DEN_TILE_LANES;
}

/* ---- weights ------------------------------------------------------------------------
 * Dense: [block of 32 channels][tap][32], the last block 16 wide if that is enough and
 * filled up with zeros.  Narrow: [channel][tap].     */

static size_t block_columns(const struct den_product *p, size_t block)
{
    size_t left = packed_channels(p->channels) - block * DEN_TILE_COLS;
    return at_most(left, DEN_TILE_COLS);
}

/* Four by four in registers: element by element this took three times as long, and more
 * than the products of a deep layer. */
static inline void turn_square(const den_real *from, size_t step, den_real *to, size_t ld)
{
    typedef den_real vec __attribute__((vector_size(4 * sizeof(den_real)),
                                        aligned(sizeof(den_real)), may_alias));
    vec r0 = *(const vec *)from, r1 = *(const vec *)(from + step);
    vec r2 = *(const vec *)(from + 2 * step), r3 = *(const vec *)(from + 3 * step);
    vec low01 = __builtin_shufflevector(r0, r1, 0, 4, 1, 5);
    vec low23 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
    vec high01 = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    vec high23 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    *(vec *)to = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
    *(vec *)(to + ld) = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
    *(vec *)(to + 2 * ld) = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
    *(vec *)(to + 3 * ld) = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}

void den_turn(size_t rows, size_t cols, const den_real *from, size_t step, den_real *to,
              size_t ld)
{
    enum { SIDE = 4 };
    size_t whole = rows - rows % SIDE, c = 0;
    for (; c + SIDE <= cols; c += SIDE)
        for (size_t k = 0; k < whole; k += SIDE)
            turn_square(from + k + c * step, step, to + k * ld + c, ld);
    for (size_t i = 0; i < c; i++)
        for (size_t k = whole; k < rows; k++)
            to[k * ld + i] = from[k + i * step];
    for (; c < cols; c++)
        for (size_t k = 0; k < rows; k++)
            to[k * ld + c] = from[k + c * step];
}

/* to[k][cols] = from[k wk + c wc] for c < used, then zeros. */
static void pack_tap(const struct den_product *p, const den_real *from, size_t cols,
                     size_t used, den_real *to)
{
    size_t len = p->taps.len, wk = p->wk, wc = p->wc;
    for (size_t k = 0; k < len && wk == 1; k += DEN_TILE_LANES)
        den_turn(at_most(DEN_TILE_LANES, len - k), used, from + k, wc, to + k * cols,
                 cols);
    for (size_t k = 0; k < len; k++, to += cols) {
        for (size_t c = 0; c < used && wk != 1; c++)
            to[c] = from[k * wk + c * wc];
        for (size_t c = used; c < cols; c++)
            to[c] = 0;
    }
}

static void pack_block(const struct den_product *p, size_t block, size_t iy)
{
    const struct den_taps *t = &p->taps;
    size_t cols = block_columns(p, block), first = block * DEN_TILE_COLS;
    size_t used = at_most(cols, p->channels - first);
    den_real *to = p->b + first * tap_count(t) + iy * t->nx * t->len * cols;
    for (size_t ix = 0; ix < t->nx; ix++, to += t->len * cols)
        pack_tap(p,
                 p->from + (ptrdiff_t)iy * p->wy + (ptrdiff_t)ix * p->wx + first * p->wc,
                 cols, used, to);
}

static void pack_narrow(const struct den_product *p, size_t iy)
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

static size_t pack_units(const struct den_product *p)
{
    return p->narrow ? p->taps.ny : p->taps.ny * p->blocks;
}

/* The grid a unit belongs to; *unit becomes the unit within it. */
static const struct den_product *product_of(const struct den_products *all, size_t *unit,
                                            size_t (*units)(const struct den_product *))
{
    const struct den_product *p = all->item;
    for (; *unit >= units(p); p++)
        *unit -= units(p);
    return p;
}

static void pack_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct den_product *p = product_of(context, &unit, pack_units);
    if (p->narrow)
        pack_narrow(p, unit);
    else
        pack_block(p, unit / p->taps.ny, unit % p->taps.ny);
}

/* ---- pixels ---------------------------------------------------------------------------
 */

/* Addresses of `count` grid points from `first` on; the list is filled up to a whole tile
 * with the last one. */
static void find_pixels(const struct den_product *p, size_t first, size_t count,
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

struct den_finish den_product_finish(const struct den_product *p, size_t first,
                                     size_t used)
{
    struct den_finish f = {.slope = p->slope, .add = p->add};
    for (size_t c = 0; c < used; c++) {
        f.scale[c] = p->scale != NULL ? p->scale[first + c] : 1;
        f.bias[c] = p->bias != NULL ? p->bias[first + c] : 0;
    }
    return f;
}

static inline den_real finish_one(den_real sum, den_real scale, den_real bias,
                                  den_real slope)
{
    den_real v = scale * sum + bias;
    return v > 0 ? v : slope * v;
}

/* A cache line of channels.  As a loop over finish_one it ran one by one. */
static inline void store_line(const den_real *sums, const den_real *scale,
                              const den_real *bias, den_real slope, bool add,
                              den_real *to)
{
    typedef den_real line __attribute__((vector_size(DEN_TILE_LANES * sizeof(den_real)),
                                         aligned(sizeof(den_real)), may_alias));
    line v = *(const line *)scale * *(const line *)sums + *(const line *)bias;
    if (slope < 1) {
        __typeof__(v > 0) positive = v > 0;
        line less = slope * v;
        v = (line)(((__typeof__(positive))v & positive) |
                   ((__typeof__(positive))less & ~positive));
    }
    if (add)
        v += *(const line *)to;
    *(line *)to = v;
}

/* Stores count pixels of `cols` sums, of which `used` are real, at channel `first`. */
static DEN_CLONES void store_panel(const struct den_product *p, const den_real *sums,
                                   size_t count, size_t cols, size_t first, size_t used,
                                   den_real *const *y)
{
    const struct den_finish f = den_product_finish(p, first, used);
    for (size_t m = 0; m < count; m++, sums += cols) {
        den_real *to = y[m] + first;
        size_t c = 0;
        for (; c + DEN_TILE_LANES <= used; c += DEN_TILE_LANES)
            store_line(sums + c, f.scale + c, f.bias + c, f.slope, f.add, to + c);
        for (; c < used; c++) {
            den_real v = finish_one(sums[c], f.scale[c], f.bias[c], f.slope);
            to[c] = f.add ? to[c] + v : v;
        }
    }
}

/* One panel, taps [iy, iy + ny) x [ix, ix + nx), one block of channels. */
static void multiply_chunk(const struct den_product *p, const den_real *const *a,
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

/* Sums run over DEN_TILE_CHUNK taps in registers and then over chunks in memory: that
 * keeps the packed weights of a chunk in cache, and rounding errors small. */
static void dense_panel(const struct den_product *p, const den_real *const *a,
                        size_t count, size_t block, den_real *sums)
{
    const struct den_taps *t = &p->runs;
    size_t row = t->nx * t->len;
    size_t ny = row <= DEN_TILE_CHUNK ? DEN_TILE_CHUNK / row : 1,
           nx = row <= DEN_TILE_CHUNK ? t->nx : DEN_TILE_CHUNK / t->len;
    if (nx == 0)
        nx = 1;
    for (size_t iy = 0; iy < t->ny; iy += ny)
        for (size_t ix = 0; ix < t->nx; ix += nx)
            multiply_chunk(p, a, count, block, iy, at_most(ny, t->ny - iy), ix,
                           at_most(nx, t->nx - ix), sums);
}

static void narrow_panel(const struct den_product *p, const den_real *const *a,
                         size_t count, den_real *const *y)
{
    den_real sums[PANEL];
    const struct den_finish f = den_product_finish(p, 0, p->channels);
    for (size_t c = 0; c < p->channels; c++) {
        for (size_t m = 0; m < count; m += DEN_TILE_ROWS)
            p->tile->narrow(a + m, &p->runs, p->b + c * tap_count(&p->runs), sums + m);
        for (size_t m = 0; m < count; m++)
            y[m][c] = (p->add ? y[m][c] : 0) +
                      finish_one(sums[m], f.scale[c], f.bias[c], f.slope);
    }
}

static void product_panel(const struct den_product *p, size_t first, size_t count,
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

static size_t product_units(const struct den_product *p)
{
    return p->units;
}

static void run_unit(const struct den_product *p, size_t unit)
{
    size_t group = unit % p->groups, first = unit / p->groups * p->per_unit;
    size_t end = at_most(first + p->per_unit, p->pixels);
    for (; first < end; first += PANEL)
        product_panel(p, first, at_most(PANEL, end - first), group);
}

static void product_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct den_products *all = context;
    if (all->together) {
        for (size_t i = 0; i < all->count; i++)
            if (unit < all->item[i].units)
                run_unit(&all->item[i], unit);
    } else {
        const struct den_product *p = product_of(all, &unit, product_units);
        run_unit(p, unit);
    }
}

/* Chooses kernels and units; b is where the packed weights go.  Depends on shapes alone,
 * so the result does not depend on the number of threads. */
static void plan_product(struct den_product *p, size_t grids, den_real *b)
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
    size_t panels = UNIT / grids / work + 1, all = (p->pixels + PANEL - 1) / PANEL;
    if (panels > all / SPREAD)
        panels = all / SPREAD + 1;
    p->per_unit = panels * PANEL;
    size_t spans = (p->pixels + p->per_unit - 1) / p->per_unit;
    p->groups = p->narrow || spans >= SPREAD ? 1 : at_most(p->blocks, SPREAD / spans);
    p->units = spans * p->groups;
}

size_t den_packed_count(size_t taps, size_t channels)
{
    return taps * packed_channels(channels);
}

/* b: where the packed weights of all grids are or go. */
static void plan_products(struct den_products *all, den_real *b)
{
    for (size_t i = 0; i < all->count; i++) {
        struct den_product *p = &all->item[i];
        plan_product(p, all->count, b);
        b += den_packed_count(tap_count(&p->taps), p->channels);
    }
}

static void pack_products(const struct den_exec *ex, struct den_products *all)
{
    size_t units = 0, packed = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct den_product *p = &all->item[i];
        units += pack_units(p);
        packed += den_packed_count(tap_count(&p->taps), p->channels);
    }
    den_pool_run(packed < DEN_CPU_ALONE ? NULL : ex->pool, units, pack_unit, all);
}

/* The phases of backward-data read the same pixels of dy, and their pixels of dx lie in
 * the same cache lines: where there are units enough, one takes its part of every phase.
 */
static void run_products(const struct den_exec *ex, struct den_products *all)
{
    size_t units = 0, most = 0, least = SIZE_MAX;
    for (size_t i = 0; i < all->count; i++) {
        const struct den_product *p = &all->item[i];
        units += p->units;
        most = p->units > most ? p->units : most;
        least = at_most(p->units, least);
    }
    all->together = all->count > 1 && least >= TOGETHER;
    den_pool_run(ex->pool, all->together ? most : units, product_unit, all);
    all->count = 0;
}

void den_products_run(const struct den_exec *ex, struct den_products *all,
                      den_real *scratch)
{
    plan_products(all, scratch);
    pack_products(ex, all);
    run_products(ex, all);
}

void den_products_pack(const struct den_exec *ex, struct den_products *all, den_real *to)
{
    plan_products(all, to);
    pack_products(ex, all);
    all->count = 0;
}

void den_products_run_packed(const struct den_exec *ex, struct den_products *all,
                             den_real *packed)
{
    plan_products(all, packed);
    run_products(ex, all);
}
