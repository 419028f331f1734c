#include "follow.h"
#include "http_client.h"

static const struct den_option options[] = {
    {"output", 'o', DEN_OPTION_VALUE, "FILE|DIR",
     "where to (default: this folder, the name that the server proposes; - = stdout)"},
    {"force", 'f', DEN_OPTION_FLAG, NULL, "replace a file that exists"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    json_t *job = NULL;
    char path[256];
    bool done = den_client_path(path, sizeof path, "/v1/jobs", args->words[0], "", err) &&
                den_client_get(cli, path, &job, err) &&
                den_job_succeeded(cli, job, err) &&
                den_job_fetch(cli, job, den_args_text(args, "output"),
                              den_args_has(args, "force"), err);
    if (done && cli->json)
        den_print_json(job);
    json_decref(job);
    return done;
}

const struct den_command den_cmd_fetch = {
    "fetch",
    "JOB [-o FILE|DIR]",
    "Get the denoised image of a job",
    "Prints the path of the file.\n",
    options,
    1,
    1,
    run,
};
