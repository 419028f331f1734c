#include "backend_cpu.h"

#include <string.h>

#include "backend_cpu_winograd.h"

/* The gradient of the weights: with V = B^T d B and dM = A dY A^T of every tile,
 *     dU[point][k][o] = sum over tiles of V[point][tile][k] dM[point][tile][o]
 *     dW = G^T dU G
 * The tiles are taken in chunks for which V and dM fit in the last cache.  A unit of work
 * is 8 rows k by 32 channels o of all points, so that dU never leaves the first cache: it
 * is added to dW chunk by chunk, in a fixed order.     */

enum {
    CHUNK = 1 << 20,   /* reals of V and dM together */
    TILES_LEAST = 64,  /* per chunk, so that sums outweigh the traffic of dW */
    TILES_MOST = 1024, /* so many products are summed in registers */
    TILES_UNIT = 8,
    ROWS_UNIT = 8 * DEN_TILE_ROWS
};

static size_t at_most(size_t n, size_t most)
{
    return n < most ? n : most;
}

static size_t parts(size_t n, size_t of)
{
    return (n + of - 1) / of;
}

/* Sizes in reals.  V: [point][line of k][tile][16].  dM: [block][point][tile][32]. */
struct plan {
    size_t m, r, n, points; /* F(m x m, r x r), n x n points */
    size_t k, channels, blocks;
    struct den_winograd_tiles tiles;
    size_t chunk; /* tiles */
    size_t zero_count, v_count, dm_count;
};

static struct plan make_plan(size_t m, const struct den_winograd_case *c)
{
    struct plan p = {.m = m, .r = den_winograd_taps(c), .channels = c->channels};
    p.n = p.m + p.r - 1;
    p.points = p.n * p.n;
    p.tiles = den_winograd_tiles(m, c->n, c->h, c->w);
    p.k = c->kh * c->kw / (p.r * p.r) * c->len;
    p.blocks = parts(c->channels, DEN_TILE_COLS);
    size_t tile = p.points * (p.k + c->channels), chunk = CHUNK / tile;
    chunk = chunk < TILES_LEAST ? TILES_LEAST : at_most(chunk, TILES_MOST);
    p.chunk = at_most(chunk, p.tiles.count);
    p.zero_count = c->len > c->channels ? c->len : c->channels;
    p.v_count = p.points * p.k * p.chunk;
    p.dm_count = p.points * c->channels * p.chunk;
    return p;
}

size_t den_winograd_weights_scratch(size_t m, const struct den_winograd_case *c)
{
    struct plan p = make_plan(m, c);
    return p.zero_count + p.v_count + p.dm_count;
}

struct job {
    struct plan plan;
    const struct den_cpu_tile *tile;
    const struct den_cpu_winograd *fast;
    struct den_conv_geom g;
    const struct den_view *x, *dy;
    den_real *dw, *zero, *v, *dm;
    size_t first, count; /* tiles of this chunk */
};

/* Pixels, and taps, between the phases; see backend_cpu_winograd.h. */
static size_t phase_gap(const struct job *job)
{
    return job->g.stride == 2 ? 1 : 2;
}

/* ---- V and dM ---- */

static void transform_input(const struct job *job, size_t t)
{
    const struct plan *p = &job->plan;
    size_t image, y, x, across = job->g.kw / p->r, gap = phase_gap(job);
    size_t step = job->g.stride, len = job->x->shape.c;
    den_winograd_place(&p->tiles, job->first + t, &image, &y, &x);
    size_t line = p->chunk * DEN_TILE_LANES, lines = len / DEN_TILE_LANES;
    den_real *v = job->v + t * DEN_TILE_LANES;
    for (size_t phase = 0; phase * len < p->k; phase++, v += lines * line) {
        const den_real *d[DEN_WINOGRAD_POINTS];
        size_t py = y * step + phase / across * gap, px = x * step + phase % across * gap;
        den_winograd_window(job->x, image, (ptrdiff_t)py - (ptrdiff_t)job->g.pad,
                            (ptrdiff_t)px - (ptrdiff_t)job->g.pad, p->n, step, job->zero,
                            d);
        job->fast->input(d, len, v, line, p->k * p->chunk);
    }
}

static size_t block_columns(const struct plan *p, size_t block)
{
    return at_most(p->channels - block * DEN_TILE_COLS, DEN_TILE_COLS);
}

