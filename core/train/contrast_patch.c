#include <string.h>

#include "contrast.h"
#include "contrast_encoder.h"
#include "contrast_head.h"
#include "mem.h"

/* PatchNCE [Park et al., ECCV 2020]: a place of the restored image should be known again,
 * by the generator's own encoder, among the same places of the noisy one.  In each map of
 * the encoder up to 256 places are drawn, the same ones for both images and the whole
 * batch; a head per map makes embeddings of length 1 (and 1e-7).  Queries come from G(x),
 * keys from x and are held fixed.  Loss = mean over places, images and maps.
 *
 * The gradient goes through the queries into the encoder's weights and, through the
 * encoder, into G(x).  As x is noisy, the term draws the output towards the noise as
 * well.
 */

enum { PLACES = 256, WIDTH = 256 }; /* WIDTH: of an embedding */

/* One map. */
struct layer {
    struct den_contrast_head head;
    size_t places;        /* drawn of it: at most PLACES */
    size_t place[PLACES]; /* indices of pixels, all different */
    float *rows;          /* [2][n][places][c]: queries, then keys */
    float *gradient;      /* of the map */
};

struct patch {
    const struct den_train_job *job;
    struct den_contrast_encoder encoder;
    size_t n;
    struct layer layers[DEN_CONTRAST_MAPS];
    /* Of one layer at a time, large enough for any: */
    float *map;
    float *drows;          /* gradient of rows */
    float *point, *dpoint; /* [2][n][places][WIDTH]: embeddings; their gradient */
    float *dimage;         /* [n][side][side] */
    double *values;        /* [n]: losses of one map */
    double *scratch;       /* [threads][scratch_count] */
    size_t scratch_count;
};

static size_t places_of(struct den_shape map)
{
    return map.h * map.w < PLACES ? map.h * map.w : PLACES;
}

/* ---- start and end --------------------------------------------------------------- */

static void stop(void *state)
{
    struct patch *s = state;
    if (s == NULL)
        return;
    for (size_t k = 0; k < DEN_CONTRAST_MAPS; k++) {
        struct layer *l = &s->layers[k];
        den_contrast_head_release(&l->head);
        den_free(l->rows);
        den_free(l->gradient);
    }
    den_contrast_encoder_release(&s->encoder);
    den_free(s->map);
    den_free(s->drows);
    den_free(s->point);
    den_free(s->dpoint);
    den_free(s->dimage);
    den_free(s->values);
    den_free(s->scratch);
    den_free(s);
}

static bool start_layer(struct patch *s, size_t k, struct den_err *err)
{
    struct layer *l = &s->layers[k];
    struct den_shape map = s->encoder.maps.shape[k];
    l->places = places_of(map);
    l->head.number = k;
    size_t rows = 2 * s->n * l->places, count = den_shape_count(map);
    return den_contrast_head_start(&l->head, s->job, &den_contrast_head_patch, rows,
                                   map.c, err) &&
           (l->rows = den_new(rows * map.c, sizeof(float), err)) != NULL &&
           (l->gradient = den_new(count, sizeof(float), err)) != NULL;
}

/* Of any layer: numbers in its map, rows, and numbers in its rows. */
struct sizes {
    size_t map, rows, inputs;
};

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static struct sizes largest(const struct den_contrast_maps *maps)
{
    struct sizes most = {0};
    for (size_t k = 0; k < maps->count; k++) {
        struct den_shape map = maps->shape[k];
        size_t rows = 2 * map.n * places_of(map);
        most.map = larger(most.map, den_shape_count(map));
        most.rows = larger(most.rows, rows);
        most.inputs = larger(most.inputs, rows * map.c);
    }
    return most;
}

