#include <stdlib.h>

#include "bench.h"
#include "clock.h"
#include "infer.h"
#include "mem.h"
#include "train_plan.h"

/* How time grows: with fewer threads, and with larger images.  Both are ratios of calls
 * that take turns, so that a neighbour's load meets both sides; hence medians here. */

enum { TURNS = 11 };

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *times, size_t n)
{
    qsort(times, n, sizeof *times, by_size);
    return (times[(n - 1) / 2] + times[n / 2]) / 2;
}

/* ---- threads ---- */

static bool timed_step(struct bench_training *t, double *ret, struct den_err *err)
{
    double from = den_monotonic_s();
    bool done = bench_training_step(t, err);
    *ret = den_monotonic_s() - from;
    return done;
}

/* The first turn warms up. */
static bool take_turns(struct bench_training *one, struct bench_training *all,
                       double *one_s, double *all_s, struct den_err *err)
{
    double first[TURNS + 1], second[TURNS + 1];
    for (size_t i = 0; i <= TURNS; i++)
        if (!timed_step(one, &first[i], err) || !timed_step(all, &second[i], err))
            return false;
    *one_s = median(first + 1, TURNS);
    *all_s = median(second + 1, TURNS);
    return true;
}

bool bench_scaling(struct bench *b, struct den_err *err)
{
    struct bench_training *one = NULL, *all = NULL;
    struct den_pool *alone = NULL;
    double one_s, all_s;
    bool done = den_pool_new(1, &alone, err) && bench_training_new(b, alone, &one, err) &&
                bench_training_new(b, b->pool, &all, err) &&
                take_turns(one, all, &one_s, &all_s, err);
    if (done) {
        bench_write(b, &(struct bench_row){"step", "1 thread", b->batch, 0, one_s});
        bench_write(b, &(struct bench_row){"step", "all", b->batch, 0, all_s});
        bench_write_number(b, "faster by", "times", one_s / all_s);
    }
    bench_training_free(one);
    bench_training_free(all);
    den_pool_free(alone);
    return done;
}

/* ---- image sizes ---- */

static const size_t sides[] = {512, 1024, 2048, 4096};
enum { SIDES = sizeof sides / sizeof sides[0], LARGEST = 4096, ROUNDS = 3 };

static bool timed_page(struct den_model *model, struct den_pool *pool, size_t side,
                       const float *noisy, float *denoised, double *ret,
                       struct den_err *err)
{
    const struct den_progress silent = {0};
    struct den_infer *infer = NULL;
    if (!den_infer_new(model, pool, side, side, NULL, &infer, err))
        return false;
    /* The first call packs the weights and meets the memory for the first time; a worker
     * keeps both from image to image. */
    bool done = den_infer_page(infer, noisy, denoised, &silent, 0, 1, err);
    double from = den_monotonic_s();
    done = done && den_infer_page(infer, noisy, denoised, &silent, 0, 1, err);
    *ret = den_monotonic_s() - from;
    den_infer_free(infer);
    return done;
}

bool bench_sizes(struct bench *b, struct den_err *err)
{
    struct den_net_options options = den_train_generator(&b->config);
    struct den_norm norm = {"mean_std", 0, 1};
    struct den_model *model = NULL;
    size_t pixels = (size_t)LARGEST * LARGEST;
    double times[SIDES][ROUNDS], least = 0, most = 0;
    float *noisy = den_new(pixels, sizeof *noisy, err);
    float *denoised = den_new(pixels, sizeof *denoised, err);
    bool done = noisy != NULL && denoised != NULL &&
                den_model_new(&den_backend_cpu, den_train_net(&b->config), &options,
                              &norm, &model, err);
    if (done)
        den_params_init(model->params, 1);
    for (size_t i = 0; done && i < pixels; i++)
        noisy[i] = (float)(i % 251 * 37 % 101) / 101;
    for (size_t round = 0; done && round < ROUNDS; round++)
        for (size_t k = 0; done && k < SIDES; k++)
            done = timed_page(model, b->pool, sides[k], noisy, denoised, &times[k][round],
                              err);
    for (size_t k = 0; done && k < SIDES; k++) {
        char name[32];
        double seconds = median(times[k], ROUNDS);
        double ns = 1e9 * seconds / (double)(sides[k] * sides[k]);
        snprintf(name, sizeof name, "%zu x %zu", sides[k], sides[k]);
        bench_write(b, &(struct bench_row){name, b->preset, 1, 0, seconds});
        bench_write_number(b, "per pixel", "ns", ns);
        least = k == 0 || ns < least ? ns : least;
        most = ns > most ? ns : most;
    }
    if (done)
        bench_write_number(b, "most over least", "times", most / least);
    den_model_free(model);
    den_free(noisy);
    den_free(denoised);
    return done;
}
