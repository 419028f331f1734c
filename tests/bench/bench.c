#include "bench.h"

#include <cblas.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "backend_cpu_tile.h"
#include "clock.h"
#include "mem.h"
#include "str.h"

/* ---- figures ---- */

static double thread_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_time(const struct bench *b, void (*call)(void *context), void *context)
{
    enum { CALLS_LEAST = 3 };
    double begin = den_monotonic_s(), least = 0;
    for (size_t i = 0; i < CALLS_LEAST || den_monotonic_s() - begin < b->seconds; i++) {
        double from = b->threads == 1 ? thread_seconds() : den_monotonic_s();
        call(context);
        double took = (b->threads == 1 ? thread_seconds() : den_monotonic_s()) - from;
        least = i == 0 || took < least ? took : least;
    }
    return least;
}

static void next_row(struct bench *b)
{
    if (b->report != NULL)
        fprintf(b->report, "%s\n  ", b->rows > 0 ? "," : "");
    b->rows++;
}

static void end_row(const struct bench *b)
{
    if (b->table != NULL)
        fflush(b->table);
}

void bench_write(struct bench *b, const struct bench_row *row)
{
    double rate = row->flop * 1e-9 / row->seconds, ms = row->seconds * 1e3;
    next_row(b);
    if (b->report != NULL) {
        fprintf(b->report,
                "{\"what\": \"%s\", \"part\": \"%s\", \"batch\": %zu, \"ms\": %.4g",
                row->what, row->part, row->batch, ms);
        if (row->flop > 0)
            fprintf(b->report, ", \"gflops\": %.4g, \"of_sgemm\": %.3f", rate,
                    rate / b->peak);
        fprintf(b->report, "}");
    }
    if (b->table != NULL) {
        fprintf(b->table, "%-14s %-10s b%-3zu %10.3f ms", row->what, row->part,
                row->batch, ms);
        if (row->flop > 0)
            fprintf(b->table, " %8.1f GFLOP/s %5.0f %% of sgemm", rate,
                    100 * rate / b->peak);
        fprintf(b->table, "\n");
    }
    end_row(b);
}

void bench_write_number(struct bench *b, const char *what, const char *unit, double value)
{
    next_row(b);
    if (b->report != NULL)
        fprintf(b->report, "{\"what\": \"%s\", \"unit\": \"%s\", \"value\": %.6g}", what,
                unit, value);
    if (b->table != NULL)
        fprintf(b->table, "%-25s %16.6g %s\n", what, value, unit);
    end_row(b);
}

/* ---- the yardstick: OpenBLAS on one thread inside each thread of the pool ---- */

enum { PEAK_M = 1920, PEAK_N = 512, PEAK_K = 4096 };

struct peak {
    const struct bench *bench;
    float *a, *b, *c; /* c: one per thread */
};

static void peak_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct peak *p = context;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, PEAK_M, PEAK_N, PEAK_K, 1,
                p->a, PEAK_K, p->b, PEAK_N, 0, p->c + unit * PEAK_M * PEAK_N, PEAK_N);
}

static void peak_call(void *context)
{
    const struct peak *p = context;
    den_pool_run(p->bench->pool, (size_t)p->bench->threads, peak_unit, context);
}

static bool measure_peak(struct bench *b, struct den_err *err)
{
    size_t threads = (size_t)b->threads;
    struct peak p = {.bench = b};
    bool done = (p.a = den_calloc64((size_t)PEAK_M * PEAK_K, sizeof *p.a)) != NULL &&
                (p.b = den_calloc64((size_t)PEAK_K * PEAK_N, sizeof *p.b)) != NULL &&
                (p.c = den_calloc64(threads * PEAK_M * PEAK_N, sizeof *p.c)) != NULL;
    if (done) {
        openblas_set_num_threads(1);
        b->peak = 2e-9 * PEAK_M * PEAK_N * PEAK_K * (double)threads /
                  bench_time(b, peak_call, &p);
        bench_write_number(b, "sgemm", "GFLOP/s", b->peak);
    } else {
        den_err_set(err, DEN_E_NO_MEMORY, "There is no memory to measure sgemm.");
    }
    den_free(p.a);
    den_free(p.b);
    den_free(p.c);
    return done;
}

/* ---- options ---- */

struct job {
    const char *name, *doc;
    bool (*run)(struct bench *b, struct den_err *err);
};
static const struct job jobs[] = {
    {"layers", "each convolution of the preset's nets, all passes", bench_layers},
    {"infer", "a 256 x 256 image through the preset's U-Net", bench_infer},
    {"train", "one step of the preset's training", bench_train},
    {"scaling", "the same step on one thread and on all, by turns", bench_scaling},
    {"sizes", "images of 512 to 4096 pixels a side, by tiles", bench_sizes},
};
enum { JOBS = sizeof jobs / sizeof jobs[0] };

