#include "bench.h"
#include "mem.h"
#include "net.h"
#include "str.h"

/* Each 4x4 convolution of the U-Net and the PatchGAN alone, and 3x3 ones as U-Nets of two
 * convolutions per level have them, in the four ways a layer is run.     */

enum { NAME = 24 };

static const size_t pad = 1;

struct layer {
    char name[NAME];
    bool transposed;
    size_t kernel, stride, in, out, side; /* channels; side of the input */
};

struct arrays {
    const struct bench *b;
    const struct layer *layer;
    struct den_conv_geom g;
    struct den_view x, y; /* of the underlying convolution: y = conv(x) */
    den_real *xs, *ys, *w, *dw, *packed;
    struct den_exec ex, ready; /* ready: with packed weights */
};

static void forward(const struct arrays *a, const struct den_exec *ex)
{
    if (a->layer->transposed)
        den_backend_cpu.conv_backward_data(ex, a->g, &a->y, a->w, NULL, &a->x, false);
    else
        den_backend_cpu.conv_forward(ex, a->g, &a->x, a->w, NULL, &a->y);
}

static void call_packed(void *context)
{
    const struct arrays *a = context;
    forward(a, &a->ready);
}

static void call_forward(void *context)
{
    const struct arrays *a = context;
    forward(a, &a->ex);
}

static void call_data(void *context)
{
    const struct arrays *a = context;
    if (a->layer->transposed)
        den_backend_cpu.conv_forward(&a->ex, a->g, &a->x, a->w, NULL, &a->y);
    else
        den_backend_cpu.conv_backward_data(&a->ex, a->g, &a->y, a->w, NULL, &a->x, false);
}

static void call_weights(void *context)
{
    const struct arrays *a = context;
    den_backend_cpu.conv_backward_weights(&a->ex, a->g, &a->x, &a->y, a->dw);
}

static const struct {
    const char *name;
    void (*call)(void *context);
} parts[] = {
    {"inference", call_packed},
    {"forward", call_forward},
    {"data", call_data},
    {"weights", call_weights},
};

static bool view_new(struct den_shape s, den_real **ret, struct den_view *view,
                     struct den_err *err)
{
    *view = (struct den_view){s, s.c, pad, NULL};
    if (!den_backend_cpu.alloc(s.n * den_view_image(view), ret, err))
        return false;
    view->data = *ret + pad * (den_view_row(view) + view->ld);
    for (size_t i = 0; i < s.n * s.h; i++)
        for (size_t k = 0; k < s.w * s.c; k++)
            den_view_at(view, i / s.h, i % s.h, 0)[k] =
                (den_real)((i + k * 7) % 31) / 31 - 0.5F;
    return true;
}

static bool arrays_new(struct arrays *a, struct den_err *err)
{
    const struct den_backend *be = &den_backend_cpu;
    const struct layer *l = a->layer;
    const struct bench *b = a->b;
    size_t kernel = l->kernel;
    size_t out = l->transposed ? (l->side - 1) * l->stride + kernel - 2 * pad
                               : (l->side + 2 * pad - kernel) / l->stride + 1;
    struct den_shape in = {b->batch, l->side, l->side, l->in};
    struct den_shape to = {b->batch, out, out, l->out};
    a->g = (struct den_conv_geom){kernel, kernel, l->stride, pad};
    size_t weights = kernel * kernel * l->in * l->out, scratch = 0;
    if (!view_new(l->transposed ? to : in, &a->xs, &a->x, err) ||
        !view_new(l->transposed ? in : to, &a->ys, &a->y, err) ||
        !be->alloc(weights, &a->w, err) || !be->alloc(weights, &a->dw, err))
        return false;
    for (size_t i = 0; i < weights; i++)
        a->w[i] = (den_real)(i * 5 % 17) / 170 - 0.05F;
    a->ex = (struct den_exec){.pool = b->pool, .winograd = b->winograd};
    a->ex.scratch_count = be->conv_scratch(a->g, a->x.shape, a->y.shape, b->threads);
    size_t packed = be->conv_packed(b->winograd, a->g, a->x.shape, a->y.shape,
                                    l->transposed, b->threads, &scratch);
    if (!be->alloc(a->ex.scratch_count, &a->ex.scratch, err) ||
        !be->alloc(packed, &a->packed, err))
        return false;
    be->conv_pack(&a->ex, a->g, &a->x, &a->y, l->transposed, a->w, a->packed);
    a->ready = a->ex;
    a->ready.packed = a->packed;
    return true;
}

