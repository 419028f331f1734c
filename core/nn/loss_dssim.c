#include <assert.h>
#include <math.h>
#include <string.h>

#include "loss_rows.h"

/* Structural dissimilarity, mean of clamp((1 - SSIM) / 2, 0, 1) on images mapped to
 * [0, 1]; per image and channel, mean over all maps.  SSIM [Wang et al., IEEE TIP 13
 * (2004), eq. 13] with a Gaussian window W, population moments:
 *     mx = W x, my = W y, A1 = 2 mx my + C1, A2 = 2 (W(xy) - mx my) + C2,
 *     B1 = mx^2 + my^2 + C1, B2 = W(x^2) - mx^2 + W(y^2) - my^2 + C2, S = A1 A2 / (B1 B2)
 * and with g = dL/dS, W^T the adjoint of W including its border:
 *     dL/dx = W^T(g a) + 2 x W^T(g b) + y W^T(g c),
 *     a = 2 (my (A2 - A1) / (B1 B2) - S mx (1/B1 - 1/B2)), b = -S / B2, c = 2 A1 / (B1
 * B2)
 */

#define C1 (0.01 * 0.01)
#define C2 (0.03 * 0.03)
#define SIGMA 1.5
#define WINDOW_MAX 11
#define RADIUS_MAX ((size_t)WINDOW_MAX / 2)

struct window {
    size_t radius;
    double weight[WINDOW_MAX];
    bool valid;
    size_t h, w;   /* of the image */
    size_t oh, ow; /* of the map of windows */
    double *rows;  /* [h][ow]: rows filtered horizontally */
    double *line;  /* [w + 2 radius] */
};

/* Planes [h][w] of doubles in the scratch. */
enum { X, Y, MX, MY, XX, YY, XY, ROWS, PLANES };

static size_t scratch_size(struct den_shape shape)
{
    return PLANES * shape.h * shape.w + shape.w + 2 * RADIUS_MAX;
}

static struct window make_window(struct den_shape shape,
                                 const struct den_pixel_loss_options *options,
                                 double *scratch)
{
    assert(options->window % 2 == 1 && options->window <= WINDOW_MAX);
    struct window win = {.radius = options->window / 2, .valid = options->valid};
    double sum = 0;
    for (size_t t = 0; t < options->window; t++) {
        double d = (double)t - (double)win.radius;
        win.weight[t] = exp(-d * d / (2 * SIGMA * SIGMA));
        sum += win.weight[t];
    }
    for (size_t t = 0; t < options->window; t++)
        win.weight[t] /= sum;
    size_t lost = win.valid ? 2 * win.radius : 0;
    win.h = shape.h;
    win.w = shape.w;
    win.oh = win.h > lost ? win.h - lost : 0;
    win.ow = win.w > lost ? win.w - lost : 0;
    win.rows = scratch + ROWS * shape.h * shape.w;
    win.line = scratch + PLANES * shape.h * shape.w;
    return win;
}

/* Index of pixel i - radius after reflection without repeating the edge; images smaller
 * than the window are reflected as often as needed. */
static size_t reflect(size_t i, size_t radius, size_t n)
{
    if (n == 1)
        return 0;
    size_t period = 2 * (n - 1);
    size_t at = (i + period * (radius / period + 1) - radius) % period;
    return at < n ? at : period - at;
}

/* Image row that tap t of the window row y reads. */
static size_t source_row(const struct window *win, size_t y, size_t t)
{
    return win->valid ? y + t : reflect(y + t, win->radius, win->h);
}

/* to [ow] = one row filtered; the border is laid out first, so the loops stay simple
 * enough for the compiler to vectorise. */
static void filter_line(const struct window *win, const double *from, double *to)
{
    const double *line = from;
    if (!win->valid) {
        for (size_t x = 0; x < win->w + 2 * win->radius; x++)
            win->line[x] = from[reflect(x, win->radius, win->w)];
        line = win->line;
    }
    memset(to, 0, win->ow * sizeof *to);
    for (size_t t = 0; t <= 2 * win->radius; t++)
        for (size_t x = 0; x < win->ow; x++)
            to[x] += win->weight[t] * line[x + t];
}

/* to [oh][ow] = W from [h][w]. */
static void filter(const struct window *win, const double *from, double *to)
{
    for (size_t y = 0; y < win->h; y++)
        filter_line(win, from + y * win->w, win->rows + y * win->ow);
    memset(to, 0, win->oh * win->ow * sizeof *to);
    for (size_t y = 0; y < win->oh; y++)
        for (size_t t = 0; t <= 2 * win->radius; t++) {
            const double *row = win->rows + source_row(win, y, t) * win->ow;
            for (size_t x = 0; x < win->ow; x++)
                to[y * win->ow + x] += win->weight[t] * row[x];
        }
}

/* to [w] = the adjoint of filter_line: border pixels fold back to where they came from.
 */
static void spread_line(const struct window *win, const double *from, double *to)
{
    memset(win->line, 0, (win->w + 2 * win->radius) * sizeof *win->line);
    for (size_t t = 0; t <= 2 * win->radius; t++)
        for (size_t x = 0; x < win->ow; x++)
            win->line[x + t] += win->weight[t] * from[x];
    if (win->valid) {
        memcpy(to, win->line, win->w * sizeof *to);
        return;
    }
    memset(to, 0, win->w * sizeof *to);
    for (size_t x = 0; x < win->w + 2 * win->radius; x++)
        to[reflect(x, win->radius, win->w)] += win->line[x];
}

