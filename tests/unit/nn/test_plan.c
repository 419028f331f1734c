#include <math.h>

#include "graph_case.h"
#include "net_vectors.h"
#include "rng.h"
#include "str.h"

/* The memory plan: whatever is joined, overwritten or shared, the numbers stay. */

/* Any op on any earlier nodes, so that joins are nested, shared, copied, read later and
 * overwritten in every combination.  Sides stay 4 x 4. */
static den_node random_node(struct den_graph *g, struct den_rng *rng, int i,
                            const den_node *nodes, size_t n)
{
    /* mostly recent ones, so that chains form */
    den_node x = nodes[den_rng_below(rng, 2) == 0 ? n - 1 : den_rng_below(rng, n)];
    den_node y = nodes[den_rng_below(rng, n)];
    size_t cx = den_graph_shape(g, x).c, cy = den_graph_shape(g, y).c;
    char name[16];
    ck_assert(den_str_format(name, sizeof name, "n%d", i));
    switch (den_rng_below(rng, 10)) {
    case 0:
        return den_conv(g, name, x, 1 + den_rng_below(rng, 4), 3, 1, 1, true);
    case 1:
        return den_convt(g, name, x, 1 + den_rng_below(rng, 4), 3, 1, 1, true);
    case 2:
        return den_conv(g, name, x, 1 + den_rng_below(rng, 4), 5, 1, 2, false);
    case 3:
        return den_leaky_relu(g, x, 0.25 * (double)den_rng_below(rng, 3));
    case 4:
        return den_tanh(g, x);
    case 5:
        return den_dropout(g, x, 0.5);
    case 6:
        return den_batch_norm(g, name, x);
    case 7:
        return den_instance_norm(g, x);
    case 8:
        return cx == cy ? den_add(g, x, y) : den_tanh(g, y);
    default:
        return cx + cy <= 12 ? den_concat(g, x, y) : den_leaky_relu(g, y, 0.5);
    }
}

enum { STEPS = 14, SIDE = 4, IMAGES = 2, IN_C = 2, CHANNELS = 12 };
enum {
    MAP = IMAGES * SIDE * SIDE,
    IN_COUNT = MAP * IN_C, /* of one of the two inputs */
    BOTH_IN = 2 * IN_COUNT,
    OUT_MAX = MAP * CHANNELS,
};

struct built {
    struct fixture f;
    den_node in[2], out;
    size_t out_count;
};

static struct built random_graph(const struct den_backend *backend, uint64_t seed,
                                 enum den_purpose purpose, bool fusion)
{
    struct den_err err = DEN_ERR_INIT;
    struct built b = {.f = new_graph(backend)};
    struct den_rng rng;
    den_node nodes[STEPS + 2];
    den_rng_seed(&rng, seed, 1, 1);
    for (int k = 0; k < 2; k++)
        nodes[k] = b.in[k] =
            den_input(b.f.g, (struct den_shape){IMAGES, SIDE, SIDE, IN_C});
    for (int i = 2; i < STEPS + 2; i++)
        nodes[i] = random_node(b.f.g, &rng, i, nodes, (size_t)i);
    b.out = nodes[STEPS + 1 - den_rng_below(&rng, 3)];
    den_graph_set_fusion(b.f.g, fusion);
    size_t bytes = 0;
    must(den_graph_plan(b.f.g, b.out, purpose, &bytes, &err));
    must(den_graph_finish(b.f.g, b.out, purpose, &err));
    ck_assert_uint_eq(bytes, den_graph_bytes(b.f.g));
    must(den_params_train(b.f.params, &err));
    fill_params(b.f.params, 3);
    b.out_count = den_shape_count(den_graph_shape(b.f.g, b.out));
    ck_assert_uint_le(b.out_count, OUT_MAX);
    return b;
}

static void run(struct built *b, bool training, den_real *y)
{
    struct lcg g = {8};
    for (int k = 0; k < 2; k++) {
        den_real x[IN_COUNT];
        lcg_fill(&g, x, IN_COUNT, 1);
        den_graph_set_input(b->f.g, b->in[k], x);
    }
    den_graph_forward(b->f.g, training, 99);
    den_graph_get_output(b->f.g, y);
}

