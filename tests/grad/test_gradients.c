#include <math.h>
#include <string.h>

#include "loss_vectors.h"
#include "net_vectors.h"
#include "plan.h"
#include "str.h"

/* Every derivative against central differences, in double.  An op, loss or GAN mode that
 * is a row of its table is tested or makes the test fail. */

#define TOLERANCE 1e-6

/* ---- nets as functions of all their numbers ---- */

enum { INPUTS = 2 };

/* L = sum(q y), q fixed. */
struct problem {
    struct den_params *params;
    struct den_graph *g;
    den_node in[INPUTS], out;
    size_t in_count[INPUTS], out_count;
    den_real *x[INPUTS], *dx[INPUTS], *y, *q;
};

static double evaluate(struct problem *p)
{
    for (size_t k = 0; k < INPUTS; k++)
        den_graph_set_input(p->g, p->in[k], p->x[k]);
    den_graph_forward(p->g, true, 42);
    den_graph_get_output(p->g, p->y);
    double sum = 0;
    for (size_t i = 0; i < p->out_count; i++)
        sum += (double)p->q[i] * (double)p->y[i];
    return sum;
}

/* dL/d number by the step that comes nearest to `want`: a large step may cross the kink
 * of a rectifier, a small one drowns in rounding; a wrong derivative meets none. */
static double difference(struct problem *p, den_real *number, double want)
{
    static const double steps[] = {1e-4, 1e-5, 1e-6};
    double best = (double)NAN;
    for (size_t i = 0; i < 3; i++) {
        den_real old = *number;
        *number = old + (den_real)steps[i];
        double above = evaluate(p);
        *number = old - (den_real)steps[i];
        double below = evaluate(p);
        *number = old;
        double slope = (above - below) / (2 * steps[i]);
        if (i == 0 || fabs(slope - want) < fabs(best - want))
            best = slope;
    }
    return best;
}

/* Checks at most `most` of the n numbers, spread evenly. */
static size_t check_numbers(struct problem *p, const char *what, den_real *numbers,
                            const den_real *gradient, size_t n, size_t most)
{
    double scale = 0;
    size_t stride = n > most ? n / most : 1, checked = 0;
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs((double)gradient[i]));
    /* a derivative that is zero everywhere (a bias before a norm) is compared with 1e-3
     */
    scale = fmax(scale, 1e-3);
    for (size_t i = 0; i < n; i += stride, checked++) {
        double slope = difference(p, &numbers[i], (double)gradient[i]);
        ck_assert_msg(fabs(slope - (double)gradient[i]) <= TOLERANCE * scale,
                      "%s[%zu]: %.12g, by differences %.12g (largest %g)", what, i,
                      (double)gradient[i], slope, scale);
    }
    return checked;
}

static void check_problem(struct problem *p, size_t most)
{
    evaluate(p);
    den_params_zero_grad(p->params);
    den_graph_backward(p->g, p->q, true);
    for (size_t k = 0; k < INPUTS; k++)
        den_graph_get_input_grad(p->g, p->in[k], p->dx[k]);
    for (size_t k = 0; k < INPUTS; k++)
        check_numbers(p, k == 0 ? "first input" : "second input", p->x[k], p->dx[k],
                      p->in_count[k], most);
    for (size_t i = 0; i < den_params_size(p->params); i++) {
        struct den_param *param = den_params_at(p->params, i);
        if (param->grad != NULL) /* backend_ref: device memory is ours */
            check_numbers(p, param->name, param->value, param->grad, param->count, most);
    }
}

typedef den_node builder(struct den_graph *g, den_node a, den_node b);

