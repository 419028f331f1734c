#ifndef DEN_CONTRAST_HEAD_H
#define DEN_CONTRAST_HEAD_H

/* Projection heads of contrastive terms [Chen et al., ICML 2020, g]: Linear P -> H, a
 * rectifier, Linear H -> E.  The first numbers are uniform within +-1 / sqrt(inputs of
 * the layer) and a function of the seed alone.  A fixed head is a random projection that
 * is made again and not stored; a trained one has an Adam of its own. */

#include "trainer.h"

struct den_contrast_head_kind {
    const struct den_net *net; /* channels_in -> channels_out of each pixel */
    bool trained;              /* what contrastive_head = auto means */
    size_t hidden;             /* H; 0 = as P */
    size_t out;                /* E */
};
/* LeakyReLU 0.01 and no biases, fixed, H = P, E = 128. */
extern const struct den_contrast_head_kind den_contrast_head_random;
/* ReLU and biases, trained; H = P, E = 128, and H = E = 256 [Park et al., ECCV 2020]. */
extern const struct den_contrast_head_kind den_contrast_head_mlp, den_contrast_head_patch;

struct den_contrast_head {
    const struct den_train_job *job;
    bool trained;
    size_t number; /* among the heads of the run */
    struct den_params *params;
    struct den_graph *graph;
    den_node input;
};

/* head is all zero but its number, and released by the caller even on failure.  For
 * inputs [rows][width] at a time. */
bool den_contrast_head_start(struct den_contrast_head *head,
                             const struct den_train_job *job,
                             const struct den_contrast_head_kind *kind, size_t rows,
                             size_t width, struct den_err *err) DEN_CHECKED;
void den_contrast_head_release(struct den_contrast_head *head);

/* to [rows][E] of from [rows][width]. */
void den_contrast_head_forward(struct den_contrast_head *head, const float *from,
                               float *to);
/* dfrom of dto, after forward; a trained head also takes its Adam step. */
void den_contrast_head_backward(struct den_contrast_head *head,
                                const struct den_batch *batch, const float *dto,
                                float *dfrom);

bool den_contrast_head_save(struct den_contrast_head *head,
                            struct den_tensor_writer *writer,
                            struct den_err *err) DEN_CHECKED;
bool den_contrast_head_load(struct den_contrast_head *head,
                            const struct den_tensor_file *file,
                            struct den_err *err) DEN_CHECKED;
bool den_contrast_head_bytes(const struct den_train_config *config,
                             const struct den_contrast_head_kind *kind, size_t rows,
                             size_t width, int threads, size_t *ret,
                             struct den_err *err) DEN_CHECKED;

#endif
