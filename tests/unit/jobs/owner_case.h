#ifndef DEN_OWNER_CASE_H
#define DEN_OWNER_CASE_H

/* Two owners, and models of theirs. */

#include "store_case.h"

#define ALICE "alice"
#define BOB "bob"

/* Claims the one job that waits. */
static inline struct den_job_row run_job(const char *owner, struct den_job_row row)
{
    struct den_err err = DEN_ERR_INIT;
    must(kind->job_add(store, owner, &row, 0, &err));
    struct den_job_row claimed = claim(EVERY_CLASS);
    ck_assert_str_eq(claimed.id, row.id);
    ck_assert_str_eq(claimed.owner, owner);
    claimed.state = DEN_JOB_SUCCEEDED;
    return claimed;
}

static inline void add_own_model(const char *owner, const char *name, uint64_t seed)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = run_job(owner, new_job("train"));
    struct den_model_row model = {.seed = seed, .created_ms = 5};
    assign(model.name, name);
    assign(model.job, row.id);
    must(kind->job_finish(store, &row, &model, NULL, 0, &err));
    ck_assert_str_eq(model.owner, owner);
}

#endif
