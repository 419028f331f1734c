#include "backend_cpu.h"

#include <math.h>
#include <string.h>

#include "backend_blas.h"
#include "backend_cpu_map.h"
#include "mem.h"
#include "rng.h"

/* ---- memory ---------------------------------------------------------------------------
 */

static bool cpu_alloc(size_t count, den_real **ret, struct den_err *err)
{
    den_real *data = den_calloc64(count, sizeof *data);
    if (data == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY,
                           "There is no memory for %zu numbers of a network.", count);
    *ret = data;
    return true;
}

static void cpu_free(den_real *data)
{
    den_free(data);
}

static void cpu_transfer(den_real *to, const den_real *from, size_t count)
{
    if (count > 0)
        memcpy(to, from, count * sizeof *to);
}

static void cpu_zero(den_real *data, size_t count)
{
    if (count > 0)
        memset(data, 0, count * sizeof *data);
}

/* ---- rows -----------------------------------------------------------------------------
 */

enum { ROWS_ELEMENTS = 8192 }; /* a unit of work of the cheapest kernels: some 2 us */

struct den_row den_map_row(const struct den_view *const view[DEN_MAP_VIEWS], size_t i,
                           size_t y)
{
    struct den_shape s = view[0]->shape;
    struct den_row row = {.spans = 1, .len = s.w * s.c};
    for (size_t v = 0; v < DEN_MAP_VIEWS; v++) {
        if (view[v] == NULL)
            continue;
        row.at[v] = den_view_at(view[v], i, y, 0);
        row.step[v] = view[v]->ld;
        if (view[v]->ld != s.c) {
            row.spans = s.w;
            row.len = s.c;
        }
    }
    row.index = (i * s.h + y) * s.w * s.c;
    return row;
}

struct map_job {
    const struct den_map *map;
    size_t rows, per_unit;
};

static void map_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct map_job *job = context;
    size_t h = job->map->view[0]->shape.h, end = (unit + 1) * job->per_unit;
    if (end > job->rows)
        end = job->rows;
    for (size_t r = unit * job->per_unit; r < end; r++) {
        struct den_row row = den_map_row(job->map->view, r / h, r % h);
        job->map->row(job->map, &row);
    }
}

void den_map_run(const struct den_exec *ex, const struct den_map *map)
{
    struct den_shape s = map->view[0]->shape;
    struct map_job job = {map, s.n * s.h, ROWS_ELEMENTS / (s.w * s.c) + 1};
    size_t units = (job.rows + job.per_unit - 1) / job.per_unit;
    den_pool_run(den_shape_count(s) < DEN_CPU_ALONE ? NULL : ex->pool, units, map_unit,
                 &job);
}

/* ---- packing and copying --------------------------------------------------------------
 */

static void copy_span(size_t len, const den_real *x, bool add, den_real *y)
{
    if (!add)
        memcpy(y, x, len * sizeof *y);
    else
        DEN_IVDEP
    for (size_t k = 0; k < len; k++)
        y[k] += x[k];
}

static DEN_CLONES void copy_row(const struct den_map *map, const struct den_row *row)
{
    for (size_t j = 0; j < row->spans; j++)
        copy_span(row->len, row->at[0] + j * row->step[0], map->add,
                  row->at[1] + j * row->step[1]);
}

static void cpu_copy(const struct den_exec *ex, const struct den_view *x,
                     const struct den_view *y, bool add)
{
    den_map_run(ex, &(struct den_map){.row = copy_row, .view = {x, y}, .add = add});
}

struct pack_job {
    const struct den_view *view;
    const den_real *host_in;
    den_real *host_out;
};

static void pack_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct pack_job *job = context;
    struct den_shape s = job->view->shape;
    den_real *at = den_view_at(job->view, unit / s.h, unit % s.h, 0);
    size_t host = unit * s.w * s.c;
    for (size_t x = 0; x < s.w; x++, at += job->view->ld, host += s.c)
        if (job->host_in != NULL)
            memcpy(at, job->host_in + host, s.c * sizeof *at);
        else
            memcpy(job->host_out + host, at, s.c * sizeof *at);
}

