#include <string.h>

#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "str.h"
#include "table.h"

static const struct den_option options[] = {
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

/* The names of a version, as "champion best". */
static void add_aliases(struct den_table *table, const json_t *aliases, double version)
{
    char text[160] = "";
    size_t i;
    json_t *alias;
    json_array_foreach(aliases, i, alias)
    {
        size_t used = strlen(text);
        if (den_get_number(alias, "version") == version)
            (void)den_str_format(text + used, sizeof text - used, "%s%s",
                                 used > 0 ? " " : "", den_get_text(alias, "name"));
    }
    den_table_add(table, "%s", text[0] != '\0' ? text : "-");
}

/* A server that has none, or an older one, tells none. */
static json_t *get_aliases(struct den_cli *cli, const char *name)
{
    struct den_err none = DEN_ERR_INIT;
    char path[256];
    json_t *answer = NULL;
    if (den_client_path(path, sizeof path, "/v1/models", name, "/aliases", &none))
        (void)!den_client_get(cli, path, &answer, &none);
    json_t *list = json_incref(json_object_get(answer, "aliases"));
    json_decref(answer);
    return list;
}

static void add_model(struct den_table *table, const json_t *model, const json_t *aliases)
{
    const json_t *psnr = json_object_get(model, "validation_psnr");
    den_table_add(table, "%s", den_get_text(model, "name"));
    den_table_add(table, "%.0f", den_get_number(model, "version"));
    if (aliases != NULL)
        add_aliases(table, aliases, den_get_number(model, "version"));
    den_table_add(table, "%s", den_get_text(model, "method"));
    den_table_add(table, "%s", den_get_text(model, "preset"));
    den_table_add(table, "%.0f", den_get_number(model, "steps"));
    if (json_is_number(psnr))
        den_table_add(table, "%.2f", json_number_value(psnr));
    else
        den_table_add(table, "%s", "-");
    den_table_add(table, "%.1f", den_get_number(model, "bytes") / 1e6);
    den_table_add(table, "%s", den_get_text(model, "created_at"));
}

static bool print(const json_t *list, const json_t *aliases, struct den_err *err)
{
    static const char *const
        heads[] = {"model", ">version", "method", "preset", ">steps", ">validation [dB]",
                   ">MB",   "created",  NULL},
        *const of_one[] = {"model",  ">version",         "alias", "method",  "preset",
                           ">steps", ">validation [dB]", ">MB",   "created", NULL};
    struct den_table table;
    size_t i;
    json_t *model;
    den_table_init(&table, aliases != NULL ? of_one : heads);
    json_array_foreach(json_object_get(list, "models"), i, model)
    {
        add_model(&table, model, aliases);
    }
    bool done = den_table_print(&table, stdout, err);
    den_table_release(&table);
    return done;
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    const char *name = args->count == 1 ? args->words[0] : NULL;
    char path[256] = "/v1/models?limit=500";
    json_t *list = NULL, *aliases = NULL;
    if (name != NULL &&
        !den_client_path(path, sizeof path, "/v1/models", name, "?limit=500", err))
        return false;
    if (!den_client_get(cli, path, &list, err))
        return false;
    if (json_is_string(json_object_get(list, "next_cursor")))
        (void)fputs("these are the first 500; there are more\n", stderr);
    if (name != NULL && !cli->json)
        aliases = get_aliases(cli, name);
    bool done = true;
    if (cli->json)
        den_print_json(list);
    else
        done = print(list, aliases, err);
    json_decref(list);
    json_decref(aliases);
    return done;
}

const struct den_command den_cmd_models = {
    "models",
    "[NAME]",
    "List the models, or the versions of one",
    "Steps are those of the training after which the weights were that it kept: the "
    "best\n"
    "on its validation images.\n",
    options,
    0,
    1,
    run,
};
