#ifndef DEN_LEASE_H
#define DEN_LEASE_H

/* Who works on which job, and until when. */

#include "backoff.h"
#include "clock.h"
#include "rows.h"

/* Leases and waits are counted in milliseconds since the start of the machine, which no
 * setting of a clock moves. */
struct den_moment {
    int64_t boot_ms;
    char boot_id[DEN_BOOT_ID_SIZE];
};
struct den_moment den_moment_now(void);

struct den_claim {
    struct den_moment now;
    const char *worker; /* who takes the job */
    int64_t lease_ms;   /* for how long */
    enum den_job_class first, last;
    /* Models that other workers have at hand and nothing else to do: the job that comes
     * next is left to them when it is for one of these. */
    const struct den_model_key *left;
    size_t left_count;
};

/* What to do about leases that are void. */
struct den_recovery {
    struct den_moment now;
    bool all; /* those that have not run out as well: whoever had them is dead */
    struct den_backoff backoff;
};

/* A queued job in the order in which they begin, if no more come in. */
struct den_line_row {
    char id[DEN_ID_SIZE], rate[DEN_NAME_SIZE];
    double units;
    enum den_job_class class;
    int64_t wait_ms; /* until it may begin at all */
    bool held;       /* its owner is at a quota, and is passed over */
};

#endif
