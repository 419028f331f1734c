#ifndef DEN_NET_VECTORS_H
#define DEN_NET_VECTORS_H

/* Expected values of a small U-Net and a small PatchGAN, computed with PyTorch 1.13 in
 * float64 from the reproducible numbers of vectors.h.  All numbers are exact to the
 * digits given; `tolerance` is what the arithmetic under test may add. */

#include <math.h>
#include <string.h>

#include "den_check.h"
#include "loss.h"
#include "mem.h"
#include "net.h"
#include "vectors.h"

/* The weights in order of creation: convolutions U(.2), gamma 1 + U(.1), beta and biases
 * U(.05), each in file order; buffers as after initialisation. */
static inline void fill_params(struct den_params *params, uint32_t seed)
{
    struct lcg g = {seed};
    den_params_init(params, 1);
    for (size_t i = 0; i < den_params_size(params); i++) {
        struct den_param *p = den_params_at(params, i);
        if (p->kind != DEN_PARAM_WEIGHT)
            continue;
        den_real *data = den_calloc(p->count, sizeof *data);
        ck_assert_ptr_nonnull(data);
        if (p->init == DEN_INIT_GAMMA)
            lcg_fill_about(&g, data, p->count, 1, 0.1);
        else
            lcg_fill(&g, data, p->count, p->ndim == 4 ? 0.2 : 0.05);
        den_param_write(params, p, data);
        den_free(data);
    }
}

/* One net on one graph, with arrays for its input and output. */
struct net_case {
    struct den_params *params;
    struct den_graph *graph;
    den_node in, out;
    size_t in_count, out_count;
    den_real *x, *y, *dy;
};

static inline struct net_case net_case_new(const struct den_backend *backend,
                                           const struct den_net *net,
                                           const struct den_net_options *options,
                                           struct den_shape shape,
                                           enum den_purpose purpose, uint32_t seed)
{
    struct net_case c = {0};
    struct den_err err = DEN_ERR_INIT;
    must(den_params_new(backend, &c.params, &err));
    must(den_graph_new(c.params, NULL, &c.graph, &err));
    c.in = den_input(c.graph, shape);
    c.out = net->build(c.graph, c.in, options);
    must(den_graph_finish(c.graph, c.out, purpose, &err));
    must(den_params_train(c.params, &err));
    fill_params(c.params, seed);
    c.in_count = den_shape_count(shape);
    c.out_count = den_shape_count(den_graph_shape(c.graph, c.out));
    c.x = den_calloc(c.in_count, sizeof *c.x);
    c.y = den_calloc(c.out_count, sizeof *c.y);
    c.dy = den_calloc(c.out_count, sizeof *c.dy);
    return c;
}

static inline void net_case_free(struct net_case *c)
{
    den_free(c->x);
    den_free(c->y);
    den_free(c->dy);
    den_graph_free(c->graph);
    den_params_free(c->params);
}

static inline void net_case_run(struct net_case *c, bool training)
{
    den_graph_set_input(c->graph, c->in, c->x);
    den_graph_forward(c->graph, training, 1);
    den_graph_get_output(c->graph, c->y);
}

static const struct den_pixel_loss_options paper_units = {.lo = -1, .hi = 1, .window = 5};

/* U-Net of width 4 and depth 6 on two images of 64 x 64, with L1 against a target. */
static inline void check_unet_vector(const struct den_backend *backend, double tolerance)
{
    const struct den_net_options o = {
        .channels_in = 1, .channels_out = 1, .width = 4, .depth = 6, .tanh_output = true};
    const struct den_shape shape = {2, 64, 64, 1};
    struct net_case c =
        net_case_new(backend, &den_net_unet, &o, shape, DEN_FOR_TRAINING, 14);
    den_real *t = den_calloc(c.in_count, sizeof *t);
    struct lcg g = {15};
    lcg_fill(&g, c.x, c.in_count, 1);
    lcg_fill(&g, t, c.in_count, 1);

    net_case_run(&c, true);
    close_to(sum_of(c.y, c.out_count), 63.4110806538, 10 * tolerance);
    close_to(sumsq_of(c.y, c.out_count), 654.262296014, tolerance);
    close_to((double)c.y[0], 0.0452267376776, tolerance);
    close_to((double)c.y[c.out_count - 1], 0.0505095381342, tolerance);

    double l1 = den_loss_find("l1")->value(shape, c.y, t, &paper_units, 1, c.dy, NULL);
    close_to(l1, 0.544888246762, tolerance);
    den_graph_backward(c.graph, c.dy, true);
    double norm = den_params_grad_norm(c.params);
    close_to(norm * norm / 0.0189993051193, 1, 100 * tolerance);
    den_graph_get_input_grad(c.graph, c.in, c.x);
    close_to(sum_of(c.x, c.in_count) / 0.012866649459, 1, 100 * tolerance);
    close_to(sumsq_of(c.x, c.in_count) / 6.32931488233e-05, 1, 100 * tolerance);

    g.s = 15;
    lcg_fill(&g, c.x, c.in_count, 1);
    net_case_run(&c, false); /* on the running statistics of the one pass above */
    close_to(sum_of(c.y, c.out_count), -82.2519817652, 10 * tolerance);
    close_to(sumsq_of(c.y, c.out_count), 41.6609768832, 10 * tolerance);
    den_free(t);
    net_case_free(&c);
}

