#ifndef DEN_GATE_RULE_H
#define DEN_GATE_RULE_H

/* What a model must hold to be promoted:
 *   METRIC >= NUMBER                  (or > <= <) its mean over the images
 *   METRIC >= champion [+|- NUMBER]   the difference to the champion, image by image
 * The mean of the differences is known from few images only, so that not the mean decides
 * but the end of its 95 % interval that speaks against the candidate: the lower one for
 * >= and >, the upper one for <= and <. */

#include <jansson.h>

#include "err.h"
#include "metric.h"

#define DEN_GATE_RULES 16

struct den_gate_rule {
    char text[96]; /* as it was written */
    const struct den_metric *metric;
    bool least, strict; /* >= and >; > and < */
    bool champion;
    double number; /* what is compared with, or what is added to the champion */
};

/* DEN_E_INVALID says what is wrong; also a direction in which the metric gets worse. */
bool den_gate_rule_read(const char *text, struct den_gate_rule *ret,
                        struct den_err *err) DEN_CHECKED;

struct den_gate_verdict {
    bool holds;
    size_t n, left_out; /* images; those with a value that is not finite */
    double candidate,
        champion; /* means over the n images; champion NaN = there is none */
    double difference, low, high; /* mean of candidate - champion, its 95 % interval */
};

/* candidate, champion: [n] values of the rule's metric for the same images; champion NULL
 * = there is none, and rules about it hold.  No image with finite values: it does not
 * hold. */
bool den_gate_judge(const struct den_gate_rule *rule, size_t n, const double *candidate,
                    const double *champion, uint64_t seed, struct den_gate_verdict *ret,
                    struct den_err *err) DEN_CHECKED;

#endif
