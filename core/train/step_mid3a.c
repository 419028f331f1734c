#include <string.h>

#include "mem.h"
#include "step_cgan.h"
#include "str.h"

/* The authors' earlier method (IJCNN 2022): the conditional GAN with losses that preserve
 * structure, and in place of a contrastive term the discriminator's inputs augmented by
 * DiffAugment.  Their policy is not published; shifts and cut squares, the default here,
 * leave the grey values of a pair alone. */

#define POLICY "translation-cutout"

struct mid3a {
    struct den_train_job job; /* as asked for, with the augmentation */
    void *cgan;               /* the state of that method */
};

static bool refuse(const char *key, struct den_err *err)
{
    return den_err_field(err, DEN_E_INVALID, key,
                         "method mid3a needs %s above 0, as in the preset cpu_gan", key);
}

/* *ret = the configuration that runs. */
static bool configure(const struct den_train_config *config, struct den_train_config *ret,
                      struct den_err *err)
{
    if (config->lambda_gan <= 0)
        return refuse("lambda_gan", err);
    if (config->lambda_ssim <= 0)
        return refuse("lambda_ssim", err);
    if (config->lambda_tv <= 0)
        return refuse("lambda_tv", err);
    if (strcmp(config->contrastive, "none") != 0)
        return den_err_field(err, DEN_E_INVALID, "contrastive",
                             "method mid3a augments in place of a contrastive term, so "
                             "contrastive must be none, not %s",
                             config->contrastive);
    *ret = *config;
    return strcmp(config->diff_augment, "none") != 0 ||
           den_str_copy(ret->diff_augment, DEN_WORD, POLICY);
}

static void stop(void *state)
{
    struct mid3a *s = state;
    if (s == NULL)
        return;
    den_method_cgan.stop(s->cgan);
    den_free(s);
}

static bool start(const struct den_train_job *job, struct den_model *model, double lo,
                  double hi, void **ret_state, struct den_err *err)
{
    struct mid3a *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    s->job = *job;
    if (!configure(&job->config, &s->job.config, err) ||
        !den_method_cgan.start(&s->job, model, lo, hi, &s->cgan, err)) {
        stop(s);
        return false;
    }
    *ret_state = s;
    return true;
}

static bool step(void *state, const struct den_batch *batch, bool report,
                 struct den_err *err)
{
    struct mid3a *s = state;
    return den_method_cgan.step(s->cgan, batch, report, err);
}

static bool save(void *state, struct den_tensor_writer *writer, struct den_err *err)
{
    struct mid3a *s = state;
    return den_method_cgan.save(s->cgan, writer, err);
}

static bool load(void *state, const struct den_tensor_file *file, struct den_err *err)
{
    struct mid3a *s = state;
    return den_method_cgan.load(s->cgan, file, err);
}

static bool bytes(const struct den_train_config *config, int threads, size_t *ret,
                  struct den_err *err)
{
    struct den_train_config own;
    return configure(config, &own, err) && den_method_cgan.bytes(&own, threads, ret, err);
}

const struct den_method den_method_mid3a = {
    .name = "mid3a",
    .doc =
        "conditional GAN with L1, SSIM and total variation, its discriminator's inputs "
        "augmented",
    .needs_clean = true,
    .start = start,
    .step = step,
    .save = save,
    .load = load,
    .stop = stop,
    .bytes = bytes,
};
