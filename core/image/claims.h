#ifndef DEN_CLAIMS_H
#define DEN_CLAIMS_H

/* Which bytes of a file are claimed, and which by more than one claimant: those must not
 * be overwritten in the name of one of them.  Claims are added in any order, then closed;
 * from then on only the contested ranges are kept, of which a sane file has none. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct den_range {
    uint64_t from, to; /* to is the first byte behind */
};

struct den_claims {
    struct den_range *ranges;
    size_t count, room, most;
    uint64_t gap;
};

/* most: ranges that may be kept, 16 bytes each.  A claim that begins at most `gap` bytes
 * behind the last one continues it: they are one claim, with these bytes. */
void den_claims_init(struct den_claims *claims, size_t most, uint64_t gap);
void den_claims_release(struct den_claims *claims);
/* DEN_E_TOO_LARGE with limit when there are more ranges.  0 bytes claim nothing; a range
 * that would pass 2^64 ends there. */
bool den_claims_add(struct den_claims *claims, uint64_t from, uint64_t bytes,
                    struct den_err *err) DEN_CHECKED;
/* From left to right. */
void den_claims_sort(struct den_claims *claims);
void den_claims_close(struct den_claims *claims);
/* After closing: no byte of the range has two claimants. */
bool den_claims_alone(const struct den_claims *claims, uint64_t from, uint64_t bytes);

#endif
