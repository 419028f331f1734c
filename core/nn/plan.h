#ifndef DEN_PLAN_H
#define DEN_PLAN_H

/* Private to core/nn: the graph and its memory plan.
 *
 * A step is a row of moments: forward of node i at moment i, the output's gradient
 * arrives at moment N, backward of node i at moment 2N - i.  Every array, and the scratch
 * of every pass, is needed from one moment to another, and what is never needed together
 * may share memory.  Arrays joined by a concatenation or overwritten in place lie in one
 * block. */

#include "op.h"

struct den_block {
    struct den_shape shape;
    size_t halo;
    size_t first, last; /* moments between which it holds something */
    size_t count;       /* reals */
    size_t offset;      /* reals from the start of the graph's memory */
    bool shared;        /* other arrays lie here at other moments: clear the halo first */
};

struct den_plan {
    struct den_block *blocks;
    size_t size;
    size_t total;  /* reals */
    size_t packed; /* reals of packed weights beside it */
    enum den_purpose purpose;
    struct den_gnode *output;
};

struct den_graph {
    struct den_params *params;
    const struct den_backend *backend;
    struct den_pool *pool;
    struct den_err err; /* the first build error */
    struct den_gnode **nodes;
    size_t size, capacity;
    bool plain; /* no fusion: every node has its own arrays */
    enum den_winograd winograd;
    enum den_param_init init; /* of the convolutions built next */
    bool takes_weights;
    struct den_plan plan;
    den_real *memory; /* device; NULL until finish */
    bool no_input_grads;
    bool trained; /* the last forward was a training one, and no backward followed */
    uint64_t key; /* its key */
    bool packed;  /* the nodes' packed weights are those of parameter version */
    uint64_t version;
};

/* Places every array of the graph; replaces an earlier plan. */
bool den_plan_make(struct den_graph *g, struct den_gnode *output,
                   enum den_purpose purpose, struct den_err *err) DEN_CHECKED;
/* Points the nodes' views into g->memory. */
void den_plan_bind(struct den_graph *g);
/* The node's value from now on: DEN_VALUE, or DEN_AGAIN where the node has that. */
void den_plan_bind_value(struct den_graph *g, struct den_gnode *node, int array);
/* Makes the halos of the blocks that begin at this moment zero. */
void den_plan_enter(struct den_graph *g, size_t moment);
/* The node's scratch, of forward (pass 0) or backward (pass 1). */
void den_plan_lend(const struct den_graph *g, const struct den_gnode *node, int pass,
                   struct den_exec *ex);
void den_plan_release(struct den_plan *plan);

/* ---- plan_fuse.c ---- */

/* Sets the nodes' places, as far as they are not blocks of their own, and `again`: which
 * arrays lie inside others, and which are made twice. */
void den_plan_fuse(struct den_graph *g);
/* After it is known which weights are packed: sets `fused`, `absorbed`, and the channels
 * that are left to activations. */
void den_plan_fuse_epilogues(struct den_graph *g);
/* The node whose block holds the array. */
struct den_gnode *den_plan_root(struct den_gnode *node, int array);
bool den_plan_placed(const struct den_gnode *node, int array);
/* Given from outside: before the forward pass, and perhaps only once for several. */
bool den_plan_is_input(const struct den_gnode *node);

#endif
