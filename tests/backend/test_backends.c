#include <math.h>
#include <string.h>

#include "backend_cpu_tile.h"
#include "backend_cpu_winograd.h"
#include "memory.h"
#include "vectors.h"

/* Every kernel of every backend against backend_ref, over shapes that are awkward on
 * purpose: odd sides, channel counts around the widths of vectors, pixel strides wider
 * than the channels, halos wider than the padding.     */

enum { SIDE_OUTPUTS = 4096 };

/* Variants of a kernel; AFFINE also stands for a bias, and for another slope or rate; F22
 * and DIRECT are modes of den_winograd, neither is the default; PACKED: weights packed
 * before the call. */
enum {
    ADD = 1,
    AFFINE = 2,
    PER_IMAGE = 4,
    F22 = 8,
    DIRECT = 16,
    PACKED = 32,
    VARIANTS = 64
};

struct shape_case {
    size_t n, h, w, ci, co;
    struct den_conv_geom g;
    size_t spare; /* ld - c */
    size_t halo;
};

static const struct shape_case conv_cases[] = {
    {2, 6, 6, 2, 3, {4, 4, 2, 1}, 0, 1},
    {1, 8, 8, 1, 16, {4, 4, 2, 1}, 0, 1},
    {2, 7, 9, 1, 16, {4, 4, 2, 1}, 1, 1},
    {2, 16, 16, 16, 32, {4, 4, 2, 1}, 16, 1},
    {3, 5, 7, 33, 17, {4, 4, 2, 1}, 2, 2},
    {1, 4, 4, 70, 65, {4, 4, 2, 1}, 0, 1},
    {2, 2, 2, 24, 40, {4, 4, 2, 1}, 8, 1},
    {2, 20, 12, 2, 32, {4, 4, 2, 1}, 0, 1},
    {2, 9, 10, 1, 32, {4, 4, 2, 1}, 0, 1},
    {2, 8, 8, 64, 1, {4, 4, 1, 1}, 0, 1},
    {2, 7, 5, 12, 6, {4, 4, 1, 1}, 3, 2},
    {1, 9, 9, 5, 18, {4, 4, 1, 1}, 0, 1},
    {2, 9, 7, 3, 19, {3, 3, 1, 1}, 1, 1},
    {1, 13, 11, 16, 48, {3, 3, 1, 1}, 0, 2},
    {2, 6, 5, 7, 4, {6, 5, 1, 0}, 0, 0},
    {3, 4, 4, 20, 35, {4, 4, 1, 0}, 4, 1},
    {2, 5, 6, 9, 2, {1, 1, 1, 0}, 0, 0},
    {2, 8, 8, 6, 10, {2, 2, 2, 0}, 0, 1},
    {1, 7, 7, 3, 5, {1, 1, 2, 0}, 0, 1},
    {1, 9, 9, 4, 20, {5, 5, 2, 2}, 0, 2},
    {2, 9, 11, 21, 1, {3, 3, 1, 1}, 2, 2},
    {3, 20, 17, 2, 1, {4, 4, 1, 1}, 0, 1},
    {1, 6, 6, 520, 3, {3, 3, 1, 1}, 0, 1},
    {1, 40, 33, 4, 8, {3, 3, 1, 1}, 0, 1},
    {1, 7, 8, 40, 3, {4, 3, 3, 1}, 0, 1},
    {9, 3, 3, 8, 16, {3, 3, 1, 1}, 0, 1},
    {2, 70, 66, 2, 16, {4, 4, 2, 1}, 0, 1},
    /* such as Winograd's algorithms take: whole and broken tiles, odd sides, paddings,
     * halos that are too narrow, a half block of channels, several spans and chunks */
    {1, 16, 16, 32, 96, {4, 4, 2, 1}, 0, 1},
    {1, 9, 14, 32, 48, {4, 4, 2, 1}, 16, 1},
    {3, 21, 7, 48, 32, {4, 4, 2, 1}, 2, 2},
    {2, 10, 12, 16, 64, {4, 4, 2, 0}, 0, 0},
    {1, 12, 8, 32, 16, {4, 4, 2, 2}, 0, 2},
    {2, 11, 13, 32, 80, {4, 4, 1, 1}, 1, 1},
    {1, 8, 5, 64, 32, {4, 4, 1, 0}, 0, 0},
    {1, 34, 38, 32, 32, {4, 4, 2, 1}, 0, 1},
    {1, 8, 8, 272, 32, {4, 4, 2, 1}, 0, 1},
    {2, 12, 9, 32, 48, {2, 2, 1, 1}, 0, 1},
    {4, 4, 4, 32, 64, {4, 4, 2, 1}, 0, 1},
    {1, 6, 6, 32, 32, {4, 4, 1, 3}, 0, 3},
    {1, 5, 5, 8, 260, {3, 3, 1, 1}, 0, 1},
    /* 3x3 ones likewise */
    {1, 33, 17, 32, 32, {3, 3, 1, 1}, 0, 1},
    {2, 1, 1, 32, 32, {3, 3, 1, 1}, 0, 1},
    {3, 2, 3, 32, 16, {3, 3, 1, 1}, 0, 1},
    {2, 12, 9, 16, 80, {3, 3, 1, 1}, 16, 2},
    {1, 18, 21, 96, 32, {3, 3, 1, 1}, 3, 1},
    {2, 9, 7, 48, 64, {3, 3, 1, 0}, 0, 0},
    {1, 7, 6, 32, 48, {3, 3, 1, 2}, 0, 2},
    {1, 6, 5, 528, 32, {3, 3, 1, 1}, 0, 1},
    {1, 12, 12, 1, 32, {3, 3, 1, 1}, 0, 1},
    {1, 12, 12, 32, 1, {3, 3, 1, 1}, 0, 1},
    {1, 8, 9, 32, 32, {3, 3, 2, 1}, 0, 1},
    {1, 9, 14, 32, 16, {6, 6, 2, 2}, 0, 2},
};

