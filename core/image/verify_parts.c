/* Strips and tiles of two TIFF files: where they lie, and whether they may change. */
#include "verify_tiff.h"

#include <inttypes.h>
#include <string.h>

enum {
    TAG_SUBFILE_TYPE = 254,
    TAG_BITS = 258,
    TAG_COMPRESSION = 259,
    TAG_STRIP_OFFSETS = 273,
    TAG_STRIP_ROWS = 278,
    TAG_STRIP_BYTES = 279,
    TAG_PLANES = 284,
    TAG_TILE_WIDTH = 322,
    TAG_TILE_HEIGHT = 323,
    TAG_TILE_OFFSETS = 324,
    TAG_TILE_BYTES = 325
};

bool den_tiff_is_part_array(unsigned tag)
{
    return tag == TAG_STRIP_OFFSETS || tag == TAG_STRIP_BYTES ||
           tag == TAG_TILE_OFFSETS || tag == TAG_TILE_BYTES;
}

struct parts {
    struct den_ifd_entry offsets, bytes;
    uint64_t count;
};

static bool find_parts(const struct den_tiff_pair *t, const struct den_bytes *file,
                       const struct den_ifd *directory, struct parts *ret)
{
    bool strips =
        den_ifd_find(&t->form, file, directory, TAG_STRIP_OFFSETS, &ret->offsets);
    if (!strips &&
        !den_ifd_find(&t->form, file, directory, TAG_TILE_OFFSETS, &ret->offsets))
        return false;
    if (!den_ifd_find(&t->form, file, directory, TAG_TILE_BYTES, &ret->bytes) &&
        !den_ifd_find(&t->form, file, directory, TAG_STRIP_BYTES, &ret->bytes))
        return false;
    ret->count = ret->offsets.count;
    return ret->bytes.count == ret->count && den_ifd_is_whole(ret->offsets.type) &&
           den_ifd_is_whole(ret->bytes.type);
}

bool den_tiff_compare_parts(struct den_tiff_pair *t, const char *where,
                            const struct den_ifd *source, const struct den_ifd *copy)
{
    struct den_walk *walk = t->walk;
    struct parts a, b;
    bool have = find_parts(t, &walk->source, source, &a);
    if (!have || !find_parts(t, &walk->copy, copy, &b) || a.count != b.count)
        return true; /* no pixels, or the entries differ, which is told there */
    for (uint64_t i = 0; i < a.count; i++) {
        uint64_t from = den_ifd_value(&t->form, &walk->source, &a.offsets, i);
        uint64_t to = den_ifd_value(&t->form, &walk->copy, &b.offsets, i);
        uint64_t bytes = den_ifd_value(&t->form, &walk->source, &a.bytes, i);
        if (bytes != den_ifd_value(&t->form, &walk->copy, &b.bytes, i)) {
            den_walk_differs(walk, where, "pixels",
                             "the length of part %" PRIu64
                             " changed, and this is no page to be denoised",
                             i);
            return true;
        }
        if (!den_bytes_hold(&walk->source, from, bytes))
            continue;
        if (!den_tiff_spend(&t->bytes_left, bytes))
            return false;
        if (!den_bytes_hold(&walk->copy, to, bytes) ||
            memcmp(walk->source.data + from, walk->copy.data + to, (size_t)bytes) != 0) {
            den_walk_differs(
                walk, where, "pixels",
                "part %" PRIu64 " changed, and this is no page to be denoised", i);
            return true;
        }
    }
    return true;
}

bool den_tiff_is_page(const struct den_tiff_pair *t, const struct den_ifd *directory)
{
    struct den_ifd_entry e;
    const struct den_bytes *file = &t->walk->source;
    if (t->chain <= t->walk->verdict->info.pages ||
        !den_ifd_find(&t->form, file, directory, TAG_SUBFILE_TYPE, &e) || e.count != 1)
        return true;
    return (den_ifd_value(&t->form, file, &e, 0) & 1) == 0;
}

static uint64_t number_of(const struct den_tiff_pair *t, const struct den_ifd *directory,
                          unsigned tag, uint64_t absent)
{
    struct den_ifd_entry e;
    const struct den_bytes *file = &t->walk->source;
    if (!den_ifd_find(&t->form, file, directory, tag, &e) || e.count == 0)
        return absent;
    return den_ifd_value(&t->form, file, &e, 0);
}

/* The uncompressed parts of a page: readers go by the size of the image where the table
 * of byte counts says less. */
