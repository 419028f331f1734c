#ifndef DEN_RUN_EXPERIMENT_H
#define DEN_RUN_EXPERIMENT_H

/* What the files of the job kind experiment share. */

#include "experiment_cells.h"
#include "job_images.h"
#include "judge.h"
#include "restorer.h"

struct den_grid {
    struct den_job_context *context;
    const char *dataset; /* to train on; id */
    struct den_experiment_state state;
    struct den_job_images train_images, test_images;
    struct den_dataset *train, *test;
    struct den_judge judge; /* on test */
    size_t steps, tests;    /* ticks of a cell: of its training, of its test */
    size_t base;            /* ticks before the cell at hand */
    size_t total;           /* ticks of all cells */
};

/* Divides the images of the data set as the experiment says; no test image is trained on.
 * *ret_train, *ret_test: release. */
bool den_grid_divide(struct den_service *service, const struct den_experiment *experiment,
                     const char *owner, const char *dataset,
                     struct den_job_images *ret_train, struct den_job_images *ret_test,
                     struct den_err *err) DEN_CHECKED;
/* Judges and stores what the cells are compared with, unless it is there. */
bool den_grid_baselines(struct den_grid *grid, struct den_err *err) DEN_CHECKED;
/* Trains, judges and stores one cell.  DEN_E_DRAINING keeps its checkpoint. */
bool den_grid_cell(struct den_grid *grid, size_t cell, struct den_err *err) DEN_CHECKED;

#endif
