#include "plan.h"

/* Fusion: which arrays lie inside others, and which are made twice. */

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
        den_plan_placed(node, DEN_VALUE))
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
