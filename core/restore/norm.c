#include "model.h"

#include <math.h>
#include <string.h>

#include "convert.h"

/* How grey values become network values.  One hot pixel must not set the scale, hence
 * mean_std or percentile; min_max and batch_joint are what pix2pix and the authors of the
 * method do and are kept for comparison. */

static bool refuse_nonfinite(struct den_err *err)
{
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "the images have a pixel that is not a finite number");
}

/* Two passes in double, so that a large offset costs no digits. */
static bool fit_mean_std(const float *pixels, size_t n, double *ret_shift,
                         double *ret_scale, struct den_err *err)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)pixels[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        square += ((double)pixels[i] - mean) * ((double)pixels[i] - mean);
    double deviation = sqrt(square / (double)n);
    if (!isfinite(deviation))
        return refuse_nonfinite(err);
    *ret_shift = mean;
    *ret_scale = deviation > 0 ? deviation : 1;
    return true;
}

static void fit_range(double low, double high, double *ret_shift, double *ret_scale)
{
    *ret_shift = (low + high) / 2;
    *ret_scale = high > low ? (high - low) / 2 : 1;
}

static bool fit_min_max(const float *pixels, size_t n, double *ret_shift,
                        double *ret_scale, struct den_err *err)
{
    struct den_norm_span span = {.any = false};
    if (!den_norm_see(&span, pixels, n, err))
        return false;
    fit_range((double)span.low, (double)span.high, ret_shift, ret_scale);
    return true;
}

/* Sparse bright objects on a flat background may leave no range between the percentiles;
 * then the whole range counts. */
static bool fit_percentile(const float *pixels, size_t n, double *ret_shift,
                           double *ret_scale, struct den_err *err)
{
    static const double at[2] = {0.001, 0.999};
    double range[2], shift = 0, scale = 1;
    if (!fit_min_max(pixels, n, &shift, &scale, err) ||
        !den_quantiles(pixels, n, at, 2, range, err))
        return false;
    if (range[1] > range[0])
        fit_range(range[0], range[1], &shift, &scale);
    *ret_shift = shift;
    *ret_scale = scale;
    return true;
}

const struct den_norm_kind den_norm_kinds[] = {
    {"mean_std", "Mean and standard deviation of the training images become 0 and 1.",
     fit_mean_std, false},
    {"percentile", "The 0.1 and 99.9 percentiles of the training images become -1 and 1.",
     fit_percentile, false},
    {"min_max", "Minimum and maximum of the training images become -1 and 1.",
     fit_min_max, false},
    {"batch_joint",
     "Minimum and maximum of the batch at hand, noisy and clean, become -1 and 1; of an "
     "image to be denoised those of the image itself. As in the authors' code.",
     fit_min_max, true},
    {0},
};

const struct den_norm_kind *den_norm_find(const char *name)
{
    for (const struct den_norm_kind *kind = den_norm_kinds; kind->name != NULL; kind++)
        if (strcmp(kind->name, name) == 0)
            return kind;
    return NULL;
}

bool den_norm_by_image(const struct den_norm *norm)
{
    const struct den_norm_kind *kind = den_norm_find(norm->kind);
    return kind != NULL && kind->per_image;
}

bool den_norm_see(struct den_norm_span *span, const float *pixels, size_t n,
                  struct den_err *err)
{
    float low = span->any ? span->low : pixels[0];
    float high = span->any ? span->high : pixels[0];
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(pixels[i]))
            return refuse_nonfinite(err);
        low = pixels[i] < low ? pixels[i] : low;
        high = pixels[i] > high ? pixels[i] : high;
    }
    *span = (struct den_norm_span){low, high, true};
    return true;
}

/* The kinds that go by the image go by its extremes. */
struct den_norm den_norm_of_span(const struct den_norm *norm,
                                 const struct den_norm_span *span)
{
    struct den_norm own = *norm;
    if (span->any && den_norm_by_image(norm))
        fit_range((double)span->low, (double)span->high, &own.shift, &own.scale);
    return own;
}

bool den_norm_of_image(const struct den_norm *norm, const float *pixels, size_t n,
                       struct den_norm *ret, struct den_err *err)
{
    struct den_norm_span span = {.any = false};
    if (den_norm_by_image(norm) && !den_norm_see(&span, pixels, n, err))
        return false;
    *ret = den_norm_of_span(norm, &span);
    return true;
}
