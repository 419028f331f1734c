#ifndef TEST_FAULTS_H
#define TEST_FAULTS_H

/* Faults on demand, in a test program and in build/faults/denoised.
 *
 * Failpoints: DEN_FAIL=NAME[:N[:SIGNAL]] in the environment sends the process SIGNAL
 * (9) when it comes to DEN_FAILPOINT(NAME) for the N-th time (1).  With signal 0 that
 * thread stops there for ever, and the others go on.
 *
 * Calls to the system: DEN_FAULT=CALL:N:ERRNO[:on] lets the N-th call from the start
 * fail with that errno, and with `on` all calls after it, too; an fsync
 * that fails with errno 0 says that it is done.  Only files whose path
 * holds DEN_FAULT_UNDER count.  The functions stand in front of those of libc, so
 * that libraries (SQLite) come through here as well.  Processes forked later have none.
 *
 * DEN_SLOW_SYNC_US=N lets each fsync take so many microseconds more, as slow disks do. */

#include <stdbool.h>
#include <stddef.h>

/* open, write, fsync, rename, mkdir, unlink, truncate, mmap, fallocate */
extern const char *const fault_calls[]; /* ends with NULL */
/* every name in the sources */
extern const char *const fault_points[]; /* ends with NULL */

/* Arms this process; rule as in DEN_FAULT, NULL disarms. */
void fault_arm(const char *rule, const char *under);
bool fault_fired(void); /* since it was armed */
/* Calls of this kind under the path since the process was armed; rule "CALL:0:0" counts
 * only. */
size_t fault_count(void);

#endif
