#include "plan.h"

/* Fusion: which arrays lie inside others, which are made twice, and which nodes'
 * work a convolution does. */

struct den_gnode *den_plan_root(struct den_gnode *node, int array)
{
    while (node->place[array].parent != NULL)
        node = node->place[array].parent;
    return node;
}

bool den_plan_placed(const struct den_gnode *node, int array)
{
    return node->place[array].parent != NULL;
}

/* Lays the inputs of a concatenation into its buffer.  A graph input is filled before the
 * forward pass and may be read again, so it keeps its own array.  A gradient can be
 * shared only if the concatenation is the first to contribute to it. */
static void join(struct den_gnode *node)
{
    size_t channel = 0;
    for (size_t k = 0; k < node->op->inputs; k++) {
        struct den_gnode *in = node->in[k];
        const struct den_place inside = {.parent = node, .channel = channel};
        if (!den_plan_is_input(in) && !den_plan_placed(in, DEN_VALUE))
            in->place[DEN_VALUE] = inside;
        if (in->last_use == node->index && !den_plan_placed(in, DEN_GRAD))
            in->place[DEN_GRAD] = inside;
        channel += in->shape.c;
    }
}

/* May the value of x be overwritten by y, its only reader?  Whatever else lies in the
 * same buffer must not be needed any more: while training everything is. */
static bool overwritable(struct den_graph *g, struct den_gnode *x,
                         const struct den_gnode *y)
{
    bool training = g->plan.purpose == DEN_FOR_TRAINING;
    if (training && (x->op->traits & DEN_OP_READS_OUTPUT) != 0)
        return false;
    for (size_t i = 0; i < g->size; i++) {
        struct den_gnode *other = g->nodes[i];
        if (other == x || !other->live || den_plan_root(other, DEN_VALUE) != x)
            continue;
        if (training || other->last_use >= y->index)
            return false;
    }
    return true;
}

/* Lets y write over its only input where its op allows that. */
static void overwrite(struct den_graph *g, struct den_gnode *y)
{
    bool training = g->plan.purpose == DEN_FOR_TRAINING;
    unsigned trait = training ? DEN_OP_IN_PLACE : DEN_OP_IN_PLACE_INFERENCE;
    struct den_gnode *x = y->in[0];
    if ((y->op->traits & trait) == 0 || x->uses != 1)
        return;
    const struct den_place same = {.parent = y, .channel = 0};
    if (!den_plan_is_input(x) && !den_plan_placed(x, DEN_VALUE) && overwritable(g, x, y))
        x->place[DEN_VALUE] = same;
    if (!den_plan_placed(x, DEN_GRAD))
        x->place[DEN_GRAD] = same;
}

/* A value that costs little and that backward reads long after forward did is dropped in
 * between.  Not one that shares its block (it was written over, or lies beside others),
 * and not one made from a value that is dropped itself. */
static bool made_again(struct den_graph *g, struct den_gnode *node)
{
    if ((node->op->traits & DEN_OP_REPEATS) == 0 || node == g->plan.output ||
        node->last_use >= g->size || den_plan_placed(node, DEN_VALUE))
        return false;
    for (size_t i = 0; i < g->size; i++)
        if (g->nodes[i]->live && g->nodes[i]->place[DEN_VALUE].parent == node)
            return false;
    for (size_t k = 0; k < node->op->inputs; k++)
        if (node->in[k]->again)
            return false;
    return true;
}

/* Joins first: an array that lies in a concatenation stays there. */
void den_plan_fuse(struct den_graph *g)
{
    for (size_t i = 0; i < g->size; i++)
        if (g->nodes[i]->live && (g->nodes[i]->op->traits & DEN_OP_JOINS) != 0)
            join(g->nodes[i]);
    for (size_t i = 0; i < g->size; i++)
        if (g->nodes[i]->live && g->nodes[i]->op->inputs == 1)
            overwrite(g, g->nodes[i]);
    for (size_t i = 0; i < g->size && g->plan.purpose == DEN_FOR_TRAINING; i++)
        g->nodes[i]->again = g->nodes[i]->live && made_again(g, g->nodes[i]);
}

