#include "step_cgan.h"

#include "contrast.h"
#include "generator.h"
#include "mem.h"
#include "step_losses.h"

/* Conditional GAN for denoising: pix2pix [Isola et al., CVPR 2017] with structural
 * similarity and total variation beside L1.  One step, in the order of pix2pix:
 *     1. y' = G(x)
 *     2. the contrastive term, if any, with an Adam step on D of its own; then
 *        L_D = (GAN(D(x, y'), fake) + GAN(D(x, y), real)) / 2, y' held fixed; Adam on D
 *     3. L_G = lambda_gan GAN(D(x, y'), real) + lambda_l1 L1 + lambda_ssim DSSIM
 *              + lambda_tv TV, through D into G; Adam on G
 * D works with batch statistics throughout.  With lambda_gan 0 there is no D, and before
 * gan_start none yet: 2 and its term of 3 are left out.
 *
 * A term on G's encoder adds its gradients in 3.  One that pretrains has the first steps
 * of the run for itself; all else then starts afresh, with optimisers at step 1. */

/* What is averaged between two reports; the pixel terms are those of the generator. */
enum {
    LOSS_G,
    LOSS_GAN,
    LOSS_D,
    LOSS_CONTRASTIVE,
    LOSS_PIXEL,
    LOSSES = LOSS_PIXEL + DEN_TERMS
};

static const char *const names[LOSSES] = {
    "loss_g", "loss_gan", "loss_d", "loss_contrastive", "loss_l1", "loss_ssim", "loss_tv",
};

struct cgan {
    const struct den_train_job *job;
    struct den_generator g;
    struct den_adversary d;                    /* all NULL without GAN */
    const struct den_contrastive *contrastive; /* NULL without */
    void *contrast;                            /* its state */
    struct den_step_losses losses;
    struct den_step_losses before; /* while the term is alone */
};

static bool has_adversary(const struct cgan *s)
{
    return s->d.graph != NULL;
}

static void stop(void *state)
{
    struct cgan *s = state;
    if (s == NULL)
        return;
    if (s->contrastive != NULL)
        s->contrastive->stop(s->contrast);
    den_generator_release(&s->g);
    den_adversary_release(&s->d);
    den_free(s);
}

/* ---- start ----------------------------------------------------------------------- */

/* Discriminator and contrastive term, as far as they are wanted. */
static bool start_adversary(struct cgan *s, struct den_err *err)
{
    const struct den_train_config *config = &s->job->config;
    const struct den_contrastive *row = den_contrastive_find(config->contrastive);
    bool extra = row != NULL && row->on_discriminator;
    if (config->lambda_gan > 0 &&
        !den_adversary_start(&s->d, s->job, s->g.shape, extra ? 1 : 0, err))
        return false;
    const struct den_contrast_parts parts = {s->job, has_adversary(s) ? &s->d : NULL,
                                             s->g.params, s->g.options.lo,
                                             s->g.options.hi};
    s->contrastive = row;
    return row == NULL || row->start(row, &parts, &s->contrast, err);
}

static void start_losses(struct cgan *s)
{
    s->before = (struct den_step_losses){.count = 1, .names = &names[LOSS_CONTRASTIVE]};
    struct den_step_losses *l = &s->losses;
    l->count = LOSSES;
    l->names = names;
    l->watched = LOSS_PIXEL + DEN_TERM_L1;
    l->silent[LOSS_GAN] = l->silent[LOSS_D] = !has_adversary(s);
    l->silent[LOSS_CONTRASTIVE] = s->contrastive == NULL || s->contrastive->pretrains;
    for (size_t k = 0; k < DEN_TERMS; k++)
        l->silent[LOSS_PIXEL + k] = !s->g.terms[k].active;
}

static bool start(const struct den_train_job *job, struct den_model *model, double lo,
                  double hi, void **ret_state, struct den_err *err)
{
    struct cgan *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    s->job = job;
    if (!den_generator_start(&s->g, job, model, lo, hi, err) ||
        !start_adversary(s, err)) {
        stop(s);
        return false;
    }
    start_losses(s);
    *ret_state = s;
    return true;
}

