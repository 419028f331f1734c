/* Every metric of every image of a data set: noisy, all filters with their defaults, and
 * the model or method in question. */

#include "job_images.h"
#include "judge.h"
#include "restorer.h"

#include <string.h>

#include "mem.h"
#include "metric.h"
#include "run_kinds.h"
#include "str.h"

static size_t filter_count(void)
{
    size_t count = 0;
    while (den_filters[count] != NULL)
        count++;
    return count;
}

/* Score rows of one image: noisy, the filters, the one in question. */
static size_t rows_per_image(void)
{
    return (filter_count() + 2) * den_metric_count();
}

/* Memory: the data set, the largest graph, a target and a result page with the sums of
 * SSIM, and the table of scores.  Ticks: those of the one in question. */
static bool plan(struct den_service *s, const struct den_job_row *row,
                 const struct den_job_images *images, struct den_job_estimate *ret,
                 struct den_err *err)
{
    size_t bytes = 0, units = 0, most = 0, steps = 0, pixels = 0;
    const struct den_image_info *last = NULL;
    for (size_t i = 0; i < images->count; i++) {
        const struct den_image_info *info = &images->items[i].noisy.info;
        if (last == NULL || last->width != info->width || last->height != info->height) {
            if (!den_restorer_plan(s, row, info->width, info->height, &bytes, &units,
                                   err))
                return false;
            if (bytes > most)
                most = bytes;
            if ((size_t)info->width * info->height > pixels)
                pixels = (size_t)info->width * info->height;
        }
        last = info;
        steps += units * info->pages;
    }
    /* Two Fourier transforms, or the sums that SSIM keeps: at most 5 doubles a pixel. */
    enum { SUMS = 5 };
    ret->bytes = images->bytes + most + pixels * (sizeof(float) + SUMS * sizeof(double)) +
                 images->samples * rows_per_image() * sizeof(struct den_score_row);
    ret->steps = steps;
    return true;
}

static bool check(struct den_service *s, const struct den_job_request *request,
                  struct den_job_row *row, struct den_job_estimate *ret,
                  struct den_err *err)
{
    struct den_job_images images = {0};
    if (!den_check_unused(request->image, "/image", "an evaluate job", err))
        return false;
    if (request->dataset[0] == '\0')
        return den_err_field(err, DEN_E_INVALID, "/dataset",
                             "an evaluate job needs a data set");
    den_str_copy(row->dataset, sizeof row->dataset, request->dataset);
    if (!den_restorer_check(s, request, row, err) ||
        !den_job_images_load(s, row->owner, request->dataset, &images, err))
        return false;
    bool done = plan(s, row, &images, ret, err);
    den_job_images_release(&images);
    return done;
}

struct evaluation {
    struct den_job_context *context;
    struct den_job_images images;
    struct den_dataset *dataset;
    struct den_restorer restorer;
    struct den_judge judge;
    size_t done, total; /* ticks */
    size_t undefined;   /* metrics that have no value */
    char why[200];      /* ... the first reason */
};

static void add_score(struct evaluation *e, const struct den_image_row *image,
                      uint32_t page, const char *method, const char *metric, double value)
{
    struct den_score_row *row = &e->context->scores[e->context->score_count++];
    den_str_copy(row->image, sizeof row->image, image->id);
    den_str_copy(row->name, sizeof row->name, image->name);
    den_str_copy(row->method, sizeof row->method, method);
    den_str_copy(row->metric, sizeof row->metric, metric);
    row->page = page;
    row->value = value;
}

/* A constant image, say, has no PSNR: that leaves a gap in the table and not the job. */
static bool judge(struct evaluation *e, const struct den_metric_case *c,
                  const struct den_image_row *image, uint32_t page, const char *method,
                  struct den_err *err)
{
    for (const struct den_metric *m = den_metrics; m->name != NULL; m++) {
        struct den_err inner = DEN_ERR_INIT;
        double value;
        if (m->value(c, &value, &inner)) {
            add_score(e, image, page, method, m->name, value);
            continue;
        }
        if (inner.code != DEN_E_UNPROCESSABLE)
            return den_err_under(&inner, "", err);
        if (e->undefined++ == 0)
            den_str_format(e->why, sizeof e->why, "%.60s of %.60s: %.60s", m->name,
                           image->name, inner.text);
    }
    return true;
}

