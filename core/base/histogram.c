#include "histogram.h"

const struct den_histogram_bounds den_request_bounds = {
    14, {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 60}};
const struct den_histogram_bounds den_job_bounds = {
    13, {0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 10800, 36000, 86400}};

void den_histogram_add(struct den_histogram *histogram,
                       const struct den_histogram_bounds *bounds, double seconds)
{
    const double most = 1e9; /* keeps the conversion below defined */
    size_t place = 0;
    if (!(seconds > 0))
        seconds = 0;
    while (place < bounds->count && seconds > bounds->at[place])
        place++;
    double micros = 1e6 * (seconds < most ? seconds : most);
    atomic_fetch_add_explicit(&histogram->counts[place], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->micros, (uint64_t)micros, memory_order_relaxed);
}

struct den_histogram_view den_histogram_look(struct den_histogram *histogram,
                                             const struct den_histogram_bounds *bounds)
{
    struct den_histogram_view view = {
        .sum = 1e-6 *
               (double)atomic_load_explicit(&histogram->micros, memory_order_relaxed)};
    uint64_t all = 0;
    for (size_t i = 0; i <= bounds->count; i++) {
        all += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        view.upto[i] = all;
    }
    return view;
}
