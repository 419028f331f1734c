#include "data_set.h"
#include "follow.h"

static const struct den_option options[] = {
    DEN_PAIRS_OPTIONS,
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

static bool print_json(const struct den_pairs *pairs, struct den_err *err)
{
    json_t *list = json_array();
    bool done = true;
    for (size_t i = 0; done && i < pairs->count; i++)
        done =
            json_array_append_new(list, json_pack("{ss ss ss}", "id", pairs->pairs[i].id,
                                                  "noisy", pairs->pairs[i].noisy, "clean",
                                                  pairs->pairs[i].clean)) == 0;
    if (done)
        den_print_json(list);
    json_decref(list);
    return done || den_err_set(err, DEN_E_INVALID, "names must be UTF-8");
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    struct den_pairs pairs = {0};
    if (!den_data_pairs(args, args->words[0], &pairs, err))
        return false;
    bool done = true;
    if (cli->json)
        done = print_json(&pairs, err);
    for (size_t i = 0; !cli->json && i < pairs.count; i++)
        (void)printf("%s\t%s\t%s\n", pairs.pairs[i].id, pairs.pairs[i].noisy,
                     pairs.pairs[i].clean);
    den_pairs_release(&pairs);
    return done;
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