/* ---- one step -------------------------------------------------------------------- */

static bool check_gradients(const struct cgan *s, const struct den_batch *batch,
                            bool report, struct den_err *err)
{
    return den_step_gradients_check(s->g.params, "generator", s->job, batch, report,
                                    err) &&
           (!has_adversary(s) || den_step_gradients_check(s->d.params, "discriminator",
                                                          s->job, batch, report, err));
}

static bool adds_to_generator(const struct cgan *s)
{
    return s->contrastive != NULL && !s->contrastive->on_discriminator &&
           !s->contrastive->pretrains;
}

/* Steps of the run in which the contrastive term is alone. */
static size_t steps_alone(const struct cgan *s, const struct den_batch *batch)
{
    double share = s->job->config.pretrain_fraction;
    bool any = s->contrastive != NULL && s->contrastive->pretrains;
    return any ? (size_t)(share * (double)batch->steps) : 0;
}

/* The generator's weights stay; what its optimiser knows of them goes. */
static void forget_moments(struct cgan *s)
{
    const struct den_backend *backend = den_params_backend(s->g.params);
    for (size_t i = 0; i < den_params_size(s->g.params); i++) {
        struct den_param *p = den_params_at(s->g.params, i);
        if (p->m == NULL)
            continue;
        backend->zero(p->m, p->count);
        backend->zero(p->v, p->count);
    }
}

/* A step of the contrastive term alone; the last one always reports. */
static bool pretrain(struct cgan *s, const struct den_batch *batch, bool report,
                     struct den_err *err)
{
    den_params_zero_grad(s->g.params);
    double loss = s->contrastive->step(s->contrast, batch, NULL, NULL);
    report = report || batch->step + 1 == steps_alone(s, batch);
    if (!den_step_losses_check(&s->before, s->job, batch, &loss, err) ||
        !den_step_gradients_check(s->g.params, "generator", s->job, batch, report, err))
        return false;
    den_generator_adam(&s->g, batch);
    den_step_losses_add(&s->before, s->job, batch, &loss, report);
    return true;
}

/* Steps before D begins. */
static size_t steps_without(const struct cgan *s, const struct den_batch *batch)
{
    return has_adversary(s) ? (size_t)(s->job->config.gan_start * (double)batch->steps)
                            : SIZE_MAX;
}

/* Weight of the adversarial term in D's step number `step`. */
static double weight_of(const struct cgan *s, const struct den_batch *batch)
{
    const struct den_train_config *config = &s->job->config;
    double ramp = config->gan_ramp * (double)batch->steps;
    double risen = (double)(batch->step + 1) / ramp;
    return config->lambda_gan * (ramp > 0 && risen < 1 ? risen : 1);
}

/* Everything of D: the term on it, its own steps, and what it tells the generator. batch:
 * counted from D's first step. */
static void play(struct cgan *s, const struct den_batch *batch, double *losses)
{
    struct den_generator *g = &s->g;
    size_t first = 0;
    if (s->contrastive != NULL && s->contrastive->on_discriminator) {
        losses[LOSS_CONTRASTIVE] =
            s->contrastive->step(s->contrast, batch, g->fake, NULL);
        first = 1;
    }
    losses[LOSS_D] = den_adversary_train(&s->d, batch, g->fake, first);
    double weight = weight_of(s, batch);
    losses[LOSS_GAN] = den_adversary_fool(&s->d, batch, g->fake, weight, g->dfake);
    losses[LOSS_G] = weight * losses[LOSS_GAN];
}

/* Gradients of the generator from dfake, and from a contrastive term on it. */
static void learn(struct cgan *s, const struct den_batch *batch, double *losses)
{
    struct den_generator *g = &s->g;
    if (!adds_to_generator(s)) {
        den_generator_backward(g);
        return;
    }
    den_params_zero_grad(g->params);
    double loss = s->contrastive->step(s->contrast, batch, g->fake, g->dfake);
    losses[LOSS_CONTRASTIVE] = loss;
    losses[LOSS_G] += s->job->config.contrastive_weight * loss;
    den_graph_backward(g->graph, g->dfake, true);
}

