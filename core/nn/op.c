#include "op.h"

#include <stdarg.h>
#include <stdio.h>

#include "str.h"

/* One row per op; the order means nothing. */
const struct den_op *const den_ops[] = {
    &den_op_conv,
    &den_op_convt,
    &den_op_batch_norm,
    &den_op_instance_norm,
    &den_op_leaky_relu,
    &den_op_tanh,
    &den_op_dropout,
    &den_op_concat,
    &den_op_add,
    &den_op_linear,
    &den_op_max_pool,
    &den_op_upsample,
    NULL,
};

bool den_op_refuse(const struct den_gnode *node, struct den_err *err, const char *format,
                   ...)
{
    char text[256];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (node->name[0] == '\0')
        return den_err_set(err, DEN_E_INVALID, "%s: %s", node->op->name, text);
    return den_err_set(err, DEN_E_INVALID, "%s '%s': %s", node->op->name, node->name,
                       text);
}

bool den_op_get_param(struct den_gnode *node, struct den_params *params, size_t slot,
                      const char *suffix, enum den_param_kind kind,
                      enum den_param_layout layout, enum den_param_init init,
                      const size_t *dims, size_t ndim, struct den_err *err)
{
    char name[sizeof((struct den_param *)0)->name];
    if (!den_str_format(name, sizeof name, "%s.%s", node->name, suffix))
        return den_op_refuse(node, err, "the name is too long");
    return den_params_get(params, name, kind, layout, init, dims, ndim,
                          &node->param[slot], err);
}

den_real *den_op_value(const struct den_gnode *node, size_t slot)
{
    return node->param[slot] == NULL ? NULL : node->param[slot]->value;
}

den_real *den_op_grad(const struct den_gnode *node, size_t slot)
{
    return node->param[slot] == NULL ? NULL : node->param[slot]->grad;
}

const den_real *den_op_shift(const struct den_run *run, const struct den_gnode *node,
                             size_t slot)
{
    return run->shift != NULL ? run->shift : den_op_value(node, slot);
}

bool den_op_wants_data(const struct den_run *run, const struct den_gnode *node)
{
    return run->input_grads || node->in[0]->learns;
}

/* The limits keep sizes within what plan.c can add up and rule out convolutions that skip
 * pixels or read nothing but padding. */
bool den_op_check_window(const struct den_gnode *node, struct den_err *err)
{
    const struct den_attr *a = &node->attr;
    if (a->kernel < 1 || a->kernel > DEN_KERNEL_MAX)
        return den_op_refuse(node, err, "kernel %zu is not within 1 to %d", a->kernel,
                             DEN_KERNEL_MAX);
    if (a->stride < 1 || a->stride > a->kernel)
        return den_op_refuse(node, err, "stride %zu is not within 1 to the kernel's %zu",
                             a->stride, a->kernel);
    if (a->pad >= a->kernel)
        return den_op_refuse(node, err, "padding %zu is not below the kernel's %zu",
                             a->pad, a->kernel);
    if (a->out < 1 || a->out > DEN_SIDE_MAX)
        return den_op_refuse(node, err, "%zu output channels are not within 1 to %zu",
                             a->out, DEN_SIDE_MAX);
    return true;
}

struct den_conv_geom den_op_geom(const struct den_gnode *node)
{
    const struct den_attr *a = &node->attr;
    return (struct den_conv_geom){a->kernel, a->kernel, a->stride, a->pad};
}

void den_op_bias_grad(const struct den_run *run, const struct den_gnode *node,
                      size_t slot)
{
    if (run->param_grads && den_op_grad(node, slot) != NULL)
        run->backend->channel_sum(&run->ex, &node->grad, den_op_grad(node, slot));
}
