#ifndef DEN_TRAINER_H
#define DEN_TRAINER_H

/* Makes a model from a data set.  Data order, crops, augmentation and dropout are pure
 * functions of (seed, step), so a run that was interrupted goes on from its checkpoint to
 * the same bytes.  */

#include "backend.h"
#include "dataset.h"
#include "model.h"
#include "progress.h"
#include "train_config.h"
#include "validation.h"

struct den_train_hooks {
    struct den_progress progress; /* per iteration */
    /* A number for the history, e.g. "loss_l1", "loss_d", "lr", "validation_psnr"; may be
     * NULL. */
    void (*metric)(void *context, size_t step, const char *name, double value);
    /* How a validation image comes out by now; may be NULL. */
    void (*show)(void *context, const struct den_validation_view *view);
    /* A sentence about the run for people; may be NULL. */
    void (*note)(void *context, const char *text);
    void *context;
};

struct den_train_job {
    const char *method; /* a name of den_methods[] */
    struct den_train_config config;
    uint64_t seed;
    const struct den_dataset *dataset;
    const struct den_backend *backend;
    struct den_pool *pool;
    const char
        *checkpoint_path; /* read when it exists, written while running; NULL = none */
    double checkpoint_seconds; /* between checkpoints; also written on DEN_SUSPEND */
    const char *base_path; /* fine-tuning: the model file that weights and normalisation
                              come from; NULL = fresh weights */
    const char *base; /* what that model is called, "nuclei@3"; NULL without base_path */
    const char *best_path,
        *last_path; /* models written at the end; best_path also at each new best */
    struct den_train_hooks hooks;
};

struct den_train_result {
    size_t steps,
        resumed_at; /* resumed_at: step of the checkpoint it went on from, 0 if none */
    double seconds; /* of this run (not of the part before an interruption) */
    size_t train_images, validation_images;
    bool has_validation;
    double best_psnr; /* mean PSNR on validation images against the target, dB */
    size_t best_step;
    bool chose_best; /* config checkpoint = best and there was validation */
};

/* DEN_E_CANCELLED, DEN_E_DRAINING (checkpoint saved), DEN_E_DIVERGED (a loss or weight is
 * not finite, or the loss exploded; the sentence says step and value),
 * DEN_E_UNPROCESSABLE (a crop larger than an image...), DEN_E_CONFLICT (the configuration
 * is not that of the base model). */
bool den_train(const struct den_train_job *job, struct den_train_result *ret,
               struct den_err *err) DEN_CHECKED;
/* The checks of den_train on a configuration and image sizes alone, and what it would
 * take on that many threads. */
bool den_train_estimate(const char *method, const struct den_train_config *config,
                        size_t images, size_t smallest_side, int threads,
                        size_t *ret_steps, size_t *ret_bytes,
                        struct den_err *err) DEN_CHECKED;

/* ---- the method seam: each is train/step_x.c and one row ---- */
struct den_batch {
    size_t n, side;
    const float *noisy, *clean; /* [n][side][side], network units */
    const float
        *twin; /* as noisy, of other frames of the same scenes (den_patches_fill_twin);
                  NULL unless the contrastive term wants it */
    size_t step, steps; /* of how many */
    double lr;
    uint64_t key; /* for dropout */
};
struct den_method {
    const char *name, *doc;
    bool needs_clean; /* pairs or repeats */
    bool (*start)(const struct den_train_job *job, struct den_model *model, double lo,
                  double hi, void **ret_state, struct den_err *err);
    /* One iteration; reports its losses by name through hooks.metric when `report`. */
    bool (*step)(void *state, const struct den_batch *batch, bool report,
                 struct den_err *err);
    /* Optimiser state and further nets to and from a checkpoint. */
    bool (*save)(void *state, struct den_tensor_writer *writer, struct den_err *err);
    bool (*load)(void *state, const struct den_tensor_file *file, struct den_err *err);
    void (*stop)(void *state); /* NULL is fine */
    bool (*bytes)(const struct den_train_config *config, int threads, size_t *ret,
                  struct den_err *err);
};
/* "cgan": conditional GAN with L1, SSIM and total variation; without GAN when lambda_gan
 * is 0.  "mid3a": the same with the discriminator's inputs augmented.  "care": pixel
 * losses alone. */
extern const struct den_method
    *const den_methods[]; /* ends with NULL; the first is the default */
const struct den_method *den_method_find(const char *name);
/* DEN_E_INVALID tells the names there are. */
bool den_method_choose(const char *name, const struct den_method **ret,
                       struct den_err *err) DEN_CHECKED;

#endif
