#ifndef DEN_BOOTSTRAP_H
#define DEN_BOOTSTRAP_H

/* The percentile bootstrap interval of a mean [Efron and Tibshirani, An Introduction to
 * the Bootstrap, 1993, chapter 13]: the 2.5th and the 97.5th percentile of the means of
 * 10,000 samples of n values, drawn with replacement. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

#define DEN_BOOTSTRAP_SAMPLES 10000

/* values: [n], n > 0, finite.  Same seed, same values: same interval. */
bool den_bootstrap_mean(size_t n, const double *values, uint64_t seed, double *ret_low,
                        double *ret_high, struct den_err *err) DEN_CHECKED;

#endif
