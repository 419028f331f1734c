#include "infer.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "mem.h"
#include "tile.h"

/* Pixels of a tile, unless a side is given: a net of 64 channels takes 430 MB for it.
 * And pixels a side that neighbours share. */
enum { TILE_PIXELS = 3 << 19, OVERLAP = 32 };

enum { BAND = 64 }; /* rows that a thread takes at a time, of a tile or of a page */

struct den_infer {
    struct den_model *model; /* borrowed, as is the pool */
    struct den_pool *pool;
    struct den_graph *graph;
    den_node input;
    struct den_axis x, y;
    size_t batch;
    struct den_norm norm; /* of the page at hand, */
    bool norm_set;        /* or of all to come */
    float *tiles;         /* [batch][y.tile][x.tile], network values in */
    float *result;        /* the same, out */
};

/* Options with the defaults filled in. */
static bool settle_options(const struct den_infer_options *given,
                           struct den_infer_options *ret, struct den_err *err)
{
    struct den_infer_options o = {0};
    if (given != NULL)
        o = *given;
    o.overlap = o.overlap == 0 ? OVERLAP : o.overlap;
    o.batch = o.batch == 0 ? 1 : o.batch;
    if (o.tile > DEN_INFER_TILE_MAX)
        return den_err_field(err, DEN_E_INVALID, "tile",
                             "a tile of %zu pixels a side is not from 1 to %d", o.tile,
                             DEN_INFER_TILE_MAX);
    if (o.overlap > DEN_INFER_TILE_MAX / 2)
        return den_err_field(err, DEN_E_INVALID, "overlap",
                             "an overlap of %zu pixels is not from 1 to %d", o.overlap,
                             DEN_INFER_TILE_MAX / 2);
    if (o.batch > DEN_INFER_BATCH_MAX)
        return den_err_field(err, DEN_E_INVALID, "batch",
                             "a batch of %zu tiles is not from 1 to %d", o.batch,
                             DEN_INFER_BATCH_MAX);
    *ret = o;
    return true;
}

static bool check_channels(const struct den_net_options *options, struct den_err *err)
{
    if (options->channels_in == 1 && options->channels_out == 1)
        return true;
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "the model takes %zu channels and gives %zu; only models from one "
                       "grey channel to one can denoise an image",
                       options->channels_in, options->channels_out);
}

/* Bytes of all buffers must fit a size_t with room to spare. */
static bool check_size(size_t width, size_t height, struct den_err *err)
{
    if (width > 0 && height > 0 && width < SIZE_MAX / 64 / height)
        return true;
    return den_err_set(err, DEN_E_INVALID, "an image of %zu x %zu cannot be denoised",
                       width, height);
}

/* ---- set up ---- */

/* The graph is made for one tile size and keeps its buffers from page to page. */
static bool build_graph(struct den_infer *infer, struct den_pool *pool,
                        struct den_err *err)
{
    const struct den_model *model = infer->model;
    struct den_shape in = {infer->batch, infer->y.tile, infer->x.tile, 1};
    if (!den_model_complete(infer->model, err) ||
        !den_graph_new(model->params, pool, &infer->graph, err))
        return false;
    infer->model->taken = model->file != NULL;
    den_graph_set_take_weights(infer->graph, infer->model->taken);
    infer->input = den_input(infer->graph, in);
    den_node output =
        den_net_build(model->net, infer->graph, infer->input, &model->options);
    if (!den_graph_finish(infer->graph, output, DEN_FOR_INFERENCE, err))
        return false;
    struct den_shape out = den_graph_shape(infer->graph, output);
    if (out.n == in.n && out.h == in.h && out.w == in.w && out.c == 1)
        return true;
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "the net '%s' of the model does not make an image from an image: "
                       "%zu x %zu pixels become %zu x %zu",
                       model->net->name, in.w, in.h, out.w, out.h);
}

/* Without the weights. */
static void lay_out(size_t width, size_t height, const struct den_infer_options *o,
                    size_t multiple, struct den_axis *ret_x, struct den_axis *ret_y)
{
    if (o->tile == 0) {
        den_tile_plan(width, height, TILE_PIXELS, o->overlap, multiple, ret_x, ret_y);
    } else {
        *ret_x = den_axis_plan(width, o->tile, o->overlap, multiple);
        *ret_y = den_axis_plan(height, o->tile, o->overlap, multiple);
    }
}

