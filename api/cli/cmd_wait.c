#include "follow.h"
#include "json_get.h"

static const struct den_option options[] = {
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    bool good = true;
    int failure = DEN_EXIT_OK;
    for (size_t i = 0; i < args->count; i++) {
        json_t *job = NULL;
        struct den_err cause = DEN_ERR_INIT;
        if (!den_follow(cli, args->words[i], &job, err))
            return false;
        if (cli->json)
            den_print_json(job);
        else
            (void)printf("%s %s\n", den_get_text(job, "id"), den_get_text(job, "state"));
        if (!den_job_succeeded(cli, job, &cause)) {
            if (!good)
                (void)fprintf(stderr, "denoise: %s\n", err->text);
            *err = cause;
            failure = cli->failure;
            good = false;
        }
        json_decref(job);
    }
    cli->failure = failure;
    return good;
}

const struct den_command den_cmd_wait = {
    "wait",
    "JOB...",
    "Wait until jobs have ended",
    "Prints each job with the state it ended in; the exit status is 1 when one did not\n"
    "succeed.\n",
    options,
    1,
    SIZE_MAX,
    run,
};
