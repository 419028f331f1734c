#include <stdlib.h>
#include <string.h>

#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "str.h"
#include "table.h"

static const struct den_option options[] = {
    {"state", 0, DEN_OPTION_VALUE, "queued|running|succeeded|failed|cancelling|cancelled",
     "only jobs in this state"},
    {"kind", 0, DEN_OPTION_VALUE, "train|denoise|evaluate|experiment", "only such jobs"},
    {"limit", 0, DEN_OPTION_VALUE, "N", "the newest N jobs (default 20)"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

/* "model@3", or the filter. */
static void what_of(const json_t *job, char *to, size_t size)
{
    double version = den_get_number(job, "version");
    const char *model = den_get_text(job, "model");
    if (model[0] == '\0')
        (void)den_str_format(to, size, "%s", den_get_text(job, "method"));
    else if (version > 0)
        (void)den_str_format(to, size, "%s@%.0f", model, version);
    else
        (void)den_str_format(to, size, "%s", model);
}

static void progress_of(const json_t *job, char *to, size_t size)
{
    const json_t *progress = json_object_get(job, "progress");
    double position = den_get_number(job, "queue_position");
    if (position > 0)
        (void)den_str_format(to, size, "number %.0f", position);
    else
        (void)den_str_format(to, size, "%.0f %%",
                             100 * den_get_number(progress, "fraction"));
}

static bool print_list(const json_t *jobs, struct den_err *err)
{
    static const char *const heads[] = {"job",   "kind",    "state", ">progress",
                                        "model", "created", NULL};
    struct den_table table;
    char text[160];
    size_t i;
    json_t *job;
    den_table_init(&table, heads);
    json_array_foreach(jobs, i, job)
    {
        den_table_add(&table, "%s", den_get_text(job, "id"));
        den_table_add(&table, "%s", den_get_text(job, "kind"));
        den_table_add(&table, "%s", den_get_text(job, "state"));
        progress_of(job, text, sizeof text);
        den_table_add(&table, "%s", text);
        what_of(job, text, sizeof text);
        den_table_add(&table, "%s", text);
        den_table_add(&table, "%s", den_get_text(job, "created_at"));
    }
    bool done = den_table_print(&table, stdout, err);
    den_table_release(&table);
    return done;
}

/* ---- one job ----------------------------------------------------------------------- */

static void line(const char *name, const char *value)
{
    if (value[0] != '\0')
        (void)printf("%-10s %s\n", name, value);
}

static void print_config(const json_t *job)
{
    const char *key;
    json_t *value;
    char *text;
    json_object_foreach(json_object_get(job, "config"), key, value)
    {
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        (void)printf("%-10s %s = %s\n", "", key, text != NULL ? text : "?");
        free(text);
    }
}

static void print_job(const struct den_cli *cli, const json_t *job)
{
    static const struct {
        const char *state, *color;
    } colors[] = {
        {"succeeded", "\x1b[32m"}, {"failed", "\x1b[31m"}, {"cancelled", "\x1b[33m"}};
    const char *state = den_get_text(job, "state"), *color = "";
    char text[160];
    for (size_t i = 0; cli->color && i < sizeof colors / sizeof colors[0]; i++)
        if (strcmp(colors[i].state, state) == 0)
            color = colors[i].color;
    line("job", den_get_text(job, "id"));
    line("kind", den_get_text(job, "kind"));
    (void)printf("%-10s %s%s%s\n", "state", color, state,
                 color[0] != '\0' ? "\x1b[0m" : "");
    progress_of(job, text, sizeof text);
    line("progress", text);
    what_of(job, text, sizeof text);
    line("model", text);
    line("data set", den_get_text(job, "dataset"));
    line("image", den_get_text(job, "image"));
    line("created", den_get_text(job, "created_at"));
    line("started", den_get_text(job, "started_at"));
    line("finished", den_get_text(job, "finished_at"));
    line("error", den_get_text(json_object_get(job, "error"), "detail"));
    line("result", den_get_text(json_object_get(job, "result"), "href"));
    if (json_object_size(json_object_get(job, "config")) > 0) {
        (void)puts("settings");
        print_config(job);
    }
}

static bool one(struct den_cli *cli, const char *id, struct den_err *err)
{
    json_t *job = NULL;
    char path[256];
    if (!den_client_path(path, sizeof path, "/v1/jobs", id, "", err) ||
        !den_client_get(cli, path, &job, err))
        return false;
    if (cli->json)
        den_print_json(job);
    else
        print_job(cli, job);
    json_decref(job);
    return true;
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    static const char *const filters[] = {"state", "kind"};
    json_t *list = NULL;
    int64_t limit = 20;
    char path[512];
    if (args->count == 1)
        return one(cli, args->words[0], err);
    if (!den_args_int(args, "limit", 1, 500, &limit, err))
        return false;
    (void)den_str_format(path, sizeof path, "/v1/jobs?limit=%d", (int)limit);
    for (size_t i = 0; i < 2; i++) {
        const char *value = den_args_text(args, filters[i]);
        char prefix[512];
        if (value == NULL)
            continue;
        if (!den_str_format(prefix, sizeof prefix, "%s&%s=", path, filters[i]) ||
            !den_client_query(path, sizeof path, prefix, value, err))
            return false;
    }
    if (!den_client_get(cli, path, &list, err))
        return false;
    bool done = true;
    if (cli->json)
        den_print_json(list);
    else
        done = print_list(json_object_get(list, "jobs"), err);
    json_decref(list);
    return done;
}

const struct den_command den_cmd_status = {
    "status", "[JOB]", "Show a job, or the newest jobs", NULL, options, 0, 1, run,
};
