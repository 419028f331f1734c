#include "op.h"

/* ConvTranspose2d.  It is the adjoint of the convolution that takes y to x, so the three
 * kernels of that convolution serve with their roles changed:
 *     forward            y  = conv_backward_data(x) + bias
 *     gradient of x      dx = conv_forward(dy)
 *     gradient of weight dw = conv_backward_weights(x: dy, dy: x)
 * x [n][h][w][in], weight [k][k][out][in], bias [out], y [n][oh][ow][out] with
 * oh = (h - 1) stride - 2 pad + k. */

enum { WEIGHT, BIAS };

static bool infer(struct den_gnode *node, struct den_params *params, struct den_err *err)
{
    if (!den_op_check_window(node, err))
        return false;
    const struct den_attr *a = &node->attr;
    struct den_shape x = node->in[0]->shape;
    size_t h = (x.h - 1) * a->stride + a->kernel, w = (x.w - 1) * a->stride + a->kernel;
    if (h <= 2 * a->pad || w <= 2 * a->pad)
        return den_op_refuse(node, err,
                             "padding %zu leaves nothing of an input of %zu x %zu",
                             a->pad, x.h, x.w);
    node->shape = (struct den_shape){x.n, h - 2 * a->pad, w - 2 * a->pad, a->out};
    size_t dims[] = {x.c, a->out, a->kernel, a->kernel};
    return den_op_get_param(node, params, WEIGHT, "weight", DEN_PARAM_WEIGHT,
                            DEN_LAYOUT_IOHW, a->init, dims, 4, err) &&
           (!a->bias ||
            den_op_get_param(node, params, BIAS, "bias", DEN_PARAM_WEIGHT,
                             DEN_LAYOUT_FLAT, DEN_INIT_ZERO, dims + 1, 1, err));
}

static size_t scratch(const struct den_gnode *node, const struct den_backend *backend,
                      int threads)
{
    return backend->conv_scratch(den_op_geom(node), node->shape, node->in[0]->shape,
                                 threads);
}

static size_t packed(const struct den_gnode *node, const struct den_backend *backend,
                     enum den_winograd winograd, int threads, size_t *ret_scratch)
{
    if (backend->conv_packed == NULL)
        return 0;
    return backend->conv_packed(winograd, den_op_geom(node), node->shape,
                                node->in[0]->shape, true, threads, ret_scratch);
}

static void pack(const struct den_run *run, struct den_gnode *node)
{
    run->backend->conv_pack(&run->ex, den_op_geom(node), &node->value,
                            &node->in[0]->value, true, den_op_value(node, WEIGHT),
                            node->packed);
}

static void forward(const struct den_run *run, struct den_gnode *node)
{
    run->backend->conv_backward_data(&run->ex, den_op_geom(node), &node->in[0]->value,
                                     den_op_value(node, WEIGHT),
                                     den_op_shift(run, node, BIAS), &node->value, false);
}

/* conv_forward only overwrites; where the gradient must be added to, it is made in the
 * node's own state first. */
static size_t state(const struct den_gnode *node)
{
    return node->add[0] ? den_shape_count(node->in[0]->shape) : 0;
}

static void backward_data(const struct den_run *run, struct den_gnode *node)
{
    const struct den_view *dx = &node->in[0]->grad;
    if (node->add[0]) {
        struct den_view apart = {dx->shape, dx->shape.c, 0, node->state};
        run->backend->conv_forward(&run->ex, den_op_geom(node), &node->grad,
                                   den_op_value(node, WEIGHT), NULL, &apart);
        run->backend->copy(&run->ex, &apart, dx, true);
    } else {
        run->backend->conv_forward(&run->ex, den_op_geom(node), &node->grad,
                                   den_op_value(node, WEIGHT), NULL, dx);
    }
}

static void backward(const struct den_run *run, struct den_gnode *node)
{
    const struct den_gnode *x = node->in[0];
    if (run->param_grads && den_op_grad(node, WEIGHT) != NULL)
        run->backend->conv_backward_weights(&run->ex, den_op_geom(node), &node->grad,
                                            &x->value, den_op_grad(node, WEIGHT));
    den_op_bias_grad(run, node, BIAS);
    if (den_op_wants_data(run, node))
        backward_data(run, node);
}

const struct den_op den_op_convt = {
    .name = "convt",
    .doc = "two-dimensional transposed convolution",
    .inputs = 1,
    .infer = infer,
    .scratch = scratch,
    .packed = packed,
    .pack = pack,
    .state = state,
    .forward = forward,
    .backward = backward,
};
