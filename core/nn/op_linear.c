#include "op.h"

/* Linear over the flattened map: y [n][1][1][out] = W x + b.  It is a convolution whose
 * kernel covers the whole map (weight [h][w][c][out]); the file's (out, c h w) is then
 * the order of a Conv2d weight. */

enum { WEIGHT, BIAS };

static bool infer(struct den_gnode *node, struct den_params *params, struct den_err *err)
{
    struct den_shape x = node->in[0]->shape;
    size_t out = node->attr.out;
    if (out < 1 || out > DEN_SIDE_MAX)
        return den_op_refuse(node, err, "%zu outputs are not within 1 to %zu", out,
                             DEN_SIDE_MAX);
    node->shape = (struct den_shape){x.n, 1, 1, out};
    size_t dims[] = {out, x.c, x.h, x.w};
    return den_op_get_param(node, params, WEIGHT, "weight", DEN_PARAM_WEIGHT,
                            DEN_LAYOUT_LINEAR, DEN_INIT_CONV, dims, 4, err) &&
           (!node->attr.bias ||
            den_op_get_param(node, params, BIAS, "bias", DEN_PARAM_WEIGHT,
                             DEN_LAYOUT_FLAT, DEN_INIT_ZERO, dims, 1, err));
}

/* A window as large as the map has one position. */
static struct den_conv_geom geom(const struct den_gnode *node)
{
    struct den_shape x = node->in[0]->shape;
    return (struct den_conv_geom){.kh = x.h, .kw = x.w, .stride = 1, .pad = 0};
}

static size_t scratch(const struct den_gnode *node, const struct den_backend *backend,
                      int threads)
{
    return backend->conv_scratch(geom(node), node->in[0]->shape, node->shape, threads);
}

static void forward(const struct den_run *run, struct den_gnode *node)
{
    run->backend->conv_forward(&run->ex, geom(node), &node->in[0]->value,
                               den_op_value(node, WEIGHT), den_op_value(node, BIAS),
                               &node->value);
}

static void backward(const struct den_run *run, struct den_gnode *node)
{
    const struct den_gnode *x = node->in[0];
    if (run->param_grads && den_op_grad(node, WEIGHT) != NULL)
        run->backend->conv_backward_weights(&run->ex, geom(node), &x->value, &node->grad,
                                            den_op_grad(node, WEIGHT));
    den_op_bias_grad(run, node, BIAS);
    if (den_op_wants_data(run, node))
        run->backend->conv_backward_data(&run->ex, geom(node), &node->grad,
                                         den_op_value(node, WEIGHT), NULL, &x->grad,
                                         node->add[0]);
}

const struct den_op den_op_linear = {
    .name = "linear",
    .doc = "every output a weighted sum of the whole map",
    .inputs = 1,
    .infer = infer,
    .scratch = scratch,
    .forward = forward,
    .backward = backward,
};
