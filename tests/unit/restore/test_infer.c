#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "border.h"
#include "den_check.h"
#include "infer.h"
#include "mem.h"
#include "vectors.h"

/* ---- nets whose result is known ---- */

static size_t multiple_of_8(const struct den_net_options *options)
{
    (void)options;
    return 8;
}

static bool any_options(const struct den_net_options *options, struct den_err *err)
{
    (void)options, (void)err;
    return true;
}

static den_node build_window(struct den_graph *g, den_node x,
                             const struct den_net_options *options)
{
    size_t side = options->width; /* odd */
    return den_conv(g, "window", x, 1, side, 1, side / 2, false);
}

static den_node build_half(struct den_graph *g, den_node x,
                           const struct den_net_options *options)
{
    (void)options;
    return den_conv(g, "window", x, 1, 2, 2, 0, false);
}

/* One convolution of `width` x `width` weights, zeros beyond the border. */
static const struct den_net net_window = {
    .name = "window",
    .doc = "",
    .multiple_of = multiple_of_8,
    .check = any_options,
    .build = build_window,
};
static const struct den_net net_half = {
    .name = "half",
    .doc = "",
    .multiple_of = multiple_of_8,
    .check = any_options,
    .build = build_half,
};

static struct den_model *make_model(const struct den_net *net,
                                    struct den_net_options options, double shift,
                                    double scale)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = NULL;
    struct den_norm norm = {"mean_std", shift, scale};
    options.channels_in = options.channels_out = 1;
    must(den_model_new(den_backends[0], net, &options, &norm, &model, &err));
    return model;
}

/* weights [side][side] */
static struct den_model *window_model(size_t side, const float *weights, double shift,
                                      double scale)
{
    struct den_net_options options = {.width = side, .depth = 1};
    struct den_model *model = make_model(&net_window, options, shift, scale);
    den_param_write(model->params, den_params_find(model->params, "window.weight"),
                    weights);
    return model;
}

/* A small U-Net with the running statistics of a few forward passes. */
static struct den_model *unet_model(size_t width, bool tanh_output)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_net_options options = {
        .width = width, .depth = 5, .tanh_output = tanh_output};
    struct den_model *model = make_model(&den_net_unet, options, 100, 25);
    den_params_init(model->params, 1);
    must(den_params_train(model->params, &err));
    struct den_graph *g = NULL;
    must(den_graph_new(model->params, NULL, &g, &err));
    den_node x = den_input(g, (struct den_shape){4, 64, 64, 1});
    den_node y = model->net->build(g, x, &model->options);
    must(den_graph_finish(g, y, DEN_FOR_TRAINING, &err));
    float *batch = den_calloc(4 * 64 * 64, sizeof *batch);
    struct lcg random = {9};
    for (int i = 0; i < 30; i++) {
        lcg_fill(&random, batch, 4 * 64 * 64, 1.5);
        den_graph_set_input(g, x, batch);
        den_graph_forward(g, true, 0);
    }
    den_free(batch);
    den_graph_free(g);
    return model;
}

/* Smooth structure and noise, about 100 +- 50. */
static float *make_image(size_t width, size_t height, uint32_t seed)
{
    struct lcg g = {seed};
    float *image = den_calloc(width * height, sizeof *image);
    for (size_t i = 0; i < width * height; i++) {
        double x = (double)(i % width), y = (double)(i / width);
        image[i] = (float)(100 + 20 * sin(x / 17) * cos(y / 11) + 15 * sin((x + y) / 40) +
                           30 * (lcg_u(&g) - 0.5));
    }
    return image;
}

static size_t run(struct den_model *model, size_t width, size_t height,
                  struct den_infer_options options, const float *in, float *out)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_infer *infer = NULL;
    must(den_infer_new(model, NULL, width, height, &options, &infer, &err));
    must(den_infer_page(infer, in, out, NULL, 0, den_infer_tiles(infer), &err));
    size_t tiles = den_infer_tiles(infer);
    den_infer_free(infer);
    return tiles;
}

/* ---- results ---- */

static const struct {
    size_t width, height, tile, overlap, batch;
} layouts[] = {
    {64, 64, 64, 0, 1},   {1, 1, 64, 0, 1},      {7, 3, 512, 0, 1},
    {200, 120, 64, 8, 1}, {120, 200, 64, 8, 4},  {201, 333, 96, 40, 3},
    {333, 90, 64, 33, 7}, {513, 511, 512, 0, 2},
};
enum { LAYOUTS = sizeof layouts / sizeof *layouts };

