#include "run_kinds.h"

const struct den_job_kind *const den_job_kinds[] = {
    &den_job_train, &den_job_denoise, &den_job_evaluate, &den_job_experiment, NULL,
};
