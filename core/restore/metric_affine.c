#include "metric_judge.h"

/* Metrics that do not count a wrong gain or offset of the prediction as an error. */

/* Two passes, so that a large offset costs no digits; the third measures what is left. */
struct den_fit den_fit_prediction(const struct den_judged *j, double ridge)
{
    struct den_fit fit = {0};
    for (size_t i = 0; i < j->n; i++) {
        fit.mean_reference += den_judged_reference(j, i);
        fit.mean_prediction += (double)j->prediction[i];
    }
    fit.mean_reference /= (double)j->n;
    fit.mean_prediction /= (double)j->n;
    double gp = 0, pp = 0, sum = 0;
    for (size_t i = 0; i < j->n; i++) {
        double p = (double)j->prediction[i] - fit.mean_prediction;
        gp += (den_judged_reference(j, i) - fit.mean_reference) * p;
        pp += p * p;
    }
    fit.gain = pp > 0 ? gp / (pp + ridge * (double)(j->n - 1)) : 0;
    fit.variance = pp / (double)j->n;
    for (size_t i = 0; i < j->n; i++) {
        double p = (double)j->prediction[i] - fit.mean_prediction;
        double d = den_judged_reference(j, i) - fit.mean_reference - fit.gain * p;
        sum += d * d;
    }
    fit.mse = sum / (double)j->n;
    return fit;
}

/* CAREamics also divides the reference and its range by the standard deviation of the
 * reference, which cancels. */
bool den_si_psnr(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    struct den_judged j;
    if (!den_judge(c, false, &j, err))
        return false;
    *ret = den_decibel(j.range, den_fit_prediction(&j, 0).mse);
    return true;
}

bool den_nrmse_affine(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    struct den_judged j;
    if (!den_judge(c, false, &j, err))
        return false;
    *ret = sqrt(den_fit_prediction(&j, 0).mse) / j.range;
    return true;
}
