#ifndef DEN_RANGE_H
#define DEN_RANGE_H

/* The headers of conditional and partial requests [RFC 9110, sections 13 and 14]. */

#include <stdbool.h>
#include <stdint.h>

enum den_span { DEN_SPAN_ALL, DEN_SPAN_PART, DEN_SPAN_NONE };
/* A Range header over `size` bytes: "bytes=a-b", "bytes=a-", "bytes=-n".  Anything else,
 * several ranges among them, is answered whole, as the standard allows.  PART sets
 * *ret_from and *ret_count >= 1, inside of size; NONE is 416. */
enum den_span den_range_read(const char *text, uint64_t size, uint64_t *ret_from,
                             uint64_t *ret_count);
/* Is the quoted etag in a list such as `W/"a", "b"` or `*`?  Weak comparison. */
bool den_etag_listed(const char *list, const char *quoted);

#endif
