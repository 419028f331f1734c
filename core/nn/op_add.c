#include "op.h"

/* y = a + b, same shapes. */

static bool infer(struct den_gnode *node, struct den_params *params, struct den_err *err)
{
    (void)params;
    struct den_shape a = node->in[0]->shape, b = node->in[1]->shape;
    if (a.n != b.n || a.h != b.h || a.w != b.w || a.c != b.c)
        return den_op_refuse(node, err,
                             "shapes %zu x %zu x %zu x %zu and %zu x %zu x %zu x %zu "
                             "(images, rows, columns, channels) differ",
                             a.n, a.h, a.w, a.c, b.n, b.h, b.w, b.c);
    node->shape = a;
    return true;
}

static void forward(const struct den_run *run, struct den_gnode *node)
{
    run->backend->copy(&run->ex, &node->in[0]->value, &node->value, false);
    run->backend->copy(&run->ex, &node->in[1]->value, &node->value, true);
}

/* da = db = dy; when a and b are the same node, the second is added. */
static void backward(const struct den_run *run, struct den_gnode *node)
{
    for (size_t k = 0; k < 2; k++)
        run->backend->copy(&run->ex, &node->grad, &node->in[k]->grad, node->add[k]);
}

const struct den_op den_op_add = {
    .name = "add",
    .doc = "sum of two maps",
    .inputs = 2,
    .infer = infer,
    .forward = forward,
    .backward = backward,
};
