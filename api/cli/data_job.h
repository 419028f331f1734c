#ifndef DEN_DATA_JOB_H
#define DEN_DATA_JOB_H

/* What the commands share that start a job on a data set. */

#include <jansson.h>

#include "cli.h"

/* A row for their option tables. */
#define DEN_ONCE_OPTION                                                       \
    {                                                                         \
        "idempotency-key", 0, DEN_OPTION_VALUE, "KEY",                        \
            "the same key again within a day is the same job, as of a commit" \
    }

/* Uploads the data set that the options name (as `name`), then queues the request for it.
 * With
 * --dry-run only the estimate is printed; with --wait `finish` waits and tells what came
 * out; else the job's id is printed.  Takes the request, which was checked before
 * anything is uploaded. */
bool den_data_job(struct den_cli *cli, const struct den_args *args, json_t *request,
                  const char *name,
                  bool (*finish)(struct den_cli *cli, const struct den_args *args,
                                 const char *id, struct den_err *err),
                  struct den_err *err) DEN_CHECKED;

/* The same for a request that has its data set. */
bool den_data_job_start(struct den_cli *cli, const struct den_args *args, json_t *request,
                        bool (*finish)(struct den_cli *cli, const struct den_args *args,
                                       const char *id, struct den_err *err),
                        struct den_err *err) DEN_CHECKED;

#endif
