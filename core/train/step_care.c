#include <string.h>

#include "generator.h"
#include "mem.h"
#include "step_cgan.h"
#include "step_losses.h"

/* Content-aware restoration [Weigert et al., Nature Methods 15 (2018)]: a net learns from
 * pairs by the error per pixel alone.  One step:
 *     y' = G(x);  L = lambda_l1 L1 + lambda_ssim DSSIM + lambda_tv TV;  Adam on G
 * The preset has CARE's residual net and L1; another net is as welcome. */

enum { LOSS_G, LOSS_PIXEL, LOSSES = LOSS_PIXEL + DEN_TERMS };

static const char *const names[LOSSES] = {"loss_g", "loss_l1", "loss_ssim", "loss_tv"};

struct care {
    const struct den_train_job *job;
    struct den_generator g;
    struct den_step_losses losses;
};

/* A setting that would do nothing is refused rather than ignored. */
static bool check(const struct den_train_config *config, struct den_err *err)
{
    if (config->lambda_gan > 0)
        return den_err_field(err, DEN_E_INVALID, "lambda_gan",
                             "method care has no discriminator, so lambda_gan must be 0, "
                             "not %g",
                             config->lambda_gan);
    if (strcmp(config->contrastive, "none") != 0)
        return den_err_field(err, DEN_E_INVALID, "contrastive",
                             "method care has no contrastive term, so contrastive must "
                             "be none, not %s",
                             config->contrastive);
    return true;
}

static void stop(void *state)
{
    struct care *s = state;
    if (s == NULL)
        return;
    den_generator_release(&s->g);
    den_free(s);
}

static bool start(const struct den_train_job *job, struct den_model *model, double lo,
                  double hi, void **ret_state, struct den_err *err)
{
    if (!check(&job->config, err))
        return false;
    struct care *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    s->job = job;
    s->losses.count = LOSSES;
    s->losses.names = names;
    s->losses.watched = LOSS_PIXEL + DEN_TERM_L1;
    if (!den_generator_start(&s->g, job, model, lo, hi, err)) {
        stop(s);
        return false;
    }
    for (size_t k = 0; k < DEN_TERMS; k++)
        s->losses.silent[LOSS_PIXEL + k] = !s->g.terms[k].active;
    *ret_state = s;
    return true;
}

static bool step(void *state, const struct den_batch *batch, bool report,
                 struct den_err *err)
{
    struct care *s = state;
    struct den_generator *g = &s->g;
    double losses[LOSSES] = {0};
    den_generator_forward(g, batch);
    den_generator_compare(g, batch->clean, &losses[LOSS_PIXEL]);
    for (size_t k = 0; k < DEN_TERMS; k++)
        losses[LOSS_G] += g->terms[k].weight * losses[LOSS_PIXEL + k];
    if (!den_step_losses_check(&s->losses, s->job, batch, losses, err))
        return false;
    den_generator_backward(g);
    if (!den_step_gradients_check(g->params, "net", s->job, batch, report, err))
        return false;
    den_generator_adam(g, batch);
    den_step_losses_add(&s->losses, s->job, batch, losses, report);
    return true;
}

static bool save(void *state, struct den_tensor_writer *writer, struct den_err *err)
{
    struct care *s = state;
    return den_step_losses_save(&s->losses, "care.state", writer, err) &&
           den_params_save(s->g.params, "g.", true, writer, err);
}

static bool load(void *state, const struct den_tensor_file *file, struct den_err *err)
{
    struct care *s = state;
    return den_step_losses_load(&s->losses, "care.state", file, err) &&
           den_params_load(s->g.params, "g.", true, file, err);
}

static bool bytes(const struct den_train_config *config, int threads, size_t *ret,
                  struct den_err *err)
{
    return check(config, err) && den_generator_bytes(config, threads, ret, err);
}

const struct den_method den_method_care = {
    .name = "care",
    .doc = "regression on pairs by L1, SSIM and total variation, as CARE; no "
           "discriminator",
    .needs_clean = true,
    .start = start,
    .step = step,
    .save = save,
    .load = load,
    .stop = stop,
    .bytes = bytes,
};