static void arrays_free(struct arrays *a)
{
    den_real *all[] = {a->xs, a->ys, a->w, a->dw, a->packed, a->ex.scratch};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        den_backend_cpu.free(all[i]);
}

static bool run_layer(struct bench *b, const struct layer *layer, struct den_err *err)
{
    struct arrays a = {.b = b, .layer = layer};
    bool done = arrays_new(&a, err);
    struct den_shape y = a.y.shape;
    double flop = 2.0 * (double)(layer->kernel * layer->kernel * layer->in * layer->out) *
                  (double)(y.n * y.h * y.w);
    for (size_t i = 0; done && i < sizeof parts / sizeof parts[0]; i++)
        bench_write(b, &(struct bench_row){
                           .what = layer->name,
                           .part = parts[i].name,
                           .batch = b->batch,
                           .flop = flop,
                           .seconds = bench_time(b, parts[i].call, &a),
                       });
    arrays_free(&a);
    return done;
}

static struct layer named(char kind, size_t number, struct layer l)
{
    den_str_format(l.name, sizeof l.name, "%c%zu", kind, number);
    return l;
}

/* 96 and 192 input channels: a skip connection beside what comes from below. */
static bool bench_3x3(struct bench *b, struct den_err *err)
{
    static const struct {
        size_t in, out, side;
    } rows[] = {{1, 32, 128},  {32, 32, 128},  {96, 32, 128},  {32, 64, 64}, {64, 64, 64},
                {192, 64, 64}, {128, 128, 32}, {256, 256, 16}, {512, 512, 8}};
    bool done = true;
    for (size_t i = 0; done && i < sizeof rows / sizeof rows[0]; i++) {
        struct layer l = {"", false, 3, 1, rows[i].in, rows[i].out, rows[i].side};
        den_str_format(l.name, sizeof l.name, "K3 %zu>%zu %zu", l.in, l.out, l.side);
        done = run_layer(b, &l, err);
    }
    return done;
}

bool bench_layers(struct bench *b, struct den_err *err)
{
    size_t width = (size_t)b->config.ngf, depth = (size_t)b->config.downs;
    size_t side = (size_t)b->config.crop;
    bool done = true;
    for (size_t k = 1; done && k <= depth; k++) {
        size_t in = k == 1 ? 1 : den_net_channels(width, k - 2);
        struct layer l = {
            "", false, 4, 2, in, den_net_channels(width, k - 1), side >> (k - 1)};
        l = named('E', k, l);
        done = run_layer(b, &l, err);
    }
    for (size_t k = depth; done && k >= 1; k--) {
        size_t out = k == 1 ? 1 : den_net_channels(width, k - 2);
        size_t in = den_net_channels(width, k - 1) * (k == depth ? 1 : 2);
        struct layer l = {"", true, 4, 2, in, out, side >> k};
        l = named('D', k, l);
        done = run_layer(b, &l, err);
    }
    width = (size_t)b->config.ndf;
    depth = (size_t)b->config.d_layers;
    for (size_t k = 0; done && k <= depth + 1; k++) {
        size_t in = k == 0 ? 2 : den_net_channels(width, k - 1);
        size_t out = k == depth + 1 ? 1 : den_net_channels(width, k);
        struct layer l = {"", false, 4, k < depth ? 2 : 1, in, out, side};
        l = named('C', k + 1, l);
        done = run_layer(b, &l, err);
        side = (side + 2 * pad - l.kernel) / l.stride + 1;
    }
    return done && bench_3x3(b, err);
}
