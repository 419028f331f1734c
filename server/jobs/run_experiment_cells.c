/* One cell of an experiment: a training of its own, then a test. */

#include "run_experiment.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "checkpoint.h"
#include "clock.h"
#include "crop.h"
#include "fs.h"
#include "mem.h"
#include "str.h"
#include "trainer.h"

/* ---- test ---- */

/* Of one method over the test images. */
struct sums {
    double sum[DEN_EXPERIMENT_METRICS];
    size_t n[DEN_EXPERIMENT_METRICS];
};

/* A constant image, say, has no PSNR: it is left out of the mean, as is an infinite one.
 */
static bool add_values(const struct den_experiment *e, const struct den_metric_case *c,
                       struct sums *sums, struct den_err *err)
{
    for (size_t i = 0; i < e->metric_count; i++) {
        struct den_err inner = DEN_ERR_INIT;
        const struct den_metric *metric = den_metric_find(e->metrics[i]);
        double value;
        if (metric == NULL)
            return den_err_set(err, DEN_E_INTERNAL, "there is no metric '%s' any more",
                               e->metrics[i]);
        if (!metric->value(c, &value, &inner)) {
            if (inner.code != DEN_E_UNPROCESSABLE)
                return den_err_under(&inner, "", err);
        } else if (isfinite(value)) {
            sums->sum[i] += value;
            sums->n[i]++;
        }
    }
    return true;
}

/* Tiles ask whether to go on; what is told of them is how far the cell is. */
struct asking {
    struct den_grid *grid;
    size_t done;
};

static enum den_verdict ask(void *opaque, size_t done, size_t total)
{
    const struct asking *asking = opaque;
    (void)done;
    (void)total;
    return den_tick(&asking->grid->context->progress, asking->done, asking->grid->total);
}

/* restorer NULL: the noisy image as it is. */
static bool restore(struct den_grid *grid, struct den_restorer *restorer, size_t done,
                    struct den_err *err)
{
    struct den_judge *judge = &grid->judge;
    struct asking asking = {grid, done};
    struct den_progress progress = {.tick = ask, .context = &asking};
    size_t units;
    if (restorer == NULL) {
        judge->c.prediction = judge->noisy;
        return den_job_go_on(den_tick(&progress, 0, 0), err);
    }
    judge->c.prediction = judge->restored;
    return den_restorer_size(restorer, judge->c.width, judge->c.height, &units, err) &&
           den_restorer_page(restorer, judge->noisy, judge->restored, &progress, 0, 1,
                             err);
}

static bool crop(struct den_grid *grid, const float *image, char **ret,
                 struct den_err *err)
{
    char path[PATH_MAX];
    den_str_format(path, sizeof path, "%s/crop.png", grid->context->work);
    return den_crop_png(&grid->judge, image, path, ret, err);
}

/* Means over all test images into values; *ret_crop (may be NULL) is of the first. */
static bool test(struct den_grid *grid, struct den_restorer *restorer, size_t done,
                 double *values, char **ret_crop, struct den_err *err)
{
    const struct den_experiment *e = grid->state.experiment;
    struct sums sums = {0};
    for (size_t i = 0; i < grid->tests; i++)
        if (!den_judge_page(&grid->judge, i, err) ||
            !restore(grid, restorer, done + i, err) ||
            !add_values(e, &grid->judge.c, &sums, err) ||
            (i == 0 && ret_crop != NULL &&
             !crop(grid, grid->judge.c.prediction, ret_crop, err)))
            return false;
    for (size_t i = 0; i < e->metric_count; i++)
        values[i] = sums.n[i] > 0 ? sums.sum[i] / (double)sums.n[i] : (double)NAN;
    return true;
}

/* ---- what the cells are compared with ---- */

static bool store(struct den_grid *grid, struct den_cell_row *row, const char *picture,
                  struct den_err *err)
{
    struct den_service *s = grid->context->service;
    return s->kind->cell_add(s->store, &grid->context->task.lease, row, picture, NULL,
                             err);
}

static bool baseline(struct den_grid *grid, size_t i, struct den_err *err)
{
    const struct den_experiment *e = grid->state.experiment;
    struct den_restorer filter = {0};
    double values[DEN_EXPERIMENT_METRICS];
    char *picture = NULL;
    struct den_cell_row *row = den_new(1, sizeof *row, err);
    if (row == NULL)
        return false;
    const struct den_filter *named = i > 0 ? den_filter_find(e->filters[i - 1]) : NULL;
    if (named != NULL)
        den_restorer_filter(named, grid->context->pool, &filter);
    row->cell = den_baseline_cell(i);
    den_str_copy(row->state, sizeof row->state, "done");
    bool done = test(grid, named != NULL ? &filter : NULL, grid->context->done, values,
                     i == 0 ? &picture : NULL, err) &&
                den_cell_set_values(e, values, row, err) &&
                store(grid, row, picture, err);
    den_free(picture);
    den_free(row);
    return done;
}

