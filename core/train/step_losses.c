#include "step_losses.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "str.h"

/* The run has diverged when the watched loss is this many times its first value; the
 * first steps may overshoot. */
#define BLOWN_UP 100
#define SETTLED 10 /* steps */
/* Gradient norms are looked at this often, and at reports.  A gradient that is not finite
 * shows in the losses of the next step anyway. */
#define NORM_EVERY 32

static bool diverged(const struct den_train_job *job, const struct den_batch *batch,
                     const char *what, double value, struct den_err *err)
{
    return den_err_set(err, DEN_E_DIVERGED,
                       "the training diverged: at step %zu %s was %g; try a lower "
                       "learning rate than lr = %g",
                       batch->step + 1, what, value, job->config.lr);
}

bool den_step_losses_check(struct den_step_losses *l, const struct den_train_job *job,
                           const struct den_batch *batch, const double *losses,
                           struct den_err *err)
{
    assert(l->count <= DEN_LOSSES_MAX && l->watched < l->count);
    for (size_t k = 0; k < l->count; k++)
        if (!isfinite(losses[k]))
            return diverged(job, batch, l->names[k], losses[k], err);
    double watched = losses[l->watched];
    if (batch->step == l->begun)
        l->first =
            fmax(watched, 1e-3); /* a first value of 0 must not forbid all others */
    if (batch->step >= l->begun + SETTLED && watched > BLOWN_UP * l->first)
        return diverged(job, batch, l->names[l->watched], watched, err);
    return true;
}

bool den_step_gradients_check(const struct den_params *params, const char *whose,
                              const struct den_train_job *job,
                              const struct den_batch *batch, bool report,
                              struct den_err *err)
{
    if (!report && batch->step % NORM_EVERY != 0)
        return true;
    double norm = den_params_grad_norm(params);
    char what[64];
    if (isfinite(norm))
        return true;
    den_str_format(what, sizeof what, "the norm of the %s's gradient", whose);
    return diverged(job, batch, what, norm, err);
}

void den_step_losses_add(struct den_step_losses *l, const struct den_train_job *job,
                         const struct den_batch *batch, const double *losses, bool report)
{
    const struct den_train_hooks *hooks = &job->hooks;
    for (size_t k = 0; k < l->count; k++)
        l->sums[k] += losses[k];
    l->steps++;
    if (!report)
        return;
    for (size_t k = 0; k < l->count; k++)
        if (hooks->metric != NULL && !l->silent[k])
            hooks->metric(hooks->context, batch->step + 1, l->names[k],
                          l->sums[k] / (double)l->steps);
    memset(l->sums, 0, sizeof l->sums);
    l->steps = 0;
}

/* ---- checkpoint ------------------------------------------------------------------ */

/* Doubles lie in the file as the bits of whole numbers: a float would round them. */
struct saved {
    double sums[DEN_LOSSES_MAX], first;
    uint64_t steps;
};
_Static_assert(sizeof(struct saved) % sizeof(int64_t) == 0, "a row of 64-bit numbers");
#define SAVED_WORDS (sizeof(struct saved) / sizeof(int64_t))

bool den_step_losses_save(const struct den_step_losses *l, const char *name,
                          struct den_tensor_writer *writer, struct den_err *err)
{
    struct saved saved = {.first = l->first, .steps = l->steps};
    memcpy(saved.sums, l->sums, sizeof saved.sums);
    int64_t words[SAVED_WORDS];
    memcpy(words, &saved, sizeof words);
    const size_t dims[] = {SAVED_WORDS};
    return den_tensor_writer_add(writer, name, DEN_TENSOR_I64, dims, 1, words, err);
}

bool den_step_losses_load(struct den_step_losses *l, const char *name,
                          const struct den_tensor_file *file, struct den_err *err)
{
    struct saved saved;
    const struct den_tensor *words = den_tensor_file_find(file, name);
    if (words == NULL || words->type != DEN_TENSOR_I64 || words->count != SAVED_WORDS)
        return den_err_set(err, DEN_E_UNPROCESSABLE, "the checkpoint has no losses");
    memcpy(&saved, words->data, sizeof saved);
    bool finite = isfinite(saved.first);
    for (size_t k = 0; k < DEN_LOSSES_MAX; k++)
        finite = finite && isfinite(saved.sums[k]);
    if (!finite)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the checkpoint holds a loss that is not finite");
    memcpy(l->sums, saved.sums, sizeof l->sums);
    l->first = saved.first;
    l->steps = (size_t)saved.steps;
    return true;
}
