/* Nobody sees what is another's: to every question about it the answer is the one to a
 * question about what does not exist. */

#include "owner_case.h"

#define ALICE "alice"
#define BOB "bob"

/* ---- what there is ---- */

static void add_own_image(const char *owner, const char *sha256, char *ret_id)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = {.name = "a.tif"}, got;
    bool fresh = false;
    den_id_new("img_", row.id);
    assign(row.info.format, "tiff");
    assign(row.sha256, sha256);
    must(kind->image_add(store, owner, &row, &got, &fresh, &err));
    ck_assert(fresh);
    ck_assert_str_eq(got.owner, owner);
    den_str_copy(ret_id, DEN_ID_SIZE, row.id);
}

/* Claims the one job that waits. */
static struct den_job_row run_job(const char *owner, struct den_job_row row)
{
    struct den_err err = DEN_ERR_INIT;
    must(kind->job_add(store, owner, &row, 0, &err));
    struct den_job_row claimed = claim(all_kinds);
    ck_assert_str_eq(claimed.id, row.id);
    ck_assert_str_eq(claimed.owner, owner);
    claimed.state = DEN_JOB_SUCCEEDED;
    return claimed;
}

static void add_own_model(const char *owner, const char *name, uint64_t seed)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = run_job(owner, new_job("train"));
    struct den_model_row model = {.seed = seed, .created_ms = 5};
    assign(model.name, name);
    assign(model.job, row.id);
    must(kind->job_finish(store, &row, &model, NULL, 0, &err));
    ck_assert_str_eq(model.owner, owner);
}

static void add_judged(const char *owner, struct things *t)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = run_job(owner, new_job("evaluate"));
    struct den_score_row score = {.metric = "psnr", .value = 20};
    must(kind->job_finish(store, &row, NULL, &score, 1, &err));
    assign(t->judged, row.id);
}

static void add_things(const char *owner, struct things *t)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row set = {.name = "set", .kind = "pairs"};
    struct den_dataset_item item = {.noisy = ""};
    struct den_cell_row cell = {.state = "done"};
    assign(t->sha256, "5f");
    add_own_image(owner, t->sha256, t->image);
    add_own_image(owner, "60", t->clean);
    den_id_new("set_", set.id);
    assign(item.noisy, t->image);
    assign(item.clean, t->clean);
    must(kind->dataset_add(store, owner, &set, &item, 1, &err));
    assign(t->dataset, set.id);
    add_own_model(owner, "cells", 11);
    assign(t->model, "cells");
    assign(t->model_owner, owner);
    struct den_alias_row alias = {.model = "cells", .name = "best", .version = 1};
    must(kind->alias_set(store, owner, &alias, -1, &err));
    add_judged(owner, t);
    struct den_job_row job = new_job("denoise");
    assign(job.image, t->image);
    assign(job.model, t->model);
    assign(job.model_owner, owner);
    job.version = 1;
    must(kind->job_add(store, owner, &job, 0, &err));
    assign(t->job, job.id);
    struct den_job_row grid = new_job("experiment");
    assign(grid.dataset, t->dataset);
    must(kind->experiment_add(store, owner, &grid, "row a\n", t->dataset, 0, &err));
    must(kind->cell_add(store, grid.id, &cell, "iVBO", NULL, &err));
    assign(t->experiment, grid.id);
    struct den_upload_row upload = {.name = "u.tif", .length = 9, .expires_ms = 9};
    den_id_new("upl_", upload.id);
    assign(upload.owner, owner);
    must(kind->upload_add(store, &upload, 4, &err));
    assign(t->upload, upload.id);
}

/* Ids like others, of nothing. */
static struct things nothing(void)
{
    struct things t = {.sha256 = "77", .model = "tissue", .model_owner = ALICE};
    den_id_new("img_", t.image);
    den_id_new("img_", t.clean);
    den_id_new("set_", t.dataset);
    den_id_new("job_", t.job);
    den_id_new("job_", t.judged);
    den_id_new("job_", t.experiment);
    den_id_new("upl_", t.upload);
    return t;
}

