#include "graph.h"

#include <assert.h>
#include <string.h>

#include "mem.h"
#include "plan.h"
#include "str.h"

/* Builders append nodes, so the array is in topological order by construction: forward is
 * a loop up, backward a loop down.  Where arrays lie is plan.c's business. */

/* A graph input has no work to do; it is not one of den_ops[]. */
static const struct den_op op_input = {.name = "input", .doc = "given from outside"};

bool den_graph_new(struct den_params *params, struct den_pool *pool,
                   struct den_graph **ret, struct den_err *err)
{
    struct den_graph *g = den_new(1, sizeof *g, err);
    if (g == NULL)
        return false;
    g->params = params;
    g->backend = den_params_backend(params);
    g->pool = pool;
    g->err = DEN_ERR_INIT;
    g->init = DEN_INIT_CONV;
    *ret = g;
    return true;
}

void den_graph_free(struct den_graph *graph)
{
    if (graph == NULL)
        return;
    graph->backend->free(graph->memory);
    den_plan_release(&graph->plan);
    for (size_t i = 0; i < graph->size; i++) {
        graph->backend->free(graph->nodes[i]->packed);
        den_free(graph->nodes[i]);
    }
    den_free(graph->nodes);
    den_free(graph);
}

void den_graph_set_fusion(struct den_graph *g, bool on)
{
    assert(g->memory == NULL);
    g->plain = !on;
}

void den_graph_set_winograd(struct den_graph *g, enum den_winograd winograd)
{
    assert(g->memory == NULL);
    g->winograd = winograd;
}

void den_graph_set_init(struct den_graph *g, enum den_param_init init)
{
    g->init = init;
}

void den_graph_set_take_weights(struct den_graph *g, bool on)
{
    assert(g->memory == NULL);
    g->takes_weights = on;
}

/* ---- building ---- */

#define BROKEN (-1)

/* Nodes are allocated one by one, because they point at each other. */
static bool make_room(struct den_graph *g)
{
    if (g->size < g->capacity)
        return true;
    size_t capacity = g->capacity == 0 ? 64 : 2 * g->capacity;
    struct den_gnode **nodes =
        den_realloc(g->nodes, capacity, sizeof(struct den_gnode *));
    if (nodes == NULL)
        return den_err_set(&g->err, DEN_E_NO_MEMORY, "Not enough memory for the net.");
    g->nodes = nodes;
    g->capacity = capacity;
    return true;
}

/* After this no product of sizes can overflow (plan.c adds a halo to the sides). */
static bool check_shape(const struct den_gnode *node, struct den_err *err)
{
    struct den_shape s = node->shape;
    size_t sides[] = {s.n, s.h, s.w, s.c}, count = 1;
    for (size_t i = 0; i < 4; i++)
        if (sides[i] < 1 || sides[i] > DEN_SIDE_MAX ||
            !den_mul_size(count, sides[i], &count) || count > DEN_ELEMENTS_MAX)
            return den_op_refuse(node, err,
                                 "%zu x %zu x %zu x %zu (images, rows, columns, "
                                 "channels) is not a size this net can take",
                                 s.n, s.h, s.w, s.c);
    return true;
}

/* Handles to nodes. */
static bool connect(struct den_graph *g, struct den_gnode *node, const den_node *inputs)
{
    assert(node->op->inputs <= DEN_OP_INPUTS);
    for (size_t k = 0; k < node->op->inputs; k++) {
        if (inputs[k] < 0 || (size_t)inputs[k] >= g->size)
            return den_op_refuse(node, &g->err, "there is no node %d", inputs[k]);
        node->in[k] = g->nodes[inputs[k]];
    }
    return true;
}

static bool is_frozen(const struct den_gnode *node)
{
    return node->param[0] != NULL && node->param[0]->frozen;
}

/* For backward passes without the inputs' gradients.  Ops do not know frozen weights:
 * backward ends before it comes to them. */
static bool find_learning(struct den_gnode *node, struct den_err *err)
{
    node->learns = node->param[0] != NULL && !is_frozen(node);
    for (size_t k = 0; k < node->op->inputs; k++)
        node->learns = node->learns || node->in[k]->learns;
    return !(is_frozen(node) && node->learns) ||
           den_op_refuse(node, err,
                         "its weights are frozen, but a layer before it learns");
}

static bool set_up(struct den_graph *g, struct den_gnode *node, const char *name,
                   const den_node *inputs)
{
    if (!den_str_copy(node->name, sizeof node->name, name))
        return den_op_refuse(node, &g->err, "the name is too long");
    if (!connect(g, node, inputs))
        return false;
    return (node->op->infer == NULL || node->op->infer(node, g->params, &g->err)) &&
           check_shape(node, &g->err);
}

