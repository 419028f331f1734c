#include "metric_judge.h"

/* Metrics made of the mean squared error, in scikit-image's definitions.  Nothing is
 * clipped, rounded or scaled first.  INFINITY for identical images. */

static double mse_of(const struct den_judged *j)
{
    double sum = 0;
    for (size_t i = 0; i < j->n; i++) {
        double d = den_judged_reference(j, i) - (double)j->prediction[i];
        sum += d * d;
    }
    return sum / (double)j->n;
}

double den_decibel(double range, double mse)
{
    return mse > 0 ? 10 * log10(range * range / mse) : (double)INFINITY;
}

static bool psnr_of(const struct den_metric_case *c, bool matched, double *ret,
                    struct den_err *err)
{
    struct den_judged j;
    if (!den_judge(c, matched, &j, err))
        return false;
    *ret = den_decibel(j.range, mse_of(&j));
    return true;
}

bool den_psnr(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    return psnr_of(c, false, ret, err);
}

bool den_psnr_matched(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    return psnr_of(c, true, ret, err);
}

bool den_nrmse(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    struct den_judged j;
    if (!den_judge(c, false, &j, err))
        return false;
    double square = 0; /* > 0: the reference is not constant, so not 0 everywhere */
    for (size_t i = 0; i < j.n; i++)
        square += (double)j.reference[i] * (double)j.reference[i];
    *ret = sqrt(mse_of(&j) * (double)j.n / square);
    return true;
}

bool den_nrmse_min_max(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    struct den_judged j;
    if (!den_judge(c, false, &j, err))
        return false;
    *ret = sqrt(mse_of(&j)) / j.range;
    return true;
}

/* Grey values without a zero point (negative after an offset was taken off) have no mean
 * to measure by. */
bool den_nrmse_mean(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    struct den_judged j;
    if (!den_judge(c, false, &j, err))
        return false;
    double sum = 0;
    for (size_t i = 0; i < j.n; i++)
        sum += (double)j.reference[i];
    double mean = sum / (double)j.n;
    if (!(mean > 0))
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the mean of the reference is %g; errors can be measured in "
                           "units of it only above 0",
                           mean);
    *ret = sqrt(mse_of(&j)) / mean;
    return true;
}
