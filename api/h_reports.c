#include <math.h>
#include <string.h>

#include "experiment_api.h"
#include "mem.h"
#include "metric.h"
#include "str.h"

/* object[name], made when it is not there yet; borrowed. */
static json_t *child(json_t *object, const char *name)
{
    json_t *found = json_object_get(object, name);
    if (found == NULL) {
        found = json_object();
        (void)json_object_set_new(object, name, found);
    }
    return found;
}

/* higher_is_better: null where 1 is best and more is as bad as less. */
json_t *den_json_metric(const struct den_metric *metric)
{
    return json_pack("{ss ss so sb}", "unit", metric->unit, "definition",
                     metric->definition, "higher_is_better",
                     metric->better == DEN_BETTER_NEAR_1
                         ? json_null()
                         : json_boolean(metric->better == DEN_BETTER_HIGHER),
                     "paper", metric->paper);
}

static json_t *definitions(void)
{
    json_t *out = json_object();
    for (const struct den_metric *m = den_metrics; m->name != NULL; m++)
        (void)json_object_set_new(out, m->name, den_json_metric(m));
    return out;
}

static bool same_image(const struct den_score_row *a, const struct den_score_row *b)
{
    return a->page == b->page && strcmp(a->image, b->image) == 0;
}

/* Rows of one image follow each other. */
static json_t *images_of(const struct den_score_row *rows, size_t count)
{
    json_t *images = json_array(), *scores = NULL;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !same_image(&rows[i - 1], &rows[i])) {
            scores = json_object();
            (void)json_array_append_new(
                images,
                json_pack("{ss ss sI so}", "image", rows[i].image, "name", rows[i].name,
                          "page", (json_int_t)rows[i].page, "scores", scores));
        }
        (void)json_object_set_new(child(scores, rows[i].method), rows[i].metric,
                                  den_json_number(rows[i].value));
    }
    return images;
}

/* Mean and sample standard deviation over the finite values of one method and metric. */
static json_t *summary(const struct den_score_row *rows, size_t count, const char *method,
                       const char *metric)
{
    double sum = 0, squares = 0;
    size_t n = 0;
    for (int pass = 0; pass < 2; pass++) {
        double mean = n > 0 ? sum / (double)n : 0;
        for (size_t i = 0; i < count; i++) {
            if (strcmp(rows[i].method, method) != 0 ||
                strcmp(rows[i].metric, metric) != 0 || !isfinite(rows[i].value))
                continue;
            if (pass == 0) {
                sum += rows[i].value;
                n++;
            } else {
                squares += (rows[i].value - mean) * (rows[i].value - mean);
            }
        }
    }
    return json_pack("{so so sI}", "mean",
                     n > 0 ? json_real(sum / (double)n) : json_null(), "sd",
                     n > 1 ? json_real(sqrt(squares / (double)(n - 1))) : json_null(),
                     "n", (json_int_t)n);
}

static json_t *means_of(const struct den_score_row *rows, size_t count)
{
    json_t *out = json_object();
    /* methods and metrics are those of the first image; every image has the same */
    for (size_t i = 0; i < count && same_image(&rows[0], &rows[i]); i++)
        (void)json_object_set_new(child(out, rows[i].method), rows[i].metric,
                                  summary(rows, count, rows[i].method, rows[i].metric));
    return out;
}

static bool evaluate_report(struct den_api *api, const struct den_job_row *job,
                            json_t *out, struct den_err *err)
{
    struct den_score_row *rows = NULL;
    size_t count = 0;
    if (!api->store_kind->score_list(api->store, job->owner, job->id, &rows, &count, err))
        return false;
    (void)json_object_set_new(out, "images", images_of(rows, count));
    (void)json_object_set_new(out, "mean", means_of(rows, count));
    (void)json_object_set_new(out, "definitions", definitions());
    den_free(rows);
    return true;
}

#define BATCH 256

