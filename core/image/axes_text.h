#ifndef DEN_AXES_TEXT_H
#define DEN_AXES_TEXT_H

/* The two kinds of text that den_axes_parse understands, and what they share.  Texts here
 * hold no NUL and are not terminated; true and outputs as of den_axes_parse. */

#include "axes.h"

bool den_axes_ome(const char *text, size_t length, uint32_t pages, struct den_axes *ret,
                  double *ret_pixel_um);
bool den_axes_imagej(const char *text, size_t length, uint32_t pages,
                     struct den_axes *ret);

/* Micrometres of a unit of length as people write it ("um", "nm", "micron"); 0 for none
 * that is known, pixels among them. */
double den_axes_unit_um(const char *unit);

/* A positive number of micrometres, or 0 where size is not a number above 0, or the
 * result is no length a microscope has (1e-6 to 1e9 um: the Bohr radius to a kilometre).
 */
double den_axes_length_um(const char *size, double unit_um);

/* Every dimension at least 1 and t * z * c == pages, in numbers of any size. */
bool den_axes_fill(const struct den_axes *axes, uint32_t pages);

#endif
