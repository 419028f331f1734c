#ifndef DEN_GENERATOR_H
#define DEN_GENERATOR_H

/* Private to core/train: the net that restores images, in training, and the losses that
 * compare its images with clean ones.  Methods put it together with what else they have:
 *     forward, then whatever adds to dfake, then learn. */

#include "loss.h"
#include "trainer.h"

enum { DEN_TERM_L1, DEN_TERM_SSIM, DEN_TERM_TV, DEN_TERMS };
extern const char *const den_term_names[DEN_TERMS]; /* loss_l1, loss_ssim, loss_tv */

struct den_pixel_term {
    const struct den_pixel_loss *loss;
    double weight;
    bool active; /* L1 is always looked at: it tells a divergence */
};

struct den_generator {
    const struct den_train_job *job;
    struct den_params *params; /* of the model, borrowed */
    struct den_graph *graph;
    den_node input;
    struct den_shape shape; /* of a batch: [n][side][side][1] */
    float *fake, *dfake;    /* [n][side][side]: what it made, and the gradient of all */
    struct den_pixel_term terms[DEN_TERMS];
    struct den_pixel_loss_options options;
    double *values;  /* [n][DEN_TERMS]: of each image */
    double *scratch; /* [n][scratch_count] */
    size_t scratch_count;
};

/* g is all zero and released by the caller even on failure.  Batches of job->config;
 * lo, hi: network values that count as -1 and 1 in the losses. */
bool den_generator_start(struct den_generator *g, const struct den_train_job *job,
                         struct den_model *model, double lo, double hi,
                         struct den_err *err) DEN_CHECKED;
void den_generator_release(struct den_generator *g);

/* fake = net(batch->noisy), with batch statistics and dropout; dfake = 0. */
void den_generator_forward(struct den_generator *g, const struct den_batch *batch);
/* Adds the gradients of the terms with a weight to dfake; ret [DEN_TERMS]: the unweighted
 * means over the batch. */
void den_generator_compare(struct den_generator *g, const float *clean, double *ret);
/* Gradients of the weights from dfake. */
void den_generator_backward(struct den_generator *g);
/* One step of Adam. */
void den_generator_adam(struct den_generator *g, const struct den_batch *batch);

/* Bytes of all that on that many threads. */
bool den_generator_bytes(const struct den_train_config *config, int threads, size_t *ret,
                         struct den_err *err) DEN_CHECKED;

#endif
