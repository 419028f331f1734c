#include "model.h"

#include <string.h>

#include "str.h"

/* Models on disk: safetensors with PyTorch's names, everything else as text in the
 * metadata.  A new version of the format gets a new FORMAT_VERSION. */

#define FORMAT_VERSION "1"
#define COUNT_MAX 65536 /* of any option; what a net takes is for its check to say */

static bool put_count(struct den_tensor_writer *writer, const char *key, size_t value,
                      struct den_err *err)
{
    char text[32];
    return den_str_format(text, sizeof text, "%zu", value) &&
           den_tensor_writer_meta(writer, key, text, err);
}

/* 17 digits give the same double back. */
static bool put_number(struct den_tensor_writer *writer, const char *key, double value,
                       struct den_err *err)
{
    char text[40];
    return den_str_format(text, sizeof text, "%.17g", value) &&
           den_tensor_writer_meta(writer, key, text, err);
}

/* All that den_model_load asks for. */
static bool put_model(struct den_tensor_writer *writer, const struct den_model *model,
                      struct den_err *err)
{
    const struct den_net_options *o = &model->options;
    return den_tensor_writer_meta(writer, "denoised_model", FORMAT_VERSION, err) &&
           den_tensor_writer_meta(writer, "net", model->net->name, err) &&
           put_count(writer, "channels_in", o->channels_in, err) &&
           put_count(writer, "channels_out", o->channels_out, err) &&
           put_count(writer, "width", o->width, err) &&
           put_count(writer, "depth", o->depth, err) &&
           (!model->net->has_kernel || put_count(writer, "kernel", o->kernel, err)) &&
           den_tensor_writer_meta(writer, "norm_layer",
                                  o->instance_norm ? "instance" : "batch", err) &&
           den_tensor_writer_meta(writer, "dropout", o->dropout ? "true" : "false",
                                  err) &&
           den_tensor_writer_meta(writer, "output", o->tanh_output ? "tanh" : "linear",
                                  err) &&
           den_tensor_writer_meta(writer, "winograd", den_winograd_name(o->winograd),
                                  err) &&
           den_tensor_writer_meta(writer, "normalisation", model->norm.kind, err) &&
           put_number(writer, "shift", model->norm.shift, err) &&
           put_number(writer, "scale", model->norm.scale, err);
}

/* Keys of `extra` that are the model's own are refused by the writer as given twice. */
bool den_model_save(struct den_model *model, const struct den_meta *extra,
                    size_t extra_count, const char *path, struct den_err *err)
{
    struct den_tensor_writer *writer = NULL;
    bool done = false;
    if (!den_model_complete(model, err) || !den_tensor_writer_new(&writer, err) ||
        !put_model(writer, model, err))
        goto out;
    for (size_t i = 0; i < extra_count; i++)
        if (!den_tensor_writer_meta(writer, extra[i].key, extra[i].value, err))
            goto out;
    done = den_params_save(model->params, "", false, writer, err) &&
           den_tensor_writer_save(writer, path, err);
out:
    den_tensor_writer_free(writer);
    return done;
}

/* NULL after a report. */
static const char *get_text(const struct den_tensor_file *file, const char *key,
                            struct den_err *err)
{
    const char *value = den_tensor_file_meta(file, key);
    if (value == NULL)
        den_err_set(err, DEN_E_UNPROCESSABLE, "the model file does not say its '%s'",
                    key);
    return value;
}

/* Reads as strictly as requests are read: no sign, no spaces, no fraction. */
static bool get_count(const struct den_tensor_file *file, const char *key, size_t *ret,
                      struct den_err *err)
{
    int64_t value = 0;
    const char *text = get_text(file, key, err);
    if (text == NULL)
        return false;
    if (!den_parse_int(text, 1, COUNT_MAX, &value, NULL))
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "'%s' of the model file is '%.40s', not a whole number from 1 "
                           "to %d",
                           key, text, COUNT_MAX);
    *ret = (size_t)value;
    return true;
}

static bool get_number(const struct den_tensor_file *file, const char *key, double *ret,
                       struct den_err *err)
{
    const char *text = get_text(file, key, err);
    if (text == NULL)
        return false;
    if (!den_parse_double(text, -1e300, 1e300, ret, NULL))
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "'%s' of the model file is '%.40s', not a finite number", key,
                           text);
    return true;
}

/* One of two words: *ret = it is the second. */
static bool get_choice(const struct den_tensor_file *file, const char *key,
                       const char *no, const char *yes, bool *ret, struct den_err *err)
{
    const char *text = get_text(file, key, err);
    if (text == NULL)
        return false;
    if (strcmp(text, no) != 0 && strcmp(text, yes) != 0)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "'%s' of the model file is '%.40s', not '%s' or '%s'", key,
                           text, no, yes);
    *ret = strcmp(text, yes) == 0;
    return true;
}