static void pack(const struct den_exec *ex, const struct pack_job *job)
{
    struct den_shape s = job->view->shape;
    struct pack_job copy = *job;
    den_pool_run(den_shape_count(s) < DEN_CPU_ALONE ? NULL : ex->pool, s.n * s.h,
                 pack_unit, &copy);
}

static void cpu_pack_in(const struct den_exec *ex, const den_real *host,
                        const struct den_view *to)
{
    pack(ex, &(struct pack_job){.view = to, .host_in = host});
}

static void cpu_pack_out(const struct den_exec *ex, const struct den_view *from,
                         den_real *host)
{
    pack(ex, &(struct pack_job){.view = from, .host_out = host});
}

/* ---- activations ----------------------------------------------------------------------
 */

static DEN_CLONES void lrelu_row(const struct den_map *map, const struct den_row *row)
{
    for (size_t j = 0; j < row->spans; j++) {
        const den_real *x = row->at[0] + j * row->step[0];
        den_real *y = row->at[1] + j * row->step[1], slope = map->a;
        DEN_IVDEP
        for (size_t k = 0; k < row->len; k++)
            y[k] = x[k] > 0 ? x[k] : slope * x[k];
    }
}

static void cpu_lrelu_forward(const struct den_exec *ex, const struct den_view *x,
                              double slope, const struct den_view *y)
{
    den_map_run(
        ex, &(struct den_map){.row = lrelu_row, .view = {x, y}, .a = (den_real)slope});
}

static DEN_CLONES void lrelu_back_row(const struct den_map *map,
                                      const struct den_row *row)
{
    den_real slope = map->a;
    for (size_t j = 0; j < row->spans; j++) {
        const den_real *x = row->at[0] + j * row->step[0];
        const den_real *dy = row->at[1] + j * row->step[1];
        den_real *dx = row->at[2] + j * row->step[2];
        if (map->add)
            DEN_IVDEP
        for (size_t k = 0; k < row->len; k++)
            dx[k] += x[k] > 0 ? dy[k] : slope * dy[k];
        else DEN_IVDEP for (size_t k = 0; k < row->len; k++) dx[k] =
            x[k] > 0 ? dy[k] : slope * dy[k];
    }
}

static void cpu_lrelu_backward(const struct den_exec *ex, const struct den_view *x,
                               double slope, const struct den_view *dy,
                               const struct den_view *dx, bool add)
{
    den_map_run(ex, &(struct den_map){.row = lrelu_back_row,
                                      .view = {x, dy, dx},
                                      .add = add,
                                      .a = (den_real)slope});
}

#ifdef DEN_REAL_DOUBLE

static inline double tanh_of(double x)
{
    return tanh(x);
}

#else

/* exp(t) for 0 <= t <= 20: 2^n e^r with |r| <= ln 2 / 2, e^r by its Taylor series to r^7
 * (remainder below 1e-8). */
static inline float exp_of(float t)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    float n = t * 1.44269504f + shift - shift;
    float r = t - n * 0.693359375f + n * 2.12194440e-4f; /* ln 2 in two pieces */
    float e = 1.0f / 5040;
    e = e * r + 1.0f / 720;
    e = e * r + 1.0f / 120;
    e = e * r + 1.0f / 24;
    e = e * r + 1.0f / 6;
    e = e * r + 0.5f;
    e = e * r + 1;
    e = e * r + 1;
    int32_t bits = ((int32_t)n + 127) * (1 << 23);
    float power;
    memcpy(&power, &bits, sizeof power);
    return e * power;
}

/* tanh x = 1 - 2 / (e^2x + 1); near 0, where that cancels, an odd polynomial with the
 * coefficients of S. Moshier's Cephes (tanhf, |x| < 0.625).  NaN stays NaN. */