/* ci is the channel count of element-wise kernels. */
static const struct shape_case plain_cases[] = {
    {1, 1, 1, 1, 0, {0, 0, 0, 0}, 0, 0},   {2, 3, 5, 1, 0, {0, 0, 0, 0}, 1, 1},
    {2, 4, 4, 3, 0, {0, 0, 0, 0}, 0, 1},   {3, 7, 9, 16, 0, {0, 0, 0, 0}, 0, 1},
    {2, 5, 3, 17, 0, {0, 0, 0, 0}, 3, 2},  {1, 2, 2, 128, 0, {0, 0, 0, 0}, 0, 1},
    {2, 3, 2, 130, 0, {0, 0, 0, 0}, 0, 1}, {2, 2, 3, 300, 0, {0, 0, 0, 0}, 20, 0},
    {4, 33, 65, 8, 0, {0, 0, 0, 0}, 0, 1}, {3, 40, 50, 10, 0, {0, 0, 0, 0}, 10, 1},
};

/* ---- tensors --------------------------------------------------------------------------
 */

static const float SENTINEL = 7.5f; /* in the channels between c and ld */

struct tensor {
    const struct den_backend *be;
    size_t count;
    den_real *memory, *host;
    struct den_view view;
};

struct bench {
    const struct den_backend *be;
    struct den_exec ex;
    bool add, per_image, affine, packed; /* variants of kernels */
    bool clean;                          /* no frame was written so far */
    size_t packed_count;                 /* of ex.packed */
};

/* The frame of a tensor: what kernels must not write. */
static void frame(const struct tensor *t, den_real *to)
{
    struct den_view v = t->view;
    v.data = to + (size_t)(t->view.data - t->memory);
    for (size_t i = 0; i < v.shape.n; i++)
        for (size_t p = 0; p < v.shape.h * v.shape.w; p++) {
            den_real *pixel = den_view_at(&v, i, p / v.shape.w, p % v.shape.w);
            for (size_t c = v.shape.c; c < v.ld; c++)
                pixel[c] = SENTINEL;
        }
}

/* A view with spare channels behind its own, filled with random numbers. */
static struct tensor tensor_new(const struct bench *b, size_t n, size_t h, size_t w,
                                size_t c, size_t spare, size_t halo, uint32_t seed)
{
    struct tensor t = {.be = b->be};
    t.view = (struct den_view){{n, h, w, c}, c + spare, halo, NULL};
    t.count = n * den_view_image(&t.view);
    t.memory = device(b->be, t.count);
    t.host = host(t.count);
    t.view.data = t.memory + halo * (den_view_row(&t.view) + t.view.ld);
    frame(&t, t.host);
    b->be->upload(t.memory, t.host, t.count);
    den_real *values = host(n * h * w * c);
    lcg_fill(&(struct lcg){seed}, values, n * h * w * c, 1);
    b->be->pack_in(&b->ex, values, &t.view);
    den_free(values);
    return t;
}