static bool set_up(struct den_infer *infer, struct den_pool *pool, size_t width,
                   size_t height, const struct den_infer_options *o, struct den_err *err)
{
    size_t multiple = infer->model->net->multiple_of(&infer->model->options);
    lay_out(width, height, o, multiple, &infer->x, &infer->y);
    if (!den_axis_weigh(&infer->x, err) || !den_axis_weigh(&infer->y, err))
        return false;
    size_t tiles = den_infer_tiles(infer), pixels = infer->x.tile * infer->y.tile;
    infer->batch = o->batch < tiles ? o->batch : tiles;
    if (!build_graph(infer, pool, err))
        return false;
    infer->tiles = den_new(infer->batch, pixels * sizeof *infer->tiles, err);
    infer->result = den_new(infer->batch, pixels * sizeof *infer->result, err);
    return infer->tiles != NULL && infer->result != NULL;
}

bool den_infer_new(struct den_model *model, struct den_pool *pool, size_t width,
                   size_t height, const struct den_infer_options *options,
                   struct den_infer **ret, struct den_err *err)
{
    struct den_infer_options o = {0};
    if (!settle_options(options, &o, err) || !check_size(width, height, err) ||
        !check_channels(&model->options, err))
        return false;
    struct den_infer *infer = den_new(1, sizeof *infer, err);
    if (infer == NULL)
        return false;
    infer->model = model;
    infer->pool = pool;
    if (!set_up(infer, pool, width, height, &o, err)) {
        den_infer_free(infer);
        return false;
    }
    *ret = infer;
    return true;
}

void den_infer_free(struct den_infer *infer)
{
    if (infer == NULL)
        return;
    den_graph_free(infer->graph);
    den_axis_release(&infer->x);
    den_axis_release(&infer->y);
    den_free(infer->tiles);
    den_free(infer->result);
    den_free(infer);
}

size_t den_infer_tiles(const struct den_infer *infer)
{
    return infer->x.tiles * infer->y.tiles;
}

void den_infer_set_norm(struct den_infer *infer, const struct den_norm *norm)
{
    infer->norm_set = norm != NULL;
    if (norm != NULL)
        infer->norm = *norm;
}

/* ---- a page ---- */

/* What the threads of the pool do on the way into the net and out of it, in bands of
 * rows: each pixel is written by one of them, so their number changes nothing. */
struct page {
    struct den_infer *infer;
    const float *noisy;
    float *denoised;
    size_t from; /* tile */
    atomic_bool bad;
};

static size_t bands_of(size_t rows)
{
    return (rows + BAND - 1) / BAND;
}

/* Rows of band `band` of `rows`: *ret_from to the row before *ret_to. */
static void band_rows(size_t rows, size_t band, size_t *ret_from, size_t *ret_to)
{
    *ret_from = band * BAND;
    *ret_to = rows - *ret_from < BAND ? rows : *ret_from + BAND;
}

static void cut_band(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct page *page = context;
    const struct den_infer *infer = page->infer;
    size_t bands = bands_of(infer->y.tile), i = unit / bands, tile = page->from + i;
    size_t from, to;
    band_rows(infer->y.tile, unit % bands, &from, &to);
    den_tile_cut_rows(&infer->x, &infer->y, tile % infer->x.tiles, tile / infer->x.tiles,
                      page->noisy, infer->norm.shift, infer->norm.scale, from, to,
                      infer->tiles + i * infer->x.tile * infer->y.tile);
}

/* One tile at a time: they overlap. */
struct blend {
    struct page *page;
    size_t tile;
    const float *result;
};

static void blend_band(void *context, size_t band, int thread)
{
    (void)thread;
    const struct blend *blend = context;
    const struct den_infer *infer = blend->page->infer;
    size_t from, to;
    band_rows(infer->y.tile, band, &from, &to);
    den_tile_blend_rows(&infer->x, &infer->y, blend->tile % infer->x.tiles,
                        blend->tile / infer->x.tiles, blend->result, from, to,
                        blend->page->denoised);
}

/* Tiles page->from..page->from + count - 1, row by row.  A last batch may be short: what
 * an earlier one left in its other places is computed and thrown away. */
static void run_batch(struct page *page, size_t count)
{
    struct den_infer *infer = page->infer;
    den_pool_run(infer->pool, count * bands_of(infer->y.tile), cut_band, page);
    den_graph_set_input(infer->graph, infer->input, infer->tiles);
    den_graph_forward(infer->graph, false, 0);
    den_graph_get_output(infer->graph, infer->result);
}

static void add_tile(struct page *page, size_t i)
{
    struct den_infer *infer = page->infer;
    struct blend blend = {page, page->from + i,
                          infer->result + i * infer->x.tile * infer->y.tile};
    den_pool_run(infer->pool, bands_of(infer->y.tile), blend_band, &blend);
}

