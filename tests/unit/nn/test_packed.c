#include <math.h>
#include <string.h>

#include "backend_cpu_winograd.h"
#include "den_check.h"
#include "mem.h"
#include "net.h"
#include "weights.h"

/* Graphs for inference keep the weights of convolutions in the backend's own order, and
 * the fast algorithms of convolutions add up in a whole net. */

struct fixture {
    struct den_params *params;
    struct den_graph *g;
    den_node x, y;
    struct den_shape in, out;
};

static struct fixture unet(struct den_params *params, size_t width, size_t depth,
                           enum den_winograd winograd, struct den_pool *pool)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_net_options options = {.channels_in = 1,
                                            .channels_out = 1,
                                            .width = width,
                                            .depth = depth,
                                            .tanh_output = true};
    struct fixture f = {.params = params, .in = {1, 64, 64, 1}};
    must(den_graph_new(params, pool, &f.g, &err));
    den_graph_set_winograd(f.g, winograd);
    f.x = den_input(f.g, f.in);
    f.y = den_net_unet.build(f.g, f.x, &options);
    must(den_graph_finish(f.g, f.y, DEN_FOR_INFERENCE, &err));
    f.out = den_graph_shape(f.g, f.y);
    return f;
}

static struct den_params *params_new(const struct den_backend *backend)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_params *params = NULL;
    must(den_params_new(backend, &params, &err));
    return params;
}

/* The output for a fixed image; free with den_free. */
static den_real *run_pass(struct fixture *f, bool training)
{
    size_t n = den_shape_count(f->in);
    den_real *image = den_calloc(n, sizeof *image);
    den_real *out = den_calloc(den_shape_count(f->out), sizeof *out);
    ck_assert(image != NULL && out != NULL);
    for (size_t i = 0; i < n; i++) {
        size_t row = i / f->in.w;
        image[i] = (den_real)(sin((double)i * 0.7) * cos((double)row * 0.3));
    }
    den_graph_set_input(f->g, f->x, image);
    den_graph_forward(f->g, training, 0);
    den_graph_get_output(f->g, out);
    den_free(image);
    return out;
}

static den_real *run(struct fixture *f)
{
    return run_pass(f, false);
}

static double gap(const den_real *a, const den_real *b, size_t n)
{
    double most = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        size = fmax(size, fabs((double)b[i]));
    }
    return most / size;
}

static void change_by_write(struct den_params *p)
{
    struct den_param *param = den_params_at(p, 2);
    den_real *data = den_calloc(param->count, sizeof *data);
    ck_assert_ptr_nonnull(data);
    den_param_read(p, param, data);
    for (size_t i = 0; i < param->count; i++)
        data[i] *= 2;
    den_param_write(p, param, data);
    den_free(data);
}

static void change_by_init(struct den_params *p)
{
    den_params_init(p, 8);
}

static void change_by_adam(struct den_params *p)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_params_train(p, &err));
    for (size_t i = 0; i < den_params_size(p); i++) {
        struct den_param *param = den_params_at(p, i);
        for (size_t e = 0; param->grad != NULL && e < param->count; e++)
            param->grad[e] = e % 3 == 0 ? 1 : -1;
    }
    struct den_exec ex = {.pool = NULL};
    struct den_adam adam = {0.01, 0.5, 0.999, 1e-8, 1};
    den_params_adam(p, &ex, &adam);
}

static void change_by_copy(struct den_params *p)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_params *other = params_new(&den_backend_cpu);
    struct fixture f = unet(other, 16, 5, DEN_WINOGRAD_AUTO, NULL);
    den_params_init(other, 99);
    must(den_params_copy(p, other, &err));
    den_graph_free(f.g);
    den_params_free(other);
}

static void (*const changes[])(struct den_params *p) = {change_by_write, change_by_init,
                                                        change_by_adam, change_by_copy};
enum { CHANGES = sizeof changes / sizeof changes[0] };

/* Both nets run before the change, so both have packed the old weights. */
START_TEST(a_graph_for_inference_follows_every_change_of_its_weights)
{
    struct den_params *params = params_new(&den_backend_cpu);
    struct fixture f = unet(params, 16, 5, DEN_WINOGRAD_AUTO, NULL);
    size_t n = den_shape_count(f.out);
    den_params_init(params, 7);
    den_real *before = run(&f);
    uint64_t version = den_params_version(params);
    changes[_i](params);
    ck_assert_uint_gt(den_params_version(params), version);
    den_real *after = run(&f);
    struct fixture fresh = unet(params, 16, 5, DEN_WINOGRAD_AUTO, NULL);
    den_real *want = run(&fresh);
    ck_assert(memcmp(after, want, n * sizeof *want) == 0);
    ck_assert(memcmp(after, before, n * sizeof *want) != 0);
    den_free(before);
    den_free(after);
    den_free(want);
    den_graph_free(f.g);
    den_graph_free(fresh.g);
    den_params_free(params);
}
END_TEST

