#include <math.h>
#include <string.h>

#include "contrast.h"
#include "contrast_encoder.h"
#include "contrast_frame.h"
#include "contrast_head.h"
#include "mem.h"

/* NT-Xent on the generator's encoder, the paper's prose [section III.F]: what each crop
 * shows in two views, one of its noisy image and one of another noisy frame of the scene
 * (the same one where the scene has no other).  They share what is seen and differ in
 * noise, brightness and place.
 * f = the encoder's deepest map, rectified and averaged over its pixels; then a head of
 * two layers and embeddings of length 1.  No clean image is looked at.
 */

enum {
    VIEWS = 2,  /* of each image: queries, then keys */
    WIDTH = 128 /* of an embedding */
};

struct enc {
    const struct den_train_job *job;
    const struct den_pair_loss *loss;
    struct den_contrast_encoder encoder;
    struct den_shape map; /* [2 n][h][w][c]: the deepest map */
    struct den_contrast_head head;
    struct den_contrast_frames frames;
    float *views;    /* [2][n][side][side] */
    float *deep;     /* [map] and its gradient */
    float *pooled;   /* [2 n][c] */
    float *dpooled;  /* its gradient */
    float *place;    /* [2 n][WIDTH] */
    float *dplace;   /* its gradient */
    double *scratch; /* of the loss */
};

/* ---- start and end --------------------------------------------------------------- */

static void stop(void *state)
{
    struct enc *s = state;
    if (s == NULL)
        return;
    den_contrast_encoder_release(&s->encoder);
    den_contrast_head_release(&s->head);
    den_free(s->frames.work);
    den_free(s->views);
    den_free(s->deep);
    den_free(s->pooled);
    den_free(s->dpooled);
    den_free(s->place);
    den_free(s->dplace);
    den_free(s->scratch);
    den_free(s);
}

static bool start_nets(struct enc *s, struct den_params *params, struct den_err *err)
{
    size_t rows = VIEWS * s->frames.n;
    if (!den_contrast_encoder_start(&s->encoder, s->job, params, rows, false, err))
        return false;
    den_graph_set_input_grads(s->encoder.graph, false);
    s->map = s->encoder.maps.shape[0];
    return den_contrast_head_start(&s->head, s->job, &den_contrast_head_mlp, rows,
                                   s->map.c, err);
}

static bool start_arrays(struct enc *s, struct den_err *err)
{
    size_t side = (size_t)s->job->config.crop, pixels = side * side, rows = s->map.n;
    size_t threads = (size_t)den_pool_threads(s->job->pool);
    size_t scratch = den_pair_loss_scratch(rows / VIEWS, WIDTH);
    return (s->frames.work = den_new(threads * pixels, sizeof(float), err)) != NULL &&
           (s->views = den_new(rows * pixels, sizeof(float), err)) != NULL &&
           (s->deep = den_new(den_shape_count(s->map), sizeof(float), err)) != NULL &&
           (s->pooled = den_new(rows * s->map.c, sizeof(float), err)) != NULL &&
           (s->dpooled = den_new(rows * s->map.c, sizeof(float), err)) != NULL &&
           (s->place = den_new(rows * WIDTH, sizeof(float), err)) != NULL &&
           (s->dplace = den_new(rows * WIDTH, sizeof(float), err)) != NULL &&
           (s->scratch = den_new(scratch, sizeof(double), err)) != NULL;
}

static bool start(const struct den_contrastive *row,
                  const struct den_contrast_parts *parts, void **ret_state,
                  struct den_err *err)
{
    struct enc *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    const struct den_train_config *config = &parts->job->config;
    s->job = parts->job;
    s->loss = row->loss;
    s->frames = (struct den_contrast_frames){.seed = parts->job->seed,
                                             .n = (size_t)config->batch,
                                             .side = (size_t)config->crop,
                                             .lo = parts->lo,
                                             .hi = parts->hi,
                                             .pool = parts->job->pool};
    if (!start_nets(s, parts->generator, err) || !start_arrays(s, err)) {
        stop(s);
        return false;
    }
    *ret_state = s;
    return true;
}

/* ---- one step -------------------------------------------------------------------- */

/* pooled = mean over pixels of max(deep, 0). */
static void pool_map(struct enc *s)
{
    size_t pixels = s->map.h * s->map.w, c = s->map.c;
    for (size_t i = 0; i < s->map.n; i++)
        for (size_t k = 0; k < c; k++) {
            double sum = 0;
            for (size_t p = 0; p < pixels; p++)
                sum += fmax((double)s->deep[(i * pixels + p) * c + k], 0);
            s->pooled[i * c + k] = (float)(sum / (double)pixels);
        }
}

