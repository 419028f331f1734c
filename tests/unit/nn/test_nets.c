#include <string.h>

#include "net_vectors.h"
#include "str.h"

/* ---- sizes ---- */

static const struct {
    const char *what;
    const struct den_net *net;
    struct den_net_options options;
    size_t side, parameters, map;
} sizes[] = {
    {"U-Net, 7 downs",
     &den_net_unet,
     {1, 1, 64, 7, false, true, true, DEN_WINOGRAD_AUTO, 0},
     256,
     41822849,
     256},
    {"U-Net, 8 downs",
     &den_net_unet,
     {1, 1, 64, 8, false, true, true, DEN_WINOGRAD_AUTO, 0},
     256,
     54407809,
     256},
    {"U-Net, instance norm",
     &den_net_unet,
     {1, 1, 64, 7, true, false, false, DEN_WINOGRAD_AUTO, 0},
     256,
     41819521,
     256},
    {"PatchGAN on 256",
     &den_net_patchgan,
     {2, 1, 64, 3, false, false, false, DEN_WINOGRAD_AUTO, 0},
     256,
     2764609,
     30},
    {"PatchGAN on 128",
     &den_net_patchgan,
     {2, 1, 64, 3, false, false, false, DEN_WINOGRAD_AUTO, 0},
     128,
     2764609,
     14},
    {"PatchGAN on 64",
     &den_net_patchgan,
     {2, 1, 64, 3, false, false, false, DEN_WINOGRAD_AUTO, 0},
     64,
     2764609,
     6},
    {"PatchGAN, instance norm",
     &den_net_patchgan,
     {2, 1, 64, 3, true, false, false, DEN_WINOGRAD_AUTO, 0},
     64,
     2763713,
     6},
    /* the defaults of CSBDeep; by hand 9 (1 32 + 32 32 + 32 64 + 64 64 + 64 128 + 128 64
     * + 128 64 + 64 32 + 64 32 + 32 32) + 32 weights and 545 biases; 25 instead of 9 */
    {"CARE, 3 x 3",
     &den_net_care,
     {1, 1, 32, 2, false, false, false, DEN_WINOGRAD_AUTO, 3},
     64,
     332641,
     64},
    {"CARE, 5 x 5",
     &den_net_care,
     {1, 1, 32, 2, false, false, false, DEN_WINOGRAD_AUTO, 5},
     64,
     922977,
     64},
    {"CARE, one down",
     &den_net_care,
     {1, 1, 2, 1, false, false, false, DEN_WINOGRAD_AUTO, 3},
     6,
     9 * (2 + 4 + 8 + 8 + 8 + 4) + 2 + 2 + 2 + 4 + 2 + 2 + 2 + 1,
     6},
};

START_TEST(parameter_counts_and_map_sizes_are_those_of_the_papers)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_params *params = NULL;
    struct den_graph *g = NULL;
    must(den_params_new(&den_backend_ref, &params, &err));
    must(den_graph_new(params, NULL, &g, &err));
    const struct den_net_options *o = &sizes[_i].options;
    size_t side = sizes[_i].side, bytes = 0;
    must(sizes[_i].net->check(o, &err));
    den_node x = den_input(g, (struct den_shape){1, side, side, o->channels_in});
    den_node y = sizes[_i].net->build(g, x, o);
    must(den_graph_plan(g, y, DEN_FOR_INFERENCE, &bytes, &err));
    ck_assert_uint_eq(den_params_count(params), sizes[_i].parameters);
    ck_assert_uint_eq(den_graph_shape(g, y).h, sizes[_i].map);
    ck_assert_uint_eq(den_graph_shape(g, y).w, sizes[_i].map);
    ck_assert_uint_eq(den_graph_shape(g, y).c, 1);
    den_graph_free(g);
    den_params_free(params);
}
END_TEST

/* ---- names ---- */

/* state_dict() of UnetGenerator(1, 1, 5, 4) and NLayerDiscriminator(2, 4, 1), batch norm;
 * a norm stands for its five tensors. */
