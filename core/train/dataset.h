#ifndef DEN_DATASET_H
#define DEN_DATASET_H

/* Training images in memory, as floats (grey values), with their targets. */

#include "image.h"

enum den_dataset_kind {
    DEN_PAIRS,  /* each noisy image with its clean one */
    DEN_REPEATS /* noisy frames of ONE static scene; target = mean of the other frames */
};

/* One noisy page and, for pairs, its reference page.  Strings are borrowed during open.
 */
struct den_source {
    const char *name; /* for messages: the user's file name */
    const char *noisy_path;
    uint32_t noisy_page;
    const char *clean_path; /* NULL for repeats */
    uint32_t clean_page;
    const char *scene; /* equal text = same static scene; NULL = a scene of its own, but
                          for repeats NULL = all of one scene */
};

struct den_sample {
    const char *name;
    size_t width, height, scene; /* scene: number, 0-based */
    const float *noisy;          /* [height][width] */
};

struct den_dataset;

/* Checks: pairs of equal size (the sentence names both sizes), all pages finite, at least
 * one sample (two of each scene for repeats), sum of bytes within max_bytes.  A clean
 * page named by several sources is held once. */
bool den_dataset_open(enum den_dataset_kind kind, const struct den_source *sources,
                      size_t count, const struct den_image_limits *limits,
                      size_t max_bytes, struct den_dataset **ret,
                      struct den_err *err) DEN_CHECKED;
void den_dataset_free(struct den_dataset *dataset);
size_t den_dataset_size(const struct den_dataset *dataset);
size_t den_dataset_scenes(const struct den_dataset *dataset);
const struct den_sample *den_dataset_at(const struct den_dataset *dataset, size_t index);
/* Target of sample `index` in rows [y, y + h), columns [x, x + w) into to[h][w]; for
 * repeats the mean of the other frames.  match_gain: a * clean + b, fitted over the whole
 * image at open (pairs; frames of one scene are taken to share their gain). */
void den_dataset_target(const struct den_dataset *dataset, size_t index, size_t x,
                        size_t y, size_t w, size_t h, bool match_gain, float *to);
/* How many of `units` scenes or images the split below gives to validation. */
size_t den_validation_share(double fraction, size_t units);
/* Splits into training and validation indices: whole scenes when there is more than one,
 * else images; validation gets round(fraction * count), at least one when fraction > 0
 * and two or more exist, and never all.  Arrays have room for den_dataset_size entries.
 * A pure function of seed. */
void den_dataset_split(const struct den_dataset *dataset, double fraction, uint64_t seed,
                       size_t *ret_train, size_t *ret_train_count, size_t *ret_valid,
                       size_t *ret_valid_count);

#endif
