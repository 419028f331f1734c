#ifndef DEN_CSV_H
#define DEN_CSV_H

/* A strict reader of comma separated values [RFC 4180]: fields may be quoted, a quote in
 * a quoted field is doubled.  Lines end with LF or CRLF. */

#include <stddef.h>

#include "err.h"

#define DEN_CSV_FIELDS 64

struct den_csv {
    char *at;    /* the rest of the text, which is written into */
    size_t line; /* of the record last read, the first is 1 */
    size_t next_line;
};

/* text: NUL-terminated, changed by reading. */
void den_csv_init(struct den_csv *csv, char *text);
/* The next record that is not blank; *ret_count = 0 at the end.  Fields point into the
 * text.  DEN_E_MALFORMED names the line. */
bool den_csv_next(struct den_csv *csv, char *ret[DEN_CSV_FIELDS], size_t *ret_count,
                  struct den_err *err) DEN_CHECKED;

#endif
