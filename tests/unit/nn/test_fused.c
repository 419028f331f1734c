#include <math.h>
#include <string.h>

#include "backend_cpu_tile.h"
#include "backend_cpu_winograd.h"
#include "den_check.h"
#include "mem.h"
#include "net.h"
#include "net_vectors.h"

/* Graphs for inference let a convolution do the norm and the activation behind it.  The
 * plain plan, in which every node does its own work, is the oracle. */

/* ---- which nodes are fused ---- */

static size_t norms, rectified; /* calls, and channels of the calls */

static void count_norm(const struct den_exec *ex, const struct den_view *x,
                       bool per_image, const den_real *mean, const den_real *var,
                       const den_real *gamma, const den_real *beta, double eps,
                       const struct den_view *y)
{
    norms++;
    den_backend_cpu.norm_forward(ex, x, per_image, mean, var, gamma, beta, eps, y);
}

static void count_lrelu(const struct den_exec *ex, const struct den_view *x, double slope,
                        const struct den_view *y)
{
    rectified += x->shape.c;
    den_backend_cpu.lrelu_forward(ex, x, slope, y);
}

enum { C = 16, BOTH = 2 * C }; /* channels of a convolution, and of two */

static den_node conv(struct den_graph *g, const char *name, den_node x)
{
    return den_conv(g, name, x, C, 3, 1, 1, true);
}

static den_node all_in_a_row(struct den_graph *g, den_node x)
{
    return den_leaky_relu(g, den_batch_norm(g, "n", conv(g, "a", x)), 0.2);
}

static den_node transposed_with_dropout(struct den_graph *g, den_node x)
{
    x = den_batch_norm(g, "n", den_convt(g, "a", x, BOTH, 4, 2, 1, false));
    return den_leaky_relu(g, den_dropout(g, x, 0.5), 0);
}

static den_node without_norm(struct den_graph *g, den_node x)
{
    return den_leaky_relu(g, conv(g, "a", x), 0);
}

static den_node one_channel(struct den_graph *g, den_node x)
{
    x = den_batch_norm(g, "n", den_conv(g, "a", x, 1, 3, 1, 1, true));
    return den_leaky_relu(g, x, 0.5);
}

static den_node ragged_channels(struct den_graph *g, den_node x)
{
    x = den_batch_norm(g, "n", den_conv(g, "a", x, 37, 3, 1, 1, true));
    return den_leaky_relu(g, x, 0.5);
}

static den_node convolution_read_twice(struct den_graph *g, den_node x)
{
    den_node y = conv(g, "a", x);
    return den_add(g, y, den_batch_norm(g, "n", y));
}

static den_node norm_read_twice(struct den_graph *g, den_node x)
{
    den_node y = den_batch_norm(g, "n", conv(g, "a", x));
    return den_add(g, y, den_leaky_relu(g, y, 0));
}

static den_node activation_before_norm(struct den_graph *g, den_node x)
{
    return den_batch_norm(g, "n", den_leaky_relu(g, conv(g, "a", x), 0.2));
}

static den_node norm_before_convolution(struct den_graph *g, den_node x)
{
    return conv(g, "a", den_batch_norm(g, "n", x));
}

static den_node two_norms(struct den_graph *g, den_node x)
{
    return den_batch_norm(g, "m", den_batch_norm(g, "n", conv(g, "a", x)));
}

static den_node two_activations(struct den_graph *g, den_node x)
{
    return den_leaky_relu(g, den_leaky_relu(g, conv(g, "a", x), 0.5), 0.5);
}

static den_node instance_norm(struct den_graph *g, den_node x)
{
    return den_leaky_relu(g, den_instance_norm(g, conv(g, "a", x)), 0.2);
}

/* The activation is not part of the net. */
static den_node output_in_the_middle(struct den_graph *g, den_node x)
{
    x = den_batch_norm(g, "n", conv(g, "a", x));
    den_leaky_relu(g, x, 0);
    return x;
}

static den_node both_halves(struct den_graph *g, den_node x)
{
    den_node a = den_batch_norm(g, "n", conv(g, "a", x));
    return conv(g, "c", den_leaky_relu(g, den_concat(g, a, conv(g, "b", x)), 0));
}