/* Appends the pixels to out if that is not NULL, checks the frame, frees. */
static size_t tensor_end(struct bench *b, struct tensor *t, den_real *out)
{
    struct den_shape s = t->view.shape;
    if (out != NULL)
        b->be->pack_out(&b->ex, &t->view, out);
    den_real *zeros = host(den_shape_count(s)), *now = host(t->count);
    b->be->pack_in(&(struct den_exec){.pool = NULL}, zeros, &t->view);
    b->be->download(now, t->memory, t->count);
    if (!same_bits(now, t->host, t->count * sizeof *now))
        b->clean = false;
    den_free(zeros);
    den_free(now);
    den_free(t->host);
    b->be->free(t->memory);
    return den_shape_count(s);
}

static den_real *device_random(const struct bench *b, size_t count, double centre,
                               double a, uint32_t seed)
{
    den_real *values = host(count), *data = device(b->be, count);
    lcg_fill_about(&(struct lcg){seed}, values, count, centre, a);
    b->be->upload(data, values, count);
    den_free(values);
    return data;
}

static size_t take(const struct bench *b, den_real *data, size_t count, den_real *out)
{
    b->be->download(out, data, count);
    b->be->free(data);
    return count;
}

/* ---- kernels: each writes its outputs packed to out and returns how many --------------
 */

static struct den_shape conv_out(const struct shape_case *k)
{
    return (struct den_shape){k->n, (k->h + 2 * k->g.pad - k->g.kh) / k->g.stride + 1,
                              (k->w + 2 * k->g.pad - k->g.kw) / k->g.stride + 1, k->co};
}

static size_t weight_count(const struct shape_case *k)
{
    return k->g.kh * k->g.kw * k->ci * k->co;
}

enum { GUARD = 16 };

static den_real *guarded(const struct bench *b, size_t count)
{
    return device_random(b, count + GUARD, SENTINEL, 0, 1);
}

static void guard_end(struct bench *b, den_real **data, size_t count)
{
    den_real *now = host(count + GUARD);
    b->be->download(now, *data, count + GUARD);
    for (size_t i = 0; i < GUARD; i++)
        if (now[count + i] != SENTINEL)
            b->clean = false;
    den_free(now);
    b->be->free(*data);
    *data = NULL;
}

/* Gives the bench exactly the scratch that the backend asks for, and a guard behind. */
static void scratch_new(struct bench *b, const struct shape_case *k)
{
    struct den_shape x = {k->n, k->h, k->w, k->ci};
    b->ex.scratch_count =
        b->be->conv_scratch(k->g, x, conv_out(k), den_pool_threads(b->ex.pool));
    b->ex.scratch = guarded(b, b->ex.scratch_count);
}

static void scratch_end(struct bench *b)
{
    guard_end(b, &b->ex.scratch, b->ex.scratch_count);
    if (b->ex.packed != NULL)
        guard_end(b, &b->ex.packed, b->packed_count);
}

/* The same for a call that gets its weights packed, if the backend can do that. */
static void packed_new(struct bench *b, const struct shape_case *k,
                       const struct den_view *x, const struct den_view *y,
                       bool transposed, const den_real *w)
{
    scratch_new(b, k);
    if (!b->packed || b->be->conv_packed == NULL)
        return;
    size_t scratch = 0;
    size_t count = b->be->conv_packed(b->ex.winograd, k->g, x->shape, y->shape,
                                      transposed, den_pool_threads(b->ex.pool), &scratch);
    if (count == 0)
        return;
    ck_assert_uint_le(scratch, b->ex.scratch_count);
    scratch_end(b);
    b->packed_count = count;
    b->ex.scratch_count = scratch;
    b->ex.scratch = guarded(b, scratch);
    den_real *packed = guarded(b, count);
    b->be->conv_pack(&b->ex, k->g, x, y, transposed, w, packed);
    b->ex.packed = packed;
}