START_TEST(a_net_that_changes_nothing_gives_the_image_back)
{
    const float one = 1;
    struct den_model *model = window_model(1, &one, 100, 25);
    for (size_t i = 0; i < LAYOUTS; i++) {
        size_t n = layouts[i].width * layouts[i].height;
        float *in = make_image(layouts[i].width, layouts[i].height, 3);
        float *out = den_calloc(n, sizeof *out);
        struct den_infer_options options = {layouts[i].tile, layouts[i].overlap,
                                            layouts[i].batch, 0};
        run(model, layouts[i].width, layouts[i].height, options, in, out);
        for (size_t k = 0; k < n; k++)
            ck_assert_msg(fabsf(out[k] - in[k]) < 2e-5f, "layout %zu: %g for %g at %zu",
                          i, (double)out[k], (double)in[k], k);
        den_free(in);
        den_free(out);
    }
    den_model_free(model);
}
END_TEST

/* The same convolution by hand on the whole padded image; normalisation is undone. */
static double window_at(const float *in, size_t width, size_t height,
                        const float *weights, ptrdiff_t x, ptrdiff_t y, double shift)
{
    double sum = 0;
    for (ptrdiff_t k = 0; k < 9; k++) {
        ptrdiff_t u = x + k % 3 - 1, v = y + k / 3 - 1;
        ptrdiff_t right = (ptrdiff_t)(width + 7) / 8 * 8;
        ptrdiff_t bottom = (ptrdiff_t)(height + 7) / 8 * 8;
        if (u < 0 || v < 0 || u >= right || v >= bottom)
            continue; /* the net's own padding: network value 0 */
        size_t row = den_border_mirror(v, height), column = den_border_mirror(u, width);
        sum += (double)weights[k] * ((double)in[row * width + column] - shift);
    }
    return sum + shift;
}

START_TEST(one_tile_is_the_net_on_the_mirrored_image)
{
    static const float weights[9] = {0.5f, -1, 2, 0.25f, 1, -0.5f, 3, 0.75f, -2};
    static const size_t sides[][2] = {{5, 4}, {1, 6}, {16, 24}, {30, 9}, {2, 1}};
    struct den_model *model = window_model(3, weights, 90, 12);
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        size_t width = sides[i][0], height = sides[i][1];
        float *in = make_image(width, height, 4), *out = den_calloc(width * height, 4);
        ck_assert_uint_eq(
            run(model, width, height, (struct den_infer_options){0}, in, out), 1);
        for (size_t k = 0; k < width * height; k++)
            close_to((double)out[k],
                     window_at(in, width, height, weights, (ptrdiff_t)(k % width),
                               (ptrdiff_t)(k / width), 90),
                     1e-5);
        den_free(in);
        den_free(out);
    }
    den_model_free(model);
}
END_TEST

START_TEST(beyond_the_reach_of_the_net_tiles_do_not_show)
{
    /* A 3 x 3 window errs only in the outermost pixels of a tile, whose weight is small;
     * everywhere else the tiled result is that of one tile. */
    static const float weights[9] = {0.5f, -1, 2, 0.25f, 1, -0.5f, 3, 0.75f, -2};
    enum { WIDTH = 250, HEIGHT = 170 };
    struct den_model *model = window_model(3, weights, 90, 12);
    float *in = make_image(WIDTH, HEIGHT, 5), *whole = den_calloc(WIDTH * HEIGHT, 4);
    float *tiled = den_calloc(WIDTH * HEIGHT, 4);
    ck_assert_uint_eq(run(model, WIDTH, HEIGHT, (struct den_infer_options){0}, in, whole),
                      1);
    size_t tiles =
        run(model, WIDTH, HEIGHT, (struct den_infer_options){96, 32, 2, 0}, in, tiled);
    ck_assert_uint_eq(tiles, 4 * 3);
    size_t same = 0;
    for (size_t k = 0; k < WIDTH * HEIGHT; k++) {
        float gap = fabsf(whole[k] - tiled[k]);
        same += gap < 1e-3f;
        ck_assert_msg(gap < 1.5f, "%g at %zu", (double)gap, k);
    }
    /* 3 + 3 seam lines of two pixels across, 2 + 2 down */
    ck_assert_uint_ge(same, (WIDTH - 6) * (HEIGHT - 4));
    den_free(in);
    den_free(whole);
    den_free(tiled);
    den_model_free(model);
}
END_TEST

