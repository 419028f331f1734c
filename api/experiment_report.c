/* The report of an experiment: from the store to the form that was asked for. */

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "experiment_api.h"
#include "mem.h"
#include "str.h"

/* ---- as JSON ---- */

static json_t *strings(char list[][32], size_t count)
{
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(out, json_string(list[i]));
    return out;
}

static json_t *grid_of(struct den_experiment *e)
{
    json_t *rows = json_array(), *samples = json_array(), *seeds = json_array(),
           *scenes = json_array();
    for (size_t i = 0; i < e->row_count; i++)
        (void)json_array_append_new(rows, json_pack("{ss ss so}", "name", e->rows[i].name,
                                                    "method", e->rows[i].method, "set",
                                                    den_json_config(e->rows[i].set)));
    for (size_t i = 0; i < e->sample_count; i++)
        (void)json_array_append_new(samples, json_integer(e->samples[i]));
    for (size_t i = 0; i < e->seed_count; i++)
        (void)json_array_append_new(seeds, json_integer((json_int_t)e->seeds[i]));
    for (size_t i = 0; i < e->test_scene_count; i++)
        (void)json_array_append_new(scenes, json_string(e->test_scenes[i]));
    return json_pack("{ss so so so so so so so so sb}", "preset", e->preset, "common",
                     den_json_config(e->common), "rows", rows, "samples", samples,
                     "seeds", seeds, "filters", strings(e->filters, e->filter_count),
                     "metrics", strings(e->metrics, e->metric_count), "test_scenes",
                     scenes, "test_dataset", den_json_text(e->test_dataset),
                     "keep_models", e->keep_models);
}

static json_t *values_of(const struct den_experiment *e, const double *values)
{
    json_t *out = json_object();
    for (size_t i = 0; i < e->metric_count; i++)
        (void)json_object_set_new(out, e->metrics[i], den_json_number(values[i]));
    return out;
}

static json_t *baselines_of(const struct den_experiment_state *state)
{
    const struct den_experiment *e = state->experiment;
    json_t *out = json_object();
    for (size_t i = 0; i <= e->filter_count; i++)
        if (state->baselines[i].there)
            (void)json_object_set_new(out, i == 0 ? "noisy" : e->filters[i - 1],
                                      values_of(e, state->baselines[i].values));
    return out;
}

static json_t *cells_of(const struct den_experiment_state *state)
{
    const struct den_experiment *e = state->experiment;
    json_t *out = json_array();
    for (size_t i = 0; i < den_experiment_cells(e); i++) {
        const struct den_experiment_result *r = &state->results[i];
        struct den_experiment_place p = den_experiment_place(e, i);
        bool done = r->state == DEN_CELL_DONE;
        (void)json_array_append_new(
            out, json_pack("{ss sI sI ss so so so so}", "row", e->rows[p.row].name,
                           "samples", (json_int_t)e->samples[p.sample], "seed",
                           (json_int_t)e->seeds[p.seed], "state",
                           den_cell_state_name(r->state), "images",
                           done ? json_integer((json_int_t)r->images) : json_null(),
                           "seconds", done ? den_json_number(r->seconds) : json_null(),
                           "metrics", done ? values_of(e, r->values) : json_null(),
                           "error", den_json_text(r->why)));
    }
    return out;
}

static json_t *spread_of(struct den_spread s)
{
    return json_pack("{so so so sI}", "mean", den_json_number(s.mean), "sd",
                     den_json_number(s.sd), "sem", den_json_number(s.sem), "n",
                     (json_int_t)s.n);
}

static json_t *metrics_of(const struct den_experiment_state *state, size_t row,
                          size_t sample)
{
    const struct den_experiment *e = state->experiment;
    json_t *out = json_object();
    for (size_t m = 0; m < e->metric_count; m++) {
        json_t *one = spread_of(den_experiment_spread(e, state->results, row, sample, m));
        (void)json_object_set_new(one, "difference",
                                  row == 0 ? json_null()
                                           : spread_of(den_experiment_difference(
                                                 e, state->results, row, sample, m)));
        (void)json_object_set_new(out, e->metrics[m], one);
    }
    return out;
}

static json_t *summary_of(const struct den_experiment_state *state)
{
    const struct den_experiment *e = state->experiment;
    json_t *out = json_array();
    for (size_t row = 0; row < e->row_count; row++)
        for (size_t sample = 0; sample < e->sample_count; sample++)
            (void)json_array_append_new(
                out,
                json_pack(
                    "{ss sI so so so}", "row", e->rows[row].name, "samples",
                    (json_int_t)e->samples[sample], "images",
                    den_json_number(den_experiment_images(e, state->results, sample)),
                    "seconds",
                    spread_of(den_experiment_seconds(e, state->results, row, sample)),
                    "metrics", metrics_of(state, row, sample)));
    return out;
}

