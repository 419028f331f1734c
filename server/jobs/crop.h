#ifndef DEN_CROP_H
#define DEN_CROP_H

/* What a restored image looks like: a small part of it as a picture for a report. */

#include "judge.h"
#include "metric.h"

#define DEN_CROP_SIDE 128 /* pixels, or the whole of a smaller image */

/* The same part of `count` images of the size of c, side by side in one picture, chosen
 * and stretched as below; NULL: the reference.  Written to the PNG file at path. */
bool den_crop_save(const struct den_metric_case *c, const float *const *images,
                   size_t count, const char *path, struct den_err *err) DEN_CHECKED;
/* The part of `image` (of the size of the image at hand) where the reference varies most,
 * in grey values from the 0.5th to the 99.5th percentile of the reference there, so that
 * crops of all methods compare.  The reference is a * reference + b, in the gain of the
 * noisy image.  image NULL: the reference itself.  temporary: a file to write to, gone
 * afterwards.  *ret: a PNG file in base64, den_free. */
bool den_crop_png(const struct den_judge *judge, const float *image,
                  const char *temporary, char **ret, struct den_err *err) DEN_CHECKED;

#endif
