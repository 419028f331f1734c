#include "data_set.h"

static const struct den_option options[] = {
    DEN_PAIRS_OPTIONS,
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    struct den_pairs pairs = {0};
    (void)cli;
    if (!den_data_pairs(args, args->words[0], &pairs, err))
        return false;
    for (size_t i = 0; i < pairs.count; i++)
        (void)printf("%s\t%s\t%s\n", pairs.pairs[i].id, pairs.pairs[i].noisy,
                     pairs.pairs[i].clean);
    den_pairs_release(&pairs);
    return true;
}

const struct den_command den_cmd_pairs = {
    "pairs",
    "CSV [--where REGEX] [--hold-out FRACTION | --held-out FRACTION]",
    "List the image pairs that these options choose (needs no server)",
    "Prints id, noisy image and clean image, with tabs between them.\n",
    options,
    1,
    1,
    run,
};