/* The first error sticks: afterwards every builder returns BROKEN at once. */
static den_node add_node(struct den_graph *g, struct den_gnode template, const char *name,
                         den_node a, den_node b)
{
    if (g->err.code != DEN_OK || !make_room(g))
        return BROKEN;
    assert(g->memory == NULL);
    struct den_gnode *node = den_new(1, sizeof *node, &g->err);
    if (node == NULL)
        return BROKEN;
    *node = template;
    node->index = g->size;
    const den_node inputs[DEN_OP_INPUTS] = {a, b};
    if (!set_up(g, node, name, inputs) || !find_learning(node, &g->err)) {
        den_free(node);
        return BROKEN;
    }
    g->nodes[g->size++] = node;
    return (den_node)node->index;
}

den_node den_input(struct den_graph *g, struct den_shape shape)
{
    return add_node(g, (struct den_gnode){.op = &op_input, .shape = shape}, "", BROKEN,
                    BROKEN);
}

/* A node that slides a square kernel. */
static struct den_gnode window(const struct den_graph *g, const struct den_op *op,
                               size_t out, size_t kernel, size_t stride, size_t pad,
                               bool bias)
{
    return (struct den_gnode){.op = op,
                              .attr = {out, kernel, stride, pad, bias, 0, 0, g->init}};
}

den_node den_conv(struct den_graph *g, const char *name, den_node x, size_t out,
                  size_t kernel, size_t stride, size_t pad, bool bias)
{
    return add_node(g, window(g, &den_op_conv, out, kernel, stride, pad, bias), name, x,
                    BROKEN);
}

den_node den_convt(struct den_graph *g, const char *name, den_node x, size_t out,
                   size_t kernel, size_t stride, size_t pad, bool bias)
{
    return add_node(g, window(g, &den_op_convt, out, kernel, stride, pad, bias), name, x,
                    BROKEN);
}

den_node den_batch_norm(struct den_graph *g, const char *name, den_node x)
{
    return add_node(g, (struct den_gnode){.op = &den_op_batch_norm}, name, x, BROKEN);
}

den_node den_instance_norm(struct den_graph *g, den_node x)
{
    return add_node(g, (struct den_gnode){.op = &den_op_instance_norm}, "", x, BROKEN);
}

den_node den_leaky_relu(struct den_graph *g, den_node x, double slope)
{
    return add_node(
        g, (struct den_gnode){.op = &den_op_leaky_relu, .attr = {.slope = slope}}, "", x,
        BROKEN);
}

den_node den_tanh(struct den_graph *g, den_node x)
{
    return add_node(g, (struct den_gnode){.op = &den_op_tanh}, "", x, BROKEN);
}

den_node den_dropout(struct den_graph *g, den_node x, double p)
{
    return add_node(g, (struct den_gnode){.op = &den_op_dropout, .attr = {.p = p}}, "", x,
                    BROKEN);
}

den_node den_concat(struct den_graph *g, den_node a, den_node b)
{
    return add_node(g, (struct den_gnode){.op = &den_op_concat}, "", a, b);
}

den_node den_add(struct den_graph *g, den_node a, den_node b)
{
    return add_node(g, (struct den_gnode){.op = &den_op_add}, "", a, b);
}

den_node den_max_pool(struct den_graph *g, den_node x)
{
    return add_node(g, (struct den_gnode){.op = &den_op_max_pool}, "", x, BROKEN);
}

den_node den_upsample(struct den_graph *g, den_node x)
{
    return add_node(g, (struct den_gnode){.op = &den_op_upsample}, "", x, BROKEN);
}

den_node den_linear(struct den_graph *g, const char *name, den_node x, size_t out,
                    bool bias)
{
    return add_node(
        g, (struct den_gnode){.op = &den_op_linear, .attr = {.out = out, .bias = bias}},
        name, x, BROKEN);
}

/* ---- planning ---- */

/* Backward must make the masks of its forward again, so key and mode stay with the graph.
 */
static struct den_run make_run(const struct den_graph *g)
{
    return (struct den_run){
        .backend = g->backend,
        .ex = {.pool = g->pool, .winograd = g->winograd},
        .key = g->key,
        .training = g->trained,
        .input_grads = !g->no_input_grads,
    };
}

void den_graph_tap(struct den_graph *g, den_node node)
{
    assert(g->memory == NULL);
    if (node >= 0 && (size_t)node < g->size) /* else an error that finish reports */
        g->nodes[node]->tapped = true;
}