/* Root mean square of a - b. */
static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / (double)n);
}

/* The left and right half denoised apart and put side by side. */
static void run_halves(struct den_model *model, size_t side, const float *in, float *out)
{
    size_t half = side / 2;
    float *part = den_calloc(side * half, sizeof *part);
    float *done = den_calloc(side * half, sizeof *done);
    for (size_t at = 0; at < side; at += half) {
        for (size_t y = 0; y < side; y++)
            memcpy(part + y * half, in + y * side + at, half * sizeof *part);
        run(model, half, side, (struct den_infer_options){0}, part, done);
        for (size_t y = 0; y < side; y++)
            memcpy(out + y * side + at, done + y * half, half * sizeof *part);
    }
    den_free(part);
    den_free(done);
}

/* Mean absolute second difference across the column, as a seam would raise it. */
static double roughness(const float *image, size_t side, size_t column)
{
    double sum = 0;
    for (size_t y = 0; y < side; y++) {
        const float *at = image + y * side + column;
        sum += fabs((double)at[1] - (double)at[0] - ((double)at[0] - (double)at[-1]));
    }
    return sum / (double)side;
}

START_TEST(a_u_net_shows_no_seams)
{
    enum { SIDE = 320 };
    struct den_model *model = unet_model(8, false);
    float *in = make_image(SIDE, SIDE, 6), *whole = den_calloc(SIDE * SIDE, 4);
    float *tiled = den_calloc(SIDE * SIDE, 4), *halves = den_calloc(SIDE * SIDE, 4);
    run(model, SIDE, SIDE, (struct den_infer_options){0}, in, whole);
    size_t tiles =
        run(model, SIDE, SIDE, (struct den_infer_options){.tile = 192}, in, tiled);
    ck_assert_uint_eq(tiles, 2 * 2); /* from 0 and 128: 64 pixels shared */
    run_halves(model, SIDE, in, halves);
    double feathered = distance(whole, tiled, SIDE * SIDE);
    double hard = distance(whole, halves, SIDE * SIDE);
    float least = whole[0], most = whole[0];
    for (size_t k = 0; k < SIDE * SIDE; k++) {
        least = whole[k] < least ? whole[k] : least;
        most = whole[k] > most ? whole[k] : most;
    }
    ck_assert_msg(feathered < 0.005 * ((double)most - (double)least), "%g", feathered);
    ck_assert_msg(feathered < hard / 4, "%g against %g", feathered, hard);
    for (size_t c = 100; c < 220; c++)
        close_to(roughness(tiled, SIDE, c) / roughness(whole, SIDE, c), 1, 0.05);
    double seam = roughness(halves, SIDE, 160) / roughness(whole, SIDE, 160);
    ck_assert_msg(fabs(seam - 1) > 0.2, "the measure does not see a seam: %g", seam);
    den_free(in);
    den_free(whole);
    den_free(tiled);
    den_free(halves);
    den_model_free(model);
}
END_TEST

START_TEST(batches_and_threads_change_rounding_only)
{
    enum { WIDTH = 200, HEIGHT = 150 };
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = unet_model(4, true);
    float *in = make_image(WIDTH, HEIGHT, 7), *want = den_calloc(WIDTH * HEIGHT, 4);
    float *out = den_calloc(WIDTH * HEIGHT, 4), *again = den_calloc(WIDTH * HEIGHT, 4);
    run(model, WIDTH, HEIGHT, (struct den_infer_options){.tile = 96}, in, want);
    run(model, WIDTH, HEIGHT, (struct den_infer_options){.tile = 96, .batch = 5}, in,
        out);
    ck_assert(distance(want, out, WIDTH * HEIGHT) < 1e-4);

    struct den_pool *pool = NULL;
    struct den_infer *infer = NULL;
    must(den_pool_new(2, &pool, &err));
    must(den_infer_new(model, pool, WIDTH, HEIGHT,
                       &(struct den_infer_options){.tile = 96}, &infer, &err));
    must(den_infer_page(infer, in, out, NULL, 0, 1, &err));
    ck_assert(distance(want, out, WIDTH * HEIGHT) < 1e-4);
    must(den_infer_page(infer, in, again, NULL, 0, 1, &err));
    ck_assert(memcmp(out, again, WIDTH * HEIGHT * sizeof *out) == 0);
    den_infer_free(infer);
    den_pool_free(pool);
    den_free(in);
    den_free(want);
    den_free(out);
    den_free(again);
    den_model_free(model);
}
END_TEST

