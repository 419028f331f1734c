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
};

/* most: ranges that may be kept, 16 bytes each; claims that continue the last one need
 * none of their own. */
void den_claims_init(struct den_claims *claims, size_t most);
void den_claims_release(struct den_claims *claims);
/* DEN_E_TOO_LARGE with limit when there are more ranges.  0 bytes claim nothing; a range
 * that would pass 2^64 ends there. */
bool den_claims_add(struct den_claims *claims, uint64_t from, uint64_t bytes,
                    struct den_err *err) DEN_CHECKED;
void den_claims_close(struct den_claims *claims);
/* After closing: no byte of the range has two claimants. */
bool den_claims_alone(const struct den_claims *claims, uint64_t from, uint64_t bytes);

#endif
