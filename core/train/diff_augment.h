#ifndef DEN_DIFF_AUGMENT_H
#define DEN_DIFF_AUGMENT_H

/* Differentiable augmentation of what a discriminator sees, generated and real alike
 * [Zhao et al., NeurIPS 2020, DiffAugment]: a shift by up to an eighth of the side, and a
 * square of half the side cut out, both filled with 0.  Both are linear, so gradients go
 * back through the adjoint.  (Their third one, colour, would mix the two images of a
 * pair.)  Arrays are packed [side][side][2]. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct den_diff_augment {
    const char *name, *doc;
    bool translation, cutout;
};
extern const struct den_diff_augment *const den_diff_augments[]; /* ends with NULL */
/* NULL for "none" and for words that are no row. */
const struct den_diff_augment *den_diff_augment_find(const char *name);

/* What is done to one image: result (y, x) is input (y + dy, x + dx), then rows [top,
 * bottom) of columns [left, right) are 0. */
struct den_diff_draw {
    int64_t dy, dx;
    size_t top, bottom, left, right;
};
/* A pure function of its arguments. */
struct den_diff_draw den_diff_augment_draw(const struct den_diff_augment *policy,
                                           uint64_t seed, uint64_t index, size_t side);
void den_diff_augment_apply(const struct den_diff_draw *draw, size_t side,
                            const float *from, float *to);
/* dfrom = the adjoint of apply at dto. */
void den_diff_augment_adjoint(const struct den_diff_draw *draw, size_t side,
                              const float *dto, float *dfrom);

#endif
