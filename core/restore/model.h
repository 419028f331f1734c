#ifndef DEN_MODEL_H
#define DEN_MODEL_H

/* A model = net, its options, weights, and the normalisation of the images it was trained
 * on. On disk: one safetensors file whose __metadata__ holds all but the weights. */

#include "net.h"
#include "weights.h"

/* network value = (grey value - shift) / scale.  One pair per model, of the training
 * images; a kind that goes by the image takes the pair of the whole image at hand
 * instead, never of a tile. */
struct den_norm {
    const char *kind;    /* a name of den_norm_kinds[] */
    double shift, scale; /* grey values; scale > 0 */
};
struct den_norm_kind {
    const char *name, *doc;
    /* From all training noisy pixels (any order), n > 0. */
    bool (*fit)(const float *pixels, size_t n, double *ret_shift, double *ret_scale,
                struct den_err *err);
    bool per_image; /* in use, fitted to each image; in training, to each batch */
};
/* mean_std: mean and standard deviation; percentile: 0.1 and 99.9 % to -1 and 1;
 * min_max: minimum and maximum to -1 and 1; batch_joint: the same of each batch or image.
 * A constant image gets scale 1. */
extern const struct den_norm_kind den_norm_kinds[]; /* ends with name NULL */
const struct den_norm_kind *den_norm_find(const char *name);
/* What an image of n pixels is normalised by: norm, or, where its kind goes by the image,
 * the fit to these pixels.  DEN_E_UNPROCESSABLE for a pixel that is not finite. */
bool den_norm_of_image(const struct den_norm *norm, const float *pixels, size_t n,
                       struct den_norm *ret, struct den_err *err) DEN_CHECKED;

/* What the images of a series have in common: seen one after the other, they all get one
 * pair, so that what is equally bright stays so.  Starts as all zero. */
struct den_norm_span {
    float low, high; /* grey values */
    bool any;        /* something was seen */
};
/* Does the kind of norm go by the images at hand, so that they have to be seen? */
bool den_norm_by_image(const struct den_norm *norm);
/* Fails as den_norm_of_image. */
bool den_norm_see(struct den_norm_span *span, const float *pixels, size_t n,
                  struct den_err *err) DEN_CHECKED;
/* den_norm_of_image of all that was seen; norm itself where its kind does not go by the
 * image, and while nothing was. */
struct den_norm den_norm_of_span(const struct den_norm *norm,
                                 const struct den_norm_span *span);

struct den_model {
    const struct den_net *net;
    struct den_net_options options;
    struct den_norm norm;
    struct den_params *params; /* owned */
    bool taken; /* a graph has taken weights (den_graph_set_take_weights) */
    struct den_tensor_file *file; /* where it was loaded from, owned; NULL if made anew */
};

#define DEN_MODEL_FILE_MAX ((size_t)1 << 30)

/* Fresh weights for inference or training (den_params_init is the caller's). */
bool den_model_new(const struct den_backend *backend, const struct den_net *net,
                   const struct den_net_options *options, const struct den_norm *norm,
                   struct den_model **ret, struct den_err *err) DEN_CHECKED;
void den_model_free(struct den_model *model);
/* extra: further metadata (config, step, ...), `extra_count` entries. */
bool den_model_save(struct den_model *model, const struct den_meta *extra,
                    size_t extra_count, const char *path,
                    struct den_err *err) DEN_CHECKED;
/* A hostile file ends in a sentence.  Only nets of den_nets[], finite weights. */
bool den_model_load(const struct den_backend *backend, const char *path,
                    struct den_model **ret, struct den_err *err) DEN_CHECKED;
/* Loads the weights again if a graph has taken some. */
bool den_model_complete(struct den_model *model, struct den_err *err) DEN_CHECKED;
/* The default backend with its appetite for scratch, but without its memory: parameters
 * on it have names and shapes, for plans alone. */
struct den_backend den_model_counting(void);
/* What a net would hold for n images of height x width, from numbers alone: bytes of its
 * parameters (values only, without gradients and moments) and of its graph. */
bool den_model_plan(const struct den_net *net, const struct den_net_options *options,
                    size_t n, size_t height, size_t width, enum den_purpose purpose,
                    int threads, size_t *ret_params, size_t *ret_graph,
                    struct den_err *err) DEN_CHECKED;
/* Peak of loading such a net from a file and running it in a graph that takes its
 * weights: parameters and graph. */
bool den_model_plan_use(const struct den_net *net, const struct den_net_options *options,
                        size_t n, size_t height, size_t width, int threads, size_t *ret,
                        struct den_err *err) DEN_CHECKED;
/* Bytes of the parameters of a net with these options (float). */
bool den_model_bytes(const struct den_net *net, const struct den_net_options *options,
                     size_t *ret, struct den_err *err) DEN_CHECKED;

#endif
