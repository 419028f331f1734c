#include <math.h>
#include <string.h>

#include "graph_case.h"
#include "net_vectors.h"
#include "op.h"

/* ---- build errors ---- */

static den_node conv_too_big(struct den_graph *g)
{
    return den_conv(g, "x", image(g, 2, 2, 1), 1, 4, 1, 0, false);
}

static den_node conv_kernel_zero(struct den_graph *g)
{
    return den_conv(g, "x", image(g, 8, 8, 1), 1, 0, 1, 0, false);
}

static den_node conv_stride(struct den_graph *g)
{
    return den_conv(g, "x", image(g, 8, 8, 1), 1, 3, 4, 0, false);
}

static den_node conv_pad(struct den_graph *g)
{
    return den_conv(g, "x", image(g, 8, 8, 1), 1, 3, 1, 3, false);
}

static den_node conv_no_output(struct den_graph *g)
{
    return den_conv(g, "x", image(g, 8, 8, 1), 0, 3, 1, 1, false);
}

static den_node convt_nothing_left(struct den_graph *g)
{
    return den_convt(g, "x", image(g, 1, 1, 1), 1, 4, 2, 3, false);
}

static den_node concat_sizes(struct den_graph *g)
{
    return den_concat(g, image(g, 4, 4, 1), image(g, 4, 5, 1));
}

static den_node concat_batches(struct den_graph *g)
{
    den_node two = den_input(g, (struct den_shape){2, 4, 4, 1});
    return den_concat(g, image(g, 4, 4, 1), two);
}

static den_node add_channels(struct den_graph *g)
{
    return den_add(g, image(g, 4, 4, 1), image(g, 4, 4, 2));
}

static den_node slope_negative(struct den_graph *g)
{
    return den_leaky_relu(g, image(g, 4, 4, 1), -0.5);
}

static den_node slope_nan(struct den_graph *g)
{
    return den_leaky_relu(g, image(g, 4, 4, 1), (double)NAN);
}

static den_node dropout_all(struct den_graph *g)
{
    return den_dropout(g, image(g, 4, 4, 1), 1);
}

static den_node instance_of_one_pixel(struct den_graph *g)
{
    return den_instance_norm(g, image(g, 1, 1, 3));
}

static den_node linear_nothing(struct den_graph *g)
{
    return den_linear(g, "x", image(g, 4, 4, 1), 0, true);
}

static den_node name_twice(struct den_graph *g)
{
    den_node x = den_conv(g, "x", image(g, 8, 8, 1), 2, 3, 1, 1, false);
    return den_conv(g, "x", x, 2, 3, 1, 1, false);
}

static den_node name_too_long(struct den_graph *g)
{
    char name[200];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    return den_conv(g, name, image(g, 8, 8, 1), 2, 3, 1, 1, false);
}

static den_node empty_image(struct den_graph *g)
{
    return image(g, 0, 8, 1);
}

static den_node huge_image(struct den_graph *g)
{
    return den_input(g, (struct den_shape){1000000, 1000000, 1000000, 1000000});
}

static den_node no_such_node(struct den_graph *g)
{
    return den_tanh(g, 5);
}

static den_node nothing(struct den_graph *g)
{
    (void)g;
    return -1;
}

static const struct {
    den_node (*build)(struct den_graph *g);
    const char *words;
} errors[] = {
    {conv_too_big, "conv 'x': kernel 4 does not fit an input of 2 x 2"},
    {conv_kernel_zero, "conv 'x': kernel 0 is not within 1 to 31"},
    {conv_stride, "conv 'x': stride 4 is not within 1 to the kernel's 3"},
    {conv_pad, "conv 'x': padding 3 is not below the kernel's 3"},
    {conv_no_output, "conv 'x': 0 output channels"},
    {convt_nothing_left, "convt 'x': padding 3 leaves nothing of an input of 1 x 1"},
    {concat_sizes, "concat: maps of 4 x 4 and 4 x 5 differ"},
    {concat_batches, "concat: batches of 1 and 2 images differ"},
    {add_channels, "add: shapes 1 x 4 x 4 x 1 and 1 x 4 x 4 x 2"},
    {slope_negative, "leaky_relu: slope -0.5 is not within 0 to 1"},
    {slope_nan, "leaky_relu: slope nan"},
    {dropout_all, "dropout: chance 1 is not within 0 to below 1"},
    {instance_of_one_pixel, "instance_norm: a map of 1 x 1"},
    {linear_nothing, "linear 'x': 0 outputs"},
    {name_twice, "'x.weight' is used twice"},
    {name_too_long, "too long"},
    {empty_image, "input: 1 x 0 x 8 x 1 (images, rows, columns, channels)"},
    {huge_image, "not a size this net can take"},
    {no_such_node, "tanh: there is no node 5"},
    {nothing, "The net has no output."},
};