/* What plan and finish have in common. */
static bool make_plan(struct den_graph *g, den_node output, enum den_purpose purpose,
                      struct den_err *err)
{
    assert(g->memory == NULL);
    if (g->err.code != DEN_OK) {
        if (err != NULL && err->code == DEN_OK)
            *err = g->err;
        return false;
    }
    if (output < 0 || (size_t)output >= g->size)
        return den_err_set(err, DEN_E_INVALID, "The net has no output.");
    return den_plan_make(g, g->nodes[output], purpose, err);
}

bool den_graph_plan(struct den_graph *g, den_node output, enum den_purpose purpose,
                    size_t *ret_bytes, struct den_err *err)
{
    if (!make_plan(g, output, purpose, err))
        return false;
    *ret_bytes = den_graph_bytes(g);
    return true;
}

/* Is the value of its weights read by this node alone, and packed? */
static bool takes(const struct den_graph *g, const struct den_gnode *node)
{
    bool alone = node->packed_count > 0;
    for (size_t i = 0; alone && i < g->size; i++)
        alone = g->nodes[i] == node || g->nodes[i]->param[0] != node->param[0];
    return alone;
}

size_t den_graph_taken_bytes(const struct den_graph *g, size_t *ret_largest)
{
    size_t sum = 0, largest = 0;
    for (size_t i = 0; i < g->size; i++) {
        if (!takes(g, g->nodes[i]))
            continue;
        size_t count = g->nodes[i]->param[0]->count;
        sum += count;
        largest = largest < count ? count : largest;
    }
    *ret_largest = largest * sizeof(den_real);
    return sum * sizeof(den_real);
}

/* One by one, so that of all but one layer there is only the value or the packed form. */
static bool make_packed(struct den_graph *g, struct den_err *err)
{
    struct den_run run = make_run(g);
    for (size_t i = 0; i < g->size; i++) {
        struct den_gnode *node = g->nodes[i];
        if (node->packed_count == 0)
            continue;
        if (!g->backend->alloc(node->packed_count, &node->packed, err))
            return false;
        if (g->takes_weights)
            node->op->pack(&run, node);
        if (g->takes_weights && takes(g, node))
            den_params_drop(g->params, node->param[0]);
    }
    return true;
}

bool den_graph_finish(struct den_graph *g, den_node output, enum den_purpose purpose,
                      struct den_err *err)
{
    if (!make_plan(g, output, purpose, err) ||
        !g->backend->alloc(g->plan.total, &g->memory, err))
        return false;
    den_plan_bind(g);
    return make_packed(g, err);
}

size_t den_graph_bytes(const struct den_graph *g)
{
    return (g->plan.total + g->plan.packed) * sizeof(den_real);
}

struct den_shape den_graph_shape(const struct den_graph *g, den_node node)
{
    if (node < 0 || (size_t)node >= g->size)
        return (struct den_shape){0};
    return g->nodes[node]->shape;
}

/* ---- running ---- */

static struct den_gnode *input_at(const struct den_graph *g, den_node input)
{
    assert(g->memory != NULL && input >= 0 && (size_t)input < g->size);
    assert(g->nodes[input]->op == &op_input);
    return g->nodes[input];
}

void den_graph_set_input(struct den_graph *g, den_node input, const den_real *data)
{
    struct den_run run = make_run(g);
    g->backend->pack_in(&run.ex, data, &input_at(g, input)->value);
}

/* Weights that stay the same from call to call are packed once. */
static void pack_weights(struct den_graph *g, const struct den_run *run)
{
    uint64_t version = den_params_version(g->params);
    if (g->takes_weights || (g->packed && g->version == version))
        return;
    for (size_t i = 0; i < g->size; i++)
        if (g->nodes[i]->packed_count > 0)
            g->nodes[i]->op->pack(run, g->nodes[i]);
    g->packed = true;
    g->version = version;
}

/* array: where the value goes, DEN_VALUE or DEN_AGAIN. */
static void forward_node(struct den_graph *g, struct den_run *run, struct den_gnode *node,
                         int array)
{
    if (node->again)
        den_plan_bind_value(g, node, array);
    den_plan_lend(g, node, 0, &run->ex);
    if (node->op->forward != NULL)
        node->op->forward(run, node);
}