#define SUB "model.model.1.model."
#define IN "3.model."
static const char *const unet_names[] = {"model.model.0.weight",
                                         SUB "1.weight",
                                         SUB "2",
                                         SUB IN "1.weight",
                                         SUB IN "2",
                                         SUB IN IN "1.weight",
                                         SUB IN IN "2",
                                         SUB IN IN IN "1.weight",
                                         SUB IN IN IN "3.weight",
                                         SUB IN IN IN "4",
                                         SUB IN IN "5.weight",
                                         SUB IN IN "6",
                                         SUB IN "5.weight",
                                         SUB IN "6",
                                         SUB "5.weight",
                                         SUB "6",
                                         "model.model.3.weight",
                                         "model.model.3.bias",
                                         NULL};
static const char *const patchgan_names[] = {"model.0.weight",
                                             "model.0.bias",
                                             "model.2.weight",
                                             "model.3",
                                             "model.5.weight",
                                             "model.5.bias",
                                             NULL};

static const char *const care_names[] = {"down.0.0.weight",
                                         "down.0.0.bias",
                                         "down.0.1.weight",
                                         "down.0.1.bias",
                                         "down.1.0.weight",
                                         "down.1.0.bias",
                                         "down.1.1.weight",
                                         "down.1.1.bias",
                                         "middle.0.weight",
                                         "middle.0.bias",
                                         "middle.1.weight",
                                         "middle.1.bias",
                                         "up.1.0.weight",
                                         "up.1.0.bias",
                                         "up.1.1.weight",
                                         "up.1.1.bias",
                                         "up.0.0.weight",
                                         "up.0.0.bias",
                                         "up.0.1.weight",
                                         "up.0.1.bias",
                                         "out.weight",
                                         "out.bias",
                                         NULL};

static void check_names(struct den_params *params, const char *const *names)
{
    static const char *const norm[] = {"weight", "bias", "running_mean", "running_var",
                                       "num_batches_tracked"};
    size_t at = 0;
    for (; *names != NULL; names++) {
        bool is_norm = !den_str_ends(*names, "weight") && !den_str_ends(*names, "bias");
        for (size_t i = 0; i < (is_norm ? 5 : 1); i++) {
            char want[128];
            ck_assert(den_str_format(want, sizeof want, "%s%s%s", *names,
                                     is_norm ? "." : "", is_norm ? norm[i] : ""));
            ck_assert_uint_lt(at, den_params_size(params));
            ck_assert_str_eq(den_params_at(params, at++)->name, want);
        }
    }
    ck_assert_uint_eq(at, den_params_size(params));
}

START_TEST(parameters_have_pytorchs_names_in_its_order)
{
    const struct den_net_options u = {1, 1, 4, 5, false, false, true, DEN_WINOGRAD_AUTO,
                                      0};
    const struct den_net_options d = {2, 1, 4, 1, false, false, false, DEN_WINOGRAD_AUTO,
                                      0};
    struct net_case unet =
        net_case_new(&den_backend_ref, &den_net_unet, &u,
                     (struct den_shape){1, 32, 32, 1}, DEN_FOR_INFERENCE, 1);
    struct net_case patchgan =
        net_case_new(&den_backend_ref, &den_net_patchgan, &d,
                     (struct den_shape){1, 32, 32, 2}, DEN_FOR_INFERENCE, 1);
    const struct den_net_options r = {1, 1, 4, 2, false, false, false, DEN_WINOGRAD_AUTO,
                                      3};
    struct net_case care =
        net_case_new(&den_backend_ref, &den_net_care, &r, (struct den_shape){1, 8, 8, 1},
                     DEN_FOR_INFERENCE, 1);
    check_names(care.params, care_names);
    net_case_free(&care);
    check_names(unet.params, unet_names);
    check_names(patchgan.params, patchgan_names);
    net_case_free(&unet);
    net_case_free(&patchgan);
}
END_TEST

/* ---- values ---- */

START_TEST(unet_agrees_with_pytorch_on_every_backend)
{
    for (size_t i = 0; den_backends[i] != NULL; i++)
        check_unet_vector(den_backends[i], 2e-5);
}
END_TEST