START_TEST(a_wrong_net_is_refused_with_a_sentence)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_ref);
    den_node y = errors[_i].build(f.g);
    ck_assert_int_lt(y, 0);
    must_fail(den_graph_finish(f.g, y, DEN_FOR_TRAINING, &err), DEN_E_INVALID,
              errors[_i].words);
    free_graph(&f);
}
END_TEST

START_TEST(the_first_error_sticks)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_ref);
    den_node x = image(f.g, 8, 8, 1);
    den_node bad = den_conv(f.g, "first", x, 1, 9, 1, 0, false);
    ck_assert_int_lt(bad, 0);
    ck_assert_int_lt(den_conv(f.g, "second", bad, 1, 99, 1, 0, false), 0);
    ck_assert_int_lt(den_tanh(f.g, x), 0);
    size_t bytes = 7;
    must_fail(den_graph_plan(f.g, x, DEN_FOR_TRAINING, &bytes, &err), DEN_E_INVALID,
              "'first'");
    ck_assert_uint_eq(bytes, 7);
    ck_assert_uint_eq(den_graph_shape(f.g, bad).n, 0);
    free_graph(&f);
}
END_TEST

START_TEST(batch_norm_of_a_single_value_is_refused_for_training_only)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_ref);
    den_node y = den_batch_norm(f.g, "n", image(f.g, 1, 1, 3));
    must_fail(den_graph_finish(f.g, y, DEN_FOR_TRAINING, &err), DEN_E_INVALID,
              "batch_norm 'n': training needs more than one value per channel");
    must(den_graph_finish(f.g, y, DEN_FOR_INFERENCE, &err));
    free_graph(&f);
}
END_TEST

/* ---- shapes ---- */

static const struct {
    size_t side, kernel, stride, pad, conv, convt;
} shapes[] = {
    {8, 4, 2, 1, 4, 16},   {9, 4, 2, 1, 4, 18}, {8, 3, 1, 1, 8, 8},  {5, 5, 1, 0, 1, 9},
    {32, 4, 1, 1, 31, 33}, {2, 4, 2, 1, 1, 4},  {7, 7, 3, 3, 3, 19}, {1, 1, 1, 0, 1, 1},
};

START_TEST(sides_follow_the_formulas_of_pytorch)
{
    struct fixture f = new_graph(&den_backend_ref);
    size_t k = shapes[_i].kernel, s = shapes[_i].stride, p = shapes[_i].pad;
    den_node x =
        den_input(f.g, (struct den_shape){3, shapes[_i].side, shapes[_i].side, 2});
    struct den_shape a = den_graph_shape(f.g, den_conv(f.g, "a", x, 5, k, s, p, true));
    struct den_shape b = den_graph_shape(f.g, den_convt(f.g, "b", x, 6, k, s, p, true));
    struct den_shape c = den_graph_shape(f.g, den_linear(f.g, "c", x, 7, true));
    ck_assert(a.n == 3 && a.h == shapes[_i].conv && a.w == shapes[_i].conv && a.c == 5);
    ck_assert(b.n == 3 && b.h == shapes[_i].convt && b.w == shapes[_i].convt && b.c == 6);
    ck_assert(c.n == 3 && c.h == 1 && c.w == 1 && c.c == 7);
    free_graph(&f);
}
END_TEST

