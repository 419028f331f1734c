/* A grid of trainings, each tested on images that none of them has seen. */

#include "run_experiment.h"

#include <stdlib.h>
#include <string.h>

#include "infer.h"
#include "mem.h"
#include "run_kinds.h"
#include "str.h"
#include "train_plan.h"
#include "trainer.h"

/* ---- which images ---- */

/* By id, or by file name with or without its ending. */
static bool is_called(const struct den_image_row *image, const char *name)
{
    const char *dot = strrchr(image->name, '.');
    size_t stem = dot != NULL ? (size_t)(dot - image->name) : 0;
    return strcmp(image->id, name) == 0 || strcmp(image->name, name) == 0 ||
           (stem > 0 && strlen(name) == stem && memcmp(image->name, name, stem) == 0);
}

static bool mark_scenes(const struct den_experiment *e,
                        const struct den_job_images *images, bool *is_test,
                        struct den_err *err)
{
    if (images->kind != DEN_PAIRS)
        return den_err_field(err, DEN_E_UNPROCESSABLE, "/grid/test_scenes",
                             "a data set of repeats has one scene, which is trained on: "
                             "name a test_dataset");
    for (size_t i = 0; i < e->test_scene_count; i++) {
        bool found = false;
        for (size_t k = 0; k < images->count; k++)
            if (is_called(&images->items[k].clean, e->test_scenes[i]))
                found = is_test[k] = true;
        char field[48];
        den_str_format(field, sizeof field, "/grid/test_scenes/%zu", i);
        if (!found)
            return den_err_field(err, DEN_E_INVALID, field,
                                 "test_scenes[%zu]: no clean image of the data set is "
                                 "called '%.80s'",
                                 i, e->test_scenes[i]);
    }
    return true;
}

static bool divide_scenes(const struct den_experiment *e,
                          const struct den_job_images *all, struct den_job_images *train,
                          struct den_job_images *test, struct den_err *err)
{
    bool *is_test = den_new(all->count, sizeof *is_test, err);
    bool done = is_test != NULL && mark_scenes(e, all, is_test, err) &&
                den_job_images_select(all, is_test, test, err);
    for (size_t i = 0; done && i < all->count; i++)
        is_test[i] = !is_test[i];
    done = done && den_job_images_select(all, is_test, train, err);
    den_free(is_test);
    if (done && train->count == 0)
        return den_err_field(err, DEN_E_INVALID, "/grid/test_scenes",
                             "test_scenes: every image belongs to a test scene, none is "
                             "left to train on");
    return done;
}

static int compare_ids(const void *a, const void *b)
{
    const char *const *p = a, *const *q = b;
    return strcmp(*p, *q);
}

/* A model that has seen an image, noisy or clean, is not tested on it. */
static bool check_apart(const struct den_job_images *train,
                        const struct den_job_images *test, const char *member,
                        struct den_err *err)
{
    char field[40];
    const char **ids = den_new(2 * train->count, sizeof *ids, err);
    const struct den_image_row *shared = NULL;
    if (ids == NULL)
        return false;
    for (size_t i = 0; i < train->count; i++) {
        ids[2 * i] = train->items[i].noisy.id;
        ids[2 * i + 1] = train->items[i].clean.id;
    }
    qsort(ids, 2 * train->count, sizeof *ids, compare_ids);
    for (size_t i = 0; i < 2 * test->count && shared == NULL; i++) {
        const struct den_job_item *item = &test->items[i / 2];
        const struct den_image_row *image = i % 2 == 0 ? &item->noisy : &item->clean;
        const char *id = image->id;
        if (id[0] != '\0' &&
            bsearch(&id, ids, 2 * train->count, sizeof *ids, compare_ids) != NULL)
            shared = image;
    }
    den_free(ids);
    den_str_format(field, sizeof field, "/grid/%s", member);
    return shared == NULL ||
           den_err_field(err, DEN_E_INVALID, field,
                         "%s: the image '%.80s' would be trained on and tested on",
                         member, shared->name);
}

