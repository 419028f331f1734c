#ifndef DEN_ATTEMPTS_H
#define DEN_ATTEMPTS_H

/* How often something happened lately: budgets in the form of the generic cell rate
 * algorithm [ITU-T I.371], a token bucket that is one number: the time at which the
 * bucket will be full again. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* One bucket of `burst` that fills by one each interval_ms; *full_at 0 = full.  Takes one
 * out, or says after how many milliseconds there will be one. */
bool den_budget_take(atomic_int_least64_t *full_at, int64_t now_ms, int64_t interval_ms,
                     int64_t burst, int64_t *ret_wait_ms) DEN_CHECKED;

/* Attempts that failed, by client address: 10, and one more each 5 seconds.  Remembers
 * some 4,096 addresses and forgets the one that failed longest ago; of IPv6 the /64, for
 * that is what one client has. */
struct den_attempts;
bool den_attempts_new(struct den_attempts **ret, struct den_err *err) DEN_CHECKED;
void den_attempts_free(struct den_attempts *attempts); /* NULL is fine */
/* One more.  false: there were too many, *ret_wait_s until the next one counts.  Any
 * thread. */
bool den_attempts_failed(struct den_attempts *attempts, const char *address,
                         int64_t now_ms, int *ret_wait_s) DEN_CHECKED;

#endif
