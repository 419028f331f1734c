#include "metric_judge.h"

/* Numbers as the published code of CLIDiM computes them (its util/metrics.py), so that
 * its tables can be checked.  They are not what their names say: use psnr, ssim and
 * nrmse. The third of them, ssim_cols, is a window of metric_ssim.c. */

#define WORDS 65536.0 /* values of an unsigned 16-bit number */

/* The value that a cast to uint16 leaves: cut towards zero, then modulo 2^16. */
static double cut_to_word(double value)
{
    double word = fmod(trunc(value), WORDS);
    return word < 0 ? word + WORDS : word;
}

/* Both images are words, and so are the difference and its square: d^2 mod 65536. */
bool den_psnr_u16wrap(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    struct den_judged j;
    if (!den_judge(c, false, &j, err))
        return false;
    double least = WORDS, most = 0, sum = 0;
    for (size_t i = 0; i < j.n; i++) {
        double reference = cut_to_word((double)j.reference[i]);
        double d = cut_to_word(reference - cut_to_word((double)j.prediction[i]));
        sum += cut_to_word(d * d);
        least = fmin(least, reference);
        most = fmax(most, reference);
    }
    if (!(most > least))
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "as whole numbers of 16 bits the reference has the same value "
                           "in every pixel");
    *ret = den_decibel(most - least, sum / (double)j.n);
    return true;
}

/* |pred - (gain pred + offset)| = |(1 - gain) (pred - mean pred) + mean pred - mean ref|:
 * the reference is in it only by way of gain and offset. */
bool den_nrmse_paper(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    const double ridge = 1e-10, full_scale = 4095; /* normalize_minmse; 12 bits */
    struct den_judged j;
    if (!den_judge(c, false, &j, err))
        return false;
    struct den_fit fit = den_fit_prediction(&j, ridge);
    double shift = fit.mean_prediction - fit.mean_reference, stretch = 1 - fit.gain;
    *ret = sqrt(stretch * stretch * fit.variance + shift * shift) / full_scale;
    return true;
}
