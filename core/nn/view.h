#ifndef DEN_VIEW_H
#define DEN_VIEW_H

/* Activations are channels-last (NHWC) with a halo of zero pixels around each image, so
 * that a padded convolution reads its border without a test, and with a pixel stride ld
 * >= c, so that the two halves of a skip connection lie side by side in one buffer. */

#include <stddef.h>

#include "real.h"

struct den_shape {
    size_t n, h, w, c; /* images, rows, columns, channels */
};

static inline size_t den_shape_count(struct den_shape s)
{
    return s.n * s.h * s.w * s.c;
}

/* Element (i, y, x, k) lies at data[((i * (h + 2 halo) + y) * (w + 2 halo) + x) * ld +
 * k]; data points at pixel (0, 0) of image 0, and y, x may run from -halo to h - 1 +
 * halo. Halo pixels hold zero and are never written. */
struct den_view {
    struct den_shape shape;
    size_t ld;
    size_t halo;
    den_real *data;
};

static inline size_t den_view_row(const struct den_view *v) /* elements from row to row */
{
    return (v->shape.w + 2 * v->halo) * v->ld;
}

static inline size_t
den_view_image(const struct den_view *v) /* elements from image to image */
{
    return (v->shape.h + 2 * v->halo) * den_view_row(v);
}

static inline den_real *den_view_at(const struct den_view *v, size_t i, size_t y,
                                    size_t x)
{
    return v->data + i * den_view_image(v) + y * den_view_row(v) + x * v->ld;
}

#endif
