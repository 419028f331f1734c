#ifndef DEN_BASE_MODEL_H
#define DEN_BASE_MODEL_H

/* Fine-tuning: a run whose generator starts from the weights of a model.  The net and the
 * normalisation are those of the base, to the number: before the first step the run has
 * the very model it started from. */

#include "trainer.h"

/* Settings that the base decides: net, kernel, downs, ngf, norm_layer, output,
 * normalisation; ends with NULL. */
extern const char *const den_base_keys[];

/* Reads job->base_path and checks that it is what job->config describes; ret gets the
 * normalisation.  DEN_E_CONFLICT names the setting that differs, and both values. */
bool den_base_open(const struct den_train_job *job, struct den_norm *ret,
                   struct den_err *err) DEN_CHECKED;
/* Gives the model, fresh from den_params_init and in no graph yet, the weights of the
 * base if the job has one, and freezes its encoder if the job says so (DEN_E_INVALID
 * without a base). */
bool den_base_apply(const struct den_train_job *job, struct den_model *model,
                    struct den_err *err) DEN_CHECKED;

#endif
