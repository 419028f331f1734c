#ifndef DEN_TRAIN_IMAGES_H
#define DEN_TRAIN_IMAGES_H

/* Which images of the data set a run trains on and which it validates on, and how their
 * grey values become network values. */

#include "dataset.h"
#include "model.h"
#include "train_config.h"

struct den_train_images {
    size_t *train, *valid; /* indices into the data set, ascending */
    size_t train_count, valid_count;
    struct den_norm norm; /* of the noisy training images */
    double lo, hi;        /* network values that the pixel losses count as -1 and 1 */
};

/* Splits off validation, draws config->samples of the rest, checks that every training
 * image holds a crop (DEN_E_UNPROCESSABLE names image, size and crop), and fits the
 * normalisation, unless `norm` gives that of a base model.  lo, hi: -1, 1 for batch_joint
 * and a fitted min_max, else the darkest and brightest noisy training pixel, so that
 * lambda weighs the same whatever the normalisation. */
bool den_train_images_choose(const struct den_dataset *dataset,
                             const struct den_train_config *config,
                             const struct den_norm *norm, uint64_t seed,
                             struct den_train_images *ret,
                             struct den_err *err) DEN_CHECKED;
void den_train_images_release(struct den_train_images *images);

#endif
