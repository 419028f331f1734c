#ifndef DEN_BORDER_H
#define DEN_BORDER_H

/* Pixels beyond the border of an image by reflection, repeated as often as needed, so
 * that an image smaller than the pad is no special case.  n > 0. */

#include <stddef.h>

/* The edge pixel is the mirror: d c b | a b c d | c b a ("reflect" of NumPy and
 * PyTorch). */
static inline size_t den_border_mirror(ptrdiff_t i, size_t n)
{
    if (n == 1)
        return 0;
    ptrdiff_t period = 2 * (ptrdiff_t)(n - 1), at = i % period;
    if (at < 0)
        at += period;
    return (size_t)(at < (ptrdiff_t)n ? at : period - at);
}

/* The edge itself is the mirror, its pixel appears twice: d c b a | a b c d | d c b a
 * ("reflect" of SciPy's ndimage). */
static inline size_t den_border_repeat(ptrdiff_t i, size_t n)
{
    ptrdiff_t period = 2 * (ptrdiff_t)n, at = i % period;
    if (at < 0)
        at += period;
    return (size_t)(at < (ptrdiff_t)n ? at : period - 1 - at);
}

#endif