static size_t conv_forward(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct den_shape o = conv_out(k);
    struct tensor x = tensor_new(b, k->n, k->h, k->w, k->ci, k->spare, k->halo, 1);
    struct tensor y = tensor_new(b, o.n, o.h, o.w, o.c, k->spare, 1, 2);
    den_real *w = device_random(b, weight_count(k), 0, 0.5, 3);
    den_real *bias = device_random(b, k->co, 0, 0.5, 4);
    packed_new(b, k, &x.view, &y.view, false, w);
    if (b->ex.packed != NULL)
        b->be->zero(w, weight_count(k)); /* not read any more */
    b->be->conv_forward(&b->ex, k->g, &x.view, w, b->affine ? bias : NULL, &y.view);
    scratch_end(b);
    tensor_end(b, &x, NULL);
    b->be->free(w);
    b->be->free(bias);
    return tensor_end(b, &y, out);
}

static size_t conv_backward_data(struct bench *b, const struct shape_case *k,
                                 den_real *out)
{
    struct den_shape o = conv_out(k);
    struct tensor dx = tensor_new(b, k->n, k->h, k->w, k->ci, k->spare, k->halo, 1);
    struct tensor dy = tensor_new(b, o.n, o.h, o.w, o.c, k->spare, k->halo > 1, 2);
    den_real *w = device_random(b, weight_count(k), 0, 0.5, 3);
    den_real *bias = device_random(b, k->ci, 0, 0.5, 4);
    packed_new(b, k, &dx.view, &dy.view, true, w);
    if (b->ex.packed != NULL)
        b->be->zero(w, weight_count(k)); /* not read any more */
    b->be->conv_backward_data(&b->ex, k->g, &dy.view, w, b->affine ? bias : NULL,
                              &dx.view, b->add);
    scratch_end(b);
    tensor_end(b, &dy, NULL);
    b->be->free(w);
    b->be->free(bias);
    return tensor_end(b, &dx, out);
}

static size_t conv_backward_weights(struct bench *b, const struct shape_case *k,
                                    den_real *out)
{
    struct den_shape o = conv_out(k);
    struct tensor x = tensor_new(b, k->n, k->h, k->w, k->ci, k->spare, k->halo, 1);
    struct tensor dy = tensor_new(b, o.n, o.h, o.w, o.c, k->spare, 0, 2);
    den_real *dw = device_random(b, weight_count(k), 0, 1, 3);
    scratch_new(b, k);
    b->be->conv_backward_weights(&b->ex, k->g, &x.view, &dy.view, dw);
    scratch_end(b);
    tensor_end(b, &x, NULL);
    tensor_end(b, &dy, NULL);
    return take(b, dw, weight_count(k), out);
}

/* A view of a case's shape; `extra` varies the layout between operands. */
static struct tensor plain(const struct bench *b, const struct shape_case *k,
                           size_t extra, uint32_t seed)
{
    size_t spare = k->spare > 0 ? k->spare + extra : 0;
    return tensor_new(b, k->n, k->h, k->w, k->ci, spare, k->halo + extra, seed);
}

static size_t channel_sum(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor dy = plain(b, k, 0, 1);
    den_real *db = device_random(b, k->ci, 0, 1, 2);
    b->be->channel_sum(&b->ex, &dy.view, db);
    tensor_end(b, &dy, NULL);
    return take(b, db, k->ci, out);
}

static size_t lrelu_forward(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor x = plain(b, k, 0, 1), y = plain(b, k, 1, 2);
    b->be->lrelu_forward(&b->ex, &x.view, b->affine ? 0.2 : 0, &y.view);
    tensor_end(b, &x, NULL);
    return tensor_end(b, &y, out);
}

static size_t lrelu_backward(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor x = plain(b, k, 0, 1), dy = plain(b, k, 1, 2), dx = plain(b, k, 0, 3);
    b->be->lrelu_backward(&b->ex, &x.view, b->affine ? 0.2 : 0, &dy.view, &dx.view,
                          b->add);
    tensor_end(b, &x, NULL);
    tensor_end(b, &dy, NULL);
    return tensor_end(b, &dx, out);
}

static size_t tanh_forward(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor x = plain(b, k, 0, 1), y = plain(b, k, 1, 2);
    b->be->tanh_forward(&b->ex, &x.view, &y.view);
    tensor_end(b, &x, NULL);
    return tensor_end(b, &y, out);
}

