#include "trainer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base_model.h"
#include "checkpoint.h"
#include "clock.h"
#include "contrast.h"
#include "fault.h"
#include "fs.h"
#include "log.h"
#include "mem.h"
#include "patch.h"
#include "str.h"
#include "train_images.h"
#include "train_plan.h"
#include "validation.h"

struct run {
    const struct den_train_job *job;
    const struct den_method *method;
    struct den_train_images images;
    struct den_train_plan plan;
    struct den_patches patches;
    size_t *order;                     /* scratch of patches */
    float *noisy, *clean;              /* a batch [batch][crop][crop] */
    float *twin;                       /* of it; NULL when it is not wanted */
    struct den_validation *validation; /* NULL without */
    struct den_model *model;           /* in training */
    struct den_model *best;   /* copy of the best so far; NULL without validation */
    void *state;              /* of the method */
    struct den_checkpoint at; /* where the run is */
    double saved_at;          /* den_monotonic_s of the last checkpoint */
};

/* ---- opening and closing --------------------------------------------------------- */

static void close_training(struct run *run)
{
    if (run->method != NULL)
        run->method->stop(run->state);
    den_model_free(run->model);
    den_model_free(run->best);
    run->state = NULL;
    run->model = run->best = NULL;
    run->at = (struct den_checkpoint){0};
}

static void close_run(struct run *run)
{
    close_training(run);
    den_validation_free(run->validation);
    den_train_images_release(&run->images);
    den_free(run->order);
    den_free(run->noisy);
    den_free(run->clean);
    den_free(run->twin);
}

/* Fresh weights, or those of the base, and a fresh optimiser. */
static bool open_training(struct run *run, struct den_err *err)
{
    const struct den_train_job *job = run->job;
    const struct den_net *net = den_train_net(&job->config);
    struct den_net_options options = den_train_generator(&job->config);
    if (!den_model_new(job->backend, net, &options, &run->images.norm, &run->model, err))
        return false;
    den_params_init(run->model->params, job->seed);
    if (!den_base_apply(job, run->model, err))
        return false;
    if (run->validation != NULL &&
        !den_model_new(job->backend, net, &options, &run->images.norm, &run->best, err))
        return false;
    return run->method->start(job, run->model, run->images.lo, run->images.hi,
                              &run->state, err);
}

static bool open_validation(struct run *run, struct den_err *err)
{
    const struct den_train_job *job = run->job;
    if (run->images.valid_count == 0)
        return true;
    if (!den_validation_new(job->dataset, run->images.valid, run->images.valid_count,
                            job->config.match_gain, job->pool, &run->validation, err))
        return false;
    if (den_validation_size(run->validation) > 0)
        return true;
    den_validation_free(run->validation); /* constant images: nothing to measure */
    run->validation = NULL;
    return true;
}

static bool open_batches(struct run *run, struct den_err *err)
{
    const struct den_train_config *config = &run->job->config;
    size_t batch = (size_t)config->batch, side = (size_t)config->crop;
    size_t count = run->images.train_count;
    if ((run->order = den_new(count, sizeof *run->order, err)) == NULL ||
        (run->noisy = den_new(batch * side * side, sizeof(float), err)) == NULL ||
        (run->clean = den_new(batch * side * side, sizeof(float), err)) == NULL)
        return false;
    const struct den_contrastive *term = den_contrastive_find(config->contrastive);
    if (term != NULL && term->wants_twin &&
        (run->twin = den_new(batch * side * side, sizeof(float), err)) == NULL)
        return false;
    run->patches = (struct den_patches){
        .dataset = run->job->dataset,
        .images = run->images.train,
        .count = count,
        .batch = batch,
        .side = side,
        .augment = config->augment,
        .match_gain = config->match_gain,
        .seed = run->job->seed,
        .norm = run->images.norm,
        .per_batch = den_norm_find(run->images.norm.kind)->per_image,
        .order = run->order,
    };
    return true;
}

static bool open_run(struct run *run, struct den_err *err)
{
    const struct den_train_job *job = run->job;
    struct den_norm norm;
    const bool tunes = job->base_path != NULL;
    if (!den_method_choose(job->method, &run->method, err))
        return false;
    if (!den_train_config_check(&job->config, err) ||
        (tunes && !den_base_open(job, &norm, err)) ||
        !den_train_images_choose(job->dataset, &job->config, tunes ? &norm : NULL,
                                 job->seed, &run->images, err) ||
        !open_validation(run, err) || !open_batches(run, err))
        return false;
    run->plan = den_train_plan_make(&job->config, run->images.train_count);
    return open_training(run, err);
}

