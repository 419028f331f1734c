#ifndef DEN_ADVERSARY_H
#define DEN_ADVERSARY_H

/* Private to core/train: the discriminator D of a conditional GAN with what it is given
 * and what it answers.  D sees pairs: noisy image x, and generated y' or clean y.  It
 * works with batch statistics throughout. */

#include "diff_augment.h"
#include "loss.h"
#include "trainer.h"

struct den_adversary {
    const struct den_train_job *job;
    struct den_shape shape; /* of a batch of pairs: [n][side][side][2] */
    struct den_params *params;
    struct den_graph *graph;
    den_node input;
    size_t logits; /* of a batch */
    float *pair;   /* [n][side][side][2] */
    float *dpair;  /* its gradient */
    float *logit;  /* [logits] */
    float *dlogit; /* its gradient */
    const struct den_gan_mode *mode;
    size_t steps;                           /* of Adam on D per iteration */
    const struct den_diff_augment *augment; /* of all that D judges; NULL: as it is */
    float *seen;                            /* the pairs augmented, or NULL */
};

/* d is all zero and released by the caller even on failure.  shape: of a batch of single
 * images.  extra_steps: Adam steps on D per iteration beside d_steps. */
bool den_adversary_start(struct den_adversary *d, const struct den_train_job *job,
                         struct den_shape shape, size_t extra_steps,
                         struct den_err *err) DEN_CHECKED;
void den_adversary_release(struct den_adversary *d);

/* Channel 0 (noisy) or 1 of pair = images [n][side][side]. */
void den_adversary_pair(struct den_adversary *d, size_t channel, const float *images);
/* Adam step number k (0-based) of this iteration.  Its own step counter is a function of
 * the iteration, so that a resumed run goes on with it. */
void den_adversary_adam(struct den_adversary *d, const struct den_batch *batch, size_t k);

/* d_steps times: L_D = (GAN(D(x, y'), fake) + GAN(D(x, y), real)) / 2, y' held fixed, and
 * Adam, beginning with step `first` of the iteration; returns the mean of L_D. */
double den_adversary_train(struct den_adversary *d, const struct den_batch *batch,
                           const float *fake, size_t first);
/* GAN(D(x, y'), real), returned without its weight; weight times its gradient is written
 * to dfake.  D itself learns nothing. */
double den_adversary_fool(struct den_adversary *d, const struct den_batch *batch,
                          const float *fake, double weight, float *dfake);

/* Bytes of all that on that many threads. */
bool den_adversary_bytes(const struct den_train_config *config, int threads, size_t *ret,
                         struct den_err *err) DEN_CHECKED;

#endif