/* ---- normalisation by the image ---- */

START_TEST(the_pages_of_a_series_are_normalised_by_one_pair)
{
    enum { WIDTH = 96, HEIGHT = 64, N = WIDTH * HEIGHT };
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = unet_model(4, true);
    struct den_norm_span span = {.any = false};
    struct den_infer *infer = NULL;
    float *pages[2] = {make_image(WIDTH, HEIGHT, 7), make_image(WIDTH, HEIGHT, 8)};
    float *want = den_calloc(N, 4), *out = den_calloc(N, 4);
    pages[0][3] = -40; /* one extreme on each page */
    pages[1][5] = 210;
    for (size_t i = 0; i < 2; i++)
        must(den_norm_see(&span, pages[i], N, &err));
    model->norm = (struct den_norm){"batch_joint", 1e5, 7};
    const struct den_norm norm = den_norm_of_span(&model->norm, &span);
    ck_assert(den_norm_by_image(&model->norm));
    ck_assert(norm.shift == 85 && norm.scale == 125);
    must(den_infer_new(model, NULL, WIDTH, HEIGHT, NULL, &infer, &err));
    for (size_t i = 0; i < 2; i++) {
        den_infer_set_norm(infer, &norm);
        must(den_infer_page(infer, pages[i], out, NULL, 0, 1, &err));
        model->norm = (struct den_norm){"min_max", 85, 125};
        run(model, WIDTH, HEIGHT, (struct den_infer_options){0}, pages[i], want);
        ck_assert_mem_eq(out, want, N * sizeof *out);
        model->norm = (struct den_norm){"batch_joint", 1e5, 7};
        den_infer_set_norm(infer, NULL); /* by itself again */
        must(den_infer_page(infer, pages[i], out, NULL, 0, 1, &err));
        ck_assert(memcmp(out, want, N * sizeof *out) != 0);
    }
    model->norm = (struct den_norm){"mean_std", 3, 4};
    ck_assert(!den_norm_by_image(&model->norm));
    ck_assert(den_norm_of_span(&model->norm, &span).shift == 3);
    pages[1][5] = INFINITY;
    must_fail(den_norm_see(&span, pages[1], N, &err), DEN_E_UNPROCESSABLE, "finite");
    ck_assert(span.high == 210);
    den_infer_free(infer);
    den_free(pages[0]);
    den_free(pages[1]);
    den_free(want);
    den_free(out);
    den_model_free(model);
}
END_TEST

START_TEST(a_batch_joint_model_goes_by_the_extremes_of_the_whole_image)
{
    enum { WIDTH = 200, HEIGHT = 150, N = WIDTH * HEIGHT };
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = unet_model(4, true);
    const struct den_infer_options tiled = {.tile = 96};
    float *in = make_image(WIDTH, HEIGHT, 7), *want = den_calloc(N, 4);
    float *out = den_calloc(N, 4);
    in[0] = -40;     /* the extremes lie in opposite corners: */
    in[N - 1] = 210; /* no tile but the whole image knows both */
    model->norm = (struct den_norm){"min_max", 85, 125};
    ck_assert_uint_gt(run(model, WIDTH, HEIGHT, tiled, in, want), 1);
    model->norm = (struct den_norm){"batch_joint", 1e5, 7}; /* of other images */
    run(model, WIDTH, HEIGHT, tiled, in, out);
    ck_assert_mem_eq(out, want, N * sizeof *out);

    /* The next page of the same stack has its own. */
    struct den_infer *infer = NULL;
    must(den_infer_new(model, NULL, WIDTH, HEIGHT, &tiled, &infer, &err));
    for (size_t i = 0; i < N; i++)
        in[i] = 4 * in[i];
    must(den_infer_page(infer, in, out, NULL, 0, 1, &err));
    for (size_t i = 0; i < N; i++) {
        in[i] /= 4; /* exactly */
        ck_assert(out[i] == 4 * want[i]);
    }
    must(den_infer_page(infer, in, out, NULL, 0, 1, &err));
    ck_assert_mem_eq(out, want, N * sizeof *out);
    in[7] = (float)NAN;
    must_fail(den_infer_page(infer, in, out, NULL, 0, 1, &err), DEN_E_UNPROCESSABLE,
              "a pixel that is not a finite number");
    den_infer_free(infer);
    den_free(in);
    den_free(want);
    den_free(out);
    den_model_free(model);
}
END_TEST