static json_t *definitions_of(const struct den_experiment *e)
{
    json_t *out = json_object();
    for (size_t i = 0; i < e->metric_count; i++) {
        const struct den_metric *metric = den_metric_find(e->metrics[i]);
        if (metric != NULL)
            (void)json_object_set_new(out, metric->name, den_json_metric(metric));
    }
    return out;
}

json_t *den_experiment_json(const struct den_experiment_report *report)
{
    const struct den_experiment_state *state = report->state;
    const struct den_job_row *job = report->job;
    return json_pack(
        "{ss ss ss ss sf sI sI so so so so so so}", "job", job->id, "kind", job->kind,
        "dataset", job->dataset, "state", den_job_state_name(job->state), "seconds",
        job->seconds, "cells_done", (json_int_t)state->done, "cells_total",
        (json_int_t)den_experiment_cells(state->experiment), "eta_s",
        den_json_number(den_experiment_left(state->experiment, state->results)), "grid",
        grid_of(state->experiment), "baselines", baselines_of(state), "cells",
        cells_of(state), "summary", summary_of(state), "definitions",
        definitions_of(state->experiment));
}

/* ---- as a picture ---- */

static void release_crops(struct den_experiment_crops *crops, size_t rows)
{
    for (size_t i = 0; crops->row != NULL && i < rows; i++)
        den_free(crops->row[i]);
    den_free(crops->row);
    den_free(crops->noisy);
    den_free(crops->reference);
}

static bool load_crops(struct den_api *api, const struct den_experiment_report *report,
                       struct den_experiment_crops *crops, struct den_err *err)
{
    const struct den_store_kind *kind = api->store_kind;
    const struct den_experiment *e = report->state->experiment;
    const char *job = report->job->id, *owner = report->job->owner;
    crops->row = den_new(e->row_count, sizeof *crops->row, err);
    if (crops->row == NULL ||
        !kind->cell_crop(api->store, owner, job, DEN_CELL_NOISY, &crops->noisy, err) ||
        !kind->cell_crop(api->store, owner, job, DEN_CELL_REFERENCE, &crops->reference,
                         err))
        return false;
    for (size_t i = 0; i < e->row_count; i++) {
        struct den_experiment_place p = {.row = i, .sample = den_experiment_shown(e)};
        if (!kind->cell_crop(api->store, owner, job, (int64_t)den_experiment_cell(e, p),
                             &crops->row[i], err))
            return false;
    }
    return true;
}

static bool draw(struct den_api *api, const struct den_experiment_report *report,
                 struct den_buf *to, struct den_err *err)
{
    struct den_experiment_crops crops = {0};
    bool done = load_crops(api, report, &crops, err);
    if (done)
        den_experiment_svg(report, &crops, to);
    release_crops(&crops, report->state->experiment->row_count);
    return done;
}

/* ---- in the form that was asked for ---- */

static bool reply_text(struct den_reply *reply, const char *media, struct den_buf *text,
                       struct den_err *err)
{
    if (!den_buf_ok(text, err))
        return false;
    size_t length = text->length;
    den_reply_take(reply, media, den_buf_take(text), length);
    return true;
}

bool den_experiment_reply(struct den_api *api, const struct den_request *request,
                          const struct den_job_row *job, struct den_reply *reply,
                          struct den_err *err)
{
    struct den_experiment_state state;
    const char *accept = den_request_header(request, "Accept");
    if (accept == NULL)
        accept = "";
    if (!den_experiment_load(api->store_kind, api->store, job->owner, job->id, &state,
                             err))
        return false;
    struct den_experiment_report report = {job, &state};
    struct den_buf text;
    bool done;
    den_buf_init(&text, (size_t)256 << 20);
    den_reply_header(reply, "Vary", "Accept");
    if (strstr(accept, "text/markdown") != NULL) {
        den_experiment_markdown(&report, &text);
        done = reply_text(reply, "text/markdown; charset=utf-8", &text, err);
    } else if (strstr(accept, "image/svg+xml") != NULL) {
        done = draw(api, &report, &text, err) &&
               reply_text(reply, "image/svg+xml", &text, err);
    } else {
        done = den_reply_json(reply, 200, den_experiment_json(&report), err);
    }
    den_buf_release(&text);
    den_experiment_release(&state);
    return done;
}
