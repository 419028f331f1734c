#ifndef DEN_OP_H
#define DEN_OP_H

/* Private to core/nn: what an op is and what a node of a graph holds.  A new op is its
 * own file, one row of den_ops[] and one builder in graph.c; the gradient test fails
 * until it has a case for the row. */

#include "graph.h"

#define DEN_OP_INPUTS 2
#define DEN_OP_PARAMS 5
#define DEN_SIDE_MAX ((size_t)1 << 20)     /* rows, columns, channels, images */
#define DEN_ELEMENTS_MAX ((size_t)1 << 36) /* of one node */
#define DEN_KERNEL_MAX 31

/* Attributes of all ops; each op reads its own. */
struct den_attr {
    size_t out, kernel, stride, pad;
    bool bias;
    double slope;
    double p; /* chance of a zero */
    enum den_param_init init;
};

/* Where a node's array lies: at channel `channel` of its parent's, or, without a parent,
 * in block `block` of the graph's memory. */
struct den_place {
    struct den_gnode *parent;
    size_t channel;
    size_t block;
};
/* DEN_AGAIN: the value that is made once more for backward. */
enum { DEN_VALUE, DEN_GRAD, DEN_AGAIN, DEN_ARRAYS };

/* What a convolution with packed weights does with its output at once, outside training;
 * the nodes that stand for it are skipped. */
struct den_fused {
    bool any;
    struct den_gnode *norm; /* or NULL */
    double slope;           /* of the activation; 1: none */
};

struct den_gnode {
    const struct den_op *op;
    size_t index; /* position in the topological order */
    struct den_gnode *in[DEN_OP_INPUTS];
    char name[96]; /* PyTorch prefix of the parameters, or "" */
    struct den_attr attr;
    struct den_shape shape;
    struct den_param *param[DEN_OP_PARAMS]; /* NULL where there is none */
    bool learns; /* it or a node before it has parameters that are not frozen */
    bool tapped; /* read and given a gradient from outside */
    const den_real *tap_grad; /* host; borrowed; NULL until it is given */

    /* Set by the plan. */
    bool live;               /* the output depends on it */
    size_t uses;             /* how many inputs of live nodes it is */
    size_t first_use;        /* lowest index of a live node that reads it; else its own */
    size_t last_use;         /* highest */
    size_t halo;             /* at least, on each side */
    bool reached;            /* backward has written its gradient */
    bool add[DEN_OP_INPUTS]; /* backward adds to the gradient of that input */
    bool again;              /* the value is dropped after forward and made once more */
    struct den_place place[DEN_ARRAYS];
    size_t scratch;          /* reals */
    size_t scratch_block[2]; /* of forward and of backward, if there is scratch */
    struct den_fused fused;
    struct den_gnode
        *then;     /* an activation that comes right after it, outside training */
    bool absorbed; /* its work is done before its turn, outside training */
    size_t first, channels; /* of an activation: those that are left to it then */
    size_t state_at;
    size_t packed_count; /* reals; 0: the op takes the weights as they are */

    struct den_view value, grad; /* [n][h][w][c] of shape */
    den_real *state;             /* device; see the op's state() */
    den_real
        *packed; /* device, own memory; see the op's packed(); NULL if there is none */
};

/* What one call of den_graph_forward or _backward tells the ops. */
struct den_run {
    const struct den_backend *backend;
    struct den_exec ex;
    bool training;
    const den_real *shift; /* [c]: what the convolution adds in place of its bias */
    bool param_grads;
    bool input_grads; /* those of the graph's inputs */
    uint64_t key;     /* of this forward's random masks */
};

