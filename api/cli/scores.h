#ifndef DEN_SCORES_H
#define DEN_SCORES_H

/* The scores of an evaluation as a table: methods by metrics. */

#include <jansson.h>

#include "cli.h"

/* Which metrics the table has: of a command that prints one. */
#define DEN_SCORE_OPTIONS                                                 \
    {"metrics", 0, DEN_OPTION_VALUE, "NAME,NAME...",                      \
     "these metrics instead of the five main ones"},                      \
        {"all", 0, DEN_OPTION_FLAG, NULL, "all metrics but the paper's"}, \
    {                                                                     \
        "paper-metrics", 0, DEN_OPTION_FLAG, NULL,                        \
            "also the paper's own, faults and all"                        \
    }

/* DEN_E_INVALID names the metric that there is not.  For commands that have something to
 * do before they print. */
bool den_scores_check(const struct den_args *args, struct den_err *err) DEN_CHECKED;
bool den_scores_print(const json_t *report, const struct den_args *args,
                      struct den_err *err) DEN_CHECKED;

#endif
