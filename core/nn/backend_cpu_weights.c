#include "backend_cpu.h"

#include <assert.h>
#include <string.h>

#include "backend_cpu_tile.h"

/* dw[k][o] = sum over output pixels of x[pixel under tap k] * dy[pixel][o], k = (ky, kx,
 * c).  A tile is 8 rows of dw; it walks over a block of pixels that fits in cache.  The
 * rows are shared out in groups, and where dw is small the pixels too, in parts with
 * partial sums of their own that are added in order: the split depends on shapes alone,
 * so the result is the same for any number of threads.     */

enum {
    BLOCK_BYTES = 256 * 1024, /* of x and dy that a block touches: a part of a 1 MB L2 */
    BLOCK_PIXELS = 1024,      /* so many products are summed in registers */
    SPREAD = 16,              /* parts * groups */
    PARTIAL = 1 << 18         /* most reals of all partial sums */
};

struct weights {
    const struct den_cpu_tile *tile;
    struct den_conv_geom g;
    const struct den_view *x, *dy;
    den_real *to;         /* dw, or the partial sums [parts][rows][co] */
    const den_real *last; /* the last co % 16 channels of dy, [pixel][16] */
    size_t rows, tiles, groups, parts;
    size_t block_n, block_h, blocks_h, blocks; /* images and rows of a block */
};

static size_t at_least_1(size_t n)
{
    return n > 0 ? n : 1;
}

static size_t at_most(size_t n, size_t most)
{
    return n < most ? n : most;
}

/* Everything that follows from shapes alone. */
static struct weights plan_weights(struct den_conv_geom g, struct den_shape x,
                                   struct den_shape y)
{
    assert(x.c > 0 && den_shape_count(y) > 0);
    struct weights job = {.tile = den_cpu_tile_best(), .g = g};
    job.rows = g.kh * g.kw * x.c;
    job.tiles = (job.rows + DEN_TILE_ROWS - 1) / DEN_TILE_ROWS;
    size_t pixel = (g.stride * g.stride * x.c + y.c) * sizeof(den_real);
    size_t pixels = at_most(BLOCK_BYTES / pixel + 1, BLOCK_PIXELS);
    job.block_h = at_least_1(at_most(pixels / y.w, y.h));
    job.block_n = job.block_h < y.h ? 1 : at_most(at_least_1(pixels / (y.w * y.h)), y.n);
    job.blocks_h = (y.h + job.block_h - 1) / job.block_h;
    job.blocks = job.blocks_h * ((y.n + job.block_n - 1) / job.block_n);
    size_t most = at_most(at_least_1(PARTIAL / (job.rows * y.c)), SPREAD);
    job.parts = at_most(most, job.blocks);
    job.groups = at_most(SPREAD / job.parts, job.tiles);
    return job;
}

/* x at output pixel (0, 0) under row k of dw. */
static const den_real *row_source(const struct weights *job, size_t k)
{
    size_t ci = job->x->shape.c, tap = k / ci;
    size_t ky = tap / job->g.kw, kx = tap % job->g.kw;
    const den_real *corner =
        job->x->data - job->g.pad * (den_view_row(job->x) + job->x->ld);
    return corner + ky * den_view_row(job->x) + kx * job->x->ld + k % ci;
}

/* The rows of one tile in one block of pixels, added to `to` [rows][co]. */
static void add_tile(const struct weights *job, size_t tile, size_t image, size_t y,
                     struct den_walk walk, den_real *to)
{
    const struct den_view *dy = job->dy;
    size_t first = tile * DEN_TILE_ROWS, co = dy->shape.c;
    size_t rows = at_most(DEN_TILE_ROWS, job->rows - first);
    const den_real *a[DEN_TILE_ROWS];
    for (size_t r = 0; r < DEN_TILE_ROWS; r++)
        a[r] = row_source(job, first + at_most(r, rows - 1)) + image * walk.a_image +
               y * walk.a_row;
    den_real sums[DEN_TILE_ROWS * DEN_TILE_COLS] __attribute__((aligned(64)));
    for (size_t c = 0; c < co;) {
        size_t left = co - c,
               cols = left >= DEN_TILE_COLS ? DEN_TILE_COLS : DEN_TILE_LANES;
        const den_real *b = den_view_at(dy, image, y, 0) + c;
        if (left < cols) {
            walk.b_pixel = cols;
            walk.b_row = dy->shape.w * cols;
            walk.b_image = dy->shape.h * walk.b_row;
            b = job->last + image * walk.b_image + y * walk.b_row;
        }
        job->tile->outer(a, b, &walk, cols, sums);
        size_t used = at_most(cols, left);
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < used; j++)
                to[(first + r) * co + c + j] += sums[r * cols + j];
        c += used;
    }
}

