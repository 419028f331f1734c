#include "base_model.h"

#include <string.h>

#include "str.h"
#include "train_plan.h"

const char *const den_base_keys[] = {"net",        "kernel", "downs",         "ngf",
                                     "norm_layer", "output", "normalisation", NULL};

/* Whatever is wrong with the file, it is the base that cannot be used. */
static bool about_base(const struct den_train_job *job, const struct den_err *inner,
                       struct den_err *err)
{
    return den_err_set(err, inner->code, "the base model %s cannot be used: %s",
                       job->base, inner->text);
}

static bool agree_text(const struct den_train_job *job, const char *key, const char *own,
                       const char *of_base, struct den_err *err)
{
    if (strcmp(own, of_base) == 0)
        return true;
    return den_err_field(err, DEN_E_CONFLICT, key,
                         "%s is %s, but the base model %s has %s", key, own, job->base,
                         of_base);
}

static bool agree_count(const struct den_train_job *job, const char *key, size_t own,
                        size_t of_base, struct den_err *err)
{
    char texts[2][24];
    den_str_format(texts[0], sizeof texts[0], "%zu", own);
    den_str_format(texts[1], sizeof texts[1], "%zu", of_base);
    return agree_text(job, key, texts[0], texts[1], err);
}

static bool agree(const struct den_train_job *job, const struct den_model *base,
                  struct den_err *err)
{
    const struct den_net_options own = den_train_generator(&job->config);
    const struct den_net_options *theirs = &base->options;
    const char *const norms[] = {"batch", "instance"}, *const outs[] = {"linear", "tanh"};
    return agree_text(job, "net", den_train_net(&job->config)->name, base->net->name,
                      err) &&
           agree_count(job, "kernel", own.kernel, theirs->kernel, err) &&
           agree_count(job, "channels_in", own.channels_in, theirs->channels_in, err) &&
           agree_count(job, "channels_out", own.channels_out, theirs->channels_out,
                       err) &&
           agree_count(job, "downs", own.depth, theirs->depth, err) &&
           agree_count(job, "ngf", own.width, theirs->width, err) &&
           agree_text(job, "norm_layer", norms[own.instance_norm],
                      norms[theirs->instance_norm], err) &&
           agree_text(job, "output", outs[own.tanh_output], outs[theirs->tanh_output],
                      err) &&
           agree_text(job, "normalisation", job->config.normalisation, base->norm.kind,
                      err);
}

bool den_base_open(const struct den_train_job *job, struct den_norm *ret,
                   struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_model *base = NULL;
    if (!den_model_load(job->backend, job->base_path, &base, &inner))
        return about_base(job, &inner, err);
    bool done = agree(job, base, err);
    if (done)
        *ret = base->norm;
    den_model_free(base);
    return done;
}

/* Straight from the file: a second net in memory is not needed for it. */
static bool load_weights(const struct den_train_job *job, struct den_model *model,
                         struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_tensor_file *file = NULL;
    bool done = den_tensor_file_open(job->base_path, DEN_MODEL_FILE_MAX, &file, &inner) &&
                den_params_load(model->params, "", false, file, &inner);
    den_tensor_file_free(file);
    return done || about_base(job, &inner, err);
}

bool den_base_apply(const struct den_train_job *job, struct den_model *model,
                    struct den_err *err)
{
    bool freeze = job->config.freeze_encoder;
    if (job->base_path != NULL && !load_weights(job, model, err))
        return false;
    if (freeze && job->base_path == NULL)
        return den_err_field(err, DEN_E_INVALID, "freeze_encoder",
                             "freeze_encoder needs a base model: an encoder that has "
                             "learnt nothing is not worth keeping");
    if (freeze && model->net->encodes == NULL)
        return den_err_field(err, DEN_E_INVALID, "freeze_encoder",
                             "the net %s has no encoder to freeze", model->net->name);
    if (freeze)
        den_params_freeze(model->params, model->net->encodes);
    return true;
}
