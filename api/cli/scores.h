#ifndef DEN_SCORES_H
#define DEN_SCORES_H

/* The scores of an evaluation as a table: methods by metrics. */

#include <jansson.h>

#include "cli.h"

bool den_scores_print(const json_t *report, struct den_err *err) DEN_CHECKED;

#endif
