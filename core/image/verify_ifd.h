#ifndef DEN_VERIFY_IFD_H
#define DEN_VERIFY_IFD_H

/* Directories (IFDs) of a TIFF in memory, without libtiff: TIFF 6.0, section 2, and the
 * BigTIFF design note. */

#include "verify_walk.h"

struct den_ifd_form {
    bool big_endian, big_tiff;
};

struct den_ifd {
    const unsigned char *entries;
    size_t count;
    uint64_t next; /* offset, 0 = none */
};

struct den_ifd_entry {
    unsigned tag, type;
    uint64_t count;
    uint64_t bytes, at;       /* of the values; at = offset in the file */
    const unsigned char *raw; /* the field that holds the values or their offset */
    bool known;               /* the type is, and the values lie in the file */
};

/* A whole number of the file. */
uint64_t den_ifd_number(const struct den_ifd_form *form, const unsigned char *from,
                        unsigned bytes);
unsigned den_ifd_word(const struct den_ifd_form *form); /* bytes of an offset */
size_t den_ifd_entry_size(const struct den_ifd_form *form);
unsigned den_ifd_type_bytes(unsigned type); /* of one value, 0 for an unknown type */
bool den_ifd_is_whole(unsigned type);       /* unsigned whole numbers */

/* False when the directory does not lie in the file. */
bool den_ifd_get(const struct den_ifd_form *form, const struct den_bytes *file,
                 uint64_t offset, struct den_ifd *ret);
struct den_ifd_entry den_ifd_entry_at(const struct den_ifd_form *form,
                                      const struct den_bytes *file,
                                      const struct den_ifd *directory, size_t i);
/* The first entry of this tag whose values are known. */
bool den_ifd_find(const struct den_ifd_form *form, const struct den_bytes *file,
                  const struct den_ifd *directory, unsigned tag,
                  struct den_ifd_entry *ret);
/* Value i of a known entry. */
uint64_t den_ifd_value(const struct den_ifd_form *form, const struct den_bytes *file,
                       const struct den_ifd_entry *e, uint64_t i);

#endif
