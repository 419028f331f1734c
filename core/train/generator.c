#include "generator.h"

#include <string.h>

#include "mem.h"
#include "train_plan.h"

const char *const den_term_names[DEN_TERMS] = {"loss_l1", "loss_ssim", "loss_tv"};
static const char *const loss_names[DEN_TERMS] = {"l1", "dssim", "tv"};

void den_generator_release(struct den_generator *g)
{
    den_graph_free(g->graph);
    den_free(g->fake);
    den_free(g->dfake);
    den_free(g->values);
    den_free(g->scratch);
    *g = (struct den_generator){0};
}

/* ---- start ----------------------------------------------------------------------- */

static bool start_net(struct den_generator *g, struct den_model *model,
                      struct den_err *err)
{
    size_t count = den_shape_count(g->shape);
    if (!den_graph_new(g->params, g->job->pool, &g->graph, err))
        return false;
    g->input = den_input(g->graph, g->shape);
    den_node output = den_net_build(model->net, g->graph, g->input, &model->options);
    den_graph_set_input_grads(g->graph, false); /* nobody asks how x should change */
    return den_graph_finish(g->graph, output, DEN_FOR_TRAINING, err) &&
           den_params_train(g->params, err) &&
           (g->fake = den_new(count, sizeof(float), err)) != NULL &&
           (g->dfake = den_new(count, sizeof(float), err)) != NULL;
}

static bool start_terms(struct den_generator *g, double lo, double hi,
                        struct den_err *err)
{
    const struct den_train_config *config = &g->job->config;
    const double weights[DEN_TERMS] = {config->lambda_l1, config->lambda_ssim,
                                       config->lambda_tv};
    struct den_shape one = g->shape;
    one.n = 1;
    g->options = (struct den_pixel_loss_options){
        .lo = lo, .hi = hi, .window = (size_t)config->ssim_window};
    for (size_t k = 0; k < DEN_TERMS; k++) {
        const struct den_pixel_loss *loss = den_loss_find(loss_names[k]);
        bool active = weights[k] > 0 || k == DEN_TERM_L1;
        g->terms[k] = (struct den_pixel_term){loss, weights[k], active};
        size_t need = active ? loss->scratch(one) : 0;
        g->scratch_count = need > g->scratch_count ? need : g->scratch_count;
    }
    size_t scratch;
    if (!den_mul_size(g->shape.n, g->scratch_count, &scratch))
        return den_err_set(err, DEN_E_NO_MEMORY, "not enough memory for the losses");
    return (g->values = den_new(g->shape.n * DEN_TERMS, sizeof(double), err)) != NULL &&
           (g->scratch = den_new(scratch, sizeof(double), err)) != NULL;
}

bool den_generator_start(struct den_generator *g, const struct den_train_job *job,
                         struct den_model *model, double lo, double hi,
                         struct den_err *err)
{
    size_t side = (size_t)job->config.crop;
    g->job = job;
    g->params = model->params;
    g->shape = (struct den_shape){(size_t)job->config.batch, side, side, 1};
    return start_net(g, model, err) && start_terms(g, lo, hi, err);
}

/* ---- pixel losses ---------------------------------------------------------------- */

struct compare_work {
    struct den_generator *g;
    const float *clean;
};

/* All terms of one image.  Each is a mean over images, so an image has 1/n of its weight.
 */
static void compare_image(void *context, size_t i, int thread)
{
    (void)thread;
    struct compare_work *work = context;
    struct den_generator *g = work->g;
    struct den_shape one = g->shape;
    size_t at = i * one.h * one.w;
    one.n = 1;
    for (size_t k = 0; k < DEN_TERMS; k++) {
        const struct den_pixel_term *term = &g->terms[k];
        if (!term->active)
            continue;
        g->values[i * DEN_TERMS + k] = term->loss->value(
            one, g->fake + at, work->clean + at, &g->options,
            term->weight / (double)g->shape.n, term->weight > 0 ? g->dfake + at : NULL,
            g->scratch + i * g->scratch_count);
    }
}

void den_generator_compare(struct den_generator *g, const float *clean, double *ret)
{
    struct compare_work work = {g, clean};
    den_pool_run(g->job->pool, g->shape.n, compare_image, &work);
    for (size_t k = 0; k < DEN_TERMS; k++) {
        double sum = 0;
        for (size_t i = 0; i < g->shape.n; i++)
            sum += g->values[i * DEN_TERMS + k];
        ret[k] = sum / (double)g->shape.n;
    }
}

/* ---- one step -------------------------------------------------------------------- */

void den_generator_forward(struct den_generator *g, const struct den_batch *batch)
{
    den_graph_set_input(g->graph, g->input, batch->noisy);
    den_graph_forward(g->graph, true, batch->key);
    den_graph_get_output(g->graph, g->fake);
    memset(g->dfake, 0, den_shape_count(g->shape) * sizeof *g->dfake);
}

void den_generator_backward(struct den_generator *g)
{
    den_params_zero_grad(g->params);
    den_graph_backward(g->graph, g->dfake, true);
}

void den_generator_adam(struct den_generator *g, const struct den_batch *batch)
{
    const struct den_train_config *config = &g->job->config;
    struct den_exec ex = {.pool = g->job->pool};
    struct den_adam step = {batch->lr, config->beta1, config->beta2, 1e-8,
                            batch->step + 1};
    den_params_adam(g->params, &ex, &step);
}

/* ---- bytes ----------------------------------------------------------------------- */

bool den_generator_bytes(const struct den_train_config *config, int threads, size_t *ret,
                         struct den_err *err)
{
    struct den_net_options options = den_train_generator(config);
    size_t pixels = (size_t)(config->batch * config->crop * config->crop), net;
    struct den_shape one = {1, (size_t)config->crop, (size_t)config->crop, 1};
    if (!den_train_net_bytes(den_train_net(config), &options, config, threads, &net, err))
        return false;
    size_t host = 4 * pixels * sizeof(float); /* noisy, clean, generated, gradient */
    if (config->lambda_ssim > 0)
        host +=
            (size_t)config->batch * den_loss_find("dssim")->scratch(one) * sizeof(double);
    *ret = net + host;
    return true;
}
