#include "contrast_frame.h"

#include <math.h>
#include <string.h>

#include "contrast_view.h"
#include "patch.h"

#define AREA_MIN 0.5
#define BLUR_CHANCE 0.1

double den_contrast_noise(size_t side, const float *image)
{
    const double half_normal = 0.7978845608028654; /* E |N(0, 1)| = sqrt(2 / pi) */
    double sum = 0;
    for (size_t y = 0; y + 1 < side; y++)
        for (size_t x = 0; x + 1 < side; x++) {
            const float *at = image + y * side + x;
            sum += fabs((double)(at[0] - at[1] - at[side] + at[side + 1]));
        }
    /* four pixels: twice the deviation of one */
    return side < 2 ? 0 : sum / (double)((side - 1) * (side - 1)) / (2 * half_normal);
}

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
    float *to = work->to + i * count;
    struct den_rng rng;
    den_rng_seed(&rng, f->seed, DEN_STREAM_VIEWS, work->batch * f->n + i);
    place(&rng, f->side, from, f->work + (size_t)thread * count, to);
    double range = f->hi - f->lo, gain = between(&rng, 0.7, 1.3);
    double offset = between(&rng, -0.1, 0.1) * range;
    double deviation = den_contrast_noise(f->side, from) * sqrt(between(&rng, 0.5, 2));
    for (size_t k = 0; k < count; k++)
        to[k] = (float)(f->lo + gain * ((double)to[k] - f->lo) + offset +
                        deviation * den_rng_normal(&rng));
}

void den_contrast_frames_fill(const struct den_contrast_frames *frames, uint64_t batch,
                              const float *from, float *to)
{
    struct work work = {frames, batch, from, to};
    den_pool_run(frames->pool, frames->n, fill_one, &work);
}
