#include <string.h>

#include "cli.h"
#include "completion.h"

static const struct den_option options[] = {
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static const struct {
    const char *shell;
    void (*print)(FILE *to);
} shells[] = {
    {"bash", den_completion_bash},
    {"zsh", den_completion_zsh},
    {"fish", den_completion_fish},
};

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    (void)cli;
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (strcmp(shells[i].shell, args->words[0]) == 0) {
            shells[i].print(stdout);
            return true;
        }
    return den_err_set(err, DEN_E_INVALID, "'%.40s' is none of: bash, zsh, fish",
                       args->words[0]);
}

const struct den_command den_cmd_completion = {
    "completion",
    "bash|zsh|fish",
    "Print a script that lets a shell complete words (needs no server)",
    "  source <(denoise completion bash)                 # in ~/.bashrc\n"
    "  denoise completion zsh >\"${fpath[1]}/_denoise\"\n"
    "  denoise completion fish >~/.config/fish/completions/denoise.fish\n"
    "Jobs and models are proposed, too, when the server answers within a second.\n",
    options,
    1,
    1,
    run,
};
