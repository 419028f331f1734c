#include "op.h"

/* MaxPool2d(2): y = the largest of each 2 x 2 pixels, stride 2, a last odd row or column
 * left out.  Of equal values the first in reading order is the maximum and gets the
 * gradient, as in PyTorch. */

static bool infer(struct den_gnode *node, struct den_params *params, struct den_err *err)
{
    (void)params;
    struct den_shape x = node->in[0]->shape;
    if (x.h < 2 || x.w < 2)
        return den_op_refuse(node, err, "a map of %zu x %zu is too small for 2 x 2", x.h,
                             x.w);
    node->shape = (struct den_shape){x.n, x.h / 2, x.w / 2, x.c};
    return true;
}

static void forward(const struct den_run *run, struct den_gnode *node)
{
    run->backend->max_pool_forward(&run->ex, &node->in[0]->value, &node->value);
}

/* Where the maximum was is found again in the input: cheaper than to keep it. */
static void backward(const struct den_run *run, struct den_gnode *node)
{
    const struct den_gnode *x = node->in[0];
    run->backend->max_pool_backward(&run->ex, &x->value, &node->grad, &x->grad,
                                    node->add[0]);
}

const struct den_op den_op_max_pool = {
    .name = "max_pool",
    .doc = "largest of each 2 x 2 pixels",
    .inputs = 1,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
