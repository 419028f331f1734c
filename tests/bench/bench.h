#ifndef DEN_BENCH_H
#define DEN_BENCH_H

/* Speed of the CPU backend: layers, whole nets, training steps.  Not a test: it says how
 * fast this machine is, and only ratios within one run mean anything.  Times are the
 * least of many, because on a shared machine the median measures the neighbours. */

#include <stdio.h>

#include "backend.h"
#include "train_config.h"

struct bench {
    const char *preset, *isa;
    struct den_train_config config; /* of the preset */
    size_t batch;
    int threads;
    enum den_winograd winograd;
    FILE *table, *report; /* people's rows and JSON's; either may be NULL */
    double seconds;       /* to spend on each figure */
    struct den_pool *pool;
    double peak; /* of sgemm on all threads, GFLOP/s */
    size_t rows; /* written so far */
};

bool bench_layers(struct bench *b, struct den_err *err) DEN_CHECKED;
bool bench_infer(struct bench *b, struct den_err *err) DEN_CHECKED;
bool bench_train(struct bench *b, struct den_err *err) DEN_CHECKED;
bool bench_scaling(struct bench *b, struct den_err *err) DEN_CHECKED;
bool bench_sizes(struct bench *b, struct den_err *err) DEN_CHECKED;

/* Least seconds of a call: at least three calls, then until b->seconds are over.  One
 * thread is timed by its processor time, several by the clock on the wall. */
double bench_time(const struct bench *b, void (*call)(void *context), void *context);

/* Seconds that a batch of the preset's crops takes to put together. */
bool bench_crops(struct bench *b, double *ret_seconds, struct den_err *err) DEN_CHECKED;

/* A training of the preset on made-up images, and one step of it. */
struct bench_training;
bool bench_training_new(const struct bench *b, struct den_pool *pool,
                        struct bench_training **ret, struct den_err *err) DEN_CHECKED;
bool bench_training_step(struct bench_training *training,
                         struct den_err *err) DEN_CHECKED;
void bench_training_free(struct bench_training *training); /* NULL is fine */

/* One figure.  flop: what plain sums take; 0 = not a matter of GFLOP/s. */
struct bench_row {
    const char *what, *part;
    size_t batch;
    double flop, seconds;
};
void bench_write(struct bench *b, const struct bench_row *row);
/* A number with its unit, e.g. "bytes". */
void bench_write_number(struct bench *b, const char *what, const char *unit,
                        double value);

#endif
