#include <string.h>

#include "data_job.h"
#include "data_set.h"
#include "follow.h"

static const struct den_option options[] = {
    DEN_DATA_OPTIONS,
    DEN_ONCE_OPTION,
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    char id[DEN_DATA_ID];
    if (den_args_has(args, "dataset"))
        return den_err_set(err, DEN_E_INVALID,
                           "name the images to upload: a data set of the server has its "
                           "images already");
    if (!den_data_set(cli, args, args->words[0], id, err))
        return false;
    den_print_path(cli, "dataset", id);
    return true;
}

const struct den_command den_cmd_dataset = {
    "dataset",
    "NAME (--pairs CSV | --noisy FILE... --clean FILE... | --repeats FILE...)",
    "Upload images that belong together",
    "Prints the id of the data set, for --dataset of other commands and --golden of\n"
    "`denoise promote`; it never changes.\n",
    options,
    1,
    1,
    run,
};
