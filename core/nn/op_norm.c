#include "op.h"

#include <math.h>

/* Batch and instance normalisation: y = (x - mean) / sqrt(var + eps) * gamma + beta.
 * Batch norm [Ioffe and Szegedy, ICML 2015, algorithm 1]: moments per channel over images
 * and pixels while training, running ones otherwise; gamma, beta [c].  Instance norm
 * [Ulyanov et al., 2016]: moments per image and channel always, no gamma and beta.
 * Frozen batch norm is a fixed scaling: what learns behind it sees in training what it
 * will see in use.
 * State: mean [G][c], then var [G][c] (biased); G = 1 or n.  When a convolution does a
 * batch norm outside training: scale [c], then shift [c]. */

#define EPS 1e-5
#define MOMENTUM 0.1
#define CHUNK 64 /* channels that pass through the stack at a time */

enum { GAMMA, BETA, RUNNING_MEAN, RUNNING_VAR, BATCHES };

static bool infer_batch(struct den_gnode *node, struct den_params *params,
                        struct den_err *err)
{
    node->shape = node->in[0]->shape;
    const size_t dims[] = {node->shape.c};
    static const struct {
        const char *suffix;
        enum den_param_kind kind;
        enum den_param_init init;
        size_t ndim;
    } rows[] = {
        [GAMMA] = {"weight", DEN_PARAM_WEIGHT, DEN_INIT_GAMMA, 1},
        [BETA] = {"bias", DEN_PARAM_WEIGHT, DEN_INIT_ZERO, 1},
        [RUNNING_MEAN] = {"running_mean", DEN_PARAM_BUFFER, DEN_INIT_ZERO, 1},
        [RUNNING_VAR] = {"running_var", DEN_PARAM_BUFFER, DEN_INIT_ONE, 1},
        [BATCHES] = {"num_batches_tracked", DEN_PARAM_COUNTER, DEN_INIT_ZERO, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!den_op_get_param(node, params, i, rows[i].suffix, rows[i].kind,
                              DEN_LAYOUT_FLAT, rows[i].init, dims, rows[i].ndim, err))
            return false;
    return true;
}

static size_t values_per_channel(const struct den_gnode *node)
{
    return node->shape.n * node->shape.h * node->shape.w;
}

static bool check_batch(const struct den_gnode *node, struct den_err *err)
{
    if (values_per_channel(node) < 2)
        return den_op_refuse(node, err,
                             "training needs more than one value per channel, but the "
                             "input is one image of 1 x 1");
    return true;
}

static size_t state_batch(const struct den_gnode *node)
{
    return 2 * node->shape.c;
}

/* running = (1 - momentum) running + momentum * factor * batch, over c channels. */
static void blend(const struct den_backend *backend, den_real *running,
                  const den_real *batch, double factor, size_t c)
{
    den_real r[CHUNK], b[CHUNK];
    for (size_t from = 0; from < c; from += CHUNK) {
        size_t n = c - from < CHUNK ? c - from : CHUNK;
        backend->download(r, running + from, n);
        backend->download(b, batch + from, n);
        for (size_t i = 0; i < n; i++)
            r[i] = (den_real)((1 - MOMENTUM) * (double)r[i] +
                              MOMENTUM * factor * (double)b[i]);
        backend->upload(running + from, r, n);
    }
}

/* Running statistics follow every training pass, also those that learn nothing. */
static void track(const struct den_backend *backend, struct den_gnode *node)
{
    double m = (double)values_per_channel(node);
    size_t c = node->shape.c;
    den_real batches;
    blend(backend, den_op_value(node, RUNNING_MEAN), node->state, 1, c);
    /* Bessel's correction, as PyTorch does it; one value alone has no variance. */
    blend(backend, den_op_value(node, RUNNING_VAR), node->state + c,
          m > 1 ? m / (m - 1) : 1, c);
    backend->download(&batches, den_op_value(node, BATCHES), 1);
    batches += 1;
    backend->upload(den_op_value(node, BATCHES), &batches, 1);
}

static void forward_batch(const struct den_run *run, struct den_gnode *node)
{
    const struct den_view *x = &node->in[0]->value;
    const den_real *mean = den_op_value(node, RUNNING_MEAN);
    const den_real *var = den_op_value(node, RUNNING_VAR);
    if (run->training && !node->param[GAMMA]->frozen) {
        run->backend->moments(&run->ex, x, false, node->state,
                              node->state + node->shape.c);
        track(run->backend, node);
        mean = node->state;
        var = node->state + node->shape.c;
    }
    run->backend->norm_forward(&run->ex, x, false, mean, var, den_op_value(node, GAMMA),
                               den_op_value(node, BETA), EPS, &node->value);
}

/* y = gamma / sqrt(var + eps) (x - mean) + beta, of channels [from, from + n). */
static void fold_chunk(const struct den_backend *backend, struct den_gnode *node,
                       const den_real *bias, size_t from, size_t n)
{
    den_real in[BATCHES][CHUNK], own[CHUNK] = {0}, scale[CHUNK], shift[CHUNK];
    for (size_t slot = 0; slot < BATCHES; slot++)
        backend->download(in[slot], den_op_value(node, slot) + from, n);
    if (bias != NULL)
        backend->download(own, bias + from, n);
    for (size_t i = 0; i < n; i++) {
        double factor = (double)in[GAMMA][i] / sqrt((double)in[RUNNING_VAR][i] + EPS);
        double mean = (double)in[RUNNING_MEAN][i] - (double)own[i];
        scale[i] = (den_real)factor;
        shift[i] = (den_real)((double)in[BETA][i] - factor * mean);
    }
    backend->upload(node->state + from, scale, n);
    backend->upload(node->state + node->shape.c + from, shift, n);
}

static void fold_batch(const struct den_run *run, struct den_gnode *node,
                       const den_real *bias)
{
    size_t c = node->shape.c;
    for (size_t from = 0; from < c; from += CHUNK)
        fold_chunk(run->backend, node, bias, from, c - from < CHUNK ? c - from : CHUNK);
}

/* With the moments of the forward pass: their own derivative is part of dx. */
static void backward_batch(const struct den_run *run, struct den_gnode *node)
{
    const struct den_gnode *x = node->in[0];
    bool want = run->param_grads;
    run->backend->norm_backward(
        &run->ex, &x->value, false, node->state, node->state + node->shape.c,
        den_op_value(node, GAMMA), EPS, &node->grad, &x->grad, node->add[0],
        want ? den_op_grad(node, GAMMA) : NULL, want ? den_op_grad(node, BETA) : NULL);
}

/* One value has no variance; PyTorch refuses it too. */
static bool infer_instance(struct den_gnode *node, struct den_params *params,
                           struct den_err *err)
{
    (void)params;
    node->shape = node->in[0]->shape;
    if (node->shape.h * node->shape.w < 2)
        return den_op_refuse(node, err, "a map of 1 x 1 cannot be normalised by itself");
    return true;
}

static size_t state_instance(const struct den_gnode *node)
{
    return 2 * node->shape.n * node->shape.c;
}

static void forward_instance(const struct den_run *run, struct den_gnode *node)
{
    const struct den_view *x = &node->in[0]->value;
    den_real *mean = node->state, *var = mean + node->shape.n * node->shape.c;
    run->backend->moments(&run->ex, x, true, mean, var);
    run->backend->norm_forward(&run->ex, x, true, mean, var, NULL, NULL, EPS,
                               &node->value);
}

static void backward_instance(const struct den_run *run, struct den_gnode *node)
{
    const struct den_gnode *x = node->in[0];
    den_real *mean = node->state, *var = mean + node->shape.n * node->shape.c;
    run->backend->norm_backward(&run->ex, &x->value, true, mean, var, NULL, EPS,
                                &node->grad, &x->grad, node->add[0], NULL, NULL);
}

const struct den_op den_op_batch_norm = {
    .name = "batch_norm",
    .doc = "batch normalisation with running statistics",
    .inputs = 1,
    .traits = DEN_OP_IN_PLACE_INFERENCE,
    .infer = infer_batch,
    .check_training = check_batch,
    .state = state_batch,
    .forward = forward_batch,
    .fold = fold_batch,
    .backward = backward_batch,
};

const struct den_op den_op_instance_norm = {
    .name = "instance_norm",
    .doc = "instance normalisation without parameters",
    .inputs = 1,
    .traits = DEN_OP_IN_PLACE_INFERENCE,
    .infer = infer_instance,
    .state = state_instance,
    .forward = forward_instance,
    .backward = backward_instance,
};
