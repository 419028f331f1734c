#ifndef DEN_EXPERIMENT_CELLS_H
#define DEN_EXPERIMENT_CELLS_H

/* An experiment as the store has it: its grid and the cells that are done so far. */

#include "experiment.h"
#include "store.h"

struct den_experiment_baseline { /* a row that is not trained */
    bool there;
    double values[DEN_EXPERIMENT_METRICS]; /* as in a cell's result */
};

struct den_experiment_state {
    struct den_experiment *experiment;
    struct den_experiment_result *results;     /* [den_experiment_cells] */
    struct den_experiment_baseline *baselines; /* [1 + filter_count]: noisy, filters */
    bool has_reference;                        /* a crop of the reference is there */
    size_t done;                               /* cells that are not open */
};

bool den_experiment_load(const struct den_store_kind *kind, struct den_store *store,
                         const char *owner, const char *job,
                         struct den_experiment_state *ret,
                         struct den_err *err) DEN_CHECKED;
void den_experiment_release(struct den_experiment_state *state);

/* The number of baseline i among the cells of the store, and back. */
int64_t den_baseline_cell(size_t baseline);
/* values[metric_count] as lines of row; what is not finite is left out, but for
 * infinity. */
bool den_cell_set_values(const struct den_experiment *experiment, const double *values,
                         struct den_cell_row *row, struct den_err *err) DEN_CHECKED;
/* The sample count whose first seed is shown in pictures: all, else the largest. */
size_t den_experiment_shown(const struct den_experiment *experiment);

/* Hands an error of the experiment on with its place as JSON Pointer,
 * "/grid/rows/2/set/crop"; false. */
bool den_experiment_refused(const struct den_err *inner, struct den_err *err);

#endif