/* deep = gradient with respect to it. */
static void spread_gradient(struct enc *s)
{
    size_t pixels = s->map.h * s->map.w, c = s->map.c;
    for (size_t e = 0; e < s->map.n * pixels * c; e++) {
        float slope = s->dpooled[e / (pixels * c) * c + e % c] / (float)pixels;
        s->deep[e] = s->deep[e] > 0 ? slope : 0;
    }
}

static double step(void *state, const struct den_batch *batch, const float *fake,
                   float *dfake)
{
    (void)fake, (void)dfake;
    struct enc *s = state;
    const struct den_train_config *config = &s->job->config;
    size_t n = s->frames.n, pixels = s->frames.side * s->frames.side, half = n * WIDTH;
    const float *from[VIEWS] = {batch->noisy, batch->twin};
    for (size_t v = 0; v < VIEWS; v++)
        den_contrast_frames_fill(&s->frames, batch->step * VIEWS + v, from[v],
                                 s->views + v * n * pixels);
    den_contrast_encoder_forward(&s->encoder, s->views);
    den_contrast_encoder_get(&s->encoder, 0, s->deep);
    pool_map(s);
    den_contrast_head_forward(&s->head, s->pooled, s->place);
    memset(s->dplace, 0, VIEWS * half * sizeof *s->dplace);
    struct den_pair_loss_options options = {config->contrastive_tau, true};
    double loss = s->loss->value(n, WIDTH, s->place, s->place + half, &options,
                                 config->contrastive_weight, s->dplace, s->dplace + half,
                                 s->scratch);
    den_contrast_head_backward(&s->head, batch, s->dplace, s->dpooled);
    spread_gradient(s);
    den_contrast_encoder_backward(&s->encoder, &s->deep);
    return loss;
}

/* ---- the rest -------------------------------------------------------------------- */

static bool save(void *state, struct den_tensor_writer *writer, struct den_err *err)
{
    struct enc *s = state;
    return den_contrast_head_save(&s->head, writer, err);
}

static bool load(void *state, const struct den_tensor_file *file, struct den_err *err)
{
    struct enc *s = state;
    return den_contrast_head_load(&s->head, file, err);
}

static bool bytes(const struct den_train_config *config, int threads, size_t *ret,
                  struct den_err *err)
{
    size_t side = (size_t)config->crop, rows = VIEWS * (size_t)config->batch;
    struct den_contrast_maps maps;
    size_t encoder, head;
    if (!den_contrast_encoder_plan(config, rows, false, threads, &maps, &encoder, err) ||
        !den_contrast_head_bytes(config, &den_contrast_head_mlp, rows, maps.shape[0].c,
                                 threads, &head, err))
        return false;
    /* views, scratch and the twin of a batch, which is half as many as the views */
    size_t floats = (rows + rows / VIEWS + (size_t)threads) * side * side +
                    den_shape_count(maps.shape[0]) + 2 * rows * (maps.shape[0].c + WIDTH);
    *ret = encoder + head + floats * sizeof(float) +
           den_pair_loss_scratch(rows / VIEWS, WIDTH) * sizeof(double);
    return true;
}

static bool check(const struct den_train_config *config, struct den_err *err)
{
    if (config->batch < 2)
        return den_err_field(err, DEN_E_INVALID, "contrastive",
                             "contrastive %s tells images apart, so batch must be at "
                             "least 2",
                             config->contrastive);
    return true;
}

const struct den_contrastive den_contrast_enc_ntxent = {
    .name = "enc-ntxent",
    .doc =
        "views of two noisy frames of each scene against all others, on the generator's "
        "encoder",
    .loss = &den_loss_nt_xent,
    .wants_twin = true,
    .start = start,
    .step = step,
    .save = save,
    .load = load,
    .stop = stop,
    .bytes = bytes,
    .check = check,
};

const struct den_contrastive den_contrast_enc_pretrain = {
    .name = "enc-pretrain",
    .doc = "as enc-ntxent, alone in the first part of the run",
    .loss = &den_loss_nt_xent,
    .wants_twin = true,
    .pretrains = true,
    .start = start,
    .step = step,
    .save = save,
    .load = load,
    .stop = stop,
    .bytes = bytes,
    .check = check,
};