static bool start_all(struct patch *s, struct den_params *params, struct den_err *err)
{
    size_t side = (size_t)s->job->config.crop;
    if (!den_contrast_encoder_start(&s->encoder, s->job, params, s->n, true, err))
        return false;
    for (size_t k = 0; k < s->encoder.maps.count; k++)
        if (!start_layer(s, k, err))
            return false;
    s->scratch_count = den_pair_loss_scratch(PLACES, WIDTH);
    size_t threads = (size_t)den_pool_threads(s->job->pool);
    struct sizes most = largest(&s->encoder.maps);
    return (s->map = den_new(most.map, sizeof(float), err)) != NULL &&
           (s->drows = den_new(most.inputs, sizeof(float), err)) != NULL &&
           (s->point = den_new(most.rows * WIDTH, sizeof(float), err)) != NULL &&
           (s->dpoint = den_new(most.rows * WIDTH, sizeof(float), err)) != NULL &&
           (s->dimage = den_new(s->n * side * side, sizeof(float), err)) != NULL &&
           (s->values = den_new(s->n, sizeof(double), err)) != NULL &&
           (s->scratch = den_new(threads * s->scratch_count, sizeof(double), err)) !=
               NULL;
}

static bool start(const struct den_contrastive *row,
                  const struct den_contrast_parts *parts, void **ret_state,
                  struct den_err *err)
{
    (void)row;
    struct patch *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    s->job = parts->job;
    s->n = (size_t)parts->job->config.batch;
    if (!start_all(s, parts->generator, err)) {
        stop(s);
        return false;
    }
    *ret_state = s;
    return true;
}

/* ---- places ---------------------------------------------------------------------- */

static bool taken(const struct layer *l, size_t count, size_t place)
{
    for (size_t i = 0; i < count; i++)
        if (l->place[i] == place)
            return true;
    return false;
}

/* A map with fewer pixels than places gives all of them. */
static void draw_places(struct patch *s, size_t k, size_t step)
{
    struct layer *l = &s->layers[k];
    struct den_shape map = s->encoder.maps.shape[k];
    struct den_rng rng;
    den_rng_seed(&rng, s->job->seed, DEN_STREAM_VIEWS, step * DEN_CONTRAST_MAPS + k);
    for (size_t i = 0; i < l->places;) {
        size_t place = (size_t)den_rng_below(&rng, map.h * map.w);
        if (!taken(l, i, place))
            l->place[i++] = place;
    }
}

/* Pixel number i of all that are drawn: image by image. */
static size_t pixel_at(const struct layer *l, struct den_shape map, size_t i)
{
    return i / l->places * map.h * map.w + l->place[i % l->places];
}

/* The drawn pixels of all maps of these images, into the rows from `part` (0 or 1). */
static void gather(struct patch *s, const float *images, size_t part)
{
    den_contrast_encoder_forward(&s->encoder, images);
    for (size_t k = 0; k < s->encoder.maps.count; k++) {
        struct layer *l = &s->layers[k];
        struct den_shape map = s->encoder.maps.shape[k];
        float *to = l->rows + part * s->n * l->places * map.c;
        den_contrast_encoder_get(&s->encoder, k, s->map);
        for (size_t i = 0; i < s->n * l->places; i++, to += map.c)
            memcpy(to, s->map + pixel_at(l, map, i) * map.c, map.c * sizeof *to);
    }
}

/* The gradient of map k, from that of its queries. */
static void scatter(struct patch *s, size_t k)
{
    struct layer *l = &s->layers[k];
    struct den_shape map = s->encoder.maps.shape[k];
    const float *from = s->drows;
    memset(l->gradient, 0, den_shape_count(map) * sizeof *l->gradient);
    for (size_t i = 0; i < s->n * l->places; i++, from += map.c)
        memcpy(l->gradient + pixel_at(l, map, i) * map.c, from, map.c * sizeof *from);
}

/* ---- one step -------------------------------------------------------------------- */

struct compare_work {
    struct patch *s;
    struct layer *layer;
};

