#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "contrast.h"
#include "contrast_head.h"
#include "contrast_view.h"
#include "mem.h"

/* A contrastive term on the discriminator: all pairs [x, y'] (y' held fixed) and [x, y]
 * are instances, f = all of D, its map of logits flattened to P numbers.  Each instance
 * is seen in two views, as query and as key, and D and head should give the two alike and
 * all others otherwise.  Its gradient takes an Adam step on D of its own, before D's
 * plain ones; G feels it through a better D alone.
 *
 * D normalises by batch statistics, so its four passes (generated and clean, queries and
 * keys) stay apart, but the loss couples them all.  D has the activations of one pass
 * only: all four run forward for their logits, then each but the last runs forward once
 * more before its backward.  Three more forwards on four times (1 + 2): a quarter more
 * work than with all activations kept, and a quarter of their memory.  (The running
 * statistics of D see a view twice; nothing reads them.) */

enum { FAKE_QUERY, REAL_QUERY, FAKE_KEY, REAL_KEY, PASSES };

enum { WIDTH = 128 }; /* of an embedding */

/* A head has P^2 weights; 4096 logits are 67 MB of them. */
#define LOGITS_MAX 4096

struct disc {
    const struct den_train_job *job;
    const struct den_pair_loss *loss;
    struct den_pair_loss_options options;
    struct den_adversary *d; /* borrowed */
    struct den_contrast_head head;
    size_t n, side;  /* of a batch */
    float *view;     /* [n][side][side][2] */
    float *blurred;  /* [threads][side][side][2] */
    float *logits;   /* [PASSES][n][P] */
    float *dlogits;  /* their gradients */
    float *place;    /* [PASSES][n][WIDTH], embeddings: queries, then keys */
    float *dplace;   /* their gradients */
    double *scratch; /* of the loss */
};

/* Logits per image: the side is halved d_layers times and then loses 1 twice. */
static size_t logits_of(const struct den_train_config *config)
{
    size_t side = ((size_t)config->crop >> config->d_layers) - 2;
    return side * side;
}

/* ---- start and end --------------------------------------------------------------- */

static void stop(void *state)
{
    struct disc *s = state;
    if (s == NULL)
        return;
    den_contrast_head_release(&s->head);
    den_free(s->view);
    den_free(s->blurred);
    den_free(s->logits);
    den_free(s->dlogits);
    den_free(s->place);
    den_free(s->dplace);
    den_free(s->scratch);
    den_free(s);
}

static bool start_arrays(struct disc *s, struct den_err *err)
{
    size_t pixels = s->side * s->side * 2, logits = PASSES * s->d->logits;
    size_t rows = PASSES * s->n, threads = (size_t)den_pool_threads(s->job->pool);
    size_t scratch = den_pair_loss_scratch(rows / 2, WIDTH);
    return (s->view = den_new(s->n * pixels, sizeof(float), err)) != NULL &&
           (s->blurred = den_new(threads * pixels, sizeof(float), err)) != NULL &&
           (s->logits = den_new(logits, sizeof(float), err)) != NULL &&
           (s->dlogits = den_new(logits, sizeof(float), err)) != NULL &&
           (s->place = den_new(rows * WIDTH, sizeof(float), err)) != NULL &&
           (s->dplace = den_new(rows * WIDTH, sizeof(float), err)) != NULL &&
           (s->scratch = den_new(scratch, sizeof(double), err)) != NULL;
}

static bool start(const struct den_contrastive *row,
                  const struct den_contrast_parts *parts, void **ret_state,
                  struct den_err *err)
{
    const struct den_train_job *job = parts->job;
    struct den_adversary *d = parts->d;
    struct disc *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    s->job = job;
    s->loss = row->loss;
    s->options = (struct den_pair_loss_options){job->config.contrastive_tau,
                                                job->config.contrastive_l2norm};
    s->d = d;
    s->n = d->shape.n;
    s->side = d->shape.h;
    assert(den_contrast_head_random.out == WIDTH);
    assert(d->logits == s->n * logits_of(&job->config));
    if (!den_contrast_head_start(&s->head, job, &den_contrast_head_random, PASSES * s->n,
                                 d->logits / s->n, err) ||
        !start_arrays(s, err)) {
        stop(s);
        return false;
    }
    *ret_state = s;
    return true;
}

/* ---- one step -------------------------------------------------------------------- */

