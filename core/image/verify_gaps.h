#ifndef DEN_VERIFY_GAPS_H
#define DEN_VERIFY_GAPS_H

/* Bytes of a file that nothing claims.  Programs of microscopes keep data of their own
 * between the parts of a TIFF, found by offsets in private headers, so that these bytes
 * have to stay where they are. */

#include "verify_walk.h"

struct den_gaps;

struct den_gaps *den_gaps_new(struct den_err *err);
/* length bytes from offset on are known; ranges may overlap, and leave the file. */
void den_gaps_claim(struct den_gaps *gaps, uint64_t offset, uint64_t length);
/* There is something of which nobody knows where it lies: nothing will be compared. */
void den_gaps_give_up(struct den_gaps *gaps);
/* What nobody has claimed of the source must be the same at the same place of the copy.
 */
bool den_gaps_compare(struct den_gaps *gaps, struct den_walk *walk,
                      struct den_err *err) DEN_CHECKED;
void den_gaps_free(struct den_gaps *gaps); /* NULL is fine */

#endif
