#include <math.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "denoise_request.h"
#include "follow.h"
#include "fs.h"
#include "http_client.h"
#include "image_files.h"
#include "inputs.h"
#include "json_get.h"
#include "problem.h"
#include "str.h"

#define FIRST_PAUSE 1.0 /* s, between tries while the queue is full; doubled */
#define LONGEST_PAUSE 30.0

static const struct den_option options[] = {
    DEN_DENOISE_OPTIONS,
    {"recursive", 'r', DEN_OPTION_FLAG, NULL, "of a folder also the folders in it"},
    {"wait", 'w', DEN_OPTION_FLAG, NULL, "wait until the jobs have ended"},
    {"output", 'o', DEN_OPTION_VALUE, "DIR",
     "wait, and write the results into this folder"},
    {"force", 'f', DEN_OPTION_FLAG, NULL, "replace files that exist"},
    {"dry-run", 'n', DEN_OPTION_FLAG, NULL, "only say what it would take"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

struct batch {
    struct den_cli *cli;
    const struct den_args *args;
    json_t *request; /* but for the image */
    struct den_inputs inputs;
    json_t *jobs;    /* [{job, input}] */
    json_t *results; /* {path: true}, written by this run */
    int failure;     /* exit status of the first that failed */
    struct den_err first;
};

/* The others go on; the first failure is the one that is told last. */
static void note_failure(struct batch *b, const struct den_err *cause)
{
    if (b->failure != DEN_EXIT_OK) {
        (void)fprintf(stderr, "denoise: %s%s\n", cause->text, b->cli->note);
        return;
    }
    b->failure = b->cli->failure;
    b->first = *cause;
}

/* Not when the server is away or does not know us: the others would fare alike. */
static bool is_about_one(const struct batch *b, const struct den_err *cause)
{
    const struct den_cli *cli = b->cli;
    return b->inputs.count > 1 && cli->status < 500 &&
           (cli->failure == DEN_EXIT_USAGE || cli->status != 0) &&
           !den_problem_for_all(cli, cause);
}

/* ---- sending ------------------------------------------------------------------------
 */

static void pause_for(double seconds)
{
    struct timespec t = {(time_t)seconds, 0};
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    (void)nanosleep(&t, NULL);
}

/* A queue has its limit; who sends many images waits until there is room for the next. */
static bool queue(struct batch *b, json_t *request, json_t **ret_job, struct den_err *err)
{
    for (double pause = FIRST_PAUSE;; pause = fmin(2 * pause, LONGEST_PAUSE)) {
        struct den_err cause = DEN_ERR_INIT;
        bool done = den_job_add(b->cli, json_incref(request), NULL, ret_job, &cause);
        bool full = !done && b->inputs.count > 1 && b->cli->status == 429;
        if (!full && !done)
            *err = cause;
        if (!full)
            return done;
        if (pause <= FIRST_PAUSE)
            (void)fprintf(stderr, "denoise: %s; waiting\n", cause.text);
        pause_for(cause.retry_s > 0 ? fmin(cause.retry_s, LONGEST_PAUSE) : pause);
    }
}

/* Uploads and queues one file; *ret_job stays NULL with --dry-run. */
static bool submit_one(struct batch *b, const char *file, json_t **ret_job,
                       struct den_err *err)
{
    json_t *image = NULL;
    if (!den_client_upload(b->cli, file, &image, err))
        return false;
    json_t *request = json_copy(b->request);
    (void)json_object_set(request, "image", json_object_get(image, "id"));
    json_decref(image);
    bool done = den_args_has(b->args, "dry-run")
                    ? den_job_estimate(b->cli, json_incref(request), err)
                    : queue(b, request, ret_job, err);
    json_decref(request);
    return done;
}

static bool submit_all(struct batch *b, bool wait, struct den_err *err)
{
    for (size_t i = 0; i < b->inputs.count; i++) {
        struct den_err cause = DEN_ERR_INIT;
        const struct den_input *input = &b->inputs.list[i];
        json_t *job = NULL;
        if (!submit_one(b, input->path, &job, &cause)) {
            if (!is_about_one(b, &cause)) {
                *err = cause;
                return false;
            }
            note_failure(b, &cause);
        }
        if (job == NULL)
            continue;
        if (!wait && b->cli->json)
            den_print_json(job);
        else if (!wait)
            (void)puts(den_get_text(job, "id"));
        (void)json_array_append_new(b->jobs,
                                    json_pack("{so si}", "job", job, "input", (int)i));
    }
    return true;
}

/* ---- fetching -----------------------------------------------------------------------
 */

/* The server names a result by the name under which it first saw those bytes; here it is
 * the name of the file that was given, with the server's ending where this is another
 * format's.  counter > 1: another image of this run has that name already. */
static bool result_name(const char *file, const char *servers, size_t counter, char *to,
                        size_t size)
{
    const char *name = den_str_file_name(file), *ending;
    char number[24] = "";
    size_t stem = strlen(name), servers_stem = 0;
    if (!den_image_name(servers, &servers_stem))
        servers_stem = strlen(servers);
    ending = servers + servers_stem;
    if (den_image_name(name, &stem) &&
        (strcasecmp(name + stem, ".png") == 0) == (strcasecmp(ending, ".png") == 0))
        ending = name + stem;
    else
        stem = strlen(name);
    if (counter > 1 && !den_str_format(number, sizeof number, "_%zu", counter))
        return false;
    return den_str_format(to, size, "%.*s_denoised%s%s", (int)stem, name, number, ending);
}

/* No result replaces another of the same run, even with --force. */
static bool choose_path(struct batch *b, const json_t *job, const struct den_input *input,
                        char *to, size_t size, struct den_err *err)
{
    char folder[DEN_PATH_SIZE], name[1024];
    const char *where = den_args_text(b->args, "output");
    const char *servers = den_get_text(json_object_get(job, "result"), "name");
    if (!den_str_format(folder, sizeof folder, "%s/%s%s", where, input->below,
                        input->below[0] != '\0' ? "/" : ""))
        return den_err_set(err, DEN_E_INVALID, "the name given to -o is too long");
    if (!den_fs_mkdirs(folder, 0777, err))
        return false;
    size_t counter = 1;
    do {
        if (!result_name(input->path, servers, counter, name, sizeof name) ||
            !den_str_format(to, size, "%s%s", folder, name))
            return den_err_set(err, DEN_E_INVALID,
                               "%.160s: the name of its result is too long", input->path);
        counter++;
    } while (json_object_get(b->results, to) != NULL);
    if (counter > 2)
        (void)fprintf(stderr, "%s becomes %s: others are called so, too\n", input->path,
                      to);
    (void)json_object_set_new_nocheck(b->results, to, json_true());
    return true;
}

static bool fetch(struct batch *b, const json_t *job, const struct den_input *input,
                  struct den_err *err)
{
    char path[DEN_PATH_SIZE];
    return choose_path(b, job, input, path, sizeof path, err) &&
           den_job_fetch(b->cli, job, path, den_args_has(b->args, "force"), err);
}

static bool finish_one(struct batch *b, const json_t *one, struct den_err *err)
{
    json_t *job = NULL;
    const char *id = den_get_text(json_object_get(one, "job"), "id");
    json_int_t input = json_integer_value(json_object_get(one, "input"));
    bool done = den_follow(b->cli, id, &job, err);
    if (done && b->cli->json)
        den_print_json(job);
    done = done && den_job_succeeded(b->cli, job, err);
    if (done && den_args_has(b->args, "output"))
        done = fetch(b, job, &b->inputs.list[input], err);
    else if (done && !b->cli->json)
        (void)puts(id);
    json_decref(job);
    return done;
}

/* All jobs are followed to their end. */
static void finish_all(struct batch *b)
{
    size_t i;
    json_t *one;
    json_array_foreach(b->jobs, i, one)
    {
        struct den_err cause = DEN_ERR_INIT;
        if (!finish_one(b, one, &cause))
            note_failure(b, &cause);
    }
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    struct batch b = {.cli = cli, .args = args, .first = DEN_ERR_INIT};
    bool wait = den_args_has(args, "wait") || den_args_has(args, "output");
    bool done = false;
    b.request = den_denoise_request(args, err);
    if (b.request == NULL || !den_inputs_find(&b.inputs, args->words, args->count,
                                              den_args_has(args, "recursive"), err))
        goto out;
    b.jobs = json_array();
    b.results = json_object();
    if (b.inputs.count > 1 && !den_args_has(args, "priority"))
        (void)json_object_set_new(b.request, "priority", json_string("batch"));
    done = submit_all(&b, wait, err);
    if (done && wait)
        finish_all(&b);
    if (done && b.failure != DEN_EXIT_OK) {
        *err = b.first;
        cli->failure = b.failure;
        done = false;
    }
out:
    den_inputs_release(&b.inputs);
    json_decref(b.request);
    json_decref(b.jobs);
    json_decref(b.results);
    return done;
}

const struct den_command den_cmd_submit = {
    "submit",
    "FILE|DIR|PATTERN... (--model NAME | --method FILTER) [-o DIR]",
    "Denoise image files, or all of a folder",
    "Prints the id of each job; with -o the path of each denoised file instead, under "
    "the\nfolders that its image has in DIR.  Several images are a batch: others' single "
    "images\ncome first, and one that is refused does not keep the rest from being "
    "done.\n"
    "  denoise submit day1 'day2/cell_*.tif' --recursive --model nuclei -o results\n",
    options,
    1,
    SIZE_MAX,
    run,
};
