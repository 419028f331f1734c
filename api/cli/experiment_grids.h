#ifndef DEN_EXPERIMENT_GRIDS_H
#define DEN_EXPERIMENT_GRIDS_H

/* Ready grids for `denoise experiment --grid NAME`. */

#include <jansson.h>

#include "err.h"

struct den_ready_grid {
    const char *name, *doc;
    const char *json; /* an object, as in a file that the command reads */
};
extern const struct den_ready_grid den_ready_grids[]; /* ends with name NULL */

/* *ret: the caller's to decref.  DEN_E_INVALID lists the names there are. */
bool den_ready_grid_get(const char *name, json_t **ret, struct den_err *err) DEN_CHECKED;

#endif
