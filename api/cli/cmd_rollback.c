#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "str.h"

static const struct den_option options[] = {
    {"alias", 0, DEN_OPTION_VALUE, "NAME", "what goes back (default: champion)"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    const char *alias = den_args_text(args, "alias"), *model = args->words[0];
    char middle[80], path[256], front[256];
    json_t *answer = NULL;
    if (alias == NULL)
        alias = "champion";
    if (!den_client_path(front, sizeof front, "/v1/models", model, "/aliases", err) ||
        !den_client_path(middle, sizeof middle, "", alias, "/rollback", err) ||
        !den_str_format(path, sizeof path, "%s%s", front, middle))
        return den_err_set(err, DEN_E_INVALID, "the names are too long");
    if (!den_client_act(cli, path, &answer, err))
        return false;
    if (cli->json)
        den_print_json(answer);
    else
        (void)printf("%s@%s is %s@%.0f again\n", model, den_get_text(answer, "name"),
                     model, den_get_number(answer, "version"));
    json_decref(answer);
    return true;
}

const struct den_command den_cmd_rollback = {
    "rollback",
    "MODEL [--alias NAME]",
    "Go back to the champion before",
    "One step: what was promoted last is undone, and a second rollback undoes that.\n",
    options,
    1,
    1,
    run,
};