START_TEST(gain_and_offset_pass_through_a_batch_joint_model)
{
    enum { WIDTH = 130, HEIGHT = 70, N = WIDTH * HEIGHT };
    static const struct {
        double gain, offset;
    } rows[] = {{3, 0}, {0.013, 100}, {1, -5000}, {257, 32768}};
    struct den_model *model = unet_model(4, true);
    const struct den_infer_options tiled = {.tile = 64};
    float *in = make_image(WIDTH, HEIGHT, 8), *out = den_calloc(N, 4);
    float *other = den_calloc(N, 4), *moved = den_calloc(N, 4);
    model->norm.kind = "batch_joint";
    run(model, WIDTH, HEIGHT, tiled, in, out);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        double most = 0, largest = fabs(rows[r].offset) + 150 * rows[r].gain;
        for (size_t i = 0; i < N; i++)
            moved[i] = (float)(rows[r].gain * (double)in[i] + rows[r].offset);
        run(model, WIDTH, HEIGHT, tiled, moved, other);
        for (size_t i = 0; i < N; i++)
            most = fmax(most, fabs((double)other[i] -
                                   (rows[r].gain * (double)out[i] + rows[r].offset)));
        ck_assert_msg(most < 2e-6 * largest + 1e-5 * rows[r].gain * 100, "%zu: %g", r,
                      most);
    }
    /* A constant image has no extremes to go by and yet a result. */
    for (size_t i = 0; i < N; i++)
        moved[i] = 77;
    run(model, WIDTH, HEIGHT, tiled, moved, other);
    ck_assert(isfinite(other[0]) && fabs((double)other[0] - 77) <= 1);
    model->norm.kind = "mean_std"; /* the others do not do that */
    for (size_t i = 0; i < N; i++)
        moved[i] = in[i] + 300;
    run(model, WIDTH, HEIGHT, tiled, moved, other);
    run(model, WIDTH, HEIGHT, tiled, in, out);
    ck_assert(fabs((double)other[N / 2] - (double)out[N / 2] - 300) > 1);
    den_free(in);
    den_free(out);
    den_free(other);
    den_free(moved);
    den_model_free(model);
}
END_TEST

/* ---- progress ---- */

struct watch {
    size_t ticks, last, total;
    size_t stop_at; /* tick that answers `verdict`, 0 = none */
    enum den_verdict verdict;
};

static enum den_verdict see(void *context, size_t done, size_t total)
{
    struct watch *watch = context;
    ck_assert_uint_eq(done, watch->last + 1);
    watch->last = done;
    watch->total = total;
    watch->ticks++;
    return watch->ticks == watch->stop_at ? watch->verdict : DEN_GO_ON;
}

START_TEST(every_tile_ticks_and_may_stop_the_work)
{
    struct den_err err = DEN_ERR_INIT;
    const float one = 1;
    struct den_model *model = window_model(1, &one, 0, 1);
    struct den_infer *infer = NULL;
    float *in = make_image(100, 100, 8), *out = den_calloc(100 * 100, 4);
    must(den_infer_new(model, NULL, 100, 100,
                       &(struct den_infer_options){.tile = 64, .batch = 3}, &infer,
                       &err));
    ck_assert_uint_eq(den_infer_tiles(infer), 9);
    struct watch watch = {.last = 9};
    struct den_progress progress = {see, &watch};
    must(den_infer_page(infer, in, out, &progress, 9, 27, &err));
    ck_assert(watch.ticks == 9 && watch.last == 18 && watch.total == 27);

    watch = (struct watch){.stop_at = 5, .verdict = DEN_CANCEL};
    must_fail(den_infer_page(infer, in, out, &progress, 0, 9, &err), DEN_E_CANCELLED,
              "cancelled");
    ck_assert_uint_eq(watch.ticks, 5);
    watch = (struct watch){.stop_at = 1, .verdict = DEN_SUSPEND};
    must_fail(den_infer_page(infer, in, out, &progress, 0, 9, &err), DEN_E_DRAINING,
              "program ends");
    watch = (struct watch){0};
    must(den_infer_page(infer, in, out, &progress, 0, 9, &err)); /* usable afterwards */
    close_to((double)out[5050], (double)in[5050], 1e-6);
    den_infer_free(infer);
    den_free(in);
    den_free(out);
    den_model_free(model);
}
END_TEST

