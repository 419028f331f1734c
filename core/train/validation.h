#ifndef DEN_VALIDATION_H
#define DEN_VALIDATION_H

/* How good the weights are on images that are not trained on: whole images through
 * den_infer (running statistics, as in use), mean PSNR against the training target. */

#include "dataset.h"
#include "infer.h"

/* Cheap enough to repeat: this many images, centre crops of at most this side. */
#define DEN_VALIDATION_IMAGES 8
#define DEN_VALIDATION_SIDE 512

struct den_validation;

/* How one of the images comes out, for people to look at: grey values [height][width]. */
struct den_validation_view {
    size_t width, height;
    const float *noisy, *denoised, *target;
};

/* From images[count] of the data set, evenly spaced when there are more than are used; an
 * image whose target is constant has no PSNR and is left out.  pool is borrowed. */
bool den_validation_new(const struct den_dataset *dataset, const size_t *images,
                        size_t count, bool match_gain, struct den_pool *pool,
                        struct den_validation **ret, struct den_err *err) DEN_CHECKED;
void den_validation_free(struct den_validation *validation);
/* Images in use, 0 to DEN_VALIDATION_IMAGES. */
size_t den_validation_size(const struct den_validation *validation);
/* show, may be NULL, gets the first of the images while it is measured.  Mean over images
 * of the PSNR in dB; NaN or -infinity when the net's output is not finite. Images that
 * are restored exactly count as 200 dB.  Size must be > 0. */
bool den_validation_psnr(const struct den_validation *validation, struct den_model *model,
                         void (*show)(void *context,
                                      const struct den_validation_view *view),
                         void *context, double *ret, struct den_err *err) DEN_CHECKED;

#endif