/* Weights so large that signals keep their size [He et al., ICCV 2015], because small
 * ones would hide the deep layers behind the skip connections.  A pixel of a transposed
 * layer sees 4 of the 16 taps. */
static void init_he(struct den_params *params)
{
    den_params_init(params, 3);
    for (size_t i = 0; i < den_params_size(params); i++) {
        struct den_param *p = den_params_at(params, i);
        if (p->ndim != 4)
            continue;
        bool up = p->layout == DEN_LAYOUT_IOHW;
        double fan_in = up ? 4 * (double)p->dims[0] : 16 * (double)p->dims[1];
        den_real gain = (den_real)(sqrt(2 / fan_in) / 0.02);
        for (size_t e = 0; e < p->count; e++)
            p->value[e] *= gain;
    }
}

/* Relative to the largest output, of the paper's net with all its channels; every layer
 * that can takes the algorithm, also where it would not be chosen for its speed. */
START_TEST(a_whole_net_agrees_with_the_reference_in_every_mode)
{
    static const struct {
        enum den_winograd mode;
        size_t preferred;
        double tolerance;
    } modes[] = {
        {DEN_WINOGRAD_OFF, 0, 1e-5},
        {DEN_WINOGRAD_F22, 2, 1e-5},
        {DEN_WINOGRAD_AUTO, 0, 1e-4},
        {DEN_WINOGRAD_AUTO, 4, 1e-4},
    };
    enum { WIDTH = 64, DEPTH = 6 };
    need_slow();
    struct den_err err = DEN_ERR_INIT;
    struct den_params *exact = params_new(&den_backend_ref),
                      *params = params_new(&den_backend_cpu);
    struct fixture ref = unet(exact, WIDTH, DEPTH, DEN_WINOGRAD_OFF, NULL);
    init_he(exact);
    den_real *want = run(&ref);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        den_winograd_prefer(modes[i].preferred);
        struct fixture f = unet(params, WIDTH, DEPTH, modes[i].mode, NULL);
        must(den_params_copy(params, exact, &err));
        den_real *got = run(&f);
        double off = gap(got, want, den_shape_count(f.out));
        ck_assert_msg(off <= modes[i].tolerance, "mode %zu is off by %g", i, off);
        den_free(got);
        den_graph_free(f.g);
    }
    den_winograd_prefer(0);
    den_free(want);
    den_graph_free(ref.g);
    den_params_free(exact);
    den_params_free(params);
}
END_TEST

START_TEST(a_graph_that_takes_the_weights_gives_the_same_bytes_with_less_memory)
{
    static const enum den_winograd modes[] = {DEN_WINOGRAD_AUTO, DEN_WINOGRAD_F22,
                                              DEN_WINOGRAD_OFF};
    struct den_err err = DEN_ERR_INIT;
    struct den_params *params = params_new(&den_backend_cpu);
    struct fixture f = unet(params, 16, 5, modes[_i], NULL);
    size_t n = den_shape_count(f.out);
    den_params_init(params, 7);
    den_real *want = run(&f);
    den_graph_free(f.g);
    size_t live = den_mem_live(), largest, taken;
    const struct den_net_options options = {.channels_in = 1,
                                            .channels_out = 1,
                                            .width = 16,
                                            .depth = 5,
                                            .tanh_output = true};
    must(den_graph_new(params, NULL, &f.g, &err));
    den_graph_set_winograd(f.g, modes[_i]);
    den_graph_set_take_weights(f.g, true);
    f.x = den_input(f.g, f.in);
    f.y = den_net_unet.build(f.g, f.x, &options);
    den_mem_reset_peak();
    must(den_graph_finish(f.g, f.y, DEN_FOR_INFERENCE, &err));
    taken = den_graph_taken_bytes(f.g, &largest);
    ck_assert_uint_gt(taken, 4 * largest / 3);
    size_t bound = live + den_graph_bytes(f.g) - taken;
    ck_assert_uint_lt(den_mem_live(), bound + (64 << 10));
    ck_assert_uint_lt(den_mem_peak(), bound + largest + (64 << 10));
    size_t dropped = 0;
    for (size_t i = 0; i < den_params_size(params); i++)
        if (den_params_at(params, i)->value == NULL)
            dropped += den_params_at(params, i)->count * sizeof(den_real);
    ck_assert_uint_eq(dropped, taken);
    den_real *got = run(&f);
    ck_assert(memcmp(got, want, n * sizeof *want) == 0);

    struct den_tensor_writer *writer = NULL;
    must(den_tensor_writer_new(&writer, &err));
    must_fail(den_params_save(params, "", false, writer, &err), DEN_E_INTERNAL, "taken");
    den_tensor_writer_free(writer);
    must(den_params_undrop(params, &err)); /* zeros, which the graph must not pack */
    uint64_t version = den_params_version(params);
    must(den_params_copy(params, params, &err));
    ck_assert_uint_gt(den_params_version(params), version);
    den_real *again = run(&f);
    ck_assert(memcmp(again, want, n * sizeof *want) == 0);
    den_free(want);
    den_free(got);
    den_free(again);
    den_graph_free(f.g);
    den_params_free(params);
}
END_TEST

