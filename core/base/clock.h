#ifndef DEN_CLOCK_H
#define DEN_CLOCK_H

/* Time.  Durations come from the monotonic clock, the wall clock is for display. */

#include <stddef.h>
#include <stdint.h>

double den_monotonic_s(void); /* seconds since some start */
int64_t den_wall_ms(void);    /* milliseconds since 1970-01-01 UTC */
int64_t den_boot_ms(void);    /* since the machine started, its sleep included */
#define DEN_BOOT_ID_SIZE 37
/* Differs from start to start of the machine, so that times of den_boot_ms that were kept
 * are known to be of this one; "unknown" where the system does not say. */
void den_boot_id(char *to /* [DEN_BOOT_ID_SIZE] */);
#define DEN_TIME_SIZE 25
/* "2026-01-31T23:59:59.123Z" (RFC 3339, UTC) into to[DEN_TIME_SIZE]. */
void den_time_format(int64_t wall_ms, char *to);

#endif
