#include "restorer.h"

#include <math.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "str.h"
#include "train_config.h"
#include "train_plan.h"

/* ---- checks ---- */

static bool unknown_setting(const struct den_setting *setting, struct den_err *err)
{
    char field[96];
    den_str_format(field, sizeof field, "/config/%s", setting->key);
    return den_err_field(err, DEN_E_INVALID, field,
                         "unknown setting '%s'; see GET /v1/methods", setting->key);
}

static bool check_model(struct den_service *s, const struct den_job_request *request,
                        struct den_job_row *row, struct den_err *err)
{
    struct den_model_row model;
    if (!den_model_of_name(s, row->owner, request->model, "/model", &model, err))
        return false;
    memcpy(row->model, model.name, sizeof row->model);
    row->version = model.version;
    memcpy(row->model_owner, model.owner, sizeof row->model_owner);
    return request->setting_count == 0 || unknown_setting(&request->settings[0], err);
}

static bool check_option(const struct den_filter *filter,
                         const struct den_setting *setting, double *values,
                         struct den_err *err)
{
    char field[96];
    den_str_format(field, sizeof field, "/config/%s", setting->key);
    for (size_t i = 0; i < DEN_FILTER_OPTIONS; i++) {
        const struct den_filter_option *o = &filter->options[i];
        double value;
        if (o->name == NULL || strcmp(o->name, setting->key) != 0)
            continue;
        if (!den_parse_double(setting->value, o->minimum, o->maximum, &value, NULL) ||
            (o->whole && value != floor(value)))
            return den_err_field(err, DEN_E_INVALID, field,
                                 "%s must be a %snumber from %g to %g, not '%s'", o->name,
                                 o->whole ? "whole " : "", o->minimum, o->maximum,
                                 setting->value);
        values[i] = value;
        return true;
    }
    return unknown_setting(setting, err);
}

static bool check_filter(const struct den_job_request *request, struct den_job_row *row,
                         struct den_err *err)
{
    const struct den_filter *filter = den_filter_find(request->method);
    double values[DEN_FILTER_OPTIONS];
    char text[40];
    if (filter == NULL)
        return den_err_field(err, DEN_E_INVALID, "/method",
                             "there is no filter '%s'; see GET /v1/methods",
                             request->method);
    den_filter_defaults(filter, values);
    for (size_t i = 0; i < request->setting_count; i++)
        if (!check_option(filter, &request->settings[i], values, err))
            return false;
    den_str_copy(row->method, sizeof row->method, filter->name);
    for (size_t i = 0; i < DEN_FILTER_OPTIONS && filter->options[i].name != NULL; i++) {
        den_str_format(text, sizeof text, "%.15g", values[i]);
        if (!den_config_add(row->config, filter->options[i].name, text, err))
            return false;
    }
    return true;
}

bool den_restorer_check(struct den_service *service,
                        const struct den_job_request *request, struct den_job_row *row,
                        struct den_err *err)
{
    bool model = request->model[0] != '\0', method = request->method[0] != '\0';
    if (model && method)
        return den_err_field(err, DEN_E_INVALID, "/method",
                             "a job has a model or a method, not both");
    if (!model && !method)
        return den_err_field(err, DEN_E_INVALID, "/model",
                             "name the model or the method that the job shall use");
    if (!den_check_unused(request->preset, "/preset", "this job", err) ||
        !den_check_unused(request->base_model, "/base_model", "this job", err))
        return false;
    return model ? check_model(service, request, row, err)
                 : check_filter(request, row, err);
}

/* ---- the plan ---- */

/* The net follows from the settings that are kept with the model, so that no weights have
 * to be read while a client waits. */
static bool plan_model(struct den_service *s, const struct den_job_row *row, size_t width,
                       size_t height, size_t *ret_bytes, size_t *ret_units,
                       struct den_err *err)
{
    struct den_model_row model;
    struct den_train_config config;
    if (!s->kind->model_own(s->store, row->model_owner, row->model, row->version, &model,
                            err) ||
        !den_model_settings(&model, &config, err))
        return false;
    struct den_net_options options = den_train_generator(&config);
    struct den_infer_options infer = {.tile = s->config.model_tile,
                                      .threads = s->config.threads};
    return den_infer_bytes(den_train_net(&config), &options, width, height, &infer,
                           ret_bytes, ret_units, err);
}

/* ---- use ---- */

