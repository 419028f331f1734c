#include "op.h"

/* Inverted dropout [Srivastava et al., JMLR 15 (2014)]: while training, each element is
 * zero with chance p and scaled by 1 / (1 - p) otherwise; else the identity.  The mask is
 * a function of (key of the pass, node, element), so backward makes it again. */

static bool infer(struct den_gnode *node, struct den_params *params, struct den_err *err)
{
    (void)params;
    node->shape = node->in[0]->shape;
    if (!(node->attr.p >= 0 && node->attr.p < 1))
        return den_op_refuse(node, err, "chance %g is not within 0 to below 1",
                             node->attr.p);
    return true;
}

static uint64_t mask_key(const struct den_run *run, const struct den_gnode *node)
{
    return den_hash64(run->key, node->index);
}

/* Outside training the identity, and nothing at all where the plan has it in place. */
static void forward(const struct den_run *run, struct den_gnode *node)
{
    const struct den_view *x = &node->in[0]->value;
    if (run->training)
        run->backend->dropout_forward(&run->ex, x, mask_key(run, node), node->attr.p,
                                      &node->value);
    else if (x->data != node->value.data)
        run->backend->copy(&run->ex, x, &node->value, false);
}

static void backward(const struct den_run *run, struct den_gnode *node)
{
    run->backend->dropout_backward(&run->ex, mask_key(run, node), node->attr.p,
                                   &node->grad, &node->in[0]->grad, node->add[0]);
}

const struct den_op den_op_dropout = {
    .name = "dropout",
    .doc = "random zeros while training",
    .inputs = 1,
    .traits = DEN_OP_IN_PLACE | DEN_OP_IN_PLACE_INFERENCE | DEN_OP_IDENTITY,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
