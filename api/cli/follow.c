#include "follow.h"

#include <string.h>
#include <time.h>

#include "clock.h"
#include "http_client.h"
#include "json_get.h"
#include "progress_bar.h"
#include "str.h"

#define PATIENCE_SECONDS 60.0 /* how long a server may be away */

struct watch {
    struct den_cli *cli;
    const char *id;
    struct den_bar bar;
    double lost; /* when the server went away; 0 = it is there */
};

static void show(struct watch *watch, const char *state, const json_t *progress)
{
    if (strcmp(state, "queued") == 0 || strcmp(state, "cancelling") == 0)
        den_bar_say(watch->cli, watch->id, state);
    else if (den_get_number(progress, "steps") > 0)
        den_bar_show(watch->cli, &watch->bar, watch->id,
                     den_get_number(progress, "fraction"),
                     den_get_number(progress, "step"), den_get_number(progress, "steps"));
}

static void remember_validation(struct watch *watch, const json_t *metric)
{
    const char *name = den_get_text(metric, "name");
    const json_t *value = json_object_get(metric, "value");
    if (den_str_starts(name, "validation") && json_is_number(value))
        (void)den_str_format(watch->bar.tail, sizeof watch->bar.tail, "%.30s %.2f", name,
                             json_number_value(value));
}

/* Goes on behind `done`, too: the server ends the stream with it, and a stream read to
 * its end leaves the connection to the requests that follow. */
static bool on_event(void *context, const struct den_sse_event *event)
{
    struct watch *watch = context;
    if (strcmp(event->type, "progress") == 0)
        show(watch, "running", event->data);
    else if (strcmp(event->type, "state") == 0)
        show(watch, den_get_text(event->data, "state"), NULL);
    else if (strcmp(event->type, "metric") == 0)
        remember_validation(watch, event->data);
    return true;
}

static void pause_for(double seconds)
{
    struct timespec t = {(time_t)seconds,
                         (long)((seconds - (double)(time_t)seconds) * 1e9)};
    (void)nanosleep(&t, NULL);
}

/* A job that ended has its time of end; cancelling and running have none. */
static bool has_ended(const json_t *job)
{
    return json_is_string(json_object_get(job, "finished_at"));
}

/* A server that never answered is not waited for: its address may be wrong. */
static bool may_come_back(const struct watch *watch, const struct den_err *cause)
{
    return watch->cli->reached &&
           (cause->code == DEN_E_IO || cause->code == DEN_E_BUSY) &&
           den_monotonic_s() - watch->lost < PATIENCE_SECONDS;
}

/* Asks for the job; *ret stays NULL while the server is away. */
static bool ask(struct watch *watch, const char *path, json_t **ret, struct den_err *err)
{
    struct den_err cause = DEN_ERR_INIT;
    if (den_client_get(watch->cli, path, ret, &cause)) {
        watch->lost = 0;
        show(watch, den_get_text(*ret, "state"), json_object_get(*ret, "progress"));
        return true;
    }
    if (watch->lost <= 0)
        watch->lost = den_monotonic_s();
    if (may_come_back(watch, &cause)) {
        den_bar_say(watch->cli, watch->id, "the server is away; waiting for it");
        return true;
    }
    *err = cause;
    return false;
}

bool den_follow(struct den_cli *cli, const char *id, json_t **ret_job,
                struct den_err *err)
{
    struct watch watch = {.cli = cli, .id = id};
    char job_path[256], events_path[256];
    uint64_t last = 0;
    bool done;
    if (!den_client_path(job_path, sizeof job_path, "/v1/jobs", id, "", err) ||
        !den_client_path(events_path, sizeof events_path, "/v1/jobs", id, "/events", err))
        return false;
    for (;;) {
        struct den_err none = DEN_ERR_INIT; /* without events the job is asked for */
        json_t *job = NULL;
        bool streamed =
            den_client_events(cli, events_path, &last, on_event, &watch, &none);
        done = ask(&watch, job_path, &job, err);
        if (done && has_ended(job))
            *ret_job = job;
        if (!done || has_ended(job))
            break;
        json_decref(job);
        pause_for(streamed ? 0.1 : 1.0);
    }
    den_bar_clear(cli);
    return done;
}

bool den_job_succeeded(struct den_cli *cli, const json_t *job, struct den_err *err)
{
    const char *state = den_get_text(job, "state"), *id = den_get_text(job, "id");
    const json_t *failure = json_object_get(job, "error");
    if (strcmp(state, "succeeded") == 0)
        return true;
    if (!has_ended(job))
        return den_err_set(err, DEN_E_CONFLICT,
                           "%s is %s; `denoise wait %s` waits for it", id, state, id);
    cli->failure = DEN_EXIT_JOB;
    if (json_is_object(failure) && strcmp(state, "failed") == 0)
        return den_err_set(err, DEN_E_CONFLICT, "%s failed: %s (%s)", id,
                           den_get_text(failure, "detail"),
                           den_get_text(failure, "code"));
    return den_err_set(err, DEN_E_CONFLICT, "%s is %s", id, state);
}

bool den_job_add(struct den_cli *cli, json_t *request, const char *key, json_t **ret_job,
                 struct den_err *err)
{
    json_t *job = NULL;
    if (!den_client_post_once(cli, "/v1/jobs", request, key, &job, err))
        return false;
    double position = den_get_number(job, "queue_position");
    (void)fprintf(stderr, "%s: %s %s", den_get_text(job, "id"), den_get_text(job, "kind"),
                  den_get_text(job, "state"));
    if (position > 0) /* else a worker has it already */
        (void)fprintf(stderr, ", number %.0f in the queue", position);
    (void)fputc('\n', stderr);
    *ret_job = job;
    return true;
}

static void print_estimate(const json_t *estimate)
{
    (void)printf("%s: %.0f steps, %.1f MB of memory at most, number %.0f in the queue",
                 den_get_text(estimate, "kind"), den_get_number(estimate, "steps"),
                 den_get_number(estimate, "peak_bytes") / 1e6,
                 den_get_number(estimate, "queue_position"));
    if (json_is_number(json_object_get(estimate, "seconds")))
        (void)printf(", about %.2g s of work (%s rate)",
                     den_get_number(estimate, "seconds"),
                     den_get_text(estimate, "seconds_from"));
    (void)putchar('\n');
}

bool den_job_estimate(struct den_cli *cli, json_t *request, struct den_err *err)
{
    json_t *estimate = NULL;
    if (!den_client_post(cli, "/v1/jobs?dry_run=true", request, &estimate, err))
        return false;
    if (cli->json)
        den_print_json(estimate);
    else
        print_estimate(estimate);
    json_decref(estimate);
    return true;
}

void den_print_json(const json_t *value)
{
    (void)json_dumpf(value, stdout, JSON_COMPACT);
    (void)putchar('\n');
}

void den_print_path(const struct den_cli *cli, const char *key, const char *path)
{
    json_t *line = cli->json ? json_pack("{ss}", key, path) : NULL;
    if (line != NULL)
        den_print_json(line);
    else
        (void)puts(path); /* also where the path is no UTF-8, as JSON wants it */
    json_decref(line);
}
