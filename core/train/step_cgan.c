#include "step_cgan.h"

#include <math.h>
#include <string.h>

#include "contrast.h"
#include "mem.h"
#include "train_plan.h"

/* Conditional GAN for denoising: pix2pix [Isola et al., CVPR 2017] with structural
 * similarity and total variation beside L1.  One step, in the order of pix2pix:
 *     1. y' = G(x)
 *     2. the contrastive term, if any, with an Adam step on D of its own; then
 *        L_D = (GAN(D(x, y'), fake) + GAN(D(x, y), real)) / 2, y' held fixed; Adam on D
 *     3. L_G = lambda_gan GAN(D(x, y'), real) + lambda_l1 L1 + lambda_ssim DSSIM
 *              + lambda_tv TV, through D into G; Adam on G
 * D works with batch statistics throughout.  With lambda_gan 0 there is no D. */

enum { L1, DSSIM, TV, PIXEL_TERMS };

/* What is averaged between two reports. */
enum {
    SUM_G,
    SUM_GAN,
    SUM_D,
    SUM_CONTRASTIVE,
    SUM_PIXEL,
    SUMS = SUM_PIXEL + PIXEL_TERMS
};

static const char *const sum_names[SUMS] = {
    "loss_g", "loss_gan", "loss_d", "loss_contrastive", "loss_l1", "loss_ssim", "loss_tv",
};
static const char *const loss_names[PIXEL_TERMS] = {"l1", "dssim", "tv"};

struct pixel_term {
    const struct den_pixel_loss *loss;
    double weight;
    bool active; /* L1 is always looked at: it tells a divergence */
};

struct cgan {
    const struct den_train_job *job;
    struct den_params *params; /* of the model, borrowed */
    struct den_graph *graph;
    den_node input;
    struct den_shape shape;                    /* of a batch: [n][side][side][1] */
    float *fake, *dfake;                       /* [n][side][side] */
    struct den_adversary d;                    /* all NULL without GAN */
    const struct den_contrastive *contrastive; /* NULL without */
    void *contrast;                            /* its state */
    struct pixel_term terms[PIXEL_TERMS];
    struct den_pixel_loss_options options;
    double *values;  /* [n][PIXEL_TERMS]: of each image */
    double *scratch; /* [n][scratch_count] */
    size_t scratch_count;

    double sums[SUMS]; /* since the last report */
    size_t summed;     /* steps in sums */
    double first_l1;   /* L1 of the first step */
};

/* The run has diverged when L1 is this many times its first value; the first steps may
 * overshoot. */
#define BLOWN_UP 100
#define SETTLED 10 /* steps */
/* Gradient norms cost a pass over all weights: looked at this often, and at reports.  A
 * gradient that is not finite shows in the losses of the next step anyway. */
#define NORM_EVERY 32

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
    den_graph_free(s->graph);
    den_adversary_release(&s->d);
    den_free(s->fake);
    den_free(s->dfake);
    den_free(s->values);
    den_free(s->scratch);
    den_free(s);
}

/* ---- start ----------------------------------------------------------------------- */

static bool start_generator(struct cgan *s, struct den_model *model, struct den_err *err)
{
    size_t count = den_shape_count(s->shape);
    if (!den_graph_new(s->params, s->job->pool, &s->graph, err))
        return false;
    s->input = den_input(s->graph, s->shape);
    den_node output = den_net_build(model->net, s->graph, s->input, &model->options);
    den_graph_set_input_grads(s->graph, false); /* nobody asks how x should change */
    return den_graph_finish(s->graph, output, DEN_FOR_TRAINING, err) &&
           den_params_train(s->params, err) &&
           (s->fake = den_new(count, sizeof(float), err)) != NULL &&
           (s->dfake = den_new(count, sizeof(float), err)) != NULL;
}