static void weights_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct weights *job = context;
    const struct den_view *x = job->x, *dy = job->dy;
    size_t part = unit / job->groups, group = unit % job->groups;
    size_t block, block_end, tile_from, tile_to;
    den_range(job->blocks, job->parts, part, &block, &block_end);
    den_range(job->tiles, job->groups, group, &tile_from, &tile_to);
    den_real *to = job->to + (job->parts > 1 ? part * job->rows * dy->shape.c : 0);
    for (; block < block_end; block++) {
        size_t image = block / job->blocks_h * job->block_n;
        size_t y = block % job->blocks_h * job->block_h;
        struct den_walk walk = {
            .n = at_most(job->block_n, dy->shape.n - image),
            .h = at_most(job->block_h, dy->shape.h - y),
            .w = dy->shape.w,
            .a_image = den_view_image(x),
            .a_row = job->g.stride * den_view_row(x),
            .a_pixel = job->g.stride * x->ld,
            .b_image = den_view_image(dy),
            .b_row = den_view_row(dy),
            .b_pixel = dy->ld,
        };
        for (size_t tile = tile_from; tile < tile_to; tile++)
            add_tile(job, tile, image, y, walk, to);
    }
}

/* The channels of dy beyond the last whole cache line, widened with zeros: a vector read
 * at the end of a view would leave the memory. */
struct last_channels {
    const struct den_view *dy;
    size_t first;
    den_real *to;
};

static void last_unit(void *context, size_t image, int thread)
{
    (void)thread;
    const struct last_channels *job = context;
    struct den_shape s = job->dy->shape;
    den_real *to = job->to + image * s.h * s.w * DEN_TILE_LANES;
    for (size_t y = 0; y < s.h; y++)
        for (size_t x = 0; x < s.w; x++, to += DEN_TILE_LANES) {
            const den_real *from = den_view_at(job->dy, image, y, x) + job->first;
            size_t left = s.c - job->first;
            for (size_t c = 0; c < DEN_TILE_LANES; c++)
                to[c] = c < left ? from[c] : 0;
        }
}

static size_t direct_scratch(struct den_conv_geom g, struct den_shape x,
                             struct den_shape y)
{
    struct weights job = plan_weights(g, x, y);
    size_t last = y.c % DEN_TILE_LANES != 0 ? y.n * y.h * y.w * DEN_TILE_LANES : 0;
    return last + (job.parts > 1 ? job.parts * job.rows * y.c : 0);
}

static void direct_weights(const struct den_exec *ex, struct den_conv_geom g,
                           const struct den_view *x, const struct den_view *dy,
                           den_real *dw)
{
    struct den_shape s = dy->shape;
    struct weights job = plan_weights(g, x->shape, s);
    den_real *free_part = ex->scratch;
    job.x = x;
    job.dy = dy;
    job.to = dw;
    job.last = free_part;
    if (s.c % DEN_TILE_LANES != 0) {
        struct last_channels last = {dy, s.c - s.c % DEN_TILE_LANES, free_part};
        den_pool_run(s.n * s.h * s.w < DEN_CPU_ALONE / 8 ? NULL : ex->pool, s.n,
                     last_unit, &last);
        free_part += s.n * s.h * s.w * DEN_TILE_LANES;
    }
    size_t count = job.rows * s.c;
    if (job.parts > 1) {
        memset(free_part, 0, job.parts * count * sizeof *free_part);
        job.to = free_part;
    }
    den_pool_run(ex->pool, job.parts * job.groups, weights_unit, &job);
    if (job.parts > 1)
        for (size_t part = 0; part < job.parts; part++)
            for (size_t i = 0; i < count; i++)
                dw[i] += free_part[part * count + i];
}