/* Two layers with the same weights: the second still needs them. */
START_TEST(weights_of_two_layers_are_not_taken)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_params *params = params_new(&den_backend_cpu);
    struct fixture f = {.params = params, .in = {1, 8, 8, 16}, .out = {1, 8, 8, 16}};
    must(den_graph_new(params, NULL, &f.g, &err));
    den_graph_set_take_weights(f.g, true);
    f.x = den_input(f.g, f.in);
    den_node y = den_conv(f.g, "a", f.x, 16, 3, 1, 1, false);
    f.y =
        den_conv(f.g, "b", den_conv(f.g, "a", y, 16, 3, 1, 1, false), 16, 3, 1, 1, false);
    must(den_graph_finish(f.g, f.y, DEN_FOR_INFERENCE, &err));
    ck_assert_ptr_nonnull(den_params_find(params, "a.weight")->value);
    ck_assert_ptr_null(den_params_find(params, "b.weight")->value);
    den_graph_free(f.g);
    den_params_free(params);
}
END_TEST

/* One convolution of 256 to 400 channels, whose weights a call transforms in parts. */
static struct fixture wide_layer(struct den_params *params, bool transposed,
                                 enum den_winograd mode, enum den_purpose purpose)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = {.params = params, .in = {1, 9, 11, 256}};
    must(den_graph_new(params, NULL, &f.g, &err));
    den_graph_set_winograd(f.g, mode);
    f.x = den_input(f.g, f.in);
    f.y = transposed ? den_convt(f.g, "a", f.x, 400, 4, 2, 1, true)
                     : den_conv(f.g, "a", f.x, 400, 4, 2, 1, true);
    must(den_graph_finish(f.g, f.y, purpose, &err));
    f.out = den_graph_shape(f.g, f.y);
    return f;
}

/* The gradient of the input for dy = y; free with den_free. */
static den_real *input_gradient(struct fixture *f)
{
    den_real *dx = den_calloc(den_shape_count(f->in), sizeof *dx), *y;
    ck_assert_ptr_nonnull(dx);
    y = run_pass(f, true);
    den_graph_backward(f->g, y, false);
    den_graph_get_input_grad(f->g, f->x, dx);
    den_free(y);
    return dx;
}

START_TEST(weights_transformed_in_parts_give_the_bytes_of_the_whole)
{
    bool transposed = _i == 1;
    struct den_params *params = params_new(&den_backend_cpu);
    den_winograd_prefer(4);
    struct fixture whole =
        wide_layer(params, transposed, DEN_WINOGRAD_AUTO, DEN_FOR_INFERENCE);
    struct fixture parts =
        wide_layer(params, transposed, DEN_WINOGRAD_AUTO, DEN_FOR_TRAINING);
    struct fixture plain =
        wide_layer(params, transposed, DEN_WINOGRAD_OFF, DEN_FOR_TRAINING);
    ck_assert_uint_gt(den_graph_bytes(whole.g), (size_t)40 << 20);
    ck_assert_uint_lt(den_graph_bytes(parts.g), (size_t)40 << 20);
    den_params_init(params, 5);
    den_real *want = run(&whole), *got = run(&parts);
    ck_assert_mem_eq(got, want, den_shape_count(whole.out) * sizeof *got);
    den_real *dx = input_gradient(&parts), *want_dx = input_gradient(&plain);
    ck_assert(gap(dx, want_dx, den_shape_count(parts.in)) < 1e-4);
    den_winograd_prefer(0);
    den_real *const all[] = {want, got, dx, want_dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        den_free(all[i]);
    den_graph_free(whole.g);
    den_graph_free(parts.g);
    den_graph_free(plain.g);
    den_params_free(params);
}
END_TEST

START_TEST(packed_weights_are_part_of_the_planned_bytes)
{
    struct den_params *params = params_new(&den_backend_cpu);
    struct fixture f = unet(params, 16, 5, DEN_WINOGRAD_OFF, NULL);
    size_t weights = 0;
    for (size_t i = 0; i < den_params_size(params); i++)
        if (den_params_at(params, i)->ndim == 4)
            weights += den_params_at(params, i)->count * sizeof(den_real);
    ck_assert_uint_gt(den_graph_bytes(f.g), weights);
    den_graph_free(f.g);
    den_params_free(params);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("packed weights");
    TCase *tc = tcase_create("packed");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, a_graph_for_inference_follows_every_change_of_its_weights, 0,
                        CHANGES);
    tcase_add_test(tc, a_whole_net_agrees_with_the_reference_in_every_mode);
    tcase_add_loop_test(
        tc, a_graph_that_takes_the_weights_gives_the_same_bytes_with_less_memory, 0, 3);
    tcase_add_test(tc, weights_of_two_layers_are_not_taken);
    tcase_add_loop_test(tc, weights_transformed_in_parts_give_the_bytes_of_the_whole, 0,
                        2);
    tcase_add_test(tc, packed_weights_are_part_of_the_planned_bytes);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
