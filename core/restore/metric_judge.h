#ifndef DEN_METRIC_JUDGE_H
#define DEN_METRIC_JUDGE_H

/* Private to the metrics: a case that has been checked, with the reference it is judged
 * by. */

#include <math.h>

#include "metric.h"

/* The reference counts as a * reference + b (1 and 0 for rows without gain match). */
struct den_judged {
    size_t width, height, n;
    const float *reference, *prediction; /* [height][width], all finite */
    double a, b;
    double range; /* maximum - minimum of a * reference + b, > 0 */
};

/* Refuses images without pixels, with NaN or infinity, and a constant reference. */
bool den_judge(const struct den_metric_case *c, bool matched, struct den_judged *ret,
               struct den_err *err) DEN_CHECKED;

static inline double den_judged_reference(const struct den_judged *j, size_t i)
{
    return j->a * (double)j->reference[i] + j->b;
}

/* The prediction fitted to the reference by least squares. */
struct den_fit {
    double mean_reference, mean_prediction;
    double gain;     /* cov(reference, prediction) / (var(prediction) + ridge); 0 for a
                        constant prediction, which explains nothing */
    double variance; /* of the prediction, population */
    double mse;      /* mean (reference - fitted prediction)^2 */
};
/* ridge: squared grey values, >= 0; both moments are of a sample (n - 1). */
struct den_fit den_fit_prediction(const struct den_judged *j, double ridge);
/* range^2 / mse as a level in dB; INFINITY for 0. */
double den_decibel(double range, double mse);

bool den_psnr(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_psnr_matched(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_si_psnr(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_nrmse(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_nrmse_min_max(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_nrmse_mean(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_nrmse_affine(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_ssim(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_ssim_matched(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_ssim_gaussian(const struct den_metric_case *c, double *ret, struct den_err *err);

bool den_gradient_energy(const struct den_metric_case *c, double *ret,
                         struct den_err *err);
bool den_frc_high(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_psnr_u16wrap(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_ssim_cols(const struct den_metric_case *c, double *ret, struct den_err *err);
bool den_nrmse_paper(const struct den_metric_case *c, double *ret, struct den_err *err);

#endif