/* dx [2][IN_COUNT], or NULL when the inputs' gradients are not wanted. */
static void backward(struct built *b, bool param_grads, den_real *dx)
{
    struct lcg g = {9};
    den_real dy[OUT_MAX];
    lcg_fill(&g, dy, b->out_count, 1);
    den_params_zero_grad(b->f.params);
    den_graph_set_input_grads(b->f.g, dx != NULL);
    den_graph_backward(b->f.g, dy, param_grads);
    for (size_t k = 0; dx != NULL && k < 2; k++)
        den_graph_get_input_grad(b->f.g, b->in[k], dx + k * IN_COUNT);
}

static void all_close(const char *what, const den_real *got, const den_real *want,
                      size_t n)
{
    double scale = sqrt(sumsq_of(want, n) / (double)n);
    for (size_t i = 0; i < n; i++) {
        double gap = fabs((double)got[i] - (double)want[i]);
        ck_assert_msg(gap <= 1e-5 * (scale + 1e-3), "%s: element %zu is %g, want %g",
                      what, i, (double)got[i], (double)want[i]);
    }
}

/* The values are gone after a backward pass. */
static void both_run(struct built *got, struct built *plain)
{
    den_real y[OUT_MAX], want[OUT_MAX];
    run(got, true, y);
    run(plain, true, want);
    all_close("output", y, want, got->out_count);
}

/* Everything that `got` makes, against the plain plan. */
static void same_as_plain(struct built *got, struct built *plain)
{
    den_real y[OUT_MAX], want[OUT_MAX], dx[BOTH_IN], want_dx[BOTH_IN];
    /* twice: nothing may be left over from the step before */
    for (int step = 0; step < 2; step++) {
        both_run(got, plain);
        backward(got, true, dx);
        backward(plain, true, want_dx);
        all_close("input gradient", dx, want_dx, BOTH_IN);
        for (size_t i = 0; i < den_params_size(got->f.params); i++) {
            const struct den_param *p = den_params_at(got->f.params, i);
            const struct den_param *q = den_params_at(plain->f.params, i);
            all_close(p->name, p->value, q->value, p->count);
            if (p->grad != NULL)
                all_close(p->name, p->grad, q->grad, p->count);
        }
        double norm = den_params_grad_norm(got->f.params);
        both_run(got, plain);
        backward(plain, true, want_dx);
        backward(got, false, dx);
        all_close("input gradient, frozen", dx, want_dx, BOTH_IN);
        ck_assert(den_params_grad_norm(got->f.params) <= 0);
        both_run(got, plain);
        backward(got, true, NULL);
        close_to(den_params_grad_norm(got->f.params), norm, 0);
    }
    run(got, false, y);
    run(plain, false, want);
    all_close("output in evaluation", y, want, got->out_count);
}

enum { GRAPHS = 300 };

START_TEST(a_fused_plan_computes_what_the_plain_one_does)
{
    size_t smaller = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++) {
        struct built fused = random_graph(&den_backend_ref, seed, DEN_FOR_TRAINING, true);
        struct built plain =
            random_graph(&den_backend_ref, seed, DEN_FOR_TRAINING, false);
        same_as_plain(&fused, &plain);
        ck_assert_uint_le(den_graph_bytes(fused.f.g), den_graph_bytes(plain.f.g));
        smaller += den_graph_bytes(fused.f.g) < den_graph_bytes(plain.f.g);
        free_graph(&fused.f);
        free_graph(&plain.f);
    }
    ck_assert_uint_gt(smaller, GRAPHS / 2);
}
END_TEST

START_TEST(every_backend_runs_fused_plans)
{
    for (size_t i = 0; den_backends[i] != NULL; i++)
        for (uint64_t seed = 1000; seed < 1050; seed++) {
            struct built fused =
                random_graph(den_backends[i], seed, DEN_FOR_TRAINING, true);
            struct built plain =
                random_graph(&den_backend_ref, seed, DEN_FOR_TRAINING, false);
            den_real y[OUT_MAX], want[OUT_MAX];
            run(&fused, true, y);
            run(&plain, true, want);
            for (size_t e = 0; e < fused.out_count; e++)
                close_to((double)y[e], (double)want[e], 1e-3);
            free_graph(&fused.f);
            free_graph(&plain.f);
        }
}
END_TEST

