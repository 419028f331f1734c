#include "plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"

#define PASSES 2 /* forward and backward */
#define LINE 16  /* reals; arrays begin on a cache line */

void den_plan_release(struct den_plan *plan)
{
    den_free(plan->blocks);
    memset(plan, 0, sizeof *plan);
}

bool den_plan_is_input(const struct den_gnode *node)
{
    return node->op->inputs == 0;
}

static size_t end_of_time(const struct den_graph *g)
{
    return 2 * g->size + 1;
}

static size_t backward_moment(const struct den_graph *g, size_t index)
{
    return 2 * g->size - index;
}

static size_t line_up(size_t count)
{
    return (count + LINE - 1) / LINE * LINE;
}

/* ---- who needs whom ---- */

static void raise_halo(struct den_gnode *node, size_t halo)
{
    if (node->halo < halo)
        node->halo = halo;
}

/* A convolution reads `pad` pixels beyond its input, a transposed one beyond its output's
 * gradient. */
static void mark_inputs(struct den_gnode *node)
{
    raise_halo(node, node->attr.pad);
    for (size_t k = 0; k < node->op->inputs; k++) {
        struct den_gnode *in = node->in[k];
        in->live = true;
        in->uses++;
        if (in->last_use < node->index)
            in->last_use = node->index;
        in->first_use = node->index;
        raise_halo(in, node->attr.pad);
        /* Backward runs from the last node to the first: whoever comes first writes. */
        node->add[k] = in->reached;
        in->reached = true;
    }
}

/* Marks what the output depends on and counts the uses, from the last to the first. */
static void mark(struct den_graph *g, struct den_gnode *output)
{
    for (size_t i = 0; i < g->size; i++) {
        struct den_gnode *node = g->nodes[i];
        node->live = node == output || node->tapped || den_plan_is_input(node);
        node->reached = node == output || node->tapped;
        node->uses = node->last_use = 0;
        node->first_use = node->index;
        node->halo = 1;
        node->again = node->absorbed = false;
        node->fused = (struct den_fused){.slope = 1};
        node->then = NULL;
        node->first = 0;
        node->channels = node->shape.c;
        memset(node->place, 0, sizeof node->place);
        if (node->tapped) { /* as if a node after all others read it */
            node->uses = 1;
            node->last_use = g->size;
        }
    }
    for (size_t i = g->size; i-- > 0;)
        if (g->nodes[i]->live)
            mark_inputs(g->nodes[i]);
}

/* ---- blocks and their lifetimes ---- */

/* The last moment at which a value is read.  Backward of a node may read its inputs'
 * values, and its own where its op says so; it runs after that of the node's readers. */
static size_t last_read(const struct den_graph *g, const struct den_gnode *node)
{
    if (den_plan_is_input(node) || node == g->plan.output)
        return end_of_time(g);
    if (g->plan.purpose != DEN_FOR_TRAINING)
        return node->last_use;
    bool itself = (node->op->traits & DEN_OP_READS_OUTPUT) != 0;
    return backward_moment(g, itself ? node->index : node->first_use);
}

static size_t first_backward_read(const struct den_graph *g, const struct den_gnode *node)
{
    return backward_moment(g, node->last_use);
}

/* First and last moment of one node's own array. */
static void lifetime(const struct den_graph *g, const struct den_gnode *node, int array,
                     size_t *ret_first, size_t *ret_last)
{
    size_t end = end_of_time(g);
    if (array == DEN_VALUE) {
        *ret_first = den_plan_is_input(node) ? 0 : node->index;
        *ret_last = node->again ? node->last_use : last_read(g, node);
    } else if (array == DEN_AGAIN) {
        *ret_first = first_backward_read(g, node);
        *ret_last = last_read(g, node);
    } else {
        *ret_first = node == g->plan.output ? g->size : first_backward_read(g, node);
        *ret_last = den_plan_is_input(node) ? end : backward_moment(g, node->index);
    }
    if (g->plain) {
        *ret_first = 0;
        *ret_last = end;
    }
}

/* Of a root; the others only extend it. */
static void add_block(struct den_graph *g, struct den_gnode *node, int array)
{
    struct den_plan *plan = &g->plan;
    node->place[array].block = plan->size;
    plan->blocks[plan->size++] = (struct den_block){
        .shape = node->shape,
        .halo = node->halo,
        .first = end_of_time(g),
    };
}

/* A block is needed from the first to the last moment of all that lies in it. */
static void extend_block(struct den_graph *g, struct den_gnode *node, int array)
{
    struct den_block *block =
        &g->plan.blocks[den_plan_root(node, array)->place[array].block];
    size_t first, last;
    lifetime(g, node, array, &first, &last);
    if (block->first > first)
        block->first = first;
    if (block->last < last)
        block->last = last;
    if (block->halo < node->halo)
        block->halo = node->halo;
}

