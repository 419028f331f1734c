#include "data_job.h"

#include "data_set.h"
#include "follow.h"
#include "json_get.h"

bool den_data_job(struct den_cli *cli, const struct den_args *args, json_t *request,
                  const char *name,
                  bool (*finish)(struct den_cli *cli, const struct den_args *args,
                                 const char *id, struct den_err *err),
                  struct den_err *err)
{
    char dataset[DEN_DATA_ID];
    if (!den_data_set(cli, args, name, dataset, err)) {
        json_decref(request);
        return false;
    }
    (void)json_object_set_new(request, "dataset", json_string(dataset));
    return den_data_job_start(cli, args, request, finish, err);
}

bool den_data_job_start(struct den_cli *cli, const struct den_args *args, json_t *request,
                        bool (*finish)(struct den_cli *cli, const struct den_args *args,
                                       const char *id, struct den_err *err),
                        struct den_err *err)
{
    json_t *job = NULL;
    if (den_args_has(args, "dry-run"))
        return den_job_estimate(cli, request, err);
    if (!den_job_add(cli, request, den_args_text(args, "idempotency-key"), &job, err))
        return false;
    bool done = true;
    if (den_args_has(args, "wait"))
        done = finish(cli, args, den_get_text(job, "id"), err);
    else if (cli->json)
        den_print_json(job);
    else
        (void)puts(den_get_text(job, "id"));
    json_decref(job);
    return done;
}
