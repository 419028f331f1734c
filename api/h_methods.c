#include <string.h>

#include "filter.h"
#include "handlers.h"
#include "loss.h"
#include "metric.h"
#include "model.h"
#include "net.h"
#include "str.h"
#include "train_config.h"
#include "trainer.h"

/* Everything here is read from the tables of the core: a new row shows up by itself. */

static json_t *named(const char *name, const char *doc)
{
    return json_pack("{ss ss}", "name", name, "doc", doc);
}

static json_t *typed_default(const struct den_train_key *key, const char *text)
{
    bool flag;
    int64_t whole;
    double real;
    switch (key->type) {
    case DEN_KEY_INT:
        return den_parse_int(text, INT64_MIN, INT64_MAX, &whole, NULL)
                   ? json_integer(whole)
                   : json_null();
    case DEN_KEY_REAL:
        return den_parse_double(text, -1e300, 1e300, &real, NULL) ? json_real(real)
                                                                  : json_null();
    case DEN_KEY_BOOL:
        return den_parse_bool(text, &flag, NULL) ? json_boolean(flag) : json_null();
    case DEN_KEY_WORD:
        return json_string(text);
    }
    return json_null();
}

static json_t *words_of(const char *words)
{
    json_t *list = json_array();
    while (words != NULL && *words != '\0') {
        size_t length = strcspn(words, " ");
        if (length > 0)
            (void)json_array_append_new(list, json_stringn(words, length));
        words += length + (words[length] == ' ');
    }
    return list;
}

static json_t *setting_of(const struct den_train_key *key)
{
    static const char *const types[] = {[DEN_KEY_INT] = "integer",
                                        [DEN_KEY_REAL] = "number",
                                        [DEN_KEY_BOOL] = "boolean",
                                        [DEN_KEY_WORD] = "string"};
    json_t *defaults = json_object();
    for (size_t p = 0; p < DEN_PRESETS; p++)
        (void)json_object_set_new(defaults, den_presets[p].name,
                                  typed_default(key, key->preset[p]));
    json_t *out = json_pack("{ss ss ss so}", "name", key->name, "type", types[key->type],
                            "doc", key->doc, "defaults", defaults);
    if (key->type == DEN_KEY_INT) {
        (void)json_object_set_new(out, "minimum", json_integer((json_int_t)key->minimum));
        (void)json_object_set_new(out, "maximum", json_integer((json_int_t)key->maximum));
    } else if (key->type == DEN_KEY_REAL) {
        (void)json_object_set_new(out, "minimum", json_real(key->minimum));
        (void)json_object_set_new(out, "maximum", json_real(key->maximum));
    } else if (key->type == DEN_KEY_WORD) {
        (void)json_object_set_new(out, "values", words_of(key->words));
    }
    return out;
}

static json_t *filter_of(const struct den_filter *filter)
{
    json_t *options = json_array();
    for (size_t i = 0; i < DEN_FILTER_OPTIONS && filter->options[i].name != NULL; i++) {
        const struct den_filter_option *o = &filter->options[i];
        (void)json_array_append_new(
            options,
            json_pack("{ss ss ss sf sf sf}", "name", o->name, "type",
                      o->whole ? "integer" : "number", "doc", o->doc, "minimum",
                      o->minimum, "maximum", o->maximum, "default", o->standard));
    }
    json_t *out = named(filter->name, filter->doc);
    (void)json_object_set_new(out, "options", options);
    return out;
}

static json_t *metric_of(const struct den_metric *metric)
{
    json_t *out = den_json_metric(metric);
    (void)json_object_set_new(out, "name", json_string(metric->name));
    return out;
}

/* Appends f(row) for every row of a table of pointers that ends with NULL. */
#define EACH(table, expression)                            \
    do {                                                   \
        list = json_array();                               \
        for (size_t i = 0; (table)[i] != NULL; i++)        \
            (void)json_array_append_new(list, expression); \
    } while (0)
/* The same for a table of structs that ends with name NULL. */
#define EACH_NAMED(table, expression)                      \
    do {                                                   \
        list = json_array();                               \
        for (size_t i = 0; (table)[i].name != NULL; i++)   \
            (void)json_array_append_new(list, expression); \
    } while (0)

DEN_HANDLER(den_h_methods)
{
    (void)app;
    (void)request;
    json_t *out = json_object(), *list;
    EACH(den_methods, named(den_methods[i]->name, den_methods[i]->doc));
    (void)json_object_set_new(out, "methods", list);
    list = json_array();
    for (size_t i = 0; i < DEN_PRESETS; i++)
        (void)json_array_append_new(list, named(den_presets[i].name, den_presets[i].doc));
    (void)json_object_set_new(out, "presets", list);
    (void)json_object_set_new(out, "default_preset", json_string(DEN_PRESET_DEFAULT));
    EACH_NAMED(den_train_keys, setting_of(&den_train_keys[i]));
    (void)json_object_set_new(out, "settings", list);
    EACH(den_nets, named(den_nets[i]->name, den_nets[i]->doc));
    (void)json_object_set_new(out, "nets", list);
    EACH(den_losses, named(den_losses[i]->name, den_losses[i]->doc));
    (void)json_object_set_new(out, "losses", list);
    EACH(den_gan_modes, named(den_gan_modes[i]->name, den_gan_modes[i]->doc));
    (void)json_object_set_new(out, "gan_modes", list);
    EACH_NAMED(den_norm_kinds, named(den_norm_kinds[i].name, den_norm_kinds[i].doc));
    (void)json_object_set_new(out, "normalisations", list);
    EACH(den_filters, filter_of(den_filters[i]));
    (void)json_object_set_new(out, "filters", list);
    EACH_NAMED(den_metrics, metric_of(&den_metrics[i]));
    (void)json_object_set_new(out, "metrics", list);
    EACH(den_formats, named(den_formats[i]->name, den_formats[i]->media_type));
    (void)json_object_set_new(out, "formats", list);
    return den_reply_json(reply, 200, out, err);
}
