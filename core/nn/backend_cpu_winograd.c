#include "backend_cpu.h"

#include <string.h>

#include "backend_cpu_winograd.h"

enum {
    SPAN = 32,       /* tiles that are multiplied together, or half as many */
    V_MOST = 100000, /* reals of their V, so that it stays in the second cache */
    SHARED = 1024,   /* up to so many tiles V may be made for all at once */
};

static size_t at_most(size_t n, size_t most)
{
    return n < most ? n : most;
}

static size_t parts(size_t n, size_t of)
{
    return (n + of - 1) / of;
}

/* ---- plan ---- */

/* Sizes in reals.  U: [grid][block of 32 channels][point][k][32].  V: [panel][point][line
 * of k][tile][16].  Sums: [thread][point][tile][32]. */
struct plan {
    size_t m, r, n, points; /* F(m x m, r x r), n x n points */
    size_t grids, spans;    /* spans of a grid; the panel of a span of a grid */
    size_t span;            /* tiles of a full span, a multiple of DEN_TILE_ROWS */
    size_t phases, k, channels, blocks;
    bool shared; /* V of all panels is made first, then the channels are shared out */
    size_t zero_count, u_grid, v_point, v_panel, v_count, sums_thread;
};

static struct plan make_plan(size_t m, const struct den_winograd_case *c, int threads)
{
    struct plan p = {.m = m, .r = den_winograd_taps(c), .grids = c->grids};
    p.n = p.m + p.r - 1;
    p.points = p.n * p.n;
    size_t tiles = den_winograd_tiles(m, c->n, c->h, c->w).count;
    p.phases = c->kh * c->kw / (p.r * p.r);
    p.k = p.phases * c->len;
    size_t span = p.points * p.k * SPAN <= V_MOST ? SPAN : SPAN / 2;
    p.span = at_most(span, parts(tiles, DEN_TILE_ROWS) * DEN_TILE_ROWS);
    p.spans = parts(tiles, p.span);
    p.channels = c->channels;
    p.blocks = parts(c->channels, DEN_TILE_COLS);
    size_t panels = p.grids * p.spans, workers = (size_t)threads;
    p.shared = panels < 4 * workers && tiles * p.grids <= SHARED;
    p.zero_count = c->len;
    p.u_grid = p.points * p.k * c->channels;
    p.v_point = p.k * p.span + DEN_TILE_LANES;
    p.v_panel = p.points * p.v_point;
    p.v_count = (p.shared ? panels : workers) * p.v_panel;
    p.sums_thread = p.points * (p.span * DEN_TILE_COLS + DEN_TILE_LANES);
    return p;
}

size_t den_winograd_packed(size_t m, const struct den_winograd_case *c)
{
    struct plan p = make_plan(m, c, 1);
    return p.grids * p.u_grid;
}

size_t den_winograd_scratch(size_t m, const struct den_winograd_case *c, int threads,
                            bool packed)
{
    struct plan p = make_plan(m, c, threads);
    return p.zero_count + (packed ? 0 : p.grids * p.u_grid) + p.v_count +
           (size_t)threads * p.sums_thread;
}

struct job {
    struct plan plan;
    const struct den_cpu_tile *tile;
    const struct den_cpu_winograd *fast;
    const struct den_product *grid;
    struct den_winograd_tiles tiles[DEN_PRODUCTS];
    den_real *zero, *v, *sums;
    den_real *u; /* written by pack_unit alone */
};

/* ---- weights ---- */

static size_t step_of(const struct den_product *p)
{
    return p->a_row / p->taps.sy;
}

/* Pixels, and taps, between the phases of a grid. */
static size_t phase_gap(const struct den_product *p)
{
    return step_of(p) == 2 ? 1 : 2;
}

static size_t block_columns(const struct plan *p, size_t block)
{
    return at_most(p->channels - block * DEN_TILE_COLS, DEN_TILE_COLS);
}

static den_real *block_weights(const struct job *job, size_t grid, size_t block)
{
    const struct plan *p = &job->plan;
    return job->u + grid * p->u_grid + block * DEN_TILE_COLS * p->points * p->k;
}

/* The r x r taps of a phase, at input channel 0 and output channel `first`. */
static void find_taps(const struct den_product *p, size_t r, size_t phase, size_t first,
                      const den_real **ret)
{
    size_t across = p->taps.nx / r, gap = phase_gap(p), step = step_of(p);
    size_t py = phase / across * gap, px = phase % across * gap;
    const den_real *from = p->from + first * p->wc;
    for (size_t y = 0; y < r; y++)
        for (size_t x = 0; x < r; x++)
            *ret++ = from + (ptrdiff_t)(py + y * step) * p->wy +
                     (ptrdiff_t)(px + x * step) * p->wx;
}