static struct problem new_problem(builder *build, struct den_shape a, struct den_shape b,
                                  bool fusion)
{
    struct den_err err = DEN_ERR_INIT;
    struct problem p = {0};
    const struct den_shape shapes[INPUTS] = {a, b};
    struct lcg g = {7};
    must(den_params_new(&den_backend_ref, &p.params, &err));
    must(den_graph_new(p.params, NULL, &p.g, &err));
    for (size_t k = 0; k < INPUTS; k++) {
        p.in[k] = den_input(p.g, shapes[k]);
        p.in_count[k] = den_shape_count(shapes[k]);
        p.x[k] = den_calloc(p.in_count[k], sizeof *p.x[k]);
        p.dx[k] = den_calloc(p.in_count[k], sizeof *p.dx[k]);
        lcg_fill(&g, p.x[k], p.in_count[k], 1);
    }
    p.out = build(p.g, p.in[0], p.in[1]);
    den_graph_set_fusion(p.g, fusion);
    must(den_graph_finish(p.g, p.out, DEN_FOR_TRAINING, &err));
    must(den_params_train(p.params, &err));
    fill_params(p.params, 11);
    p.out_count = den_shape_count(den_graph_shape(p.g, p.out));
    p.y = den_calloc(p.out_count, sizeof *p.y);
    p.q = den_calloc(p.out_count, sizeof *p.q);
    lcg_fill(&g, p.q, p.out_count, 1);
    return p;
}

static void free_problem(struct problem *p)
{
    for (size_t k = 0; k < INPUTS; k++) {
        den_free(p->x[k]);
        den_free(p->dx[k]);
    }
    den_free(p->y);
    den_free(p->q);
    den_graph_free(p->g);
    den_params_free(p->params);
}

/* ---- one case or more per op ---- */

static den_node conv_s2(struct den_graph *g, den_node a, den_node b)
{
    return den_add(g, den_conv(g, "a", a, 3, 4, 2, 1, true),
                   den_conv(g, "b", b, 3, 4, 2, 1, false));
}

static den_node conv_s1(struct den_graph *g, den_node a, den_node b)
{
    /* read twice, so that the second contribution is added */
    den_node x = den_concat(g, a, b);
    return den_concat(g, den_conv(g, "a", x, 2, 3, 1, 1, true),
                      den_conv(g, "b", x, 2, 5, 1, 2, true));
}

static den_node convt_s2(struct den_graph *g, den_node a, den_node b)
{
    return den_add(g, den_convt(g, "a", a, 3, 4, 2, 1, true),
                   den_convt(g, "b", b, 3, 4, 2, 1, false));
}

static den_node convt_added(struct den_graph *g, den_node a, den_node b)
{
    den_node x = den_concat(g, a, b);
    return den_add(g, den_convt(g, "a", x, 2, 3, 1, 1, true),
                   den_convt(g, "b", x, 2, 5, 1, 2, true));
}

static den_node batch_norm(struct den_graph *g, den_node a, den_node b)
{
    return den_batch_norm(g, "n", den_concat(g, a, den_batch_norm(g, "m", b)));
}

static den_node instance_norm(struct den_graph *g, den_node a, den_node b)
{
    return den_concat(g, den_instance_norm(g, a), den_tanh(g, den_instance_norm(g, b)));
}

static den_node leaky_relu(struct den_graph *g, den_node a, den_node b)
{
    return den_add(g, den_leaky_relu(g, a, 0.2),
                   den_leaky_relu(g, den_conv(g, "b", b, 2, 3, 1, 1, true), 0));
}

static den_node tanh_twice(struct den_graph *g, den_node a, den_node b)
{
    return den_tanh(g, den_add(g, den_tanh(g, a), den_conv(g, "b", b, 2, 3, 1, 1, true)));
}

static den_node dropout(struct den_graph *g, den_node a, den_node b)
{
    return den_add(
        g, den_dropout(g, a, 0.5),
        den_tanh(g, den_dropout(g, den_conv(g, "b", b, 2, 3, 1, 1, true), 0.2)));
}

static den_node concat_nested(struct den_graph *g, den_node a, den_node b)
{
    den_node x = den_tanh(g, a), y = den_conv(g, "y", b, 2, 3, 1, 1, true);
    den_node inner = den_concat(g, x, y);
    /* x is joined twice and read once more before */
    den_node z = den_conv(g, "z", x, 1, 3, 1, 1, true);
    return den_tanh(g, den_concat(g, den_concat(g, inner, x), den_concat(g, z, z)));
}

