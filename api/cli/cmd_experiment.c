#include <string.h>

#include "data_job.h"
#include "data_set.h"
#include "experiment_grids.h"
#include "experiment_report.h"
#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "mem.h"
#include "settings.h"

static const struct den_option options[] = {
    {"grid", 0, DEN_OPTION_VALUE, "NAME",
     "a ready grid instead of FILE: table1, samples"},
    {"print", 0, DEN_OPTION_FLAG, NULL, "only print the grid, as a start for a file"},
    DEN_DATA_OPTIONS,
    {"test-dataset", 0, DEN_OPTION_VALUE, "ID", "test on this data set of the server"},
    {"test-scene", 0, DEN_OPTION_LIST, "NAME",
     "test on this scene (file name of its clean image) of the data set"},
    {"set", 0, DEN_OPTION_LIST, "KEY=VALUE", "a setting of all rows"},
    DEN_ONCE_OPTION,
    {"wait", 'w', DEN_OPTION_FLAG, NULL, "wait, and print the report as Markdown"},
    {"picture", 0, DEN_OPTION_VALUE, "FILE",
     "with --wait: the report's SVG picture, too"},
    {"dry-run", 'n', DEN_OPTION_FLAG, NULL, "only say what it would take"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

/* ---- the grid ---- */

static bool read_grid(const char *file, json_t **ret, struct den_err *err)
{
    json_error_t at;
    json_t *grid = json_load_file(file, JSON_REJECT_DUPLICATES, &at);
    if (grid == NULL)
        return den_err_set(err, DEN_E_MALFORMED, "%.160s, line %d: %.120s", file, at.line,
                           at.text);
    if (!json_is_object(grid)) {
        json_decref(grid);
        return den_err_set(err, DEN_E_MALFORMED, "%.160s holds no JSON object", file);
    }
    *ret = grid;
    return true;
}

/* What the command line says besides goes over what the file says. */
static bool add_options(const struct den_args *args, json_t *grid, struct den_err *err)
{
    const char *id = den_args_text(args, "test-dataset"), *name;
    if (json_object_get(grid, "common") == NULL)
        (void)json_object_set_new(grid, "common", json_object());
    json_t *common = json_object_get(grid, "common"), *set = json_object(),
           *scenes = json_array();
    bool done = den_settings_add(args, set, err);
    if (done && json_object_size(set) > 0 && json_object_update(common, set) != 0)
        done = den_err_set(err, DEN_E_INVALID, "'common' of the grid is no object");
    for (size_t i = 0; (name = den_args_at(args, "test-scene", i)) != NULL; i++)
        (void)json_array_append_new(scenes, json_string(name));
    if (json_array_size(scenes) > 0)
        (void)json_object_set(grid, "test_scenes", scenes);
    if (id != NULL)
        (void)json_object_set_new(grid, "test_dataset", json_string(id));
    json_decref(set);
    json_decref(scenes);
    return done;
}

static bool make_grid(const struct den_args *args, json_t **ret, struct den_err *err)
{
    const char *name = den_args_text(args, "grid");
    json_t *grid = NULL;
    if ((name != NULL) == (args->count > 0))
        return den_err_set(err, DEN_E_INVALID, "give either a FILE or --grid NAME");
    if (name != NULL ? !den_ready_grid_get(name, &grid, err)
                     : !read_grid(args->words[0], &grid, err))
        return false;
    if (!add_options(args, grid, err)) {
        json_decref(grid);
        return false;
    }
    *ret = grid;
    return true;
}

/* ---- the images ---- */

static bool names_images(const struct den_args *args)
{
    static const char *const names[] = {"pairs", "noisy", "clean", "repeats", "dataset"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (den_args_has(args, names[i]))
            return true;
    return false;
}

/* The same command line with --held-out in place of --hold-out. */
static bool held_out(struct den_cli *cli, const struct den_args *args, char *ret_id,
                     struct den_err *err)
{
    struct den_args other = *args;
    const struct den_option *held = options;
    while (strcmp(held->name, "held-out") != 0)
        held++;
    other.given = den_new(args->given_count, sizeof *other.given, err);
    if (other.given == NULL)
        return false;
    for (size_t i = 0; i < args->given_count; i++) {
        other.given[i] = args->given[i];
        if (strcmp(args->given[i].option->name, "hold-out") == 0)
            other.given[i].option = held;
    }
    bool done = den_data_set(cli, &other, "held out for an experiment", ret_id, err);
    den_free(other.given);
    return done;
}

/* The data set to train on goes to the request; what --hold-out leaves out becomes the
 * test. */
static bool add_images(struct den_cli *cli, const struct den_args *args, json_t *request,
                       struct den_err *err)
{
    char id[DEN_DATA_ID];
    json_t *grid = json_object_get(request, "grid");
    json_t *named = json_object_get(grid, "dataset");
    if (!names_images(args)) {
        if (!json_is_string(named))
            return den_err_set(err, DEN_E_INVALID,
                               "no images are named: give \"dataset\" in the file, or "
                               "--pairs, --repeats or --dataset");
        (void)json_object_set(request, "dataset", named);
    } else if (!den_data_set(cli, args, "experiment", id, err)) {
        return false;
    } else {
        (void)json_object_set_new(request, "dataset", json_string(id));
    }
    (void)json_object_del(grid, "dataset");
    if (!den_args_has(args, "hold-out"))
        return true;
    if (!held_out(cli, args, id, err))
        return false;
    (void)json_object_del(grid, "test_scenes");
    return json_object_set_new(grid, "test_dataset", json_string(id)) == 0;
}

/* ---- the job ---- */

static bool finish(struct den_cli *cli, const struct den_args *args, const char *id,
                   struct den_err *err)
{
    const char *picture = den_args_text(args, "picture");
    json_t *job = NULL;
    bool done = den_follow(cli, id, &job, err) && den_job_succeeded(cli, job, err) &&
                den_experiment_print(cli, id, err) &&
                (picture == NULL || den_experiment_picture(cli, id, picture, err));
    json_decref(job);
    return done;
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    json_t *grid = NULL;
    if (den_args_has(args, "picture") && !den_args_has(args, "wait"))
        return den_err_set(err, DEN_E_INVALID,
                           "--picture needs --wait; `denoise report JOB --picture FILE` "
                           "draws it later");
    if (!make_grid(args, &grid, err))
        return false;
    if (den_args_has(args, "print")) {
        (void)json_dumpf(grid, stdout, JSON_INDENT(2));
        (void)putchar('\n');
        json_decref(grid);
        return true;
    }
    json_t *request = json_pack("{ss so}", "kind", "experiment", "grid", grid);
    if (!add_images(cli, args, request, err)) {
        json_decref(request);
        return false;
    }
    return den_data_job_start(cli, args, request, finish, err);
}

const struct den_command den_cmd_experiment = {
    "experiment",
    "(FILE | --grid NAME) (--pairs CSV [--hold-out FRACTION] | --repeats FILE... | "
    "--dataset ID)",
    "Compare trainings: settings, image counts and seeds",
    "FILE is a grid in JSON; --grid NAME --print shows one to begin with.  What to test\n"
    "on is never trained on: --hold-out, --test-scene or --test-dataset names it.\n"
    "  denoise experiment --grid samples --pairs pairs.csv --hold-out 0.25 --wait\n"
    "Prints the id of the job; `denoise report JOB` shows what it has found so far.\n",
    options,
    0,
    1,
    run,
};