static size_t tanh_backward(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor y = plain(b, k, 0, 1), dy = plain(b, k, 1, 2), dx = plain(b, k, 0, 3);
    b->be->tanh_backward(&b->ex, &y.view, &dy.view, &dx.view, b->add);
    tensor_end(b, &y, NULL);
    tensor_end(b, &dy, NULL);
    return tensor_end(b, &dx, out);
}

static size_t dropout_forward(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor x = plain(b, k, 0, 1), y = plain(b, k, 1, 2);
    b->be->dropout_forward(&b->ex, &x.view, 99, b->affine ? 0.5 : 0.1, &y.view);
    tensor_end(b, &x, NULL);
    return tensor_end(b, &y, out);
}

static size_t dropout_backward(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor dy = plain(b, k, 0, 1), dx = plain(b, k, 1, 2);
    b->be->dropout_backward(&b->ex, 99, b->affine ? 0.5 : 0.1, &dy.view, &dx.view,
                            b->add);
    tensor_end(b, &dy, NULL);
    return tensor_end(b, &dx, out);
}

static size_t copy(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor x = plain(b, k, 0, 1), y = plain(b, k, 1, 2);
    b->be->copy(&b->ex, &x.view, &y.view, b->add);
    tensor_end(b, &x, NULL);
    return tensor_end(b, &y, out);
}

static size_t group_channels(const struct bench *b, const struct shape_case *k)
{
    return (b->per_image ? k->n : 1) * k->ci;
}

static size_t moments(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor x = plain(b, k, 0, 1);
    size_t count = group_channels(b, k);
    den_real *mean = device(b->be, count), *var = device(b->be, count);
    b->be->moments(&b->ex, &x.view, b->per_image, mean, var);
    tensor_end(b, &x, NULL);
    take(b, mean, count, out);
    return count + take(b, var, count, out + count);
}

static size_t norm_forward(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor x = plain(b, k, 0, 1), y = plain(b, k, 1, 2);
    size_t count = group_channels(b, k);
    den_real *mean = device_random(b, count, 0, 0.3, 3);
    den_real *var = device_random(b, count, 1, 0.5, 4);
    den_real *gamma = device_random(b, k->ci, 1, 0.5, 5);
    den_real *beta = device_random(b, k->ci, 0, 0.5, 6);
    b->be->norm_forward(&b->ex, &x.view, b->per_image, mean, var,
                        b->affine ? gamma : NULL, b->affine ? beta : NULL, 1e-5, &y.view);
    tensor_end(b, &x, NULL);
    b->be->free(mean);
    b->be->free(var);
    b->be->free(gamma);
    b->be->free(beta);
    return tensor_end(b, &y, out);
}

static size_t norm_backward(struct bench *b, const struct shape_case *k, den_real *out)
{
    struct tensor x = plain(b, k, 0, 1), dy = plain(b, k, 1, 2), dx = plain(b, k, 0, 3);
    size_t groups = group_channels(b, k), count;
    den_real *mean = device_random(b, groups, 0, 0.3, 4);
    den_real *var = device_random(b, groups, 1, 0.5, 5);
    den_real *gamma = device_random(b, k->ci, 1, 0.5, 6);
    den_real *dgamma = device_random(b, k->ci, 0, 0.5, 7);
    den_real *dbeta = device_random(b, k->ci, 0, 0.5, 8);
    b->be->norm_backward(&b->ex, &x.view, b->per_image, mean, var,
                         b->affine ? gamma : NULL, 1e-5, &dy.view, &dx.view, b->add,
                         b->affine ? dgamma : NULL, b->affine ? dbeta : NULL);
    tensor_end(b, &x, NULL);
    tensor_end(b, &dy, NULL);
    b->be->free(mean);
    b->be->free(var);
    b->be->free(gamma);
    count = tensor_end(b, &dx, out);
    count += take(b, dgamma, k->ci, out + count);
    return count + take(b, dbeta, k->ci, out + count);
}