static bool reference(struct den_grid *grid, struct den_err *err)
{
    char *picture = NULL;
    struct den_cell_row *row = den_new(1, sizeof *row, err);
    if (row == NULL)
        return false;
    row->cell = DEN_CELL_REFERENCE;
    den_str_copy(row->state, sizeof row->state, "done");
    bool done = den_judge_page(&grid->judge, 0, err) && crop(grid, NULL, &picture, err) &&
                store(grid, row, picture, err);
    den_free(picture);
    den_free(row);
    return done;
}

bool den_grid_baselines(struct den_grid *grid, struct den_err *err)
{
    const struct den_experiment *e = grid->state.experiment;
    if (!grid->state.has_reference && !reference(grid, err))
        return false;
    for (size_t i = 0; i <= e->filter_count; i++)
        if (!grid->state.baselines[i].there && !baseline(grid, i, err))
            return false;
    return true;
}

/* ---- a cell ---- */

struct cell {
    struct den_grid *grid;
    struct den_experiment_place place;
    char checkpoint[PATH_MAX], best[PATH_MAX], last[PATH_MAX];
    struct den_train_result result;
};

static enum den_verdict tick(void *opaque, size_t done, size_t total)
{
    const struct cell *cell = opaque;
    (void)total;
    return den_tick(&cell->grid->context->progress, cell->grid->base + done,
                    cell->grid->total);
}

static bool train(struct cell *cell, struct den_err *err)
{
    struct den_grid *grid = cell->grid;
    const struct den_experiment *e = grid->state.experiment;
    struct den_train_job job = {
        .method = e->rows[cell->place.row].method,
        .seed = e->seeds[cell->place.seed],
        .dataset = grid->train,
        .backend = grid->context->service->backend,
        .pool = grid->context->pool,
        .checkpoint_path = cell->checkpoint,
        .checkpoint_seconds = grid->context->service->config.checkpoint_seconds,
        .best_path = cell->best,
        .last_path = cell->last,
        .hooks = {.progress = {.tick = tick, .context = cell}},
    };
    return den_experiment_config(e, cell->place.row, cell->place.sample, &job.config,
                                 err) &&
           den_train(&job, &cell->result, err);
}

static const char *model_file(const struct cell *cell)
{
    return cell->result.chose_best ? cell->best : cell->last;
}

static bool test_model(struct cell *cell, double *values, char **ret_crop,
                       struct den_err *err)
{
    struct den_grid *grid = cell->grid;
    struct den_service *s = grid->context->service;
    struct den_restorer restorer = {.pool = grid->context->pool,
                                    .tile = s->config.model_tile};
    bool done = den_model_load(s->backend, model_file(cell), &restorer.model, err) &&
                test(grid, &restorer, grid->base + grid->steps, values, ret_crop, err);
    den_restorer_close(&restorer);
    return done;
}

/* Of the whole training, as measured on the part since the last interruption. */
static double seconds_of(const struct den_train_result *result)
{
    size_t done = result->steps - result->resumed_at;
    return done > 0 ? result->seconds * (double)result->steps / (double)done : 0;
}

static void tell(const struct cell *cell, size_t number, const struct den_cell_row *row,
                 const double *values)
{
    const struct den_experiment *e = cell->grid->state.experiment;
    char samples[24];
    den_experiment_sample_name(e->samples[cell->place.sample], samples, sizeof samples);
    if (row->text[0] != '\0')
        den_job_log(cell->grid->context,
                    "cell %zu of %zu: %s, %s images, seed %" PRIu64 ": %.200s",
                    number + 1, den_experiment_cells(e), e->rows[cell->place.row].name,
                    samples, e->seeds[cell->place.seed], row->text);
    else
        den_job_log(cell->grid->context,
                    "cell %zu of %zu: %s, %s images, seed %" PRIu64 ": %s %.5g (%.1f s)",
                    number + 1, den_experiment_cells(e), e->rows[cell->place.row].name,
                    samples, e->seeds[cell->place.seed], e->metrics[0], values[0],
                    row->seconds);
}

/* Trains and judges into row; a training that diverged is a result, too. */
static bool work(struct cell *cell, struct den_cell_row *row, double *values,
                 char **ret_crop, struct den_err *err)
{
    const struct den_experiment *e = cell->grid->state.experiment;
    struct den_err inner = DEN_ERR_INIT;
    bool shown = cell->place.seed == 0 && cell->place.sample == den_experiment_shown(e);
    if (train(cell, &inner)) {
        row->seconds = seconds_of(&cell->result);
        row->images = cell->result.train_images;
        den_str_copy(row->state, sizeof row->state, den_cell_state_name(DEN_CELL_DONE));
        return test_model(cell, values, shown ? ret_crop : NULL, err) &&
               den_cell_set_values(e, values, row, err);
    }
    if (inner.code != DEN_E_DIVERGED)
        return den_err_under(&inner, "", err);
    den_str_copy(row->state, sizeof row->state, den_cell_state_name(DEN_CELL_DIVERGED));
    den_str_copy(row->text, sizeof row->text, inner.text);
    return true;
}