static void pack_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct job *job = context;
    const struct plan *p = &job->plan;
    size_t phase = unit % p->phases, block = unit / p->phases % p->blocks;
    size_t grid = unit / p->phases / p->blocks, cols = block_columns(p, block);
    const struct den_product *g = &job->grid[grid];
    size_t len = g->taps.len, u_point = p->k * cols;
    const den_real *tap[DEN_WINOGRAD_TAPS];
    find_taps(g, p->r, phase, block * DEN_TILE_COLS, tap);
    den_real *u = block_weights(job, grid, block) + phase * len * cols;
    if (g->wc == 1) {
        job->fast->weights(tap, g->wk, len, cols, u, u_point);
        return;
    }
    /* w lies with the input channels side by side */
    den_real turned[DEN_WINOGRAD_TAPS * DEN_TILE_LANES * DEN_TILE_COLS]
        __attribute__((aligned(64)));
    for (size_t k = 0; k < len; k += DEN_TILE_LANES, u += DEN_TILE_LANES * cols) {
        const den_real *rows[DEN_WINOGRAD_TAPS];
        for (size_t t = 0; t < p->r * p->r; t++) {
            den_real *to = turned + t * DEN_TILE_LANES * cols;
            den_turn(DEN_TILE_LANES, cols, tap[t] + k, g->wc, to, cols);
            rows[t] = to;
        }
        job->fast->weights(rows, cols, DEN_TILE_LANES, cols, u, u_point);
    }
}

/* ---- a panel: the tiles of one span of one grid ---- */

/* Units that follow each other read the same pixels. */
static size_t panel_grid(const struct plan *p, size_t panel)
{
    return panel % p->grids;
}

static size_t panel_first(const struct plan *p, size_t panel)
{
    return panel / p->grids * p->span;
}

static size_t panel_tiles(const struct job *job, size_t panel)
{
    size_t first = panel_first(&job->plan, panel);
    size_t count = job->tiles[panel_grid(&job->plan, panel)].count;
    return first < count ? at_most(count - first, job->plan.span) : 0;
}

/* V of tile number t of a panel. */
static void transform_tile(const struct job *job, size_t panel, size_t t, den_real *v)
{
    const struct plan *p = &job->plan;
    size_t grid = panel_grid(p, panel), image, y, x;
    const struct den_product *g = &job->grid[grid];
    den_winograd_place(&job->tiles[grid], panel_first(p, panel) + t, &image, &y, &x);
    size_t across = g->taps.nx / p->r, gap = phase_gap(g), step = step_of(g);
    size_t line = p->span * DEN_TILE_LANES, lines = g->taps.len / DEN_TILE_LANES;
    v += t * DEN_TILE_LANES;
    for (size_t phase = 0; phase < p->phases; phase++, v += lines * line) {
        const den_real *d[DEN_WINOGRAD_POINTS];
        den_winograd_window(g->in, image,
                            g->in_y + (ptrdiff_t)(y * step + phase / across * gap),
                            g->in_x + (ptrdiff_t)(x * step + phase % across * gap), p->n,
                            step, job->zero, d);
        job->fast->input(d, g->taps.len, v, line, p->v_point);
    }
}

/* sums[point][tile][cols] of one block of channels.  The tiles are filled up to whole
 * rows with whatever lies in V; their sums are not used. */
static void multiply(const struct job *job, size_t tiles, const den_real *v,
                     const den_real *u, size_t cols, den_real *sums)
{
    const struct plan *p = &job->plan;
    size_t line = p->span * DEN_TILE_LANES, chunk = DEN_TILE_CHUNK / DEN_TILE_LANES;
    size_t lines = p->k / DEN_TILE_LANES;
    for (size_t point = 0; point < p->points; point++) {
        for (size_t l = 0; l < lines; l += chunk) {
            struct den_taps taps = {1, at_most(chunk, lines - l), DEN_TILE_LANES, 0,
                                    line};
            const den_real *b = u + l * DEN_TILE_LANES * cols;
            for (size_t t = 0; t < tiles; t += DEN_TILE_ROWS) {
                const den_real *a[DEN_TILE_ROWS];
                for (size_t r = 0; r < DEN_TILE_ROWS; r++)
                    a[r] = v + l * line + (t + r) * DEN_TILE_LANES;
                job->tile->dense(a, &taps, b, cols, l > 0, sums + t * cols);
            }
        }
        v += p->v_point;
        u += p->k * cols;
        sums += p->span * cols + DEN_TILE_LANES;
    }
}

/* The pixels of a tile, NULL beyond the grid. */
static void find_outputs(const struct job *job, size_t panel, size_t t, size_t first,
                         den_real **ret)
{
    size_t grid = panel_grid(&job->plan, panel), image, y, x, m = job->plan.m;
    const struct den_product *g = &job->grid[grid];
    den_winograd_place(&job->tiles[grid], panel_first(&job->plan, panel) + t, &image, &y,
                       &x);
    den_real *to = g->y + image * g->y_image + first;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++)
            *ret++ = y + i < g->h && x + j < g->w
                         ? to + (y + i) * g->y_row + (x + j) * g->y_pixel
                         : NULL;
}