static den_node add_same(struct den_graph *g, den_node a, den_node b)
{
    return den_add(g, den_add(g, a, a), den_tanh(g, b));
}

static den_node linear(struct den_graph *g, den_node a, den_node b)
{
    den_node x = den_concat(g, a, b);
    return den_concat(g, den_linear(g, "a", x, 3, true), den_linear(g, "b", x, 2, false));
}

/* The odd row of 5 has no part in the output; the second reader's share is added. */
static den_node max_pool(struct den_graph *g, den_node a, den_node b)
{
    den_node x = den_conv(g, "a", a, 2, 3, 1, 1, true);
    den_node pooled = den_max_pool(g, den_concat(g, x, b));
    return den_concat(g, pooled, den_max_pool(g, den_tanh(g, x)));
}

static den_node upsample(struct den_graph *g, den_node a, den_node b)
{
    den_node x = den_conv(g, "b", b, 2, 3, 1, 1, true);
    return den_add(g, den_upsample(g, den_add(g, a, x)), den_upsample(g, den_tanh(g, x)));
}

static const struct {
    const char *op;
    builder *build;
} cases[] = {
    {"conv", conv_s2},          {"conv", conv_s1},
    {"convt", convt_s2},        {"convt", convt_added},
    {"batch_norm", batch_norm}, {"instance_norm", instance_norm},
    {"leaky_relu", leaky_relu}, {"tanh", tanh_twice},
    {"dropout", dropout},       {"concat", concat_nested},
    {"add", add_same},          {"linear", linear},
    {"max_pool", max_pool},     {"upsample", upsample},
};
enum { CASES = sizeof cases / sizeof *cases };

START_TEST(every_op_has_a_case)
{
    for (size_t i = 0; den_ops[i] != NULL; i++) {
        bool found = false;
        for (size_t k = 0; k < CASES; k++)
            found = found || strcmp(cases[k].op, den_ops[i]->name) == 0;
        ck_assert_msg(found, "op '%s' has no case in this test", den_ops[i]->name);
    }
}
END_TEST

static bool holds_op(const struct den_graph *g, const char *op)
{
    for (size_t i = 0; i < g->size; i++)
        if (g->nodes[i]->live && strcmp(g->nodes[i]->op->name, op) == 0)
            return true;
    return false;
}

START_TEST(every_op_has_the_right_derivatives)
{
    const struct den_shape shape = {2, 5, 4, 2};
    for (int fusion = 0; fusion < 2; fusion++) {
        struct problem p = new_problem(cases[_i].build, shape, shape, fusion);
        ck_assert(holds_op(p.g, cases[_i].op));
        check_problem(&p, SIZE_MAX);
        free_problem(&p);
    }
}
END_TEST

/* ---- whole nets ---- */

static den_node small_unet(struct den_graph *g, den_node a, den_node b)
{
    const struct den_net_options o = {.channels_in = 2,
                                      .channels_out = 1,
                                      .width = 1,
                                      .depth = 6,
                                      .dropout = true,
                                      .tanh_output = true};
    return den_net_unet.build(g, den_concat(g, a, b), &o);
}

static den_node small_unet_instance(struct den_graph *g, den_node a, den_node b)
{
    const struct den_net_options o = {.channels_in = 2,
                                      .channels_out = 1,
                                      .width = 1,
                                      .depth = 5,
                                      .instance_norm = true};
    return den_net_unet.build(g, den_concat(g, a, b), &o);
}

static den_node small_care(struct den_graph *g, den_node a, den_node b)
{
    const struct den_net_options o = {
        .channels_in = 2, .channels_out = 2, .width = 2, .depth = 2, .kernel = 3};
    return den_net_care.build(g, den_concat(g, a, b), &o);
}

static den_node small_patchgan(struct den_graph *g, den_node a, den_node b)
{
    const struct den_net_options o = {
        .channels_in = 2, .channels_out = 1, .width = 2, .depth = 3};
    return den_net_patchgan.build(g, den_concat(g, a, b), &o);
}

