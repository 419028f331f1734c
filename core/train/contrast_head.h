#ifndef DEN_CONTRAST_HEAD_H
#define DEN_CONTRAST_HEAD_H

/* Projection heads of contrastive terms [Chen et al., ICML 2020, g]: Linear P -> P, a
 * rectifier, Linear P -> 128.  The first numbers are uniform within +-1 / sqrt(P) and a
 * function of the seed alone.  A fixed head is a random projection that is made again and
 * not stored; a trained one has an Adam of its own. */

#include "trainer.h"

#define DEN_CONTRAST_WIDTH 128 /* of an embedding */

struct den_contrast_head_kind {
    const struct den_net *net; /* channels_in -> channels_out of each pixel */
    bool trained;              /* what contrastive_head = auto means */
};
/* LeakyReLU 0.01 and no biases, fixed; ReLU and biases, trained. */
extern const struct den_contrast_head_kind den_contrast_head_random,
    den_contrast_head_mlp;

struct den_contrast_head {
    const struct den_train_job *job;
    bool trained;
    struct den_params *params;
    struct den_graph *graph;
    den_node input;
};

/* head is all zero and released by the caller even on failure.  For inputs [rows][width]
 * at a time. */
bool den_contrast_head_start(struct den_contrast_head *head,
                             const struct den_train_job *job,
                             const struct den_contrast_head_kind *kind, size_t rows,
                             size_t width, struct den_err *err) DEN_CHECKED;
void den_contrast_head_release(struct den_contrast_head *head);

/* to [rows][DEN_CONTRAST_WIDTH] of from [rows][width]. */
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
