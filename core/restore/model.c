#include "model.h"

#include <math.h>

#include "mem.h"

/* ---- a net without memory ---- */

/* Parameters of a planned net are counted, never touched: they need an address only. */
static den_real nowhere;

static bool count_alloc(size_t count, den_real **ret, struct den_err *err)
{
    (void)count, (void)err;
    *ret = &nowhere;
    return true;
}

static void count_free(den_real *data)
{
    (void)data;
}

struct den_backend den_model_counting(void)
{
    struct den_backend counting = *den_backend_default();
    counting.alloc = count_alloc;
    counting.free = count_free;
    return counting;
}

struct planned {
    size_t graph, taken, largest_taken; /* bytes */
};

/* Builds the net into a graph for [n][height][width] images and throws the graph away;
 * the parameters come into being on the way and stay in `params`. */
static bool build(const struct den_net *net, const struct den_net_options *options,
                  size_t n, size_t height, size_t width, struct den_params *params,
                  struct den_pool *pool, enum den_purpose purpose, struct planned *ret,
                  struct den_err *err)
{
    struct den_graph *graph = NULL;
    if (!den_graph_new(params, pool, &graph, err))
        return false;
    struct den_shape shape = {n, height, width, options->channels_in};
    den_node output = den_net_build(net, graph, den_input(graph, shape), options);
    bool done = den_graph_plan(graph, output, purpose, &ret->graph, err);
    if (done)
        ret->taken = den_graph_taken_bytes(graph, &ret->largest_taken);
    den_graph_free(graph);
    return done;
}

/* Any side will do for the parameters alone; this one leaves something of the map after
 * the deepest PatchGAN. */
static size_t usual_side(const struct den_net *net, const struct den_net_options *options)
{
    size_t multiple = net->multiple_of(options);
    return (256 + multiple - 1) / multiple * multiple;
}

static size_t count_params(struct den_params *params)
{
    size_t count = 0;
    for (size_t i = 0; i < den_params_size(params); i++)
        count += den_params_at(params, i)->count;
    return count;
}

static size_t largest_bytes(struct den_params *params)
{
    size_t largest = 0;
    for (size_t i = 0; i < den_params_size(params); i++)
        if (largest < den_params_at(params, i)->count)
            largest = den_params_at(params, i)->count;
    return largest * sizeof(float);
}

/* Every parameter begins on a cache line and has a name and a shape. */
static size_t held_bytes(struct den_params *params)
{
    const size_t line = 64;
    size_t bytes = 0;
    for (size_t i = 0; i < den_params_size(params); i++)
        bytes += den_params_at(params, i)->count * sizeof(float) +
                 sizeof(struct den_param) + 2 * line;
    return bytes;
}

static bool plan_net(const struct den_net *net, const struct den_net_options *options,
                     size_t n, size_t height, size_t width, enum den_purpose purpose,
                     int threads, struct planned *ret, size_t *ret_params,
                     size_t *ret_largest, struct den_err *err)
{
    struct den_backend counting = den_model_counting();
    struct den_params *params = NULL;
    struct den_pool *pool = NULL; /* scratch grows with the threads of a pool */
    bool done = net->check(options, err) &&
                (threads <= 1 || den_pool_new(threads, &pool, err)) &&
                den_params_new(&counting, &params, err) &&
                build(net, options, n, height, width, params, pool, purpose, ret, err);
    if (done) {
        *ret_params = held_bytes(params);
        *ret_largest = largest_bytes(params);
    }
    den_params_free(params);
    den_pool_free(pool);
    return done;
}

bool den_model_plan(const struct den_net *net, const struct den_net_options *options,
                    size_t n, size_t height, size_t width, enum den_purpose purpose,
                    int threads, size_t *ret_params, size_t *ret_graph,
                    struct den_err *err)
{
    struct planned planned;
    size_t largest;
    if (!plan_net(net, options, n, height, width, purpose, threads, &planned, ret_params,
                  &largest, err))
        return false;
    *ret_graph = planned.graph;
    return true;
}

/* Packed weights need no less than their values, so the peak of packing layer by layer is
 * at most the end of it and one more value. */
bool den_model_plan_use(const struct den_net *net, const struct den_net_options *options,
                        size_t n, size_t height, size_t width, int threads, size_t *ret,
                        struct den_err *err)
{
    struct planned planned;
    size_t params, largest;
    if (!plan_net(net, options, n, height, width, DEN_FOR_INFERENCE, threads, &planned,
                  &params, &largest, err))
        return false;
    size_t load = params + 2 * largest; /* on its way from the file */
    size_t use = params - planned.taken + planned.largest_taken + planned.graph;
    *ret = load > use ? load : use;
    return true;
}

bool den_model_bytes(const struct den_net *net, const struct den_net_options *options,
                     size_t *ret, struct den_err *err)
{
    struct den_backend counting = den_model_counting();
    struct den_params *params = NULL;
    struct planned planned;
    if (!net->check(options, err) || !den_params_new(&counting, &params, err))
        return false;
    size_t side = usual_side(net, options);
    bool done = build(net, options, 1, side, side, params, NULL, DEN_FOR_INFERENCE,
                      &planned, err);
    if (done)
        *ret = count_params(params) * sizeof(float);
    den_params_free(params);
    return done;
}

/* ---- models ---- */

static bool check_norm(const struct den_norm *norm, struct den_err *err)
{
    if (norm->kind == NULL || den_norm_find(norm->kind) == NULL)
        return den_err_set(err, DEN_E_INVALID, "there is no normalisation '%s'",
                           norm->kind == NULL ? "" : norm->kind);
    if (!isfinite(norm->shift))
        return den_err_set(err, DEN_E_INVALID,
                           "the shift %g of the normalisation is not a finite number",
                           norm->shift);
    if (!isfinite(norm->scale) || !(norm->scale > 0))
        return den_err_set(err, DEN_E_INVALID,
                           "the scale %g of the normalisation is not above 0",
                           norm->scale);
    return true;
}

bool den_model_new(const struct den_backend *backend, const struct den_net *net,
                   const struct den_net_options *options, const struct den_norm *norm,
                   struct den_model **ret, struct den_err *err)
{
    if (!check_norm(norm, err) || !net->check(options, err))
        return false;
    struct den_model *model = den_new(1, sizeof *model, err);
    if (model == NULL)
        return false;
    model->net = net;
    model->options = *options;
    model->norm = *norm;
    model->norm.kind = den_norm_find(norm->kind)->name;
    size_t side = usual_side(net, options);
    struct planned planned;
    if (!den_params_new(backend, &model->params, err) ||
        !build(net, options, 1, side, side, model->params, NULL, DEN_FOR_INFERENCE,
               &planned, err)) {
        den_model_free(model);
        return false;
    }
    *ret = model;
    return true;
}

void den_model_free(struct den_model *model)
{
    if (model == NULL)
        return;
    den_params_free(model->params);
    den_tensor_file_free(model->file);
    den_free(model);
}
