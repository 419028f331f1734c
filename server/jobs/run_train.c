/* A model from a data set, from scratch or from another model. */

#include "run_kinds.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base_model.h"
#include "clock.h"
#include "crop.h"
#include "job_images.h"
#include "mem.h"
#include "str.h"
#include "trainer.h"

/* ---- check ---- */

/* A line of its own among the settings of a row, of jobs and models alike: "nuclei@3". */
#define BASE_LABEL (DEN_NAME_SIZE + 24)
static const char base_key[] = "base_model";

static const struct den_train_key *find_key(const char *name)
{
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++)
        if (strcmp(k->name, name) == 0)
            return k;
    return NULL;
}

static bool read_settings(const struct den_job_request *request,
                          struct den_train_config *config, struct den_err *err)
{
    for (size_t i = 0; i < request->setting_count; i++) {
        const struct den_setting *setting = &request->settings[i];
        struct den_err inner = DEN_ERR_INIT;
        char field[96];
        den_str_format(field, sizeof field, "/config/%s", setting->key);
        if (find_key(setting->key) == NULL)
            return den_err_field(err, DEN_E_INVALID, field,
                                 "unknown setting '%s'; see GET /v1/methods",
                                 setting->key);
        if (!den_train_config_set(config, setting->key, setting->value, &inner))
            return den_err_field(err, inner.code, field, "%s", inner.text);
    }
    return true;
}

static bool write_settings(const struct den_train_config *config, char *to,
                           struct den_err *err)
{
    char value[64];
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++) {
        den_train_config_get(config, k, value, sizeof value);
        if (!den_config_add(to, k->name, value, err))
            return false;
    }
    return true;
}

/* The data set's name with other characters replaced, when the client gave none. */
static void name_model(const char *dataset, char *to)
{
    enum { LONGEST = 64 };
    static const char *const fallback = "model";
    size_t length = 0;
    for (; length < LONGEST && dataset[length] != '\0'; length++) {
        char one[2] = {dataset[length], '\0'};
        to[length] = den_model_name_valid(one) ? one[0] : '-';
    }
    to[length] = '\0';
    if (length == 0)
        den_str_copy(to, DEN_NAME_SIZE, fallback);
}

/* Who names one of the two gets the other that belongs to it; who names none, both of the
 * base model. */
static void choose_names(const struct den_job_request *request,
                         const struct den_model_row *base, const char **ret_preset,
                         const char **ret_method)
{
    const char *preset = request->preset, *method = request->method;
    if (base != NULL && preset[0] == '\0' && method[0] == '\0') {
        preset = base->preset;
        method = base->method;
    }
    if (preset[0] == '\0')
        preset =
            method[0] == '\0' ? DEN_PRESET_DEFAULT : den_preset_of_method(method)->name;
    for (size_t p = 0; p < DEN_PRESETS && method[0] == '\0'; p++)
        if (strcmp(den_presets[p].name, preset) == 0)
            method = den_presets[p].method;
    *ret_preset = preset;
    *ret_method = method[0] == '\0' ? den_methods[0]->name : method;
}

static bool check_names(const struct den_job_request *request,
                        const struct den_model_row *base, struct den_job_row *row,
                        struct den_err *err)
{
    const char *preset, *method;
    choose_names(request, base, &preset, &method);
    if (!den_check_unused(request->image, "/image", "a train job", err))
        return false;
    if (request->dataset[0] == '\0')
        return den_err_field(err, DEN_E_INVALID, "/dataset",
                             "a train job needs a data set");
    if (request->model[0] != '\0' && !den_model_name_valid(request->model))
        return den_err_field(err, DEN_E_INVALID, "/model",
                             "'%s' cannot name a model: a name has 1 to 64 of the "
                             "characters A-Z a-z 0-9 . _ -",
                             request->model);
    if (den_method_find(method) == NULL)
        return den_err_field(err, DEN_E_INVALID, "/method",
                             "there is no training method '%s'; see GET /v1/methods",
                             method);
    den_str_copy(row->preset, sizeof row->preset, preset);
    den_str_copy(row->method, sizeof row->method, method);
    den_str_copy(row->model, sizeof row->model, request->model);
    den_str_copy(row->dataset, sizeof row->dataset, request->dataset);
    return true;
}

/* What the base decides takes the place of what the preset says. */
static bool take_over(const struct den_model_row *base, struct den_train_config *config,
                      struct den_err *err)
{
    struct den_train_config theirs;
    char value[64];
    if (!den_model_settings(base, &theirs, err))
        return false;
    for (size_t i = 0; den_base_keys[i] != NULL; i++) {
        den_train_config_get(&theirs, find_key(den_base_keys[i]), value, sizeof value);
        if (!den_train_config_set(config, den_base_keys[i], value, err))
            return false;
    }
    return true;
}