static bool judge_filters(struct evaluation *e, struct den_metric_case *c,
                          const float *noisy, const struct den_image_row *image,
                          uint32_t page, struct den_err *err)
{
    for (size_t i = 0; den_filters[i] != NULL; i++) {
        struct den_restorer filter;
        size_t units;
        den_restorer_filter(den_filters[i], e->context->pool, &filter);
        if (!den_restorer_size(&filter, c->width, c->height, &units, err) ||
            !den_restorer_page(&filter, noisy, e->judge.restored, NULL, 0, 0, err) ||
            !judge(e, c, image, page, filter.label, err))
            return false;
    }
    return true;
}

static bool evaluate_page(struct evaluation *e, size_t sample,
                          const struct den_image_row *image, uint32_t page,
                          struct den_err *err)
{
    size_t units = 0;
    if (!den_judge_page(&e->judge, sample, err))
        return false;
    struct den_metric_case *c = &e->judge.c;
    c->prediction = e->judge.noisy;
    if (!judge(e, c, image, page, "noisy", err))
        return false;
    c->prediction = e->judge.restored;
    if (!judge_filters(e, c, e->judge.noisy, image, page, err) ||
        !den_restorer_size(&e->restorer, c->width, c->height, &units, err) ||
        !den_restorer_page(&e->restorer, e->judge.noisy, e->judge.restored,
                           &e->context->progress, e->done, e->total, err))
        return false;
    e->done += units;
    /* A filter with its defaults has been judged just now. */
    return den_filter_find(e->restorer.label) != NULL ||
           judge(e, c, image, page, e->restorer.label, err);
}

static bool open_all(struct evaluation *e, const struct den_job_row *row,
                     struct den_err *err)
{
    struct den_service *s = e->context->service;
    struct den_model_row model;
    if (!den_job_images_load(s, row->owner, row->dataset, &e->images, err) ||
        !den_job_images_open(s, &e->images, &e->dataset, err) ||
        !den_restorer_open(e->context, row, &e->restorer, err))
        return false;
    e->context->scores =
        den_new(e->images.samples * rows_per_image(), sizeof *e->context->scores, err);
    if (e->context->scores == NULL)
        return false;
    e->total = (size_t)row->steps;
    e->judge.dataset = e->dataset;
    if (row->model[0] != '\0' &&
        s->kind->model_own(s->store, row->model_owner, row->model, row->version, &model,
                           NULL) &&
        strcmp(model.dataset, row->dataset) == 0)
        den_job_log(e->context,
                    "%s was trained on this data set, so its numbers here say little "
                    "about new images",
                    e->restorer.label);
    return true;
}

static void close_all(struct evaluation *e)
{
    den_judge_release(&e->judge);
    den_restorer_give_back(e->context, &e->restorer);
    den_dataset_free(e->dataset);
    den_job_images_release(&e->images);
}

static bool run(struct den_job_context *context, struct den_job_row *row,
                struct den_err *err)
{
    struct evaluation e = {.context = context};
    bool done = open_all(&e, row, err);
    size_t sample = 0;
    for (size_t i = 0; done && i < e.images.count; i++) {
        const struct den_image_row *image = &e.images.items[i].noisy;
        for (uint32_t page = 0; done && page < image->info.pages; page++)
            done = evaluate_page(&e, sample++, image, page, err);
    }
    if (done && e.undefined > 0)
        den_job_log(context, "%zu values are not defined and left out, the first: %s",
                    e.undefined, e.why);
    close_all(&e);
    return done;
}

const struct den_job_kind den_job_evaluate = {
    .name = "evaluate",
    .doc = "All metrics of a data set: noisy, classical filters and a model or method.",
    .check = check,
    .run = run,
};