/* ---- refusals ---- */

START_TEST(what_cannot_be_denoised_is_refused_with_a_sentence)
{
    struct den_err err = DEN_ERR_INIT;
    const float one = 1;
    struct den_infer *infer = NULL;
    struct den_model *model = window_model(1, &one, 0, 1);
    static const struct {
        struct den_infer_options options;
        const char *words;
    } rows[] = {{{.tile = 8193}, "a tile of 8193 pixels a side is not from 1 to 8192"},
                {{.overlap = 5000}, "an overlap of 5000 pixels is not from 1 to 4096"},
                {{.batch = 257}, "a batch of 257 tiles is not from 1 to 256"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t bytes, tiles;
        must_fail(den_infer_new(model, NULL, 64, 64, &rows[i].options, &infer, &err),
                  DEN_E_INVALID, rows[i].words);
        must_fail(den_infer_bytes(&net_window, &model->options, 64, 64, &rows[i].options,
                                  &bytes, &tiles, &err),
                  DEN_E_INVALID, rows[i].words);
    }
    must_fail(den_infer_new(model, NULL, 0, 64, NULL, &infer, &err), DEN_E_INVALID,
              "0 x 64");
    must_fail(den_infer_new(model, NULL, SIZE_MAX / 8, 64, NULL, &infer, &err),
              DEN_E_INVALID, "cannot be denoised");
    model->options.channels_in = 2;
    must_fail(den_infer_new(model, NULL, 64, 64, NULL, &infer, &err), DEN_E_UNPROCESSABLE,
              "takes 2 channels and gives 1");
    den_model_free(model);
    model = make_model(&net_half, (struct den_net_options){.width = 1, .depth = 1}, 0, 1);
    must_fail(den_infer_new(model, NULL, 64, 48, NULL, &infer, &err), DEN_E_UNPROCESSABLE,
              "64 x 48 pixels become 32 x 24");
    ck_assert_ptr_null(infer);
    den_model_free(model);
}
END_TEST

START_TEST(values_that_leave_the_finite_numbers_are_refused)
{
    struct den_err err = DEN_ERR_INIT;
    const float huge = 3e38f;
    struct den_model *model = window_model(1, &huge, 0, 1);
    struct den_infer *infer = NULL;
    float in[16] = {0, 0, 0, 0, 0, 0, 100}, out[16];
    must(den_infer_new(model, NULL, 4, 4, NULL, &infer, &err));
    must_fail(den_infer_page(infer, in, out, NULL, 0, 1, &err), DEN_E_UNPROCESSABLE,
              "not a finite number at x = 2, y = 1");
    den_infer_free(infer);
    den_model_free(model);
}
END_TEST

/* ---- memory ---- */

/* A fresh net that has been to a file, which is gone when it comes back. */
static struct den_model *loaded_model(const struct den_net_options *options,
                                      const struct den_norm *norm)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = NULL, *back = NULL;
    char path[] = "/tmp/denoised-infer-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    must(den_model_new(den_backends[0], &den_net_unet, options, norm, &model, &err));
    den_params_init(model->params, 3);
    must(den_model_save(model, NULL, 0, path, &err));
    den_model_free(model);
    den_mem_reset_peak();
    must(den_model_load(den_backends[0], path, &back, &err));
    ck_assert_int_eq(unlink(path), 0);
    return back;
}

static const struct den_net_options small_unet = {
    .channels_in = 1, .channels_out = 1, .width = 16, .depth = 5};

static float *page_of(struct den_model *model, const float *noisy, size_t width,
                      size_t height)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_infer *infer = NULL;
    float *out = den_calloc(width * height, sizeof *out);
    must(den_infer_new(model, NULL, width, height, NULL, &infer, &err));
    must(den_infer_page(infer, noisy, out, NULL, 0, 1, &err));
    den_infer_free(infer);
    return out;
}