static size_t adam(struct bench *b, const struct shape_case *k, den_real *out)
{
    size_t n = k->n * k->h * k->w * k->ci;
    den_real *p = device_random(b, n, 0, 1, 1), *g = device_random(b, n, 0, 1, 2);
    den_real *m = device_random(b, n, 0, 1, 3), *v = device_random(b, n, 1, 1, 4);
    struct den_adam adam = {1e-2, 0.5, 0.999, 1e-8, 3};
    b->be->adam(&b->ex, n, p, g, m, v, &adam);
    b->be->free(g);
    take(b, p, n, out);
    take(b, m, n, out + n);
    return 2 * n + take(b, v, n, out + 2 * n);
}

static const struct kernel {
    const char *name;
    size_t (*run)(struct bench *b, const struct shape_case *k, den_real *out);
    bool conv;
    unsigned variants; /* which of ADD, AFFINE and PER_IMAGE it has */
} kernels[] = {
    {"conv_forward", conv_forward, true, AFFINE | F22 | DIRECT | PACKED},
    {"conv_backward_data", conv_backward_data, true,
     ADD | AFFINE | F22 | DIRECT | PACKED},
    {"conv_backward_weights", conv_backward_weights, true, F22 | DIRECT},
    {"channel_sum", channel_sum, false, 0},
    {"lrelu_forward", lrelu_forward, false, AFFINE},
    {"lrelu_backward", lrelu_backward, false, ADD | AFFINE},
    {"tanh_forward", tanh_forward, false, 0},
    {"tanh_backward", tanh_backward, false, ADD},
    {"dropout_forward", dropout_forward, false, AFFINE},
    {"dropout_backward", dropout_backward, false, ADD | AFFINE},
    {"moments", moments, false, PER_IMAGE},
    {"norm_forward", norm_forward, false, AFFINE | PER_IMAGE},
    {"norm_backward", norm_backward, false, ADD | AFFINE | PER_IMAGE},
    {"copy", copy, false, ADD},
    {"adam", adam, false, 0},
};
enum { KERNELS = sizeof kernels / sizeof kernels[0] };

static size_t cases_of(const struct kernel *kernel, const struct shape_case **ret)
{
    *ret = kernel->conv ? conv_cases : plain_cases;
    return kernel->conv ? sizeof conv_cases / sizeof conv_cases[0]
                        : sizeof plain_cases / sizeof plain_cases[0];
}

/* Room for the largest output of a case. */
static size_t room(const struct shape_case *k)
{
    size_t co = k->co > 0 ? k->co : 1, weights = k->g.kh * k->g.kw * k->ci * co;
    return 4 * k->n * (k->h + 2) * (k->w + 2) * (k->ci + co) + weights + SIDE_OUTPUTS;
}

static enum den_winograd mode_of(unsigned variant)
{
    if (variant & DIRECT)
        return DEN_WINOGRAD_OFF;
    return variant & F22 ? DEN_WINOGRAD_F22 : DEN_WINOGRAD_AUTO;
}

/* A variant asks for nothing that the kernel does not have and for at most one mode. With
 * modes and packed weights, which only cpu has, the other options are all on. */
static bool has_variant(const struct den_backend *be, const struct kernel *kernel,
                        unsigned variant)
{
    unsigned modes = F22 | DIRECT | PACKED, options = variant & ~modes;
    if ((variant & ~kernel->variants) != 0 ||
        (variant & (F22 | DIRECT)) == (F22 | DIRECT))
        return false;
    return (variant & modes) == 0 ||
           (be->conv_pack != NULL && options == (kernel->variants & ~modes));
}

