#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "table.h"

static const struct den_option options[] = {
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static void add_model(struct den_table *table, const json_t *model)
{
    const json_t *psnr = json_object_get(model, "validation_psnr");
    den_table_add(table, "%s", den_get_text(model, "name"));
    den_table_add(table, "%.0f", den_get_number(model, "version"));
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

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    static const char *const heads[] = {"model",  ">version", "method",
                                        "preset", ">steps",   ">validation [dB]",
                                        ">MB",    "created",  NULL};
    char path[256] = "/v1/models";
    json_t *list = NULL;
    if (args->count == 1 &&
        !den_client_path(path, sizeof path, "/v1/models", args->words[0], "", err))
        return false;
    if (!den_client_get(cli, path, &list, err))
        return false;
    bool done = true;
    if (cli->json) {
        den_print_json(list);
    } else {
        struct den_table table;
        size_t i;
        json_t *model;
        den_table_init(&table, heads);
        json_array_foreach(json_object_get(list, "models"), i, model)
        {
            add_model(&table, model);
        }
        done = den_table_print(&table, stdout, err);
        den_table_release(&table);
    }
    json_decref(list);
    return done;
}

const struct den_command den_cmd_models = {
    "models", "[NAME]", "List the models, or the versions of one", NULL, options, 0,
    1,        run,
};
