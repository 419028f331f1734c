#include "validation.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "mem.h"
#include "metric.h"

struct view {
    size_t width, height;
    float *noisy, *target; /* [height][width] grey values */
};

struct den_validation {
    struct den_pool *pool;
    size_t count;
    struct view views[DEN_VALIDATION_IMAGES];
    float *denoised; /* room for the largest view */
};

void den_validation_free(struct den_validation *validation)
{
    if (validation == NULL)
        return;
    for (size_t i = 0; i < DEN_VALIDATION_IMAGES; i++) {
        den_free(validation->views[i].noisy);
        den_free(validation->views[i].target);
    }
    den_free(validation->denoised);
    den_free(validation);
}

size_t den_validation_size(const struct den_validation *validation)
{
    return validation->count;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_constant(const float *pixels, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (pixels[i] != pixels[0])
            return false;
    return true;
}

/* The middle of sample `index`, at most DEN_VALIDATION_SIDE to a side. */
static bool cut(const struct den_dataset *dataset, size_t index, bool match_gain,
                struct view *view, struct den_err *err)
{
    const struct den_sample *sample = den_dataset_at(dataset, index);
    size_t w = smaller(sample->width, DEN_VALIDATION_SIDE);
    size_t h = smaller(sample->height, DEN_VALIDATION_SIDE);
    size_t x = (sample->width - w) / 2, y = (sample->height - h) / 2;
    view->width = w;
    view->height = h;
    if ((view->noisy = den_new(w * h, sizeof(float), err)) == NULL ||
        (view->target = den_new(w * h, sizeof(float), err)) == NULL)
        return false;
    for (size_t row = 0; row < h; row++)
        memcpy(view->noisy + row * w, sample->noisy + (y + row) * sample->width + x,
               w * sizeof(float));
    den_dataset_target(dataset, index, x, y, w, h, match_gain, view->target);
    return true;
}

static void drop(struct view *view)
{
    den_free(view->noisy);
    den_free(view->target);
    *view = (struct view){0};
}

bool den_validation_new(const struct den_dataset *dataset, const size_t *images,
                        size_t count, bool match_gain, struct den_pool *pool,
                        struct den_validation **ret, struct den_err *err)
{
    bool ok = false;
    size_t used = smaller(count, DEN_VALIDATION_IMAGES), largest = 0;
    struct den_validation *v = den_new(1, sizeof *v, err);
    if (v == NULL)
        goto out;
    v->pool = pool;
    for (size_t i = 0; i < used; i++) {
        struct view *view = &v->views[v->count];
        if (!cut(dataset, images[i * count / used], match_gain, view, err))
            goto out;
        size_t pixels = view->width * view->height;
        if (is_constant(view->target, pixels)) {
            drop(view);
            continue;
        }
        largest = pixels > largest ? pixels : largest;
        v->count++;
    }
    if ((v->denoised = den_new(largest, sizeof(float), err)) == NULL)
        goto out;
    *ret = v;
    v = NULL;
    ok = true;
out:
    den_validation_free(v);
    return ok;
}

/* A net whose output is not finite is told by NaN: what it means is the trainer's say. */
static bool psnr_of(const struct den_validation *v, const struct view *view,
                    struct den_infer *infer, double *ret, struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    if (!den_infer_page(infer, view->noisy, v->denoised, NULL, 0, 1, &inner)) {
        *ret = (double)NAN;
        return inner.code == DEN_E_UNPROCESSABLE ||
               den_err_set(err, inner.code, "%s", inner.text);
    }
    struct den_metric_case c = {
        view->width, view->height, view->target, v->denoised, 1, 0};
    return den_metric_find("psnr")->value(&c, ret, err);
}

bool den_validation_psnr(const struct den_validation *validation, struct den_model *model,
                         void (*show)(void *context,
                                      const struct den_validation_view *view),
                         void *context, double *ret, struct den_err *err)
{
    assert(validation->count > 0);
    bool ok = false;
    struct den_infer *infer = NULL;
    struct den_infer_options standard = {0};
    double sum = 0, psnr;
    for (size_t i = 0; i < validation->count; i++) {
        const struct view *view = &validation->views[i], *before = view - (i > 0);
        bool same = view->width == before->width && view->height == before->height;
        if (infer == NULL || !same) {
            den_infer_free(infer);
            infer = NULL;
            if (!den_infer_new(model, validation->pool, view->width, view->height,
                               &standard, &infer, err))
                goto out;
        }
        if (!psnr_of(validation, view, infer, &psnr, err))
            goto out;
        if (show != NULL && i == 0 && isfinite(psnr))
            show(context,
                 &(struct den_validation_view){view->width, view->height, view->noisy,
                                               validation->denoised, view->target});
        sum += psnr > 200 ? 200 : psnr;
    }
    *ret = sum / (double)validation->count;
    ok = true;
out:
    den_infer_free(infer);
    return ok;
}