static bool step(void *state, const struct den_batch *batch, bool report,
                 struct den_err *err)
{
    struct cgan *s = state;
    struct den_generator *g = &s->g;
    double losses[LOSSES] = {0};
    struct den_batch own = *batch; /* counted from where the term is alone no more */
    s->losses.begun = steps_alone(s, batch);
    if (batch->step < s->losses.begun)
        return pretrain(s, batch, report, err);
    own.step -= s->losses.begun;
    if (own.step == 0 && s->losses.begun > 0)
        forget_moments(s);
    den_generator_forward(g, batch);
    struct den_batch of_d = own;
    size_t without = steps_without(s, &own);
    bool plays = own.step >= without;
    s->losses.silent[LOSS_GAN] = s->losses.silent[LOSS_D] = !plays;
    if (s->contrastive != NULL && s->contrastive->on_discriminator)
        s->losses.silent[LOSS_CONTRASTIVE] = !plays;
    of_d.step -= plays ? without : 0;
    if (plays)
        play(s, &of_d, losses);
    den_generator_compare(g, batch->clean, &losses[LOSS_PIXEL]);
    for (size_t k = 0; k < DEN_TERMS; k++)
        losses[LOSS_G] += g->terms[k].weight * losses[LOSS_PIXEL + k];
    learn(s, batch, losses);
    if (!den_step_losses_check(&s->losses, s->job, batch, losses, err) ||
        !check_gradients(s, batch, report, err))
        return false;
    den_generator_adam(g, &own);
    den_step_losses_add(&s->losses, s->job, batch, losses, report);
    return true;
}

/* ---- checkpoint ------------------------------------------------------------------ */

static bool save(void *state, struct den_tensor_writer *writer, struct den_err *err)
{
    struct cgan *s = state;
    return den_step_losses_save(&s->losses, "cgan.state", writer, err) &&
           den_step_losses_save(&s->before, "cgan.before", writer, err) &&
           den_params_save(s->g.params, "g.", true, writer, err) &&
           (!has_adversary(s) || den_params_save(s->d.params, "d.", true, writer, err)) &&
           (s->contrastive == NULL || s->contrastive->save(s->contrast, writer, err));
}

static bool load(void *state, const struct den_tensor_file *file, struct den_err *err)
{
    struct cgan *s = state;
    return den_step_losses_load(&s->losses, "cgan.state", file, err) &&
           den_step_losses_load(&s->before, "cgan.before", file, err) &&
           den_params_load(s->g.params, "g.", true, file, err) &&
           (!has_adversary(s) || den_params_load(s->d.params, "d.", true, file, err)) &&
           (s->contrastive == NULL || s->contrastive->load(s->contrast, file, err));
}

/* ---- bytes ----------------------------------------------------------------------- */

static bool bytes(const struct den_train_config *config, int threads, size_t *ret,
                  struct den_err *err)
{
    const struct den_contrastive *row = den_contrastive_find(config->contrastive);
    size_t of_g, of_d = 0, of_row = 0;
    if (!den_generator_bytes(config, threads, &of_g, err) ||
        (config->lambda_gan > 0 && !den_adversary_bytes(config, threads, &of_d, err)) ||
        (row != NULL && !row->bytes(config, threads, &of_row, err)))
        return false;
    *ret = of_g + of_d + of_row;
    return true;
}

const struct den_method den_method_cgan = {
    .name = "cgan",
    .doc = "conditional GAN with L1, SSIM and total variation; lambda_gan 0 trains the "
           "generator alone",
    .needs_clean = true,
    .start = start,
    .step = step,
    .save = save,
    .load = load,
    .stop = stop,
    .bytes = bytes,
};