static bool start_pixel_terms(struct cgan *s, double lo, double hi, struct den_err *err)
{
    const struct den_train_config *config = &s->job->config;
    const double weights[PIXEL_TERMS] = {config->lambda_l1, config->lambda_ssim,
                                         config->lambda_tv};
    struct den_shape one = s->shape;
    one.n = 1;
    s->options = (struct den_pixel_loss_options){
        .lo = lo, .hi = hi, .window = (size_t)config->ssim_window};
    for (size_t k = 0; k < PIXEL_TERMS; k++) {
        const struct den_pixel_loss *loss = den_loss_find(loss_names[k]);
        s->terms[k] = (struct pixel_term){loss, weights[k], weights[k] > 0 || k == L1};
        size_t need = s->terms[k].active ? loss->scratch(one) : 0;
        s->scratch_count = need > s->scratch_count ? need : s->scratch_count;
    }
    size_t scratch;
    if (!den_mul_size(s->shape.n, s->scratch_count, &scratch))
        return den_err_set(err, DEN_E_NO_MEMORY, "not enough memory for the losses");
    return (s->values = den_new(s->shape.n * PIXEL_TERMS, sizeof(double), err)) != NULL &&
           (s->scratch = den_new(scratch, sizeof(double), err)) != NULL;
}

/* Discriminator and contrastive term, as far as they are wanted. */
static bool start_adversary(struct cgan *s, struct den_err *err)
{
    const struct den_train_config *config = &s->job->config;
    const struct den_contrastive *row = den_contrastive_find(config->contrastive);
    bool extra = row != NULL && row->on_discriminator;
    if (config->lambda_gan > 0 &&
        !den_adversary_start(&s->d, s->job, s->shape, extra ? 1 : 0, err))
        return false;
    s->contrastive = row;
    return row == NULL || row->start(row, s->job, &s->d, &s->contrast, err);
}

static bool start(const struct den_train_job *job, struct den_model *model, double lo,
                  double hi, void **ret_state, struct den_err *err)
{
    struct cgan *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    s->job = job;
    s->params = model->params;
    size_t side = (size_t)job->config.crop;
    s->shape = (struct den_shape){(size_t)job->config.batch, side, side, 1};
    if (!start_generator(s, model, err) || !start_pixel_terms(s, lo, hi, err) ||
        !start_adversary(s, err)) {
        stop(s);
        return false;
    }
    *ret_state = s;
    return true;
}

/* ---- pixel losses ---------------------------------------------------------------- */

struct pixel_work {
    struct cgan *s;
    const float *clean;
};

/* All terms of one image.  Each is a mean over images, so an image has 1/n of its weight.
 */
static void image_losses(void *context, size_t i, int thread)
{
    (void)thread;
    struct pixel_work *work = context;
    struct cgan *s = work->s;
    struct den_shape one = s->shape;
    size_t at = i * one.h * one.w;
    one.n = 1;
    for (size_t k = 0; k < PIXEL_TERMS; k++) {
        const struct pixel_term *term = &s->terms[k];
        if (!term->active)
            continue;
        s->values[i * PIXEL_TERMS + k] = term->loss->value(
            one, s->fake + at, work->clean + at, &s->options,
            term->weight / (double)s->shape.n, term->weight > 0 ? s->dfake + at : NULL,
            s->scratch + i * s->scratch_count);
    }
}

/* Adds the gradients to dfake; means over the batch into ret. */
static void pixel_losses(struct cgan *s, const float *clean, double *ret)
{
    struct pixel_work work = {s, clean};
    den_pool_run(s->job->pool, s->shape.n, image_losses, &work);
    for (size_t k = 0; k < PIXEL_TERMS; k++) {
        double sum = 0;
        for (size_t i = 0; i < s->shape.n; i++)
            sum += s->values[i * PIXEL_TERMS + k];
        ret[k] = sum / (double)s->shape.n;
    }
}

/* ---- one step -------------------------------------------------------------------- */