bool den_grid_divide(struct den_service *s, const struct den_experiment *e,
                     const char *owner, const char *dataset,
                     struct den_job_images *ret_train, struct den_job_images *ret_test,
                     struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_job_images all = {0}, train = {0}, test = {0};
    bool done = den_job_images_load(s, owner, dataset, &all, err);
    if (done && e->test_dataset[0] == '\0') {
        done = divide_scenes(e, &all, &train, &test, err) &&
               check_apart(&train, &test, "test_scenes", err);
    } else if (done) {
        train = all;
        all = (struct den_job_images){0};
        done = den_job_images_load(s, owner, e->test_dataset, &test, &inner) ||
               den_err_field(err, inner.code, "/grid/test_dataset", "test_dataset: %s",
                             inner.text);
        done = done && check_apart(&train, &test, "test_dataset", err);
    }
    den_job_images_release(&all);
    if (!done) {
        den_job_images_release(&train);
        den_job_images_release(&test);
        return false;
    }
    *ret_train = train;
    *ret_test = test;
    return true;
}

/* ---- check ---- */

static bool check_request(const struct den_job_request *request, struct den_err *err)
{
    static const char *const kind = "an experiment job";
    if (!den_check_unused(request->image, "/image", kind, err) ||
        !den_check_unused(request->model, "/model", kind, err) ||
        !den_check_unused(request->base_model, "/base_model", kind, err) ||
        !den_check_unused(request->method, "/method", kind, err) ||
        !den_check_unused(request->preset, "/preset", kind, err) ||
        (request->setting_count > 0 &&
         !den_check_unused(request->settings[0].key, "/config", kind, err)) ||
        (request->has_seed && !den_check_unused("seed", "/seed", kind, err)))
        return false;
    if (request->dataset[0] == '\0')
        return den_err_field(err, DEN_E_INVALID, "/dataset",
                             "an experiment job needs a data set");
    return request->experiment != NULL ||
           den_err_field(err, DEN_E_INVALID, "/grid",
                         "an experiment job needs a grid of what to compare");
}

/* The largest training, or the test of its net on the largest image. */
static bool plan_rows(struct den_service *s, const struct den_experiment *e,
                      const struct den_job_images *train,
                      const struct den_image_info *largest, size_t *ret_steps,
                      size_t *ret_bytes, struct den_err *err)
{
    size_t steps = 0, most = 0;
    for (size_t row = 0; row < e->row_count; row++) {
        struct den_train_config config;
        struct den_err inner = DEN_ERR_INIT;
        size_t bytes = 0, test_bytes = 0, tiles = 0;
        char place[sizeof inner.field];
        if (!den_experiment_config(e, row, 0, &config, err))
            return false;
        struct den_net_options options = den_train_generator(&config);
        struct den_infer_options infer = {.tile = s->config.model_tile,
                                          .threads = s->config.threads};
        if (!den_train_estimate(e->rows[row].method, &config, train->samples,
                                train->smallest_side, s->config.threads, &steps, &bytes,
                                &inner) ||
            !den_infer_bytes(den_train_net(&config), &options, largest->width,
                             largest->height, &infer, &test_bytes, &tiles, &inner)) {
            den_str_format(place, sizeof place, "/grid/rows/%zu/set/%.40s", row,
                           inner.field);
            return den_err_field(err, inner.code, place, "rows[%zu].set.%.40s: %s", row,
                                 inner.field, inner.text);
        }
        if (bytes > most)
            most = bytes;
        if (test_bytes > most)
            most = test_bytes;
    }
    *ret_steps = steps;
    *ret_bytes = most;
    return true;
}

static const struct den_image_info *largest_of(const struct den_job_images *images)
{
    const struct den_image_info *largest = &images->items[0].noisy.info;
    for (size_t i = 1; i < images->count; i++) {
        const struct den_image_info *info = &images->items[i].noisy.info;
        if ((size_t)info->width * info->height > (size_t)largest->width * largest->height)
            largest = info;
    }
    return largest;
}

static bool fit_samples(struct den_experiment *e, const struct den_job_images *train,
                        struct den_err *err)
{
    struct den_train_config config;
    struct den_err inner = DEN_ERR_INIT;
    size_t least = 0;
    if (!den_experiment_config(e, 0, 0, &config, err) ||
        !den_job_images_least(train, config.validation_fraction, &least, err))
        return false;
    return den_experiment_fit(e, least, &inner) || den_experiment_refused(&inner, err);
}

