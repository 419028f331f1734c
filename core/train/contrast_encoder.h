#ifndef DEN_CONTRAST_ENCODER_H
#define DEN_CONTRAST_ENCODER_H

/* The way down of the generator as a graph of its own on the generator's parameters, for
 * contrastive terms: backward adds to their gradients.  Running statistics of its norms
 * are put back after each pass: those of the generator must be of images as they are
 * restored, not of whatever else passes here. */

#include "trainer.h"

#define DEN_CONTRAST_MAPS 5 /* at most that many, the largest ones */

/* Which maps it gives, and of which shape. */
struct den_contrast_maps {
    size_t count;
    den_node node[DEN_CONTRAST_MAPS]; /* the last one is the graph's output */
    struct den_shape shape[DEN_CONTRAST_MAPS];
};

struct den_contrast_encoder {
    struct den_params *params; /* of the generator, borrowed */
    struct den_graph *graph;
    den_node input;
    struct den_contrast_maps maps;
    float *kept; /* [kept_count] running statistics */
    size_t kept_count;
};

/* e is all zero and released by the caller even on failure.  For n images at a time.
 * all: the maps that the decoder sees as well; else the deepest map alone. */
bool den_contrast_encoder_start(struct den_contrast_encoder *e,
                                const struct den_train_job *job,
                                struct den_params *params, size_t n, bool all,
                                struct den_err *err) DEN_CHECKED;
void den_contrast_encoder_release(struct den_contrast_encoder *e);

void den_contrast_encoder_forward(struct den_contrast_encoder *e, const float *images);
/* Map k after forward. */
void den_contrast_encoder_get(struct den_contrast_encoder *e, size_t k, float *to);
/* From the gradients of all maps. */
void den_contrast_encoder_backward(struct den_contrast_encoder *e,
                                   float *const *gradients);

/* Maps and bytes of such an encoder on that many threads. */
bool den_contrast_encoder_plan(const struct den_train_config *config, size_t n, bool all,
                               int threads, struct den_contrast_maps *ret_maps,
                               size_t *ret_bytes, struct den_err *err) DEN_CHECKED;

#endif
