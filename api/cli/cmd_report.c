#include <string.h>

#include "experiment_report.h"
#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "scores.h"
#include "table.h"

static const struct den_option options[] = {
    {"markdown", 0, DEN_OPTION_FLAG, NULL, "tables as Markdown, for a pull request"},
    DEN_SCORE_OPTIONS,
    {"picture", 0, DEN_OPTION_VALUE, "FILE",
     "of an experiment, instead: an SVG picture; - is stdout"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

/* First and last value of each curve. */
static bool print_training(const json_t *report, const struct den_args *args,
                           struct den_err *err)
{
    static const char *const heads[] = {"curve", ">points",  ">first",
                                        ">last", ">at step", NULL};
    struct den_table table;
    const char *name;
    json_t *curve;
    den_table_init(&table, heads);
    table.markdown = den_args_has(args, "markdown");
    json_object_foreach(json_object_get(report, "history"), name, curve)
    {
        size_t n = json_array_size(curve);
        if (n == 0)
            continue;
        const json_t *first = json_array_get(curve, 0),
                     *last = json_array_get(curve, n - 1);
        den_table_add(&table, "%s", name);
        den_table_add(&table, "%zu", n);
        den_table_add(&table, "%.5g", json_number_value(json_array_get(first, 1)));
        den_table_add(&table, "%.5g", json_number_value(json_array_get(last, 1)));
        den_table_add(&table, "%.0f", json_number_value(json_array_get(last, 0)));
    }
    bool done = den_table_print(&table, stdout, err);
    const json_t *psnr = json_object_get(report, "validation_psnr");
    if (done && json_is_number(psnr))
        (void)printf("%sbest validation PSNR: %.2f dB\n", table.markdown ? "\n" : "",
                     json_number_value(psnr));
    den_table_release(&table);
    return done;
}

static bool print_denoising(const json_t *report, const struct den_args *args,
                            struct den_err *err)
{
    (void)args;
    (void)err;
    (void)printf("%.0f tiles, %.0f clipped pixels\n", den_get_number(report, "tiles"),
                 den_get_number(report, "clipped_pixels"));
    return true;
}

static const struct {
    const char *kind;
    bool (*print)(const json_t *report, const struct den_args *args, struct den_err *err);
} kinds[] = {
    {"evaluate", den_scores_print},
    {"train", print_training},
    {"denoise", print_denoising},
};

static bool print(const json_t *report, const struct den_args *args, struct den_err *err)
{
    const char *kind = den_get_text(report, "kind");
    bool markdown = den_args_has(args, "markdown");
    (void)printf(
        markdown ? "# %s of %s\n\nJob `%s`, %.1f s.\n\n" : "%s of %s, %s%.1f s\n", kind,
        den_get_text(report, "model")[0] != '\0' ? den_get_text(report, "model")
                                                 : den_get_text(report, "method"),
        markdown ? den_get_text(report, "job") : "", den_get_number(report, "seconds"));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].kind, kind) == 0)
            return kinds[i].print(report, args, err);
    return true; /* a kind of a newer server: --json shows all of it */
}

/* The server writes these reports itself, in every form. */
static bool show_experiment(struct den_cli *cli, const struct den_args *args,
                            struct den_err *err)
{
    const char *picture = den_args_text(args, "picture"), *job = args->words[0];
    return picture != NULL ? den_experiment_picture(cli, job, picture, err)
                           : den_experiment_print(cli, job, err);
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    json_t *report = NULL;
    char path[256];
    bool done =
        den_scores_check(args, err) &&
        den_client_path(path, sizeof path, "/v1/jobs", args->words[0], "/report", err) &&
        den_client_get(cli, path, &report, err);
    bool experiment = strcmp(den_get_text(report, "kind"), "experiment") == 0;
    if (done && den_args_has(args, "picture") && !experiment)
        done = den_err_set(err, DEN_E_INVALID, "only experiments have a --picture");
    else if (done && experiment && (!cli->json || den_args_has(args, "picture")))
        done = show_experiment(cli, args, err);
    else if (done && cli->json)
        den_print_json(report);
    else if (done)
        done = print(report, args, err);
    json_decref(report);
    return done;
}

const struct den_command den_cmd_report = {
    "report",
    "JOB",
    "Show what a job that has ended found",
    "Of an evaluation five metrics, or those that the options name; of an experiment, "
    "as\n"
    "Markdown, all that it has found so far.\n"
    "With --json: every number of every image, with the definition of each metric.\n",
    options,
    1,
    1,
    run,
};