/* A convolution, and all that it does for the nodes behind it. */
static void forward_fused(struct den_graph *g, struct den_run *run,
                          struct den_gnode *node)
{
    enum { BIAS = 1 }; /* the parameter of either convolution */
    struct den_gnode *norm = node->fused.norm;
    struct den_epilogue epilogue = {.slope = node->fused.slope};
    if (norm != NULL) {
        norm->op->fold(run, norm, den_op_value(node, BIAS));
        epilogue.scale = norm->state;
        run->shift = norm->state + norm->shape.c;
    }
    run->ex.epilogue = &epilogue;
    forward_node(g, run, node, DEN_VALUE);
    run->ex.epilogue = NULL;
    run->shift = NULL;
}

void den_graph_forward(struct den_graph *g, bool training, uint64_t key)
{
    assert(g->memory != NULL);
    g->trained = training;
    g->key = key;
    struct den_run run = make_run(g);
    pack_weights(g, &run);
    for (size_t i = 0; i < g->size; i++) {
        den_plan_enter(g, i);
        struct den_gnode *node = g->nodes[i];
        run.ex.packed = node->packed;
        if (!node->live || (node->absorbed && !training))
            continue;
        if (node->fused.any && !training)
            forward_fused(g, &run, node);
        else
            forward_node(g, &run, node, DEN_VALUE);
        if (node->then != NULL && !training)
            forward_node(g, &run, node->then, DEN_VALUE);
    }
}

void den_graph_get_output(struct den_graph *g, den_real *data)
{
    assert(g->memory != NULL);
    struct den_run run = make_run(g);
    g->backend->pack_out(&run.ex, &g->plan.output->value, data);
}

/* Makes the values again that were dropped after forward and that backward of this node
 * is the first to read. */
static void recall_inputs(struct den_graph *g, struct den_run *run,
                          struct den_gnode *node)
{
    for (size_t k = 0; k < node->op->inputs; k++) {
        struct den_gnode *in = node->in[k];
        if (in->again && in->last_use == node->index)
            forward_node(g, run, in, DEN_AGAIN);
    }
}

static struct den_gnode *tap_at(const struct den_graph *g, den_node tap)
{
    assert(g->memory != NULL && tap >= 0 && (size_t)tap < g->size);
    assert(g->nodes[tap]->tapped);
    return g->nodes[tap];
}

void den_graph_get_tap(struct den_graph *g, den_node tap, den_real *data)
{
    struct den_run run = make_run(g);
    g->backend->pack_out(&run.ex, &tap_at(g, tap)->value, data);
}

void den_graph_set_tap_grad(struct den_graph *g, den_node tap, const den_real *dtap)
{
    tap_at(g, tap)->tap_grad = dtap;
}

/* The gradients from outside, before those of the nodes are added. */
static void start_gradients(struct den_graph *g, const struct den_run *run,
                            const den_real *doutput)
{
    for (size_t i = 0; i < g->size; i++)
        if (g->nodes[i]->tapped) {
            assert(g->nodes[i]->tap_grad != NULL && g->nodes[i] != g->plan.output);
            g->backend->pack_in(&run->ex, g->nodes[i]->tap_grad, &g->nodes[i]->grad);
        }
    g->backend->pack_in(&run->ex, doutput, &g->plan.output->grad);
}

void den_graph_backward(struct den_graph *g, const den_real *doutput, bool param_grads)
{
    assert(g->memory != NULL && g->trained && g->plan.purpose == DEN_FOR_TRAINING);
    struct den_run run = make_run(g);
    run.param_grads = param_grads;
    den_plan_enter(g, g->size); /* moments: see plan.h */
    start_gradients(g, &run, doutput);
    for (size_t i = g->size; i-- > 0;) {
        den_plan_enter(g, 2 * g->size - i);
        struct den_gnode *node = g->nodes[i];
        if (!node->live)
            continue;
        recall_inputs(g, &run, node);
        den_plan_lend(g, node, 1, &run.ex);
        bool wanted = node->learns || run.input_grads;
        assert(!(wanted && is_frozen(node))); /* no way from the output to the input */
        if (wanted && node->op->backward != NULL)
            node->op->backward(&run, node);
    }
    g->trained = false; /* the values are gone */
}

void den_graph_set_input_grads(struct den_graph *g, bool on)
{
    g->no_input_grads = !on;
}

void den_graph_get_input_grad(struct den_graph *g, den_node input, den_real *data)
{
    struct den_gnode *node = input_at(g, input);
    struct den_run run = make_run(g);
    assert(g->plan.purpose == DEN_FOR_TRAINING && !g->no_input_grads);
    if (node->reached)
        g->backend->pack_out(&run.ex, &node->grad, data);
    else /* the output does not depend on it */
        memset(data, 0, den_shape_count(node->shape) * sizeof *data);
}