/* to [h][w] = W^T from [oh][ow]: every step of filter turned round. */
static void filter_adjoint(const struct window *win, const double *from, double *to)
{
    memset(win->rows, 0, win->h * win->ow * sizeof *win->rows);
    for (size_t y = 0; y < win->oh; y++)
        for (size_t t = 0; t <= 2 * win->radius; t++) {
            double *row = win->rows + source_row(win, y, t) * win->ow;
            for (size_t x = 0; x < win->ow; x++)
                row[x] += win->weight[t] * from[y * win->ow + x];
        }
    for (size_t y = 0; y < win->h; y++)
        spread_line(win, win->rows + y * win->ow, to + y * win->w);
}

/* One channel [h][w] in units where lo is 0 and hi is 1. */
static void load_plane(struct den_shape shape, const den_real *from,
                       const struct den_pixel_loss_options *options, double *to)
{
    double scale = 1 / (options->hi - options->lo);
    for (size_t i = 0; i < shape.h * shape.w; i++)
        to[i] = ((double)from[i * shape.c] - options->lo) * scale;
}

/* The five filtered maps; *plane[XY] is used for the products. */
static void moments(const struct window *win, double *const *plane)
{
    size_t n = win->h * win->w;
    const double *x = plane[X], *y = plane[Y];
    filter(win, x, plane[MX]);
    filter(win, y, plane[MY]);
    for (size_t i = 0; i < n; i++)
        plane[XY][i] = x[i] * x[i];
    filter(win, plane[XY], plane[XX]);
    for (size_t i = 0; i < n; i++)
        plane[XY][i] = y[i] * y[i];
    filter(win, plane[XY], plane[YY]);
    for (size_t i = 0; i < n; i++)
        plane[XY][i] = x[i] * y[i];
    filter(win, plane[XY], plane[XY]);
}

/* Sum over the map of clamp((1 - S) / 2).  Leaves g a, g b, g c in MX, XX, XY, with
 * g = -1/2, or 0 where clamped. */
static double compare(const struct window *win, double *const *plane)
{
    double sum = 0;
    for (size_t i = 0; i < win->oh * win->ow; i++) {
        double mx = plane[MX][i], my = plane[MY][i];
        double a1 = 2 * mx * my + C1, a2 = 2 * (plane[XY][i] - mx * my) + C2;
        double b1 = mx * mx + my * my + C1;
        double b2 = plane[XX][i] - mx * mx + plane[YY][i] - my * my + C2;
        double s = a1 * a2 / (b1 * b2), loss = (1 - s) / 2;
        double g = loss < 0 || loss > 1 ? 0 : -0.5;
        sum += loss < 0 ? 0 : loss > 1 ? 1 : loss;
        plane[MX][i] = g * 2 * (my * (a2 - a1) / (b1 * b2) - s * mx * (1 / b1 - 1 / b2));
        plane[XX][i] = -g * s / b2;
        plane[XY][i] = g * 2 * a1 / (b1 * b2);
    }
    return sum;
}

/* Adds scale times the gradient to one channel of dpred. */
static void add_gradient(const struct window *win, double *const *plane, double scale,
                         size_t c, den_real *dpred)
{
    double *a = plane[MY], *b = plane[YY], *bc = plane[MX];
    filter_adjoint(win, plane[MX], a);
    filter_adjoint(win, plane[XX], b);
    filter_adjoint(win, plane[XY], bc);
    for (size_t i = 0; i < win->h * win->w; i++)
        dpred[i * c] +=
            (den_real)(scale * (a[i] + 2 * plane[X][i] * b[i] + plane[Y][i] * bc[i]));
}

static double value(struct den_shape shape, const den_real *pred, const den_real *target,
                    const struct den_pixel_loss_options *options, double weight,
                    den_real *dpred, double *scratch)
{
    struct window win = make_window(shape, options, scratch);
    double *plane[PLANES];
    for (size_t p = 0; p < PLANES; p++)
        plane[p] = scratch + p * shape.h * shape.w;
    size_t windows = win.oh * win.ow * shape.n * shape.c;
    if (windows == 0)
        return 0; /* the image is smaller than one valid window */
    double sum = 0, scale = weight / ((double)windows * (options->hi - options->lo));
    for (size_t i = 0; i < shape.n * shape.c; i++) {
        size_t at = i / shape.c * shape.h * shape.w * shape.c + i % shape.c;
        load_plane(shape, pred + at, options, plane[X]);
        load_plane(shape, target + at, options, plane[Y]);
        moments(&win, plane);
        sum += compare(&win, plane);
        if (dpred != NULL)
            add_gradient(&win, plane, scale, shape.c, dpred + at);
    }
    return sum / (double)windows;
}

const struct den_pixel_loss den_loss_dssim = {
    .name = "dssim",
    .doc = "structural dissimilarity (1 - SSIM) / 2, Gaussian window",
    .value = value,
    .scratch = scratch_size,
};
