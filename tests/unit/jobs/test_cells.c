/* Experiments in the store: the grid comes with the job, cells come one by one. */

#include "store_case.h"

#define GRID "preset cpu\nrow a\nmethod cgan\n"

static struct den_job_row add_experiment(const char *dataset, const char *test_dataset)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = new_job("experiment");
    assign(row.dataset, dataset);
    must(kind->experiment_add(store, DEN_OWNER_LOCAL, &row, GRID, test_dataset, 0, &err));
    return row;
}

static struct den_lease begin(const struct den_job_row *job)
{
    struct den_job_row row = claim(EVERY_CLASS);
    ck_assert_str_eq(row.id, job->id);
    return den_job_lease(&row);
}

START_TEST(the_grid_comes_with_its_job)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row job = add_experiment("", ""), other = add_job("train");
    char *grid = NULL;
    must(kind->experiment_get(store, DEN_OWNER_LOCAL, job.id, &grid, &err));
    ck_assert_str_eq(grid, GRID);
    den_free(grid);
    ck_assert_int_eq(get_job(job.id).state, DEN_JOB_QUEUED);
    must_fail(kind->experiment_get(store, DEN_OWNER_LOCAL, other.id, &grid, &err),
              DEN_E_NOT_FOUND, "no experiment");
    struct den_job_row third = new_job("experiment");
    must_fail(kind->experiment_add(store, DEN_OWNER_LOCAL, &third, GRID, "", 2, &err),
              DEN_E_BUSY, "2");
    must_fail(kind->job_get(store, DEN_OWNER_LOCAL, third.id, &third, &err),
              DEN_E_NOT_FOUND, "no job");
}
END_TEST

START_TEST(cells_come_back_in_order_with_all_their_digits)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row job = add_experiment("", "");
    const struct den_lease lease = begin(&job);
    struct den_cell_row *rows = NULL;
    size_t count = 9;
    char *crop = NULL;
    must(kind->cell_list(store, DEN_OWNER_LOCAL, job.id, &rows, &count, &err));
    ck_assert_uint_eq(count, 0);
    den_free(rows);
    struct den_cell_row late = {.cell = 7, .state = "diverged", .text = "nothing left"};
    struct den_cell_row early = {.cell = 0,
                                 .state = "done",
                                 .seconds = 1.0 / 3,
                                 .images = 16,
                                 .values = "psnr=31.249999999999996\nssim=nan\n"};
    struct den_cell_row noisy = {.cell = DEN_CELL_NOISY, .state = "done"};
    must(kind->cell_add(store, &lease, &late, NULL, NULL, &err));
    must(kind->cell_add(store, &lease, &early, "iVBORw0=", NULL, &err));
    must(kind->cell_add(store, &lease, &noisy, NULL, NULL, &err));
    must(kind->cell_list(store, DEN_OWNER_LOCAL, job.id, &rows, &count, &err));
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(rows[0].cell, DEN_CELL_NOISY);
    ck_assert_int_eq(rows[1].cell, 0);
    ck_assert_str_eq(rows[1].values, early.values);
    ck_assert_double_eq(rows[1].seconds, early.seconds);
    ck_assert_uint_eq(rows[1].images, 16);
    ck_assert_str_eq(rows[2].state, "diverged");
    ck_assert_str_eq(rows[2].text, "nothing left");
    den_free(rows);
    must(kind->cell_crop(store, DEN_OWNER_LOCAL, job.id, 0, &crop, &err));
    ck_assert_str_eq(crop, "iVBORw0=");
    den_free(crop);
    must(kind->cell_crop(store, DEN_OWNER_LOCAL, job.id, 7, &crop, &err));
    ck_assert_ptr_null(crop);
}
END_TEST

START_TEST(a_model_comes_with_its_cell)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row job = add_experiment("", "");
    const struct den_lease lease = begin(&job);
    struct den_cell_row cell = {.state = "done"};
    struct den_model_row model = {.name = "CL-all", .seed = 7}, got;
    must(kind->cell_add(store, &lease, &cell, NULL, &model, &err));
    ck_assert_int_eq(model.version, 1);
    must(kind->model_get(store, DEN_OWNER_LOCAL, "CL-all", 1, &got, &err));
    ck_assert_uint_eq(got.seed, 7);
    /* Together or not at all. */
    struct den_lease none = lease;
    none.gen++;
    ck_assert(!kind->cell_add(store, &none, &cell, NULL, &model, &err));
    err = DEN_ERR_INIT;
    must_fail(kind->model_get(store, DEN_OWNER_LOCAL, "CL-all", 2, &got, &err),
              DEN_E_NOT_FOUND, "2");
}
END_TEST

START_TEST(a_cell_that_is_there_is_replaced)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row job = add_experiment("", "");
    const struct den_lease lease = begin(&job);
    struct den_cell_row cell = {.state = "diverged", .text = "first"}, *rows = NULL;
    char *crop = NULL;
    size_t count = 0;
    must(kind->cell_add(store, &lease, &cell, "AAAA", NULL, &err));
    assign(cell.state, "done");
    assign(cell.text, "");
    must(kind->cell_add(store, &lease, &cell, "BBBB", NULL, &err));
    must(kind->cell_list(store, DEN_OWNER_LOCAL, job.id, &rows, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(rows[0].state, "done");
    den_free(rows);
    must(kind->cell_crop(store, DEN_OWNER_LOCAL, job.id, 0, &crop, &err));
    ck_assert_str_eq(crop, "BBBB");
    den_free(crop);
}
END_TEST

START_TEST(cells_go_with_their_job_and_need_one)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row job = add_experiment("", "");
    const struct den_lease lease = begin(&job);
    struct den_cell_row cell = {.state = "done"}, *rows = NULL;
    char *crop = NULL;
    size_t count = 9;
    must(kind->cell_add(store, &lease, &cell, "AAAA", NULL, &err));
    must(kind->job_requeue(store, &lease, &err));
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, job.id, &job, &err));
    must(kind->job_delete(store, DEN_OWNER_LOCAL, job.id, &err));
    must(kind->cell_list(store, DEN_OWNER_LOCAL, job.id, &rows, &count, &err));
    ck_assert_uint_eq(count, 0);
    den_free(rows);
    must(kind->cell_crop(store, DEN_OWNER_LOCAL, job.id, 0, &crop, &err));
    ck_assert_ptr_null(crop);
    ck_assert(!kind->cell_add(store, &lease, &cell, NULL, NULL, &err));
}
END_TEST

START_TEST(the_data_set_that_an_experiment_tests_on_stays)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row a = add_image(1), b = add_image(2);
    struct den_dataset_row set = add_pair(a.id, b.id);
    struct den_job_row job = add_experiment("", set.id), lost = new_job("experiment");
    must_fail(kind->dataset_delete(store, DEN_OWNER_LOCAL, set.id, &err), DEN_E_CONFLICT,
              "tests on");
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, job.id, &job, &err));
    must(kind->dataset_delete(store, DEN_OWNER_LOCAL, set.id, &err));
    must_fail(kind->experiment_add(store, DEN_OWNER_LOCAL, &lost, GRID, set.id, 0, &err),
              DEN_E_NOT_FOUND, "no data set");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_grid_comes_with_its_job,
        cells_come_back_in_order_with_all_their_digits,
        a_model_comes_with_its_cell,
        a_cell_that_is_there_is_replaced,
        cells_go_with_their_job_and_need_one,
        the_data_set_that_an_experiment_tests_on_stays,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