/* The places of one image among themselves. */
static void compare_image(void *context, size_t i, int thread)
{
    const struct compare_work *work = context;
    struct patch *s = work->s;
    const struct layer *l = work->layer;
    const struct den_train_config *config = &s->job->config;
    const struct den_pair_loss_options options = {config->contrastive_tau, true};
    size_t at = i * l->places * WIDTH, half = s->n * l->places * WIDTH;
    double parts = (double)(s->n * s->encoder.maps.count);
    s->values[i] = den_loss_patch_nce.value(
        l->places, WIDTH, s->point + at, s->point + half + at, &options,
        config->contrastive_weight / parts, s->dpoint + at, NULL,
        s->scratch + (size_t)thread * s->scratch_count);
}

/* Mean over images of the loss of map k; leaves its gradient. */
static double compare(struct patch *s, size_t k, const struct den_batch *batch)
{
    struct layer *l = &s->layers[k];
    struct compare_work work = {s, l};
    double sum = 0;
    den_contrast_head_forward(&l->head, l->rows, s->point);
    memset(s->dpoint, 0, 2 * s->n * l->places * WIDTH * sizeof *s->dpoint);
    den_pool_run(s->job->pool, s->n, compare_image, &work);
    den_contrast_head_backward(&l->head, batch, s->dpoint, s->drows);
    scatter(s, k);
    for (size_t i = 0; i < s->n; i++)
        sum += s->values[i];
    return sum / (double)s->n;
}

static double step(void *state, const struct den_batch *batch, const float *fake,
                   float *dfake)
{
    struct patch *s = state;
    struct den_contrast_encoder *e = &s->encoder;
    float *gradients[DEN_CONTRAST_MAPS];
    double sum = 0;
    for (size_t k = 0; k < e->maps.count; k++)
        draw_places(s, k, batch->step);
    gather(s, batch->noisy, 1);
    gather(s, fake, 0); /* last: backward is that of the queries */
    for (size_t k = 0; k < e->maps.count; k++) {
        sum += compare(s, k, batch);
        gradients[k] = s->layers[k].gradient;
    }
    den_contrast_encoder_backward(e, gradients);
    den_graph_get_input_grad(e->graph, e->input, s->dimage);
    for (size_t i = 0; i < s->n * batch->side * batch->side; i++)
        dfake[i] += s->dimage[i];
    return sum / (double)e->maps.count;
}

/* ---- the rest -------------------------------------------------------------------- */

static bool save(void *state, struct den_tensor_writer *writer, struct den_err *err)
{
    struct patch *s = state;
    for (size_t k = 0; k < s->encoder.maps.count; k++)
        if (!den_contrast_head_save(&s->layers[k].head, writer, err))
            return false;
    return true;
}

static bool load(void *state, const struct den_tensor_file *file, struct den_err *err)
{
    struct patch *s = state;
    for (size_t k = 0; k < s->encoder.maps.count; k++)
        if (!den_contrast_head_load(&s->layers[k].head, file, err))
            return false;
    return true;
}

static bool bytes(const struct den_train_config *config, int threads, size_t *ret,
                  struct den_err *err)
{
    size_t n = (size_t)config->batch, side = (size_t)config->crop, sum;
    struct den_contrast_maps maps;
    if (!den_contrast_encoder_plan(config, n, true, threads, &maps, &sum, err))
        return false;
    struct sizes most = largest(&maps);
    size_t floats = most.map + most.inputs + 2 * most.rows * WIDTH + n * side * side;
    for (size_t k = 0; k < maps.count; k++) {
        size_t rows = 2 * n * places_of(maps.shape[k]), head;
        if (!den_contrast_head_bytes(config, &den_contrast_head_patch, rows,
                                     maps.shape[k].c, threads, &head, err))
            return false;
        sum += head;
        floats += rows * maps.shape[k].c + den_shape_count(maps.shape[k]);
    }
    *ret = sum + floats * sizeof(float) +
           (size_t)threads * den_pair_loss_scratch(PLACES, WIDTH) * sizeof(double);
    return true;
}

const struct den_contrastive den_contrast_patchnce = {
    .name = "patchnce",
    .doc = "places of the restored image against those of the noisy one, on the "
           "generator's encoder",
    .loss = &den_loss_patch_nce,
    .start = start,
    .step = step,
    .save = save,
    .load = load,
    .stop = stop,
    .bytes = bytes,
};