static void output_block(const struct job *job, size_t panel, size_t block,
                         const den_real *v, den_real *sums)
{
    const struct plan *p = &job->plan;
    size_t grid = panel_grid(p, panel), tiles = panel_tiles(job, panel);
    const struct den_product *g = &job->grid[grid];
    size_t cols = block_columns(p, block), first = block * DEN_TILE_COLS;
    multiply(job, tiles, v, block_weights(job, grid, block), cols, sums);
    const struct den_finish finish = den_product_finish(g, first, cols);
    for (size_t t = 0; t < tiles; t++) {
        den_real *y[DEN_WINOGRAD_POINTS];
        find_outputs(job, panel, t, first, y);
        job->fast->output(sums + t * cols, p->span * cols + DEN_TILE_LANES, cols, &finish,
                          y);
    }
}

/* ---- units ---- */

static den_real *thread_sums(const struct job *job, int thread)
{
    return job->sums + (size_t)thread * job->plan.sums_thread;
}

/* A whole panel, with a V of the thread's own. */
static void panel_unit(void *context, size_t panel, int thread)
{
    const struct job *job = context;
    den_real *v = job->v + (size_t)thread * job->plan.v_panel;
    size_t tiles = panel_tiles(job, panel);
    for (size_t t = 0; t < tiles; t++)
        transform_tile(job, panel, t, v);
    for (size_t block = 0; block < job->plan.blocks && tiles > 0; block++)
        output_block(job, panel, block, v, thread_sums(job, thread));
}

/* One tile of a panel of the shared V. */
static void input_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct job *job = context;
    size_t panel = unit / job->plan.span, t = unit % job->plan.span;
    if (t < panel_tiles(job, panel))
        transform_tile(job, panel, t, job->v + panel * job->plan.v_panel);
}

/* One block of channels of a panel of the shared V. */
static void block_unit(void *context, size_t unit, int thread)
{
    const struct job *job = context;
    size_t panel = unit / job->plan.blocks, block = unit % job->plan.blocks;
    if (panel_tiles(job, panel) > 0)
        output_block(job, panel, block, job->v + panel * job->plan.v_panel,
                     thread_sums(job, thread));
}

static struct den_winograd_case case_of(const struct den_products *all)
{
    const struct den_product *p = all->item;
    struct den_winograd_case c = {all->count, p->n,        0,
                                  0,          p->taps.ny,  p->taps.nx,
                                  step_of(p), p->taps.len, p->channels};
    for (size_t i = 0; i < all->count; i++) {
        c.h = c.h > p[i].h ? c.h : p[i].h;
        c.w = c.w > p[i].w ? c.w : p[i].w;
    }
    return c;
}

static struct job make_job(const struct den_exec *ex, size_t m,
                           const struct den_products *all)
{
    struct den_winograd_case c = case_of(all);
    struct job job = {.plan = make_plan(m, &c, den_pool_threads(ex->pool)),
                      .tile = den_cpu_tile_best(),
                      .grid = all->item};
    job.fast = den_cpu_winograd_find(job.tile, m, job.plan.r);
    for (size_t i = 0; i < all->count; i++)
        job.tiles[i] =
            den_winograd_tiles(m, all->item[i].n, all->item[i].h, all->item[i].w);
    return job;
}

static void pack(const struct den_exec *ex, struct job *job)
{
    const struct plan *p = &job->plan;
    den_pool_run(ex->pool, p->grids * p->blocks * p->phases, pack_unit, job);
}

void den_winograd_pack(const struct den_exec *ex, size_t m, struct den_products *all,
                       den_real *to)
{
    struct job job = make_job(ex, m, all);
    job.u = to;
    pack(ex, &job);
    all->count = 0;
}

void den_winograd_run(const struct den_exec *ex, size_t m, struct den_products *all)
{
    struct job job = make_job(ex, m, all);
    const struct plan *p = &job.plan;
    job.zero = ex->scratch;
    memset(job.zero, 0, p->zero_count * sizeof *job.zero);
    job.v = job.zero + p->zero_count;
    job.sums = job.v + p->v_count;
    job.u = ex->packed;
    if (job.u == NULL) {
        job.u = job.sums + (size_t)den_pool_threads(ex->pool) * p->sums_thread;
        pack(ex, &job);
    }
    size_t panels = p->grids * p->spans;
    if (p->shared) {
        den_pool_run(ex->pool, panels * p->span, input_unit, &job);
        den_pool_run(ex->pool, panels * p->blocks, block_unit, &job);
    } else {
        den_pool_run(ex->pool, panels, panel_unit, &job);
    }
    all->count = 0;
}
