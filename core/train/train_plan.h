#ifndef DEN_TRAIN_PLAN_H
#define DEN_TRAIN_PLAN_H

/* What follows from a configuration by arithmetic alone: the schedule, the nets, bytes.
 */

#include "net.h"
#include "train_config.h"

struct den_train_plan {
    size_t steps;           /* iterations of the run, >= 1 */
    size_t constant, decay; /* of these at full learning rate, and falling */
    size_t validate_every, report_every;
};

struct den_train_plan den_train_plan_make(const struct den_train_config *config,
                                          size_t train_images);
/* Learning rate of step e (0-based). */
double den_train_plan_lr(const struct den_train_plan *plan, double lr, size_t step);
bool den_train_plan_validates(const struct den_train_plan *plan, size_t done);
bool den_train_plan_reports(const struct den_train_plan *plan, size_t done);
/* May the weights after `done` steps become the best ones?  At full learning rate weights
 * with batch norm scatter by 0.2 dB from step to step, and the luckiest of them is no
 * measure of quality; so only the part with falling rate counts, when there is one. */
bool den_train_plan_may_be_best(const struct den_train_plan *plan, size_t done);

/* The net that is trained to restore images: key `net`. */
const struct den_net *den_train_net(const struct den_train_config *config);
struct den_net_options den_train_generator(const struct den_train_config *config);
struct den_net_options den_train_discriminator(const struct den_train_config *config);

/* Bytes of a net in training on [batch][crop][crop] inputs: values and gradients of the
 * graph with the scratch of that many threads, weights with gradients and both Adam
 * moments. */
bool den_train_net_bytes(const struct den_net *net, const struct den_net_options *options,
                         const struct den_train_config *config, int threads, size_t *ret,
                         struct den_err *err) DEN_CHECKED;

#endif