static inline float tanh_of(float x)
{
    float size = x < 0 ? -x : x, s = x * x;
    float t = 2 * size < 20 ? 2 * size : 20; /* NaN is 20 here and comes back below */
    float far = 1 - 2 / (exp_of(t) + 1);
    float p = -5.70498872745e-3f;
    p = p * s + 2.06390887954e-2f;
    p = p * s - 5.37397155531e-2f;
    p = p * s + 1.33314422036e-1f;
    p = p * s - 3.33332819422e-1f;
    float near = x + x * s * p;
    float signed_far = x < 0 ? -far : far;
    return size > 0.625f ? signed_far : near;
}

#endif

static DEN_CLONES void tanh_row(const struct den_map *map, const struct den_row *row)
{
    (void)map;
    for (size_t j = 0; j < row->spans; j++) {
        const den_real *x = row->at[0] + j * row->step[0];
        den_real *y = row->at[1] + j * row->step[1];
        DEN_IVDEP
        for (size_t k = 0; k < row->len; k++)
            y[k] = tanh_of(x[k]);
    }
}

static void cpu_tanh_forward(const struct den_exec *ex, const struct den_view *x,
                             const struct den_view *y)
{
    den_map_run(ex, &(struct den_map){.row = tanh_row, .view = {x, y}});
}

static DEN_CLONES void tanh_back_row(const struct den_map *map, const struct den_row *row)
{
    for (size_t j = 0; j < row->spans; j++) {
        const den_real *y = row->at[0] + j * row->step[0];
        const den_real *dy = row->at[1] + j * row->step[1];
        den_real *dx = row->at[2] + j * row->step[2];
        if (map->add)
            DEN_IVDEP
        for (size_t k = 0; k < row->len; k++)
            dx[k] += (1 - y[k] * y[k]) * dy[k];
        else DEN_IVDEP for (size_t k = 0; k < row->len; k++) dx[k] =
            (1 - y[k] * y[k]) * dy[k];
    }
}

static void cpu_tanh_backward(const struct den_exec *ex, const struct den_view *y,
                              const struct den_view *dy, const struct den_view *dx,
                              bool add)
{
    den_map_run(ex,
                &(struct den_map){.row = tanh_back_row, .view = {y, dy, dx}, .add = add});
}

/* ---- dropout --------------------------------------------------------------------------
 */

static void dropout_row(const struct den_map *map, const struct den_row *row)
{
    uint64_t e = row->index;
    for (size_t j = 0; j < row->spans; j++) {
        const den_real *x = row->at[0] + j * row->step[0];
        den_real *y = row->at[1] + j * row->step[1];
        for (size_t k = 0; k < row->len; k++, e++) {
            bool kept = (double)den_hash64(map->key, e) * 0x1p-64 >= map->p;
            den_real value = kept ? x[k] * map->a : 0;
            y[k] = map->add ? y[k] + value : value;
        }
    }
}

static void dropout(const struct den_exec *ex, const struct den_view *from, uint64_t key,
                    double p, const struct den_view *to, bool add)
{
    den_map_run(ex, &(struct den_map){.row = dropout_row,
                                      .view = {from, to},
                                      .add = add,
                                      .a = (den_real)(1 / (1 - p)),
                                      .p = p,
                                      .key = key});
}

static void cpu_dropout_forward(const struct den_exec *ex, const struct den_view *x,
                                uint64_t key, double p, const struct den_view *y)
{
    dropout(ex, x, key, p, y, false);
}

static void cpu_dropout_backward(const struct den_exec *ex, uint64_t key, double p,
                                 const struct den_view *dy, const struct den_view *dx,
                                 bool add)
{
    dropout(ex, dy, key, p, dx, add);
}

/* ---- Adam -----------------------------------------------------------------------------
 */

enum { ADAM_ELEMENTS = 16384 };

struct adam_job {
    size_t count;
    den_real *p, *m, *v;
    const den_real *g;
    den_real beta1, beta2, step, root, eps; /* p -= step * m / (root * sqrt(v) + eps) */
};

