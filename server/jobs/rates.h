#ifndef DEN_RATES_H
#define DEN_RATES_H

/* How fast models, filters and trainings were on this machine, for estimates.  In memory
 * alone: a restart may be on another machine.  Every call may come from any thread. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "rows.h"

/* Until something was measured, in seconds per pixel of the image: what a model of the
 * preset `paper` takes on a few cores, 0.7 us, and a median of 5 x 5, both rounded up. */
#define DEN_RATE_MODEL 1e-6
#define DEN_RATE_FILTER 1e-7

enum { DEN_RATES = 64 }; /* that are remembered, the last used */

struct den_rates {
    pthread_mutex_t lock; /* guards all below */
    struct {
        char what[DEN_NAME_SIZE]; /* hash of a model's weights, or filter with settings */
        double seconds, pixels;   /* recent jobs, older ones count half each time */
        size_t used;              /* when, in calls */
    } items[DEN_RATES];
    size_t calls;
};

void den_rates_init(struct den_rates *rates);
/* What the speed of a job is known as that says it by nothing better: kind, model and
 * settings, but for those that only say how long it goes on. */
void den_rates_key(const struct den_job_row *row, char *to /* [DEN_NAME_SIZE] */);
void den_rates_release(struct den_rates *rates);
void den_rates_add(struct den_rates *rates, const char *what, double seconds,
                   double pixels);
/* Seconds per pixel; false when nothing is known. */
bool den_rates_get(struct den_rates *rates, const char *what, double *ret);

#endif