/* Input = channels (a, image), each image [2][64][64]. */
static inline void join_images(const den_real *a, const den_real *image, size_t count,
                               den_real *to)
{
    for (size_t i = 0; i < count; i++) {
        to[2 * i] = a[i];
        to[2 * i + 1] = image[i];
    }
}

/* PatchGAN of width 4: logits and both GAN losses on a fake and a real pair, and the
 * generator's gradient with respect to the fake. */
static inline void check_patchgan_vector(const struct den_backend *backend,
                                         double tolerance)
{
    const size_t n = 8192, map = 72; /* two images, two maps of 6 x 6 */
    const struct den_net_options o = {
        .channels_in = 2, .channels_out = 1, .width = 4, .depth = 3};
    const struct den_shape shape = {2, 64, 64, 2};
    struct net_case c =
        net_case_new(backend, &den_net_patchgan, &o, shape, DEN_FOR_TRAINING, 16);
    const struct den_gan_mode *vanilla = den_gan_find("vanilla");
    const struct den_gan_mode *lsgan = den_gan_find("lsgan");
    den_real *a = den_calloc(3 * n, sizeof *a), *real = a + n, *fake = a + 2 * n;
    struct lcg g = {17};
    lcg_fill(&g, a, 3 * n, 1);
    ck_assert_uint_eq(c.out_count, map);

    join_images(a, real, n, c.x);
    net_case_run(&c, true);
    close_to(sum_of(c.y, c.out_count), 51.1570990175, tolerance);
    close_to(sumsq_of(c.y, c.out_count), 232.148858773, tolerance);
    double on_real = vanilla->value(c.out_count, c.y, 1, 1, NULL);
    close_to(on_real, 0.655405799743, tolerance);
    close_to(lsgan->value(c.out_count, c.y, 1, 1, NULL), 2.80325917691, tolerance);

    join_images(a, fake, n, c.x);
    net_case_run(&c, true);
    close_to(sum_of(c.y, c.out_count), 48.4401556922, tolerance);
    close_to(sumsq_of(c.y, c.out_count), 220.580298653, tolerance);
    close_to((double)c.y[0], 1.64494771854, tolerance);
    double on_fake = vanilla->value(c.out_count, c.y, 0, 1, NULL);
    close_to(on_fake, 1.33459744585, tolerance);
    close_to(0.5 * (on_real + on_fake), 0.995001622798, tolerance);
    close_to(lsgan->value(c.out_count, c.y, 0, 1, NULL), 3.06361525908, tolerance);
    close_to(vanilla->value(c.out_count, c.y, 1, 1, c.dy), 0.661817505682, tolerance);

    den_graph_backward(c.graph, c.dy, false);
    ck_assert_msg(den_params_grad_norm(c.params) <= 0,
                  "gradients of frozen weights were made");
    den_graph_get_input_grad(c.graph, c.in, c.x);
    for (size_t i = 0; i < n; i++)
        fake[i] = c.x[2 * i + 1];
    close_to(sum_of(fake, n) / 0.00622376697513, 1, 100 * tolerance);
    close_to(sumsq_of(fake, n) / 0.015007358514, 1, 100 * tolerance);
    close_to((double)fake[0] / 0.000126840326608, 1, 100 * tolerance);
    den_free(a);
    net_case_free(&c);
}

#endif