static DEN_CLONES void adam_unit(void *context, size_t unit, int thread)
{
    (void)thread;
    const struct adam_job job = *(const struct adam_job *)context;
    size_t first = unit * ADAM_ELEMENTS, n = job.count - first;
    if (n > ADAM_ELEMENTS)
        n = ADAM_ELEMENTS;
    den_real *p = job.p + first, *m = job.m + first, *v = job.v + first;
    const den_real *g = job.g + first;
    den_real beta1 = job.beta1, beta2 = job.beta2;
    DEN_IVDEP
    for (size_t i = 0; i < n; i++) {
        m[i] = beta1 * m[i] + (1 - beta1) * g[i];
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
#ifdef DEN_REAL_DOUBLE
        p[i] -= job.step * m[i] / (job.root * sqrt(v[i]) + job.eps);
#else
        p[i] -= job.step * m[i] / (job.root * sqrtf(v[i]) + job.eps);
#endif
    }
}

static void cpu_adam(const struct den_exec *ex, size_t count, den_real *p,
                     const den_real *g, den_real *m, den_real *v,
                     const struct den_adam *adam)
{
    double c1 = 1 - pow(adam->beta1, (double)adam->t);
    double c2 = 1 - pow(adam->beta2, (double)adam->t);
    struct adam_job job = {
        .count = count,
        .p = p,
        .m = m,
        .v = v,
        .g = g,
        .beta1 = (den_real)adam->beta1,
        .beta2 = (den_real)adam->beta2,
        .step = (den_real)(adam->lr / c1),
        .root = (den_real)(1 / sqrt(c2)),
        .eps = (den_real)adam->eps,
    };
    den_pool_run(count < DEN_CPU_ALONE ? NULL : ex->pool,
                 (count + ADAM_ELEMENTS - 1) / ADAM_ELEMENTS, adam_unit, &job);
}

/* Memory and all kernels but the convolutions, of both rows. */
#define ALL_BUT_CONVOLUTIONS                                                      \
    .free = cpu_free, .upload = cpu_transfer, .download = cpu_transfer,           \
    .zero = cpu_zero, .pack_in = cpu_pack_in, .pack_out = cpu_pack_out,           \
    .channel_sum = den_cpu_channel_sum, .lrelu_forward = cpu_lrelu_forward,       \
    .lrelu_backward = cpu_lrelu_backward, .tanh_forward = cpu_tanh_forward,       \
    .tanh_backward = cpu_tanh_backward, .dropout_forward = cpu_dropout_forward,   \
    .dropout_backward = cpu_dropout_backward, .moments = den_cpu_moments,         \
    .norm_forward = den_cpu_norm_forward, .norm_backward = den_cpu_norm_backward, \
    .max_pool_forward = den_cpu_max_pool_forward,                                 \
    .max_pool_backward = den_cpu_max_pool_backward,                               \
    .upsample_forward = den_cpu_upsample_forward,                                 \
    .upsample_backward = den_cpu_upsample_backward, .copy = cpu_copy, .adam = cpu_adam

const struct den_backend den_backend_cpu = {
    .name = "cpu",
    .doc = "vector kernels on all threads of the pool",
    .alloc = cpu_alloc,
    .conv_scratch = den_cpu_conv_scratch,
    .conv_forward = den_cpu_conv_forward,
    .conv_backward_data = den_cpu_conv_backward_data,
    .conv_backward_weights = den_cpu_conv_backward_weights,
    .conv_packed = den_cpu_conv_packed,
    .conv_pack = den_cpu_conv_pack,
    ALL_BUT_CONVOLUTIONS,
};

const struct den_backend den_backend_blas = {
    .name = "blas",
    .doc = "OpenBLAS for convolutions, else as cpu",
    .alloc = den_blas_alloc,
    .conv_scratch = den_blas_conv_scratch,
    .conv_forward = den_blas_conv_forward,
    .conv_backward_data = den_blas_conv_backward_data,
    .conv_backward_weights = den_blas_conv_backward_weights,
    ALL_BUT_CONVOLUTIONS,
};
