/* Weights that training leaves as they are. */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "graph_case.h"
#include "mem.h"
#include "net.h"
#include "vectors.h"
#include "weights.h"

enum { SIDE = 32, BATCH = 2, PIXELS = BATCH * SIDE * SIDE };

static const struct {
    const char *name;
    const struct den_net *net;
    struct den_net_options options;
    size_t frozen; /* parameters of the encoder, with buffers */
} nets[] = {
    /* 5 convolutions, 3 norms of 5 tensors */
    {"U-Net", &den_net_unet, {.width = 3, .depth = 5}, 5 + 3 * 5},
    /* 5 convolutions with biases */
    {"U-Net, instance norm",
     &den_net_unet,
     {.width = 3, .depth = 5, .instance_norm = true},
     10},
    /* 2 levels and the middle, 2 convolutions each, with biases */
    {"CARE", &den_net_care, {.width = 3, .depth = 2, .kernel = 3}, 12},
};
enum { NETS = sizeof nets / sizeof *nets };

struct trainee {
    struct den_params *params;
    struct den_graph *g;
    den_node x;
};

/* A net with weights and running statistics that are not those of the beginning. */
static struct trainee start(int i, bool freeze)
{
    struct den_err err = DEN_ERR_INIT;
    struct trainee t = {0};
    struct den_net_options options = nets[i].options;
    options.channels_in = options.channels_out = 1;
    const struct den_shape shape = {BATCH, SIDE, SIDE, 1};
    struct den_graph *first = NULL;
    must(den_params_new(&den_backend_cpu, &t.params, &err));
    must(den_graph_new(t.params, NULL, &first, &err)); /* makes the parameters */
    den_net_build(nets[i].net, first, den_input(first, shape), &options);
    den_graph_free(first);
    den_params_init(t.params, 3);
    struct lcg random = {77};
    for (size_t k = 0; k < den_params_size(t.params); k++) {
        struct den_param *p = den_params_at(t.params, k);
        if (p->kind == DEN_PARAM_BUFFER)
            for (size_t e = 0; e < p->count; e++)
                p->value[e] += (float)(0.5 * lcg_u(&random));
    }
    if (freeze)
        den_params_freeze(t.params, nets[i].net->encodes);
    must(den_graph_new(t.params, NULL, &t.g, &err));
    t.x = den_input(t.g, shape);
    den_node y = den_net_build(nets[i].net, t.g, t.x, &options);
    den_graph_set_input_grads(t.g, false);
    must(den_graph_finish(t.g, y, DEN_FOR_TRAINING, &err));
    must(den_params_train(t.params, &err));
    return t;
}

static void stop(struct trainee *t)
{
    den_graph_free(t->g);
    den_params_free(t->params);
}

static void pass(struct trainee *t, float *output)
{
    static float input[PIXELS], gradient[PIXELS];
    struct lcg random = {5};
    lcg_fill(&random, input, PIXELS, 1);
    lcg_fill(&random, gradient, PIXELS, 1);
    den_graph_set_input(t->g, t->x, input);
    den_graph_forward(t->g, true, 1);
    den_graph_get_output(t->g, output);
    den_params_zero_grad(t->params);
    den_graph_backward(t->g, gradient, true);
}

static void learn(struct trainee *t, int steps)
{
    static float output[PIXELS];
    struct den_exec ex = {.pool = NULL};
    for (int i = 1; i <= steps; i++) {
        struct den_adam adam = {0.01, 0.5, 0.999, 1e-8, (size_t)i};
        pass(t, output);
        den_params_adam(t->params, &ex, &adam);
    }
}

START_TEST(frozen_weights_and_statistics_keep_their_bytes_and_the_others_learn)
{
    struct trainee before = start(_i, true), t = start(_i, true);
    learn(&t, 3);
    size_t frozen = 0;
    for (size_t k = 0; k < den_params_size(t.params); k++) {
        const struct den_param *p = den_params_at(t.params, k);
        const struct den_param *q = den_params_at(before.params, k);
        bool same = memcmp(p->value, q->value, p->count * sizeof *p->value) == 0;
        ck_assert_msg(same == p->frozen, "%s: %s", nets[_i].name, p->name);
        ck_assert(p->frozen == nets[_i].net->encodes(p->name));
        ck_assert((p->grad == NULL) == (p->frozen || p->kind != DEN_PARAM_WEIGHT));
        frozen += p->frozen;
    }
    ck_assert_uint_eq(frozen, nets[_i].frozen);
    stop(&before);
    stop(&t);
}
END_TEST

/* Without batch norm, whose statistics then are others, nothing else may change. */
START_TEST(what_is_not_frozen_gets_the_gradient_it_had)
{
    static float with[PIXELS], without[PIXELS];
    if (nets[_i].net == &den_net_unet && !nets[_i].options.instance_norm)
        return;
    struct trainee frozen = start(_i, true), whole = start(_i, false);
    pass(&frozen, with);
    pass(&whole, without);
    ck_assert_mem_eq(with, without, sizeof with);
    size_t compared = 0;
    for (size_t k = 0; k < den_params_size(whole.params); k++) {
        const struct den_param *p = den_params_at(frozen.params, k);
        const struct den_param *q = den_params_at(whole.params, k);
        if (p->grad == NULL)
            continue;
        ck_assert_mem_eq(p->grad, q->grad, p->count * sizeof *p->grad);
        compared++;
    }
    ck_assert_uint_gt(compared, 0);
    stop(&frozen);
    stop(&whole);
}
END_TEST