/* ---- what a convolution does at once ----
 * conv or convt, then a norm, then identities, then a leaky rectifier, each the only
 * reader of the one before and written over it: one pass over memory instead of three.
 * The rectifier may also come after a concatenation, of whose channels it then keeps the
 * others. */

/* The only reader of x, which writes over it; NULL if there is none. */
static struct den_gnode *heir(struct den_graph *g, const struct den_gnode *x)
{
    if (x->uses != 1 || x == g->plan.output || x->last_use >= g->size)
        return NULL;
    struct den_gnode *y = g->nodes[x->last_use];
    return x->place[DEN_VALUE].parent == y ? y : NULL;
}

/* Channels [first, first + count) are no longer the activation's; false if they are not
 * at an end of those that were left. */
static bool take_channels(struct den_gnode *act, size_t first, size_t count)
{
    if (count > act->channels)
        return false;
    if (first == act->first)
        act->first += count;
    else if (first + count != act->first + act->channels)
        return false;
    act->channels -= count;
    return true;
}

/* The rectifier after x, or after the concatenation that x lies in. */
static void fuse_activation(struct den_graph *g, struct den_gnode *head,
                            const struct den_gnode *x)
{
    struct den_gnode *y = heir(g, x);
    size_t channel = x->place[DEN_VALUE].channel;
    if (y != NULL && (y->op->traits & DEN_OP_JOINS) != 0)
        y = heir(g, y);
    else
        channel = 0;
    if (y == NULL || y->op != &den_op_leaky_relu ||
        !take_channels(y, channel, x->shape.c))
        return;
    y->absorbed = y->channels == 0;
    head->fused.slope = y->attr.slope;
    head->fused.any = true;
}

static void fuse_epilogue(struct den_graph *g, struct den_gnode *head)
{
    struct den_gnode *x = head, *y = heir(g, x);
    if (y != NULL && y->op->fold != NULL) {
        head->fused = (struct den_fused){true, y, 1};
        y->absorbed = true;
        x = y;
        y = heir(g, x);
    }
    for (; y != NULL && (y->op->traits & DEN_OP_IDENTITY) != 0; y = heir(g, x))
        x = y;
    fuse_activation(g, head, x);
}

/* The last reader of x but for the last. */
static struct den_gnode *reader_before_last(struct den_graph *g,
                                            const struct den_gnode *x)
{
    for (size_t i = x->last_use; i-- > x->index;)
        for (size_t k = 0; g->nodes[i]->live && k < g->nodes[i]->op->inputs; k++)
            if (g->nodes[i]->in[k] == x)
                return g->nodes[i];
    return NULL;
}

/* An activation that one input of a concatenation is left to comes as soon as the others
 * have read that input: it is in cache then, and no more when the other half is done. */
static void advance(struct den_graph *g, struct den_gnode *act)
{
    const struct den_gnode *join = act->in[0];
    if (act->absorbed || act->channels == act->shape.c)
        return;
    for (size_t k = 0; k < join->op->inputs; k++) {
        const struct den_gnode *x = join->in[k];
        if (x->place[DEN_VALUE].parent != join || x->last_use != join->index ||
            x->place[DEN_VALUE].channel != act->first || x->shape.c != act->channels)
            continue;
        struct den_gnode *reader = reader_before_last(g, x);
        if (reader == NULL || reader->then != NULL)
            continue;
        reader->then = act;
        act->absorbed = true;
        return;
    }
}

void den_plan_fuse_epilogues(struct den_graph *g)
{
    for (size_t i = 0; i < g->size; i++)
        if (g->nodes[i]->live && g->nodes[i]->packed_count > 0)
            fuse_epilogue(g, g->nodes[i]);
    for (size_t i = 0; i < g->size; i++)
        if (g->nodes[i]->live && g->nodes[i]->op == &den_op_leaky_relu)
            advance(g, g->nodes[i]);
}