static bool get_net(const struct den_tensor_file *file, const struct den_net **ret,
                    struct den_err *err)
{
    const char *version = den_tensor_file_meta(file, "denoised_model");
    if (version == NULL)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "this file is not a model of denoised: its metadata lack "
                           "'denoised_model'");
    if (strcmp(version, FORMAT_VERSION) != 0)
        return den_err_set(err, DEN_E_UNSUPPORTED,
                           "the model file has format version '%.20s'; this program "
                           "reads version " FORMAT_VERSION,
                           version);
    const char *name = get_text(file, "net", err);
    if (name == NULL)
        return false;
    if (den_net_find(name) == NULL)
        return den_err_set(err, DEN_E_UNSUPPORTED,
                           "the model file holds a net '%.40s' that this program does "
                           "not know",
                           name);
    *ret = den_net_find(name);
    return true;
}

/* Files of the time before there was a choice do not have it. */
static bool get_winograd(const struct den_tensor_file *file, enum den_winograd *ret,
                         struct den_err *err)
{
    const char *text = den_tensor_file_meta(file, "winograd");
    if (text == NULL) {
        *ret = DEN_WINOGRAD_AUTO;
        return true;
    }
    return den_winograd_find(text, ret) ||
           den_err_set(
               err, DEN_E_UNPROCESSABLE,
               "'winograd' of the model file is '%.40s', not one of: " DEN_WINOGRAD_WORDS,
               text);
}

static bool get_options(const struct den_tensor_file *file, const struct den_net *net,
                        struct den_net_options *ret, struct den_err *err)
{
    return get_count(file, "channels_in", &ret->channels_in, err) &&
           get_count(file, "channels_out", &ret->channels_out, err) &&
           get_count(file, "width", &ret->width, err) &&
           get_count(file, "depth", &ret->depth, err) &&
           (!net->has_kernel || get_count(file, "kernel", &ret->kernel, err)) &&
           get_choice(file, "norm_layer", "batch", "instance", &ret->instance_norm,
                      err) &&
           get_choice(file, "dropout", "false", "true", &ret->dropout, err) &&
           get_choice(file, "output", "linear", "tanh", &ret->tanh_output, err) &&
           get_winograd(file, &ret->winograd, err);
}

static bool get_norm(const struct den_tensor_file *file, struct den_norm *ret,
                     struct den_err *err)
{
    ret->kind = get_text(file, "normalisation", err);
    return ret->kind != NULL && get_number(file, "shift", &ret->shift, err) &&
           get_number(file, "scale", &ret->scale, err);
}

/* A few bytes of metadata must not make us allocate a net of gigabytes: it cannot be
 * larger than what the file holds. */
static bool check_size(const struct den_tensor_file *file, const struct den_net *net,
                       const struct den_net_options *options, struct den_err *err)
{
    size_t want, have = 0;
    if (!den_model_bytes(net, options, &want, err))
        return false;
    for (size_t i = 0; i < den_tensor_file_size(file); i++)
        have += den_tensor_file_at(file, i)->count * sizeof(float);
    if (have < want)
        return den_err_set(
            err, DEN_E_UNPROCESSABLE,
            "the model file describes a net of %zu bytes but holds only %zu", want, have);
    return true;
}

/* Whatever a check says about a file is about the file, not about a request. */
static bool blame_file(struct den_err *err)
{
    if (err != NULL && err->code == DEN_E_INVALID)
        err->code = DEN_E_UNPROCESSABLE;
    return false;
}

bool den_model_load(const struct den_backend *backend, const char *path,
                    struct den_model **ret, struct den_err *err)
{
    struct den_tensor_file *file = NULL;
    struct den_model *model = NULL;
    const struct den_net *net = NULL;
    struct den_net_options options = {0};
    struct den_norm norm = {0};
    bool done = den_tensor_file_open(path, DEN_MODEL_FILE_MAX, &file, err) &&
                get_net(file, &net, err) && get_options(file, net, &options, err) &&
                get_norm(file, &norm, err) && check_size(file, net, &options, err) &&
                den_model_new(backend, net, &options, &norm, &model, err) &&
                den_params_load(model->params, "", false, file, err);
    if (!done) {
        den_tensor_file_free(file);
        den_model_free(model);
        return blame_file(err);
    }
    model->file = file;
    *ret = model;
    return true;
}

bool den_model_complete(struct den_model *model, struct den_err *err)
{
    if (!model->taken)
        return true;
    model->taken = !(den_params_undrop(model->params, err) &&
                     den_params_load(model->params, "", false, model->file, err));
    return !model->taken;
}