void den_restorer_filter(const struct den_filter *filter, struct den_pool *pool,
                         struct den_restorer *ret)
{
    *ret = (struct den_restorer){.pool = pool, .filter = filter};
    den_filter_defaults(filter, ret->values);
    den_str_copy(ret->label, sizeof ret->label, filter->name);
}

/* Values other than the default go into the label: "median(radius=3)". */
static bool set_value(void *context, const char *key, const char *value,
                      struct den_err *err)
{
    struct den_restorer *r = context;
    for (size_t i = 0; i < DEN_FILTER_OPTIONS && r->filter->options[i].name != NULL;
         i++) {
        const struct den_filter_option *o = &r->filter->options[i];
        if (strcmp(o->name, key) != 0)
            continue;
        if (!den_parse_double(value, o->minimum, o->maximum, &r->values[i], err))
            return false;
        if (r->values[i] != o->standard) {
            size_t used = strlen(r->label);
            bool first = strchr(r->label, '(') == NULL;
            if (!first)
                used--; /* over the closing bracket */
            den_str_format(r->label + used, sizeof r->label - used, "%s%s=%s)",
                           first ? "(" : ",", key, value);
        }
    }
    return true;
}

static bool open_filter(const struct den_job_row *row, struct den_pool *pool,
                        struct den_restorer *ret, struct den_err *err)
{
    const struct den_filter *filter = den_filter_find(row->method);
    if (filter == NULL)
        return den_err_set(err, DEN_E_UNPROCESSABLE, "there is no filter '%s' any more",
                           row->method);
    den_restorer_filter(filter, pool, ret);
    return den_config_each(row->config, set_value, ret, err);
}

/* ---- the plan, of filters and in all ---- */

static size_t filter_bytes(const struct den_restorer *r, size_t width, size_t height,
                           int threads)
{
    enum { PAGES = 2, SMALL = 64 << 10 }; /* noisy, restored; what malloc rounds up */
    return width * height * sizeof(float) * PAGES + SMALL +
           r->filter->bytes(width, r->values, threads > 0 ? threads : 1);
}

bool den_restorer_plan(struct den_service *service, const struct den_job_row *row,
                       size_t width, size_t height, size_t *ret_bytes, size_t *ret_units,
                       struct den_err *err)
{
    struct den_restorer r;
    if (row->model[0] != '\0')
        return plan_model(service, row, width, height, ret_bytes, ret_units, err);
    if (!open_filter(row, NULL, &r, err))
        return false;
    *ret_bytes = filter_bytes(&r, width, height, service->config.threads);
    *ret_units = 1;
    return true;
}

const char *den_restorer_key(const struct den_restorer *restorer)
{
    return restorer->model != NULL ? restorer->sha256 : restorer->label;
}

bool den_restorer_rate(struct den_service *service, const struct den_job_row *row,
                       double *ret, bool *ret_measured, char *key, struct den_err *err)
{
    struct den_model_row model;
    struct den_restorer r;
    bool with_model = row->model[0] != '\0';
    if (with_model ? !service->kind->model_own(service->store, row->model_owner,
                                               row->model, row->version, &model, err)
                   : !open_filter(row, NULL, &r, err))
        return false;
    *ret = with_model ? DEN_RATE_MODEL : DEN_RATE_FILTER;
    den_str_copy(key, DEN_NAME_SIZE, with_model ? model.sha256 : r.label);
    *ret_measured = den_rates_get(&service->rates, key, ret);
    return true;
}

static bool load_model(struct den_service *s, const struct den_model_row *model,
                       struct den_restorer *ret, struct den_err *err)
{
    char path[PATH_MAX];
    den_blobs_path(s->blobs, model->sha256, path, sizeof path);
    return den_model_load(s->backend, path, &ret->model, err);
}

/* The store is asked every time: a model that was deleted is not used any more. */
static bool open_model(struct den_job_context *context, const struct den_job_row *row,
                       struct den_restorer *ret, struct den_err *err)
{
    struct den_service *s = context->service;
    struct den_restorer *kept = context->worker->kept;
    struct den_model_row model;
    if (!s->kind->model_own(s->store, row->model_owner, row->model, row->version, &model,
                            err))
        return false;
    if (kept != NULL && strcmp(kept->sha256, model.sha256) == 0) {
        *ret = *kept;
        *kept = (struct den_restorer){0};
    } else {
        den_worker_drop_model(context->worker); /* before the next one: never two */
        if (!load_model(s, &model, ret, err))
            return false;
    }
    den_str_copy(ret->sha256, sizeof ret->sha256, model.sha256);
    den_str_format(ret->label, sizeof ret->label, "%s@%lld", model.name,
                   (long long)model.version);
    return true;
}