/* D on the views of this pass, which are a function of (seed, step, pass). */
static void run_pass(struct disc *s, const struct den_batch *batch, const float *fake,
                     size_t pass)
{
    struct den_adversary *d = s->d;
    bool real = pass == REAL_QUERY || pass == REAL_KEY;
    den_adversary_pair(d, 0, batch->noisy);
    den_adversary_pair(d, 1, real ? batch->clean : fake);
    den_contrast_views_fill(s->job->seed, batch->step * PASSES + pass, s->n, s->side,
                            d->pair, s->view, s->blurred, s->job->pool);
    den_graph_set_input(d->graph, d->input, s->view);
    den_graph_forward(d->graph, true, 0);
}

/* The loss of all logits, and its gradient with respect to them. */
static double compare(struct disc *s, const struct den_batch *batch)
{
    size_t rows = PASSES / 2 * s->n, half = rows * WIDTH;
    den_contrast_head_forward(&s->head, s->logits, s->place);
    memset(s->dplace, 0, 2 * half * sizeof *s->dplace);
    double loss = s->loss->value(rows, WIDTH, s->place, s->place + half, &s->options,
                                 s->job->config.contrastive_weight, s->dplace,
                                 s->dplace + half, s->scratch);
    den_contrast_head_backward(&s->head, batch, s->dplace, s->dlogits);
    return loss;
}

static double step(void *state, const struct den_batch *batch, const float *fake,
                   float *dfake)
{
    (void)dfake;
    struct disc *s = state;
    struct den_graph *graph = s->d->graph;
    size_t logits = s->d->logits;
    den_graph_set_input_grads(graph, false);
    for (size_t pass = 0; pass < PASSES; pass++) {
        run_pass(s, batch, fake, pass);
        den_graph_get_output(graph, s->logits + pass * logits);
    }
    double loss = compare(s, batch);
    den_params_zero_grad(s->d->params);
    for (size_t pass = PASSES; pass-- > 0;) {
        if (pass + 1 < PASSES)
            run_pass(s, batch, fake, pass);
        den_graph_backward(graph, s->dlogits + pass * logits, true);
    }
    den_adversary_adam(s->d, batch, 0);
    return loss;
}

/* ---- the rest -------------------------------------------------------------------- */

static bool save(void *state, struct den_tensor_writer *writer, struct den_err *err)
{
    struct disc *s = state;
    return den_contrast_head_save(&s->head, writer, err);
}

static bool load(void *state, const struct den_tensor_file *file, struct den_err *err)
{
    struct disc *s = state;
    return den_contrast_head_load(&s->head, file, err);
}

static bool bytes(const struct den_train_config *config, int threads, size_t *ret,
                  struct den_err *err)
{
    size_t n = (size_t)config->batch, pixels = (size_t)(config->crop * config->crop) * 2;
    size_t rows = PASSES * n, logits = logits_of(config), head;
    if (!den_contrast_head_bytes(config, &den_contrast_head_random, rows, logits, threads,
                                 &head, err))
        return false;
    size_t floats = (n + (size_t)threads) * pixels + 2 * rows * logits + 2 * rows * WIDTH;
    *ret = head + floats * sizeof(float) +
           den_pair_loss_scratch(rows / 2, WIDTH) * sizeof(double);
    return true;
}

static bool check(const struct den_train_config *config, struct den_err *err)
{
    size_t logits = logits_of(config);
    return logits <= LOGITS_MAX ||
           den_err_field(err, DEN_E_INVALID, "contrastive",
                         "contrastive %s takes at most %d logits per crop, but crop "
                         "%" PRId64 " with d_layers %" PRId64 " has %zu",
                         config->contrastive, LOGITS_MAX, config->crop, config->d_layers,
                         logits);
}

/* What the authors ran (their published code, util/contrastive_learning.py). */
const struct den_contrastive den_contrast_disc_infonce = {
    .name = "disc-infonce",
    .doc = "each query against all keys, on the discriminator's logits",
    .loss = &den_loss_info_nce,
    .on_discriminator = true,
    .start = start,
    .step = step,
    .save = save,
    .load = load,
    .stop = stop,
    .bytes = bytes,
    .check = check,
};

/* The formula of the paper (section III.F) on the same. */
const struct den_contrastive den_contrast_disc_ntxent = {
    .name = "disc-ntxent",
    .doc = "each view against all others, on the discriminator's logits",
    .loss = &den_loss_nt_xent,
    .on_discriminator = true,
    .start = start,
    .step = step,
    .save = save,
    .load = load,
    .stop = stop,
    .bytes = bytes,
    .check = check,
};
