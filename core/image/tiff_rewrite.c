/* A TIFF with other pixels: the source is copied byte for byte, and its strips and tiles
 * are exchanged in the copy.  All that is asked of the file is asked of the source, which
 * does not change meanwhile.
 *
 * Pixels that will be overwritten where they are, all uncompressed ones of a sane file,
 * are not copied at first, only at the end those of pages that were left out: of a large
 * stack every byte is written once. */
#include "tiff_rewrite.h"

#include <inttypes.h>
#include <string.h>

#include "file_at.h"
#include "mem.h"
#include "rewrite.h"
#include "tiff_claims.h"
#include "tiff_encode.h"
#include "tiff_splice.h"

enum { BLOCK = 1 << 18 }; /* bytes that are packed and written at once */

struct rewrite {
    struct den_tiff_in *in;
    struct den_tiff_copy copy;
    struct den_tiff_directory directory;
    struct den_claims contested;
    char *provenance;
    unsigned char *replaced; /* [pages], 1 = has its new pixels */
    unsigned char *part;     /* grown to the largest part seen */
    size_t part_room;
};

/* The page that is exchanged just now. */
struct page {
    struct rewrite *r;
    uint32_t number;
    struct den_tiff_layout layout;
    struct den_tiff_tables tables;    /* read when first needed */
    struct den_tiff_encoder *encoder; /* of compressed parts */
    const unsigned char *pixels;
};

/* Where a part lies in the source; 0 bytes = nowhere, all its samples are 0. */
struct place {
    uint64_t offset, bytes;
};

static bool shared(const struct page *p, const char *what, struct den_err *err)
{
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32
                       " of the TIFF can be read, but not rewritten: its %s has bytes in "
                       "common with something else in the file",
                       p->number, what);
}

static bool part_room(struct rewrite *r, size_t bytes, struct den_err *err)
{
    if (bytes <= r->part_room)
        return true;
    void *part = den_new(1, bytes, err);
    if (part == NULL)
        return false;
    den_free(r->part);
    r->part = part;
    r->part_room = bytes;
    return true;
}

/* ---- tables ----------------------------------------------------------------------- */

static bool table_alone(const struct page *p, const struct den_tiff_table *table)
{
    const struct den_tiff_entry *entry = &table->entry;
    return !table->found ||
           den_claims_alone(&p->r->contested, entry->value, entry->count * entry->each);
}

static bool need_tables(struct page *p, struct den_err *err)
{
    struct rewrite *r = p->r;
    if (p->tables.parts != 0)
        return true;
    if (p->layout.data_offset != 0)
        return shared(p, "image", err); /* of a stack with one table for all pages */
    if (!den_tiff_directory_read(&r->copy.raw, r->copy.raw.fd,
                                 r->in->directories[p->number], &r->directory, err) ||
        !den_tiff_tables_read(&r->copy.raw, &r->directory, p->number, p->layout.parts,
                              &p->tables, err))
        return false;
    if (p->layout.compression != COMPRESSION_NONE && !p->tables.counts.found)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "page %" PRIu32
                           " of the TIFF can be read, but not rewritten: it does not say "
                           "how long its compressed strips or tiles are",
                           p->number);
    if (!den_claims_alone(&r->contested, p->tables.directory,
                          p->tables.directory_bytes) ||
        !table_alone(p, &p->tables.offsets) || !table_alone(p, &p->tables.counts))
        return shared(p, "table of strips or tiles", err);
    return true;
}

/* libtiff corrects tables that it takes for wrong, and splits long strips; in neither
 * case are its parts those of the file. */
static bool table_agrees(const struct page *p, uint32_t part, const struct place *old,
                         struct den_err *err)
{
    const struct den_tiff_tables *tables = &p->tables;
    bool compressed = p->layout.compression != COMPRESSION_NONE;
    if (tables->offsets.values[part] == old->offset &&
        (!compressed || tables->counts.values[part] == old->bytes))
        return true;
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32
                       " of the TIFF can be read, but not rewritten: its table of strips "
                       "or tiles is damaged",
                       p->number);
}

/* ---- exchanging a part ------------------------------------------------------------ */

static struct place place_of(const struct page *p, uint32_t part)
{
    struct place place = {TIFFGetStrileOffset(p->r->in->tif, part),
                          TIFFGetStrileByteCount(p->r->in->tif, part)};
    if (place.offset == 0)
        place.bytes = 0;
    if (place.bytes > 0 && p->layout.compression == COMPRESSION_NONE)
        place.bytes = den_tiff_part_bytes(&p->layout, part);
    if (p->layout.data_offset != 0)
        place.offset = p->layout.data_offset;
    return place;
}

static bool place_alone(const struct page *p, const struct place *place)
{
    return place->bytes > 0 &&
           den_claims_alone(&p->r->contested, place->offset, place->bytes);
}

/* Is overwritten and nothing else; is not in the copy before. */
static bool stays_there(const struct page *p, const struct place *place)
{
    return p->layout.compression == COMPRESSION_NONE && place_alone(p, place);
}

/* Over the old part where it fits, and then nothing of the old one must stay behind: a
 * file with the noise of its pixels in the gaps would be a strange result. */