bool den_restorer_open(struct den_job_context *context, const struct den_job_row *row,
                       struct den_restorer *ret, struct den_err *err)
{
    struct den_restorer r = {.pool = context->pool};
    bool done = row->model[0] != '\0' ? open_model(context, row, &r, err)
                                      : open_filter(row, context->pool, &r, err);
    r.tile = context->service->config.model_tile;
    if (done)
        *ret = r;
    return done;
}

static void drop_buffers(struct den_restorer *r)
{
    den_free(r->noisy);
    den_free(r->restored);
    r->noisy = r->restored = NULL;
}

void den_restorer_close(struct den_restorer *restorer)
{
    drop_buffers(restorer);
    den_infer_free(restorer->infer);
    den_model_free(restorer->model);
    *restorer = (struct den_restorer){0};
}

void den_restorer_give_back(struct den_job_context *context,
                            struct den_restorer *restorer)
{
    const size_t kept_pixels = (size_t)4096 * 4096; /* of one buffer: 64 MiB */
    struct den_worker *worker = context->worker;
    if (restorer->width * restorer->height > kept_pixels)
        drop_buffers(restorer);
    if (restorer->model != NULL && worker->kept == NULL)
        worker->kept = den_calloc(1, sizeof *worker->kept);
    if (restorer->model == NULL || worker->kept == NULL) {
        den_restorer_close(restorer);
        return;
    }
    den_restorer_close(worker->kept);
    *worker->kept = *restorer;
    *restorer = (struct den_restorer){0};
    worker->kept_at = den_monotonic_s();
}

void den_worker_drop_model(struct den_worker *worker)
{
    if (worker->kept != NULL)
        den_restorer_close(worker->kept);
    den_free(worker->kept);
    worker->kept = NULL;
}

bool den_restorer_size(struct den_restorer *r, size_t width, size_t height,
                       size_t *ret_units, struct den_err *err)
{
    bool fits = r->width == width && r->height == height;
    if (!fits)
        drop_buffers(r);
    if (r->model != NULL && !(fits && r->infer != NULL)) {
        struct den_infer_options options = {.tile = r->tile};
        den_infer_free(r->infer);
        r->infer = NULL;
        if (!den_infer_new(r->model, r->pool, width, height, &options, &r->infer, err))
            return false;
    }
    if (r->model != NULL)
        den_infer_set_norm(r->infer, NULL); /* what the last job may have set */
    r->width = width;
    r->height = height;
    *ret_units = r->model != NULL ? den_infer_tiles(r->infer) : 1;
    return true;
}

bool den_restorer_by_image(const struct den_restorer *restorer)
{
    return restorer->model != NULL && den_norm_by_image(&restorer->model->norm);
}

void den_restorer_set_span(struct den_restorer *restorer,
                           const struct den_norm_span *span)
{
    if (restorer->model == NULL)
        return;
    struct den_norm norm = restorer->model->norm;
    if (span != NULL)
        norm = den_norm_of_span(&norm, span);
    den_infer_set_norm(restorer->infer, span != NULL ? &norm : NULL);
}

bool den_restorer_buffers(struct den_restorer *r, float **ret_noisy, float **ret_restored,
                          struct den_err *err)
{
    size_t pixels = r->width * r->height;
    if (r->noisy == NULL)
        r->noisy = den_new(pixels, sizeof(float), err);
    if (r->noisy != NULL && r->restored == NULL)
        r->restored = den_new(pixels, sizeof(float), err);
    *ret_noisy = r->noisy;
    *ret_restored = r->restored;
    return r->restored != NULL;
}

bool den_restorer_page(struct den_restorer *r, const float *noisy, float *restored,
                       const struct den_progress *progress, size_t first, size_t total,
                       struct den_err *err)
{
    if (r->model != NULL)
        return den_infer_page(r->infer, noisy, restored, progress, first, total, err);
    return r->filter->apply(r->pool, r->width, r->height, noisy, restored, r->values,
                            err) &&
           den_job_go_on(den_tick(progress, first + 1, total), err);
}