/* An infer takes the weights, so each further one has to get them from the file. */
START_TEST(a_loaded_model_serves_one_size_after_the_other)
{
    static const struct {
        size_t width, height;
    } sizes[] = {{64, 64}, {40, 90}, {64, 64}};
    enum { MOST = 64 * 90 };
    struct den_err err = DEN_ERR_INIT;
    const struct den_norm norm = {"mean_std", 0, 1};
    struct den_model *loaded = loaded_model(&small_unet, &norm), *fresh = NULL;
    must(den_model_new(den_backends[0], &den_net_unet, &small_unet, &norm, &fresh, &err));
    den_params_init(fresh->params, 3);
    static float noisy[MOST];
    for (size_t i = 0; i < MOST; i++)
        noisy[i] = (float)(i * 37 % 101) / 50;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t w = sizes[i].width, h = sizes[i].height;
        float *want = page_of(fresh, noisy, w, h), *got = page_of(loaded, noisy, w, h);
        ck_assert(memcmp(got, want, w * h * sizeof *got) == 0);
        ck_assert(loaded->taken && !fresh->taken);
        den_free(want);
        den_free(got);
    }
    must(den_model_complete(loaded, &err));
    for (size_t i = 0; i < den_params_size(fresh->params); i++) {
        const struct den_param *a = den_params_at(fresh->params, i),
                               *b = den_params_at(loaded->params, i);
        ck_assert(memcmp(a->value, b->value, a->count * sizeof *a->value) == 0);
    }
    den_model_free(loaded);
    den_model_free(fresh);
}
END_TEST

/* Without memory for the weights the model must not go on with zeros. */
START_TEST(a_model_whose_weights_do_not_come_back_is_not_used)
{
    const struct den_norm norm = {"mean_std", 0, 1};
    struct den_model *model = loaded_model(&small_unet, &norm);
    static float noisy[64 * 64];
    for (size_t i = 0; i < 64 * 64; i++)
        noisy[i] = (float)(i % 7);
    float *want = page_of(model, noisy, 64, 64);
    size_t failures = 0;
    for (size_t n = 1;; n++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_infer *infer = NULL;
        den_mem_fail_at(n);
        bool done = den_infer_new(model, NULL, 64, 64, NULL, &infer, &err);
        den_mem_fail_at(0);
        if (done) {
            den_infer_free(infer);
            break;
        }
        ck_assert_msg(err.code == DEN_E_NO_MEMORY, "%zu: %s", n, err.text);
        float *got = page_of(model, noisy, 64, 64);
        ck_assert(memcmp(got, want, sizeof noisy) == 0);
        den_free(got);
        failures++;
    }
    ck_assert_uint_ge(failures, 30);
    den_free(want);
    den_model_free(model);
}
END_TEST

START_TEST(the_bytes_told_beforehand_are_the_bytes_held)
{
    static const struct {
        size_t width, height;
        struct den_infer_options options;
    } rows[] = {{700, 600, {.tile = 256}},
                {300, 200, {0}},
                {513, 512, {.tile = 128, .batch = 4}},
                {2000, 1500, {.tile = 192, .threads = 2}},
                {20, 20, {.threads = 1}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_net_options net = small_unet;
        struct den_norm norm = {"mean_std", 0, 1};
        size_t n = rows[i].width * rows[i].height, bytes, tiles;
        size_t live = den_mem_live();
        must(den_infer_bytes(&den_net_unet, &net, rows[i].width, rows[i].height,
                             &rows[i].options, &bytes, &tiles, &err));
        ck_assert_uint_eq(den_mem_live(), live);
        struct den_pool *pool = NULL;
        if (rows[i].options.threads > 1)
            must(den_pool_new(rows[i].options.threads, &pool, &err));
        den_mem_reset_peak();
        live = den_mem_live();
        struct den_model *model = loaded_model(&net, &norm);
        struct den_infer *infer = NULL;
        float *in = den_calloc(n, sizeof *in), *out = den_calloc(n, sizeof *out);
        must(den_infer_new(model, pool, rows[i].width, rows[i].height, &rows[i].options,
                           &infer, &err));
        must(den_infer_page(infer, in, out, NULL, 0, 1, &err));
        size_t peak = den_mem_peak() - live;
        ck_assert_uint_eq(den_infer_tiles(infer), tiles);
        ck_assert_msg(bytes >= peak && (double)bytes <= 1.3 * (double)peak,
                      "row %zu: told %zu, held %zu", i, bytes, peak);
        den_infer_free(infer);
        den_free(in);
        den_free(out);
        den_model_free(model);
        ck_assert_uint_eq(den_mem_live(), live);
        den_pool_free(pool);
    }
}
END_TEST

START_TEST(the_net_of_the_paper_takes_less_than_twice_its_weights)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_net_options paper = {.channels_in = 1,
                                          .channels_out = 1,
                                          .width = 64,
                                          .depth = 7,
                                          .tanh_output = true};
    const struct den_infer_options options = {.threads = 2};
    size_t weights, bytes, tiles;
    must(den_model_bytes(&den_net_unet, &paper, &weights, &err));
    must(
        den_infer_bytes(&den_net_unet, &paper, 256, 256, &options, &bytes, &tiles, &err));
    printf("%.0f MB for %.0f MB of weights\n", (double)bytes / 1e6,
           (double)weights / 1e6);
    ck_assert_uint_lt(bytes, 2 * weights);
}
END_TEST

