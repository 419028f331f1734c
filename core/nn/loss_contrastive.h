#ifndef DEN_LOSS_CONTRASTIVE_H
#define DEN_LOSS_CONTRASTIVE_H

/* Contrastive losses on packed host arrays: row i of the queries q [n][dim] and row i of
 * the keys k [n][dim] belong together, every other pair of rows does not.  With z the
 * rows as they are, or divided by their length (l2norm), and S = Zq Zk^T / tau:
 *
 * info_nce [van den Oord et al., 2018, eq. 4]: cross entropy of row i of S against i,
 *     L = -1/n sum_i log softmax(S_i)_i.
 * nt_xent [Chen et al., ICML 2020, eq. 1]: all 2n rows of [q; k] against each other, the
 *     diagonal left out,
 *     L = 1/2n sum_i (-S_(i,i') + log sum_(j != i) exp S_ij), i' the partner of i.
 * patch_nce [Park et al., ECCV 2020, eq. 3, with the constant negative of their code]:
 *     as info_nce, with -10 / tau as one more negative and keys held fixed.
 *
 * value: returns the unweighted loss and ADDS weight * dL/dq and weight * dL/dk (dq NULL:
 * value only; dk NULL: keys held fixed).  tau > 0, n > 0; cannot fail.  One row of S at a
 * time, so that scratch grows with n and not with its square; sums in double.  */

#include <stdbool.h>
#include <stddef.h>

#include "real.h"

struct den_pair_loss_options {
    double tau;
    bool l2norm;
};

struct den_pair_loss {
    const char *name, *doc;
    double (*value)(size_t n, size_t dim, const den_real *q, const den_real *k,
                    const struct den_pair_loss_options *options, double weight,
                    den_real *dq, den_real *dk, double *scratch);
};
extern const struct den_pair_loss den_loss_info_nce, den_loss_nt_xent, den_loss_patch_nce;
extern const struct den_pair_loss *const den_pair_losses[]; /* ends with NULL */

/* Doubles of scratch that any of them needs. */
size_t den_pair_loss_scratch(size_t n, size_t dim);

#endif