static bool put_part(struct page *p, uint32_t part, const struct place *old,
                     const void *data, size_t bytes, struct den_err *err)
{
    struct rewrite *r = p->r;
    struct place fresh = {old->offset, bytes};
    bool alone = place_alone(p, old), fits = alone && bytes <= old->bytes;
    uint64_t kept = fits ? bytes : 0; /* of the old place */
    if (fits && bytes == old->bytes)
        return den_file_write_at(r->copy.fd, old->offset, data, bytes, err);
    if (!need_tables(p, err))
        return false;
    if (fits ? !den_file_write_at(r->copy.fd, old->offset, data, bytes, err)
             : !den_tiff_copy_append(&r->copy, data, bytes, &fresh.offset, err))
        return false;
    den_tiff_tables_set(&p->tables, part, fresh.offset, fresh.bytes);
    return !alone ||
           den_file_zero_at(r->copy.fd, old->offset + kept, old->bytes - kept, err);
}

static bool all_zero(const unsigned char *bytes, size_t n)
{
    return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

static bool put_packed(struct page *p, uint32_t part, const struct place *old,
                       struct den_err *err)
{
    struct rewrite *r = p->r;
    size_t bytes = den_tiff_part_bytes(&p->layout, part);
    const void *data = NULL;
    if (!part_room(r, bytes, err))
        return false;
    den_tiff_pack_part(&p->layout, part, p->pixels, r->part);
    if (old->bytes == 0 && all_zero(r->part, bytes))
        return true;
    if (p->layout.compression == COMPRESSION_NONE) {
        den_tiff_to_file_order(&p->layout, r->part, bytes);
        return put_part(p, part, old, r->part, bytes, err);
    }
    return den_tiff_encode(p->encoder, r->part, bytes, &data, &bytes, err) &&
           put_part(p, part, old, data, bytes, err);
}

/* The part is a run of the page's pixels as they are. */
static bool is_plain(const struct den_tiff_layout *l)
{
    return !l->tiled && !l->white_is_0 && (l->samples == 1 || l->planar) &&
           l->bits == 8 * den_dtype_bytes(l->dtype) && den_tiff_is_file_order(l);
}

static bool put_plain(struct page *p, uint32_t part, uint64_t offset, struct den_err *err)
{
    const struct den_tiff_layout *l = &p->layout;
    size_t rows_before =
        (size_t)(part / l->down) * l->height + (size_t)(part % l->down) * l->part_rows;
    return den_file_write_at(p->r->copy.fd, offset,
                             p->pixels + rows_before * l->row_bytes,
                             den_tiff_part_bytes(l, part), err);
}

/* A few rows at a time: one strip may hold a whole page. */
static bool put_rows(struct page *p, uint32_t part, uint64_t offset, struct den_err *err)
{
    struct rewrite *r = p->r;
    const struct den_tiff_layout *l = &p->layout;
    size_t left = den_tiff_part_bytes(l, part);
    uint32_t rows = l->row_bytes < BLOCK ? (uint32_t)(BLOCK / l->row_bytes) : 1;
    size_t block = left < rows * l->row_bytes ? left : rows * l->row_bytes;
    if (!part_room(r, block, err))
        return false;
    for (uint32_t first = 0; left > 0; first += rows) {
        size_t bytes = left < block ? left : block;
        den_tiff_pack_rows(l, part, first, rows, p->pixels, r->part);
        den_tiff_to_file_order(l, r->part, bytes);
        if (!den_file_write_at(r->copy.fd, offset, r->part, bytes, err))
            return false;
        offset += bytes;
        left -= bytes;
    }
    return true;
}

static bool put_in_place(struct page *p, uint32_t part, uint64_t offset,
                         struct den_err *err)
{
    return is_plain(&p->layout) ? put_plain(p, part, offset, err)
                                : put_rows(p, part, offset, err);
}

static bool replace_parts(struct page *p, struct den_err *err)
{
    for (uint32_t part = 0; part < p->layout.parts; part++) {
        struct place old = place_of(p, part);
        if (stays_there(p, &old) ? !put_in_place(p, part, old.offset, err)
                                 : !put_packed(p, part, &old, err))
            return false;
    }
    return true;
}

bool den_tiff_replace(void *state, uint32_t page, const void *pixels, struct den_err *err)
{
    struct rewrite *r = state;
    struct page p = {.r = r, .number = page, .pixels = pixels};
    if (!den_tiff_layout_read(r->in, page, &p.layout, err))
        return false;
    bool done =
        p.layout.compression == COMPRESSION_NONE ||
        den_tiff_encoder_new(&p.layout, r->in->limits.part_bytes, &p.encoder, err);
    done =
        done && replace_parts(&p, err) && den_tiff_tables_write(&r->copy, &p.tables, err);
    r->replaced[page] = done;
    den_tiff_encoder_free(p.encoder);
    den_tiff_tables_release(&p.tables);
    return done;
}

/* ---- opening and completing ------------------------------------------------------- */

static bool in_file(const struct page *p, const struct place *place, struct den_err *err)
{
    uint64_t bytes = p->r->copy.raw.bytes;
    if (place->offset <= bytes && place->bytes <= bytes - place->offset)
        return true;
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32 " of the TIFF is cut short: %" PRIu64
                       " bytes of pixels at offset "
                       "%" PRIu64 " are not in the file of %" PRIu64 " bytes",
                       p->number, place->bytes, place->offset, bytes);
}

