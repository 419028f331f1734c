#include <math.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "contrast_head.h"
#include "contrast_view.h"
#include "fs.h"
#include "infer.h"
#include "loss.h"
#include "mem.h"
#include "str.h"
#include "train_plan.h"
#include "trainer.h"

/* denoised as one of the engines that peers.py compares: the nets of preset paper on
 * images of 256 x 256.
 *     peer_net make DIR              weights, images, and what the U-Net answers
 *     peer_net losses DIR THREADS CONTRASTIVE   of the first training steps, no dropout
 *     peer_net infer DIR THREADS N   repetitions on a batch of N, as asked on stdin
 *     peer_net train DIR THREADS N CONTRASTIVE   the same for training steps
 *     peer_net page MODEL THREADS SIDE   a denoise job's part of the work on one image
 * The last three write "ready", then for every line on stdin the milliseconds of one
 * repetition, until stdin ends.  CONTRASTIVE: none or disc-infonce. */

enum { SIDE = 256, PIXELS = SIDE * SIDE, IMAGES = 4, SEED = 1, STATISTICS = 20 };
/* Of the discriminator, for the contrastive term of a step. */
enum { LOSS_STEPS = 3, PASSES = 4 };
/* Tensors of the two nets hold 167 and 11 MB. */
#define FILE_MOST ((size_t)1 << 30)
#define PATH_SIZE 4096

struct peer {
    const char *dir; /* or the model file of `page` */
    size_t n;        /* images per batch; pixels per side of `page` */
    struct den_train_config config;
    struct den_pool *pool;
    struct den_model *model;
    float *noisy, *clean; /* [IMAGES][SIDE][SIDE], -1 to 1 */
};

static bool path_of(const struct peer *p, const char *name, char *to, struct den_err *err)
{
    return den_str_format(to, PATH_SIZE, "%s/%s", p->dir, name) ||
           den_err_set(err, DEN_E_INVALID, "the name of the folder is too long");
}

static bool write_floats(const struct peer *p, const char *name, const float *data,
                         size_t count, struct den_err *err)
{
    char path[PATH_SIZE];
    return path_of(p, name, path, err) &&
           den_fs_write(path, data, count * sizeof *data, err);
}

static bool read_floats(const struct peer *p, const char *name, float *data, size_t count,
                        struct den_err *err)
{
    char path[PATH_SIZE], *bytes = NULL;
    size_t length;
    if (!path_of(p, name, path, err) ||
        !den_fs_read(path, FILE_MOST, &bytes, &length, err))
        return false;
    bool fits = length == count * sizeof *data;
    if (fits)
        memcpy(data, bytes, length);
    den_free(bytes);
    return fits || den_err_set(err, DEN_E_MALFORMED, "%s has another size", name);
}

/* ---- what all engines start from ---- */

/* Blobs and fibres under noise: smooth and rough parts, so that all frequencies take
 * part. */
static void draw_images(const struct peer *p)
{
    struct den_rng rng;
    den_rng_seed(&rng, SEED, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < (size_t)IMAGES * PIXELS; i++) {
        double x = (double)(i % SIDE), y = (double)(i / SIDE % SIDE);
        size_t image = i / PIXELS;
        double wave =
            sin(0.05 * x + (double)image) * cos(0.08 * y) + 0.4 * sin(0.6 * (x - y));
        p->clean[i] = (float)(0.5 * wave);
        double noisy = (double)p->clean[i] + 0.2 * den_rng_normal(&rng);
        p->noisy[i] = (float)fmax(-1, fmin(1, noisy));
    }
}

static bool new_model(struct peer *p, struct den_err *err)
{
    struct den_net_options options = den_train_generator(&p->config);
    struct den_norm norm = {"min_max", 0, 1};
    return den_model_new(&den_backend_cpu, &den_net_unet, &options, &norm, &p->model,
                         err);
}

