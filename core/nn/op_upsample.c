#include "op.h"

/* Upsample(scale_factor=2, mode='nearest'): each pixel becomes 2 x 2 equal ones. */

static bool infer(struct den_gnode *node, struct den_params *params, struct den_err *err)
{
    (void)params;
    struct den_shape x = node->in[0]->shape;
    if (x.h > DEN_SIDE_MAX / 2 || x.w > DEN_SIDE_MAX / 2)
        return den_op_refuse(node, err, "a map of %zu x %zu is too large to be doubled",
                             x.h, x.w);
    node->shape = (struct den_shape){x.n, 2 * x.h, 2 * x.w, x.c};
    return true;
}

static void forward(const struct den_run *run, struct den_gnode *node)
{
    run->backend->upsample_forward(&run->ex, &node->in[0]->value, &node->value);
}

/* dx = the sum over the four pixels. */
static void backward(const struct den_run *run, struct den_gnode *node)
{
    run->backend->upsample_backward(&run->ex, &node->grad, &node->in[0]->grad,
                                    node->add[0]);
}

const struct den_op den_op_upsample = {
    .name = "upsample",
    .doc = "each pixel twice in either direction",
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
