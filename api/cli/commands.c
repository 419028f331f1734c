#include <string.h>

#include "cli.h"

const struct den_command *const den_commands[] = {
    &den_cmd_submit,     &den_cmd_watch,
    &den_cmd_dataset,    &den_cmd_train,
    &den_cmd_experiment, &den_cmd_evaluate,
    &den_cmd_promote,    &den_cmd_rollback,
    &den_cmd_status,     &den_cmd_wait,
    &den_cmd_fetch,      &den_cmd_models,
    &den_cmd_report,     &den_cmd_cancel,
    &den_cmd_methods,    &den_cmd_simulate,
    &den_cmd_preview,    &den_cmd_pairs,
    &den_cmd_verify,     &den_cmd_completion,
    &den_cmd_help,       NULL,
};

const struct den_option den_global_options[] = {
    {"server", 0, DEN_OPTION_VALUE, "URL",
     "the server (default: DENOISE_SERVER, else http://127.0.0.1:8080)"},
    {"token", 0, DEN_OPTION_VALUE, "TOKEN",
     "who you are (default: DENOISE_TOKEN); others on this machine can see it here"},
    {"token-file", 0, DEN_OPTION_VALUE, "FILE",
     "a file with the token (default: DENOISE_TOKEN_FILE)"},
    {"json", 0, DEN_OPTION_FLAG, NULL, "print what the server answered, as JSON"},
    {"help", 'h', DEN_OPTION_FLAG, NULL, "this help, or that of the command"},
    {"version", 'V', DEN_OPTION_FLAG, NULL, "the version of this program"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

const struct den_command *den_command_find(const char *name)
{
    for (size_t i = 0; den_commands[i] != NULL; i++)
        if (strcmp(den_commands[i]->name, name) == 0)
            return den_commands[i];
    return NULL;
}

static void help_options(FILE *to, const struct den_option *options)
{
    for (const struct den_option *o = options; o != NULL && o->name != NULL; o++) {
        int width = o->letter != 0 ? fprintf(to, "  -%c, --%s", o->letter, o->name)
                                   : fprintf(to, "      --%s", o->name);
        if (o->value != NULL)
            width +=
                fprintf(to, " %s%s", o->value, o->kind == DEN_OPTION_LIST ? "..." : "");
        (void)fprintf(to, "%*s%s\n", width < 28 ? 28 - width : 2, "", o->doc);
    }
}

void den_help(FILE *to)
{
    (void)fputs("usage: denoise [--server URL] COMMAND ...\n"
                "Denoises microscopy images on a denoised server.\n\ncommands:\n",
                to);
    for (size_t i = 0; den_commands[i] != NULL; i++)
        (void)fprintf(to, "  %-11s %s\n", den_commands[i]->name, den_commands[i]->doc);
    (void)fputs("\noptions of every command:\n", to);
    help_options(to, den_global_options);
    (void)fputs("\nexit status: 0 done, 1 a job failed, 2 usage or a local file, "
                "3 not promoted,\n  4 not allowed, 5 server or network.\n"
                "`denoise COMMAND --help` tells more.\n",
                to);
}

void den_help_command(FILE *to, const struct den_command *command)
{
    (void)fprintf(to, "usage: denoise %s %s\n%s.\n", command->name, command->synopsis,
                  command->doc);
    if (command->more != NULL)
        (void)fprintf(to, "\n%s", command->more);
    (void)fputs("\noptions:\n", to);
    help_options(to, command->options);
    help_options(to, den_global_options);
}

bool den_err_about(struct den_err *err, const char *subject, const struct den_err *cause)
{
    (void)den_err_field(err, cause->code, cause->field, "%.160s: %s", subject,
                        cause->text);
    if (err != NULL)
        err->retry_s = cause->retry_s;
    return false;
}