/* What rewriting will need of this page is there, before anybody computes anything.
 * later: what need not be copied now. */
static bool check_page(struct rewrite *r, uint32_t page, struct den_claims *later,
                       struct den_err *err)
{
    struct page p = {.r = r, .number = page};
    if (!den_tiff_layout_read(r->in, page, &p.layout, err))
        return false;
    bool done = true;
    for (uint32_t part = 0; done && part < p.layout.parts; part++) {
        struct place old = place_of(&p, part);
        done = in_file(&p, &old, err);
        if (done && stays_there(&p, &old))
            done = den_claims_add(later, old.offset, old.bytes, err);
        else if (done)
            done = need_tables(&p, err) && table_agrees(&p, part, &old, err);
    }
    den_tiff_tables_release(&p.tables);
    return done;
}

static bool check_pages(struct rewrite *r, struct den_claims *later, struct den_err *err)
{
    uint32_t most = r->in->limits.tags;
    struct page first = {.r = r};
    if (!den_tiff_copy_can_sign(&r->copy, DEN_PROVENANCE_TIFF_TAG, most, err))
        return false;
    /* The header will point at another directory. */
    if (!den_claims_alone(&r->contested, 0, r->copy.raw.big_tiff ? 16 : 8))
        return shared(&first, "header", err);
    for (uint32_t page = 0; page < r->in->info.pages; page++)
        if (!check_page(r, page, later, err))
            return false;
    return true;
}

static bool copy_range(struct rewrite *r, uint64_t from, uint64_t to, struct den_err *err)
{
    return den_file_copy_at(r->copy.raw.fd, r->copy.fd, from, to - from, err);
}

static bool copy_all_but(struct rewrite *r, struct den_claims *later, struct den_err *err)
{
    uint64_t at = 0;
    den_claims_sort(later);
    for (size_t i = 0; i < later->count; i++) {
        if (!copy_range(r, at, later->ranges[i].from, err))
            return false;
        at = later->ranges[i].to;
    }
    return copy_range(r, at, r->copy.raw.bytes, err);
}

static bool check_and_copy(struct rewrite *r, struct den_err *err)
{
    struct den_claims later;
    den_claims_init(&later, DEN_TIFF_PIECES, 0);
    bool done = check_pages(r, &later, err) && copy_all_but(r, &later, err);
    den_claims_release(&later);
    return done;
}

/* The pixels of a page that got no others. */
static bool copy_page(struct rewrite *r, uint32_t page, struct den_err *err)
{
    struct page p = {.r = r, .number = page};
    if (!den_tiff_layout_read(r->in, page, &p.layout, err))
        return false;
    for (uint32_t part = 0; part < p.layout.parts; part++) {
        struct place old = place_of(&p, part);
        if (stays_there(&p, &old) &&
            !copy_range(r, old.offset, old.offset + old.bytes, err))
            return false;
    }
    return true;
}

void den_tiff_discard(void *state)
{
    struct rewrite *r = state;
    if (r == NULL)
        return;
    den_tiff_in_close(r->in);
    den_tiff_directory_release(&r->directory);
    den_claims_release(&r->contested);
    den_free(r->provenance);
    den_free(r->replaced);
    den_free(r->part);
    den_free(r);
}

bool den_tiff_rewrite(int source, uint64_t bytes, int fd,
                      const struct den_image_limits *limits, const char *provenance,
                      struct den_image_info *ret_info, void **ret_state,
                      struct den_err *err)
{
    struct rewrite *r = den_new(1, sizeof *r, err);
    if (r == NULL)
        return false;
    r->copy.fd = fd;
    r->copy.end = bytes;
    r->provenance = den_strdup(provenance);
    if (r->provenance == NULL) {
        den_err_set(err, DEN_E_NO_MEMORY, "no memory is left to rewrite the image");
        goto fail;
    }
    if (!den_tiff_in_open(source, bytes, limits, &r->in, err) ||
        !den_tiff_raw_open(source, bytes, &r->copy.raw, err) ||
        !den_tiff_claims_read(r->in, &r->copy.raw, &r->directory, &r->contested, err) ||
        (r->replaced = den_new(r->in->info.pages, 1, err)) == NULL ||
        !check_and_copy(r, err))
        goto fail;
    *ret_info = r->in->info;
    *ret_state = r;
    return true;
fail:
    den_tiff_discard(r);
    return false;
}

bool den_tiff_complete(void *state, struct den_err *err)
{
    struct rewrite *r = state;
    bool done = true;
    for (uint32_t page = 0; done && page < r->in->info.pages; page++)
        done = r->replaced[page] || copy_page(r, page, err);
    done =
        done && den_tiff_copy_sign(&r->copy, DEN_PROVENANCE_TIFF_TAG, r->provenance, err);
    den_tiff_discard(r);
    return done;
}
