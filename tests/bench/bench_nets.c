#include <sys/resource.h>

#include "bench.h"
#include "mem.h"
#include "train_plan.h"
#include "trainer.h"

/* Whole nets: inference as denoise jobs run it, and one step of training. */

enum { IMAGE = 256 };

/* 2 * multiplications of all 4x4 layers of the U-Net on one image. */
static double unet_flop(const struct den_net_options *o, size_t side)
{
    double sum = 0;
    for (size_t k = 1; k <= o->depth; k++) {
        double pixels = (double)(side >> k) * (double)(side >> k);
        double in = (double)(k == 1 ? o->channels_in : den_net_channels(o->width, k - 2));
        double up =
            (double)(k == 1 ? o->channels_out : den_net_channels(o->width, k - 2));
        double mid = (double)den_net_channels(o->width, k - 1);
        sum += 2 * 16 * pixels * mid * (in + up * (k == o->depth ? 1 : 2));
    }
    return sum;
}

/* The largest resident set of the process so far. */
static double resident_bytes(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)use.ru_maxrss * 1024;
}

static void write_memory(struct bench *b)
{
    bench_write_number(b, "peak allocated", "bytes", (double)den_mem_peak());
    bench_write_number(b, "peak resident", "bytes", resident_bytes());
}

static void call_forward(void *context)
{
    den_graph_forward(context, false, 0);
}

bool bench_infer(struct bench *b, struct den_err *err)
{
    struct den_net_options options = den_train_generator(&b->config);
    struct den_params *params = NULL;
    struct den_graph *g = NULL;
    den_mem_reset_peak();
    bool done = false;
    if (!den_params_new(&den_backend_cpu, &params, err) ||
        !den_graph_new(params, b->pool, &g, err))
        goto out;
    den_graph_set_winograd(g, b->winograd);
    den_node x = den_input(g, (struct den_shape){b->batch, IMAGE, IMAGE, 1});
    const struct den_net *net = den_train_net(&b->config);
    den_node y = net->build(g, x, &options);
    den_params_init(params, 1);
    den_graph_set_take_weights(g, true); /* as with a model from a file */
    if (!den_graph_finish(g, y, DEN_FOR_INFERENCE, err))
        goto out;
    double seconds = bench_time(b, call_forward, g);
    bool counted = net == &den_net_unet; /* 0: not known */
    double flop = counted ? unet_flop(&options, IMAGE) * (double)b->batch : 0;
    bench_write(b,
                &(struct bench_row){"image", b->preset, b->batch, flop / (double)b->batch,
                                    seconds / (double)b->batch});
    bench_write_number(b, "graph", "bytes", (double)den_graph_bytes(g));
    write_memory(b);
    done = true;
out:
    den_graph_free(g);
    den_params_free(params);
    return done;
}

/* ---- training ---- */

struct bench_training {
    struct den_train_job job;
    struct den_model *model;
    void *state;
    float *noisy, *clean;
    struct den_batch batch;
};

void bench_training_free(struct bench_training *training)
{
    if (training == NULL)
        return;
    if (training->state != NULL)
        den_method_find(training->job.method)->stop(training->state);
    den_model_free(training->model);
    den_free(training->noisy);
    den_free(training->clean);
    den_free(training);
}

static void draw(struct bench_training *t, size_t pixels, size_t side)
{
    for (size_t i = 0; i < pixels; i++) {
        t->clean[i] = (float)(i % side / 8 % 2) - 0.5F;
        t->noisy[i] = t->clean[i] + (float)(i * 37 % 101) / 101 - 0.5F;
    }
}

bool bench_training_new(const struct bench *b, struct den_pool *pool,
                        struct bench_training **ret, struct den_err *err)
{
    struct den_net_options options = den_train_generator(&b->config);
    struct den_norm norm = {"mean_std", 0, 1};
    size_t side = (size_t)b->config.crop, pixels = b->batch * side * side;
    struct bench_training *t = den_new(1, sizeof *t, err);
    if (t == NULL)
        return false;
    t->job.method = "cgan";
    t->job.seed = 1;
    t->job.config = b->config;
    t->job.config.batch = (int64_t)b->batch;
    t->job.backend = &den_backend_cpu;
    t->job.pool = pool;
    if ((t->noisy = den_new(pixels, sizeof *t->noisy, err)) == NULL ||
        (t->clean = den_new(pixels, sizeof *t->clean, err)) == NULL ||
        !den_model_new(t->job.backend, den_train_net(&b->config), &options, &norm,
                       &t->model, err))
        goto failed;
    den_params_init(t->model->params, 1);
    draw(t, pixels, side);
    t->batch = (struct den_batch){
        .n = b->batch,
        .side = side,
        .noisy = t->noisy,
        .clean = t->clean,
        .steps = 1,
        .lr = 1e-4,
        .key = 7,
    };
    if (!den_method_find(t->job.method)->start(&t->job, t->model, -4, 4, &t->state, err))
        goto failed;
    *ret = t;
    return true;
failed:
    bench_training_free(t);
    return false;
}

bool bench_training_step(struct bench_training *training, struct den_err *err)
{
    bool done = den_method_find(training->job.method)
                    ->step(training->state, &training->batch, false, err);
    training->batch.step++;
    return done;
}

struct steps {
    struct bench_training *training;
    struct den_err *err;
    bool done;
};

static void call_step(void *context)
{
    struct steps *s = context;
    if (s->done) /* after an error the rest is not worth measuring */
        s->done = bench_training_step(s->training, s->err);
}

bool bench_train(struct bench *b, struct den_err *err)
{
    struct steps s = {.err = err, .done = true};
    den_mem_reset_peak();
    if (!bench_training_new(b, b->pool, &s.training, err))
        return false;
    double seconds = bench_time(b, call_step, &s), crops = 0;
    if (s.done) {
        bench_write(b, &(struct bench_row){"step", b->preset, b->batch, 0, seconds});
        write_memory(b);
    }
    bench_training_free(s.training);
    if (!s.done || !bench_crops(b, &crops, err))
        return false;
    bench_write(b, &(struct bench_row){"its crops", b->preset, b->batch, 0, crops});
    bench_write_number(b, "crops of a step", "%", 100 * crops / seconds);
    return true;
}
