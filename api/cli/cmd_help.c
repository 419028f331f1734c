#include "cli.h"
#include "manual.h"

static const struct den_option options[] = {
    {"man", 0, DEN_OPTION_FLAG, NULL, "all commands, as source of a manual page"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    (void)cli;
    const struct den_command *command =
        args->count > 0 ? den_command_find(args->words[0]) : NULL;
    if (args->count > 0 && command == NULL)
        return den_err_set(err, DEN_E_INVALID,
                           "there is no command '%.40s'; `denoise --help` lists them",
                           args->words[0]);
    if (den_args_has(args, "man"))
        den_manual(stdout);
    else if (command != NULL)
        den_help_command(stdout, command);
    else
        den_help(stdout);
    return true;
}

const struct den_command den_cmd_help = {
    "help", "[COMMAND]", "Tell what commands do (needs no server)", NULL, options, 0,
    1,      run,
};
