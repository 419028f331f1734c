#ifndef DEN_TIFF_RAW_H
#define DEN_TIFF_RAW_H

/* A TIFF as bytes [TIFF 6.0, section 2; BigTIFF]: where its directories, entries and
 * values lie, so that a few of them can be exchanged and all others be left alone.
 * libtiff reads values, but does not say where they are. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct den_tiff_raw {
    int fd; /* borrowed */
    uint64_t bytes;
    bool big_endian, big_tiff;
    uint64_t first; /* offset of the first directory */
};

/* Directory at `offset`; read again and again into the same memory. */
struct den_tiff_directory {
    uint64_t offset, bytes; /* in the file, with count and link */
    uint64_t next;          /* the link: offset of the following one, 0 = none */
    size_t count;           /* entries */
    unsigned char *raw;     /* [bytes], as in the file */
};

struct den_tiff_entry {
    uint16_t tag, type;
    uint64_t count; /* values */
    size_t each;    /* bytes of one, 0 for a type of no known size */
    uint64_t at;    /* file offset of the entry, */
    uint64_t value; /* and of its values: inside the entry when they fit there */
    bool inside;
};

enum { DEN_TIFF_SHORT = 3, DEN_TIFF_ASCII = 2, DEN_TIFF_LONG = 4, DEN_TIFF_LONG8 = 16 };

bool den_tiff_raw_open(int fd, uint64_t bytes, struct den_tiff_raw *ret,
                       struct den_err *err) DEN_CHECKED;
uint64_t den_tiff_get(const struct den_tiff_raw *raw, const void *from, size_t bytes);
void den_tiff_put(const struct den_tiff_raw *raw, void *to, size_t bytes, uint64_t value);
/* Of an entry, and of an offset or a value that it can hold. */
size_t den_tiff_entry_bytes(const struct den_tiff_raw *raw);
size_t den_tiff_word_bytes(const struct den_tiff_raw *raw);
size_t den_tiff_count_bytes(const struct den_tiff_raw *raw); /* of a directory's count */

/* From fd, which is the raw file or a copy of it.  DEN_E_UNPROCESSABLE when it is not all
 * in the file or has more than 4096 entries, which libtiff would refuse, too. */
bool den_tiff_directory_read(const struct den_tiff_raw *raw, int fd, uint64_t offset,
                             struct den_tiff_directory *directory,
                             struct den_err *err) DEN_CHECKED;
void den_tiff_directory_release(struct den_tiff_directory *directory);
struct den_tiff_entry den_tiff_entry_at(const struct den_tiff_raw *raw,
                                        const struct den_tiff_directory *directory,
                                        size_t index);
/* The entries with one of two tags: how many, the last one in *ret. */
size_t den_tiff_entry_find(const struct den_tiff_raw *raw,
                           const struct den_tiff_directory *directory, uint16_t tag,
                           uint16_t other, struct den_tiff_entry *ret);
/* Bytes that the entry's values take outside of it, 0 when they are inside, of unknown
 * type or not in the file. */
uint64_t den_tiff_outside_bytes(const struct den_tiff_raw *raw,
                                const struct den_tiff_entry *entry);

#endif