/* A graph of the model on n images. */
static bool new_graph(const struct peer *p, size_t n, enum den_purpose purpose,
                      struct den_graph **ret, den_node *ret_input, struct den_err *err)
{
    struct den_graph *g = NULL;
    if (!den_graph_new(p->model->params, p->pool, &g, err))
        return false;
    den_graph_set_take_weights(g, purpose == DEN_FOR_INFERENCE); /* as a denoise job */
    den_node x = den_input(g, (struct den_shape){n, SIDE, SIDE, 1});
    den_node y = den_net_build(p->model->net, g, x, &p->model->options);
    if (!den_graph_finish(g, y, purpose, err)) {
        den_graph_free(g);
        return false;
    }
    *ret = g;
    *ret_input = x;
    return true;
}

/* Running statistics as training leaves them; those of a new net would let its maps
 * shrink from layer to layer until the output is 0 whatever goes in. */
static bool settle_statistics(const struct peer *p, struct den_err *err)
{
    struct den_graph *g = NULL;
    den_node x;
    if (!new_graph(p, IMAGES, DEN_FOR_TRAINING, &g, &x, err))
        return false;
    den_graph_set_input(g, x, p->noisy);
    for (uint64_t key = 0; key < STATISTICS; key++)
        den_graph_forward(g, true, key);
    den_graph_free(g);
    return true;
}

/* The discriminator with the weights that a training with this seed starts from. */
static bool save_discriminator(const struct peer *p, struct den_err *err)
{
    struct den_net_options options = den_train_discriminator(&p->config);
    struct den_params *params = NULL;
    struct den_graph *g = NULL;
    struct den_tensor_writer *writer = NULL;
    char path[PATH_SIZE];
    size_t bytes;
    bool done = false;
    if (!den_params_new(&den_backend_cpu, &params, err) ||
        !den_graph_new(params, p->pool, &g, err))
        goto out;
    den_node x = den_input(g, (struct den_shape){1, SIDE, SIDE, 2});
    den_node y = den_net_patchgan.build(g, x, &options);
    if (!den_graph_plan(g, y, DEN_FOR_TRAINING, &bytes, err))
        goto out;
    den_params_init(params, den_hash64(SEED, 1));
    done = path_of(p, "discriminator.safetensors", path, err) &&
           den_tensor_writer_new(&writer, err) &&
           den_params_save(params, "", false, writer, err) &&
           den_tensor_writer_save(writer, path, err);
out:
    den_tensor_writer_free(writer);
    den_graph_free(g);
    den_params_free(params);
    return done;
}

/* The head of a contrastive term as a training with this seed begins with it. */
static bool save_head(const struct peer *p, struct den_err *err)
{
    struct den_train_job job = {
        .config = p->config, .seed = SEED, .backend = &den_backend_cpu, .pool = p->pool};
    struct den_contrast_head head = {0};
    struct den_tensor_writer *writer = NULL;
    char path[PATH_SIZE];
    size_t side = ((size_t)SIDE >> p->config.d_layers) - 2;
    bool done = den_contrast_head_start(&head, &job, &den_contrast_head_random, 1,
                                        side * side, err) &&
                path_of(p, "head.safetensors", path, err) &&
                den_tensor_writer_new(&writer, err) &&
                den_params_save(head.params, "", false, writer, err) &&
                den_tensor_writer_save(writer, path, err);
    den_tensor_writer_free(writer);
    den_contrast_head_release(&head);
    return done;
}

/* The views that the contrastive term of the first steps takes, a line per image:
 * blurred, flipped, x, y, width, height. */
static bool write_views(const struct peer *p, struct den_err *err)
{
    char path[PATH_SIZE];
    if (!path_of(p, "views.txt", path, err))
        return false;
    FILE *file = fopen(path, "we");
    bool done = file != NULL;
    for (uint64_t pass = 0; done && pass < (uint64_t)LOSS_STEPS * PASSES; pass++)
        for (size_t i = 0; i < IMAGES; i++) {
            struct den_contrast_view v =
                den_contrast_view_draw(SEED, pass, IMAGES, i, SIDE);
            done = done && fprintf(file, "%d %d %zu %zu %zu %zu\n",
                                   den_contrast_view_blurs(SEED, pass, IMAGES), v.flip,
                                   v.x, v.y, v.w, v.h) > 0;
        }
    done = file != NULL && fclose(file) == 0 && done;
    return done || den_err_set(err, DEN_E_INTERNAL, "the views could not be written");
}