START_TEST(a_larger_image_needs_no_more_than_its_pages)
{
    struct den_err err = DEN_ERR_INIT;
    const float one = 1;
    struct den_model *model = window_model(1, &one, 0, 1);
    struct den_infer *small = NULL, *large = NULL;
    size_t live = den_mem_live();
    must(den_infer_new(model, NULL, 1024, 1536, NULL, &small, &err));
    size_t first = den_mem_live() - live;
    must(den_infer_new(model, NULL, 60000, 60000, NULL, &large, &err));
    size_t second = den_mem_live() - live - first;
    ck_assert_msg(second < first + (2 << 20), "%zu against %zu", second, first);
    den_infer_free(small);
    den_infer_free(large);
    den_model_free(model);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    const float one = 1;
    struct den_model *model = window_model(1, &one, 0, 1);
    size_t live = den_mem_live(), failures = 0;
    for (size_t n = 1;; n++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_infer *infer = NULL;
        den_mem_fail_at(n);
        bool done = den_infer_new(model, NULL, 100, 100, NULL, &infer, &err);
        den_mem_fail_at(0);
        if (done) {
            den_infer_free(infer);
            break;
        }
        ck_assert_msg(err.code == DEN_E_NO_MEMORY, "%zu: %s", n, err.text);
        ck_assert(infer == NULL && den_mem_live() == live);
        failures++;
    }
    ck_assert_uint_ge(failures, 8);
    den_model_free(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("inference");
    TCase *results = tcase_create("results");
    tcase_set_timeout(results, 120);
    tcase_add_test(results, a_net_that_changes_nothing_gives_the_image_back);
    tcase_add_test(results, one_tile_is_the_net_on_the_mirrored_image);
    tcase_add_test(results, beyond_the_reach_of_the_net_tiles_do_not_show);
    tcase_add_test(results, a_u_net_shows_no_seams);
    tcase_add_test(results, batches_and_threads_change_rounding_only);
    tcase_add_test(results, the_pages_of_a_series_are_normalised_by_one_pair);
    tcase_add_test(results, a_batch_joint_model_goes_by_the_extremes_of_the_whole_image);
    tcase_add_test(results, gain_and_offset_pass_through_a_batch_joint_model);
    tcase_add_test(results, every_tile_ticks_and_may_stop_the_work);
    tcase_add_test(results, what_cannot_be_denoised_is_refused_with_a_sentence);
    tcase_add_test(results, values_that_leave_the_finite_numbers_are_refused);
    suite_add_tcase(suite, results);
    TCase *memory = tcase_create("memory");
    tcase_set_timeout(memory, 120);
    tcase_add_test(memory, a_loaded_model_serves_one_size_after_the_other);
    tcase_add_test(memory, a_model_whose_weights_do_not_come_back_is_not_used);
    tcase_add_test(memory, the_net_of_the_paper_takes_less_than_twice_its_weights);
    tcase_add_test(memory, the_bytes_told_beforehand_are_the_bytes_held);
    tcase_add_test(memory, a_larger_image_needs_no_more_than_its_pages);
    tcase_add_test(memory, every_allocation_may_fail);
    suite_add_tcase(suite, memory);
    return den_check_main(suite);
}
