#ifndef DEN_TIFF_SPLICE_H
#define DEN_TIFF_SPLICE_H

/* A copy of a TIFF in which parts (strips and tiles) are exchanged: what does not fit in
 * the place of the old one goes to the end of the copy, and the page's tables of offsets
 * and byte counts are changed where they are. */

#include "tiff_raw.h"

struct den_tiff_copy {
    struct den_tiff_raw raw; /* of the source, which never changes */
    int fd;                  /* of the copy, borrowed */
    uint64_t end;            /* of the copy */
};

/* Appends at an even offset.  DEN_E_TOO_LARGE with limit and actual when that, or the
 * end, is beyond the 32-bit offsets of a classic TIFF. */
bool den_tiff_copy_append(struct den_tiff_copy *copy, const void *data, size_t bytes,
                          uint64_t *ret_offset, struct den_err *err) DEN_CHECKED;
/* How far a copy may grow: 2^32 - 1 bytes of a classic TIFF. */
uint64_t den_tiff_copy_limit(const struct den_tiff_copy *copy);

/* Adds a tag with a text to the first directory, which moves to the end of the copy; the
 * old one stays behind, unused.  A tag that is there gets another line.  Does nothing for
 * a copy that has no place left. */
bool den_tiff_copy_sign(struct den_tiff_copy *copy, uint16_t tag, const char *text,
                        struct den_err *err) DEN_CHECKED;
/* Whether that can be done; most: tags that a directory may have. */
bool den_tiff_copy_can_sign(const struct den_tiff_copy *copy, uint16_t tag, size_t most,
                            struct den_err *err) DEN_CHECKED;

/* One of the two tables of a directory: offsets, or byte counts. */
struct den_tiff_table {
    struct den_tiff_entry entry;
    bool found, changed;
    uint64_t *values; /* [parts] */
};
struct den_tiff_tables {
    uint64_t directory, directory_bytes; /* where they are */
    uint32_t parts;
    struct den_tiff_table offsets, counts; /* counts may be missing in old files */
};
/* `directory` was read from the source.  DEN_E_UNPROCESSABLE, naming the page, when the
 * tables are not ones that could be changed.  Free with _release, which takes zeros. */
bool den_tiff_tables_read(const struct den_tiff_raw *raw,
                          const struct den_tiff_directory *directory, uint32_t page,
                          uint32_t parts, struct den_tiff_tables *ret,
                          struct den_err *err) DEN_CHECKED;
void den_tiff_tables_release(struct den_tiff_tables *tables);
void den_tiff_tables_set(struct den_tiff_tables *tables, uint32_t part, uint64_t offset,
                         uint64_t count);
/* Writes what was changed into the copy.  A table whose type cannot hold a value becomes
 * one of a wider type. */
bool den_tiff_tables_write(struct den_tiff_copy *copy, struct den_tiff_tables *tables,
                           struct den_err *err) DEN_CHECKED;

#endif
