#include "denoise_request.h"
#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "str.h"

static const struct den_option options[] = {
    DEN_DENOISE_OPTIONS,
    {"wait", 'w', DEN_OPTION_FLAG, NULL, "wait until the jobs have ended"},
    {"output", 'o', DEN_OPTION_VALUE, "DIR",
     "wait, and write the results into this folder"},
    {"force", 'f', DEN_OPTION_FLAG, NULL, "replace files that exist"},
    {"dry-run", 'n', DEN_OPTION_FLAG, NULL, "only say what it would take"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static json_t *request_of(const struct den_args *args, const char *image,
                          struct den_err *err)
{
    json_t *request = den_denoise_request(args, err);
    if (request != NULL)
        (void)json_object_set_new(request, "image", json_string(image));
    return request;
}

/* Uploads and queues one file; *ret_job stays NULL with --dry-run. */
static bool submit_one(struct den_cli *cli, const struct den_args *args, const char *file,
                       json_t **ret_job, struct den_err *err)
{
    json_t *image = NULL;
    if (!den_client_upload(cli, file, &image, err))
        return false;
    json_t *request = request_of(args, den_get_text(image, "id"), err);
    json_decref(image);
    if (request == NULL)
        return false;
    if (den_args_has(args, "dry-run"))
        return den_job_estimate(cli, request, err);
    return den_job_add(cli, request, ret_job, err);
}

static bool finish_one(struct den_cli *cli, const struct den_args *args,
                       const json_t *queued, struct den_err *err)
{
    json_t *job = NULL;
    const char *where = den_args_text(args, "output");
    char folder[4096];
    bool done = den_follow(cli, den_get_text(queued, "id"), &job, err);
    if (done && cli->json)
        den_print_json(job);
    done = done && den_job_succeeded(cli, job, err);
    if (done && where != NULL)
        done = (den_str_format(folder, sizeof folder, "%s/", where) ||
                den_err_set(err, DEN_E_INVALID, "the name given to -o is too long")) &&
               den_job_fetch(cli, job, folder, den_args_has(args, "force"), err);
    else if (done && !cli->json)
        (void)puts(den_get_text(job, "id"));
    json_decref(job);
    return done;
}

/* All jobs are followed to their end; the first failure is the one that is told last. */
static bool finish_all(struct den_cli *cli, const struct den_args *args,
                       const json_t *jobs, struct den_err *err)
{
    size_t i;
    json_t *job;
    int failure = DEN_EXIT_OK;
    json_array_foreach(jobs, i, job)
    {
        struct den_err cause = DEN_ERR_INIT;
        if (finish_one(cli, args, job, &cause))
            continue;
        if (failure != DEN_EXIT_OK)
            (void)fprintf(stderr, "denoise: %s%s\n", cause.text, cli->note);
        else
            (void)den_err_set(err, cause.code, "%s", cause.text);
        if (failure == DEN_EXIT_OK)
            failure = cli->failure;
    }
    cli->failure = failure;
    return failure == DEN_EXIT_OK;
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    json_t *request = den_denoise_request(args, err); /* before anything is uploaded */
    if (request == NULL)
        return false;
    json_decref(request);
    bool wait = den_args_has(args, "wait") || den_args_has(args, "output");
    json_t *jobs = json_array();
    bool done = true;
    for (size_t i = 0; done && i < args->count; i++) {
        json_t *job = NULL;
        done = submit_one(cli, args, args->words[i], &job, err);
        if (job == NULL)
            continue;
        if (!wait && cli->json)
            den_print_json(job);
        else if (!wait)
            (void)puts(den_get_text(job, "id"));
        (void)json_array_append_new(jobs, job);
    }
    done = done && (!wait || finish_all(cli, args, jobs, err));
    json_decref(jobs);
    return done;
}

const struct den_command den_cmd_submit = {
    "submit",
    "FILE... (--model NAME | --method FILTER) [-o DIR]",
    "Denoise image files",
    "Prints the id of each job; with -o the path of each denoised file instead.\n",
    options,
    1,
    SIZE_MAX,
    run,
};
