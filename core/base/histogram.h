#ifndef DEN_HISTOGRAM_H
#define DEN_HISTOGRAM_H

/* How durations are spread, counted from any thread without a lock. */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { DEN_HISTOGRAM_BOUNDS = 16 }; /* at most */

struct den_histogram_bounds {
    size_t count;
    double at[DEN_HISTOGRAM_BOUNDS]; /* ascending upper bounds, seconds */
};
extern const struct den_histogram_bounds den_request_bounds; /* 1 ms to a minute */
extern const struct den_histogram_bounds den_job_bounds;     /* 0.1 s to a day */

/* All zero = empty. */
struct den_histogram {
    atomic_uint_fast64_t
        counts[DEN_HISTOGRAM_BOUNDS + 1]; /* the last: above all bounds */
    atomic_uint_fast64_t micros;          /* sum */
};
struct den_histogram_view {
    uint64_t upto[DEN_HISTOGRAM_BOUNDS + 1]; /* durations <= at[i]; the last place used,
                                                [bounds->count], counts all */
    double sum;                              /* seconds */
};

/* Negative ones and NaN count as 0. */
void den_histogram_add(struct den_histogram *histogram,
                       const struct den_histogram_bounds *bounds, double seconds);
struct den_histogram_view den_histogram_look(struct den_histogram *histogram,
                                             const struct den_histogram_bounds *bounds);

#endif
