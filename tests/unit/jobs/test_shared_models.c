/* Models that their owners share: seen and used by everybody, changed by one. */

#include "owner_case.h"

START_TEST(a_shared_model_is_everybodys_to_use_and_its_owners_to_change)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row model, rows[4];
    struct den_job_row job = new_job("denoise");
    size_t count = 0;
    add_own_model(ALICE, "cells", 1);
    add_own_model(ALICE, "cells", 2);
    must(kind->model_share(store, ALICE, "cells", true, &model, &err));
    ck_assert(model.shared);
    ck_assert_int_eq(model.version, 2);
    must(kind->model_get(store, BOB, "cells", 1, &model, &err));
    ck_assert_str_eq(model.owner, ALICE);
    ck_assert(model.shared);
    must(kind->model_list(store, BOB, NULL, "", 4, rows, &count, &err));
    ck_assert_uint_eq(count, 1);
    must(kind->model_list(store, BOB, "cells", "", 4, rows, &count, &err));
    ck_assert_uint_eq(count, 2);
    must_fail(kind->model_own(store, BOB, "cells", 1, &model, &err), DEN_E_NOT_FOUND,
              "cells");
    struct den_alias_row alias = {.model = "cells", .name = "best", .version = 2};
    must_fail(kind->alias_set(store, BOB, &alias, -1, &err), DEN_E_FORBIDDEN, ALICE);
    must(kind->alias_set(store, ALICE, &alias, -1, &err));
    must(kind->alias_get(store, BOB, "cells", "best", &alias, &err));
    ck_assert_int_eq(alias.version, 2);
    must_fail(kind->alias_delete(store, BOB, "cells", "best", &err), DEN_E_FORBIDDEN,
              ALICE);
    must_fail(kind->alias_rollback(store, BOB, "cells", "best", &alias, &err),
              DEN_E_FORBIDDEN, ALICE);
    must(kind->alias_delete(store, ALICE, "cells", "best", &err));
    must_fail(kind->model_delete(store, BOB, "cells", 0, &err), DEN_E_FORBIDDEN, ALICE);
    must_fail(kind->model_delete(store, BOB, "cells", 2, &err), DEN_E_FORBIDDEN, ALICE);
    must_fail(kind->model_delete(store, BOB, "cells", 9, &err), DEN_E_NOT_FOUND, "9");
    must_fail(kind->model_share(store, BOB, "cells", false, &model, &err),
              DEN_E_FORBIDDEN, ALICE);
    /* A job of anybody holds it, also when it is no longer shared. */
    assign(job.model, "cells");
    assign(job.model_owner, ALICE);
    job.version = 1;
    must(kind->job_add(store, BOB, &job, 0, &err));
    must(kind->model_share(store, ALICE, "cells", false, &model, &err));
    ck_assert(!model.shared);
    must_fail(kind->model_get(store, BOB, "cells", 0, &model, &err), DEN_E_NOT_FOUND,
              "cells");
    must_fail(kind->model_delete(store, ALICE, "cells", 1, &err), DEN_E_CONFLICT,
              "another user");
    ck_assert_ptr_null(strstr(err.text, job.id));
    err = DEN_ERR_INIT;
    must(kind->model_delete(store, ALICE, "cells", 2, &err)); /* which it does not use */
    must(kind->job_cancel(store, BOB, job.id, &job, &err));
    must(kind->model_delete(store, ALICE, "cells", 1, &err));
    struct den_job_row late = new_job("denoise");
    assign(late.model, "cells");
    assign(late.model_owner, ALICE);
    late.version = 1;
    must_fail(kind->job_add(store, BOB, &late, 0, &err), DEN_E_NOT_FOUND, "cells");
}
END_TEST

