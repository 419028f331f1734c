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
    den_node y = den_net_unet.build(g, x, &options);
    den_params_init(params, 1);
    den_graph_set_take_weights(g, true); /* as with a model from a file */
    if (!den_graph_finish(g, y, DEN_FOR_INFERENCE, err))
        goto out;
    double seconds = bench_time(b, call_forward, g);
    double flop = unet_flop(&options, IMAGE) * (double)b->batch;
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

struct training {
    struct den_train_job job;
    struct den_model *model;
    void *state;
    float *noisy, *clean;
    struct den_batch batch;
    struct den_err err;
};

static void call_step(void *context)
{
    struct training *t = context;
    if (t->err.code == DEN_OK) /* after an error the rest is not worth measuring */
        (void)!den_method_find(t->job.method)->step(t->state, &t->batch, false, &t->err);
    t->batch.step++;
}

static bool training_new(struct training *t, struct bench *b, struct den_err *err)
{
    struct den_net_options options = den_train_generator(&b->config);
    struct den_norm norm = {"mean_std", 0, 1};
    size_t side = (size_t)b->config.crop, pixels = b->batch * side * side;
    t->job.method = "cgan";
    t->job.seed = 1;
    t->job.config = b->config;
    t->job.config.batch = (int64_t)b->batch;
    t->job.backend = &den_backend_cpu;
    t->job.pool = b->pool;
    t->noisy = den_new(pixels, sizeof *t->noisy, err);
    t->clean = den_new(pixels, sizeof *t->clean, err);
    if (t->noisy == NULL || t->clean == NULL ||
        !den_model_new(t->job.backend, &den_net_unet, &options, &norm, &t->model, err))
        return false;
    den_params_init(t->model->params, 1);
    for (size_t i = 0; i < pixels; i++) {
        t->clean[i] = (float)(i % side / 8 % 2) - 0.5F;
        t->noisy[i] = t->clean[i] + (float)(i * 37 % 101) / 101 - 0.5F;
    }
    t->batch = (struct den_batch){b->batch, side, t->noisy, t->clean, 0, 1e-4, 7};
    return den_method_find(t->job.method)
        ->start(&t->job, t->model, -4, 4, &t->state, err);
}

bool bench_train(struct bench *b, struct den_err *err)
{
    struct training t = {.err = DEN_ERR_INIT};
    den_mem_reset_peak();
    bool done = training_new(&t, b, err);
    if (done) {
        double seconds = bench_time(b, call_step, &t);
        done = t.err.code == DEN_OK;
        if (!done) {
            *err = t.err;
        } else {
            bench_write(b, &(struct bench_row){"step", b->preset, b->batch, 0, seconds});
            write_memory(b);
        }
    }
    if (t.state != NULL)
        den_method_find(t.job.method)->stop(t.state);
    den_model_free(t.model);
    den_free(t.noisy);
    den_free(t.clean);
    return done;
}
