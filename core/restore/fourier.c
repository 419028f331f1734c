#include "fourier.h"

#include <cblas.h>
#include <math.h>

#include "mem.h"

/* Two matrix products, one along the rows and one along the columns: of order n^3 and not
 * n^2 log n, but by OpenBLAS, for sides of any length, in double precision, and without
 * the terms of licence that the usual library for it would bring. */

/* Cosines and sines of 2 pi u x / n, [rows x][columns u]. */
struct waves {
    double *cosine, *sine;
};

static void release(struct waves *w)
{
    den_free(w->cosine);
    den_free(w->sine);
}

/* u x is reduced modulo n, which loses no digits. */
static bool make_waves(size_t n, size_t columns, struct waves *ret, struct den_err *err)
{
    const double two_pi = 6.283185307179586;
    struct waves w = {den_new(n, columns * sizeof(double), err),
                      den_new(n, columns * sizeof(double), err)};
    if (w.cosine == NULL || w.sine == NULL) {
        release(&w);
        return false;
    }
    for (size_t x = 0; x < n; x++)
        for (size_t u = 0, phase = 0; u < columns; u++, phase = (phase + x) % n) {
            double angle = two_pi * (double)phase / (double)n;
            w.cosine[x * columns + u] = cos(angle);
            w.sine[x * columns + u] = sin(angle);
        }
    *ret = w;
    return true;
}

/* c [m][n] = factor a [m][k] b [k][n] + (add ? c : 0); lda: reals from row to row of a.
 */
static void product(size_t m, size_t n, size_t k, double factor, const double *a,
                    size_t lda, const double *b, bool add, double *c)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n,
                (blasint)k, factor, a, (blasint)lda, b, (blasint)n, add ? 1 : 0, c,
                (blasint)n);
}

/* exp(-i t) = cos t - i sin t, along the rows and then along the columns. */
static void transform(size_t width, size_t height, const struct waves *x,
                      const struct waves *y, double *data, double *const part[4])
{
    size_t n = den_fourier_columns(width), h = height;
    double *row_re = part[0], *row_im = part[1], *re = part[2], *im = part[3];
    product(h, n, width, 1, data, 2 * n, x->cosine, false, row_re);
    product(h, n, width, -1, data, 2 * n, x->sine, false, row_im);
    product(h, n, h, 1, y->cosine, h, row_re, false, re);
    product(h, n, h, 1, y->sine, h, row_im, true, re);
    product(h, n, h, 1, y->cosine, h, row_im, false, im);
    product(h, n, h, -1, y->sine, h, row_re, true, im);
    for (size_t i = 0; i < h * n; i++) {
        data[2 * i] = re[i];
        data[2 * i + 1] = im[i];
    }
}

bool den_fourier_image(size_t width, size_t height, double *data, struct den_err *err)
{
    enum { PARTS = 4 };
    struct waves x = {0}, y = {0};
    double *part[PARTS] = {NULL};
    if (width > DEN_FOURIER_SIDE_MAX || height > DEN_FOURIER_SIDE_MAX)
        return den_err_set(err, DEN_E_TOO_LARGE,
                           "an image of %zu x %zu is too large for a Fourier transform; "
                           "%d pixels a side are allowed",
                           width, height, DEN_FOURIER_SIDE_MAX);
    bool done = make_waves(width, den_fourier_columns(width), &x, err) &&
                make_waves(height, height, &y, err);
    for (size_t i = 0; done && i < PARTS; i++)
        done = (part[i] = den_new(height, den_fourier_columns(width) * sizeof(double),
                                  err)) != NULL;
    if (done)
        transform(width, height, &x, &y, data, part);
    for (size_t i = 0; i < PARTS; i++)
        den_free(part[i]);
    release(&x);
    release(&y);
    return done;
}
