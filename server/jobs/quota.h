#ifndef DEN_QUOTA_H
#define DEN_QUOTA_H

/* What one owner may have at a time, so that none takes all of a shared server.  Each is
 * looked at in the transaction that adds to it: requests that come at once pass it no
 * more than one does. */

#include "err.h"

struct den_quotas { /* 0 = no limit */
    int64_t queued_jobs, running_jobs;
    int64_t stored_bytes; /* of images, results and weights */
    int64_t compute_s;    /* seconds at work in attempts that ended this day, UTC */
};
struct den_quota_usage { /* the same, as it is */
    int64_t queued_jobs, running_jobs, stored_bytes;
    double compute_s;
};

struct den_service;
struct den_quotas den_service_quotas(const struct den_service *service);
bool den_quota_usage(struct den_service *service, const char *owner,
                     struct den_quota_usage *ret, struct den_err *err) DEN_CHECKED;

/* Days since 1970 UTC, and how long this one lasts still. */
int64_t den_quota_day(int64_t wall_ms);
int den_quota_seconds_left(int64_t wall_ms);

#endif
