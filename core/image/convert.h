#ifndef DEN_CONVERT_H
#define DEN_CONVERT_H

/* Pixel type conversion without rescaling: 16-bit 4711 is 4711.0f.  float has 24 bits:
 * larger integers and float64 are rounded to it. */

#include "image.h"

void den_to_float(enum den_dtype dtype, const void *from, float *to, size_t n);
/* Rounds to nearest, halves away from zero, and clips to the type's range; returns how
 * many pixels were clipped. */
uint64_t den_from_float(enum den_dtype dtype, const float *from, void *to, size_t n);
/* The same for integers that use the lowest `bits` of their type: 12 clips to 0..4095. */
uint64_t den_from_float_bits(enum den_dtype dtype, uint32_t bits, const float *from,
                             void *to, size_t n);
/* Index of the first NaN or infinity, or n. */
size_t den_find_nonfinite(const float *pixels, size_t n);

/* The q-quantile (0..1) with linear interpolation between order statistics (R type 7).
 * DEN_E_NO_MEMORY only: it sorts a copy. */
bool den_quantiles(const float *pixels, size_t n, const double *q, size_t count,
                   double *ret, struct den_err *err) DEN_CHECKED;

/* An 8-bit view for people: [low, high] quantiles to 0..255. */
bool den_preview(const float *pixels, size_t n, double low, double high,
                 unsigned char *ret, struct den_err *err) DEN_CHECKED;

#endif
