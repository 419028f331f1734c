#ifndef DEN_CONTRAST_H
#define DEN_CONTRAST_H

/* The seam of contrastive terms: each is a file contrast_x.c and a row.  A term runs once
 * per iteration and keeps its random numbers to streams of its own: data order, crops and
 * dropout are the same with and without it. */

#include "adversary.h"
#include "loss_contrastive.h"

/* What a term may work on; all of it borrowed. */
struct den_contrast_parts {
    const struct den_train_job *job;
    struct den_adversary *d;      /* NULL when there is no discriminator */
    struct den_params *generator; /* in training */
    double lo, hi;                /* network values that count as -1 and 1 */
};

struct den_contrastive {
    const char *name, *doc;
    const struct den_pair_loss *loss;
    /* The term takes one Adam step on D per iteration, before D's plain ones, so it needs
     * one.  Else it adds contrastive_weight times its gradients to those of the
     * generator. */
    bool on_discriminator;
    /* Runs alone in the first part of the run (pretrain_fraction), and then no more. */
    bool pretrains;
    /* Its batches come with twin, which takes memory for [batch][crop][crop]: counted in
     * bytes. */
    bool wants_twin;
    bool (*start)(const struct den_contrastive *row,
                  const struct den_contrast_parts *parts, void **ret_state,
                  struct den_err *err);
    /* One iteration; fake: G of batch->noisy [n][side][side], and dfake the gradient with
     * respect to it, which terms on the generator may add to; both NULL when the term
     * runs alone, dfake also on D.  Returns the unweighted loss. */
    double (*step)(void *state, const struct den_batch *batch, const float *fake,
                   float *dfake);
    bool (*save)(void *state, struct den_tensor_writer *writer, struct den_err *err);
    bool (*load)(void *state, const struct den_tensor_file *file, struct den_err *err);
    void (*stop)(void *state); /* NULL is fine */
    bool (*bytes)(const struct den_train_config *config, int threads, size_t *ret,
                  struct den_err *err);
    /* May be NULL: whether its settings go together with the others. */
    bool (*check)(const struct den_train_config *config, struct den_err *err);
};

extern const struct den_contrastive *const den_contrastives[]; /* ends with NULL */
/* NULL for "none" and for words that are no row. */
const struct den_contrastive *den_contrastive_find(const char *name);
/* A sentence when the configuration's term cannot run; none always can. */
bool den_contrastive_check(const struct den_train_config *config,
                           struct den_err *err) DEN_CHECKED;

extern const struct den_contrastive den_contrast_disc_infonce, den_contrast_disc_ntxent,
    den_contrast_enc_ntxent, den_contrast_enc_pretrain, den_contrast_patchnce;

#endif
