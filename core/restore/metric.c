#include "metric.h"

#include <string.h>

#include "metric_judge.h"

/* A new metric is one row here; reports print the definition beside the number. */
const struct den_metric den_metrics[] = {
    {"psnr", "dB",
     "10 log10(R^2 / MSE), MSE = mean (reference - prediction)^2, R = maximum - minimum "
     "of the reference. Nothing is clipped or fitted.",
     DEN_BETTER_HIGHER, false, den_psnr},
    {"psnr_matched", "dB",
     "PSNR against a * reference + b, where a and b minimise the squared distance to the "
     "noisy input; R is the range of that matched reference.",
     DEN_BETTER_HIGHER, false, den_psnr_matched},
    {"ssim", "",
     "Structural similarity [Wang et al., IEEE TIP 13 (2004), eq. 13], mean over uniform "
     "7 x 7 windows inside the image, sample covariance (49/48), C1 = (0.01 R)^2, C2 = "
     "(0.03 R)^2, R = range of the reference. The default of scikit-image.",
     DEN_BETTER_HIGHER, false, den_ssim},
    {"ssim_matched", "",
     "SSIM (7 x 7) against a * reference + b, where a and b minimise the squared "
     "distance "
     "to the noisy input; R is the range of that matched reference.",
     DEN_BETTER_HIGHER, false, den_ssim_matched},
    {"ssim_gaussian", "",
     "SSIM as Wang et al. (2004) computed it: 11 x 11 Gaussian windows of sigma 1.5 "
     "inside the image, population covariance, R = range of the reference.",
     DEN_BETTER_HIGHER, false, den_ssim_gaussian},
    {"nrmse", "",
     "sqrt(MSE / mean reference^2): root mean square error in units of the reference's "
     "root mean square (\"euclidean\" in scikit-image).",
     DEN_BETTER_LOWER, false, den_nrmse},
    {"nrmse_min_max", "",
     "sqrt(MSE) / (maximum - minimum of the reference) (\"min-max\" in scikit-image).",
     DEN_BETTER_LOWER, false, den_nrmse_min_max},
    {"nrmse_mean", "", "sqrt(MSE) / mean of the reference (\"mean\" in scikit-image).",
     DEN_BETTER_LOWER, false, den_nrmse_mean},
    {"nrmse_affine", "",
     "Root mean square error of the gain and offset of the PREDICTION that fit the "
     "reference best, divided by maximum - minimum of the reference. The fit is that of "
     "CSBDeep's normalize_minmse.",
     DEN_BETTER_LOWER, false, den_nrmse_affine},
    {"si_psnr", "dB",
     "Scale-invariant PSNR: PSNR of the gain and offset of the PREDICTION that fit the "
     "reference best, so that neither counts as an error. As in CAREamics.",
     DEN_BETTER_HIGHER, false, den_si_psnr},
    {"gradient_energy", "",
     "Sharpness: mean squared gradient of the prediction (central differences, inside "
     "the image) divided by that of a * reference + b, where a and b minimise the "
     "squared distance to the noisy input. 1 is ideal, less is blurred; noise that is "
     "left counts as sharp, so read it beside PSNR.",
     DEN_BETTER_NEAR_1, false, den_gradient_energy},
    {"frc_high", "",
     "Fourier ring correlation with the reference [van Heel, Ultramicroscopy 21 (1987)], "
     "mean over the rings from 0.25 to 0.5 cycles per pixel: how much of the finest "
     "detail is right. The middle of the image, up to 1024 x 1024 pixels; means taken "
     "off, Hann window; 1 is ideal, 0 is chance.",
     DEN_BETTER_HIGHER, false, den_frc_high},
    {"psnr_u16wrap", "dB",
     "The paper's PSNR, to compare with its tables only: the images are cut, not "
     "rounded, "
     "to unsigned 16-bit numbers, and so is each squared difference, which wraps at "
     "65536. Close to the PSNR as long as no error exceeds 255 grey values, too high "
     "otherwise.",
     DEN_BETTER_HIGHER, true, den_psnr_u16wrap},
    {"ssim_cols", "",
     "The paper's SSIM, to compare with its tables only: every column of pixels is taken "
     "for a channel of its own, so the windows are 7 x 1 pixels (sample covariance, 7/6) "
     "and nothing is compared along the rows.",
     DEN_BETTER_HIGHER, true, den_ssim_cols},
    {"nrmse_paper", "",
     "The paper's NRMSE, to compare with its tables only: root mean square distance of "
     "the prediction to its OWN copy fitted to the reference in gain and offset, divided "
     "by 4095. The reference is in it by way of that fit alone: an error of calibration, "
     "not of the image.",
     DEN_BETTER_LOWER, true, den_nrmse_paper},
    {0},
};

const struct den_metric *den_metric_find(const char *name)
{
    for (const struct den_metric *m = den_metrics; m->name != NULL; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

size_t den_metric_count(void)
{
    return sizeof den_metrics / sizeof *den_metrics - 1;
}

static double mean_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    return sum / (double)n;
}

/* Two passes: the one-pass formula loses all digits for a small signal on a large
 * offset. */
void den_gain_match(const float *reference, const float *noisy, size_t n, double *ret_a,
                    double *ret_b)
{
    *ret_a = 1;
    *ret_b = 0;
    if (n == 0)
        return;
    double mean_r = mean_of(reference, n), mean_n = mean_of(noisy, n);
    double rr = 0, rn = 0;
    for (size_t i = 0; i < n; i++) {
        double r = (double)reference[i] - mean_r;
        rr += r * r;
        rn += r * ((double)noisy[i] - mean_n);
    }
    if (!(rr > 0))
        return;
    *ret_a = rn / rr;
    *ret_b = mean_n - *ret_a * mean_r;
}

static bool is_finite(const struct den_metric_case *c, const float *pixels,
                      const char *whose, struct den_err *err)
{
    for (size_t i = 0; i < c->width * c->height; i++)
        if (!isfinite(pixels[i]))
            return den_err_set(
                err, DEN_E_UNPROCESSABLE,
                "the %s has a pixel that is not a finite number, at x = %zu, y = %zu",
                whose, i % c->width, i / c->width);
    return true;
}

static double range_of(const float *x, size_t n)
{
    float least = x[0], most = x[0];
    for (size_t i = 1; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    return (double)most - (double)least;
}

/* A constant reference is refused for every row alike, also where the formula would give
 * a number: a mean over images must not mix rows that judge different images. */
bool den_judge(const struct den_metric_case *c, bool matched, struct den_judged *ret,
               struct den_err *err)
{
    size_t n = c->width * c->height;
    if (n == 0)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "an image of %zu x %zu has no pixels to be judged", c->width,
                           c->height);
    if (!is_finite(c, c->reference, "reference", err) ||
        !is_finite(c, c->prediction, "judged image", err))
        return false;
    double a = matched ? c->a : 1, b = matched ? c->b : 0;
    double range = fabs(a) * range_of(c->reference, n);
    if (!(range > 0) || !isfinite(range) || !isfinite(b))
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           matched && range_of(c->reference, n) > 0
                               ? "the gain match leaves nothing of the reference: the "
                                 "two images have nothing in common"
                               : "the reference has the same value in every pixel, so "
                                 "there is no range to measure errors by");
    *ret = (struct den_judged){.width = c->width,
                               .height = c->height,
                               .n = n,
                               .reference = c->reference,
                               .prediction = c->prediction,
                               .a = a,
                               .b = b,
                               .range = range};
    return true;
}
