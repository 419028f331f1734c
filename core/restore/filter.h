#ifndef DEN_FILTER_H
#define DEN_FILTER_H

/* Classical filters: the baselines that every report shows, and methods of a denoise job.
 */

#include <stddef.h>

#include "err.h"
#include "pool.h"

#define DEN_FILTER_OPTIONS 4

struct den_filter_option {
    const char *name, *doc;
    double minimum, maximum, standard; /* standard = default */
    bool whole;                        /* whole numbers only */
};

struct den_filter {
    const char *name, *doc;
    struct den_filter_option options[DEN_FILTER_OPTIONS]; /* unused have name NULL */
    /* in, out: [height][width], not overlapping; values in the order of options; border
     * by reflection. */
    bool (*apply)(struct den_pool *pool, size_t width, size_t height, const float *in,
                  float *out, const double *values, struct den_err *err);
    /* What apply allocates, in bytes. */
    size_t (*bytes)(size_t width, const double *values, int threads);
};
/* gaussian (sigma, default 1.5), median (radius, default 2: a 5 x 5 window) */
extern const struct den_filter *const den_filters[]; /* ends with NULL */
const struct den_filter *den_filter_find(const char *name);
extern const struct den_filter den_filter_gaussian, den_filter_median;
/* Fills values with the defaults. */
void den_filter_defaults(const struct den_filter *filter, double *values);
/* Every value within its option's range, and whole where it must be; DEN_E_INVALID names
 * option, value and range.  apply asks this first. */
bool den_filter_check(const struct den_filter *filter, const double *values,
                      struct den_err *err) DEN_CHECKED;

#endif
