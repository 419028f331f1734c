#include "train_images.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "rng.h"

void den_train_images_release(struct den_train_images *images)
{
    den_free(images->train);
    den_free(images->valid);
    *images = (struct den_train_images){0};
}

static int compare_sizes(const void *p, const void *q)
{
    size_t a = *(const size_t *)p, b = *(const size_t *)q;
    return (a > b) - (a < b);
}

/* Keeps `samples` of the training images, drawn without replacement; all when there are
 * fewer. */
static bool draw(struct den_train_images *images, size_t samples, uint64_t seed,
                 struct den_err *err)
{
    size_t count = images->train_count;
    if (samples == 0 || samples >= count)
        return true;
    size_t *order = den_new(count, sizeof *order, err);
    if (order == NULL)
        return false;
    struct den_rng rng;
    den_rng_seed(&rng, seed, DEN_STREAM_SPLIT, 1); /* 0 drew the split itself */
    den_rng_permutation(&rng, count, order);
    for (size_t i = 0; i < samples; i++)
        order[i] = images->train[order[i]];
    qsort(order, samples, sizeof *order, compare_sizes);
    memcpy(images->train, order, samples * sizeof *order);
    images->train_count = samples;
    den_free(order);
    return true;
}

static bool check_sides(const struct den_dataset *dataset,
                        const struct den_train_images *images, size_t crop,
                        struct den_err *err)
{
    for (size_t i = 0; i < images->train_count; i++) {
        const struct den_sample *s = den_dataset_at(dataset, images->train[i]);
        if (s->width < crop || s->height < crop)
            return den_err_field(err, DEN_E_UNPROCESSABLE, "crop",
                                 "%s is %zu x %zu pixels, smaller than crop, which is "
                                 "%zu x %zu",
                                 s->name, s->width, s->height, crop, crop);
    }
    return true;
}

/* ---- normalisation --------------------------------------------------------------- */

/* The fit looks at no more than this many pixels (128 MiB); above, at every k-th one and
 * at the extremes of each image, which decide min_max. */
#define FIT_PIXELS ((size_t)1 << 25)

struct extremes {
    float lowest, highest;
};

static struct extremes extremes_of(const struct den_sample *sample)
{
    size_t pixels = sample->width * sample->height;
    struct extremes e = {sample->noisy[0], sample->noisy[0]};
    for (size_t i = 1; i < pixels; i++) {
        float v = sample->noisy[i];
        e.lowest = v < e.lowest ? v : e.lowest;
        e.highest = v > e.highest ? v : e.highest;
    }
    return e;
}

/* Pixels of all training images that the fit sees; returns how many.  to NULL counts. */
static size_t gather(const struct den_dataset *dataset,
                     const struct den_train_images *images, size_t stride, float *to)
{
    size_t n = 0;
    for (size_t i = 0; i < images->train_count; i++) {
        const struct den_sample *s = den_dataset_at(dataset, images->train[i]);
        size_t pixels = s->width * s->height;
        size_t part = (pixels + stride - 1) / stride;
        for (size_t p = 0; to != NULL && p < part; p++)
            to[n + p] = s->noisy[p * stride];
        n += part;
        if (stride == 1)
            continue;
        if (to != NULL) {
            struct extremes e = extremes_of(s);
            to[n] = e.lowest;
            to[n + 1] = e.highest;
        }
        n += 2;
    }
    return n;
}

static bool fit(const struct den_dataset *dataset, struct den_train_images *images,
                const struct den_norm_kind *kind, struct den_err *err)
{
    bool ok = false;
    size_t all = gather(dataset, images, 1, NULL);
    size_t stride = (all + FIT_PIXELS - 1) / FIT_PIXELS;
    size_t n = gather(dataset, images, stride, NULL);
    float *pixels = den_new(n, sizeof *pixels, err);
    if (pixels == NULL)
        goto out;
    gather(dataset, images, stride, pixels);
    images->norm.kind = kind->name;
    if (!kind->fit(pixels, n, &images->norm.shift, &images->norm.scale, err))
        goto out;
    ok = true;
out:
    den_free(pixels);
    return ok;
}

/* The extremes of the training images, or of each batch. */
static bool reaches_from_minus_1_to_1(const char *kind, bool fitted)
{
    return (strcmp(kind, "min_max") == 0 && fitted) || den_norm_find(kind)->per_image;
}

static void find_range(const struct den_dataset *dataset, bool fitted,
                       struct den_train_images *images)
{
    images->lo = -1;
    images->hi = 1;
    if (reaches_from_minus_1_to_1(images->norm.kind, fitted))
        return;
    struct extremes all = extremes_of(den_dataset_at(dataset, images->train[0]));
    for (size_t i = 1; i < images->train_count; i++) {
        struct extremes e = extremes_of(den_dataset_at(dataset, images->train[i]));
        all.lowest = e.lowest < all.lowest ? e.lowest : all.lowest;
        all.highest = e.highest > all.highest ? e.highest : all.highest;
    }
    images->lo = ((double)all.lowest - images->norm.shift) / images->norm.scale;
    images->hi = ((double)all.highest - images->norm.shift) / images->norm.scale;
    if (!(images->hi > images->lo)) /* constant images: any width will do */
        images->hi = images->lo + 1;
}

bool den_train_images_choose(const struct den_dataset *dataset,
                             const struct den_train_config *config,
                             const struct den_norm *norm, uint64_t seed,
                             struct den_train_images *ret, struct den_err *err)
{
    bool ok = false;
    struct den_train_images images = {0};
    size_t count = den_dataset_size(dataset);
    const struct den_norm_kind *kind = den_norm_find(config->normalisation);
    if (kind == NULL) {
        den_err_field(err, DEN_E_INVALID, "normalisation", "normalisation is not known");
        goto out;
    }
    if ((images.train = den_new(count, sizeof(size_t), err)) == NULL ||
        (images.valid = den_new(count, sizeof(size_t), err)) == NULL)
        goto out;
    den_dataset_split(dataset, config->validation_fraction, seed, images.train,
                      &images.train_count, images.valid, &images.valid_count);
    if (!draw(&images, (size_t)config->samples, seed, err) ||
        !check_sides(dataset, &images, (size_t)config->crop, err) ||
        (norm == NULL && !fit(dataset, &images, kind, err)))
        goto out;
    if (norm != NULL)
        images.norm = *norm;
    find_range(dataset, norm == NULL, &images);
    *ret = images;
    images = (struct den_train_images){0};
    ok = true;
out:
    den_train_images_release(&images);
    return ok;
}
