#ifndef DEN_VERIFY_WALK_H
#define DEN_VERIFY_WALK_H

/* What the two walks of den_verify share: both files in memory, and the list of
 * differences. */

#include "verify.h"

struct den_bytes { /* a file, mapped */
    const unsigned char *data;
    size_t length;
};

struct den_walk {
    struct den_bytes source, copy;
    const struct den_image_limits *limits; /* complete */
    struct den_verdict *verdict;
};

/* length bytes at offset are in the file? */
static inline bool den_bytes_hold(const struct den_bytes *file, uint64_t offset,
                                  uint64_t length)
{
    return offset <= file->length && length <= file->length - offset;
}

/* Counts a difference, and keeps it while there is room. */
void den_walk_differs(struct den_walk *walk, const char *where, const char *what,
                      const char *how, ...) __attribute__((format(printf, 4, 5)));
/* Compares n bytes of each; says with how many and from which on they differ. */
bool den_walk_bytes(struct den_walk *walk, const char *where, const char *what,
                    const unsigned char *source, const unsigned char *copy, uint64_t n);
/* The text of an added record: not empty, one line of printable UTF-8. */
void den_walk_provenance(struct den_walk *walk, const char *where,
                         const unsigned char *text, uint64_t length);

/* False only when no memory is left or a file is too large to be looked at. */
bool den_walk_tiff(struct den_walk *walk, struct den_err *err) DEN_CHECKED;
bool den_walk_png(struct den_walk *walk, struct den_err *err) DEN_CHECKED;

/* "tag 270 ImageDescription", "tag 65001". */
void den_tiff_tag_label(char *to, size_t size, unsigned tag);

#endif