/* One kernel, case and variant: ref against `be` with a pool, and `be` with itself. */
static void compare(const struct den_backend *be, const struct kernel *kernel,
                    const struct shape_case *k, unsigned variant, struct den_pool *pool)
{
    struct bench want = {.be = &den_backend_ref, .clean = true};
    want.add = variant & ADD;
    want.affine = variant & AFFINE;
    want.per_image = variant & PER_IMAGE;
    struct bench got = want;
    got.be = be;
    got.packed = variant & PACKED;
    got.ex.pool = pool;
    got.ex.winograd = mode_of(variant);
    /* on such small shapes too, where it is slow */
    den_winograd_prefer(got.ex.winograd == DEN_WINOGRAD_AUTO ? 4 : 2);
    den_real *a = host(room(k)), *b = host(room(k)), *c = host(room(k));
    size_t count = kernel->run(&want, k, a);
    ck_assert_uint_le(count, room(k));
    ck_assert_uint_eq(kernel->run(&got, k, b), count);
    kernel->run(&got, k, c);
    double scale = largest(a, count), gap = 0;
    for (size_t i = 0; i < count; i++)
        gap = fmax(gap, fabs((double)a[i] - (double)b[i]));
    ck_assert_msg(gap <= (got.ex.winograd == DEN_WINOGRAD_AUTO ? 5e-5 : 1e-5) * scale,
                  "%s of %s, %zux%zux%zu ci %zu co %zu k %zux%zu s %zu p %zu spare %zu "
                  "halo %zu variant %u: off by %g of %g",
                  kernel->name, be->name, k->n, k->h, k->w, k->ci, k->co, k->g.kh,
                  k->g.kw, k->g.stride, k->g.pad, k->spare, k->halo, variant, gap, scale);
    ck_assert_msg(same_bits(b, c, count * sizeof *b), "%s of %s differs between runs",
                  kernel->name, be->name);
    ck_assert_msg(want.clean && got.clean,
                  "%s of %s wrote outside its pixels or scratch (ci %zu co %zu k %zu)",
                  kernel->name, be->name, k->ci, k->co, k->g.kh);
    den_free(a);
    den_free(b);
    den_free(c);
}

static void compare_all(const struct kernel *kernel, int threads)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must(den_pool_new(threads, &pool, &err));
    const struct shape_case *cases = NULL;
    size_t count = cases_of(kernel, &cases);
    for (size_t i = 0; den_backends[i] != NULL; i++) {
        if (den_backends[i] == &den_backend_ref)
            continue;
        for (size_t k = 0; k < count; k++)
            for (unsigned variant = 0; variant < VARIANTS; variant++)
                if (has_variant(den_backends[i], kernel, variant))
                    compare(den_backends[i], kernel, &cases[k], variant,
                            threads > 1 ? pool : NULL);
    }
    den_pool_free(pool);
}

START_TEST(every_instruction_set_equals_the_reference)
{
    const struct den_cpu_tile *tile = &den_cpu_tiles[_i];
    if (!tile->usable())
        return;
    ck_assert(den_cpu_tile_use(tile->name));
    ck_assert_ptr_eq(den_cpu_tile_best(), tile);
    for (size_t i = 0; i < KERNELS && kernels[i].conv; i++)
        for (size_t k = 0; k < sizeof conv_cases / sizeof conv_cases[0]; k++)
            for (unsigned variant = 0; variant <= DIRECT; variant += F22)
                compare(&den_backend_cpu, &kernels[i], &conv_cases[k], variant, NULL);
    ck_assert(!den_cpu_tile_use("abacus"));
    ck_assert(den_cpu_tile_use(NULL));
}
END_TEST

START_TEST(every_kernel_equals_the_reference_on_one_thread)
{
    need_slow();
    compare_all(&kernels[_i], 1);
}
END_TEST

START_TEST(every_kernel_equals_the_reference_on_two_threads)
{
    compare_all(&kernels[_i], 2);
}
END_TEST

static void compare_threads(const struct den_backend *be, const struct kernel *kernel,
                            struct den_pool *pool)
{
    const struct shape_case *cases = NULL;
    size_t count = cases_of(kernel, &cases);
    for (size_t k = 0; k < count; k++) {
        den_winograd_prefer(k % 2 == 0 ? 2 : 4);
        struct bench one = {.be = be, .affine = true}, three = one;
        three.ex.pool = pool;
        den_real *a = host(room(&cases[k])), *b = host(room(&cases[k]));
        size_t n = kernel->run(&one, &cases[k], a);
        kernel->run(&three, &cases[k], b);
        ck_assert_msg(same_bits(a, b, n * sizeof *a), "%s of %s, case %zu", kernel->name,
                      be->name, k);
        den_free(a);
        den_free(b);
    }
}

START_TEST(results_do_not_depend_on_the_number_of_threads)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must(den_pool_new(3, &pool, &err));
    for (size_t i = 0; den_backends[i] != NULL; i++)
        compare_threads(den_backends[i], &kernels[_i], pool);
    den_pool_free(pool);
}
END_TEST

/* ---- properties ------------------------------------------------------
 */

