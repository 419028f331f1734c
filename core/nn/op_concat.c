#include "op.h"

/* Channels of the first input, then those of the second.  Where the plan has laid an
 * input into the output's buffer there is nothing to do; otherwise it is copied. */

static bool infer(struct den_gnode *node, struct den_params *params, struct den_err *err)
{
    (void)params;
    struct den_shape a = node->in[0]->shape, b = node->in[1]->shape;
    if (a.h != b.h || a.w != b.w)
        return den_op_refuse(node, err, "maps of %zu x %zu and %zu x %zu differ", a.h,
                             a.w, b.h, b.w);
    if (a.n != b.n)
        return den_op_refuse(node, err, "batches of %zu and %zu images differ", a.n, b.n);
    node->shape = (struct den_shape){a.n, a.h, a.w, a.c + b.c};
    return true;
}

/* The channels of `whole` that belong to input k. */
static struct den_view part(const struct den_gnode *node, const struct den_view *whole,
                            size_t k)
{
    struct den_view view = *whole;
    view.shape.c = node->in[k]->shape.c;
    if (k == 1)
        view.data += node->in[0]->shape.c;
    return view;
}

/* An input that lies in its place already has the same address. */
static void forward(const struct den_run *run, struct den_gnode *node)
{
    for (size_t k = 0; k < 2; k++) {
        struct den_view to = part(node, &node->value, k);
        if (node->in[k]->value.data != to.data)
            run->backend->copy(&run->ex, &node->in[k]->value, &to, false);
    }
}

static void backward(const struct den_run *run, struct den_gnode *node)
{
    for (size_t k = 0; k < 2; k++) {
        struct den_view from = part(node, &node->grad, k);
        const struct den_view *to = &node->in[k]->grad;
        if (to->data != from.data)
            run->backend->copy(&run->ex, &from, to, node->add[k]);
    }
}

const struct den_op den_op_concat = {
    .name = "concat",
    .doc = "channels of two maps side by side",
    .inputs = 2,
    .traits = DEN_OP_JOINS,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