/* Says it when the run goes on where the last bits come out differently. */
static void compare_machines(const struct run *run)
{
    const struct den_train_job *job = run->job;
    char here[sizeof run->at.machine], text[320];
    den_backend_machine(job->backend, den_pool_threads(job->pool), here, sizeof here);
    if (job->hooks.note == NULL || strcmp(here, run->at.machine) == 0)
        return;
    (void)den_str_format(text, sizeof text,
                         "the checkpoint was written on another machine (%s) than this "
                         "one (%s): the weights will not be the same to the last bit",
                         run->at.machine[0] != '\0' ? run->at.machine : "not recorded",
                         here);
    job->hooks.note(job->hooks.context, text);
}

/* Goes on from a checkpoint when there is one of this very run; one that cannot be used
 * costs the work done so far, not the run. */
static bool resume(struct run *run, struct den_err *err)
{
    const struct den_train_job *job = run->job;
    struct den_err why = DEN_ERR_INIT;
    if (job->checkpoint_path == NULL || !den_checkpoint_exists(job->checkpoint_path))
        return true;
    if (den_checkpoint_load(job, &run->images, run->method, run->state,
                            run->best != NULL ? run->best->params : NULL, &run->at,
                            &why) &&
        run->at.step <= run->plan.steps) {
        compare_machines(run);
        return true;
    }
    char text[200];
    den_log(DEN_DEBUG, "checkpoint_ignored", " code=%s reason=%s",
            den_code_name(why.code), den_log_quote(why.text, text, sizeof text));
    close_training(run);
    return open_training(run, err);
}

/* ---- models ---------------------------------------------------------------------- */

struct story {
    size_t count;
    struct den_meta entries[DEN_META_MAX];
};

static void tell(struct story *story, const char *key, const char *value)
{
    struct den_meta *entry = &story->entries[story->count++];
    den_str_format(entry->key, sizeof entry->key, "train.%s", key);
    den_str_copy(entry->value, sizeof entry->value, value);
}

/* Writes a model with the story of its making; psnr is that of these weights, NaN if it
 * was not measured. */
static bool save_model(const struct run *run, struct den_model *model, size_t step,
                       double psnr, const char *path, struct den_err *err)
{
    const struct den_train_job *job = run->job;
    char text[64];
    struct story *story = den_new(1, sizeof *story, err);
    if (story == NULL)
        return false;
    tell(story, "method", job->method);
    den_str_format(text, sizeof text, "%" PRIu64, job->seed);
    tell(story, "seed", text);
    den_str_format(text, sizeof text, "%zu", step);
    tell(story, "step", text);
    den_str_format(text, sizeof text, "%zu", run->images.train_count);
    tell(story, "images", text);
    if (job->base != NULL)
        tell(story, "base_model", job->base);
    if (!isnan(psnr)) {
        den_str_format(text, sizeof text, "%.6g", psnr);
        tell(story, "validation_psnr", text);
    }
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++) {
        den_train_config_get(&job->config, k, text, sizeof text);
        tell(story, k->name, text);
    }
    bool ok = den_model_save(model, story->entries, story->count, path, err);
    den_free(story);
    return ok;
}

static bool save_best(const struct run *run, struct den_err *err)
{
    if (run->job->best_path == NULL || !run->at.has_best)
        return true;
    return save_model(run, run->best, run->at.best_step, run->at.best_psnr,
                      run->job->best_path, err);
}

/* ---- one iteration --------------------------------------------------------------- */

static void report(const struct run *run, size_t done, const char *name, double value)
{
    const struct den_train_hooks *hooks = &run->job->hooks;
    if (hooks->metric != NULL)
        hooks->metric(hooks->context, done, name, value);
}

/* A file that cannot be written in the middle of a run (say, a full disk) does not end
 * it: the same is tried again later, and at the end it is an error. */
static void tried(bool ok, const char *what, const struct den_err *err)
{
    if (!ok)
        den_log(DEN_DEBUG, what, " code=%s", den_code_name(err->code));
}

/* The PSNR of the weights as they are, which is also told. */
static bool measure(struct run *run, double *ret, struct den_err *err)
{
    size_t done = run->at.step;
    const struct den_train_hooks *hooks = &run->job->hooks;
    if (!den_validation_psnr(run->validation, run->model, hooks->show, hooks->context,
                             ret, err))
        return false;
    if (!isfinite(*ret))
        return den_err_set(err, DEN_E_DIVERGED,
                           "the training diverged: after step %zu the denoised "
                           "validation images are not finite; try a lower learning rate "
                           "than lr = %g",
                           done, run->job->config.lr);
    report(run, done, "validation_psnr", *ret);
    return true;
}

/* What fine-tuning has to be better than. */
static bool measure_base(struct run *run, struct den_err *err)
{
    double psnr;
    bool first = run->job->base_path != NULL && run->at.step == 0;
    return !first || run->validation == NULL || measure(run, &psnr, err);
}

