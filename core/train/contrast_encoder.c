#include "contrast_encoder.h"

#include <assert.h>

#include "mem.h"
#include "train_plan.h"

/* Builds it; returns the output. */
static den_node build(struct den_graph *g, den_node x,
                      const struct den_train_config *config, bool all,
                      struct den_contrast_maps *maps)
{
    const struct den_net *net = den_train_net(config);
    struct den_net_options options = den_train_generator(config);
    den_node level[DEN_NET_LEVELS_MAX] = {0};
    size_t levels = net->levels(&options);
    den_graph_set_winograd(g, options.winograd);
    den_node deepest = net->encode(g, x, &options, all ? level : NULL);
    maps->count = !all ? 1 : levels < DEN_CONTRAST_MAPS ? levels : DEN_CONTRAST_MAPS;
    assert(maps->count > 0);
    for (size_t k = 0; k < maps->count; k++) {
        maps->node[k] = all ? level[k] : deepest;
        maps->shape[k] = den_graph_shape(g, maps->node[k]);
        if (k + 1 < maps->count)
            den_graph_tap(g, maps->node[k]);
    }
    return maps->node[maps->count - 1];
}

static struct den_shape input_of(const struct den_train_config *config, size_t n)
{
    return (struct den_shape){n, (size_t)config->crop, (size_t)config->crop, 1};
}

bool den_contrast_encoder_start(struct den_contrast_encoder *e,
                                const struct den_train_job *job,
                                struct den_params *params, size_t n, bool all,
                                struct den_err *err)
{
    e->params = params;
    if (!den_graph_new(params, job->pool, &e->graph, err))
        return false;
    e->input = den_input(e->graph, input_of(&job->config, n));
    den_node output = build(e->graph, e->input, &job->config, all, &e->maps);
    if (!den_graph_finish(e->graph, output, DEN_FOR_TRAINING, err))
        return false;
    for (size_t i = 0; i < den_params_size(params); i++) {
        const struct den_param *p = den_params_at(params, i);
        e->kept_count += p->kind != DEN_PARAM_WEIGHT ? p->count : 0;
    }
    return (e->kept = den_new(e->kept_count, sizeof(float), err)) != NULL;
}

void den_contrast_encoder_release(struct den_contrast_encoder *e)
{
    den_graph_free(e->graph);
    den_free(e->kept);
    *e = (struct den_contrast_encoder){0};
}

/* Takes the running statistics away, or puts them back. */
static void keep_statistics(struct den_contrast_encoder *e, bool back)
{
    const struct den_backend *backend = den_params_backend(e->params);
    float *at = e->kept;
    for (size_t i = 0; i < den_params_size(e->params); i++) {
        struct den_param *p = den_params_at(e->params, i);
        if (p->kind == DEN_PARAM_WEIGHT)
            continue;
        if (back)
            backend->upload(p->value, at, p->count);
        else
            backend->download(at, p->value, p->count);
        at += p->count;
    }
}

void den_contrast_encoder_forward(struct den_contrast_encoder *e, const float *images)
{
    keep_statistics(e, false);
    den_graph_set_input(e->graph, e->input, images);
    den_graph_forward(e->graph, true, 0); /* the way down has no dropout */
    keep_statistics(e, true);
}

void den_contrast_encoder_get(struct den_contrast_encoder *e, size_t k, float *to)
{
    if (k + 1 < e->maps.count)
        den_graph_get_tap(e->graph, e->maps.node[k], to);
    else
        den_graph_get_output(e->graph, to);
}

void den_contrast_encoder_backward(struct den_contrast_encoder *e,
                                   float *const *gradients)
{
    size_t last = e->maps.count - 1;
    for (size_t k = 0; k < last; k++)
        den_graph_set_tap_grad(e->graph, e->maps.node[k], gradients[k]);
    den_graph_backward(e->graph, gradients[last], true);
}

bool den_contrast_encoder_plan(const struct den_train_config *config, size_t n, bool all,
                               int threads, struct den_contrast_maps *ret_maps,
                               size_t *ret_bytes, struct den_err *err)
{
    struct den_backend counting = den_model_counting();
    struct den_params *params = NULL;
    struct den_pool *pool = NULL; /* scratch grows with the threads of a pool */
    struct den_graph *graph = NULL;
    struct den_contrast_maps maps = {0};
    bool ok = false;
    if (!den_params_new(&counting, &params, err) ||
        (threads > 1 && !den_pool_new(threads, &pool, err)) ||
        !den_graph_new(params, pool, &graph, err))
        goto out;
    den_node input = den_input(graph, input_of(config, n));
    den_node output = build(graph, input, config, all, &maps);
    if (!den_graph_plan(graph, output, DEN_FOR_TRAINING, ret_bytes, err))
        goto out;
    *ret_maps = maps;
    ok = true;
out:
    den_graph_free(graph);
    den_pool_free(pool);
    den_params_free(params);
    return ok;
}
