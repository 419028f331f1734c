#include "run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

/* Who has lost the job has nothing more to say about it. */
static void tell(struct den_job_context *context, struct den_event_row *rows,
                 size_t count)
{
    if (!atomic_load(&context->task.lost) &&
        !den_service_event(context->service, &context->task.lease, rows, count))
        atomic_store(&context->task.lost, true);
}

void den_job_log(struct den_job_context *context, const char *format, ...)
{
    struct den_event_row event = {
        .type = "log", .step = context->done, .steps = context->total};
    va_list args;
    va_start(args, format);
    vsnprintf(event.text, sizeof event.text, format, args);
    va_end(args);
    den_utf8_trim(event.text);
    tell(context, &event, 1);
}

void den_job_metric(struct den_job_context *context, size_t step, const char *name,
                    double value)
{
    if (context->metric_count == DEN_JOB_METRICS)
        den_job_flush_metrics(context);
    struct den_event_row *event = &context->metrics[context->metric_count++];
    *event = (struct den_event_row){
        .type = "metric", .step = step, .steps = context->total, .value = value};
    den_str_copy(event->name, sizeof event->name, name);
}

void den_job_flush_metrics(struct den_job_context *context)
{
    if (context->metric_count > 0)
        tell(context, context->metrics, context->metric_count);
    context->metric_count = 0;
}

bool den_job_go_on(enum den_verdict verdict, struct den_err *err)
{
    switch (verdict) {
    case DEN_GO_ON:
        break;
    case DEN_CANCEL:
        return den_err_set(err, DEN_E_CANCELLED, "the job was cancelled");
    case DEN_SUSPEND:
        return den_err_set(err, DEN_E_DRAINING, "the server is going down");
    }
    return true;
}

bool den_check_unused(const char *value, const char *field, const char *kind,
                      struct den_err *err)
{
    if (value[0] == '\0')
        return true;
    return den_err_field(err, DEN_E_INVALID, field, "%s has no use for %s", kind,
                         field + 1);
}

bool den_err_under(const struct den_err *inner, const char *prefix, struct den_err *err)
{
    if (err == NULL || err->code != DEN_OK)
        return false;
    *err = *inner;
    if (inner->field[0] != '\0')
        den_str_format(err->field, sizeof err->field, "%s%s", prefix, inner->field);
    return false;
}

bool den_model_name_valid(const char *name)
{
    enum { LONGEST = 64 };
    size_t length = strlen(name);
    return length > 0 && length <= LONGEST &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                        "0123456789._-") == length;
}

bool den_alias_valid(const char *name)
{
    bool letter =
        (name[0] >= 'A' && name[0] <= 'Z') || (name[0] >= 'a' && name[0] <= 'z');
    return letter && den_model_name_valid(name);
}

/* What stands behind the @: a number, or an alias. */
static bool version_of_text(struct den_service *service, const char *owner,
                            const char *model, const char *text, int64_t *ret,
                            struct den_err *err)
{
    struct den_alias_row alias;
    struct den_model_row seen;
    if (den_parse_int(text, 1, INT64_MAX, ret, NULL))
        return true;
    if (!den_alias_valid(text))
        return den_err_set(err, DEN_E_INVALID,
                           "behind the @ of a model comes a whole number from 1 or an "
                           "alias, as in %s@1 or %s@champion",
                           model, model);
    if (!service->kind->model_get(service->store, owner, model, 0, &seen, err) ||
        !service->kind->alias_get(service->store, owner, model, text, &alias, err))
        return false;
    *ret = alias.version;
    return true;
}

bool den_model_of_name(struct den_service *service, const char *owner, const char *text,
                       const char *field, struct den_model_row *ret, struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    char name[DEN_NAME_SIZE];
    int64_t version = 0;
    bool whole = den_str_copy(name, sizeof name, text);
    char *at = strchr(name, '@');
    if (at != NULL)
        *at = '\0';
    if (!whole || !den_model_name_valid(name))
        return den_err_field(err, DEN_E_INVALID, field,
                             "a model is named as name or name@version, where the name "
                             "has 1 to 64 of the characters A-Z a-z 0-9 . _ -");
    if (at != NULL && !version_of_text(service, owner, name, at + 1, &version, &inner))
        return den_err_field(err, inner.code, field, "%s", inner.text);
    return service->kind->model_get(service->store, owner, name, version, ret, &inner) ||
           den_err_field(err, inner.code, field, "%s", inner.text);
}

/* A key that an older version knew and this one does not says nothing about the net. */
static bool set_known(void *context, const char *key, const char *value,
                      struct den_err *err)
{
    (void)err;
    bool known = den_train_config_set(context, key, value, NULL);
    (void)known;
    return true;
}

bool den_model_settings(const struct den_model_row *model, struct den_train_config *ret,
                        struct den_err *err)
{
    struct den_train_config config;
    if (!den_train_config_preset(DEN_PRESET_DEFAULT, &config, err) ||
        !den_config_each(model->config, set_known, &config, err))
        return false;
    *ret = config;
    return true;
}

bool den_config_add(char *config, const char *key, const char *value, struct den_err *err)
{
    size_t used = strlen(config);
    if (den_str_format(config + used, DEN_CONFIG_SIZE - used, "%s=%s\n", key, value))
        return true;
    config[used] = '\0';
    return den_err_set(err, DEN_E_INTERNAL, "the settings take more than %d bytes",
                       DEN_CONFIG_SIZE - 1);
}

bool den_config_each(const char *config,
                     bool (*set)(void *context, const char *key, const char *value,
                                 struct den_err *err),
                     void *context, struct den_err *err)
{
    char line[DEN_CONFIG_SIZE];
    for (const char *at = config; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        if (!den_str_format(line, sizeof line, "%.*s", (int)length, at))
            return den_err_set(err, DEN_E_INTERNAL, "a stored setting is too long");
        char *equals = strchr(line, '=');
        if (equals == NULL)
            return den_err_set(err, DEN_E_INTERNAL, "a stored setting has no value");
        *equals = '\0';
        if (!set(context, line, equals + 1, err))
            return false;
        at += length + (at[length] == '\n');
    }
    return true;
}