/* ---- a net ---- */

static const struct den_net_options unet = {
    .channels_in = 1, .channels_out = 1, .width = 4, .depth = 5, .dropout = true};
static const struct den_shape two_images = {2, 64, 32, 1};
enum { UNET_N = 2 * 64 * 32 };

static struct net_case make_unet(enum den_purpose purpose)
{
    struct net_case c =
        net_case_new(&den_backend_ref, &den_net_unet, &unet, two_images, purpose, 14);
    struct lcg g = {15};
    lcg_fill(&g, c.x, c.in_count, 1);
    return c;
}

START_TEST(evaluation_does_not_depend_on_the_order_of_the_batch)
{
    struct net_case c = make_unet(DEN_FOR_INFERENCE);
    den_real first[UNET_N], swapped[UNET_N];
    net_case_run(&c, false);
    memcpy(first, c.y, sizeof first);
    memcpy(swapped, c.x + UNET_N / 2, sizeof swapped / 2);
    memcpy(swapped + UNET_N / 2, c.x, sizeof swapped / 2);
    memcpy(c.x, swapped, sizeof swapped);
    net_case_run(&c, false);
    ck_assert_mem_eq(c.y, first + UNET_N / 2, sizeof first / 2);
    ck_assert_mem_eq(c.y + UNET_N / 2, first, sizeof first / 2);
    ck_assert(sumsq_of(first, UNET_N) > 0);
    net_case_free(&c);
}
END_TEST

START_TEST(gradients_are_added_and_steps_repeat_exactly)
{
    struct net_case c = make_unet(DEN_FOR_TRAINING);
    struct lcg g = {16};
    lcg_fill(&g, c.dy, c.out_count, 1);
    net_case_run(&c, true);
    den_graph_backward(c.graph, c.dy, true);
    double once = den_params_grad_norm(c.params);
    net_case_run(&c, true);
    den_graph_backward(c.graph, c.dy, true);
    close_to(den_params_grad_norm(c.params) / once, 2, 1e-6);
    den_params_zero_grad(c.params);
    net_case_run(&c, true);
    den_graph_backward(c.graph, c.dy, true);
    close_to(den_params_grad_norm(c.params), once, 0);
    net_case_free(&c);
}
END_TEST

START_TEST(inference_takes_much_less_memory_than_training)
{
    struct net_case lean = make_unet(DEN_FOR_INFERENCE),
                    full = make_unet(DEN_FOR_TRAINING);
    ck_assert_uint_lt(2 * den_graph_bytes(lean.graph), den_graph_bytes(full.graph));
    net_case_free(&lean);
    net_case_free(&full);
}
END_TEST

START_TEST(an_allocation_that_fails_is_an_error_and_leaks_nothing)
{
    size_t live = den_mem_live(), n = 1;
    for (bool done = false; !done; n++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_params *params = NULL;
        struct den_graph *g = NULL;
        den_mem_fail_at(n);
        done = den_params_new(&den_backend_ref, &params, &err) &&
               den_graph_new(params, NULL, &g, &err);
        if (done) {
            den_node y = den_net_unet.build(g, den_input(g, two_images), &unet);
            done = den_graph_finish(g, y, DEN_FOR_TRAINING, &err) &&
                   den_params_train(params, &err);
        }
        den_mem_fail_at(0);
        ck_assert(done || err.code == DEN_E_NO_MEMORY);
        den_graph_free(g);
        den_params_free(params);
        ck_assert_uint_eq(den_mem_live(), live);
    }
    ck_assert_uint_gt(n, 100);
}
END_TEST

/* ---- single ops ---- */