static bool go_on(enum den_verdict verdict, struct den_err *err)
{
    if (verdict == DEN_CANCEL)
        return den_err_set(err, DEN_E_CANCELLED, "the work was cancelled");
    if (verdict == DEN_SUSPEND)
        return den_err_set(err, DEN_E_DRAINING,
                           "the work was stopped because the program ends");
    return true;
}

/* Back to grey values. */
static void finish_band(void *context, size_t band, int thread)
{
    (void)thread;
    struct page *page = context;
    const struct den_infer *infer = page->infer;
    const double scale = infer->norm.scale, shift = infer->norm.shift;
    size_t from, to;
    unsigned bad = 0;
    band_rows(infer->y.size, band, &from, &to);
    for (size_t i = from * infer->x.size; i < to * infer->x.size; i++) {
        float value = (float)((double)page->denoised[i] * scale + shift);
        bad |= !(fabsf(value) <= FLT_MAX); /* no early exit: a loop of vectors */
        page->denoised[i] = value;
    }
    if (bad != 0)
        atomic_store(&page->bad, true);
}

/* A weight or pixel far out of range shows here. */
static bool finish_page(struct page *page, struct den_err *err)
{
    const struct den_infer *infer = page->infer;
    den_pool_run(infer->pool, bands_of(infer->y.size), finish_band, page);
    if (!atomic_load(&page->bad))
        return true;
    size_t i = 0;
    while (isfinite(page->denoised[i]))
        i++;
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "the model gives a value that is not a finite number at x = %zu, "
                       "y = %zu of this image",
                       i % infer->x.size, i / infer->x.size);
}

/* The page is summed up in `denoised` itself, in network values: their rounding errors
 * are those of numbers about 1, whatever the offset of the camera. */
bool den_infer_page(struct den_infer *infer, const float *noisy, float *denoised,
                    const struct den_progress *progress, size_t first, size_t total,
                    struct den_err *err)
{
    size_t tiles = den_infer_tiles(infer), step = infer->batch;
    struct page page = {.infer = infer, .noisy = noisy, .denoised = denoised};
    if (!infer->norm_set &&
        !den_norm_of_image(&infer->model->norm, noisy, infer->x.size * infer->y.size,
                           &infer->norm, err))
        return false;
    memset(denoised, 0, infer->x.size * infer->y.size * sizeof *denoised);
    for (; page.from < tiles; page.from += step) {
        size_t count = tiles - page.from < step ? tiles - page.from : step;
        run_batch(&page, count);
        for (size_t i = 0; i < count; i++) {
            add_tile(&page, i);
            if (!go_on(den_tick(progress, first + page.from + i + 1, total), err))
                return false;
        }
    }
    return finish_page(&page, err);
}

/* ---- admission ---- */

/* Two pages, the tiles on their way in and out, the weights of both axes and the sums
 * they are made from. */
static size_t buffer_bytes(const struct den_axis *x, const struct den_axis *y,
                           size_t batch)
{
    size_t pages = 2 * x->size * y->size, tiles = 2 * batch * x->tile * y->tile;
    size_t weights = x->tiles * x->tile + y->tiles * y->tile;
    size_t longer = x->size > y->size ? x->size + x->tile : y->size + y->tile;
    return (pages + tiles + weights) * sizeof(float) + longer * sizeof(double);
}

/* What den_infer_new and den_infer_page would do, with the layout of tiles and the graph
 * planned but nothing allocated. */
bool den_infer_bytes(const struct den_net *net, const struct den_net_options *net_options,
                     size_t width, size_t height, const struct den_infer_options *options,
                     size_t *ret_bytes, size_t *ret_tiles, struct den_err *err)
{
    const size_t small_things = 64 << 10; /* nodes, names and blocks of the graph */
    struct den_infer_options o = {0};
    if (!settle_options(options, &o, err) || !check_size(width, height, err) ||
        !check_channels(net_options, err) || !net->check(net_options, err))
        return false;
    size_t multiple = net->multiple_of(net_options);
    struct den_axis x, y;
    lay_out(width, height, &o, multiple, &x, &y);
    size_t tiles = x.tiles * y.tiles, batch = o.batch < tiles ? o.batch : tiles;
    size_t net_bytes;
    if (!den_model_plan_use(net, net_options, batch, y.tile, x.tile, o.threads,
                            &net_bytes, err))
        return false;
    *ret_bytes = net_bytes + buffer_bytes(&x, &y, batch) + small_things;
    *ret_tiles = tiles;
    return true;
}
