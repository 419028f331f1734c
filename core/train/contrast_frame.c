#include "contrast_frame.h"

#include <math.h>
#include <string.h>

#include "contrast_view.h"
#include "patch.h"

#define AREA_MIN 0.5
#define BLUR_CHANCE 0.1

/* ---- noise ----------------------------------------------------------------------- */

enum {
    BLOCK = 8,   /* pixels */
    ROUNDS = 12, /* of the fit, each with the weights of the one before */
    FLAT = 4     /* spread of blocks, in variances of their means, that is still noise */
};
#define FAR 0.6 /* off the fit, as a part of it; twice what chance makes of a block */

struct blocks {
    size_t n;
    float *mean, *variance;     /* [n] */
    double dark, mean_variance; /* least mean; mean of the variances */
};

/* Mean square of second diagonal differences over four, which is the variance where the
 * image is smooth: constants, slopes and upright edges drop out. */
static void measure(const float *at, size_t side, size_t edge, float *mean,
                    float *variance)
{
    double sum = 0, squares = 0;
    for (size_t y = 0; y < edge; y++, at += side)
        for (size_t x = 0; x < edge; x++) {
            sum += (double)at[x];
            if (y + 1 == edge || x + 1 == edge)
                continue;
            double d = (double)at[x] - (double)at[x + 1] - (double)at[side + x] +
                       (double)at[side + x + 1];
            squares += d * d / 4;
        }
    *mean = (float)(sum / (double)(edge * edge));
    *variance = (float)(squares / (double)((edge - 1) * (edge - 1)));
}

/* Blocks of `edge`; pixels beyond the last whole one are left out. */
static struct blocks measure_all(size_t side, size_t edge, const float *image,
                                 float *scratch)
{
    size_t per_side = side / edge;
    struct blocks b = {per_side * per_side, scratch, scratch + per_side * per_side, 0, 0};
    for (size_t i = 0; i < b.n; i++) {
        size_t y = i / per_side * edge, x = i % per_side * edge;
        measure(image + y * side + x, side, edge, &b.mean[i], &b.variance[i]);
        b.dark = i == 0 ? (double)b.mean[0] : fmin(b.dark, (double)b.mean[i]);
        b.mean_variance += (double)b.variance[i] / (double)b.n;
    }
    return b;
}

/* Whether the means of blocks of `pixels` spread as under noise alone. */
static bool is_flat(const struct blocks *b, size_t pixels)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < b->n; i++) {
        double s = (double)b->mean[i] - b->dark;
        sum += s;
        squares += s * s;
    }
    double n = (double)b->n, spread = squares - sum * sum / n;
    return b->n < 3 || spread <= FLAT * (n - 1) * b->mean_variance / (double)pixels;
}

/* One round of least squares with a, b >= 0.  A measured variance scatters in proportion
 * to the true one, so the weight is its inverse square, as far as it is known.  Blocks
 * with an edge or a spot in them lie far above; from FAR on the weight falls with the
 * fourth power: with the first, of Huber, discs on a plane raised a by 44 %. */
static void refit(const struct blocks *blocks, struct den_contrast_noise *noise)
{
    double w = 0, ws = 0, wss = 0, wv = 0, wsv = 0;
    for (size_t i = 0; i < blocks->n; i++) {
        double v = (double)blocks->variance[i], mean = (double)blocks->mean[i];
        double s = mean - blocks->dark;
        double fit =
            fmax(den_contrast_noise_variance(noise, mean), 0.01 * blocks->mean_variance);
        double near = FAR / fmax(fabs(v / fit - 1), FAR);
        double weight = near * near * near * near / (fit * fit);
        w += weight;
        ws += weight * s;
        wss += weight * s * s;
        wv += weight * v;
        wsv += weight * s * v;
    }
    double a = (w * wsv - ws * wv) / (w * wss - ws * ws), b = (wv - a * ws) / w;
    if (b < 0) {
        a = wsv / wss;
        b = 0;
    }
    noise->a = a > 0 ? a : 0;
    noise->b = a > 0 ? b : wv / w;
}

struct den_contrast_noise den_contrast_noise_fit(size_t side, const float *image,
                                                 float *scratch)
{
    size_t edge = side < BLOCK ? side : BLOCK;
    if (side < 2)
        return (struct den_contrast_noise){0};
    struct blocks blocks = measure_all(side, edge, image, scratch);
    struct den_contrast_noise noise = {0, blocks.mean_variance, blocks.dark};
    if (noise.b > 0 && !is_flat(&blocks, edge * edge))
        for (size_t k = 0; k < ROUNDS; k++)
            refit(&blocks, &noise);
    return noise;
}

double den_contrast_noise_variance(const struct den_contrast_noise *noise, double value)
{
    return noise->a * fmax(value - noise->dark, 0) + noise->b;
}

/* ---- a view ---------------------------------------------------------------------- */

static double between(struct den_rng *rng, double from, double to)
{
    return from + (to - from) * den_rng_unit(rng);
}

/* to = the image turned, blurred, cropped and flipped. */
static void place(struct den_rng *rng, size_t side, const float *from, float *work,
                  float *to)
{
    size_t turns = (size_t)den_rng_below(rng, 4), bytes = side * side * sizeof *to;
    memcpy(to, from, bytes);
    for (size_t t = 0; t < turns; t++)
        den_patch_turn(to, side);
    struct den_contrast_view view = den_contrast_view_crop(rng, AREA_MIN, side);
    if (den_rng_unit(rng) < BLUR_CHANCE)
        den_contrast_view_blur(den_rng_unit(rng), side, 1, to, work);
    else
        memcpy(work, to, bytes);
    den_contrast_view_sample(&view, side, 1, work, to);
}

struct work {
    const struct den_contrast_frames *frames;
    uint64_t batch;
    const float *from;
    float *to;
};

static void fill_one(void *context, size_t i, int thread)
{
    const struct work *work = context;
    const struct den_contrast_frames *f = work->frames;
    size_t count = f->side * f->side;
    const float *from = work->from + i * count;
    float *to = work->to + i * count, *scratch = f->work + (size_t)thread * count;
    struct den_rng rng;
    den_rng_seed(&rng, f->seed, DEN_STREAM_VIEWS, work->batch * f->n + i);
    place(&rng, f->side, from, scratch, to);
    double range = f->hi - f->lo, gain = between(&rng, 0.7, 1.3);
    double offset = between(&rng, -0.1, 0.1) * range;
    double more = between(&rng, 0.5, 2);
    const struct den_contrast_noise noise =
        den_contrast_noise_fit(f->side, from, scratch);
    for (size_t k = 0; k < count; k++) {
        double v = (double)to[k],
               sigma = sqrt(more * den_contrast_noise_variance(&noise, v));
        to[k] =
            (float)(f->lo + gain * (v - f->lo) + offset + sigma * den_rng_normal(&rng));
    }
}

void den_contrast_frames_fill(const struct den_contrast_frames *frames, uint64_t batch,
                              const float *from, float *to)
{
    struct work work = {frames, batch, from, to};
    den_pool_run(frames->pool, frames->n, fill_one, &work);
}
