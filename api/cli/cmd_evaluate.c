#include "data_job.h"
#include "data_set.h"
#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "scores.h"
#include "settings.h"
#include "str.h"

static const struct den_option options[] = {
    {"model", 'm', DEN_OPTION_VALUE, "NAME[@VERSION]", "the model to judge"},
    {"method", 0, DEN_OPTION_VALUE, "FILTER", "a filter instead"},
    DEN_DATA_OPTIONS,
    {"set", 0, DEN_OPTION_LIST, "KEY=VALUE", "an option of the filter"},
    DEN_ONCE_OPTION,
    {"wait", 'w', DEN_OPTION_FLAG, NULL, "wait, and print the scores"},
    DEN_SCORE_OPTIONS,
    {"dry-run", 'n', DEN_OPTION_FLAG, NULL, "only say what it would take"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static json_t *request_of(const struct den_args *args, struct den_err *err)
{
    json_t *config = json_object(), *request = NULL;
    if (den_settings_add(args, config, err)) {
        request = json_pack("{ss ss* ss*}", "kind", "evaluate", "model",
                            den_args_text(args, "model"), "method",
                            den_args_text(args, "method"));
        if (request == NULL)
            (void)den_err_set(err, DEN_E_INVALID, "names must be UTF-8");
        else if (json_object_size(config) > 0)
            (void)json_object_set(request, "config", config);
    }
    json_decref(config);
    return request;
}

static bool finish(struct den_cli *cli, const struct den_args *args, const char *id,
                   struct den_err *err)
{
    json_t *job = NULL, *report = NULL;
    char path[256];
    bool done = den_follow(cli, id, &job, err) && den_job_succeeded(cli, job, err) &&
                den_client_path(path, sizeof path, "/v1/jobs", id, "/report", err) &&
                den_client_get(cli, path, &report, err);
    if (done && cli->json)
        den_print_json(report);
    else if (done)
        done = den_scores_print(report, args, err);
    json_decref(job);
    json_decref(report);
    return done;
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    char name[160];
    const char *model = den_args_text(args, "model");
    if ((model != NULL) == den_args_has(args, "method"))
        return den_err_set(err, DEN_E_INVALID,
                           "give either --model NAME or --method FILTER");
    (void)den_str_format(name, sizeof name, "evaluation of %.100s",
                         model != NULL ? model : den_args_text(args, "method"));
    if (!den_scores_check(args, err))
        return false;
    json_t *request = request_of(args, err);
    return request != NULL && den_data_job(cli, args, request, name, finish, err);
}

const struct den_command den_cmd_evaluate = {
    "evaluate",
    "(--model NAME | --method FILTER) (--pairs CSV | --noisy FILE... --clean FILE... | "
    "--repeats FILE... | --dataset ID) [--wait]",
    "Score a model beside the classical filters",
    "Prints the id of the job; with --wait a table of methods and metrics instead.\n"
    "`denoise report JOB` prints that table later.\n",
    options,
    0,
    0,
    run,
};
