#include <stdlib.h>
#include <string.h>

#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "table.h"

static const struct den_option options[] = {
    {"preset", 0, DEN_OPTION_VALUE, "PRESET",
     "whose defaults to show (default: that of `denoise train`)"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

/* standard: the one that is taken where none is named; "" = no such thing */
static void print_named(const json_t *all, const char *key, const char *title,
                        const char *standard)
{
    size_t i;
    json_t *one;
    (void)printf("%s\n", title);
    json_array_foreach(json_object_get(all, key), i, one)
    {
        const char *name = den_get_text(one, "name");
        (void)printf("  %-14s %s%s\n", name, den_get_text(one, "doc"),
                     strcmp(name, standard) == 0 ? "  (default)" : "");
    }
}

static void add_value(struct den_table *table, const json_t *value)
{
    char *text = json_is_string(value)
                     ? NULL
                     : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
    if (json_is_string(value))
        den_table_add(table, "%s", json_string_value(value));
    else
        den_table_add(table, "%s", text != NULL ? text : "");
    free(text);
}

static bool print_settings(const json_t *all, const char *preset, struct den_err *err)
{
    const char *heads[] = {"  setting", ">default", "meaning", NULL};
    struct den_table table;
    size_t i;
    json_t *one;
    den_table_init(&table, heads);
    json_array_foreach(json_object_get(all, "settings"), i, one)
    {
        den_table_add(&table, "  %s", den_get_text(one, "name"));
        add_value(&table, json_object_get(json_object_get(one, "defaults"), preset));
        den_table_add(&table, "%s", den_get_text(one, "doc"));
    }
    (void)printf("settings of training, with the defaults of preset %s\n", preset);
    bool done = den_table_print(&table, stdout, err);
    den_table_release(&table);
    return done;
}

static void print_filters(const json_t *all)
{
    size_t i, k;
    json_t *filter, *option;
    (void)puts("filters");
    json_array_foreach(json_object_get(all, "filters"), i, filter)
    {
        (void)printf("  %-14s %s\n", den_get_text(filter, "name"),
                     den_get_text(filter, "doc"));
        json_array_foreach(json_object_get(filter, "options"), k, option)
        {
            (void)printf("  %-14s   %s = %g (%g to %g): %s\n", "",
                         den_get_text(option, "name"), den_get_number(option, "default"),
                         den_get_number(option, "minimum"),
                         den_get_number(option, "maximum"), den_get_text(option, "doc"));
        }
    }
}

static bool has_preset(const json_t *all, const char *preset)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(all, "presets"), i, one)
    {
        if (strcmp(den_get_text(one, "name"), preset) == 0)
            return true;
    }
    return false;
}

static bool print(const json_t *all, const char *preset, struct den_err *err)
{
    const char *standard = den_get_text(all, "default_preset");
    if (preset == NULL && standard[0] != '\0')
        preset = standard;
    else if (preset == NULL)
        preset = den_get_text(json_array_get(json_object_get(all, "presets"), 0), "name");
    else if (!has_preset(all, preset))
        return den_err_set(err, DEN_E_INVALID, "there is no preset '%.40s'", preset);
    print_named(all, "methods", "training methods", "");
    print_named(all, "presets", "presets", standard);
    print_filters(all);
    return print_settings(all, preset, err);
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    json_t *all = NULL;
    bool done = den_client_get(cli, "/v1/methods", &all, err);
    if (done && cli->json)
        den_print_json(all);
    else if (done)
        done = print(all, den_args_text(args, "preset"), err);
    json_decref(all);
    return done;
}

const struct den_command den_cmd_methods = {
    "methods",
    "[--preset PRESET]",
    "List training methods, presets, filters and settings",
    "With --json also nets, losses and metrics with their definitions.\n",
    options,
    0,
    0,
    run,
};
