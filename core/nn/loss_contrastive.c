#include "loss_contrastive.h"

#include <math.h>
#include <string.h>

/* What is divided by a length is divided by it plus this, as the authors of each loss do.
 */
#define GUARD 1e-12
#define PATCH_GUARD 1e-7
#define PATCH_NEGATIVE (-10.0) /* before it is divided by tau */

/* The rows of both sets in double, queries first, and the gradients with respect to them.
 */
struct rows {
    size_t n, dim; /* of one set */
    double *z;     /* [2n][dim] */
    double *dz;    /* [2n][dim] */
    double *reach; /* [2n]: 1, or length + guard */
    double *s;     /* [2n]: one row of S */
    double tau;
    double extra; /* one more negative, -INFINITY if there is none */
    bool fixed;   /* nobody asks for the gradients of the candidates */
};

/* A row against the candidates [from, from + count). */
struct contest {
    size_t row, positive; /* both count in rows of z */
    size_t from, count;
    bool itself; /* the row is one of the candidates and left out */
};

size_t den_pair_loss_scratch(size_t n, size_t dim)
{
    return 4 * n * dim + 4 * n;
}

/* In four sums, which the compiler may keep in one register. */
static double dot(const double *a, const double *b, size_t n)
{
    double sum[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        for (size_t k = 0; k < 4; k++)
            sum[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum[0] += a[i] * b[i];
    return sum[0] + sum[1] + (sum[2] + sum[3]);
}

static void add_scaled(double *to, double factor, const double *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += factor * from[i];
}

static struct rows lay_out(size_t n, size_t dim, double tau, double *scratch)
{
    struct rows r = {.n = n, .dim = dim, .tau = tau, .extra = -(double)INFINITY};
    r.z = scratch;
    r.dz = r.z + 2 * n * dim;
    r.reach = r.dz + 2 * n * dim;
    r.s = r.reach + 2 * n;
    memset(r.dz, 0, 2 * n * dim * sizeof *r.dz);
    return r;
}

static void load(const struct rows *r, size_t first, const den_real *from, bool l2norm,
                 double guard)
{
    for (size_t i = 0; i < r->n; i++) {
        double *z = r->z + (first + i) * r->dim;
        for (size_t d = 0; d < r->dim; d++)
            z[d] = (double)from[i * r->dim + d];
        double reach = l2norm ? sqrt(dot(z, z, r->dim)) + guard : 1;
        for (size_t d = 0; d < r->dim; d++)
            z[d] /= reach;
        r->reach[first + i] = reach;
    }
}

/* s [count] = the row's similarities; returns log sum exp over all that compete. */
static double log_sum(const struct rows *r, const struct contest *c)
{
    const double *z = r->z + c->row * r->dim;
    double most = r->extra, sum = 0;
    for (size_t j = 0; j < c->count; j++) {
        bool out = c->itself && c->from + j == c->row;
        r->s[j] = out ? -(double)INFINITY
                      : dot(z, r->z + (c->from + j) * r->dim, r->dim) / r->tau;
        most = fmax(most, r->s[j]);
    }
    for (size_t j = 0; j < c->count; j++)
        sum += exp(r->s[j] - most);
    return most + log(sum + exp(r->extra - most));
}

/* Loss of one row, weighed with `each` in the gradients:
 * ds_j = softmax_j - [j is the positive]. */
static double enter(const struct rows *r, const struct contest *c, double each)
{
    double total = log_sum(r, c), loss = total - r->s[c->positive - c->from];
    const double *z = r->z + c->row * r->dim;
    double *dz = r->dz + c->row * r->dim;
    for (size_t j = 0; j < c->count; j++) {
        size_t other = c->from + j;
        if (c->itself && other == c->row)
            continue;
        double ds = exp(r->s[j] - total) - (other == c->positive ? 1 : 0);
        add_scaled(dz, each / r->tau * ds, r->z + other * r->dim, r->dim);
        if (!r->fixed)
            add_scaled(r->dz + other * r->dim, each / r->tau * ds, z, r->dim);
    }
    return loss;
}

/* Adds the gradients of one set.  With z = x / (|x| + guard):
 * dx = (dz - z (z . dz) (|x| + guard) / |x|) / (|x| + guard). */
static void unload(const struct rows *r, size_t first, bool l2norm, double guard,
                   den_real *to)
{
    for (size_t i = 0; to != NULL && i < r->n; i++) {
        const double *z = r->z + (first + i) * r->dim, *dz = r->dz + (first + i) * r->dim;
        double reach = r->reach[first + i], length = reach - guard;
        double along = l2norm && length > 0 ? dot(z, dz, r->dim) * reach / length : 0;
        for (size_t d = 0; d < r->dim; d++)
            to[i * r->dim + d] += (den_real)((dz[d] - along * z[d]) / reach);
    }
}

static double against_keys(size_t n, size_t dim, const den_real *q, const den_real *k,
                           const struct den_pair_loss_options *options, double guard,
                           double extra, double weight, den_real *dq, den_real *dk,
                           double *scratch)
{
    struct rows r = lay_out(n, dim, options->tau, scratch);
    double sum = 0;
    r.extra = extra;
    r.fixed = dk == NULL;
    load(&r, 0, q, options->l2norm, guard);
    load(&r, n, k, options->l2norm, guard);
    for (size_t i = 0; i < n; i++)
        sum += enter(&r, &(struct contest){i, n + i, n, n, false}, weight / (double)n);
    unload(&r, 0, options->l2norm, guard, dq);
    unload(&r, n, options->l2norm, guard, dk);
    return sum / (double)n;
}

static double info_nce(size_t n, size_t dim, const den_real *q, const den_real *k,
                       const struct den_pair_loss_options *options, double weight,
                       den_real *dq, den_real *dk, double *scratch)
{
    return against_keys(n, dim, q, k, options, GUARD, -(double)INFINITY, weight, dq, dk,
                        scratch);
}

static double patch_nce(size_t n, size_t dim, const den_real *q, const den_real *k,
                        const struct den_pair_loss_options *options, double weight,
                        den_real *dq, den_real *dk, double *scratch)
{
    (void)dk;
    return against_keys(n, dim, q, k, options, PATCH_GUARD, PATCH_NEGATIVE / options->tau,
                        weight, dq, NULL, scratch);
}

static double nt_xent(size_t n, size_t dim, const den_real *q, const den_real *k,
                      const struct den_pair_loss_options *options, double weight,
                      den_real *dq, den_real *dk, double *scratch)
{
    struct rows r = lay_out(n, dim, options->tau, scratch);
    double sum = 0, each = weight / (double)(2 * n);
    load(&r, 0, q, options->l2norm, GUARD);
    load(&r, n, k, options->l2norm, GUARD);
    for (size_t i = 0; i < 2 * n; i++)
        sum += enter(&r, &(struct contest){i, (i + n) % (2 * n), 0, 2 * n, true}, each);
    unload(&r, 0, options->l2norm, GUARD, dq);
    unload(&r, n, options->l2norm, GUARD, dk);
    return sum / (double)(2 * n);
}

const struct den_pair_loss den_loss_info_nce = {
    .name = "info_nce",
    .doc = "each query against all keys",
    .value = info_nce,
};

const struct den_pair_loss den_loss_nt_xent = {
    .name = "nt_xent",
    .doc = "each query and key against all others",
    .value = nt_xent,
};

const struct den_pair_loss den_loss_patch_nce = {
    .name = "patch_nce",
    .doc = "each query against all keys, which are held fixed",
    .value = patch_nce,
};

const struct den_pair_loss *const den_pair_losses[] = {
    &den_loss_info_nce, &den_loss_nt_xent, &den_loss_patch_nce, NULL};
