#ifndef DEN_PAIRS_CSV_H
#define DEN_PAIRS_CSV_H

/* A list of image pairs: CSV [RFC 4180] with a header that names at least `noisy` and
 * `gt` (or `clean`); `id` is used where it exists, further columns are passed over. */

#include <stddef.h>

#include "err.h"

struct den_pair {
    char *id;            /* the noisy column where there is no id */
    char *noisy, *clean; /* paths, those of the file put behind its folder */
};

struct den_pairs {
    struct den_pair *pairs;
    size_t count, capacity;
};

#define DEN_PAIRS_MAX 10000 /* what a data set of the server may have */

/* Rows whose id matches `where` (POSIX extended regular expression; NULL = all).
 * DEN_E_MALFORMED names the line; no row at all is DEN_E_INVALID. */
bool den_pairs_read(const char *file, const char *where, struct den_pairs *ret,
                    struct den_err *err) DEN_CHECKED;
/* Divides by scene, that is by clean image, in the order of the file: the last `fraction`
 * of the scenes (at least one) is held out.  Keeps the pairs of the held out scenes or
 * those of the others.  DEN_E_INVALID when there is only one scene. */
bool den_pairs_hold_out(struct den_pairs *pairs, double fraction, bool keep_held,
                        struct den_err *err) DEN_CHECKED;
void den_pairs_release(struct den_pairs *pairs);

#endif
