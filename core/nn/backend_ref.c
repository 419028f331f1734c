#include "backend_ref.h"

#include <math.h>
#include <string.h>

#include "mem.h"
#include "rng.h"

/* Plain loops, one thread, sums in double: slow on purpose, easy to believe.  Every other
 * backend is compared with this one.     */

static size_t pixel_count(const struct den_view *v)
{
    return v->shape.n * v->shape.h * v->shape.w;
}

/* Pixel p of a view, counted over images, rows and columns. */
static den_real *pixel(const struct den_view *v, size_t p)
{
    size_t w = v->shape.w, h = v->shape.h;
    return den_view_at(v, p / (w * h), p / w % h, p % w);
}

static bool ref_alloc(size_t count, den_real **ret, struct den_err *err)
{
    den_real *data = den_calloc64(count, sizeof *data);
    if (data == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY,
                           "There is no memory for %zu numbers of a network.", count);
    *ret = data;
    return true;
}

static void ref_free(den_real *data)
{
    den_free(data);
}

static void ref_transfer(den_real *to, const den_real *from, size_t count)
{
    if (count > 0)
        memcpy(to, from, count * sizeof *to);
}

static void ref_zero(den_real *data, size_t count)
{
    for (size_t i = 0; i < count; i++)
        data[i] = 0;
}

static void ref_pack_in(const struct den_exec *ex, const den_real *host,
                        const struct den_view *to)
{
    (void)ex;
    for (size_t p = 0; p < pixel_count(to); p++)
        for (size_t c = 0; c < to->shape.c; c++)
            pixel(to, p)[c] = *host++;
}

static void ref_pack_out(const struct den_exec *ex, const struct den_view *from,
                         den_real *host)
{
    (void)ex;
    for (size_t p = 0; p < pixel_count(from); p++)
        for (size_t c = 0; c < from->shape.c; c++)
            *host++ = pixel(from, p)[c];
}

static void ref_channel_sum(const struct den_exec *ex, const struct den_view *dy,
                            den_real *db)
{
    (void)ex;
    for (size_t c = 0; c < dy->shape.c; c++) {
        double sum = 0;
        for (size_t p = 0; p < pixel_count(dy); p++)
            sum += (double)pixel(dy, p)[c];
        db[c] = (den_real)((double)db[c] + sum);
    }
}

static void put(den_real *to, double value, bool add)
{
    *to = (den_real)(add ? (double)*to + value : value);
}

static void ref_lrelu_forward(const struct den_exec *ex, const struct den_view *x,
                              double slope, const struct den_view *y)
{
    (void)ex;
    for (size_t p = 0; p < pixel_count(x); p++)
        for (size_t c = 0; c < x->shape.c; c++) {
            double v = (double)pixel(x, p)[c];
            pixel(y, p)[c] = (den_real)(v > 0 ? v : slope * v);
        }
}

static void ref_lrelu_backward(const struct den_exec *ex, const struct den_view *x,
                               double slope, const struct den_view *dy,
                               const struct den_view *dx, bool add)
{
    (void)ex;
    for (size_t p = 0; p < pixel_count(x); p++)
        for (size_t c = 0; c < x->shape.c; c++) {
            double d = (double)pixel(dy, p)[c];
            put(&pixel(dx, p)[c], (double)pixel(x, p)[c] > 0 ? d : slope * d, add);
        }
}

static void ref_tanh_forward(const struct den_exec *ex, const struct den_view *x,
                             const struct den_view *y)
{
    (void)ex;
    for (size_t p = 0; p < pixel_count(x); p++)
        for (size_t c = 0; c < x->shape.c; c++)
            pixel(y, p)[c] = (den_real)tanh((double)pixel(x, p)[c]);
}

