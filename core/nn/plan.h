#ifndef DEN_PLAN_H
#define DEN_PLAN_H

/* Private to core/nn: the graph and its memory plan.
 *
 * A step is a row of moments: forward of node i at moment i, the output's gradient
 * arrives at moment N, backward of node i at moment 2N - i.  Every array is needed from
 * one moment to another, and arrays that are never needed together may share memory.
 * Arrays joined by a concatenation or overwritten in place lie in one block. */

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
    size_t scratch_at, scratch_count; /* reals */
    size_t total;                     /* reals */
    size_t packed;                    /* reals of packed weights beside it */
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
    bool trained; /* the last forward was a training one */
    uint64_t key; /* its key */
    bool packed;  /* the nodes' packed weights are those of parameter version */
    uint64_t version;
};

/* Places every array of the graph; replaces an earlier plan. */
bool den_plan_make(struct den_graph *g, struct den_gnode *output,
                   enum den_purpose purpose, struct den_err *err) DEN_CHECKED;
/* Points the nodes' views into g->memory. */
void den_plan_bind(struct den_graph *g);
/* Makes the halos of the blocks that begin at this moment zero. */
void den_plan_enter(struct den_graph *g, size_t moment);
void den_plan_release(struct den_plan *plan);

#endif
