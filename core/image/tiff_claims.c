#include "tiff_claims.h"

#include <inttypes.h>

#include "mem.h"
#include "tiff_splice.h"

/* The parts of a page follow each other, some at even offsets only. */
enum { ALIGNED = 1 };

static bool claim_values(const struct den_tiff_raw *raw,
                         const struct den_tiff_directory *directory,
                         struct den_claims *claims, struct den_err *err)
{
    for (size_t i = 0; i < directory->count; i++) {
        struct den_tiff_entry entry = den_tiff_entry_at(raw, directory, i);
        uint64_t bytes = den_tiff_outside_bytes(raw, &entry);
        /* Where the source ends, the copy may go on: there would be values then. */
        if (!entry.inside && bytes == 0 && entry.count > 0)
            return den_err_set(err, DEN_E_UNPROCESSABLE,
                               "tag %u of the TIFF has values behind the end of the "
                               "file; such a file can be read, but not copied",
                               (unsigned)entry.tag);
        if (!den_claims_add(claims, entry.value, bytes, err))
            return false;
    }
    return den_claims_add(claims, directory->offset, directory->bytes, err);
}

/* den_tiff_scan has walked the same chain and found its end. */
static bool claim_chain(const struct den_tiff_raw *raw,
                        struct den_tiff_directory *directory, struct den_claims *claims,
                        struct den_err *err)
{
    for (uint64_t at = raw->first; at != 0; at = directory->next)
        if (!den_tiff_directory_read(raw, raw->fd, at, directory, err) ||
            !claim_values(raw, directory, claims, err))
            return false;
    return true;
}

/* Strips and tiles as libtiff sees them, which corrects what old files say wrongly.  Of
 * uncompressed ones the bytes that are pixels. */
static bool claim_page(struct den_tiff_in *in, uint32_t page, struct den_claims *claims,
                       struct den_err *err)
{
    struct den_tiff_layout layout;
    if (!den_tiff_layout_read(in, page, &layout, err))
        return false;
    for (uint32_t part = 0; part < layout.parts; part++) {
        uint64_t from = TIFFGetStrileOffset(in->tif, part);
        uint64_t bytes = TIFFGetStrileByteCount(in->tif, part);
        if (layout.compression == COMPRESSION_NONE && bytes > 0)
            bytes = den_tiff_part_bytes(&layout, part);
        if (layout.data_offset != 0)
            from = layout.data_offset;
        if (!den_claims_add(claims, from, bytes, err))
            return false;
    }
    return true;
}

bool den_tiff_claims_read(struct den_tiff_in *in, const struct den_tiff_raw *raw,
                          struct den_tiff_directory *directory, struct den_claims *ret,
                          struct den_err *err)
{
    struct den_claims claims;
    den_claims_init(&claims, DEN_TIFF_PIECES, ALIGNED);
    bool done = den_claims_add(&claims, 0, raw->big_tiff ? 16 : 8, err) &&
                claim_chain(raw, directory, &claims, err);
    for (uint32_t page = 0; done && page < in->info.pages; page++)
        done = claim_page(in, page, &claims, err);
    if (!done) {
        den_claims_release(&claims);
        return false;
    }
    den_claims_close(&claims);
    *ret = claims;
    return true;
}
