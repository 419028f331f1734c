#ifndef DEN_BASE64_H
#define DEN_BASE64_H

/* What comes in base64 [RFC 4648, sections 4 and 5]: hashes, names, keys and tokens. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

/* text: `length` characters, padded with '='; white space is skipped, a little of it.
 * Into to[size]; *ret_length: bytes.  False when text is no base64 or does not fit: then
 * to[] may hold a part of it.  There is no other buffer that a secret could stay in. */
bool den_base64_decode(const char *text, size_t length, uint8_t *to, size_t size,
                       size_t *ret_length) DEN_CHECKED;
/* The same with - and _ in place of + and /. */
bool den_base64url_decode(const char *text, size_t length, uint8_t *to, size_t size,
                          size_t *ret_length) DEN_CHECKED;

#endif