/* Returns whether the lean plan took less than a third of the plain one's memory. */
static bool inference_is_the_same(const struct den_backend *backend, uint64_t seed,
                                  double tolerance)
{
    den_real y[OUT_MAX], want[OUT_MAX];
    struct built lean = random_graph(backend, seed, DEN_FOR_INFERENCE, true);
    struct built plain = random_graph(&den_backend_ref, seed, DEN_FOR_TRAINING, false);
    for (int step = 0; step < 2; step++) { /* also after the first has left its traces */
        run(&lean, false, y);
        run(&plain, false, want);
        for (size_t i = 0; i < lean.out_count; i++)
            close_to((double)y[i], (double)want[i], tolerance);
    }
    bool small = 3 * den_graph_bytes(lean.f.g) < den_graph_bytes(plain.f.g);
    free_graph(&lean.f);
    free_graph(&plain.f);
    return small;
}

START_TEST(inference_on_shared_memory_equals_the_plain_forward_pass)
{
    size_t small = 0;
    for (uint64_t seed = 0; seed < GRAPHS; seed++)
        small += inference_is_the_same(&den_backend_ref, seed, 1e-6);
    ck_assert_uint_gt(small, GRAPHS / 2);
    /* kernels that read the halo find zeros in it, whatever was there before */
    for (size_t i = 0; den_backends[i] != NULL; i++)
        for (uint64_t seed = 0; seed < GRAPHS; seed++)
            inference_is_the_same(den_backends[i], seed, 1e-3);
}
END_TEST

enum { LEVELS = 4, BIG = 64 };

/* Leaky rectifiers kept for a concatenation each, which is rectified and convolved. */
static size_t ladder_bytes(bool fusion)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_ref);
    den_node side[LEVELS], x = image(f.g, BIG, BIG, 8);
    for (int i = 0; i < LEVELS; i++) {
        char name[16];
        ck_assert(den_str_format(name, sizeof name, "down%d", i));
        x = side[i] = den_leaky_relu(f.g, den_conv(f.g, name, x, 8, 3, 1, 1, true), 0.2);
    }
    for (int i = LEVELS; i-- > 0;) {
        char name[16];
        ck_assert(den_str_format(name, sizeof name, "up%d", i));
        x = den_leaky_relu(f.g, den_concat(f.g, side[i], x), 0);
        x = den_conv(f.g, name, x, 8, 3, 1, 1, true);
    }
    den_graph_set_fusion(f.g, fusion);
    must(den_graph_finish(f.g, x, DEN_FOR_TRAINING, &err));
    size_t bytes = den_graph_bytes(f.g);
    free_graph(&f);
    return bytes;
}

/* In maps of 8 channels: LEVELS joins of two maps stay for the layers below them, and
 * their gradients come on top; besides there are the input, its gradient, the output and
 * one gradient on its way.  The rectified joins are made again one by one. */
START_TEST(training_keeps_only_what_backward_reads)
{
    size_t map = (size_t)(BIG + 2) * (BIG + 2) * 8 * sizeof(den_real);
    size_t bytes = ladder_bytes(true);
    ck_assert_uint_le(bytes, (4 + 4 * LEVELS) * map);
    ck_assert_uint_gt(ladder_bytes(false), 2 * bytes);
}
END_TEST

START_TEST(a_map_that_is_read_after_its_join_is_not_overwritten)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_ref);
    const den_real x[4] = {-1, 2, -3, 4};
    den_real y[12];
    den_node in = image(f.g, 2, 2, 1);
    den_node a = den_leaky_relu(f.g, in, 0.5), b = den_leaky_relu(f.g, in, 0.25);
    den_node positive = den_leaky_relu(f.g, den_concat(f.g, a, b), 0);
    must(den_graph_finish(f.g, den_concat(f.g, positive, a), DEN_FOR_INFERENCE, &err));
    den_graph_set_input(f.g, in, x);
    den_graph_forward(f.g, false, 0);
    den_graph_get_output(f.g, y);
    for (size_t i = 0; i < 4; i++) {
        double v = (double)x[i];
        close_to((double)y[3 * i], fmax(v, 0), 0);
        close_to((double)y[3 * i + 1], fmax(v, 0), 0);
        close_to((double)y[3 * i + 2], v > 0 ? v : v / 2, 0);
    }
    free_graph(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tcase = tcase_create("plan");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_fused_plan_computes_what_the_plain_one_does);
    tcase_add_test(tcase, every_backend_runs_fused_plans);
    tcase_add_test(tcase, inference_on_shared_memory_equals_the_plain_forward_pass);
    tcase_add_test(tcase, training_keeps_only_what_backward_reads);
    tcase_add_test(tcase, a_map_that_is_read_after_its_join_is_not_overwritten);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