static bool check(struct den_service *s, const struct den_job_request *request,
                  struct den_job_row *row, struct den_job_estimate *ret,
                  struct den_err *err)
{
    enum { SUMS = 5 }; /* doubles a pixel that metrics take at most */
    struct den_err inner = DEN_ERR_INIT;
    struct den_job_images train = {0}, test = {0};
    struct den_experiment *e = request->experiment;
    size_t steps = 0, bytes = 0;
    if (!check_request(request, err))
        return false;
    if (!den_experiment_finish(e, &inner))
        return den_experiment_refused(&inner, err);
    if (!den_grid_divide(s, e, row->owner, request->dataset, &train, &test, err))
        return false;
    const struct den_image_info *largest = largest_of(&test);
    bool done = fit_samples(e, &train, err) &&
                plan_rows(s, e, &train, largest, &steps, &bytes, err);
    if (done) {
        size_t pixels = (size_t)largest->width * largest->height;
        ret->bytes = train.bytes + test.bytes + bytes +
                     pixels * (2 * sizeof(float) + SUMS * sizeof(double));
        ret->steps = den_experiment_cells(e) * (steps + test.samples);
        den_str_copy(row->dataset, sizeof row->dataset, request->dataset);
        den_str_copy(row->preset, sizeof row->preset, e->preset);
        den_str_copy(row->config, sizeof row->config, e->common);
    }
    den_job_images_release(&train);
    den_job_images_release(&test);
    return done;
}

/* ---- run ---- */

static bool open_grid(struct den_grid *grid, const struct den_job_row *row,
                      struct den_err *err)
{
    struct den_service *s = grid->context->service;
    struct den_train_config config;
    if (!den_experiment_load(s->kind, s->store, row->owner, row->id, &grid->state, err))
        return false;
    const struct den_experiment *e = grid->state.experiment;
    if (!den_grid_divide(s, e, row->owner, row->dataset, &grid->train_images,
                         &grid->test_images, err) ||
        !den_job_images_open(s, &grid->train_images, &grid->train, err) ||
        !den_job_images_open(s, &grid->test_images, &grid->test, err) ||
        !den_experiment_config(e, 0, 0, &config, err))
        return false;
    grid->judge.dataset = grid->test;
    grid->tests = den_dataset_size(grid->test);
    grid->steps = den_train_plan_make(&config, den_dataset_size(grid->train)).steps;
    grid->total = den_experiment_cells(e) * (grid->steps + grid->tests);
    return true;
}

static void close_grid(struct den_grid *grid)
{
    den_judge_release(&grid->judge);
    den_dataset_free(grid->train);
    den_dataset_free(grid->test);
    den_job_images_release(&grid->train_images);
    den_job_images_release(&grid->test_images);
    den_experiment_release(&grid->state);
}

/* An experiment may take days: between two cells it goes back to its place in the queue
 * when somebody waits for a training. */
static bool give_way(struct den_job_context *context, struct den_err *err)
{
    struct den_service *s = context->service;
    const struct den_claim claim = {
        .now = den_moment_now(), .first = DEN_CLASS_TRAINING, .last = DEN_CLASS_TRAINING};
    bool waits = false;
    if (!s->kind->job_waits(s->store, &claim, &waits, err))
        return false;
    if (!waits) /* or it may not begin yet: then this goes on meanwhile */
        return true;
    den_job_log(context, "a training goes first");
    return den_err_set(err, DEN_E_DRAINING, "a training goes first");
}

static bool run(struct den_job_context *context, struct den_job_row *row,
                struct den_err *err)
{
    struct den_grid grid = {.context = context, .dataset = row->dataset};
    bool done = open_grid(&grid, row, err);
    if (done && grid.state.done > 0) {
        context->done = grid.state.done * (grid.steps + grid.tests);
        context->total = grid.total;
        den_job_log(context, "%zu of %zu cells are there already", grid.state.done,
                    den_experiment_cells(grid.state.experiment));
    }
    done = done && den_grid_baselines(&grid, err);
    size_t cells = done ? den_experiment_cells(grid.state.experiment) : 0;
    for (size_t cell = 0; done && cell < cells; cell++) {
        if (grid.state.results[cell].state == DEN_CELL_OPEN)
            done = give_way(context, err) && den_grid_cell(&grid, cell, err);
        grid.base += grid.steps + grid.tests;
    }
    done =
        done && den_job_go_on(den_tick(&context->progress, grid.total, grid.total), err);
    close_grid(&grid);
    return done;
}

const struct den_job_kind den_job_experiment = {
    .name = "experiment",
    .doc = "A grid of trainings (rows x sample counts x seeds), tested and compared.",
    .check = check,
    .run = run,
};
