#include "gate.h"

#include <math.h>
#include <string.h>

#include "clock.h"
#include "file_hash.h"
#include "follow.h"
#include "http_client.h"
#include "json_get.h"
#include "mem.h"
#include "str.h"

#define ATTEMPTS 5

void den_gate_release(struct den_gate *gate)
{
    json_decref(gate->candidate.report);
    json_decref(gate->champion.report);
}

/* ---- evaluations --------------------------------------------------------------------
 */

/* One evaluation of these weights on this data set, however often it is asked for. */
static bool queue(struct den_cli *cli, const struct den_gate *gate,
                  const struct den_gate_model *model, int attempt, json_t **ret_job,
                  struct den_err *err)
{
    char text[512], key[DEN_SHA256_SIZE];
    (void)den_str_format(text, sizeof text, "evaluate %s %s %s %d", model->name,
                         model->sha256, gate->golden, attempt);
    den_text_sha256(text, key);
    json_t *request = json_pack("{ss ss ss}", "kind", "evaluate", "dataset", gate->golden,
                                "model", model->name);
    return den_client_post_once(cli, "/v1/jobs", request, key, ret_job, err);
}

static bool fetch_report(struct den_cli *cli, const char *job, json_t **ret,
                         struct den_err *err)
{
    char path[256];
    return den_client_path(path, sizeof path, "/v1/jobs", job, "/report", err) &&
           den_client_get(cli, path, ret, err);
}

/* *ret stays NULL when what was found is of an earlier run and of no use: a job that has
 * failed or was removed. */
static bool try_once(struct den_cli *cli, const struct den_gate *gate,
                     const struct den_gate_model *model, int attempt, const char *begun,
                     json_t **ret, struct den_err *err)
{
    json_t *queued = NULL, *job = NULL;
    struct den_err cause = DEN_ERR_INIT;
    if (!queue(cli, gate, model, attempt, &queued, err))
        return false;
    const char *id = den_get_text(queued, "id");
    bool done = den_follow(cli, id, &job, &cause) &&
                den_job_succeeded(cli, job, &cause) && fetch_report(cli, id, ret, &cause);
    bool old = strcmp(den_get_text(job != NULL ? job : queued, "created_at"), begun) < 0;
    bool gone = cli->status == 404;
    if (done)
        (void)fprintf(stderr, "%s: %s evaluated on %s\n", id, model->name, gate->golden);
    else if (!gone && !old)
        *err = cause;
    json_decref(queued);
    json_decref(job);
    return done || gone || old;
}

static bool evaluate(struct den_cli *cli, const struct den_gate *gate,
                     struct den_gate_model *model, struct den_err *err)
{
    char begun[DEN_TIME_SIZE];
    den_time_format(den_wall_ms(), begun);
    for (int i = 0; i < ATTEMPTS; i++) {
        if (!try_once(cli, gate, model, i, begun, &model->report, err))
            return false;
        if (model->report != NULL)
            return true;
    }
    return den_err_set(err, DEN_E_CONFLICT, "%s cannot be evaluated", model->name);
}

bool den_gate_evaluate(struct den_cli *cli, struct den_gate *gate, struct den_err *err)
{
    return evaluate(cli, gate, &gate->candidate, err) &&
           (gate->champion.version == 0 || evaluate(cli, gate, &gate->champion, err));
}

/* ---- values -------------------------------------------------------------------------
 */

double den_gate_value(const json_t *report, size_t i, const char *method,
                      const char *metric)
{
    const json_t *image = json_array_get(json_object_get(report, "images"), i);
    const json_t *scores = json_object_get(json_object_get(image, "scores"), method);
    const json_t *value = json_object_get(scores, metric);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

/* Both reports list the images in the order of the data set. */
static bool are_paired(const struct den_gate *gate, struct den_err *err)
{
    const json_t *a = json_object_get(gate->candidate.report, "images"),
                 *b = json_object_get(gate->champion.report, "images");
    bool same = json_array_size(a) == json_array_size(b);
    for (size_t i = 0; same && i < json_array_size(a); i++) {
        const json_t *x = json_array_get(a, i), *y = json_array_get(b, i);
        same = strcmp(den_get_text(x, "image"), den_get_text(y, "image")) == 0 &&
               json_equal(json_object_get(x, "page"), json_object_get(y, "page"));
    }
    return same || den_err_set(err, DEN_E_CONFLICT,
                               "the evaluations of %s and %s are not of the same images",
                               gate->candidate.name, gate->champion.name);
}

static bool decide_rule(struct den_gate *gate, size_t r, double *room,
                        struct den_err *err)
{
    const char *metric = gate->rules[r].metric->name;
    bool both = gate->champion.report != NULL;
    for (size_t i = 0; i < gate->images; i++) {
        room[i] = den_gate_value(gate->candidate.report, i, gate->candidate.name, metric);
        if (both)
            room[gate->images + i] =
                den_gate_value(gate->champion.report, i, gate->champion.name, metric);
    }
    return den_gate_judge(&gate->rules[r], gate->images, room,
                          both ? room + gate->images : NULL, gate->seed,
                          &gate->verdicts[r], err);
}

bool den_gate_decide(struct den_gate *gate, struct den_err *err)
{
    if (gate->champion.report != NULL && !are_paired(gate, err))
        return false;
    gate->images = json_array_size(json_object_get(gate->candidate.report, "images"));
    double *room = den_new(2 * gate->images + 1, sizeof *room, err);
    bool done = room != NULL;
    gate->failed = 0;
    for (size_t r = 0; done && r < gate->count; r++) {
        done = decide_rule(gate, r, room, err);
        gate->failed += done && !gate->verdicts[r].holds;
    }
    den_free(room);
    return done;
}