static bool has_array(const struct den_graph *g, const struct den_gnode *node, int array)
{
    bool training = g->plan.purpose == DEN_FOR_TRAINING;
    return node->live && (array == DEN_VALUE || (training && array == DEN_GRAD) ||
                          (array == DEN_AGAIN && node->again));
}

static void each_array(struct den_graph *g,
                       void (*visit)(struct den_graph *g, struct den_gnode *node,
                                     int array),
                       bool roots_only)
{
    for (int array = 0; array < DEN_ARRAYS; array++)
        for (size_t i = 0; i < g->size; i++)
            if (has_array(g, g->nodes[i], array) &&
                !(roots_only && den_plan_placed(g->nodes[i], array)))
                visit(g, g->nodes[i], array);
}

/* Reals of [n][h + 2 halo][w + 2 halo][c]. */
static bool size_block(struct den_block *block, struct den_err *err)
{
    struct den_shape s = block->shape;
    size_t rows = s.h + 2 * block->halo, columns = s.w + 2 * block->halo, images;
    if (!den_mul_size(rows * columns, s.c, &images) ||
        !den_mul_size(images, s.n, &block->count) || block->count > 4 * DEN_ELEMENTS_MAX)
        return den_err_set(err, DEN_E_TOO_LARGE,
                           "A map of %zu x %zu x %zu x %zu (images, rows, columns, "
                           "channels) is too large.",
                           s.n, s.h, s.w, s.c);
    block->count = line_up(block->count);
    return true;
}

/* ---- where in memory ---- */