START_TEST(patchgan_agrees_with_pytorch_on_every_backend)
{
    for (size_t i = 0; den_backends[i] != NULL; i++)
        check_patchgan_vector(den_backends[i], 1e-5);
}
END_TEST

/* Expected values from a plain program of its own, in double, on numbers of vectors.h. */
static const struct {
    size_t kernel;
    double sum, sumsq, first, last, change;
} care_values[] = {
    {3, 10.6039134921, 269.749074164, -0.491611044088, -0.802638710362, 0.273032687584},
    {5, 15.0141954745, 269.441149243, -0.485546091604, -0.792144348751, 0.634335125373},
};

static void check_care(const struct den_backend *be, enum den_purpose purpose, int row)
{
    const struct den_net_options o = {.channels_in = 1,
                                      .channels_out = 1,
                                      .width = 4,
                                      .depth = 2,
                                      .kernel = care_values[row].kernel};
    struct net_case c = net_case_new(be, &den_net_care, &o,
                                     (struct den_shape){2, 16, 24, 1}, purpose, 21);
    struct lcg g = {22};
    double change = 0;
    lcg_fill(&g, c.x, c.in_count, 1);
    net_case_run(&c, purpose == DEN_FOR_TRAINING);
    ck_assert_uint_eq(c.out_count, c.in_count);
    close_to(sum_of(c.y, c.out_count), care_values[row].sum, 1e-4);
    close_to(sumsq_of(c.y, c.out_count), care_values[row].sumsq, 1e-4);
    close_to((double)c.y[0], care_values[row].first, 1e-6);
    close_to((double)c.y[c.out_count - 1], care_values[row].last, 1e-6);
    for (size_t i = 0; i < c.out_count; i++)
        change += pow((double)c.y[i] - (double)c.x[i], 2);
    close_to(change, care_values[row].change, 1e-5);
    net_case_free(&c);
}

START_TEST(care_agrees_with_plain_arithmetic_on_every_backend)
{
    for (size_t i = 0; den_backends[i] != NULL; i++) {
        check_care(den_backends[i], DEN_FOR_TRAINING, _i);
        check_care(den_backends[i], DEN_FOR_INFERENCE, _i);
    }
}
END_TEST

START_TEST(care_with_weights_of_zero_gives_its_input_back)
{
    const struct den_net_options o = {
        .channels_in = 2, .channels_out = 2, .width = 3, .depth = 3, .kernel = 3};
    struct net_case c =
        net_case_new(&den_backend_cpu, &den_net_care, &o, (struct den_shape){2, 16, 8, 2},
                     DEN_FOR_INFERENCE, 3);
    struct lcg g = {4};
    lcg_fill(&g, c.x, c.in_count, 1);
    net_case_run(&c, false);
    ck_assert_mem_ne(c.y, c.x, c.in_count * sizeof *c.x);
    den_real *zeros = den_calloc(1 << 16, sizeof *zeros);
    for (size_t i = 0; i < den_params_size(c.params); i++)
        den_param_write(c.params, den_params_at(c.params, i), zeros);
    net_case_run(&c, false);
    ck_assert_mem_eq(c.y, c.x, c.in_count * sizeof *c.x);
    den_free(zeros);
    net_case_free(&c);
}
END_TEST

/* ---- options ---- */

