#ifndef DEN_PATCH_H
#define DEN_PATCH_H

/* Square crops of training images, put together into batches.  What a batch holds is a
 * pure function of (seed, step): no state lies between two steps, so that a run can start
 * at any of them. */

#include "dataset.h"
#include "model.h"

struct den_patches {
    const struct den_dataset *dataset;
    const size_t *images; /* [count] indices into the data set */
    size_t count;         /* > 0 */
    size_t batch, side;   /* crops per batch; pixels; no image is smaller */
    bool augment, match_gain;
    uint64_t seed;
    struct den_norm norm;
    size_t *order;  /* [count] scratch for the order of an epoch */
    bool per_batch; /* instead of norm: minimum and maximum of each batch to -1 and 1 */
};

/* Which image is at `position` of the endless list of images, in which each epoch is a
 * permutation of all of them, drawn from (seed, epoch).  Returns an index into images.
 * Scratch: order; *epoch is the one that order holds (SIZE_MAX = none yet). */
size_t den_patches_pick(const struct den_patches *patches, size_t position,
                        size_t *epoch);

/* Batch number `step`: noisy, clean [batch][side][side] in network units.  Slot i takes
 * list position step * batch + i; crop offset uniform; with augment a horizontal flip
 * (p = 0.5), then 0 to 3 quarter turns, the same for both. */
void den_patches_fill(const struct den_patches *patches, size_t step, float *noisy,
                      float *clean);
/* The same noisy and clean, bit for bit; and twin [batch][side][side]: slot i has another
 * noisy frame of the same scene and size among `images`, drawn from (seed, list position)
 * with equal chances; same window, orientation and normalisation.  Where a scene has one
 * frame only, that frame again.  Grey values of frames are taken as they are, whatever
 * match_gain.  A slot looks at each of the `count` images up to twice.  twin may be NULL.
 */
void den_patches_fill_twin(const struct den_patches *patches, size_t step, float *noisy,
                           float *clean, float *twin);

/* In place on [side][side]: mirror left and right; turn by 90 degrees anticlockwise. */
void den_patch_flip(float *patch, size_t side);
void den_patch_turn(float *patch, size_t side);

#endif
