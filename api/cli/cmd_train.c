#include "data_job.h"
#include "data_set.h"
#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "settings.h"

static const struct den_option options[] = {
    {"name", 0, DEN_OPTION_VALUE, "MODEL", "name of the model to make"},
    DEN_DATA_OPTIONS,
    {"base", 0, DEN_OPTION_VALUE, "MODEL[@VERSION]", "go on from this model's weights"},
    {"method", 0, DEN_OPTION_VALUE, "METHOD", "training method (`denoise methods`)"},
    {"preset", 0, DEN_OPTION_VALUE, "PRESET", "where the settings come from"},
    {"set", 0, DEN_OPTION_LIST, "KEY=VALUE", "a setting of the training"},
    {"seed", 0, DEN_OPTION_VALUE, "N", "same seed, same data: same model"},
    DEN_ONCE_OPTION,
    {"wait", 'w', DEN_OPTION_FLAG, NULL, "wait until the model is made"},
    {"dry-run", 'n', DEN_OPTION_FLAG, NULL, "only say what it would take"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static json_t *request_of(const struct den_args *args, struct den_err *err)
{
    int64_t seed = 0;
    json_t *config = json_object(), *request = NULL;
    if (!den_args_int(args, "seed", 0, ((int64_t)1 << 53) - 1, &seed, err) ||
        !den_settings_add(args, config, err))
        goto out;
    request =
        json_pack("{ss ss* ss* ss* ss* sO}", "kind", "train", "model",
                  den_args_text(args, "name"), "base_model", den_args_text(args, "base"),
                  "method", den_args_text(args, "method"), "preset",
                  den_args_text(args, "preset"), "config", config);
    if (request == NULL)
        (void)den_err_set(err, DEN_E_INVALID, "names must be UTF-8");
    else if (den_args_has(args, "seed"))
        (void)json_object_set_new(request, "seed", json_integer((json_int_t)seed));
out:
    json_decref(config);
    return request;
}

static bool finish(struct den_cli *cli, const struct den_args *args, const char *id,
                   struct den_err *err)
{
    (void)args;
    json_t *job = NULL;
    if (!den_follow(cli, id, &job, err))
        return false;
    if (cli->json)
        den_print_json(job);
    bool done = den_job_succeeded(cli, job, err);
    if (done && !cli->json)
        (void)printf("%s@%.0f\n", den_get_text(job, "model"),
                     den_get_number(job, "version"));
    json_decref(job);
    return done;
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    const char *name = den_args_text(args, "name");
    if (name == NULL)
        return den_err_set(err, DEN_E_INVALID, "name the model to make with --name");
    json_t *request = request_of(args, err);
    return request != NULL && den_data_job(cli, args, request, name, finish, err);
}

const struct den_command den_cmd_train = {
    "train",
    "--name MODEL (--pairs CSV | --noisy FILE... --clean FILE... | --repeats FILE... | "
    "--dataset ID)",
    "Make a model from images",
    "Prints the id of the job; with --wait the model and its version instead.\n"
    "  denoise train --name nuclei --pairs pairs.csv --where '^fov0[1-8]' --wait\n"
    "With --base the net, its size and the normalisation are those of that model; fewer\n"
    "steps and a lower lr than from scratch will do, and freeze_encoder=true trains the\n"
    "decoder alone:\n"
    "  denoise train --name mine --base nuclei --pairs mine.csv --set lr=0.0001 \\\n"
    "      iterations=500 freeze_encoder=true\n",
    options,
    0,
    0,
    run,
};
