#include "adversary.h"

#include <string.h>

#include "mem.h"
#include "train_plan.h"

static bool build(struct den_adversary *d, struct den_err *err)
{
    const struct den_train_job *job = d->job;
    struct den_net_options options = den_train_discriminator(&job->config);
    if (!den_net_patchgan.check(&options, err) ||
        !den_params_new(job->backend, &d->params, err) ||
        !den_graph_new(d->params, job->pool, &d->graph, err))
        return false;
    d->input = den_input(d->graph, d->shape);
    den_node output = den_net_build(&den_net_patchgan, d->graph, d->input, &options);
    if (!den_graph_finish(d->graph, output, DEN_FOR_TRAINING, err) ||
        !den_params_train(d->params, err))
        return false;
    /* Another seed than the generator's, or both would start with the same numbers. */
    den_params_init(d->params, den_hash64(job->seed, 1));
    d->logits = den_shape_count(den_graph_shape(d->graph, output));
    return true;
}

bool den_adversary_start(struct den_adversary *d, const struct den_train_job *job,
                         struct den_shape shape, size_t extra_steps, struct den_err *err)
{
    d->job = job;
    d->shape = shape;
    d->shape.c = 2;
    d->mode = den_gan_find(job->config.gan_mode);
    d->steps = (size_t)job->config.d_steps + extra_steps;
    d->augment = den_diff_augment_find(job->config.diff_augment);
    size_t count = den_shape_count(d->shape);
    if (d->augment != NULL && (d->seen = den_new(count, sizeof(float), err)) == NULL)
        return false;
    return build(d, err) && (d->pair = den_new(count, sizeof(float), err)) != NULL &&
           (d->dpair = den_new(count, sizeof(float), err)) != NULL &&
           (d->logit = den_new(d->logits, sizeof(float), err)) != NULL &&
           (d->dlogit = den_new(d->logits, sizeof(float), err)) != NULL;
}

void den_adversary_release(struct den_adversary *d)
{
    den_graph_free(d->graph);
    den_params_free(d->params);
    den_free(d->seen);
    den_free(d->pair);
    den_free(d->dpair);
    den_free(d->logit);
    den_free(d->dlogit);
    *d = (struct den_adversary){0};
}

void den_adversary_pair(struct den_adversary *d, size_t channel, const float *images)
{
    size_t count = den_shape_count(d->shape) / 2;
    for (size_t i = 0; i < count; i++)
        d->pair[2 * i + channel] = images[i];
}

void den_adversary_adam(struct den_adversary *d, const struct den_batch *batch, size_t k)
{
    const struct den_train_config *config = &d->job->config;
    struct den_exec ex = {.pool = d->job->pool};
    struct den_adam step = {config->d_lr * batch->lr, config->beta1, config->beta2, 1e-8,
                            batch->step * d->steps + k + 1};
    den_params_adam(d->params, &ex, &step);
}

/* Draws of augmentation are numbered by iteration, pass of it, and image. */
enum { PASSES_MAX = 8 };

/* to = apply or adjoint of this pass's draws on from, both [n][side][side][2]. */
static void augment(const struct den_adversary *d, const struct den_batch *batch,
                    size_t pass, bool adjoint, const float *from, float *to)
{
    size_t side = d->shape.h, count = side * side * 2;
    for (size_t i = 0; i < d->shape.n; i++) {
        uint64_t index = (batch->step * PASSES_MAX + pass) * d->shape.n + i;
        struct den_diff_draw draw =
            den_diff_augment_draw(d->augment, d->job->seed, index, side);
        if (adjoint)
            den_diff_augment_adjoint(&draw, side, from + i * count, to + i * count);
        else
            den_diff_augment_apply(&draw, side, from + i * count, to + i * count);
    }
}

/* D on the pair, judged against label; leaves weight * dL/dlogit in dlogit. */
static double judge(struct den_adversary *d, const struct den_batch *batch, size_t pass,
                    double label, double weight)
{
    if (d->augment != NULL)
        augment(d, batch, pass, false, d->pair, d->seen);
    den_graph_set_input(d->graph, d->input, d->augment != NULL ? d->seen : d->pair);
    den_graph_forward(d->graph, true, 0); /* a PatchGAN has no dropout */
    den_graph_get_output(d->graph, d->logit);
    memset(d->dlogit, 0, d->logits * sizeof *d->dlogit);
    return d->mode->value(d->logits, d->logit, label, weight, d->dlogit);
}

/* Gradients of L_D, which is returned.  The pair is left with the clean images. */
static double tell_apart(struct den_adversary *d, const struct den_batch *batch,
                         const float *fake, size_t pass)
{
    den_params_zero_grad(d->params);
    den_adversary_pair(d, 0, batch->noisy);
    den_adversary_pair(d, 1, fake);
    double of_fake = judge(d, batch, pass, 0, 0.5);
    den_graph_backward(d->graph, d->dlogit, true);
    den_adversary_pair(d, 1, batch->clean);
    double of_real = judge(d, batch, pass + 1, 1, 0.5);
    den_graph_backward(d->graph, d->dlogit, true);
    return 0.5 * (of_fake + of_real);
}

double den_adversary_train(struct den_adversary *d, const struct den_batch *batch,
                           const float *fake, size_t first)
{
    size_t steps = (size_t)d->job->config.d_steps;
    double sum = 0;
    den_graph_set_input_grads(d->graph, false);
    for (size_t k = 0; k < steps; k++) {
        sum += tell_apart(d, batch, fake, 2 * k);
        den_adversary_adam(d, batch, first + k);
    }
    return sum / (double)steps;
}

double den_adversary_fool(struct den_adversary *d, const struct den_batch *batch,
                          const float *fake, double weight, float *dfake)
{
    den_graph_set_input_grads(d->graph, true);
    den_adversary_pair(d, 0, batch->noisy);
    den_adversary_pair(d, 1, fake);
    size_t pass = 2 * (size_t)d->job->config.d_steps;
    double loss = judge(d, batch, pass, 1, weight);
    den_graph_backward(d->graph, d->dlogit, false);
    den_graph_get_input_grad(d->graph, d->input, d->dpair);
    const float *gradient = d->dpair;
    if (d->augment != NULL) {
        augment(d, batch, pass, true, d->dpair, d->seen);
        gradient = d->seen;
    }
    size_t count = den_shape_count(d->shape) / 2;
    for (size_t i = 0; i < count; i++)
        dfake[i] = gradient[2 * i + 1];
    return loss;
}

bool den_adversary_bytes(const struct den_train_config *config, int threads, size_t *ret,
                         struct den_err *err)
{
    struct den_net_options options = den_train_discriminator(config);
    size_t pixels = (size_t)(config->batch * config->crop * config->crop), net;
    if (!den_train_net_bytes(&den_net_patchgan, &options, config, threads, &net, err))
        return false;
    bool augments = den_diff_augment_find(config->diff_augment) != NULL;
    size_t pairs = augments ? 3 : 2; /* and half of one for logits, which are far fewer */
    *ret = net + (2 * pairs + 1) * pixels * sizeof(float);
    return true;
}