static void ref_tanh_backward(const struct den_exec *ex, const struct den_view *y,
                              const struct den_view *dy, const struct den_view *dx,
                              bool add)
{
    (void)ex;
    for (size_t p = 0; p < pixel_count(y); p++)
        for (size_t c = 0; c < y->shape.c; c++) {
            double v = (double)pixel(y, p)[c];
            put(&pixel(dx, p)[c], (1 - v * v) * (double)pixel(dy, p)[c], add);
        }
}

/* to (=, or += when add) from * mask / (1 - rate). */
static void dropout(const struct den_view *from, uint64_t key, double rate,
                    const struct den_view *to, bool add)
{
    uint64_t e = 0;
    for (size_t p = 0; p < pixel_count(from); p++)
        for (size_t c = 0; c < from->shape.c; c++, e++) {
            bool kept = (double)den_hash64(key, e) * 0x1p-64 >= rate;
            double v = (double)pixel(from, p)[c];
            put(&pixel(to, p)[c], kept ? v / (1 - rate) : 0, add);
        }
}

static void ref_dropout_forward(const struct den_exec *ex, const struct den_view *x,
                                uint64_t key, double p, const struct den_view *y)
{
    (void)ex;
    dropout(x, key, p, y, false);
}

static void ref_dropout_backward(const struct den_exec *ex, uint64_t key, double p,
                                 const struct den_view *dy, const struct den_view *dx,
                                 bool add)
{
    (void)ex;
    dropout(dy, key, p, dx, add);
}

/* One group of a normalisation: image i alone, or all of them. */
static struct den_view group_of(const struct den_view *v, bool per_image, size_t i)
{
    struct den_view part = *v;
    if (per_image) {
        part.shape.n = 1;
        part.data = v->data + i * den_view_image(v);
    }
    return part;
}

static size_t group_count(const struct den_view *v, bool per_image)
{
    return per_image ? v->shape.n : 1;
}

static void ref_moments(const struct den_exec *ex, const struct den_view *x,
                        bool per_image, den_real *mean, den_real *var)
{
    (void)ex;
    for (size_t g = 0; g < group_count(x, per_image); g++)
        for (size_t c = 0; c < x->shape.c; c++) {
            struct den_view v = group_of(x, per_image, g);
            double count = (double)pixel_count(&v), m = 0, q = 0;
            for (size_t p = 0; p < pixel_count(&v); p++)
                m += (double)pixel(&v, p)[c] / count;
            for (size_t p = 0; p < pixel_count(&v); p++) {
                double d = (double)pixel(&v, p)[c] - m;
                q += d * d / count;
            }
            mean[g * x->shape.c + c] = (den_real)m;
            var[g * x->shape.c + c] = (den_real)q;
        }
}

static void ref_norm_forward(const struct den_exec *ex, const struct den_view *x,
                             bool per_image, const den_real *mean, const den_real *var,
                             const den_real *gamma, const den_real *beta, double eps,
                             const struct den_view *y)
{
    (void)ex;
    for (size_t p = 0; p < pixel_count(x); p++)
        for (size_t c = 0; c < x->shape.c; c++) {
            size_t at = (per_image ? p / (x->shape.h * x->shape.w) * x->shape.c : 0) + c;
            double xhat =
                ((double)pixel(x, p)[c] - (double)mean[at]) / sqrt((double)var[at] + eps);
            pixel(y, p)[c] =
                (den_real)(gamma == NULL ? xhat
                                         : xhat * (double)gamma[c] + (double)beta[c]);
        }
}

/* One group and channel.  With xhat = (x - mean) / sqrt(var + eps):
 *     dx = gamma / sqrt(var + eps) (dy - avg(dy) - xhat avg(dy xhat))
 * [Ioffe and Szegedy, ICML 2015, the equations of section 3].     */