static const struct {
    const struct den_net *net;
    struct den_net_options options;
    const char *field, *words;
} bad_options[] = {
    {&den_net_unet, {1, 1, 16, 4, 0, 0, 0, 0, 0}, "depth", "is 4; allowed are 5 to 8"},
    {&den_net_unet, {1, 1, 16, 9, 0, 0, 0, 0, 0}, "depth", "is 9; allowed are 5 to 8"},
    {&den_net_unet, {1, 1, 0, 5, 0, 0, 0, 0, 0}, "width", "is 0; allowed are 1 to 512"},
    {&den_net_unet, {1, 1, 513, 5, 0, 0, 0, 0, 0}, "width", "is 513"},
    {&den_net_unet, {0, 1, 16, 5, 0, 0, 0, 0, 0}, "channels_in", "is 0"},
    {&den_net_unet, {1, 65, 16, 5, 0, 0, 0, 0, 0}, "channels_out", "is 65"},
    {&den_net_care, {1, 1, 16, 0, 0, 0, 0, 0, 3}, "depth", "is 0; allowed are 1 to 5"},
    {&den_net_care, {1, 1, 16, 6, 0, 0, 0, 0, 3}, "depth", "is 6; allowed are 1 to 5"},
    {&den_net_care, {1, 1, 16, 2, 0, 0, 0, 0, 4}, "kernel", "3 or 5 pixels wide, not 4"},
    {&den_net_care, {1, 1, 16, 2, 0, 0, 0, 0, 0}, "kernel", "3 or 5 pixels wide, not 0"},
    {&den_net_care, {1, 2, 16, 2, 0, 0, 0, 0, 3}, "channels_out", "2 channels from 1"},
    {&den_net_care, {1, 1, 16, 2, 0, 1, 0, 0, 3}, "dropout", "has no dropout"},
    {&den_net_care, {1, 1, 16, 2, 0, 0, 1, 0, 3}, "output", "a linear output"},
    {&den_net_patchgan,
     {2, 1, 16, 0, 0, 0, 0, 0, 0},
     "depth",
     "is 0; allowed are 1 to 5"},
    {&den_net_patchgan,
     {2, 1, 16, 6, 0, 0, 0, 0, 0},
     "depth",
     "is 6; allowed are 1 to 5"},
};

START_TEST(options_out_of_range_are_refused_with_the_range)
{
    struct den_err err = DEN_ERR_INIT;
    ck_assert(!bad_options[_i].net->check(&bad_options[_i].options, &err));
    ck_assert_int_eq(err.code, DEN_E_INVALID);
    ck_assert_str_eq(err.field, bad_options[_i].field);
    ck_assert_ptr_nonnull(strstr(err.text, bad_options[_i].words));
}
END_TEST

START_TEST(every_allowed_depth_builds_on_its_smallest_image)
{
    for (size_t depth = 5; depth <= 8; depth++)
        for (int instance = 0; instance < 2; instance++) {
            struct den_net_options o = {
                1, 3, 2, depth, instance, true, false, DEN_WINOGRAD_AUTO, 0};
            struct den_err err = DEN_ERR_INIT;
            size_t side = den_net_unet.multiple_of(&o);
            must(den_net_unet.check(&o, &err));
            ck_assert_uint_eq(side, (size_t)1 << depth);
            struct net_case c =
                net_case_new(&den_backend_ref, &den_net_unet, &o,
                             (struct den_shape){1, side, side, 1}, DEN_FOR_TRAINING, 1);
            ck_assert_uint_eq(c.out_count, side * side * 3);
            net_case_free(&c);
        }
}
END_TEST

START_TEST(a_side_that_is_no_multiple_is_refused_with_a_sentence)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_params *params = NULL;
    struct den_graph *g = NULL;
    const struct den_net_options o = {1, 1, 4, 5, false, false, true, DEN_WINOGRAD_AUTO,
                                      0};
    must(den_params_new(&den_backend_ref, &params, &err));
    must(den_graph_new(params, NULL, &g, &err));
    den_node y =
        den_net_unet.build(g, den_input(g, (struct den_shape){1, 40, 32, 1}), &o);
    must_fail(den_graph_finish(g, y, DEN_FOR_INFERENCE, &err), DEN_E_INVALID,
              "concat: maps of 5 x 4 and 4 x 4 differ");
    den_graph_free(g);
    den_params_free(params);
}
END_TEST