static bool refuse_contradictions(const struct den_train_config *asked,
                                  const struct den_train_config *of_base,
                                  const char *label, struct den_err *err)
{
    for (size_t i = 0; den_base_keys[i] != NULL; i++) {
        const struct den_train_key *key = find_key(den_base_keys[i]);
        char want[64], have[64], field[96];
        den_train_config_get(asked, key, want, sizeof want);
        den_train_config_get(of_base, key, have, sizeof have);
        den_str_format(field, sizeof field, "/config/%s", key->name);
        if (strcmp(want, have) != 0)
            return den_err_field(err, DEN_E_INVALID, field,
                                 "%s is %s, but the base model %s has %s; leave it out",
                                 key->name, want, label, have);
    }
    return true;
}

/* Preset, then what the base (NULL: none) decides, then what the client says. */
static bool check_config(const struct den_job_request *request,
                         const struct den_model_row *base, struct den_job_row *row,
                         struct den_train_config *ret, struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    char label[BASE_LABEL] = "";
    if (!den_train_config_preset(row->preset, ret, &inner))
        return den_err_under(&inner, "/", err);
    if (base != NULL && !take_over(base, ret, err))
        return false;
    const struct den_train_config before = *ret;
    if (!read_settings(request, ret, err))
        return false;
    if (base == NULL && ret->freeze_encoder)
        return den_err_field(err, DEN_E_INVALID, "/config/freeze_encoder",
                             "freeze_encoder needs a base_model");
    if (base != NULL)
        den_str_format(label, sizeof label, "%s@%lld", base->name,
                       (long long)base->version);
    if (base != NULL && !refuse_contradictions(ret, &before, label, err))
        return false;
    if (!den_train_config_check(ret, &inner))
        return den_err_under(&inner, "/config/", err);
    return write_settings(ret, row->config, err) &&
           (base == NULL || den_config_add(row->config, base_key, label, err));
}

static bool check(struct den_service *s, const struct den_job_request *request,
                  struct den_job_row *row, struct den_job_estimate *ret,
                  struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_train_config config;
    struct den_job_images images = {0};
    size_t bytes = 0, steps = 0;
    struct den_model_row named, *base = NULL;
    if (request->base_model[0] != '\0') {
        if (!den_model_of_name(s, row->owner, request->base_model, "/base_model", &named,
                               err))
            return false;
        base = &named;
        memcpy(row->model_owner, named.owner, sizeof row->model_owner);
    }
    if (!check_names(request, base, row, err) ||
        !check_config(request, base, row, &config, err) ||
        !den_job_images_load(s, row->owner, request->dataset, &images, err))
        return false;
    bool done =
        den_train_estimate(row->method, &config, images.samples, images.smallest_side,
                           s->config.threads, &steps, &bytes, &inner) ||
        den_err_under(&inner, "/config/", err);
    if (done) {
        ret->steps = steps;
        ret->bytes = bytes + images.bytes;
        if (row->model[0] == '\0')
            name_model(images.name, row->model);
    }
    den_job_images_release(&images);
    return done;
}

/* ---- run ---- */

struct training {
    struct den_job_context *context;
    bool started; /* the first tick has come */
    bool has_validation;
    double validation_psnr; /* the last one, dB */
};

/* The first tick of a run that goes on from a checkpoint says how far it had come. */
static enum den_verdict tick(void *opaque, size_t done, size_t total)
{
    struct training *t = opaque;
    if (!t->started && done > 0) {
        t->context->done = done; /* not the work of this process */
        t->context->total = total;
        den_job_log(t->context, "resumed at step %zu", done);
    }
    t->started = true;
    return den_tick(&t->context->progress, done, total);
}

static void metric(void *opaque, size_t step, const char *name, double value)
{
    struct training *t = opaque;
    if (strcmp(name, "validation_psnr") == 0) {
        t->has_validation = true;
        t->validation_psnr = value;
    }
    den_job_metric(t->context, step, name, value);
}

void den_service_sample_path(const struct den_service *service,
                             const struct den_job_row *job, char *to, size_t size)
{
    char work[DEN_STATE_PATH + 64];
    const struct den_lease lease = den_job_lease(job);
    den_service_work_path(service, &lease, work, sizeof work);
    den_str_format(to, size, "%s/sample.png", work);
}

/* For people to look at; a training does not end for want of a picture. */
static void show(void *opaque, const struct den_validation_view *view)
{
    struct training *t = opaque;
    char path[PATH_MAX], fresh[PATH_MAX];
    struct den_metric_case c = {
        view->width, view->height, view->target, view->denoised, 1, 0};
    const float *const images[] = {view->noisy, view->denoised, NULL};
    den_str_format(path, sizeof path, "%s/sample.png", t->context->work);
    den_str_format(fresh, sizeof fresh, "%s/sample.new", t->context->work);
    if (!den_crop_save(&c, images, 3, fresh, NULL) || rename(fresh, path) != 0)
        unlink(fresh);
}

static void note(void *opaque, const char *text)
{
    struct training *t = opaque;
    den_job_log(t->context, "%s", text);
}