static bool make(struct peer *p, struct den_err *err)
{
    char path[PATH_SIZE];
    draw_images(p);
    if (!new_model(p, err))
        return false;
    den_params_init(p->model->params, SEED);
    return settle_statistics(p, err) && path_of(p, "generator.safetensors", path, err) &&
           den_model_save(p->model, NULL, 0, path, err) && save_discriminator(p, err) &&
           save_head(p, err) && write_views(p, err) &&
           write_floats(p, "noisy.bin", p->noisy, (size_t)IMAGES * PIXELS, err) &&
           write_floats(p, "clean.bin", p->clean, (size_t)IMAGES * PIXELS, err);
}

/* What `make` wrote. */
static bool load(struct peer *p, struct den_err *err)
{
    char path[PATH_SIZE];
    return path_of(p, "generator.safetensors", path, err) &&
           den_model_load(&den_backend_cpu, path, &p->model, err) &&
           read_floats(p, "noisy.bin", p->noisy, (size_t)IMAGES * PIXELS, err) &&
           read_floats(p, "clean.bin", p->clean, (size_t)IMAGES * PIXELS, err);
}

/* ---- repetitions ---- */

/* One repetition per line on stdin; `call` false = it failed. */
static bool serve(bool (*call)(void *context), void *context)
{
    char line[16];
    printf("ready\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        double from = den_monotonic_s();
        if (!call(context))
            return false;
        printf("%.4f\n", 1e3 * (den_monotonic_s() - from));
        (void)fflush(stdout);
    }
    return true;
}

struct inference {
    const struct peer *peer;
    struct den_graph *graph;
    den_node input;
    float *output;
};

static bool call_inference(void *context)
{
    struct inference *i = context;
    den_graph_set_input(i->graph, i->input, i->peer->noisy);
    den_graph_forward(i->graph, false, 0);
    den_graph_get_output(i->graph, i->output);
    return true;
}

static bool infer(struct peer *p, struct den_err *err)
{
    struct inference i = {.peer = p};
    char name[64];
    bool done = load(p, err) &&
                new_graph(p, p->n, DEN_FOR_INFERENCE, &i.graph, &i.input, err) &&
                (i.output = den_new(p->n * PIXELS, sizeof *i.output, err)) != NULL &&
                call_inference(&i) && serve(call_inference, &i) &&
                den_str_format(name, sizeof name, "denoised-%zu.bin", p->n) &&
                write_floats(p, name, i.output, p->n * PIXELS, err);
    den_free(i.output);
    den_graph_free(i.graph);
    return done;
}

struct training {
    const struct den_method *method;
    struct den_train_job job;
    struct den_batch batch;
    void *state;
    bool report;
    struct den_err *err;
};

static bool call_training(void *context)
{
    struct training *t = context;
    bool done = t->method->step(t->state, &t->batch, t->report, t->err);
    t->batch.step++;
    t->batch.key++;
    return done;
}

static bool start_training(struct peer *p, struct training *t, struct den_err *err)
{
    t->err = err;
    t->job.method = "cgan";
    t->job.config = p->config;
    t->job.config.batch = (int64_t)p->n;
    t->job.seed = SEED;
    t->job.backend = &den_backend_cpu;
    t->job.pool = p->pool;
    t->batch = (struct den_batch){.n = p->n,
                                  .side = SIDE,
                                  .noisy = p->noisy,
                                  .twin = p->noisy, /* a scene of one frame */
                                  .clean = p->clean,
                                  .steps = 1000,
                                  .lr = p->config.lr,
                                  .key = 1};
    t->method = den_method_find(t->job.method);
    return t->method->start(&t->job, p->model, -1, 1, &t->state, err);
}

static void stop_training(struct training *t)
{
    if (t->state != NULL)
        t->method->stop(t->state);
}

static bool train(struct peer *p, struct den_err *err)
{
    struct training t = {0};
    bool done = load(p, err) && start_training(p, &t, err) && call_training(&t) &&
                serve(call_training, &t);
    stop_training(&t);
    return done;
}

static void print_loss(void *context, size_t step, const char *name, double value)
{
    (void)context;
    printf("%zu %s %.9g\n", step, name, value);
}

/* Dropout draws other masks in every engine; without it all of them must find the same
 * losses, and find them again after Adam has moved the weights. */