static const struct {
    const char *what;
    builder *build;
    size_t side;
} nets[] = {
    {"U-Net with batch norm and dropout", small_unet, 64},
    {"U-Net with instance norm", small_unet_instance, 32},
    {"PatchGAN", small_patchgan, 32},
    {"CARE", small_care, 8},
};

START_TEST(nets_have_the_right_derivatives)
{
    const struct den_shape shape = {2, nets[_i].side, nets[_i].side, 1};
    struct problem p = new_problem(nets[_i].build, shape, shape, true);
    check_problem(&p, 6);
    free_problem(&p);
}
END_TEST

/* ---- losses ---- */

enum { LOSS_COUNT = 2 * 9 * 8 * 2 };
static const struct den_shape image_shape = {2, 9, 8, 2};

static const struct den_pixel_loss_options loss_options[] = {
    {-1, 1, 5, false},
    {-1, 1, 5, true},
    {-1, 1, 11, false},
    {-2, 5, 5, false},
};

START_TEST(pixel_losses_have_the_right_derivatives)
{
    const struct den_pixel_loss_options *o = &loss_options[_i];
    const double h = 1e-5, weight = 3;
    struct lcg g = {41};
    for (size_t k = 0; den_losses[k] != NULL; k++) {
        den_real x[LOSS_COUNT], t[LOSS_COUNT], dx[LOSS_COUNT] = {0};
        lcg_fill(&g, x, LOSS_COUNT, 1);
        lcg_fill(&g, t, LOSS_COUNT, 1);
        loss_value(den_losses[k], image_shape, x, t, o, weight, dx);
        double scale = sqrt(sumsq_of(dx, LOSS_COUNT) / LOSS_COUNT);
        ck_assert_msg(scale > 1e-6, "%s has no gradient", den_losses[k]->name);
        for (size_t i = 0; i < LOSS_COUNT; i++) {
            den_real old = x[i];
            x[i] = old + h;
            double above = loss_value(den_losses[k], image_shape, x, t, o, weight, NULL);
            x[i] = old - h;
            double below = loss_value(den_losses[k], image_shape, x, t, o, weight, NULL);
            x[i] = old;
            double slope = weight * (above - below) / (2 * h);
            ck_assert_msg(fabs(slope - (double)dx[i]) <= TOLERANCE * scale,
                          "%s[%zu]: %.12g, by differences %.12g", den_losses[k]->name, i,
                          (double)dx[i], slope);
        }
    }
}
END_TEST

START_TEST(gan_modes_have_the_right_derivatives)
{
    enum { N = 20 };
    const double h = 1e-5, weight = 3;
    struct lcg g = {43};
    for (size_t k = 0; den_gan_modes[k] != NULL; k++)
        for (int label = 0; label < 2; label++) {
            den_real x[N], dx[N] = {0};
            lcg_fill(&g, x, N, 4);
            den_gan_modes[k]->value(N, x, label, weight, dx);
            double scale = sqrt(sumsq_of(dx, N) / N);
            ck_assert(scale > 1e-6);
            for (size_t i = 0; i < N; i++) {
                den_real old = x[i];
                x[i] = old + h;
                double above = den_gan_modes[k]->value(N, x, label, weight, NULL);
                x[i] = old - h;
                double below = den_gan_modes[k]->value(N, x, label, weight, NULL);
                x[i] = old;
                double slope = weight * (above - below) / (2 * h);
                ck_assert_msg(fabs(slope - (double)dx[i]) <= TOLERANCE * scale,
                              "%s[%zu]: %.12g, by differences %.12g",
                              den_gan_modes[k]->name, i, (double)dx[i], slope);
            }
        }
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
    Suite *suite = suite_create("gradients in double");
    TCase *tcase = tcase_create("gradients");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, every_op_has_a_case);
    tcase_add_loop_test(tcase, every_op_has_the_right_derivatives, 0, CASES);
    tcase_add_loop_test(tcase, nets_have_the_right_derivatives, 0, ROWS(nets));
    tcase_add_loop_test(tcase, pixel_losses_have_the_right_derivatives, 0,
                        ROWS(loss_options));
    tcase_add_test(tcase, gan_modes_have_the_right_derivatives);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