static bool make_model_row(struct den_job_context *context, const struct den_job_row *row,
                           const struct den_train_result *result,
                           const struct training *t, struct den_err *err)
{
    struct den_model *made = NULL;
    struct den_model_row *model = den_new(1, sizeof *model, err);
    /* Loading it back proves that a denoise job can. */
    if (model == NULL ||
        !den_model_load(context->service->backend, context->model_file, &made, err)) {
        den_free(model);
        return false;
    }
    model->shift = made->norm.shift;
    model->scale = made->norm.scale;
    den_model_free(made);
    den_str_copy(model->name, sizeof model->name, row->model);
    den_str_copy(model->job, sizeof model->job, row->id);
    den_str_copy(model->dataset, sizeof model->dataset, row->dataset);
    den_str_copy(model->method, sizeof model->method, row->method);
    den_str_copy(model->preset, sizeof model->preset, row->preset);
    den_str_copy(model->config, sizeof model->config, row->config);
    model->seed = row->seed;
    model->steps = result->chose_best ? result->best_step : result->steps;
    model->has_validation = result->chose_best || t->has_validation;
    model->validation_psnr = result->chose_best ? result->best_psnr : t->validation_psnr;
    model->created_ms = den_wall_ms();
    context->model = model;
    return true;
}

/* What a row says about its training. */
struct stored {
    struct den_train_config config;
    char base[BASE_LABEL]; /* "" = none */
};

static bool read_stored(void *context, const char *key, const char *value,
                        struct den_err *err)
{
    struct stored *stored = context;
    if (strcmp(key, base_key) != 0)
        return den_train_config_set(&stored->config, key, value, err);
    return den_str_copy(stored->base, sizeof stored->base, value) ||
           den_err_set(err, DEN_E_INTERNAL, "the name of the base model is too long");
}

/* A version that is gone never comes back under its number, so that the owner, name and
 * version of the row are the weights that were meant. */
static bool find_base(struct den_job_context *context, const char *owner,
                      const char *label, char *path, struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_model_row base;
    bool found = den_model_of_name(context->service, owner, label, "", &base, &inner);
    /* When it is gone, what others share under its name is seen in its place. */
    if (found && strcmp(base.owner, owner) != 0)
        found = den_err_set(&inner, DEN_E_NOT_FOUND, "it is another's");
    if (!found)
        return den_err_set(err, inner.code,
                           inner.code == DEN_E_NOT_FOUND
                               ? "the base model %s has been deleted since the job was "
                                 "submitted"
                               : "the base model %s cannot be read",
                           label);
    den_blobs_path(context->service->blobs, base.sha256, path, PATH_MAX);
    return true;
}

/* The checkpoint lies in the work folder, which an interrupted job keeps: den_train reads
 * it when it is there, and ignores one of other settings or data. */
static bool train(struct training *t, const struct den_job_row *row,
                  const struct den_dataset *dataset, struct den_train_result *ret,
                  struct den_err *err)
{
    struct den_job_context *context = t->context;
    char checkpoint[PATH_MAX], best[PATH_MAX], last[PATH_MAX], base[PATH_MAX];
    struct stored stored = {.base = ""};
    den_str_format(checkpoint, sizeof checkpoint, "%s/checkpoint", context->work);
    den_str_format(best, sizeof best, "%s/best.safetensors", context->work);
    den_str_format(last, sizeof last, "%s/last.safetensors", context->work);
    struct den_train_job job = {
        .method = row->method,
        .seed = row->seed,
        .dataset = dataset,
        .backend = context->service->backend,
        .pool = context->pool,
        .checkpoint_path = checkpoint,
        .checkpoint_seconds = context->service->config.checkpoint_seconds,
        .best_path = best,
        .last_path = last,
        .hooks = {.progress = {.tick = tick, .context = t},
                  .metric = metric,
                  .show = show,
                  .note = note,
                  .context = t},
    };
    if (!den_train_config_preset(row->preset, &stored.config, err) ||
        !den_config_each(row->config, read_stored, &stored, err))
        return false;
    job.config = stored.config;
    if (stored.base[0] != '\0') {
        if (!find_base(context, row->model_owner, stored.base, base, err))
            return false;
        job.base_path = base;
        job.base = stored.base;
    }
    if (!den_train(&job, ret, err))
        return false;
    den_str_copy(context->model_file, sizeof context->model_file,
                 ret->chose_best ? best : last);
    return true;
}

static bool run(struct den_job_context *context, struct den_job_row *row,
                struct den_err *err)
{
    struct den_service *s = context->service;
    struct training t = {.context = context};
    struct den_job_images images = {0};
    struct den_dataset *dataset = NULL;
    struct den_train_result result = {0};
    bool done = den_job_images_load(s, row->owner, row->dataset, &images, err) &&
                den_job_images_open(s, &images, &dataset, err) &&
                train(&t, row, dataset, &result, err) &&
                make_model_row(context, row, &result, &t, err);
    if (done) {
        den_job_log(context, "trained on %zu images, validated on %zu",
                    result.train_images, result.validation_images);
        if (result.has_validation)
            den_job_log(context, "best validation PSNR %.2f dB at step %zu",
                        result.best_psnr, result.best_step);
    }
    den_dataset_free(dataset);
    den_job_images_release(&images);
    return done;
}

const struct den_job_kind den_job_train = {
    .name = "train",
    .doc = "A new version of a model from a data set.",
    .check = check,
    .run = run,
};