static bool diverged(const struct cgan *s, const struct den_batch *batch,
                     const char *what, double value, struct den_err *err)
{
    return den_err_set(err, DEN_E_DIVERGED,
                       "the training diverged: at step %zu %s was %g; try a lower "
                       "learning rate than lr = %g",
                       batch->step + 1, what, value, s->job->config.lr);
}

/* losses [SUMS] of this step */
static bool check_losses(struct cgan *s, const struct den_batch *batch,
                         const double *losses, struct den_err *err)
{
    for (size_t k = 0; k < SUMS; k++)
        if (!isfinite(losses[k]))
            return diverged(s, batch, sum_names[k], losses[k], err);
    double l1 = losses[SUM_PIXEL + L1];
    if (batch->step == 0)
        s->first_l1 = fmax(l1, 1e-3); /* a first value of 0 must not forbid all others */
    if (batch->step >= SETTLED && l1 > BLOWN_UP * s->first_l1)
        return diverged(s, batch, "loss_l1", l1, err);
    return true;
}

static bool check_gradients(const struct cgan *s, const struct den_batch *batch,
                            struct den_err *err)
{
    double norm = den_params_grad_norm(s->params);
    if (!isfinite(norm))
        return diverged(s, batch, "the norm of the generator's gradient", norm, err);
    norm = has_adversary(s) ? den_params_grad_norm(s->d.params) : 0;
    if (!isfinite(norm))
        return diverged(s, batch, "the norm of the discriminator's gradient", norm, err);
    return true;
}

static bool is_reported(const struct cgan *s, size_t k)
{
    if (k == SUM_CONTRASTIVE)
        return s->contrastive != NULL;
    if (k == SUM_GAN || k == SUM_D)
        return has_adversary(s);
    return k < SUM_PIXEL || s->terms[k - SUM_PIXEL].active;
}

static void report_means(struct cgan *s, size_t done)
{
    const struct den_train_hooks *hooks = &s->job->hooks;
    for (size_t k = 0; k < SUMS; k++)
        if (hooks->metric != NULL && is_reported(s, k))
            hooks->metric(hooks->context, done, sum_names[k],
                          s->sums[k] / (double)s->summed);
    memset(s->sums, 0, sizeof s->sums);
    s->summed = 0;
}

static void adam(const struct cgan *s, const struct den_batch *batch)
{
    const struct den_train_config *config = &s->job->config;
    struct den_exec ex = {.pool = s->job->pool};
    struct den_adam step = {batch->lr, config->beta1, config->beta2, 1e-8,
                            batch->step + 1};
    den_params_adam(s->params, &ex, &step);
}

static bool step(void *state, const struct den_batch *batch, bool report,
                 struct den_err *err)
{
    struct cgan *s = state;
    double losses[SUMS] = {0};
    den_graph_set_input(s->graph, s->input, batch->noisy);
    den_graph_forward(s->graph, true, batch->key);
    den_graph_get_output(s->graph, s->fake);

    memset(s->dfake, 0, den_shape_count(s->shape) * sizeof *s->dfake);
    if (has_adversary(s)) {
        if (s->contrastive != NULL)
            losses[SUM_CONTRASTIVE] = s->contrastive->step(s->contrast, batch, s->fake);
        losses[SUM_D] =
            den_adversary_train(&s->d, batch, s->fake, s->contrastive != NULL ? 1 : 0);
        losses[SUM_GAN] = den_adversary_fool(&s->d, batch, s->fake, s->dfake);
        losses[SUM_G] = s->job->config.lambda_gan * losses[SUM_GAN];
    }
    pixel_losses(s, batch->clean, &losses[SUM_PIXEL]);
    for (size_t k = 0; k < PIXEL_TERMS; k++)
        losses[SUM_G] += s->terms[k].weight * losses[SUM_PIXEL + k];
    if (!check_losses(s, batch, losses, err))
        return false;