/* ---- its model, when models are kept ---- */

/* "CL+TV" at 16 images is CL-TV-16; the seeds are its versions. */
static void name_model(const struct cell *cell, char *to, size_t size)
{
    const struct den_experiment *e = cell->grid->state.experiment;
    char name[DEN_EXPERIMENT_NAME], samples[24];
    den_str_copy(name, sizeof name, e->rows[cell->place.row].name);
    for (char *at = name; *at != '\0'; at++) {
        const char one[2] = {*at, '\0'};
        if (!den_model_name_valid(one))
            *at = '-';
    }
    den_experiment_sample_name(e->samples[cell->place.sample], samples, sizeof samples);
    den_str_format(to, size, "%s-%s", name, samples);
}

static bool describe(struct cell *cell, struct den_model_row *row, struct den_err *err)
{
    const struct den_grid *grid = cell->grid;
    const struct den_experiment *e = grid->state.experiment;
    const struct den_train_result *result = &cell->result;
    struct den_train_config config;
    struct den_model *model = NULL;
    char value[64];
    if (!den_experiment_config(e, cell->place.row, cell->place.sample, &config, err) ||
        !den_model_load(grid->context->service->backend, model_file(cell), &model, err))
        return false;
    row->shift = model->norm.shift;
    row->scale = model->norm.scale;
    den_model_free(model);
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++) {
        den_train_config_get(&config, k, value, sizeof value);
        if (!den_config_add(row->config, k->name, value, err))
            return false;
    }
    name_model(cell, row->name, sizeof row->name);
    den_str_copy(row->job, sizeof row->job, grid->context->job);
    den_str_copy(row->dataset, sizeof row->dataset, grid->dataset);
    den_str_copy(row->method, sizeof row->method, e->rows[cell->place.row].method);
    den_str_copy(row->preset, sizeof row->preset, e->preset);
    row->seed = e->seeds[cell->place.seed];
    row->steps = result->chose_best ? result->best_step : result->steps;
    row->has_validation = result->chose_best;
    row->validation_psnr = result->chose_best ? result->best_psnr : 0;
    row->created_ms = den_wall_ms();
    return true;
}

/* The file first, then the rows that name it, as at the end of a training. */
static bool store_with_model(struct cell *cell, struct den_cell_row *row,
                             const char *picture, struct den_err *err)
{
    struct den_service *s = cell->grid->context->service;
    struct den_model_row *model = den_new(1, sizeof *model, err);
    if (model == NULL)
        return false;
    bool done = describe(cell, model, err);
    pthread_mutex_lock(&s->blob_lock);
    done = done &&
           den_blobs_take(s->blobs, model_file(cell), NULL, model->sha256, &model->bytes,
                          err) &&
           s->kind->cell_add(s->store, &cell->grid->context->task.lease, row, picture,
                             model, err);
    if (!done && model->sha256[0] != '\0')
        den_service_drop_blob(s, model->sha256);
    pthread_mutex_unlock(&s->blob_lock);
    den_free(model);
    return done;
}

static bool keep(struct cell *cell, struct den_cell_row *row, const char *picture,
                 struct den_err *err)
{
    bool trained = strcmp(row->state, den_cell_state_name(DEN_CELL_DONE)) == 0;
    return trained && cell->grid->state.experiment->keep_models
               ? store_with_model(cell, row, picture, err)
               : store(cell->grid, row, picture, err);
}

static bool remove_files(const struct cell *cell, struct den_err *err)
{
    return den_checkpoint_remove(cell->checkpoint, err) &&
           den_fs_remove(cell->best, err) && den_fs_remove(cell->last, err);
}

bool den_grid_cell(struct den_grid *grid, size_t number, struct den_err *err)
{
    bool done = false;
    double values[DEN_EXPERIMENT_METRICS] = {0};
    char *picture = NULL;
    struct den_cell_row *row = den_new(1, sizeof *row, err);
    struct cell *cell = den_new(1, sizeof *cell, err);
    if (row == NULL || cell == NULL)
        goto out;
    cell->grid = grid;
    cell->place = den_experiment_place(grid->state.experiment, number);
    const char *work_folder = grid->context->work;
    den_str_format(cell->checkpoint, PATH_MAX, "%s/%zu.checkpoint", work_folder, number);
    den_str_format(cell->best, PATH_MAX, "%s/%zu.best.safetensors", work_folder, number);
    den_str_format(cell->last, PATH_MAX, "%s/%zu.last.safetensors", work_folder, number);
    row->cell = (int64_t)number;
    if (!work(cell, row, values, &picture, err) || !keep(cell, row, picture, err))
        goto out;
    tell(cell, number, row, values);
    done = remove_files(cell, err);
out:
    den_free(picture);
    den_free(row);
    den_free(cell);
    return done;
}
