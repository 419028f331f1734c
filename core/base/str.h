#ifndef DEN_STR_H
#define DEN_STR_H

/* Text: bounded copies and strict number parsing (whole string, no locale, no white
 * space). */

#include <stddef.h>

#include "err.h"

/* Copies at most size - 1 bytes, always terminates; false when it did not fit (and
 * truncates). */
bool den_str_copy(char *to, size_t size, const char *from);
/* As snprintf; false when it did not fit. */
bool den_str_format(char *to, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool den_str_starts(const char *text, const char *prefix);
bool den_str_ends(const char *text, const char *suffix);
/* The last part of a path as any system writes it: what is behind the last / or \ in
 * text, "" when it ends in one. */
const char *den_str_file_name(const char *text);

/* The whole of text is one number within [min, max]; else DEN_E_INVALID naming the value
 * and the range.  Doubles: finite only ("nan" and "inf" are refused), '.' is the decimal
 * point. */
bool den_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret,
                   struct den_err *err) DEN_CHECKED;
bool den_parse_double(const char *text, double min, double max, double *ret,
                      struct den_err *err) DEN_CHECKED;
/* "true" or "false". */
bool den_parse_bool(const char *text, bool *ret, struct den_err *err) DEN_CHECKED;

/* Valid UTF-8 without NUL, C0/C1 control characters, DEL? */
bool den_utf8_printable(const char *text);
/* Bytes (1-4) of the valid UTF-8 character at text, 0 if it is none or the end. */
size_t den_utf8_size(const char *text);
/* Cuts an incomplete UTF-8 character off the end, as truncation leaves it. */
void den_utf8_trim(char *text);

#endif
