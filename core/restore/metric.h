#ifndef DEN_METRIC_H
#define DEN_METRIC_H

/* Image quality against a reference, all in double.  Agrees with scikit-image 0.19 to
 * 1e-6. */

#include <stddef.h>

#include "err.h"

struct den_metric_case {
    size_t width, height;
    const float *reference, *prediction; /* [height][width] grey values */
    double a, b; /* gain match: the reference is judged as a * reference + b by "_matched"
                    rows */
};

enum den_better { DEN_BETTER_HIGHER, DEN_BETTER_LOWER, DEN_BETTER_NEAR_1 };

struct den_metric {
    const char *name, *unit; /* "psnr", "dB" */
    const char *definition;  /* one or two sentences with the formula and its source */
    enum den_better better;
    bool paper; /* as the authors' code has it, with its faults: only for a comparison
                   with their tables, and shown only to who asks */
    /* May give +infinity (identical images).  DEN_E_UNPROCESSABLE for a constant
     * reference or an image smaller than the window. */
    bool (*value)(const struct den_metric_case *c, double *ret, struct den_err *err);
};
/* psnr, psnr_matched, ssim, ssim_matched, ssim_gaussian, nrmse, nrmse_min_max,
 * nrmse_mean, nrmse_affine, si_psnr, gradient_energy, frc_high; of the paper
 * psnr_u16wrap, ssim_cols, nrmse_paper */
extern const struct den_metric den_metrics[]; /* ends with name NULL */
const struct den_metric *den_metric_find(const char *name);
size_t den_metric_count(void);

/* a, b minimising sum (a * reference + b - noisy)^2; a = 1, b = 0 for a constant
 * reference. */
void den_gain_match(const float *reference, const float *noisy, size_t n, double *ret_a,
                    double *ret_b);

#endif
