#ifndef DEN_FOURIER_H
#define DEN_FOURIER_H

/* The discrete Fourier transform of an image of any size; OpenBLAS does the work. */

#include <stddef.h>

#include "err.h"

#define DEN_FOURIER_SIDE_MAX 4096 /* where it takes a quarter of a minute */

/* Columns of a half spectrum: those of negative frequency are conjugates of others. */
static inline size_t den_fourier_columns(size_t width)
{
    return width / 2 + 1;
}

/* In place, data [height][2 columns] doubles from den_calloc64: on entry the first
 * `width` of each row are pixels; afterwards element [v][2 u] and [v][2 u + 1] are real
 * and imaginary part of F(u, v) = sum_xy f(x, y) exp(-2 pi i (u x / width + v y /
 * height)), unscaled, u <= width / 2.  DEN_E_TOO_LARGE,
 * DEN_E_NO_MEMORY.  From any thread. */
bool den_fourier_image(size_t width, size_t height, double *data,
                       struct den_err *err) DEN_CHECKED;

#endif