/* As in a U-Net: the first half is read by another layer before. */
static den_node a_skip(struct den_graph *g, den_node x)
{
    den_node skip = den_leaky_relu(g, den_batch_norm(g, "n", conv(g, "a", x)), 0.2);
    den_node up = den_batch_norm(g, "m", conv(g, "b", skip));
    return conv(g, "c", den_leaky_relu(g, den_concat(g, skip, up), 0));
}

static den_node a_skip_behind(struct den_graph *g, den_node x)
{
    den_node skip = den_leaky_relu(g, den_batch_norm(g, "n", conv(g, "a", x)), 0.2);
    den_node up = den_batch_norm(g, "m", conv(g, "b", skip));
    return conv(g, "c", den_leaky_relu(g, den_concat(g, up, skip), 0));
}

/* The skip is read once more after the join. */
static den_node a_skip_read_later(struct den_graph *g, den_node x)
{
    den_node skip = den_leaky_relu(g, conv(g, "a", x), 0.2);
    den_node both = den_concat(g, skip, conv(g, "b", skip));
    return den_add(g, conv(g, "c", den_leaky_relu(g, both, 0)), skip);
}

static den_node joined_with_the_input(struct den_graph *g, den_node x)
{
    return conv(g, "c", den_leaky_relu(g, den_concat(g, conv(g, "a", x), x), 0));
}

static den_node joined_with_itself(struct den_graph *g, den_node x)
{
    den_node a = conv(g, "a", x);
    return conv(g, "c", den_leaky_relu(g, den_concat(g, a, a), 0));
}