enum {
    /* The output may overwrite the input while the net is trained: backward reads neither
     * the input's value nor, apart from its sign, anything that the overwriting changes.
     * The gradients then share memory as well. */
    DEN_OP_IN_PLACE = 1,
    /* The output may overwrite the input when no backward follows. */
    DEN_OP_IN_PLACE_INFERENCE = 2,
    DEN_OP_READS_OUTPUT = 4, /* backward reads the output's value */
    DEN_OP_JOINS = 8,        /* inputs lie side by side in the output's channels */
    /* Forward costs little, needs no scratch and changes nothing but the output, so that
     * it may run again before the backward passes that read the output. */
    DEN_OP_REPEATS = 16,
    DEN_OP_IDENTITY = 32, /* outside training */
};

struct den_op {
    const char *name, *doc;
    size_t inputs;
    unsigned traits;
    /* Sets node->shape from inputs and attributes and gets the parameters. */
    bool (*infer)(struct den_gnode *node, struct den_params *params, struct den_err *err);
    /* May be NULL: what only a graph for training must refuse. */
    bool (*check_training)(const struct den_gnode *node, struct den_err *err);
    /* May be NULL: reals of scratch for forward and backward, on `threads` threads. */
    size_t (*scratch)(const struct den_gnode *node, const struct den_backend *backend,
                      int threads);
    /* May be NULL: reals kept from forward to backward. */
    size_t (*state)(const struct den_gnode *node);
    void (*forward)(const struct den_run *run, struct den_gnode *node);
    /* May be NULL: reals of the weights (param[0]) in the backend's own order, which
     * `pack` writes to node->packed whenever they have changed, for forward passes that
     * have them as run->ex.packed and no backward; 0 if that gains nothing. *ret_scratch:
     * the scratch that forward then needs. */
    size_t (*packed)(const struct den_gnode *node, const struct den_backend *backend,
                     enum den_winograd winograd, int threads, size_t *ret_scratch);
    void (*pack)(const struct den_run *run, struct den_gnode *node);
    /* May be NULL: what forward does outside training, as one factor and one summand per
     * channel: scale [c] to node->state and shift [c] behind it, for x + bias in place of
     * x (bias [c] or NULL). */
    void (*fold)(const struct den_run *run, struct den_gnode *node, const den_real *bias);
    /* Reads node->grad, makes the gradient of each input (adding where node->add says so)
     * and, with run->param_grads, adds to those of the parameters. */
    void (*backward)(const struct den_run *run, struct den_gnode *node);
};

extern const struct den_op den_op_conv, den_op_convt, den_op_batch_norm,
    den_op_instance_norm, den_op_leaky_relu, den_op_tanh, den_op_dropout, den_op_concat,
    den_op_add, den_op_linear, den_op_max_pool, den_op_upsample;
extern const struct den_op *const den_ops[]; /* ends with NULL */

/* Fails with "op 'name': " and the text. */
bool den_op_refuse(const struct den_gnode *node, struct den_err *err, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));
/* Gets the parameter name + "." + suffix into node->param[slot]. */
bool den_op_get_param(struct den_gnode *node, struct den_params *params, size_t slot,
                      const char *suffix, enum den_param_kind kind,
                      enum den_param_layout layout, enum den_param_init init,
                      const size_t *dims, size_t ndim, struct den_err *err);
/* The value or gradient of parameter `slot`, NULL when the node has none. */
den_real *den_op_value(const struct den_gnode *node, size_t slot);
den_real *den_op_grad(const struct den_gnode *node, size_t slot);
/* What a convolution adds: its bias (parameter `slot`), or what run says. */
const den_real *den_op_shift(const struct den_run *run, const struct den_gnode *node,
                             size_t slot);
/* Whether backward must make the gradient of the node's first input. */
bool den_op_wants_data(const struct den_run *run, const struct den_gnode *node);
/* Kernel, stride and padding within what any convolution here takes. */
bool den_op_check_window(const struct den_gnode *node, struct den_err *err);
struct den_conv_geom den_op_geom(const struct den_gnode *node);
/* Adds the sum over images and pixels of the node's gradient to that of parameter `slot`,
 * if wanted. */
void den_op_bias_grad(const struct den_run *run, const struct den_gnode *node,
                      size_t slot);

#endif