struct plain {
    uint64_t row_bytes; /* 0 = the parts are compressed, or of no known size */
    uint64_t rows;      /* of a strip or tile */
    uint64_t down;      /* strips of a plane; 0 = these are tiles, which are all full */
    uint64_t last_rows; /* of its last strip */
};

static struct plain plain_parts(const struct den_tiff_pair *t,
                                const struct den_ifd *directory)
{
    const struct den_image_info *info = &t->walk->verdict->info;
    struct plain p = {.rows = number_of(t, directory, TAG_TILE_HEIGHT, 0)};
    uint64_t width = number_of(t, directory, TAG_TILE_WIDTH, info->width), bits;
    bool planes = number_of(t, directory, TAG_PLANES, 1) == 2;
    if (number_of(t, directory, TAG_COMPRESSION, 1) != 1 || info->height == 0)
        return p;
    if (p.rows == 0) {
        p.rows = number_of(t, directory, TAG_STRIP_ROWS, info->height);
        if (p.rows == 0 || p.rows > info->height)
            p.rows = info->height;
        p.down = (info->height - 1) / p.rows + 1;
        p.last_rows = info->height - (p.down - 1) * p.rows;
    }
    bits = (planes ? 1 : info->channels) * number_of(t, directory, TAG_BITS, 1);
    if (!__builtin_mul_overflow(width, bits, &bits))
        p.row_bytes = bits / 8 + (bits % 8 != 0);
    return p;
}

static uint64_t plain_bytes(const struct plain *p, uint64_t part)
{
    bool last = p->down > 0 && part % p->down == p->down - 1;
    uint64_t bytes;
    return __builtin_mul_overflow(p->row_bytes, last ? p->last_rows : p->rows, &bytes)
               ? 0
               : bytes;
}

void den_tiff_check_parts(struct den_tiff_pair *t, const char *where,
                          const struct den_ifd *source, const struct den_ifd *copy)
{
    struct den_walk *walk = t->walk;
    struct parts a, b;
    struct plain plain = plain_parts(t, source);
    struct den_ifd_entry packing;
    bool packed =
        den_ifd_find(&t->form, &walk->source, source, TAG_COMPRESSION, &packing) &&
        den_ifd_value(&t->form, &walk->source, &packing, 0) != 1;
    if (!find_parts(t, &walk->source, source, &a) ||
        !find_parts(t, &walk->copy, copy, &b) || a.count != b.count)
        return;
    for (uint64_t i = 0; i < a.count; i++) {
        uint64_t before = den_ifd_value(&t->form, &walk->source, &a.bytes, i);
        uint64_t after = den_ifd_value(&t->form, &walk->copy, &b.bytes, i);
        uint64_t from = den_ifd_value(&t->form, &walk->source, &a.offsets, i);
        uint64_t to = den_ifd_value(&t->form, &walk->copy, &b.offsets, i);
        /* The copy may have the right length where the source has another: a part of no
         * bytes, which is all zero, or a table that is wrong. */
        if (!packed && before != after && after != plain_bytes(&plain, i))
            den_walk_differs(walk, where, "pixels",
                             "the %" PRIu64 " bytes of part %" PRIu64 " became %" PRIu64,
                             before, i, after);
        else if (den_bytes_hold(&walk->source, from, before) &&
                 !den_bytes_hold(&walk->copy, to, after))
            den_walk_differs(walk, where, "pixels",
                             "part %" PRIu64 " lies outside the copy", i);
    }
}

void den_tiff_claim_parts(struct den_tiff_pair *t, const struct den_ifd *source,
                          bool page)
{
    const struct den_image_info *info = &t->walk->verdict->info;
    const struct den_bytes *file = &t->walk->source;
    struct parts parts;
    if (!find_parts(t, file, source, &parts)) {
        if (page)
            den_gaps_give_up(t->gaps);
        return;
    }
    struct plain plain = {0};
    if (page)
        plain = plain_parts(t, source);
    for (uint64_t i = 0; i < parts.count; i++) {
        uint64_t bytes = den_ifd_value(&t->form, file, &parts.bytes, i);
        uint64_t least = plain_bytes(&plain, i);
        den_gaps_claim(t->gaps, den_ifd_value(&t->form, file, &parts.offsets, i),
                       bytes > least ? bytes : least);
    }
    /* ImageJ's stacks of one directory: the pages lie behind the first. */
    if (page && info->pages > t->chain && parts.count > 0)
        den_gaps_claim(t->gaps, den_ifd_value(&t->form, file, &parts.offsets, 0),
                       (uint64_t)den_image_page_bytes(info) * info->pages);
}
