#ifndef DEN_RUN_KINDS_H
#define DEN_RUN_KINDS_H

/* The rows of den_job_kinds[], each in its own file. */

#include "run.h"

extern const struct den_job_kind den_job_train, den_job_denoise, den_job_evaluate,
    den_job_experiment;

#endif
