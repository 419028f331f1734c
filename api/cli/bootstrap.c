#include "bootstrap.h"

#include <stdlib.h>

#include "mem.h"
#include "rng.h"

#define STREAM 0x626f6f74u /* of its own, "boot" */

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between neighbours in proportion (type 7 of Hyndman and Fan, 1996). */
static double quantile(const double *sorted, size_t n, double q)
{
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    double above = below + 1 < n ? sorted[below + 1] : sorted[below];
    return sorted[below] + (at - (double)below) * (above - sorted[below]);
}

bool den_bootstrap_mean(size_t n, const double *values, uint64_t seed, double *ret_low,
                        double *ret_high, struct den_err *err)
{
    struct den_rng rng;
    double *means = den_new(DEN_BOOTSTRAP_SAMPLES, sizeof *means, err);
    if (means == NULL)
        return false;
    den_rng_seed(&rng, seed, STREAM, 0);
    for (size_t b = 0; b < DEN_BOOTSTRAP_SAMPLES; b++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += values[den_rng_below(&rng, n)];
        means[b] = sum / (double)n;
    }
    qsort(means, DEN_BOOTSTRAP_SAMPLES, sizeof *means, by_size);
    *ret_low = quantile(means, DEN_BOOTSTRAP_SAMPLES, 0.025);
    *ret_high = quantile(means, DEN_BOOTSTRAP_SAMPLES, 0.975);
    den_free(means);
    return true;
}