START_TEST(batch_norm_tracks_mean_variance_and_count)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_ref);
    const den_real x[] = {1, 2, 3, 6}; /* mean 3, unbiased variance 14/3 */
    den_node in = den_input(f.g, (struct den_shape){1, 2, 2, 1});
    must(den_graph_finish(f.g, den_batch_norm(f.g, "n", in), DEN_FOR_TRAINING, &err));
    den_params_init(f.params, 1);
    den_graph_set_input(f.g, in, x);
    den_graph_forward(f.g, true, 0);
    den_graph_forward(f.g, true, 0);
    den_graph_forward(f.g, false, 0); /* must change nothing */
    double mean = (double)den_params_find(f.params, "n.running_mean")->value[0];
    double var = (double)den_params_find(f.params, "n.running_var")->value[0];
    close_to(mean, 3 * (1 - 0.81), 1e-6);
    close_to(var, 0.81 + 14. / 3 * (1 - 0.81), 1e-6);
    close_to((double)den_params_find(f.params, "n.num_batches_tracked")->value[0], 2, 0);
    free_graph(&f);
}
END_TEST

START_TEST(dropout_zeroes_about_p_and_keeps_the_mean)
{
    enum { SIDE_D = 64, N = SIDE_D * SIDE_D, TWO_N = 2 * N };
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_ref);
    static den_real x[N], y[N], z[N];
    for (size_t i = 0; i < N; i++)
        x[i] = 1;
    den_node in = den_input(f.g, (struct den_shape){1, SIDE_D, SIDE_D, 1});
    den_node a = den_dropout(f.g, in, 0.25), b = den_dropout(f.g, in, 0.25);
    must(den_graph_finish(f.g, den_concat(f.g, a, b), DEN_FOR_TRAINING, &err));
    static den_real both[TWO_N];
    den_graph_set_input(f.g, in, x);
    den_graph_forward(f.g, true, 5);
    den_graph_get_output(f.g, both);
    size_t zeros = 0, same = 0;
    for (size_t i = 0; i < N; i++) {
        y[i] = both[2 * i];
        z[i] = both[2 * i + 1];
        zeros += y[i] < 0.5f;
        same += (y[i] < 0.5f) == (z[i] < 0.5f);
        ck_assert(y[i] < 1e-9f || fabs((double)y[i] - 4. / 3) < 1e-6);
    }
    /* five standard deviations of a binomial count */
    ck_assert(fabs((double)zeros - 0.25 * N) < 5 * sqrt(N * 0.25 * 0.75));
    ck_assert(fabs((double)same - 0.625 * N) < 5 * sqrt(N * 0.625 * 0.375));
    den_graph_forward(f.g, false, 5);
    den_graph_get_output(f.g, both);
    for (size_t i = 0; i < TWO_N; i++)
        close_to((double)both[i], 1, 0);
    free_graph(&f);
}
END_TEST

START_TEST(an_input_without_influence_has_a_zero_gradient)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_ref);
    den_node a = image(f.g, 2, 2, 1), b = image(f.g, 2, 2, 1);
    const den_real x[4] = {1, 2, 3, 4};
    den_real dx[4] = {9, 9, 9, 9};
    den_conv(f.g, "dead", b, 8, 1, 1, 0, true);
    must(den_graph_finish(f.g, den_tanh(f.g, a), DEN_FOR_TRAINING, &err));
    den_graph_set_input(f.g, a, x);
    den_graph_set_input(f.g, b, x);
    den_graph_forward(f.g, true, 0);
    den_graph_backward(f.g, x, true);
    den_graph_get_input_grad(f.g, b, dx);
    for (int i = 0; i < 4; i++)
        close_to((double)dx[i], 0, 0);
    den_graph_get_input_grad(f.g, a, dx);
    ck_assert(dx[0] > 0);
    free_graph(&f);
}
END_TEST

static size_t data_calls, weight_calls;

static void count_data(const struct den_exec *ex, struct den_conv_geom geom,
                       const struct den_view *dy, const den_real *w, const den_real *bias,
                       const struct den_view *dx, bool add)
{
    data_calls++;
    den_backend_ref.conv_backward_data(ex, geom, dy, w, bias, dx, add);
}

static void count_weights(const struct den_exec *ex, struct den_conv_geom geom,
                          const struct den_view *x, const struct den_view *dy,
                          den_real *dw)
{
    weight_calls++;
    den_backend_ref.conv_backward_weights(ex, geom, x, dy, dw);
}

