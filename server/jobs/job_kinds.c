#include "run_kinds.h"

const struct den_job_kind *const den_job_kinds[] = {
    &den_job_train, &den_job_denoise, &den_job_evaluate, &den_job_experiment, NULL,
};
_Static_assert(sizeof den_job_kinds / sizeof den_job_kinds[0] == DEN_JOB_KINDS + 1,
               "what is counted by kind has a place for each");
