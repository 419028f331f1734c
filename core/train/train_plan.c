#include "train_plan.h"

#include <math.h>
#include <string.h>

#include "dataset.h"
#include "infer.h"
#include "loss.h"
#include "trainer.h"
#include "validation.h"

/* ---- schedule -------------------------------------------------------------------- */

enum { VALIDATIONS = 20, REPORTS = 200 }; /* per run */

static size_t at_least_one(size_t n)
{
    return n > 0 ? n : 1;
}

struct den_train_plan den_train_plan_make(const struct den_train_config *config,
                                          size_t train_images)
{
    struct den_train_plan plan = {0};
    size_t batch = (size_t)config->batch;
    plan.steps = config->epochs > 0
                     ? (size_t)config->epochs * ((train_images + batch - 1) / batch)
                     : (size_t)config->iterations;
    plan.steps = at_least_one(plan.steps);
    double full = round((1 - config->decay_fraction) * (double)plan.steps);
    plan.constant = (size_t)full;
    plan.decay = plan.steps - plan.constant;
    plan.validate_every = config->validate_every > 0
                              ? (size_t)config->validate_every
                              : at_least_one(plan.steps / VALIDATIONS);
    plan.report_every = at_least_one(plan.steps / REPORTS);
    return plan;
}

double den_train_plan_lr(const struct den_train_plan *plan, double lr, size_t step)
{
    return lr * den_linear_decay(step, plan->constant, plan->decay);
}

bool den_train_plan_validates(const struct den_train_plan *plan, size_t done)
{
    return done % plan->validate_every == 0 || done == plan->steps;
}

bool den_train_plan_reports(const struct den_train_plan *plan, size_t done)
{
    return done % plan->report_every == 0 || done == plan->steps;
}

bool den_train_plan_may_be_best(const struct den_train_plan *plan, size_t done)
{
    return plan->decay == 0 || done > plan->constant;
}

/* ---- nets ------------------------------------------------------------------------ */

/* Any other word than those that a checked configuration can have is the default. */
static enum den_winograd winograd_of(const struct den_train_config *config)
{
    enum den_winograd winograd;
    return den_winograd_find(config->winograd, &winograd) ? winograd : DEN_WINOGRAD_AUTO;
}

const struct den_net *den_train_net(const struct den_train_config *config)
{
    const struct den_net *net = den_net_find(config->net);
    return net != NULL ? net : &den_net_unet;
}

struct den_net_options den_train_generator(const struct den_train_config *config)
{
    return (struct den_net_options){
        .channels_in = 1,
        .channels_out = 1,
        .width = (size_t)config->ngf,
        .depth = (size_t)config->downs,
        .instance_norm = strcmp(config->norm_layer, "instance") == 0,
        .dropout = config->dropout,
        .tanh_output = strcmp(config->output, "tanh") == 0,
        .winograd = winograd_of(config),
        .kernel = den_train_net(config)->has_kernel ? (size_t)config->kernel : 0,
    };
}

struct den_net_options den_train_discriminator(const struct den_train_config *config)
{
    return (struct den_net_options){
        .channels_in = 2, /* noisy, and clean or generated */
        .channels_out = 1,
        .width = (size_t)config->ndf,
        .depth = (size_t)config->d_layers,
        .instance_norm = strcmp(config->norm_layer, "instance") == 0,
        .winograd = winograd_of(config),
    };
}

/* ---- bytes ----------------------------------------------------------------------- */

bool den_train_net_bytes(const struct den_net *net, const struct den_net_options *options,
                         const struct den_train_config *config, int threads, size_t *ret,
                         struct den_err *err)
{
    size_t batch = (size_t)config->batch, side = (size_t)config->crop, params, graph;
    if (!den_model_plan(net, options, batch, side, side, DEN_FOR_TRAINING, threads,
                        &params, &graph, err))
        return false;
    *ret = graph + 4 * params; /* value, gradient and the two moments of Adam */
    return true;
}

/* Validation images are cut to at most this; the best weights so far are a further copy.
 */
static bool beside_training(const struct den_train_config *config, int threads,
                            size_t *ret, struct den_err *err)
{
    const struct den_net *net = den_train_net(config);
    struct den_net_options options = den_train_generator(config);
    struct den_infer_options standard = {.threads = threads};
    size_t best = 0, infer = 0, tiles;
    if (config->validation_fraction > 0 &&
        (!den_model_bytes(net, &options, &best, err) ||
         !den_infer_bytes(net, &options, DEN_VALIDATION_SIDE, DEN_VALIDATION_SIDE,
                          &standard, &infer, &tiles, err)))
        return false;
    *ret = best + infer;
    return true;
}

bool den_train_estimate(const char *method, const struct den_train_config *config,
                        size_t images, size_t smallest_side, int threads,
                        size_t *ret_steps, size_t *ret_bytes, struct den_err *err)
{
    const struct den_method *row;
    if (!den_method_choose(method, &row, err))
        return false;
    if (!den_train_config_check(config, err))
        return false;
    if (images == 0)
        return den_err_set(err, DEN_E_UNPROCESSABLE, "there are no training images");
    if ((size_t)config->crop > smallest_side)
        return den_err_field(err, DEN_E_UNPROCESSABLE, "crop",
                             "crop is %zu, but the smallest training image has a side of "
                             "%zu pixels",
                             (size_t)config->crop, smallest_side);
    size_t training, beside;
    if (!row->bytes(config, threads, &training, err) ||
        !beside_training(config, threads, &beside, err))
        return false;
    size_t train = images - den_validation_share(config->validation_fraction, images);
    if (config->samples > 0 && (size_t)config->samples < train)
        train = (size_t)config->samples;
    *ret_steps = den_train_plan_make(config, train).steps;
    *ret_bytes = training + beside;
    return true;
}
