#ifndef DEN_VERIFY_TIFF_H
#define DEN_VERIFY_TIFF_H

/* What the parts of the comparison of two TIFF files share. */

#include "verify_gaps.h"
#include "verify_ifd.h"

struct den_tiff_chain; /* directories that follow each other */

struct den_tiff_pair {
    struct den_walk *walk;
    struct den_ifd_form form;              /* of both files: else they are not walked */
    uint64_t directories_left, bytes_left; /* hostile files point in circles */
    struct den_tiff_chain *chains;         /* still to be compared, from `next` on */
    size_t chain_count, chain_room, next;
    bool no_memory;
    uint64_t chain;        /* directories of the source that are not inside others */
    struct den_gaps *gaps; /* of the source */
};

/* False when nothing is left. */
static inline bool den_tiff_spend(uint64_t *left, uint64_t amount)
{
    *left = amount < *left ? *left - amount : 0;
    return *left > 0;
}

bool den_tiff_is_part_array(unsigned tag);
/* A chain may hold small views of its pages: with more directories than pages, those of
 * NewSubfileType 1 are none. */
bool den_tiff_is_page(const struct den_tiff_pair *t, const struct den_ifd *directory);
/* The encoded pixels of a directory that is no page must be as they were.  False when the
 * files point in circles. */
bool den_tiff_compare_parts(struct den_tiff_pair *t, const char *where,
                            const struct den_ifd *source, const struct den_ifd *copy);
/* Those of a page may change, but must be there. */
void den_tiff_check_parts(struct den_tiff_pair *t, const char *where,
                          const struct den_ifd *source, const struct den_ifd *copy);
/* Where encoded pixels lie, so that what remains are bytes that no tag speaks of. */
void den_tiff_claim_parts(struct den_tiff_pair *t, const struct den_ifd *source,
                          bool page);

#endif
