#ifndef DEN_BACKEND_CPU_MAP_H
#define DEN_BACKEND_CPU_MAP_H

/* Private to backend_cpu: runs a loop over the rows of up to three views of one shape. */

#include "backend.h"

enum { DEN_MAP_VIEWS = 3 };

/* One image row: `spans` runs of `len` reals; run j of view v starts at at[v] + j *
 * step[v].  Where all views are packed (ld == c) a row is one run. */
struct den_row {
    size_t spans, len;
    den_real *at[DEN_MAP_VIEWS];
    size_t step[DEN_MAP_VIEWS];
    uint64_t index; /* packed NHWC index of its first element */
};

/* An element-wise kernel; unused views are NULL. */
struct den_map {
    void (*row)(const struct den_map *map, const struct den_row *row);
    const struct den_view *view[DEN_MAP_VIEWS]; /* the first is never NULL */
    bool add;
    den_real a, b;
    double p;
    uint64_t key;
};

void den_map_run(const struct den_exec *ex, const struct den_map *map);

/* Row y of image i. */
struct den_row den_map_row(const struct den_view *const view[DEN_MAP_VIEWS], size_t i,
                           size_t y);

#endif
