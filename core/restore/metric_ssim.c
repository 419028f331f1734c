#include "metric_judge.h"

#include <string.h>

#include "mem.h"

/* Structural similarity [Wang et al., IEEE TIP 13 (2004), eq. 13]
 *     SSIM = (2 ux uy + C1) (2 vxy + C2) / ((ux^2 + uy^2 + C1) (vx + vy + C2))
 * with weighted means u, variances v and covariance vxy in a window around each pixel;
 * the mean is taken over windows that lie inside the image, so no border rule matters.
 *
 * The window is separable: sums of five products are made down the columns for one row of
 * windows, then along it.  Sums are made afresh for each row, so nothing drifts. */

#define MOMENTS ((size_t)5) /* x, y, x x, y y, x y */
#define MOST_TAPS 11

struct window {
    size_t taps;   /* rows, odd */
    size_t across; /* columns: as many with the same weights, or 1 */
    double weight[MOST_TAPS];
    double unbias; /* factor on variances and covariance */
};

struct rows {
    double *down[MOMENTS];  /* [width]: sums over the window's rows */
    double *whole[MOMENTS]; /* [width]: sums over the window */
};

/* n / (n - 1) for n = 49 makes variances and covariance those of a sample. */
static struct window uniform_window(void)
{
    struct window w = {.taps = 7, .across = 7, .unbias = 49.0 / 48.0};
    for (size_t k = 0; k < w.taps; k++)
        w.weight[k] = 1.0 / 7.0;
    return w;
}

/* One column: what scikit-image 0.18 makes of a grey image that is said to be
 * multichannel. */
static struct window column_window(void)
{
    struct window w = uniform_window();
    w.across = 1;
    w.unbias = 7.0 / 6.0;
    return w;
}

/* Cut at 3.5 sigma and normalised after the cut; plain covariance, as in the code of Wang
 * et al. */
static struct window gaussian_window(void)
{
    struct window w = {.taps = 11, .across = 11, .unbias = 1};
    double sum = 0;
    for (size_t k = 0; k < w.taps; k++) {
        double t = ((double)k - 5) / 1.5;
        w.weight[k] = exp(-0.5 * t * t);
        sum += w.weight[k];
    }
    for (size_t k = 0; k < w.taps; k++)
        w.weight[k] /= sum;
    return w;
}

/* shift: taken off both images, because variances are differences of squares and lose
 * digits on a large offset. */
static void sum_down(const struct den_judged *j, const struct window *w, double shift,
                     size_t y, struct rows *rows)
{
    double *restrict sx = rows->down[0], *restrict sy = rows->down[1];
    double *restrict sxx = rows->down[2], *restrict syy = rows->down[3];
    double *restrict sxy = rows->down[4];
    for (size_t m = 0; m < MOMENTS; m++)
        memset(rows->down[m], 0, j->width * sizeof(double));
    for (size_t k = 0; k < w->taps; k++) {
        const float *reference = j->reference + (y + k) * j->width;
        const float *prediction = j->prediction + (y + k) * j->width;
        double a = j->a, b = j->b - shift, weight = w->weight[k];
        for (size_t i = 0; i < j->width; i++) {
            double r = a * (double)reference[i] + b, p = (double)prediction[i] - shift;
            double wr = weight * r, wp = weight * p;
            sx[i] += wr;
            sy[i] += wp;
            sxx[i] += wr * r;
            syy[i] += wp * p;
            sxy[i] += wr * p;
        }
    }
}

/* rows->whole[m][i] = sum over the window that begins at pixel i of its first row. */
static void sum_along(const struct window *w, size_t count, struct rows *rows)
{
    for (size_t m = 0; m < MOMENTS; m++) {
        double *restrict to = rows->whole[m];
        if (w->across == 1) {
            memcpy(to, rows->down[m], count * sizeof(double));
            continue;
        }
        memset(to, 0, count * sizeof(double));
        for (size_t k = 0; k < w->across; k++) {
            const double *restrict from = rows->down[m] + k;
            double weight = w->weight[k];
            for (size_t i = 0; i < count; i++)
                to[i] += weight * from[i];
        }
    }
}

/* Sum of eq. 13 over one row of `count` windows. */
static double ssim_row(const struct den_judged *j, const struct window *w, double shift,
                       size_t count, const struct rows *rows)
{
    double c1 = 0.01 * j->range * 0.01 * j->range, c2 = 0.03 * j->range * 0.03 * j->range;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double ux = rows->whole[0][i], uy = rows->whole[1][i];
        double vx = w->unbias * (rows->whole[2][i] - ux * ux);
        double vy = w->unbias * (rows->whole[3][i] - uy * uy);
        double vxy = w->unbias * (rows->whole[4][i] - ux * uy);
        double mx = ux + shift, my = uy + shift;
        sum += (2 * mx * my + c1) * (2 * vxy + c2) /
               ((mx * mx + my * my + c1) * (vx + vy + c2));
    }
    return sum;
}

static double mean_reference(const struct den_judged *j)
{
    double sum = 0;
    for (size_t i = 0; i < j->n; i++)
        sum += den_judged_reference(j, i);
    return sum / (double)j->n;
}

static bool ssim_of(const struct den_metric_case *c, bool matched, struct window window,
                    double *ret, struct den_err *err)
{
    struct den_judged j;
    if (c->width < window.across || c->height < window.taps)
        return den_err_set(
            err, DEN_E_UNPROCESSABLE,
            "SSIM needs at least %zu x %zu pixels, the image has %zu x %zu",
            window.across, window.taps, c->width, c->height);
    if (!den_judge(c, matched, &j, err))
        return false;
    double *memory = den_new(j.width, 2 * MOMENTS * sizeof *memory, err);
    if (memory == NULL)
        return false;
    struct rows rows;
    for (size_t m = 0; m < MOMENTS; m++) {
        rows.down[m] = memory + 2 * m * j.width;
        rows.whole[m] = memory + (2 * m + 1) * j.width;
    }
    double shift = mean_reference(&j), sum = 0;
    size_t across = j.width - window.across + 1, down = j.height - window.taps + 1;
    for (size_t y = 0; y < down; y++) {
        sum_down(&j, &window, shift, y, &rows);
        sum_along(&window, across, &rows);
        sum += ssim_row(&j, &window, shift, across, &rows);
    }
    den_free(memory);
    *ret = sum / ((double)across * (double)down);
    return true;
}

bool den_ssim(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    return ssim_of(c, false, uniform_window(), ret, err);
}

bool den_ssim_matched(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    return ssim_of(c, true, uniform_window(), ret, err);
}

bool den_ssim_gaussian(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    return ssim_of(c, false, gaussian_window(), ret, err);
}

bool den_ssim_cols(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    return ssim_of(c, false, column_window(), ret, err);
}
