#ifndef DEN_VECTORS_H
#define DEN_VECTORS_H

/* Reproducible test data: the same stream of numbers can be drawn in a few lines of any
 * language, so that expected values can be computed elsewhere (here: PyTorch 1.13 in
 * float64).  Arrays there are NCHW, ours are packed NHWC; conv weights there are
 * (out, in, kh, kw) and those of a transposed convolution (in, out, kh, kw), ours are
 * [kh][kw][ci][co] of the convolution whose adjoint it is.     */

#include <stddef.h>
#include <stdint.h>

#include "real.h"

struct lcg {
    uint32_t s; /* starts as the seed */
};

/* Uniform in [0, 1).  [Numerical Recipes' 32-bit linear congruential generator.] */
static inline double lcg_u(struct lcg *g)
{
    g->s = 1664525u * g->s + 1013904223u;
    return g->s / 4294967296.0;
}

/* n numbers from centre - a to centre + a. */
static inline void lcg_fill_about(struct lcg *g, den_real *to, size_t n, double centre,
                                  double a)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (den_real)(centre + (2 * lcg_u(g) - 1) * a);
}

/* U(a): n numbers from -a to a. */
static inline void lcg_fill(struct lcg *g, den_real *to, size_t n, double a)
{
    lcg_fill_about(g, to, n, 0, a);
}

/* from [n][c][h][w], to [n][h][w][c]. */
static inline void nchw_to_nhwc(const den_real *from, den_real *to, size_t n, size_t c,
                                size_t h, size_t w)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < c; k++)
            for (size_t p = 0; p < h * w; p++)
                to[(i * h * w + p) * c + k] = from[(i * c + k) * h * w + p];
}

/* from [n][h][w][c], to [n][c][h][w]. */
static inline void nhwc_to_nchw(const den_real *from, den_real *to, size_t n, size_t c,
                                size_t h, size_t w)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < c; k++)
            for (size_t p = 0; p < h * w; p++)
                to[(i * c + k) * h * w + p] = from[(i * h * w + p) * c + k];
}

/* from (a, b, kh, kw), to [kh][kw][b][a]: for a convolution a = out, b = in; for a
 * transposed one a = in, b = out. */
static inline void weights_from_nchw(const den_real *from, den_real *to, size_t a,
                                     size_t b, size_t kh, size_t kw)
{
    for (size_t i = 0; i < a; i++)
        for (size_t j = 0; j < b; j++)
            for (size_t t = 0; t < kh * kw; t++)
                to[(t * b + j) * a + i] = from[(i * b + j) * kh * kw + t];
}

/* from [kh][kw][b][a], to (a, b, kh, kw). */
static inline void weights_to_nchw(const den_real *from, den_real *to, size_t a, size_t b,
                                   size_t kh, size_t kw)
{
    for (size_t i = 0; i < a; i++)
        for (size_t j = 0; j < b; j++)
            for (size_t t = 0; t < kh * kw; t++)
                to[(i * b + j) * kh * kw + t] = from[(t * b + j) * a + i];
}

static inline double sum_of(const den_real *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)x[i];
    return s;
}

static inline double sumsq_of(const den_real *x, size_t n)
{
    double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (double)x[i] * (double)x[i];
    return s;
}

#endif
