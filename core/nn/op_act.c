#include "op.h"

/* Activations, element by element. */

static bool infer_lrelu(struct den_gnode *node, struct den_params *params,
                        struct den_err *err)
{
    (void)params;
    node->shape = node->in[0]->shape;
    if (!(node->attr.slope >= 0 && node->attr.slope <= 1))
        return den_op_refuse(node, err, "slope %g is not within 0 to 1",
                             node->attr.slope);
    return true;
}

/* The channels that no convolution has rectified already. */
static struct den_view left(const struct den_run *run, const struct den_gnode *node,
                            const struct den_view *whole)
{
    struct den_view view = *whole;
    if (!run->training) {
        view.data += node->first;
        view.shape.c = node->channels;
    }
    return view;
}

/* Slope 0 is the plain rectifier. */
static void forward_lrelu(const struct den_run *run, struct den_gnode *node)
{
    struct den_view x = left(run, node, &node->in[0]->value);
    struct den_view y = left(run, node, &node->value);
    run->backend->lrelu_forward(&run->ex, &x, node->attr.slope, &y);
}

/* When the output has overwritten the input this reads the output; with a slope >= 0 it
 * is positive exactly where the input was. */
static void backward_lrelu(const struct den_run *run, struct den_gnode *node)
{
    run->backend->lrelu_backward(&run->ex, &node->in[0]->value, node->attr.slope,
                                 &node->grad, &node->in[0]->grad, node->add[0]);
}

static bool infer_tanh(struct den_gnode *node, struct den_params *params,
                       struct den_err *err)
{
    (void)params;
    (void)err;
    node->shape = node->in[0]->shape;
    return true;
}

static void forward_tanh(const struct den_run *run, struct den_gnode *node)
{
    run->backend->tanh_forward(&run->ex, &node->in[0]->value, &node->value);
}

/* 1 - y^2, from the output alone. */
static void backward_tanh(const struct den_run *run, struct den_gnode *node)
{
    run->backend->tanh_backward(&run->ex, &node->value, &node->grad, &node->in[0]->grad,
                                node->add[0]);
}

const struct den_op den_op_leaky_relu = {
    .name = "leaky_relu",
    .doc = "x where positive, else slope times x",
    .inputs = 1,
    .traits = DEN_OP_IN_PLACE | DEN_OP_IN_PLACE_INFERENCE | DEN_OP_READS_OUTPUT |
              DEN_OP_REPEATS,
    .infer = infer_lrelu,
    .forward = forward_lrelu,
    .backward = backward_lrelu,
};

const struct den_op den_op_tanh = {
    .name = "tanh",
    .doc = "hyperbolic tangent",
    .inputs = 1,
    .traits = DEN_OP_IN_PLACE | DEN_OP_IN_PLACE_INFERENCE | DEN_OP_READS_OUTPUT,
    .infer = infer_tanh,
    .forward = forward_tanh,
    .backward = backward_tanh,
};