static bool validate(struct run *run, struct den_err *err)
{
    double psnr;
    size_t done = run->at.step;
    if (run->validation == NULL || !den_train_plan_validates(&run->plan, done))
        return true;
    if (!measure(run, &psnr, err))
        return false;
    if (!den_train_plan_may_be_best(&run->plan, done) ||
        (run->at.has_best && psnr <= run->at.best_psnr))
        return true;
    if (!den_params_copy(run->best->params, run->model->params, err))
        return false;
    run->at.has_best = true;
    run->at.best_psnr = psnr;
    run->at.best_step = done;
    struct den_err why = DEN_ERR_INIT;
    tried(save_best(run, &why), "best_model_not_written", &why);
    return true;
}

static bool iterate(struct run *run, struct den_err *err)
{
    const struct den_train_config *config = &run->job->config;
    size_t step = run->at.step;
    bool reports = den_train_plan_reports(&run->plan, step + 1);
    if (!measure_base(run, err))
        return false;
    den_patches_fill_twin(&run->patches, step, run->noisy, run->clean, run->twin);
    struct den_batch batch = {
        .n = (size_t)config->batch,
        .side = (size_t)config->crop,
        .noisy = run->noisy,
        .clean = run->clean,
        .twin = run->twin,
        .step = step,
        .steps = run->plan.steps,
        .lr = den_train_plan_lr(&run->plan, config->lr, step),
        .key = den_hash64(den_hash64(run->job->seed, DEN_STREAM_DROPOUT), step),
    };
    if (!run->method->step(run->state, &batch, reports, err))
        return false;
    run->at.step = step + 1;
    if (reports)
        report(run, step + 1, "lr", batch.lr);
    return validate(run, err);
}

static void save_checkpoint(struct run *run)
{
    struct den_err why = DEN_ERR_INIT;
    if (run->job->checkpoint_path == NULL)
        return;
    bool ok =
        den_checkpoint_save(run->job, &run->images, run->method, run->state,
                            run->best != NULL ? run->best->params : NULL, &run->at, &why);
    tried(ok, "checkpoint_not_written", &why);
    run->saved_at = den_monotonic_s();
}

/* Asked between two iterations. */
static bool may_go_on(struct run *run, struct den_err *err)
{
    DEN_FAILPOINT("train_step");
    switch (den_tick(&run->job->hooks.progress, run->at.step, run->plan.steps)) {
    case DEN_GO_ON:
        break;
    case DEN_CANCEL:
        return den_err_set(err, DEN_E_CANCELLED,
                           "the training was cancelled after %zu of %zu steps",
                           run->at.step, run->plan.steps);
    case DEN_SUSPEND:
        save_checkpoint(run);
        return den_err_set(err, DEN_E_DRAINING,
                           "the training was interrupted after %zu of %zu steps and can "
                           "go on from there",
                           run->at.step, run->plan.steps);
    }
    if (den_monotonic_s() - run->saved_at >= run->job->checkpoint_seconds)
        save_checkpoint(run);
    return true;
}

/* ---- the run --------------------------------------------------------------------- */

static bool train(struct run *run, struct den_err *err)
{
    run->saved_at = den_monotonic_s();
    while (run->at.step < run->plan.steps)
        if (!may_go_on(run, err) || !iterate(run, err))
            return false;
    if (!may_go_on(run, err) || !save_best(run, err))
        return false;
    return run->job->last_path == NULL ||
           save_model(run, run->model, run->plan.steps, (double)NAN, run->job->last_path,
                      err);
}

bool den_train(const struct den_train_job *job, struct den_train_result *ret,
               struct den_err *err)
{
    bool ok = false;
    double started = den_monotonic_s();
    struct run *run = den_new(1, sizeof *run, err);
    if (run == NULL)
        goto out;
    run->job = job;
    if (!open_run(run, err) || !resume(run, err))
        goto out;
    size_t resumed_at = run->at.step;
    if (!train(run, err))
        goto out;
    *ret = (struct den_train_result){
        .steps = run->plan.steps,
        .resumed_at = resumed_at,
        .seconds = den_monotonic_s() - started,
        .train_images = run->images.train_count,
        .validation_images =
            run->validation != NULL ? den_validation_size(run->validation) : 0,
        .has_validation = run->at.has_best,
        .best_psnr = run->at.best_psnr,
        .best_step = run->at.best_step,
        .chose_best = run->at.has_best && strcmp(job->config.checkpoint, "best") == 0,
    };
    ok = true;
out:
    if (run != NULL)
        close_run(run);
    den_free(run);
    return ok;
}