static void norm_backward_channel(const struct den_view *x, const struct den_view *dy,
                                  const struct den_view *dx, size_t c, double mean,
                                  double istd, double gamma, bool add, double *ret_dgamma,
                                  double *ret_dbeta)
{
    double count = (double)pixel_count(x), dbeta = 0, dgamma = 0;
    for (size_t p = 0; p < pixel_count(x); p++) {
        double d = (double)pixel(dy, p)[c];
        dbeta += d;
        dgamma += d * ((double)pixel(x, p)[c] - mean) * istd;
    }
    for (size_t p = 0; p < pixel_count(x); p++) {
        double xhat = ((double)pixel(x, p)[c] - mean) * istd;
        double d = (double)pixel(dy, p)[c];
        put(&pixel(dx, p)[c], gamma * istd * (d - dbeta / count - xhat * dgamma / count),
            add);
    }
    *ret_dgamma += dgamma;
    *ret_dbeta += dbeta;
}

static void ref_norm_backward(const struct den_exec *ex, const struct den_view *x,
                              bool per_image, const den_real *mean, const den_real *var,
                              const den_real *gamma, double eps,
                              const struct den_view *dy, const struct den_view *dx,
                              bool add, den_real *dgamma, den_real *dbeta)
{
    (void)ex;
    size_t channels = x->shape.c;
    for (size_t c = 0; c < channels; c++) {
        double sum_gamma = 0, sum_beta = 0;
        for (size_t g = 0; g < group_count(x, per_image); g++) {
            struct den_view gx = group_of(x, per_image, g);
            struct den_view gdy = group_of(dy, per_image, g);
            struct den_view gdx = group_of(dx, per_image, g);
            norm_backward_channel(&gx, &gdy, &gdx, c, (double)mean[g * channels + c],
                                  1 / sqrt((double)var[g * channels + c] + eps),
                                  gamma != NULL ? (double)gamma[c] : 1, add, &sum_gamma,
                                  &sum_beta);
        }
        if (dgamma != NULL)
            put(&dgamma[c], sum_gamma, true);
        if (dbeta != NULL)
            put(&dbeta[c], sum_beta, true);
    }
}

/* The pixel of the 2 x 2 ones above pixel (y, x) of a map of half the sides: 0 to 3 from
 * left to right, from top to bottom. */
static den_real *above(const struct den_view *large, size_t i, size_t y, size_t x,
                       size_t which)
{
    return den_view_at(large, i, 2 * y + which / 2, 2 * x + which % 2);
}

/* Which of the four is the largest in channel c: the first, but NaN before all. */
static size_t largest_above(const struct den_view *large, size_t i, size_t y, size_t x,
                            size_t c)
{
    size_t best = 0;
    for (size_t k = 1; k < 4; k++) {
        den_real value = above(large, i, y, x, k)[c];
        if (value > above(large, i, y, x, best)[c] || isnan(value))
            best = k;
    }
    return best;
}

static void ref_max_pool_forward(const struct den_exec *ex, const struct den_view *x,
                                 const struct den_view *y)
{
    (void)ex;
    for (size_t i = 0; i < y->shape.n; i++)
        for (size_t row = 0; row < y->shape.h; row++)
            for (size_t col = 0; col < y->shape.w; col++)
                for (size_t c = 0; c < y->shape.c; c++) {
                    size_t best = largest_above(x, i, row, col, c);
                    den_view_at(y, i, row, col)[c] = above(x, i, row, col, best)[c];
                }
}

static void ref_max_pool_backward(const struct den_exec *ex, const struct den_view *x,
                                  const struct den_view *dy, const struct den_view *dx,
                                  bool add)
{
    (void)ex;
    for (size_t p = 0; p < pixel_count(dx); p++)
        for (size_t c = 0; c < dx->shape.c; c++)
            put(&pixel(dx, p)[c], 0, add);
    for (size_t i = 0; i < dy->shape.n; i++)
        for (size_t row = 0; row < dy->shape.h; row++)
            for (size_t col = 0; col < dy->shape.w; col++)
                for (size_t c = 0; c < dy->shape.c; c++) {
                    size_t best = largest_above(x, i, row, col, c);
                    put(&above(dx, i, row, col, best)[c],
                        (double)den_view_at(dy, i, row, col)[c], true);
                }
}