/* ---- few output channels --------------------------------------------------------------
 * With stride 1 and no more than 16 (tap, channel) pairs, such as the last layer of a
 * discriminator, dy is unfolded instead of x: column (tap, o) of input pixel p holds
 * dy[p - tap][o], and dw becomes a 1x1 product over the padded input.     */

static bool folds(struct den_conv_geom g, struct den_shape y)
{
    size_t taps = g.kh * g.kw;
    return g.stride == 1 && taps > 1 && taps * y.c <= DEN_TILE_LANES;
}

static const struct den_conv_geom one_tap = {.kh = 1, .kw = 1, .stride = 1, .pad = 0};

static struct den_shape folded_input(struct den_conv_geom g, struct den_shape x)
{
    return (struct den_shape){x.n, x.h + 2 * g.pad, x.w + 2 * g.pad, x.c};
}

static struct den_shape folded_output(struct den_conv_geom g, struct den_shape x)
{
    struct den_shape s = folded_input(g, x);
    s.c = DEN_TILE_LANES;
    return s;
}

struct fold {
    struct den_conv_geom g;
    const struct den_view *dy;
    struct den_view to; /* columns beyond the last tap stay zero */
};

static void fold_pixel(const struct fold *job, size_t image, size_t y, size_t x)
{
    struct den_shape s = job->dy->shape;
    den_real *to = den_view_at(&job->to, image, y, x), *end = to + DEN_TILE_LANES;
    for (size_t ky = 0; ky < job->g.kh; ky++)
        for (size_t kx = 0; kx < job->g.kw; kx++) {
            /* the differences wrap to huge numbers outside dy */
            bool inside = y - ky < s.h && x - kx < s.w;
            const den_real *from =
                inside ? den_view_at(job->dy, image, y - ky, x - kx) : NULL;
            for (size_t o = 0; o < s.c; o++)
                *to++ = inside ? from[o] : 0;
        }
    while (to < end)
        *to++ = 0;
}

static void fold_unit(void *context, size_t image, int thread)
{
    (void)thread;
    const struct fold *job = context;
    for (size_t y = 0; y < job->to.shape.h; y++)
        for (size_t x = 0; x < job->to.shape.w; x++)
            fold_pixel(job, image, y, x);
}

static void folded_weights(const struct den_exec *ex, struct den_conv_geom g,
                           const struct den_view *x, const struct den_view *dy,
                           den_real *dw)
{
    size_t ci = x->shape.c, co = dy->shape.c, taps = g.kh * g.kw;
    struct den_view input = {folded_input(g, x->shape), x->ld, x->halo - g.pad,
                             x->data - g.pad * (den_view_row(x) + x->ld)};
    struct den_shape s = folded_output(g, x->shape);
    struct fold job = {g, dy, {s, s.c, 0, ex->scratch}};
    den_real *sums = ex->scratch + den_shape_count(s);
    struct den_exec rest = *ex;
    rest.scratch = sums + ci * s.c;
    den_pool_run(den_shape_count(s) < DEN_CPU_ALONE ? NULL : ex->pool, s.n, fold_unit,
                 &job);
    memset(sums, 0, ci * s.c * sizeof *sums);
    direct_weights(&rest, one_tap, &input, &job.to, sums);
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t c = 0; c < ci; c++)
            for (size_t o = 0; o < co; o++)
                dw[(tap * ci + c) * co + o] += sums[c * s.c + tap * co + o];
}

size_t den_cpu_direct_weights_scratch(struct den_conv_geom g, struct den_shape x,
                                      struct den_shape y)
{
    if (!folds(g, y))
        return direct_scratch(g, x, y);
    struct den_shape s = folded_output(g, x);
    return den_shape_count(s) + x.c * s.c +
           direct_scratch(one_tap, folded_input(g, x), s);
}

void den_cpu_direct_weights(const struct den_exec *ex, struct den_conv_geom g,
                            const struct den_view *x, const struct den_view *dy,
                            den_real *dw)
{
    if (folds(g, dy->shape))
        folded_weights(ex, g, x, dy, dw);
    else
        direct_weights(ex, g, x, dy, dw);
}
