#include "metric_judge.h"

#include "fourier.h"
#include "mem.h"

/* Fourier ring correlation [van Heel, Ultramicroscopy 21 (1987) 95; Saxton and
 * Baumeister, J. Microscopy 127 (1982) 127]: with F, G the transforms of two images,
 *     FRC(r) = Re sum F conj(G) / sqrt(sum |F|^2 sum |G|^2), sums over the ring r.
 * Gain and offset drop out.  Rings are 1 / (shorter side) cycles per pixel wide. */

/* Pixels a side: four rings in the band; and where a larger image is cut to its middle.
 */
enum { LEAST = 16, MOST = 1024 };

/* The part that is looked at. */
struct window {
    size_t x, y, width, height;
};

struct ring {
    double cross, reference, prediction;
};

/* The mean is taken off before the window, or its own transform would fill the low rings;
 * without the window the jump from border to border fills the high ones, and for both
 * images alike.  pixels: rows of `ld`; to [height][2 columns] */
static void window_image(const float *pixels, size_t ld, const struct window *window,
                         double *to)
{
    const double two_pi = 6.283185307179586;
    size_t width = window->width, height = window->height;
    size_t stride = 2 * den_fourier_columns(width);
    double mean = 0;
    pixels += window->y * ld + window->x;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            mean += (double)pixels[y * ld + x];
    mean /= (double)(width * height);
    for (size_t x = 0; x < width; x++) {
        double across = 0.5 - 0.5 * cos(two_pi * ((double)x + 0.5) / (double)width);
        for (size_t y = 0; y < height; y++)
            to[y * stride + x] = across * ((double)pixels[y * ld + x] - mean);
    }
    for (size_t y = 0; y < height; y++) {
        double down = 0.5 - 0.5 * cos(two_pi * ((double)y + 0.5) / (double)height);
        for (size_t x = 0; x < width; x++)
            to[y * stride + x] *= down;
    }
}

/* Ring of frequency (u / width, v / height), v counted up to height. */
static size_t ring_of(const struct window *w, size_t side, size_t u, size_t v)
{
    double fx = (double)u / (double)w->width;
    double fy = (double)(v <= w->height / 2 ? v : w->height - v) / (double)w->height;
    return (size_t)lround(sqrt(fx * fx + fy * fy) * (double)side);
}

/* rings [side / 2 + 1].  Columns 1 to (width - 1) / 2 stand for their conjugates, too. */
static void sum_rings(const struct window *w, size_t side, const double *f,
                      const double *g, struct ring *rings)
{
    size_t columns = den_fourier_columns(w->width);
    for (size_t v = 0; v < w->height; v++)
        for (size_t u = 0; u < columns; u++, f += 2, g += 2) {
            size_t r = ring_of(w, side, u, v);
            if (r > side / 2)
                continue;
            double times = u > 0 && 2 * u < w->width ? 2 : 1;
            rings[r].cross += times * (f[0] * g[0] + f[1] * g[1]);
            rings[r].reference += times * (f[0] * f[0] + f[1] * f[1]);
            rings[r].prediction += times * (g[0] * g[0] + g[1] * g[1]);
        }
}

/* A ring in which one of the images has nothing counts as 0. */
static double mean_correlation(const struct ring *rings, size_t side)
{
    double sum = 0;
    size_t first = side / 4 + 1, last = side / 2;
    for (size_t r = first; r <= last; r++) {
        double power = sqrt(rings[r].reference) * sqrt(rings[r].prediction);
        sum += power > 0 ? rings[r].cross / power : 0;
    }
    return sum / (double)(last - first + 1);
}

static bool correlate(const struct den_judged *j, double *ret, struct den_err *err)
{
    struct window w = {.width = j->width < MOST ? j->width : MOST,
                       .height = j->height < MOST ? j->height : MOST};
    w.x = (j->width - w.width) / 2;
    w.y = (j->height - w.height) / 2;
    size_t side = w.width < w.height ? w.width : w.height;
    size_t stride = 2 * den_fourier_columns(w.width);
    struct ring *rings = den_new(side / 2 + 1, sizeof *rings, err);
    double *f = den_calloc64(w.height, stride * sizeof *f);
    double *g = den_calloc64(w.height, stride * sizeof *g);
    bool done = rings != NULL;
    if (done && (f == NULL || g == NULL))
        done = den_err_set(err, DEN_E_NO_MEMORY,
                           "not enough memory for a Fourier transform");
    if (done) {
        window_image(j->reference, j->width, &w, f);
        window_image(j->prediction, j->width, &w, g);
        done = den_fourier_image(w.width, w.height, f, err) &&
               den_fourier_image(w.width, w.height, g, err);
    }
    if (done) {
        sum_rings(&w, side, f, g, rings);
        *ret = mean_correlation(rings, side);
    }
    den_free(g);
    den_free(f);
    den_free(rings);
    return done;
}

/* What rounding leaves of a constant prediction must not be correlated with anything. */
static bool is_constant(const float *pixels, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (pixels[i] != pixels[0])
            return false;
    return true;
}

bool den_frc_high(const struct den_metric_case *c, double *ret, struct den_err *err)
{
    struct den_judged j;
    if (!den_judge(c, false, &j, err))
        return false;
    if (j.width < LEAST || j.height < LEAST)
        return den_err_set(
            err, DEN_E_UNPROCESSABLE,
            "a Fourier ring correlation needs at least %d x %d pixels, the "
            "image has %zu x %zu",
            LEAST, LEAST, j.width, j.height);
    if (!is_constant(j.prediction, j.n))
        return correlate(&j, ret, err);
    *ret = 0;
    return true;
}
