#include "follow.h"
#include "http_client.h"
#include "json_get.h"

static const struct den_option options[] = {
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    for (size_t i = 0; i < args->count; i++) {
        json_t *job = NULL;
        char path[256];
        if (!den_client_path(path, sizeof path, "/v1/jobs", args->words[i], "/cancel",
                             err) ||
            !den_client_act(cli, path, &job, err))
            return false;
        if (cli->json)
            den_print_json(job);
        else
            (void)printf("%s %s\n", den_get_text(job, "id"), den_get_text(job, "state"));
        json_decref(job);
    }
    return true;
}

const struct den_command den_cmd_cancel = {
    "cancel",
    "JOB...",
    "Stop jobs",
    "A running job stops within one batch or tile; a job that has ended stays as it "
    "is.\n",
    options,
    1,
    SIZE_MAX,
    run,
};
