#ifndef DEN_STEP_LOSSES_H
#define DEN_STEP_LOSSES_H

/* Private to core/train: the losses of the steps of a method: whether they tell a
 * divergence, and their means between two reports. */

#include "trainer.h"

#define DEN_LOSSES_MAX 16

struct den_step_losses {
    size_t count;             /* of losses per step */
    const char *const *names; /* [count]: as they are reported; borrowed */
    bool silent[DEN_LOSSES_MAX];
    size_t watched; /* which of them may not explode: the L1 */
    size_t begun;   /* number of the first step that has them */

    double sums[DEN_LOSSES_MAX]; /* since the last report */
    size_t steps;                /* in sums */
    double first;                /* the watched loss of the first step */
};

/* DEN_E_DIVERGED when one of losses [count] is not finite or the watched one has
 * exploded. */
bool den_step_losses_check(struct den_step_losses *l, const struct den_train_job *job,
                           const struct den_batch *batch, const double *losses,
                           struct den_err *err) DEN_CHECKED;
/* DEN_E_DIVERGED when the norm of the gradients is not finite; whose: "generator", ...
 * It costs a pass over all weights, so only some steps look (and those that report). */
bool den_step_gradients_check(const struct den_params *params, const char *whose,
                              const struct den_train_job *job,
                              const struct den_batch *batch, bool report,
                              struct den_err *err) DEN_CHECKED;
/* Adds the losses of a step; when it reports, tells the means and begins again. */
void den_step_losses_add(struct den_step_losses *l, const struct den_train_job *job,
                         const struct den_batch *batch, const double *losses,
                         bool report);

/* To and from tensor `name` of a checkpoint, bit for bit. */
bool den_step_losses_save(const struct den_step_losses *l, const char *name,
                          struct den_tensor_writer *writer,
                          struct den_err *err) DEN_CHECKED;
bool den_step_losses_load(struct den_step_losses *l, const char *name,
                          const struct den_tensor_file *file,
                          struct den_err *err) DEN_CHECKED;

#endif
