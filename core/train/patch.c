#include "patch.h"

#include <math.h>
#include <string.h>

#include "rng.h"

void den_patch_flip(float *patch, size_t side)
{
    for (size_t y = 0; y < side; y++, patch += side)
        for (size_t x = 0; x < side / 2; x++) {
            float left = patch[x];
            patch[x] = patch[side - 1 - x];
            patch[side - 1 - x] = left;
        }
}

/* Pixels move in cycles of four: (x, y) takes what lies a quarter turn clockwise of it.
 */
void den_patch_turn(float *patch, size_t side)
{
    for (size_t y = 0; y < side / 2; y++)
        for (size_t x = 0; x < (side + 1) / 2; x++) {
            size_t far_x = side - 1 - x, far_y = side - 1 - y;
            float *a = &patch[y * side + x], *b = &patch[x * side + far_y];
            float *c = &patch[far_y * side + far_x], *d = &patch[far_x * side + y];
            float first = *a;
            *a = *b;
            *b = *c;
            *c = *d;
            *d = first;
        }
}

size_t den_patches_pick(const struct den_patches *patches, size_t position, size_t *epoch)
{
    size_t wanted = position / patches->count;
    if (*epoch != wanted) {
        struct den_rng rng;
        den_rng_seed(&rng, patches->seed, DEN_STREAM_ORDER, wanted);
        den_rng_permutation(&rng, patches->count, patches->order);
        *epoch = wanted;
    }
    return patches->order[position % patches->count];
}

static void normalise(const struct den_norm *norm, float *pixels, size_t n)
{
    float shift = (float)norm->shift, factor = (float)(1 / norm->scale);
    for (size_t i = 0; i < n; i++)
        pixels[i] = (pixels[i] - shift) * factor;
}

/* Where the crop at a list position lies in images of the sample's size. */
static void place(const struct den_patches *patches, const struct den_sample *sample,
                  size_t position, size_t *x, size_t *y)
{
    struct den_rng rng;
    den_rng_seed(&rng, patches->seed, DEN_STREAM_CROP, position);
    *x = (size_t)den_rng_below(&rng, sample->width - patches->side + 1);
    *y = (size_t)den_rng_below(&rng, sample->height - patches->side + 1);
}

/* The window [side][side] in grey values. */
static void cut(const struct den_sample *sample, size_t x, size_t y, size_t side,
                float *to)
{
    for (size_t row = 0; row < side; row++)
        memcpy(to + row * side, sample->noisy + (y + row) * sample->width + x,
               side * sizeof *to);
}

static void augment(const struct den_patches *patches, size_t position, float *patch)
{
    struct den_rng rng;
    den_rng_seed(&rng, patches->seed, DEN_STREAM_AUGMENT, position);
    bool flip = den_rng_below(&rng, 2) == 1;
    size_t turns = (size_t)den_rng_below(&rng, 4);
    if (flip)
        den_patch_flip(patch, patches->side);
    for (size_t t = 0; t < turns; t++)
        den_patch_turn(patch, patches->side);
}

/* ---- twins ----------------------------------------------------------------------- */

/* Frames of pairs may differ in size even within a scene; their windows do not then show
 * the same. */
static bool are_twins(const struct den_sample *a, const struct den_sample *b)
{
    return a != b && a->scene == b->scene && a->width == b->width &&
           a->height == b->height;
}

static const struct den_sample *sample_of(const struct den_patches *patches, size_t i)
{
    return den_dataset_at(patches->dataset, patches->images[i]);
}

static const struct den_sample *draw_twin(const struct den_patches *patches,
                                          const struct den_sample *sample,
                                          size_t position)
{
    size_t twins = 0;
    for (size_t i = 0; i < patches->count; i++)
        twins += are_twins(sample, sample_of(patches, i));
    if (twins == 0)
        return sample;
    struct den_rng rng;
    den_rng_seed(&rng, patches->seed, DEN_STREAM_TWIN, position);
    size_t skip = (size_t)den_rng_below(&rng, twins);
    for (size_t i = 0;; i++) {
        const struct den_sample *other = sample_of(patches, i);
        if (are_twins(sample, other) && skip-- == 0)
            return other;
    }
}

/* ---- a batch --------------------------------------------------------------------- */

/* One slot in grey values, each [side][side]; twin may be NULL. */
static void fill_slot(const struct den_patches *patches, size_t index, size_t position,
                      float *noisy, float *clean, float *twin)
{
    const struct den_sample *sample = den_dataset_at(patches->dataset, index);
    size_t side = patches->side, x, y;
    place(patches, sample, position, &x, &y);
    cut(sample, x, y, side, noisy);
    den_dataset_target(patches->dataset, index, x, y, side, side, patches->match_gain,
                       clean);
    if (twin != NULL)
        cut(draw_twin(patches, sample, position), x, y, side, twin);
    if (!patches->augment)
        return;
    augment(patches, position, noisy);
    augment(patches, position, clean);
    if (twin != NULL)
        augment(patches, position, twin);
}

/* Of both images jointly, as the authors' code does; all pixels are finite. */
static void fit_batch(const float *noisy, const float *clean, size_t n,
                      struct den_norm *norm)
{
    float low = noisy[0], high = noisy[0];
    for (size_t i = 0; i < n; i++) {
        float least = fminf(noisy[i], clean[i]), most = fmaxf(noisy[i], clean[i]);
        low = fminf(low, least);
        high = fmaxf(high, most);
    }
    norm->shift = ((double)low + (double)high) / 2;
    norm->scale = high > low ? ((double)high - (double)low) / 2 : 1;
}

void den_patches_fill_twin(const struct den_patches *patches, size_t step, float *noisy,
                           float *clean, float *twin)
{
    size_t pixels = patches->side * patches->side, epoch = SIZE_MAX;
    for (size_t slot = 0; slot < patches->batch; slot++) {
        size_t position = step * patches->batch + slot, at = slot * pixels;
        size_t image = den_patches_pick(patches, position, &epoch);
        fill_slot(patches, patches->images[image], position, noisy + at, clean + at,
                  twin != NULL ? twin + at : NULL);
    }
    size_t all = patches->batch * pixels;
    struct den_norm norm = patches->norm;
    if (patches->per_batch)
        fit_batch(noisy, clean, all, &norm);
    normalise(&norm, noisy, all);
    normalise(&norm, clean, all);
    if (twin != NULL)
        normalise(&norm, twin, all);
}

void den_patches_fill(const struct den_patches *patches, size_t step, float *noisy,
                      float *clean)
{
    den_patches_fill_twin(patches, step, noisy, clean, NULL);
}