/* The address breaks ties, so that a plan is the same every time. */
static int larger_first(const void *a, const void *b)
{
    const struct den_block *x = *(struct den_block *const *)a;
    const struct den_block *y = *(struct den_block *const *)b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool same_time(const struct den_block *a, const struct den_block *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static bool same_memory(const struct den_block *a, const struct den_block *b)
{
    return a->offset < b->offset + b->count && b->offset < a->offset + a->count;
}

/* Lowest offset free of the n blocks placed before.  Any start below the end of a block
 * in the way would meet that block too, so jumping there skips nothing. */
static void place_block(struct den_block *const *order, size_t n, struct den_block *block)
{
    block->offset = 0;
    for (size_t i = 0; i < n; i++)
        if (same_time(order[i], block) && same_memory(order[i], block)) {
            block->offset = order[i]->offset + order[i]->count;
            i = SIZE_MAX; /* look again from the start */
        }
}

/* The same layout at the same offset has its halo in the same place. */
static bool same_layout(const struct den_block *a, const struct den_block *b)
{
    return a->offset == b->offset && a->halo == b->halo && a->shape.n == b->shape.n &&
           a->shape.h == b->shape.h && a->shape.w == b->shape.w &&
           a->shape.c == b->shape.c;
}

static void find_shared(struct den_plan *plan)
{
    for (size_t i = 0; i < plan->size; i++)
        for (size_t j = 0; j < plan->size; j++)
            if (same_memory(&plan->blocks[i], &plan->blocks[j]) &&
                !same_layout(&plan->blocks[i], &plan->blocks[j]))
                plan->blocks[i].shared = true;
}

/* Largest first, each as low as it fits: near the optimum for such nets. */
static bool arrange(struct den_plan *plan, struct den_err *err)
{
    struct den_block **order = den_new(plan->size, sizeof(struct den_block *), err);
    if (order == NULL)
        return false;
    for (size_t i = 0; i < plan->size; i++)
        order[i] = &plan->blocks[i];
    qsort(order, plan->size, sizeof(struct den_block *), larger_first);
    for (size_t i = 0; i < plan->size; i++) {
        place_block(order, i, order[i]);
        size_t end = order[i]->offset + order[i]->count;
        if (plan->total < end)
            plan->total = end;
    }
    den_free(order);
    find_shared(plan);
    return true;
}

/* ---- what nodes have besides ---- */

/* Of forward and of backward: the same. */
static size_t node_scratch(struct den_graph *g, struct den_gnode *node)
{
    struct den_plan *plan = &g->plan;
    const struct den_op *op = node->op;
    int threads = den_pool_threads(g->pool);
    size_t scratch = 0;
    node->packed_count = 0;
    /* no backward: room for packed weights */
    if (plan->purpose == DEN_FOR_INFERENCE && !g->plain && op->packed != NULL)
        node->packed_count = op->packed(node, g->backend, g->winograd, threads, &scratch);
    plan->packed += line_up(node->packed_count);
    if (node->packed_count > 0)
        return scratch;
    return op->scratch == NULL ? 0 : op->scratch(node, g->backend, threads);
}

/* Scratch holds nothing from one moment to the next. */
static void add_scratch(struct den_graph *g)
{
    struct den_plan *plan = &g->plan;
    size_t passes = plan->purpose == DEN_FOR_TRAINING ? PASSES : 1;
    for (size_t i = 0; i < g->size; i++) {
        struct den_gnode *node = g->nodes[i];
        node->scratch = node->live ? node_scratch(g, node) : 0;
        for (size_t pass = 0; pass < passes && node->scratch > 0; pass++) {
            size_t moment = pass == 0 ? i : backward_moment(g, i);
            node->scratch_block[pass] = plan->size;
            plan->blocks[plan->size++] = (struct den_block){
                .first = moment, .last = moment, .count = line_up(node->scratch)};
        }
    }
}

/* What nodes keep from forward to backward. */
static void add_state(struct den_graph *g)
{
    for (size_t i = 0; i < g->size; i++) {
        struct den_gnode *node = g->nodes[i];
        node->state_at = g->plan.total;
        if (node->live && node->op->state != NULL)
            g->plan.total += line_up(node->op->state(node));
    }
}

static bool check_training(const struct den_graph *g, struct den_err *err)
{
    for (size_t i = 0; i < g->size; i++) {
        const struct den_gnode *node = g->nodes[i];
        if (node->live && node->op->check_training != NULL &&
            !node->op->check_training(node, err))
            return false;
    }
    return true;
}

bool den_plan_make(struct den_graph *g, struct den_gnode *output,
                   enum den_purpose purpose, struct den_err *err)
{
    struct den_plan *plan = &g->plan;
    bool training = purpose == DEN_FOR_TRAINING;
    den_plan_release(plan);
    plan->purpose = purpose;
    plan->output = output;
    mark(g, output);
    if (training && !check_training(g, err))
        return false;
    if (!g->plain)
        den_plan_fuse(g);
    size_t per_node = training ? DEN_ARRAYS + PASSES : 2; /* value and scratch */
    plan->blocks = den_new(per_node * g->size, sizeof *plan->blocks, err);
    if (plan->blocks == NULL)
        return false;
    each_array(g, add_block, true);     /* roots */
    each_array(g, extend_block, false); /* all */
    for (size_t i = 0; i < plan->size; i++)
        if (!size_block(&plan->blocks[i], err))
            return false;
    add_scratch(g);
    if (!g->plain)
        den_plan_fuse_epilogues(g);
    if (!arrange(plan, err))
        return false;
    add_state(g);
    return true;
}

/* ---- use ---- */

/* The node's part of its root's block: same pixels, its own channels. */
static struct den_view view_of(struct den_graph *g, struct den_gnode *node, int array)
{
    size_t channel = 0;
    struct den_gnode *root = node;
    for (; den_plan_placed(root, array); root = root->place[array].parent)
        channel += root->place[array].channel;
    const struct den_block *block = &g->plan.blocks[root->place[array].block];
    struct den_view view = {node->shape, root->shape.c, block->halo, NULL};
    view.data = g->memory + block->offset + channel +
                block->halo * (den_view_row(&view) + view.ld);
    return view;
}

void den_plan_bind_value(struct den_graph *g, struct den_gnode *node, int array)
{
    node->value = view_of(g, node, array);
}

void den_plan_bind(struct den_graph *g)
{
    assert(g->memory != NULL);
    for (size_t i = 0; i < g->size; i++) {
        struct den_gnode *node = g->nodes[i];
        if (!node->live)
            continue;
        den_plan_bind_value(g, node, DEN_VALUE);
        if (g->plan.purpose == DEN_FOR_TRAINING)
            node->grad = view_of(g, node, DEN_GRAD);
        node->state = g->memory + node->state_at;
    }
}

/* Per image: the rows above with the left end of row 0, then the right end of each row
 * with the left end of the next, then the right end of the last row with the rows below.
 */
static void clear_halo(const struct den_backend *backend, const struct den_block *block,
                       den_real *at)
{
    size_t c = block->shape.c, halo = block->halo, inner = block->shape.w * c;
    size_t row = inner + 2 * halo * c;
    for (size_t i = 0; i < block->shape.n; i++) {
        backend->zero(at, halo * (row + c));
        at += halo * (row + c) + inner;
        for (size_t y = 1; y < block->shape.h; y++) {
            backend->zero(at, 2 * halo * c);
            at += row;
        }
        backend->zero(at, halo * (row + c));
        at += halo * (row + c);
    }
}

void den_plan_lend(const struct den_graph *g, const struct den_gnode *node, int pass,
                   struct den_exec *ex)
{
    size_t block = node->scratch_block[pass];
    ex->scratch_count = node->scratch;
    ex->scratch = node->scratch == 0 ? NULL : g->memory + g->plan.blocks[block].offset;
}

void den_plan_enter(struct den_graph *g, size_t moment)
{
    for (size_t i = 0; i < g->plan.size; i++) {
        const struct den_block *block = &g->plan.blocks[i];
        if (block->shared && block->first == moment)
            clear_halo(g->backend, block, g->memory + block->offset);
    }
}