static bool train_report(struct den_api *api, const struct den_job_row *job, json_t *out,
                         struct den_err *err)
{
    struct den_event_row *rows = den_new(BATCH, sizeof *rows, err);
    json_t *history = json_object();
    uint64_t seq = 0;
    size_t count = 0;
    bool done = rows != NULL;
    do {
        done = done && api->store_kind->event_list(api->store, job->owner, job->id, seq,
                                                   BATCH, rows, &count, err);
        for (size_t i = 0; done && i < count; i++) {
            seq = rows[i].seq;
            if (strcmp(rows[i].type, "metric") != 0)
                continue;
            json_t *curve = json_object_get(history, rows[i].name);
            if (curve == NULL) {
                curve = json_array();
                (void)json_object_set_new(history, rows[i].name, curve);
            }
            (void)json_array_append_new(curve, json_pack("[Io]", (json_int_t)rows[i].step,
                                                         den_json_number(rows[i].value)));
        }
    } while (done && count == BATCH);
    den_free(rows);
    (void)json_object_set_new(out, "history", history);
    (void)json_object_set_new(out, "config", den_json_config(job->config));
    struct den_model_row model;
    struct den_err none = DEN_ERR_INIT; /* the model may have been deleted since */
    bool has = job->version > 0 &&
               api->store_kind->model_own(api->store, job->owner, job->model,
                                          job->version, &model, &none) &&
               model.has_validation;
    (void)json_object_set_new(out, "validation_psnr",
                              has ? den_json_number(model.validation_psnr) : json_null());
    return done;
}

static bool denoise_report(struct den_api *api, const struct den_job_row *job,
                           json_t *out, struct den_err *err)
{
    (void)api;
    (void)err;
    (void)json_object_set_new(out, "clipped_pixels",
                              json_integer((json_int_t)job->clipped));
    (void)json_object_set_new(out, "tiles", json_integer((json_int_t)job->steps));
    (void)json_object_set_new(out, "planes_denoised",
                              json_integer((json_int_t)job->planes));
    (void)json_object_set_new(out, "planes_left",
                              json_integer((json_int_t)job->planes_left));
    (void)json_object_set_new(out, "dtype", den_json_text(job->dtype));
    (void)json_object_set_new(out, "model_sha256", den_json_text(job->model_sha256));
    (void)json_object_set_new(out, "pages", den_json_pages(job->config));
    (void)json_object_set_new(out, "channels", den_json_channels(job->config));
    (void)json_object_set_new(out, "config", den_json_config(job->config));
    return true;
}

static const struct {
    const char *kind;
    bool (*fill)(struct den_api *api, const struct den_job_row *job, json_t *out,
                 struct den_err *err);
} reports[] = {
    {"train", train_report},
    {"denoise", denoise_report},
    {"evaluate", evaluate_report},
};

DEN_HANDLER(den_h_job_report)
{
    struct den_api *api = app;
    const char *id;
    struct den_job_row job;
    if (!den_api_id(request, "job_", &id, err) ||
        !api->store_kind->job_get(api->store, den_request_owner(request), id, &job, err))
        return false;
    if (strcmp(job.kind, "experiment") == 0) /* early results compare already */
        return den_experiment_reply(api, request, &job, reply, err);
    if (job.state != DEN_JOB_SUCCEEDED)
        return den_err_set(err, DEN_E_CONFLICT,
                           "the job is %s; there is a report when it is succeeded",
                           den_job_state_name(job.state));
    char model[DEN_NAME_SIZE + 32] = "";
    if (job.model[0] != '\0')
        (void)den_str_format(model, sizeof model, "%s@%lld", job.model,
                             (long long)job.version);
    json_t *out =
        json_pack("{ss ss so so so sf}", "job", job.id, "kind", job.kind, "dataset",
                  den_json_text(job.dataset), "model", den_json_text(model), "method",
                  den_json_text(job.method), "seconds", job.seconds);
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++)
        if (strcmp(reports[i].kind, job.kind) == 0 &&
            !reports[i].fill(api, &job, out, err)) {
            json_decref(out);
            return false;
        }
    return den_reply_json(reply, 200, out, err);
}
