#include "contrast_head.h"

#include <math.h>
#include <string.h>

#include "mem.h"
#include "str.h"

/* A net like any other, so that kernels, Adam, checkpoints and the count of bytes are
 * those of nets.  A linear layer on rows is a convolution with a 1 x 1 kernel: the rows
 * lie side by side as the pixels of one image. */

static size_t multiple_of(const struct den_net_options *o)
{
    (void)o;
    return 1;
}

static bool check(const struct den_net_options *o, struct den_err *err)
{
    (void)o, (void)err;
    return true;
}

static den_node layers(struct den_graph *g, den_node x, const struct den_net_options *o,
                       double slope, bool bias)
{
    x = den_leaky_relu(g, den_conv(g, "0", x, o->width, 1, 1, 0, bias), slope);
    return den_conv(g, "2", x, o->channels_out, 1, 1, 0, bias);
}

static den_node build_random(struct den_graph *g, den_node x,
                             const struct den_net_options *o)
{
    return layers(g, x, o, 0.01, false);
}

static den_node build_mlp(struct den_graph *g, den_node x,
                          const struct den_net_options *o)
{
    return layers(g, x, o, 0, true);
}

static const struct den_net net_random = {
    .name = "random",
    .doc = "projection head of the discriminator's logits",
    .multiple_of = multiple_of,
    .check = check,
    .build = build_random,
};
static const struct den_net net_mlp = {
    .name = "mlp",
    .doc = "projection head of an encoder",
    .multiple_of = multiple_of,
    .check = check,
    .build = build_mlp,
};
const struct den_contrast_head_kind den_contrast_head_random = {
    .net = &net_random, .trained = false, .hidden = 0, .out = 128};
const struct den_contrast_head_kind den_contrast_head_mlp = {
    .net = &net_mlp, .trained = true, .hidden = 0, .out = 128};
const struct den_contrast_head_kind den_contrast_head_patch = {
    .net = &net_mlp, .trained = true, .hidden = 256, .out = 256};

static struct den_net_options options_of(const struct den_contrast_head_kind *kind,
                                         size_t width)
{
    return (struct den_net_options){
        .channels_in = width,
        .channels_out = kind->out,
        .width = kind->hidden > 0 ? kind->hidden : width,
        .winograd = DEN_WINOGRAD_OFF,
    };
}

static bool trains(const struct den_train_config *config,
                   const struct den_contrast_head_kind *kind)
{
    if (strcmp(config->contrastive_head, "auto") == 0)
        return kind->trained;
    return strcmp(config->contrastive_head, "trained") == 0;
}

/* ---- start and end --------------------------------------------------------------- */

/* The weights of a layer come before its bias. */
static bool fill(struct den_contrast_head *head, size_t index, size_t *inputs,
                 struct den_err *err)
{
    struct den_param *param = den_params_at(head->params, index);
    float *values = den_new(param->count, sizeof(float), err);
    if (values == NULL)
        return false;
    if (param->ndim > 1)
        *inputs = param->dims[1];
    struct den_rng rng;
    double reach = 1 / sqrt((double)*inputs);
    den_rng_seed(&rng, head->job->seed, DEN_STREAM_HEAD, head->number * 16 + index);
    for (size_t i = 0; i < param->count; i++)
        values[i] = (float)(reach * (2 * den_rng_unit(&rng) - 1));
    den_param_write(head->params, param, values);
    den_free(values);
    return true;
}

bool den_contrast_head_start(struct den_contrast_head *head,
                             const struct den_train_job *job,
                             const struct den_contrast_head_kind *kind, size_t rows,
                             size_t width, struct den_err *err)
{
    struct den_net_options options = options_of(kind, width);
    head->job = job;
    head->trained = trains(&job->config, kind);
    if (!den_params_new(job->backend, &head->params, err) ||
        !den_graph_new(head->params, job->pool, &head->graph, err))
        return false;
    head->input = den_input(head->graph, (struct den_shape){1, 1, rows, width});
    den_node output = den_net_build(kind->net, head->graph, head->input, &options);
    if (!den_graph_finish(head->graph, output, DEN_FOR_TRAINING, err))
        return false;
    size_t inputs = width;
    for (size_t i = 0; i < den_params_size(head->params); i++)
        if (!fill(head, i, &inputs, err))
            return false;
    return !head->trained || den_params_train(head->params, err);
}

void den_contrast_head_release(struct den_contrast_head *head)
{
    den_graph_free(head->graph);
    den_params_free(head->params);
    *head = (struct den_contrast_head){0};
}

/* ---- use ------------------------------------------------------------------------- */

void den_contrast_head_forward(struct den_contrast_head *head, const float *from,
                               float *to)
{
    den_graph_set_input(head->graph, head->input, from);
    den_graph_forward(head->graph, true, 0); /* no dropout */
    den_graph_get_output(head->graph, to);
}

void den_contrast_head_backward(struct den_contrast_head *head,
                                const struct den_batch *batch, const float *dto,
                                float *dfrom)
{
    const struct den_train_config *config = &head->job->config;
    if (head->trained)
        den_params_zero_grad(head->params);
    den_graph_backward(head->graph, dto, head->trained);
    den_graph_get_input_grad(head->graph, head->input, dfrom);
    struct den_exec ex = {.pool = head->job->pool};
    struct den_adam step = {batch->lr, config->beta1, config->beta2, 1e-8,
                            batch->step + 1};
    if (head->trained)
        den_params_adam(head->params, &ex, &step);
}

/* ---- checkpoint and bytes -------------------------------------------------------- */

/* "head.", "head1.", ... */
static const char *prefix_of(const struct den_contrast_head *head, char *to, size_t size)
{
    if (head->number == 0)
        den_str_format(to, size, "head.");
    else
        den_str_format(to, size, "head%zu.", head->number);
    return to;
}

bool den_contrast_head_save(struct den_contrast_head *head,
                            struct den_tensor_writer *writer, struct den_err *err)
{
    char text[32];
    return !head->trained ||
           den_params_save(head->params, prefix_of(head, text, 32), true, writer, err);
}

bool den_contrast_head_load(struct den_contrast_head *head,
                            const struct den_tensor_file *file, struct den_err *err)
{
    char text[32];
    return !head->trained ||
           den_params_load(head->params, prefix_of(head, text, 32), true, file, err);
}

bool den_contrast_head_bytes(const struct den_train_config *config,
                             const struct den_contrast_head_kind *kind, size_t rows,
                             size_t width, int threads, size_t *ret, struct den_err *err)
{
    struct den_net_options options = options_of(kind, width);
    size_t params, graph;
    if (!den_model_plan(kind->net, &options, 1, 1, rows, DEN_FOR_TRAINING, threads,
                        &params, &graph, err))
        return false;
    /* value, and gradient and the two moments of Adam; or a copy while it is made */
    *ret = graph + (trains(config, kind) ? 4 : 2) * params;
    return true;
}