START_TEST(nobody_sees_what_is_anothers)
{
    struct things hers = {.image = ""}, absent = nothing();
    struct answer empty[QUESTIONS], before[QUESTIONS], other, none;
    for (size_t i = 0; i < QUESTIONS; i++) /* while there is nothing at all */
        questions[i].ask(BOB, &absent, &empty[i]);
    add_things(ALICE, &hers);
    for (size_t i = 0; i + CHANGING < QUESTIONS; i++)
        questions[i].ask(ALICE, &hers, &before[i]);
    for (size_t i = 0; i < QUESTIONS; i++) {
        questions[i].ask(BOB, &hers, &other);
        questions[i].ask(BOB, &absent, &none);
        ck_assert_msg(strcmp(other.text, none.text) == 0,
                      "%s: '%s' is not what nothing gives, '%s'", questions[i].name,
                      other.text, none.text);
        ck_assert_msg(strcmp(none.text, empty[i].text) == 0, "%s: '%s' was '%s'",
                      questions[i].name, none.text, empty[i].text);
    }
    /* None of that has changed anything; and she sees it all. */
    for (size_t i = 0; i < QUESTIONS; i++) {
        questions[i].ask(ALICE, &hers, &other);
        ck_assert_msg(i + CHANGING >= QUESTIONS ||
                          strcmp(other.text, before[i].text) == 0,
                      "%s: '%s' was '%s'", questions[i].name, other.text, before[i].text);
        ck_assert_msg(strcmp(other.text, empty[i].text) != 0,
                      "%s: the owner gets '%s', too", questions[i].name, other.text);
    }
}
END_TEST

START_TEST(each_owner_has_images_lists_and_versions_of_his_own)
{
    struct things hers = {.image = ""}, his = {.image = ""}, absent = nothing();
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row images[8];
    struct den_job_row job, jobs[8];
    size_t count = 0;
    struct den_model_row model;
    add_things(ALICE, &hers);
    must(kind->job_cancel(store, ALICE, hers.job, &job, &err));
    must(kind->job_cancel(store, ALICE, hers.experiment, &job, &err));
    add_things(BOB, &his);
    for (size_t i = 0; i < QUESTIONS; i++) { /* his own are there, and hers are not */
        struct answer his_own, none;
        questions[i].ask(BOB, &his, &his_own);
        questions[i].ask(BOB, &absent, &none);
        ck_assert_msg(questions[i].of_all == (strcmp(his_own.text, none.text) == 0),
                      "%s: '%s'", questions[i].name, his_own.text);
    }
    must(kind->image_list(store, BOB, "", 8, images, &count, &err));
    ck_assert_uint_eq(count, 2);
    must(kind->job_list(store, BOB, NULL, NULL, "", 8, jobs, &count, &err));
    ck_assert_uint_eq(count, 4);
    for (size_t i = 0; i < count; i++)
        ck_assert_str_eq(jobs[i].owner, BOB);
    add_own_model(ALICE, "cells", 12);
    must(kind->model_get(store, BOB, "cells", 0, &model, &err));
    ck_assert_int_eq(model.version, 1);
    ck_assert_uint_eq(model.seed, 11);
    must(kind->model_get(store, ALICE, "cells", 0, &model, &err));
    ck_assert_int_eq(model.version, 2);
}
END_TEST

/* One blob may be named by rows of several owners. */
START_TEST(a_blob_stays_as_long_as_anybody_names_it)
{
    struct den_err err = DEN_ERR_INIT;
    char hers[DEN_ID_SIZE], his[DEN_ID_SIZE];
    bool used = false;
    add_own_image(ALICE, "5f", hers);
    add_own_image(BOB, "5f", his);
    must(kind->image_delete(store, ALICE, hers, &err));
    must(kind->blob_used(store, "5f", &used, &err));
    ck_assert(used);
    must(kind->image_delete(store, BOB, his, &err));
    must(kind->blob_used(store, "5f", &used, &err));
    ck_assert(!used);
}
END_TEST

/* ---- shared models ---- */

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

int main(void)
{
    const TTest *const tests[] = {
        nobody_sees_what_is_anothers,
        each_owner_has_images_lists_and_versions_of_his_own,
        a_blob_stays_as_long_as_anybody_names_it,
        a_shared_model_is_everybodys_to_use_and_its_owners_to_change,
        an_own_model_comes_before_a_shared_one,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