START_TEST(backward_does_only_what_was_asked_for)
{
    static const struct {
        bool params, inputs;
        size_t data, weights;
    } rows[] = {{true, true, 3, 3}, {false, true, 3, 0}, {true, false, 2, 3}};
    const struct den_net_options o = {2, 1, 2, 1, false, false, false, DEN_WINOGRAD_AUTO,
                                      0};
    struct den_backend spy = den_backend_ref;
    spy.conv_backward_data = count_data;
    spy.conv_backward_weights = count_weights;
    struct net_case c =
        net_case_new(&spy, &den_net_patchgan, &o, (struct den_shape){1, 16, 16, 2},
                     DEN_FOR_TRAINING, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        net_case_run(&c, true);
        data_calls = weight_calls = 0;
        den_graph_set_input_grads(c.graph, rows[i].inputs);
        den_graph_backward(c.graph, c.dy, rows[i].params);
        ck_assert_uint_eq(data_calls, rows[i].data);
        ck_assert_uint_eq(weight_calls, rows[i].weights);
    }
    net_case_free(&c);
}
END_TEST

START_TEST(two_graphs_share_one_set_of_weights)
{
    struct den_err err = DEN_ERR_INIT;
    struct net_case c = make_unet(DEN_FOR_TRAINING);
    struct den_graph *other = NULL;
    const struct den_shape small = {1, 32, 32, 1};
    size_t before = den_params_size(c.params);
    must(den_graph_new(c.params, NULL, &other, &err));
    den_node in = den_input(other, small);
    den_node y = den_net_unet.build(other, in, &unet);
    must(den_graph_finish(other, y, DEN_FOR_INFERENCE, &err));
    ck_assert_uint_eq(den_params_size(c.params), before);
    den_real got[32 * 32], changed[32 * 32];
    den_graph_set_input(other, in, c.x);
    den_graph_forward(other, false, 0);
    den_graph_get_output(other, got);
    den_params_init(c.params, 77);
    den_graph_forward(other, false, 0);
    den_graph_get_output(other, changed);
    ck_assert_mem_ne(got, changed, sizeof got);
    den_graph_free(other);
    net_case_free(&c);
}
END_TEST

START_TEST(every_op_has_a_name_and_a_description)
{
    for (size_t i = 0; den_ops[i] != NULL; i++) {
        ck_assert_str_ne(den_ops[i]->name, "");
        ck_assert_str_ne(den_ops[i]->doc, "");
        ck_assert_uint_ge(den_ops[i]->inputs, 1);
        for (size_t j = 0; j < i; j++)
            ck_assert_str_ne(den_ops[i]->name, den_ops[j]->name);
    }
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
    Suite *suite = suite_create("graph");
    TCase *tcase = tcase_create("graph");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, a_wrong_net_is_refused_with_a_sentence, 0, ROWS(errors));
    tcase_add_test(tcase, the_first_error_sticks);
    tcase_add_test(tcase, batch_norm_of_a_single_value_is_refused_for_training_only);
    tcase_add_loop_test(tcase, sides_follow_the_formulas_of_pytorch, 0, ROWS(shapes));
    tcase_add_test(tcase, evaluation_does_not_depend_on_the_order_of_the_batch);
    tcase_add_test(tcase, gradients_are_added_and_steps_repeat_exactly);
    tcase_add_test(tcase, inference_takes_much_less_memory_than_training);
    tcase_add_test(tcase, an_allocation_that_fails_is_an_error_and_leaks_nothing);
    tcase_add_test(tcase, batch_norm_tracks_mean_variance_and_count);
    tcase_add_test(tcase, dropout_zeroes_about_p_and_keeps_the_mean);
    tcase_add_test(tcase, an_input_without_influence_has_a_zero_gradient);
    tcase_add_test(tcase, backward_does_only_what_was_asked_for);
    tcase_add_test(tcase, two_graphs_share_one_set_of_weights);
    tcase_add_test(tcase, every_op_has_a_name_and_a_description);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
