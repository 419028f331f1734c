#include "op.h"

/* Conv2d (cross-correlation).  x [n][h][w][ci], weight [k][k][ci][co], bias [co],
 * y [n][oh][ow][co] with oh = (h + 2 pad - k) / stride + 1, rounded down. */

enum { WEIGHT, BIAS };

static bool infer(struct den_gnode *node, struct den_params *params, struct den_err *err)
{
    if (!den_op_check_window(node, err))
        return false;
    const struct den_attr *a = &node->attr;
    struct den_shape x = node->in[0]->shape;
    if (x.h + 2 * a->pad < a->kernel || x.w + 2 * a->pad < a->kernel)
        return den_op_refuse(node, err, "kernel %zu does not fit an input of %zu x %zu",
                             a->kernel, x.h, x.w);
    node->shape = (struct den_shape){
        x.n,
        (x.h + 2 * a->pad - a->kernel) / a->stride + 1,
        (x.w + 2 * a->pad - a->kernel) / a->stride + 1,
        a->out,
    };
    size_t dims[] = {a->out, x.c, a->kernel, a->kernel};
    return den_op_get_param(node, params, WEIGHT, "weight", DEN_PARAM_WEIGHT,
                            DEN_LAYOUT_OIHW, a->init, dims, 4, err) &&
           (!a->bias || den_op_get_param(node, params, BIAS, "bias", DEN_PARAM_WEIGHT,
                                         DEN_LAYOUT_FLAT, DEN_INIT_ZERO, dims, 1, err));
}

static size_t scratch(const struct den_gnode *node, const struct den_backend *backend,
                      int threads)
{
    return backend->conv_scratch(den_op_geom(node), node->in[0]->shape, node->shape,
                                 threads);
}

static size_t packed(const struct den_gnode *node, const struct den_backend *backend,
                     enum den_winograd winograd, int threads, size_t *ret_scratch)
{
    if (backend->conv_packed == NULL)
        return 0;
    return backend->conv_packed(winograd, den_op_geom(node), node->in[0]->shape,
                                node->shape, false, threads, ret_scratch);
}

static void pack(const struct den_run *run, struct den_gnode *node)
{
    run->backend->conv_pack(&run->ex, den_op_geom(node), &node->in[0]->value,
                            &node->value, false, den_op_value(node, WEIGHT),
                            node->packed);
}

static void forward(const struct den_run *run, struct den_gnode *node)
{
    run->backend->conv_forward(&run->ex, den_op_geom(node), &node->in[0]->value,
                               den_op_value(node, WEIGHT), den_op_shift(run, node, BIAS),
                               &node->value);
}

/* dw = x * dy, db = sum dy, dx = the adjoint applied to dy. */
static void backward(const struct den_run *run, struct den_gnode *node)
{
    const struct den_gnode *x = node->in[0];
    if (run->param_grads && den_op_grad(node, WEIGHT) != NULL)
        run->backend->conv_backward_weights(&run->ex, den_op_geom(node), &x->value,
                                            &node->grad, den_op_grad(node, WEIGHT));
    den_op_bias_grad(run, node, BIAS);
    if (den_op_wants_data(run, node))
        run->backend->conv_backward_data(&run->ex, den_op_geom(node), &node->grad,
                                         den_op_value(node, WEIGHT), NULL, &x->grad,
                                         node->add[0]);
}

const struct den_op den_op_conv = {
    .name = "conv",
    .doc = "two-dimensional convolution",
    .inputs = 1,
    .infer = infer,
    .scratch = scratch,
    .packed = packed,
    .pack = pack,
    .forward = forward,
    .backward = backward,
};