static void transform_output(const struct job *job, size_t t)
{
    const struct plan *p = &job->plan;
    size_t image, y, x;
    const den_real *dy[DEN_WINOGRAD_POINTS];
    den_winograd_place(&p->tiles, job->first + t, &image, &y, &x);
    den_winograd_window(job->dy, image, (ptrdiff_t)y, (ptrdiff_t)x, p->m, 1, job->zero,
                        dy);
    den_real *dm = job->dm;
    for (size_t block = 0; block < p->blocks; block++) {
        size_t cols = block_columns(p, block);
        job->fast->spread(dy, cols, dm + t * cols, DEN_TILE_LANES, p->chunk * cols);
        for (size_t i = 0; i < p->m * p->m; i++)
            dy[i] += cols;
        dm += p->points * p->chunk * cols;
    }
}

static void transform_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct job *job = context;
    size_t end = at_most((unit + 1) * TILES_UNIT, job->count);
    for (size_t t = unit * TILES_UNIT; t < end; t++) {
        transform_input(job, t);
        transform_output(job, t);
    }
}

/* ---- products ---- */

/* dw of the r x r taps of row k, at channel `first`. */
static void find_taps(const struct job *job, size_t k, size_t first, den_real **ret)
{
    size_t ci = job->x->shape.c, co = job->dy->shape.c, phase = k / ci;
    size_t r = job->plan.r, across = job->g.kw / r;
    size_t gap = phase_gap(job), step = job->g.stride;
    size_t py = phase / across * gap, px = phase % across * gap;
    for (size_t y = 0; y < r; y++)
        for (size_t x = 0; x < r; x++) {
            size_t tap = (py + y * step) * job->g.kw + px + x * step;
            *ret++ = job->dw + (tap * ci + k % ci) * co + first;
        }
}

/* Rows k to k + 8 of one block of channels. */
static void add_rows(const struct job *job, size_t k, size_t block)
{
    const struct plan *p = &job->plan;
    size_t cols = block_columns(p, block), rows = DEN_TILE_ROWS * cols;
    const struct den_walk walk = {
        .n = 1, .h = 1, .w = job->count, .a_pixel = DEN_TILE_LANES, .b_pixel = cols};
    const den_real *v = job->v + k / DEN_TILE_LANES * p->chunk * DEN_TILE_LANES;
    const den_real *dm = job->dm + block * DEN_TILE_COLS * p->points * p->chunk;
    den_real du[DEN_WINOGRAD_POINTS * DEN_TILE_ROWS * DEN_TILE_COLS]
        __attribute__((aligned(64)));
    for (size_t point = 0; point < p->points; point++) {
        const den_real *a[DEN_TILE_ROWS];
        for (size_t r = 0; r < DEN_TILE_ROWS; r++)
            a[r] = v + k % DEN_TILE_LANES + r;
        job->tile->outer(a, dm, &walk, cols, du + point * rows);
        v += p->k * p->chunk;
        dm += p->chunk * cols;
    }
    for (size_t r = 0; r < DEN_TILE_ROWS; r++) {
        den_real *dw[DEN_WINOGRAD_TAPS];
        find_taps(job, k + r, block * DEN_TILE_COLS, dw);
        job->fast->gradient(du + r * cols, rows, cols, dw);
    }
}

static void rows_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct job *job = context;
    const struct plan *p = &job->plan;
    size_t groups = parts(p->k, ROWS_UNIT);
    size_t k = unit % groups * ROWS_UNIT;
    size_t end = at_most(k + ROWS_UNIT, p->k);
    for (; k < end; k += DEN_TILE_ROWS)
        add_rows(job, k, unit / groups);
}

void den_winograd_weights(const struct den_exec *ex, size_t m,
                          const struct den_winograd_case *c, struct den_conv_geom g,
                          const struct den_view *x, const struct den_view *dy,
                          den_real *dw)
{
    struct job job = {.plan = make_plan(m, c),
                      .tile = den_cpu_tile_best(),
                      .g = g,
                      .x = x,
                      .dy = dy,
                      .dw = dw,
                      .zero = ex->scratch};
    job.fast = den_cpu_winograd_find(job.tile, m, job.plan.r);
    const struct plan *p = &job.plan;
    memset(job.zero, 0, p->zero_count * sizeof *job.zero);
    job.v = job.zero + p->zero_count;
    job.dm = job.v + p->v_count;
    size_t units = parts(p->k, ROWS_UNIT) * p->blocks;
    for (; job.first < p->tiles.count; job.first += p->chunk) {
        job.count = at_most(p->chunk, p->tiles.count - job.first);
        den_pool_run(ex->pool, parts(job.count, TILES_UNIT), transform_unit, &job);
        den_pool_run(ex->pool, units, rows_unit, &job);
    }
}