START_TEST(dropout_sits_on_depth_minus_five_blocks)
{
    /* In training mode two keys differ exactly when there is a dropout. */
    for (size_t depth = 5; depth <= 6; depth++) {
        const struct den_net_options o = {
            1, 1, 4, depth, false, true, false, DEN_WINOGRAD_AUTO, 0};
        struct net_case c =
            net_case_new(&den_backend_ref, &den_net_unet, &o,
                         (struct den_shape){1, 64, 64, 1}, DEN_FOR_TRAINING, 3);
        struct lcg g = {4};
        lcg_fill(&g, c.x, c.in_count, 1);
        double sums[3];
        for (uint64_t key = 0; key < 3; key++) {
            den_graph_set_input(c.graph, c.in, c.x);
            den_graph_forward(c.graph, true, key / 2); /* keys 0, 0, 1 */
            den_graph_get_output(c.graph, c.y);
            sums[key] = sumsq_of(c.y, c.out_count);
        }
        close_to(sums[1], sums[0], 0);
        ck_assert_int_eq(fabs(sums[2] - sums[0]) > 1e-6 * sums[0], depth == 6);
        net_case_free(&c);
    }
}
END_TEST

START_TEST(nets_are_found_by_name)
{
    ck_assert_ptr_eq(den_net_find("unet"), &den_net_unet);
    ck_assert_ptr_eq(den_net_find("patchgan"), &den_net_patchgan);
    ck_assert_ptr_eq(den_net_find("care"), &den_net_care);
    ck_assert_ptr_null(den_net_find("resnet"));
    for (size_t i = 0; den_nets[i] != NULL; i++)
        ck_assert_ptr_eq(den_net_find(den_nets[i]->name), den_nets[i]);
}
END_TEST

/* ---- parameter sets ---- */

START_TEST(initial_values_follow_pix2pix_and_the_seed)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_net_options o = {1, 1, 8, 5, false, false, true, DEN_WINOGRAD_AUTO,
                                      0};
    struct net_case a =
        net_case_new(&den_backend_ref, &den_net_unet, &o,
                     (struct den_shape){1, 32, 32, 1}, DEN_FOR_INFERENCE, 1);
    struct net_case b =
        net_case_new(&den_backend_ref, &den_net_unet, &o,
                     (struct den_shape){1, 32, 32, 1}, DEN_FOR_INFERENCE, 1);
    den_params_init(a.params, 5);
    den_params_init(b.params, 5);
    for (size_t i = 0; i < den_params_size(a.params); i++) {
        const struct den_param *p = den_params_at(a.params, i);
        double n = (double)p->count, mean = sum_of(p->value, p->count) / n;
        double deviation = sqrt(fmax(0, sumsq_of(p->value, p->count) / n - mean * mean));
        ck_assert_mem_eq(p->value, den_params_at(b.params, i)->value,
                         p->count * sizeof *p->value);
        double centre = p->init == DEN_INIT_ONE || p->init == DEN_INIT_GAMMA ? 1 : 0;
        bool drawn = p->init == DEN_INIT_CONV || p->init == DEN_INIT_GAMMA;
        /* five standard errors of mean and deviation */
        double spread = drawn ? 0.02 : 0, slack = drawn ? 5 * 0.02 / sqrt(n) : 0;
        ck_assert_msg(fabs(mean - centre) <= slack + 1e-7, "%s: mean %g", p->name, mean);
        ck_assert_msg(fabs(deviation - spread) <= slack + 1e-7, "%s: deviation %g",
                      p->name, deviation);
    }
    den_params_init(b.params, 6);
    const struct den_param *p = den_params_at(a.params, 0),
                           *q = den_params_at(b.params, 0);
    ck_assert_mem_ne(p->value, q->value, p->count * sizeof *p->value);
    must(den_params_copy(b.params, a.params, &err));
    ck_assert_mem_eq(p->value, q->value, p->count * sizeof *p->value);
    net_case_free(&a);
    net_case_free(&b);
}
END_TEST