static void ref_upsample_forward(const struct den_exec *ex, const struct den_view *x,
                                 const struct den_view *y)
{
    (void)ex;
    for (size_t i = 0; i < y->shape.n; i++)
        for (size_t row = 0; row < y->shape.h; row++)
            for (size_t col = 0; col < y->shape.w; col++)
                for (size_t c = 0; c < y->shape.c; c++)
                    den_view_at(y, i, row, col)[c] =
                        den_view_at(x, i, row / 2, col / 2)[c];
}

static void ref_upsample_backward(const struct den_exec *ex, const struct den_view *dy,
                                  const struct den_view *dx, bool add)
{
    (void)ex;
    for (size_t i = 0; i < dx->shape.n; i++)
        for (size_t row = 0; row < dx->shape.h; row++)
            for (size_t col = 0; col < dx->shape.w; col++)
                for (size_t c = 0; c < dx->shape.c; c++) {
                    double sum = 0;
                    for (size_t k = 0; k < 4; k++)
                        sum += (double)above(dy, i, row, col, k)[c];
                    put(&den_view_at(dx, i, row, col)[c], sum, add);
                }
}

static void ref_copy(const struct den_exec *ex, const struct den_view *x,
                     const struct den_view *y, bool add)
{
    (void)ex;
    for (size_t p = 0; p < pixel_count(x); p++)
        for (size_t c = 0; c < x->shape.c; c++)
            put(&pixel(y, p)[c], (double)pixel(x, p)[c], add);
}

static void ref_adam(const struct den_exec *ex, size_t count, den_real *p,
                     const den_real *g, den_real *m, den_real *v,
                     const struct den_adam *adam)
{
    (void)ex;
    double c1 = 1 - pow(adam->beta1, (double)adam->t);
    double c2 = 1 - pow(adam->beta2, (double)adam->t);
    for (size_t i = 0; i < count; i++) {
        double gi = (double)g[i];
        double mi = adam->beta1 * (double)m[i] + (1 - adam->beta1) * gi;
        double vi = adam->beta2 * (double)v[i] + (1 - adam->beta2) * gi * gi;
        m[i] = (den_real)mi;
        v[i] = (den_real)vi;
        put(&p[i], -adam->lr * (mi / c1) / (sqrt(vi / c2) + adam->eps), true);
    }
}

const struct den_backend den_backend_ref = {
    .name = "ref",
    .doc = "plain loops on one thread, the oracle of the tests; slow",
    .alloc = ref_alloc,
    .free = ref_free,
    .upload = ref_transfer,
    .download = ref_transfer,
    .zero = ref_zero,
    .pack_in = ref_pack_in,
    .pack_out = ref_pack_out,
    .conv_scratch = den_ref_conv_scratch,
    .conv_forward = den_ref_conv_forward,
    .conv_backward_data = den_ref_conv_backward_data,
    .conv_backward_weights = den_ref_conv_backward_weights,
    .channel_sum = ref_channel_sum,
    .lrelu_forward = ref_lrelu_forward,
    .lrelu_backward = ref_lrelu_backward,
    .tanh_forward = ref_tanh_forward,
    .tanh_backward = ref_tanh_backward,
    .dropout_forward = ref_dropout_forward,
    .dropout_backward = ref_dropout_backward,
    .moments = ref_moments,
    .norm_forward = ref_norm_forward,
    .norm_backward = ref_norm_backward,
    .max_pool_forward = ref_max_pool_forward,
    .max_pool_backward = ref_max_pool_backward,
    .upsample_forward = ref_upsample_forward,
    .upsample_backward = ref_upsample_backward,
    .copy = ref_copy,
    .adam = ref_adam,
};