START_TEST(frozen_batch_norm_does_in_training_what_it_does_in_use)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_cpu);
    den_node x = image(f.g, 8, 8, 2), y;
    (void)den_batch_norm(f.g, "norm", x);
    struct den_graph *frozen = NULL;
    float input[128], out[3][128];
    struct lcg random = {4};
    lcg_fill(&random, input, 128, 1);
    den_params_init(f.params, 1);
    for (int k = 0; k < 2; k++) { /* 0: learns, 1: frozen */
        must(den_graph_new(f.params, NULL, &frozen, &err));
        x = image(frozen, 8, 8, 2);
        y = den_batch_norm(frozen, "norm", x);
        y = den_conv(frozen, "last", y, 2, 1, 1, 0, false); /* something that learns */
        den_params_init(f.params, 1);
        must(den_graph_finish(frozen, y, DEN_FOR_TRAINING, &err));
        den_graph_set_input(frozen, x, input);
        den_graph_forward(frozen, true, 0);
        den_graph_get_output(frozen, out[k]);
        if (k == 1) {
            den_graph_forward(frozen, false, 0);
            den_graph_get_output(frozen, out[2]);
        }
        den_graph_free(frozen);
        struct den_param *norm = den_params_find(f.params, "norm.weight");
        if (k == 0)
            norm->frozen = true;
    }
    double most = 0;
    for (size_t i = 0; i < 128; i++)
        most = fmax(most, fabs((double)out[0][i] - (double)out[1][i]));
    ck_assert(most > 0);
    ck_assert_mem_eq(out[1], out[2], sizeof out[1]);
    free_graph(&f);
}
END_TEST

static bool is_second(const char *name)
{
    return strncmp(name, "second", 6) == 0;
}

START_TEST(a_frozen_layer_behind_one_that_learns_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct fixture f = new_graph(&den_backend_cpu);
    den_node x = image(f.g, 8, 8, 1);
    x = den_conv(f.g, "first", x, 2, 3, 1, 1, false);
    den_conv(f.g, "second", x, 1, 3, 1, 1, false);
    den_params_freeze(f.params, is_second);
    struct den_graph *g = NULL;
    must(den_graph_new(f.params, NULL, &g, &err));
    x = image(g, 8, 8, 1);
    x = den_conv(g, "first", x, 2, 3, 1, 1, false);
    x = den_conv(g, "second", x, 1, 3, 1, 1, false);
    must_fail(den_graph_finish(g, x, DEN_FOR_TRAINING, &err), DEN_E_INVALID,
              "its weights are frozen, but a layer before it learns");
    den_graph_free(g);
    free_graph(&f);
}
END_TEST

START_TEST(a_file_has_moments_of_what_learns_alone)
{
    struct den_err err = DEN_ERR_INIT;
    struct trainee t = start(_i, true), back = start(_i, true);
    struct den_tensor_writer *writer = NULL;
    struct den_tensor_file *file = NULL;
    char path[] = "/tmp/den_frozen_XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    learn(&t, 2);
    must(den_tensor_writer_new(&writer, &err));
    must(den_params_save(t.params, "g.", true, writer, &err));
    must(den_tensor_writer_save(writer, path, &err));
    must(den_tensor_file_open(path, 1 << 24, &file, &err));
    for (size_t k = 0; k < den_params_size(t.params); k++) {
        const struct den_param *p = den_params_at(t.params, k);
        char name[160];
        (void)snprintf(name, sizeof name, "g.adam_m.%s", p->name);
        ck_assert((den_tensor_file_find(file, name) != NULL) ==
                  (p->kind == DEN_PARAM_WEIGHT && !p->frozen));
    }
    must(den_params_load(back.params, "g.", true, file, &err));
    learn(&t, 2);
    learn(&back, 2);
    for (size_t k = 0; k < den_params_size(t.params); k++) {
        const struct den_param *p = den_params_at(t.params, k);
        ck_assert_mem_eq(p->value, den_params_at(back.params, k)->value,
                         p->count * sizeof *p->value);
    }
    den_tensor_file_free(file);
    den_tensor_writer_free(writer);
    unlink(path);
    stop(&t);
    stop(&back);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frozen weights");
    TCase *tc = tcase_create("frozen");
    tcase_add_loop_test(
        tc, frozen_weights_and_statistics_keep_their_bytes_and_the_others_learn, 0, NETS);
    tcase_add_loop_test(tc, what_is_not_frozen_gets_the_gradient_it_had, 0, NETS);
    tcase_add_test(tc, frozen_batch_norm_does_in_training_what_it_does_in_use);
    tcase_add_test(tc, a_frozen_layer_behind_one_that_learns_is_refused);
    tcase_add_loop_test(tc, a_file_has_moments_of_what_learns_alone, 0, NETS);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
