#ifndef DEN_VERIFY_H
#define DEN_VERIFY_H

/* Does a copy of an image file differ from its source in pixel values alone?
 *
 * Nothing of the code that rewrites files is used: containers are read here once more,
 * byte by byte, so that a fault of the rewriter is seen.  Only pixels are decoded by
 * den_reader.  Allowed to differ are
 *   TIFF  encoded pixels, where they lie and how long they are (StripOffsets, TileOffsets
 *         and their byte counts), where directories and tag values lie, and one added tag
 *         of the first directory that says where the copy comes from;
 *   PNG   the IDAT chunks, and one added text chunk.
 * Everything else must be equal, also bytes of a TIFF that no tag speaks of. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "image.h"

enum { DEN_DIFFERENCES_KEPT = 64 };

struct den_difference {
    char where[80]; /* "page 2", "page 2, ExifIFD", "chunk 4", "file" */
    char what[64];  /* "tag 270 ImageDescription", "pHYs" */
    char how[160];  /* "120 bytes became 118" */
};

struct den_verdict {
    struct den_image_info info; /* of the source */
    /* What must not differ, and does: how often, and the first of them. */
    uint64_t differences;
    size_t kept;
    struct den_difference list[DEN_DIFFERENCES_KEPT];
    /* What may differ.  A pixel of c channels has c values. */
    uint64_t values, values_changed;
    uint32_t pages_changed;
    double largest_change;
    char provenance[1024]; /* added record, UTF-8; "" if there is none */
};

/* True when both files were compared, however different they are: a copy that cannot be
 * decoded is a difference.  A source that cannot be decoded is an error as of
 * den_reader_open, as is a file that cannot be opened.  The files must not be written to
 * meanwhile. */
bool den_verify(const char *source, const char *copy,
                const struct den_image_limits *limits, struct den_verdict *ret,
                struct den_err *err) DEN_CHECKED;

#endif