static double dot(const den_real *a, const den_real *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

/* conv_forward draws x from seed 1 and w from seed 3; conv_backward_data draws dy from
 * seed 2 and the same w.  Filled alike here, the identity <conv x, y> = <x, conv^T y>
 * must hold. */
START_TEST(backward_data_is_the_adjoint_of_forward)
{
    const struct shape_case *k = &conv_cases[_i];
    struct den_shape o = conv_out(k);
    den_winograd_prefer(2);
    size_t nx = k->n * k->h * k->w * k->ci, ny = den_shape_count(o);
    for (size_t i = 0; den_backends[i] != NULL; i++) {
        struct bench b = {.be = den_backends[i], .ex.winograd = DEN_WINOGRAD_F22};
        den_real *x = host(nx), *y = host(ny), *fx = host(ny), *by = host(nx);
        lcg_fill(&(struct lcg){1}, x, nx, 1);
        lcg_fill(&(struct lcg){2}, y, ny, 1);
        conv_forward(&b, k, fx);
        conv_backward_data(&b, k, by);
        double size = sqrt(sumsq_of(fx, ny) * sumsq_of(y, ny));
        double gap = fabs(dot(fx, y, ny) - dot(x, by, nx));
        ck_assert_msg(gap <= 1e-6 * size, "%s: off by %g of %g", b.be->name, gap, size);
        den_free(x);
        den_free(y);
        den_free(fx);
        den_free(by);
    }
}
END_TEST

/* The planner lets an activation share the memory of its input. */
START_TEST(element_wise_kernels_work_in_place)
{
    const struct den_backend *be = den_backends[_i];
    enum { C = 5, N = 2 * 9 * 11 * C };
    struct bench b = {.be = be};
    const struct shape_case k = {2, 9, 11, C, 0, {0, 0, 0, 0}, 2, 1};
    den_real *mean = device_random(&b, C, 0, 0.3, 4),
             *var = device_random(&b, C, 1, 0.5, 5);
    den_real *got = host(N), *want = host(N);
    for (int kernel = 0; kernel < 7; kernel++) {
        struct tensor a = plain(&b, &k, 0, 1), y = plain(&b, &k, 0, 1);
        struct tensor c = plain(&b, &k, 0, 2);
        for (int in_place = 0; in_place < 2; in_place++) {
            const struct den_view *to = in_place ? &a.view : &y.view;
            if (kernel == 0)
                be->lrelu_forward(&b.ex, &a.view, 0.2, to);
            else if (kernel == 1)
                be->tanh_forward(&b.ex, &a.view, to);
            else if (kernel == 2)
                be->dropout_forward(&b.ex, &a.view, 9, 0.5, to);
            else if (kernel == 3)
                be->norm_forward(&b.ex, &a.view, false, mean, var, NULL, NULL, 1e-5, to);
            else if (kernel == 4)
                be->lrelu_backward(&b.ex, &c.view, 0.2, &a.view, to, false);
            else if (kernel == 5)
                be->tanh_backward(&b.ex, &c.view, &a.view, to, false);
            else
                be->norm_backward(&b.ex, &c.view, false, mean, var, NULL, 1e-5, &a.view,
                                  to, false, NULL, NULL);
        }
        tensor_end(&b, &a, got);
        tensor_end(&b, &y, want);
        tensor_end(&b, &c, NULL);
        ck_assert_msg(same_bits(got, want, N * sizeof *got), "%s, kernel %d", be->name,
                      kernel);
    }
    be->free(mean);
    be->free(var);
    den_free(got);
    den_free(want);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backends");
    TCase *tc = tcase_create("kernels");
    int backends = 0, shapes = sizeof conv_cases / sizeof conv_cases[0];
    while (den_backends[backends] != NULL)
        backends++;
    int isas = 0;
    while (den_cpu_tiles[isas].name != NULL)
        isas++;
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, every_instruction_set_equals_the_reference, 0, isas);
    tcase_add_loop_test(tc, every_kernel_equals_the_reference_on_one_thread, 0, KERNELS);
    tcase_add_loop_test(tc, every_kernel_equals_the_reference_on_two_threads, 0, KERNELS);
    tcase_add_loop_test(tc, results_do_not_depend_on_the_number_of_threads, 0, KERNELS);
    tcase_add_loop_test(tc, backward_data_is_the_adjoint_of_forward, 0, shapes);
    tcase_add_loop_test(tc, element_wise_kernels_work_in_place, 0, backends);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