static const struct job *find_job(const char *name)
{
    for (size_t i = 0; i < JOBS; i++)
        if (strcmp(jobs[i].name, name) == 0)
            return &jobs[i];
    return NULL;
}

static bool number(const char *text, int64_t most, size_t *ret)
{
    int64_t value;
    struct den_err err = DEN_ERR_INIT;
    if (text == NULL || !den_parse_int(text, 1, most, &value, &err))
        return false;
    *ret = (size_t)value;
    return true;
}

static bool mode_of(const char *text, enum den_winograd *ret)
{
    static const char *const names[] = {"auto", "f22", "off"};
    for (int i = 0; text != NULL && i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum den_winograd)i;
            return true;
        }
    return false;
}

/* One option and its value; false if there is no such thing. */
static bool set_option(struct bench *b, const char *key, const char *value)
{
    struct den_err err = DEN_ERR_INIT;
    size_t n = 0;
    if (strcmp(key, "--preset") == 0 && value != NULL) {
        b->preset = value;
        return den_train_config_preset(value, &b->config, &err);
    }
    if (strcmp(key, "--isa") == 0 && value != NULL) {
        b->isa = value;
        return den_cpu_tile_use(value);
    }
    if (strcmp(key, "--winograd") == 0)
        return mode_of(value, &b->winograd);
    if (strcmp(key, "--batch") == 0)
        return number(value, 1024, &b->batch);
    if (strcmp(key, "--threads") == 0 && number(value, 256, &n)) {
        b->threads = (int)n;
        return true;
    }
    if (strcmp(key, "--set") == 0 && value != NULL) {
        char name[64];
        const char *equals = strchr(value, '=');
        return equals != NULL &&
               den_str_format(name, sizeof name, "%.*s", (int)(equals - value), value) &&
               den_train_config_set(&b->config, name, equals + 1, &err);
    }
    if (strcmp(key, "--report") == 0 && value != NULL)
        return (b->report = fopen(value, "we")) != NULL;
    if (strcmp(key, "--ms") == 0 && number(value, 60000, &n)) {
        b->seconds = (double)n * 1e-3;
        return true;
    }
    return false;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: bench JOB [--preset P] [--batch N] [--threads T] [--isa I]\n"
            "             [--winograd auto|f22|off] [--ms TIME] [--json]\n"
            "             [--set KEY=VALUE ...] [--report FILE]\n"
            "TIME: to spend on each figure, 500 by default; --winograd not for train\n"
            "--json: JSON instead of the table; --report: JSON into FILE beside it\n");
    for (size_t i = 0; i < JOBS; i++)
        fprintf(stderr, "  %-8s %s\n", jobs[i].name, jobs[i].doc);
    return 2;
}

static bool parse(struct bench *b, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            b->table = NULL;
            b->report = stdout;
            continue;
        }
        if (!set_option(b, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
            fprintf(stderr, "bench: %s does not fit\n", argv[i]);
            return false;
        }
        i++;
    }
    return true;
}

/* What the figures belong to. */
static void write_head(const struct bench *b, const struct job *job)
{
    const char *isa = den_cpu_tile_best()->name;
    if (b->report != NULL)
        fprintf(b->report,
                "{\"job\": \"%s\", \"preset\": \"%s\", \"batch\": %zu, \"threads\": %d, "
                "\"isa\": \"%s\", \"rows\": [",
                job->name, b->preset, b->batch, b->threads, isa);
    if (b->table != NULL)
        fprintf(b->table, "%s, preset %s, batch %zu, threads %d, %s\n", job->name,
                b->preset, b->batch, b->threads, isa);
}

static bool write_foot(const struct bench *b)
{
    if (b->report == NULL)
        return true;
    bool done = fprintf(b->report, "\n]}\n") > 0;
    return (b->report == stdout ? fflush(stdout) : fclose(b->report)) == 0 && done;
}

int main(int argc, char **argv)
{
    struct den_err err = DEN_ERR_INIT;
    struct bench b = {
        .preset = "paper", .batch = 1, .threads = 1, .seconds = 0.5, .table = stdout};
    const struct job *job = argc > 1 ? find_job(argv[1]) : NULL;
    if (job == NULL || !den_train_config_preset(b.preset, &b.config, &err) ||
        !parse(&b, argc, argv))
        return usage();
    write_head(&b, job);
    bool done = den_pool_new(b.threads, &b.pool, &err) && measure_peak(&b, &err) &&
                job->run(&b, &err);
    if (!write_foot(&b) && done)
        done = den_err_set(&err, DEN_E_INTERNAL, "the report could not be written");
    if (!done)
        fprintf(stderr, "bench: %s\n", err.text);
    den_pool_free(b.pool);
    return done ? 0 : 1;
}