static bool losses(struct peer *p, struct den_err *err)
{
    struct training t = {.report = true, .job = {.hooks = {.metric = print_loss}}};
    bool done = load(p, err);
    if (done) {
        p->model->options.dropout = false;
        done = start_training(p, &t, err);
    }
    for (int step = 0; done && step < LOSS_STEPS; step++)
        done = call_training(&t);
    stop_training(&t);
    return done;
}

/* ---- one large image ---- */

struct page {
    struct den_infer *infer;
    float *noisy, *denoised;
    struct den_err *err;
};

static bool call_page(void *context)
{
    struct page *page = context;
    const struct den_progress silent = {0};
    return den_infer_page(page->infer, page->noisy, page->denoised, &silent, 0, 1,
                          page->err);
}

static bool run_page(struct peer *p, struct den_err *err)
{
    struct page page = {.err = err};
    size_t pixels = p->n * p->n;
    bool done = den_model_load(&den_backend_cpu, p->dir, &p->model, err) &&
                den_infer_new(p->model, p->pool, p->n, p->n, NULL, &page.infer, err) &&
                (page.noisy = den_new(pixels, sizeof(float), err)) != NULL &&
                (page.denoised = den_new(pixels, sizeof(float), err)) != NULL;
    for (size_t i = 0; done && i < pixels; i++)
        page.noisy[i] = (float)(i % 251 * 37 % 101);
    done = done && call_page(&page) && serve(call_page, &page);
    den_free(page.noisy);
    den_free(page.denoised);
    den_infer_free(page.infer);
    return done;
}

/* ---- command line ---- */

static const struct {
    const char *name;
    int arguments; /* with the program's and its own name */
    bool (*run)(struct peer *p, struct den_err *err);
} works[] = {
    {"make", 3, make},   {"losses", 5, losses}, {"infer", 5, infer},
    {"train", 6, train}, {"page", 5, run_page},
};
enum { WORKS = sizeof works / sizeof works[0], SIDE_MOST = 8192 };

static bool parse(struct peer *p, int argc, char **argv, size_t *ret_work,
                  int *ret_threads, struct den_err *err)
{
    int64_t threads = 1, n = IMAGES;
    size_t work = 0;
    while (argc > 1 && work < WORKS && strcmp(argv[1], works[work].name) != 0)
        work++;
    if (argc < 2 || work == WORKS || argc != works[work].arguments)
        return den_err_set(err, DEN_E_INVALID,
                           "usage: peer_net make|losses|infer|train|page DIR [THREADS "
                           "[N] [CONTRASTIVE]]");
    int64_t most = works[work].run == run_page ? SIDE_MOST : IMAGES;
    bool trains = works[work].run == losses || works[work].run == train;
    if (!den_train_config_set(&p->config, "contrastive", trains ? argv[argc - 1] : "none",
                              err) ||
        !den_train_config_set(&p->config, "contrastive_l2norm", "false", err) ||
        (argc > 3 && !den_parse_int(argv[3], 1, 256, &threads, err)) ||
        (argc > 4 && works[work].run != losses &&
         !den_parse_int(argv[4], 1, most, &n, err)))
        return false;
    p->dir = argv[2];
    p->n = (size_t)n;
    *ret_work = work;
    *ret_threads = (int)threads;
    return true;
}

int main(int argc, char **argv)
{
    struct den_err err = DEN_ERR_INIT;
    struct peer p = {0};
    size_t work = 0, count = (size_t)IMAGES * PIXELS;
    int threads = 1;
    bool done = den_train_config_preset("paper", &p.config, &err) &&
                parse(&p, argc, argv, &work, &threads, &err) &&
                den_pool_new(threads, &p.pool, &err) &&
                (p.noisy = den_new(count, sizeof *p.noisy, &err)) != NULL &&
                (p.clean = den_new(count, sizeof *p.clean, &err)) != NULL &&
                works[work].run(&p, &err);
    if (!done)
        (void)fprintf(stderr, "peer_net: %s\n", err.text);
    den_free(p.noisy);
    den_free(p.clean);
    den_model_free(p.model);
    den_pool_free(p.pool);
    return done ? 0 : 1;
}
