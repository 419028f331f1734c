#ifndef EXPOSITION_H
#define EXPOSITION_H

/* A small checker of Prometheus' text format 0.0.4: what promtool would refuse, and a
 * bound on labels. */

#include <stddef.h>

/* Values of a label within a metric, at most: one of them is the row of the route table.
 */
enum { EXPOSITION_VALUES = 128 };

/* The first fault as a sentence in to[size], or NULL when there is none; *ret_series: how
 * many series there are. */
const char *exposition_fault(const char *text, size_t *ret_series, char *to, size_t size);
/* Of a whole series, `name{label="value"}`; NaN when it is not there. */
double exposition_value(const char *text, const char *series);

#endif
