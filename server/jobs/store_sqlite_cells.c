/* Experiments: their grids, and what came out of the cells. */

#include "store_sqlite.h"

#include <string.h>

#include "mem.h"
#include "str.h"

bool den_sqlite_experiment_add(struct den_store *s, const char *owner,
                               const struct den_job_row *row, const char *grid,
                               const char *test_dataset, size_t queue_limit,
                               struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    if (test_dataset[0] != '\0')
        den_tx_need_dataset(&tx, owner, test_dataset);
    den_tx_add_job(&tx, owner, row, queue_limit);
    den_tx_query(&tx, "INSERT INTO experiments (job, grid, test_dataset) "
                      "VALUES (?1, ?2, ?3)");
    den_tx_text(&tx, row->id);
    den_tx_text(&tx, grid);
    den_tx_text(&tx, test_dataset);
    den_tx_run(&tx);
    if (!den_tx_end(&tx))
        return false;
    den_sqlite_queue_changed(s);
    return true;
}

bool den_sqlite_experiment_get(struct den_store *s, const char *owner, const char *job,
                               char **ret, struct den_err *err)
{
    struct den_tx tx;
    char *grid = NULL;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT grid FROM experiments WHERE job = ?1 AND " DEN_OWN_JOB);
    den_tx_text(&tx, job);
    den_tx_text(&tx, owner);
    if (den_tx_row(&tx))
        grid = den_tx_copy_text(&tx);
    else
        den_tx_fail(&tx, DEN_E_NOT_FOUND, "the job '%.40s' has no experiment", job);
    if (!den_tx_end(&tx)) {
        den_free(grid);
        return false;
    }
    *ret = grid;
    return true;
}

bool den_sqlite_cell_add(struct den_store *s, const struct den_lease *lease,
                         const struct den_cell_row *row, const char *crop,
                         struct den_model_row *model, struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_need_lease(&tx, lease);
    den_tx_query(&tx, "INSERT INTO experiment_cells (job, cell, state, seconds, images, "
                      "metrics, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) "
                      "ON CONFLICT (job, cell) DO UPDATE SET state = ?3, seconds = ?4, "
                      "images = ?5, metrics = ?6, text = ?7");
    den_tx_text(&tx, lease->job);
    den_tx_int(&tx, row->cell);
    den_tx_text(&tx, row->state);
    den_tx_real(&tx, row->seconds);
    den_tx_uint(&tx, row->images);
    den_tx_text(&tx, row->values);
    den_tx_text(&tx, row->text);
    den_tx_run(&tx);
    if (crop != NULL) {
        den_tx_query(&tx, "INSERT INTO experiment_crops (job, cell, png) VALUES "
                          "(?1, ?2, ?3) ON CONFLICT (job, cell) DO UPDATE SET png = ?3");
        den_tx_text(&tx, lease->job);
        den_tx_int(&tx, row->cell);
        den_tx_text(&tx, crop);
        den_tx_run(&tx);
    }
    if (model != NULL)
        den_tx_add_model(&tx, lease->job, model);
    return den_tx_end(&tx);
}

static struct den_cell_row *read_cells(struct den_tx *tx, const char *owner,
                                       const char *job, size_t *ret_count)
{
    size_t count = (size_t)den_tx_owned(tx,
                                        "SELECT count(*) FROM experiment_cells c JOIN "
                                        "jobs ON jobs.id = c.job WHERE owner = ?1 AND "
                                        "c.job = ?2",
                                        owner, job);
    struct den_cell_row *rows = den_new(count, sizeof *rows, tx->err);
    if (rows == NULL) {
        tx->ok = false;
        return NULL;
    }
    den_tx_query(tx, "SELECT cell, state, seconds, images, metrics, text FROM "
                     "experiment_cells WHERE job = ?1 AND " DEN_OWN_JOB " ORDER BY cell");
    den_tx_text(tx, job);
    den_tx_text(tx, owner);
    for (size_t i = 0; i < count && den_tx_row(tx); i++) {
        rows[i].cell = den_tx_get_int(tx);
        den_tx_get_text(tx, rows[i].state, sizeof rows[i].state);
        rows[i].seconds = den_tx_get_real(tx);
        rows[i].images = den_tx_get_uint(tx);
        den_tx_get_text(tx, rows[i].values, sizeof rows[i].values);
        den_tx_get_text(tx, rows[i].text, sizeof rows[i].text);
    }
    *ret_count = count;
    return rows;
}

bool den_sqlite_cell_list(struct den_store *s, const char *owner, const char *job,
                          struct den_cell_row **ret, size_t *ret_count,
                          struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    struct den_cell_row *rows = read_cells(&tx, owner, job, &count);
    if (!den_tx_end(&tx)) {
        den_free(rows);
        return false;
    }
    *ret = rows;
    *ret_count = count;
    return true;
}

bool den_sqlite_cell_crop(struct den_store *s, const char *owner, const char *job,
                          int64_t cell, char **ret, struct den_err *err)
{
    struct den_tx tx;
    char *crop = NULL;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT png FROM experiment_crops WHERE job = ?1 AND cell = ?3 "
                      "AND " DEN_OWN_JOB);
    den_tx_text(&tx, job);
    den_tx_text(&tx, owner);
    den_tx_int(&tx, cell);
    if (den_tx_row(&tx))
        crop = den_tx_copy_text(&tx);
    if (!den_tx_end(&tx)) {
        den_free(crop);
        return false;
    }
    *ret = crop;
    return true;
}