static const struct {
    den_node (*build)(struct den_graph *g, den_node x);
    size_t norms, rectified;
} rows[] = {
    {all_in_a_row, 0, 0},
    {transposed_with_dropout, 0, 0},
    {without_norm, 0, 0},
    {one_channel, 0, 0},
    {ragged_channels, 0, 0},
    {convolution_read_twice, 1, 0},
    {norm_read_twice, 0, C},
    {activation_before_norm, 1, 0},
    {norm_before_convolution, 1, 0},
    {two_norms, 1, 0},
    {two_activations, 0, C},
    {instance_norm, 1, C},
    {output_in_the_middle, 0, 0},
    {both_halves, 0, 0},
    {a_skip, 0, C},
    {a_skip_behind, 0, C},
    {a_skip_read_later, 0, BOTH},
    {joined_with_the_input, 0, 4},
    {joined_with_itself, 0, BOTH},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static struct net_case small_case(const struct den_backend *backend, size_t row,
                                  bool fusion)
{
    struct net_case c = {0};
    struct den_err err = DEN_ERR_INIT;
    const struct den_shape shape = {2, 6, 5, 4};
    must(den_params_new(backend, &c.params, &err));
    must(den_graph_new(c.params, NULL, &c.graph, &err));
    den_graph_set_fusion(c.graph, fusion);
    c.in = den_input(c.graph, shape);
    c.out = rows[row].build(c.graph, c.in);
    must(den_graph_finish(c.graph, c.out, DEN_FOR_INFERENCE, &err));
    c.in_count = den_shape_count(shape);
    c.out_count = den_shape_count(den_graph_shape(c.graph, c.out));
    c.x = den_calloc(c.in_count, sizeof *c.x);
    c.y = den_calloc(c.out_count, sizeof *c.y);
    struct lcg g = {4};
    lcg_fill(&g, c.x, c.in_count, 1);
    return c;
}

static void same_output(const struct net_case *got, const struct net_case *want,
                        double tolerance)
{
    double most = 0, size = 0;
    for (size_t i = 0; i < want->out_count; i++) {
        most = fmax(most, fabs((double)got->y[i] - (double)want->y[i]));
        size = fmax(size, fabs((double)want->y[i]));
    }
    ck_assert(size > 0.01);
    ck_assert_msg(most <= tolerance * size, "off by %g of %g", most, size);
}

START_TEST(a_convolution_does_what_follows_where_nobody_reads_between)
{
    struct den_backend spy = den_backend_cpu;
    spy.norm_forward = count_norm;
    spy.lrelu_forward = count_lrelu;
    struct net_case fused = small_case(&spy, (size_t)_i, true);
    struct net_case plain = small_case(&den_backend_cpu, (size_t)_i, false);
    /* The second time with other weights and statistics. */
    for (uint32_t seed = 3; seed < 5; seed++) {
        fill_params(fused.params, seed);
        fill_params(plain.params, seed);
        norms = rectified = 0;
        net_case_run(&fused, false);
        net_case_run(&plain, false);
        same_output(&fused, &plain, 1e-5);
        ck_assert_uint_eq(norms, rows[_i].norms);
        ck_assert_uint_eq(rectified, rows[_i].rectified);
    }
    /* Statistics of the batch are not known before the convolution is done. */
    net_case_run(&fused, true);
    net_case_run(&plain, true);
    same_output(&fused, &plain, 1e-5);
    net_case_free(&fused);
    net_case_free(&plain);
}
END_TEST

/* ---- whole nets ---- */

static struct net_case whole_case(const struct den_net *net,
                                  const struct den_net_options *o, bool fusion)
{
    struct net_case c = {0};
    struct den_err err = DEN_ERR_INIT;
    const struct den_shape shape = {1, 64, 64, o->channels_in};
    must(den_params_new(&den_backend_cpu, &c.params, &err));
    must(den_graph_new(c.params, NULL, &c.graph, &err));
    den_graph_set_fusion(c.graph, fusion);
    den_graph_set_winograd(c.graph, o->winograd);
    c.in = den_input(c.graph, shape);
    c.out = net->build(c.graph, c.in, o);
    must(den_graph_finish(c.graph, c.out, DEN_FOR_INFERENCE, &err));
    fill_params(c.params, 9);
    c.in_count = den_shape_count(shape);
    c.out_count = den_shape_count(den_graph_shape(c.graph, c.out));
    c.x = den_calloc(c.in_count, sizeof *c.x);
    c.y = den_calloc(c.out_count, sizeof *c.y);
    struct lcg g = {6};
    lcg_fill(&g, c.x, c.in_count, 1);
    net_case_run(&c, false);
    return c;
}

static const struct {
    const struct den_net *net;
    struct den_net_options options;
    size_t preferred; /* Winograd's m */
    double tolerance;
} nets[] = {
    {&den_net_unet,
     {.channels_in = 1,
      .channels_out = 1,
      .width = 16,
      .depth = 5,
      .dropout = true,
      .winograd = DEN_WINOGRAD_OFF},
     0,
     1e-5},
    {&den_net_unet,
     {.channels_in = 1,
      .channels_out = 1,
      .width = 16,
      .depth = 5,
      .winograd = DEN_WINOGRAD_F22},
     2,
     1e-5},
    {&den_net_unet,
     {.channels_in = 1,
      .channels_out = 1,
      .width = 16,
      .depth = 5,
      .winograd = DEN_WINOGRAD_AUTO},
     4,
     1e-4},
    {&den_net_unet,
     {.channels_in = 1,
      .channels_out = 1,
      .width = 16,
      .depth = 5,
      .instance_norm = true,
      .winograd = DEN_WINOGRAD_OFF},
     0,
     1e-5},
    {&den_net_patchgan,
     {.channels_in = 2,
      .channels_out = 1,
      .width = 16,
      .depth = 3,
      .winograd = DEN_WINOGRAD_OFF},
     0,
     1e-5},
    {&den_net_patchgan,
     {.channels_in = 2,
      .channels_out = 1,
      .width = 16,
      .depth = 3,
      .winograd = DEN_WINOGRAD_F22},
     2,
     1e-5},
    {&den_net_care,
     {.channels_in = 1,
      .channels_out = 1,
      .width = 16,
      .depth = 2,
      .kernel = 3,
      .winograd = DEN_WINOGRAD_F22},
     2,
     1e-5},
};
enum { NETS = sizeof nets / sizeof nets[0] };

START_TEST(a_fused_net_computes_what_the_plain_one_does)
{
    const struct den_net_options *o = &nets[_i].options;
    for (size_t i = 0; den_cpu_tiles[i].name != NULL; i++) {
        if (!den_cpu_tile_use(den_cpu_tiles[i].name))
            continue;
        den_winograd_prefer(nets[_i].preferred);
        struct net_case fused = whole_case(nets[_i].net, o, true);
        struct net_case plain = whole_case(nets[_i].net, o, false);
        same_output(&fused, &plain, nets[_i].tolerance);
        net_case_free(&fused);
        net_case_free(&plain);
    }
    den_winograd_prefer(0);
    ck_assert(den_cpu_tile_use(NULL));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fused inference");
    TCase *tc = tcase_create("fused");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_convolution_does_what_follows_where_nobody_reads_between, 0,
                        ROWS);
    tcase_add_loop_test(tc, a_fused_net_computes_what_the_plain_one_does, 0, NETS);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
