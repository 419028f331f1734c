#include <math.h>

#include "den_check.h"
#include "mem.h"
#include "net.h"
#include "vectors.h"

/* Taps of a graph: L = sum(q y) + sum over taps of sum(r t), in double, against central
 * differences.  The encoders of nets are what they are for. */

enum { TAPS = 3, SIDE = 32, MOST = 40000 };

struct problem {
    struct den_params *params;
    struct den_graph *g;
    den_node in, out, tap[TAPS];
    size_t in_count, out_count, tap_count[TAPS];
    den_real x[SIDE * SIDE * 2], dx[SIDE * SIDE * 2], y[MOST], q[MOST], t[MOST];
    den_real r[TAPS][MOST];
};

static double evaluate(struct problem *p)
{
    double sum = 0;
    den_graph_set_input(p->g, p->in, p->x);
    den_graph_forward(p->g, true, 1);
    den_graph_get_output(p->g, p->y);
    for (size_t i = 0; i < p->out_count; i++)
        sum += (double)(p->q[i] * p->y[i]);
    for (size_t k = 0; k < TAPS; k++) {
        den_graph_get_tap(p->g, p->tap[k], p->t);
        for (size_t i = 0; i < p->tap_count[k]; i++)
            sum += (double)(p->r[k][i] * p->t[i]);
    }
    return sum;
}

/* name NULL: plain layers, of which the second tap has a reader that would overwrite it,
 * the third is read by a concatenation, and nothing but itself reads the first. */
static den_node build(struct problem *p, const char *name)
{
    if (name == NULL) {
        den_node a = den_conv(p->g, "a", p->in, 3, 3, 1, 1, true);
        den_node b = den_leaky_relu(p->g, a, 0.2);
        den_node c = den_conv(p->g, "c", b, 4, 4, 2, 1, true);
        den_node d = den_leaky_relu(p->g, c, 0.1);
        den_node e = den_conv(p->g, "e", d, 2, 3, 1, 1, false);
        p->tap[0] = den_tanh(p->g, e);
        p->tap[1] = c;
        p->tap[2] = d;
        return den_conv(p->g, "f", den_concat(p->g, d, e), 1, 3, 1, 1, true);
    }
    const struct den_net *net = den_net_find(name);
    struct den_net_options options = {.channels_in = 1, .channels_out = 1, .width = 2};
    options.depth = net->depth_min > 4 ? net->depth_min : 4;
    options.kernel = 3;
    den_node maps[DEN_NET_LEVELS_MAX];
    ck_assert_uint_eq(net->levels(&options), net->depth_min > 4 ? options.depth - 1 : 4);
    den_node deepest = net->encode(p->g, p->in, &options, maps);
    for (size_t k = 0; k < TAPS; k++)
        p->tap[k] = maps[k];
    return deepest;
}

static struct problem *open_problem(const char *name, bool fused)
{
    struct den_err err = DEN_ERR_INIT;
    struct problem *p = calloc(1, sizeof *p);
    struct lcg g = {99};
    must(den_params_new(den_backends[0], &p->params, &err));
    must(den_graph_new(p->params, NULL, &p->g, &err));
    den_graph_set_fusion(p->g, fused);
    p->in = den_input(p->g, (struct den_shape){2, SIDE, SIDE, 1});
    p->out = build(p, name);
    for (size_t k = 0; k < TAPS; k++)
        den_graph_tap(p->g, p->tap[k]);
    must(den_graph_finish(p->g, p->out, DEN_FOR_TRAINING, &err));
    must(den_params_train(p->params, &err));
    for (size_t i = 0; i < den_params_size(p->params); i++) {
        struct den_param *w = den_params_at(p->params, i);
        if (w->kind == DEN_PARAM_WEIGHT)
            lcg_fill(&g, w->value, w->count, 0.5);
    }
    p->in_count = den_shape_count(den_graph_shape(p->g, p->in));
    p->out_count = den_shape_count(den_graph_shape(p->g, p->out));
    lcg_fill(&g, p->x, p->in_count, 1);
    lcg_fill(&g, p->q, p->out_count, 1);
    for (size_t k = 0; k < TAPS; k++) {
        p->tap_count[k] = den_shape_count(den_graph_shape(p->g, p->tap[k]));
        ck_assert_uint_le(p->tap_count[k], MOST);
        lcg_fill(&g, p->r[k], p->tap_count[k], 1);
        den_graph_set_tap_grad(p->g, p->tap[k], p->r[k]);
    }
    return p;
}

static void close_problem(struct problem *p)
{
    den_graph_free(p->g);
    den_params_free(p->params);
    free(p);
}

static void check_slope(struct problem *p, const char *what, den_real *number,
                        double want, double scale)
{
    static const double steps[] = {1e-4, 1e-5, 1e-6}; /* rectifiers have kinks */
    double best = (double)INFINITY;
    for (size_t i = 0; i < 3; i++) {
        double step = steps[i];
        den_real old = *number;
        *number = old + (den_real)step;
        double above = evaluate(p);
        *number = old - (den_real)step;
        double slope = (above - evaluate(p)) / (2 * step);
        *number = old;
        best = fabs(slope - want) < fabs(best - want) ? slope : best;
    }
    ck_assert_msg(fabs(best - want) <= 1e-6 * scale, "%s: %.12g, by differences %.12g",
                  what, want, best);
}

static const struct {
    const char *net;
    bool fused;
} cases[] = {{NULL, true},    {NULL, false},  {"unet", true},
             {"unet", false}, {"care", true}, {"care", false}};

START_TEST(gradients_that_come_in_at_taps_go_back_to_all_that_leads_there)
{
    struct problem *p = open_problem(cases[_i].net, cases[_i].fused);
    evaluate(p);
    den_params_zero_grad(p->params);
    den_graph_backward(p->g, p->q, true);
    den_graph_get_input_grad(p->g, p->in, p->dx);
    double scale = sqrt(sumsq_of(p->dx, p->in_count) / (double)p->in_count) * 10;
    for (size_t i = 0; i < p->in_count; i += p->in_count / 17)
        check_slope(p, "input", &p->x[i], (double)p->dx[i], scale);
    for (size_t i = 0; i < den_params_size(p->params); i++) {
        struct den_param *w = den_params_at(p->params, i);
        if (w->kind != DEN_PARAM_WEIGHT)
            continue;
        size_t at = w->count / 2;
        double size = sqrt(sumsq_of(w->grad, w->count) / (double)w->count);
        check_slope(p, w->name, &w->value[at], (double)w->grad[at], fmax(10 * size, 1));
    }
    close_problem(p);
}
END_TEST

START_TEST(taps_are_the_same_with_and_without_fusion)
{
    const char *net = cases[(size_t)_i * 2].net;
    struct problem *fused = open_problem(net, true), *plain = open_problem(net, false);
    close_to(evaluate(fused), evaluate(plain), 1e-12);
    for (size_t k = 0; k < TAPS; k++) {
        den_graph_get_tap(fused->g, fused->tap[k], fused->t);
        den_graph_get_tap(plain->g, plain->tap[k], plain->t);
        for (size_t i = 0; i < fused->tap_count[k]; i++)
            close_to((double)fused->t[i], (double)plain->t[i], 1e-12);
    }
    close_problem(fused);
    close_problem(plain);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("taps");
    TCase *t = tcase_create("graph");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, gradients_that_come_in_at_taps_go_back_to_all_that_leads_there,
                        0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_loop_test(t, taps_are_the_same_with_and_without_fusion, 0,
                        (int)(sizeof cases / sizeof cases[0] / 2));
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