/* The variance of a uniform number within +-b is b^2 / 3. */
START_TEST(weights_of_care_begin_uniform_and_biases_as_zero)
{
    const struct den_net_options o = {
        .channels_in = 1, .channels_out = 1, .width = 16, .depth = 2, .kernel = 3};
    struct net_case c =
        net_case_new(&den_backend_ref, &den_net_care, &o, (struct den_shape){1, 4, 4, 1},
                     DEN_FOR_INFERENCE, 1);
    den_params_init(c.params, 5);
    for (size_t i = 0; i < den_params_size(c.params); i++) {
        const struct den_param *p = den_params_at(c.params, i);
        double n = (double)p->count, most = 0, square = sumsq_of(p->value, p->count) / n;
        for (size_t k = 0; k < p->count; k++)
            most = fmax(most, fabs((double)p->value[k]));
        if (p->ndim == 1) {
            close_to(most, 0, 0);
            continue;
        }
        double fans = (double)((p->dims[0] + p->dims[1]) * p->dims[2] * p->dims[3]);
        double bound = sqrt(6 / fans);
        ck_assert_msg(most <= bound * (1 + 1e-6), "%s: %g", p->name, most);
        /* five standard errors: that of u^2 / b^2 is sqrt(4 / 45 / n) */
        ck_assert_msg(fabs(3 * square / (bound * bound) - 1) <= 15 * sqrt(4.0 / 45 / n),
                      "%s: mean square %g", p->name, square);
        ck_assert_msg(fabs(sum_of(p->value, p->count) / n) <= 5 * bound / sqrt(3 * n),
                      "%s", p->name);
    }
    net_case_free(&c);
}
END_TEST

START_TEST(sets_of_different_structure_are_not_copied)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_shape shape = {1, 32, 32, 2};
    const struct den_net_options small = {
        2, 1, 2, 2, false, false, false, DEN_WINOGRAD_AUTO, 0};
    const struct den_net_options wide = {
        2, 1, 4, 2, false, false, false, DEN_WINOGRAD_AUTO, 0};
    const struct den_net_options deep = {
        2, 1, 2, 3, false, false, false, DEN_WINOGRAD_AUTO, 0};
    struct net_case a = net_case_new(&den_backend_ref, &den_net_patchgan, &small, shape,
                                     DEN_FOR_INFERENCE, 1);
    struct net_case b = net_case_new(&den_backend_ref, &den_net_patchgan, &wide, shape,
                                     DEN_FOR_INFERENCE, 1);
    struct net_case c = net_case_new(&den_backend_ref, &den_net_patchgan, &deep, shape,
                                     DEN_FOR_INFERENCE, 1);
    must_fail(den_params_copy(b.params, a.params, &err), DEN_E_INVALID, "model.0.weight");
    must_fail(den_params_copy(c.params, a.params, &err), DEN_E_INVALID, "parameters");
    net_case_free(&a);
    net_case_free(&b);
    net_case_free(&c);
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
    Suite *suite = suite_create("nets");
    TCase *tcase = tcase_create("nets");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, parameter_counts_and_map_sizes_are_those_of_the_papers, 0,
                        ROWS(sizes));
    tcase_add_test(tcase, parameters_have_pytorchs_names_in_its_order);
    tcase_add_test(tcase, unet_agrees_with_pytorch_on_every_backend);
    tcase_add_test(tcase, patchgan_agrees_with_pytorch_on_every_backend);
    tcase_add_loop_test(tcase, care_agrees_with_plain_arithmetic_on_every_backend, 0,
                        ROWS(care_values));
    tcase_add_test(tcase, care_with_weights_of_zero_gives_its_input_back);
    tcase_add_loop_test(tcase, options_out_of_range_are_refused_with_the_range, 0,
                        ROWS(bad_options));
    tcase_add_test(tcase, every_allowed_depth_builds_on_its_smallest_image);
    tcase_add_test(tcase, a_side_that_is_no_multiple_is_refused_with_a_sentence);
    tcase_add_test(tcase, dropout_sits_on_depth_minus_five_blocks);
    tcase_add_test(tcase, nets_are_found_by_name);
    tcase_add_test(tcase, initial_values_follow_pix2pix_and_the_seed);
    tcase_add_test(tcase, weights_of_care_begin_uniform_and_biases_as_zero);
    tcase_add_test(tcase, sets_of_different_structure_are_not_copied);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
