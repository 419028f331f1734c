#ifndef DEN_CONTRASTIVE_VECTORS_H
#define DEN_CONTRASTIVE_VECTORS_H

/* Expected values of the contrastive losses, computed with PyTorch 1.13 in float64 from
 * the reproducible numbers of vectors.h: q, then k, U(1). */

#include <math.h>
#include <string.h>

#include "den_check.h"
#include "loss_contrastive.h"
#include "mem.h"
#include "vectors.h"

enum { PAIRS_MOST = 16, PAIR_DIM = 8, PAIR_N = PAIRS_MOST * PAIR_DIM };

struct pair_vector {
    const struct den_pair_loss *loss;
    size_t n;
    double value, sum, sumsq, first; /* of dq; sumsq 0: not known */
    double dk_sumsq;                 /* < 0: not known */
    uint32_t seed;
    bool l2norm;
};

static const struct pair_vector pair_vectors[] = {
    {&den_loss_info_nce, 4, 11.0060736287, 1.77622512065, 106.736729226, 0.415837083731,
     141.228796465, 19, false},
    {&den_loss_nt_xent, 4, 6.44908521315, -1.83316696643, 16.3027771648, -0.432490672858,
     -1, 19, true},
    {&den_loss_nt_xent, 4, 15.9481950951, 0, 0, 0, -1, 19, false},
    {&den_loss_patch_nce, 5, 4.88390102059, 0.569656487276, 6.57704888919,
     -0.253526935587, 0, 20, true},
};
enum { PAIR_VECTORS = sizeof pair_vectors / sizeof pair_vectors[0] };

static inline double pair_value(const struct den_pair_loss *loss, size_t n,
                                const den_real *q, const den_real *k,
                                const struct den_pair_loss_options *options,
                                double weight, den_real *dq, den_real *dk)
{
    double *scratch = den_calloc(den_pair_loss_scratch(n, PAIR_DIM), sizeof *scratch);
    ck_assert_ptr_nonnull(scratch);
    double value = loss->value(n, PAIR_DIM, q, k, options, weight, dq, dk, scratch);
    den_free(scratch);
    return value;
}

static inline void check_pair_vector(const struct pair_vector *v, double tolerance)
{
    const struct den_pair_loss_options options = {0.1, v->l2norm};
    struct lcg g = {v->seed};
    den_real q[PAIR_N], k[PAIR_N], dq[PAIR_N] = {0}, dk[PAIR_N] = {0};
    size_t count = v->n * PAIR_DIM;
    lcg_fill(&g, q, count, 1);
    lcg_fill(&g, k, count, 1);
    double value = pair_value(v->loss, v->n, q, k, &options, 1, dq, dk);
    close_to(value / v->value, 1, tolerance);
    if (v->sumsq > 0) {
        close_to(sum_of(dq, count) / v->sum, 1, 10 * tolerance);
        close_to(sumsq_of(dq, count) / v->sumsq, 1, tolerance);
        close_to((double)dq[0] / v->first, 1, 10 * tolerance);
    }
    if (v->dk_sumsq >= 0)
        close_to(sumsq_of(dk, count), v->dk_sumsq, tolerance);
}

#endif