START_TEST(an_own_model_comes_before_a_shared_one)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row model, rows[4];
    size_t count = 0;
    add_own_model(ALICE, "cells", 1);
    add_own_model(ALICE, "cells", 2);
    must(kind->model_share(store, ALICE, "cells", true, &model, &err));
    add_own_model(BOB, "cells", 3);
    must(kind->model_get(store, BOB, "cells", 0, &model, &err));
    ck_assert_str_eq(model.owner, BOB);
    /* ... and its aliases with it. */
    struct den_alias_row alias = {.model = "cells", .name = "best", .version = 2};
    must(kind->alias_set(store, ALICE, &alias, -1, &err));
    must_fail(kind->alias_get(store, BOB, "cells", "best", &alias, &err), DEN_E_NOT_FOUND,
              "best");
    must_fail(kind->model_get(store, BOB, "cells", 2, &model, &err), DEN_E_NOT_FOUND,
              "version 2");
    must(kind->model_list(store, BOB, NULL, "", 4, rows, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(rows[0].owner, BOB);
    must_fail(kind->model_share(store, BOB, "cells", true, &model, &err), DEN_E_CONFLICT,
              "cells");
    /* When his own is gone, he sees hers again. */
    must(kind->model_delete(store, BOB, "cells", 0, &err));
    must(kind->model_get(store, BOB, "cells", 0, &model, &err));
    ck_assert_str_eq(model.owner, ALICE);
    /* A name of which no version is left is free to be shared by others. */
    must(kind->model_delete(store, ALICE, "cells", 0, &err));
    add_own_model(BOB, "cells", 4);
    must(kind->model_share(store, BOB, "cells", true, &model, &err));
    ck_assert_int_eq(model.version, 2);
}
END_TEST

/* Names are per owner: so is all that hangs on them. */
START_TEST(what_one_does_with_a_name_leaves_the_others_alone)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row model;
    struct den_alias_row alias = {.model = "cells", .name = "best", .version = 1};
    struct den_job_row job = new_job("denoise");
    add_own_model(ALICE, "cells", 1);
    add_own_model(ALICE, "cells", 2);
    add_own_model(BOB, "cells", 3);
    must(kind->alias_set(store, ALICE, &alias, -1, &err));
    assign(alias.name, "Best");
    must(kind->alias_set(store, BOB, &alias, -1, &err));
    must(kind->alias_delete(store, BOB, "cells", "Best", &err));
    must(kind->model_delete(store, BOB, "cells", 1, &err)); /* hers is named, not his */
    must(kind->alias_get(store, ALICE, "cells", "best", &alias, &err));
    ck_assert_int_eq(alias.version, 1);
    add_own_model(BOB, "cells", 4);
    must(kind->model_delete(store, BOB, "cells", 0, &err));
    must(kind->alias_get(store, ALICE, "cells", "best", &alias, &err));
    must(kind->model_get(store, ALICE, "cells", 2, &model, &err));
    /* A job uses the model of the owner it names, and no other of that name. */
    add_own_model(BOB, "cells", 5);
    assign(job.model, "cells");
    assign(job.model_owner, ALICE);
    job.version = 3; /* which he has, and she has not */
    must_fail(kind->job_add(store, BOB, &job, 0, &err), DEN_E_NOT_FOUND, "version 3");
    /* Hers is shared; when it is gone the name is free, whoever else has it. */
    must(kind->model_share(store, ALICE, "cells", true, &model, &err));
    must(kind->alias_delete(store, ALICE, "cells", "best", &err));
    must(kind->model_delete(store, ALICE, "cells", 0, &err));
    must(kind->model_share(store, BOB, "cells", true, &model, &err));
}
END_TEST

/* kind, model, config of a job that uses version 1 of hers. */
static const struct {
    const char *kind, *model, *config;
} uses[] = {
    {"denoise", "cells", ""},
    {"evaluate", "cells", ""},
    {"train", "fine", "steps=3\nbase_model=cells@1\n"},
};

START_TEST(a_job_is_not_tried_again_with_a_model_that_is_shared_no_more)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row model;
    add_own_model(ALICE, "cells", 1);
    add_own_model(ALICE, "cells-", 2); /* another name that begins alike */
    must(kind->model_share(store, ALICE, "cells-", true, &model, &err));
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        struct den_job_row job = new_job(uses[i].kind), got;
        assign(job.model, uses[i].model);
        assign(job.config, uses[i].config);
        assign(job.model_owner, ALICE);
        job.version = strcmp(uses[i].kind, "train") == 0 ? 0 : 1;
        must(kind->model_share(store, ALICE, "cells", true, &model, &err));
        must(kind->job_add(store, BOB, &job, 0, &err));
        must(kind->job_cancel(store, BOB, job.id, &got, &err));
        must(kind->job_retry(store, BOB, job.id, &got, &err));
        must(kind->model_share(store, ALICE, "cells", false, &model, &err));
        must(kind->job_retry(store, BOB, job.id, &got, &err)); /* it waits: no change */
        must(kind->job_cancel(store, BOB, job.id, &got, &err));
        must_fail(kind->job_retry(store, BOB, job.id, &got, &err), DEN_E_CONFLICT,
                  "not shared");
        must(kind->job_get(store, BOB, job.id, &got, &err));
        ck_assert_int_eq(got.state, DEN_JOB_CANCELLED);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_shared_model_is_everybodys_to_use_and_its_owners_to_change,
        an_own_model_comes_before_a_shared_one,
        what_one_does_with_a_name_leaves_the_others_alone,
        a_job_is_not_tried_again_with_a_model_that_is_shared_no_more,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