    den_params_zero_grad(s->params);
    den_graph_backward(s->graph, s->dfake, true);
    if ((report || batch->step % NORM_EVERY == 0) && !check_gradients(s, batch, err))
        return false;
    adam(s, batch);

    for (size_t k = 0; k < SUMS; k++)
        s->sums[k] += losses[k];
    s->summed++;
    if (report)
        report_means(s, batch->step + 1);
    return true;
}

/* ---- checkpoint ------------------------------------------------------------------ */

/* Doubles lie in the file as the bits of whole numbers: a float would round them. */
struct saved {
    double sums[SUMS], first_l1;
    uint64_t summed;
};
_Static_assert(sizeof(struct saved) % sizeof(int64_t) == 0, "a row of 64-bit numbers");
#define SAVED_WORDS (sizeof(struct saved) / sizeof(int64_t))

static bool save(void *state, struct den_tensor_writer *writer, struct den_err *err)
{
    struct cgan *s = state;
    struct saved saved = {.first_l1 = s->first_l1, .summed = s->summed};
    memcpy(saved.sums, s->sums, sizeof saved.sums);
    int64_t words[SAVED_WORDS];
    memcpy(words, &saved, sizeof words);
    const size_t dims[] = {SAVED_WORDS};
    return den_tensor_writer_add(writer, "cgan.state", DEN_TENSOR_I64, dims, 1, words,
                                 err) &&
           den_params_save(s->params, "g.", true, writer, err) &&
           (!has_adversary(s) || den_params_save(s->d.params, "d.", true, writer, err)) &&
           (s->contrastive == NULL || s->contrastive->save(s->contrast, writer, err));
}

static bool load(void *state, const struct den_tensor_file *file, struct den_err *err)
{
    struct cgan *s = state;
    struct saved saved;
    const struct den_tensor *words = den_tensor_file_find(file, "cgan.state");
    if (words == NULL || words->type != DEN_TENSOR_I64 || words->count != SAVED_WORDS)
        return den_err_set(err, DEN_E_UNPROCESSABLE, "the checkpoint has no losses");
    memcpy(&saved, words->data, sizeof saved);
    bool finite = isfinite(saved.first_l1);
    for (size_t k = 0; k < SUMS; k++)
        finite = finite && isfinite(saved.sums[k]);
    if (!finite)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the checkpoint holds a loss that is not finite");
    if (!den_params_load(s->params, "g.", true, file, err) ||
        (has_adversary(s) && !den_params_load(s->d.params, "d.", true, file, err)) ||
        (s->contrastive != NULL && !s->contrastive->load(s->contrast, file, err)))
        return false;
    memcpy(s->sums, saved.sums, sizeof s->sums);
    s->first_l1 = saved.first_l1;
    s->summed = (size_t)saved.summed;
    return true;
}

/* ---- bytes ----------------------------------------------------------------------- */

static bool bytes(const struct den_train_config *config, int threads, size_t *ret,
                  struct den_err *err)
{
    struct den_net_options g = den_train_generator(config);
    size_t pixels = (size_t)(config->batch * config->crop * config->crop);
    const struct den_contrastive *row = den_contrastive_find(config->contrastive);
    size_t of_g, of_d = 0, of_row = 0;
    struct den_shape one = {1, (size_t)config->crop, (size_t)config->crop, 1};
    if (!den_train_net_bytes(den_train_net(config), &g, config, threads, &of_g, err) ||
        (config->lambda_gan > 0 && !den_adversary_bytes(config, threads, &of_d, err)))
        return false;
    if (row != NULL && !row->bytes(config, threads, &of_row, err))
        return false;
    size_t host = 4 * pixels * sizeof(float); /* noisy, clean, generated, gradient */
    if (config->lambda_ssim > 0)
        host +=
            (size_t)config->batch * den_loss_find("dssim")->scratch(one) * sizeof(double);
    *ret = of_g + of_d + of_row + host;
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
