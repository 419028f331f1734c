/* Two PNG files side by side, chunk by chunk (PNG, third edition, section 5), without
 * libpng. */
#include "verify_walk.h"

#include <inttypes.h>
#include <string.h>

#include "rewrite.h"
#include "str.h"

enum { SIGNATURE = 8, AROUND = 12 /* length, name and checksum of a chunk */ };

struct chunk {
    uint64_t at;   /* offset of the length */
    uint64_t size; /* with all around its data; 0 behind the last chunk */
    uint64_t index;
    const unsigned char *data;
    uint64_t length;
    char name[5];
    bool pixels; /* a run of IDAT */
};

static uint64_t number(const unsigned char *from)
{
    return (uint64_t)from[0] << 24 | (uint64_t)from[1] << 16 | (uint64_t)from[2] << 8 |
           from[3];
}

/* The chunk at offset; none at the end of the file and where there is no whole one. */
static struct chunk one_chunk(const struct den_bytes *file, uint64_t offset)
{
    struct chunk c = {.at = offset};
    if (!den_bytes_hold(file, offset, AROUND))
        return c;
    c.length = number(file->data + offset);
    if (!den_bytes_hold(file, offset, c.length + AROUND))
        return c;
    c.size = c.length + AROUND;
    c.data = file->data + offset + 8;
    memcpy(c.name, file->data + offset + 4, 4);
    c.pixels = strcmp(c.name, "IDAT") == 0;
    return c;
}

/* The same, with all IDAT chunks that follow each other as one. */
static struct chunk get_chunk(const struct den_bytes *file, uint64_t offset,
                              uint64_t index)
{
    struct chunk c = one_chunk(file, offset);
    c.index = index;
    while (c.pixels) {
        struct chunk more = one_chunk(file, c.at + c.size);
        if (!more.pixels)
            break;
        c.size += more.size;
    }
    return c;
}

static struct chunk next_chunk(const struct den_bytes *file, const struct chunk *c)
{
    struct chunk none = {.at = c->at + c->size};
    return strcmp(c->name, "IEND") == 0 ? none : get_chunk(file, none.at, c->index + 1);
}

static bool same_chunk(const struct den_bytes *a, const struct chunk *x,
                       const struct den_bytes *b, const struct chunk *y)
{
    if (x->pixels || y->pixels)
        return x->pixels && y->pixels;
    return x->size == y->size &&
           memcmp(a->data + x->at, b->data + y->at, (size_t)x->size) == 0;
}

/* CRC-32 of ISO 3309, bit by bit: for one small chunk. */
static uint32_t checksum(const unsigned char *data, uint64_t length)
{
    uint32_t crc = UINT32_MAX;
    for (uint64_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320U & (0U - (crc & 1U)));
    }
    return ~crc;
}

/* tEXt: keyword, 0, Latin-1.  iTXt: keyword, 0, two bytes for compression (0, 0),
 * language 0, translated keyword 0, UTF-8.  *ret_text: where the text begins. */
static bool is_provenance(const struct chunk *c, uint64_t *ret_text)
{
    static const char keyword[] = DEN_PROVENANCE_PNG_KEYWORD;
    static const char plain[] = DEN_PROVENANCE_PNG_KEYWORD "\0\0\0\0"; /* and one more */
    bool latin = strcmp(c->name, "tEXt") == 0, utf8 = strcmp(c->name, "iTXt") == 0;
    size_t head = latin ? sizeof keyword : sizeof plain;
    if ((!latin && !utf8) || c->length < head ||
        memcmp(c->data, latin ? keyword : plain, head) != 0)
        return false;
    *ret_text = head;
    return true;
}

static void where_chunk(char *to, size_t size, const struct chunk *c)
{
    (void)den_str_format(to, size, "chunk %" PRIu64, c->index);
}

static void name_chunk(char *to, size_t size, const struct chunk *c)
{
    (void)den_str_copy(to, size, c->name);
    for (char *at = to; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
}

/* A chunk that only the copy has. */
static void meet_added(struct den_walk *walk, const struct chunk *c, bool *may_add)
{
    char where[40], what[8];
    uint64_t text = 0;
    where_chunk(where, sizeof where, c);
    name_chunk(what, sizeof what, c);
    if (!*may_add || !is_provenance(c, &text)) {
        den_walk_differs(walk, where, what, "it was added");
        return;
    }
    *may_add = false;
    if (number(c->data + c->length) != checksum(c->data - 4, c->length + 4))
        den_walk_differs(walk, where, what, "its checksum is wrong");
    den_walk_provenance(walk, where, c->data + text, c->length - text);
}

/* Two chunks in the same place, of which neither was added nor removed. */
static void compare_chunk(struct den_walk *walk, const struct chunk *a,
                          const struct chunk *b)
{
    char where[40], what[8], became[8];
    where_chunk(where, sizeof where, a);
    name_chunk(what, sizeof what, a);
    name_chunk(became, sizeof became, b);
    if (strcmp(a->name, b->name) != 0)
        den_walk_differs(walk, where, what, "it became %s", became);
    else if (a->length != b->length)
        den_walk_differs(walk, where, what, "%" PRIu64 " bytes became %" PRIu64,
                         a->length, b->length);
    else
        (void)den_walk_bytes(walk, where, what, walk->source.data + a->at,
                             walk->copy.data + b->at, a->size);
}

static void compare_tails(struct den_walk *walk, uint64_t source, uint64_t copy)
{
    uint64_t before = walk->source.length - source, after = walk->copy.length - copy;
    if (before != after)
        den_walk_differs(walk, "file", "end",
                         "%" PRIu64 " bytes behind the last chunk became %" PRIu64,
                         before, after);
    else
        (void)den_walk_bytes(walk, "file", "end", walk->source.data + source,
                             walk->copy.data + copy, before);
}

static void compare_chunks(struct den_walk *walk)
{
    const struct den_bytes *a = &walk->source, *b = &walk->copy;
    struct chunk x = get_chunk(a, SIGNATURE, 0), y = get_chunk(b, SIGNATURE, 0);
    bool may_add = true;
    while (x.size > 0 || y.size > 0) {
        if (x.size > 0 && y.size > 0 && same_chunk(a, &x, b, &y)) {
            x = next_chunk(a, &x);
            y = next_chunk(b, &y);
            continue;
        }
        struct chunk after_x = x, after_y = y;
        if (x.size > 0)
            after_x = next_chunk(a, &x);
        if (y.size > 0)
            after_y = next_chunk(b, &y);
        uint64_t text;
        bool added = x.size == 0 || (may_add && y.size > 0 && is_provenance(&y, &text)) ||
                     (after_y.size > 0 && same_chunk(a, &x, b, &after_y));
        bool removed =
            y.size == 0 || (after_x.size > 0 && same_chunk(a, &after_x, b, &y));
        if (added) {
            meet_added(walk, &y, &may_add);
            y = after_y;
        } else if (removed) {
            char where[40], what[8];
            where_chunk(where, sizeof where, &x);
            name_chunk(what, sizeof what, &x);
            den_walk_differs(walk, where, what, "it was removed");
            x = after_x;
        } else {
            compare_chunk(walk, &x, &y);
            x = after_x;
            y = after_y;
        }
    }
    compare_tails(walk, x.at, y.at);
}

bool den_walk_png(struct den_walk *walk, struct den_err *err)
{
    (void)err;
    if (walk->copy.length < SIGNATURE)
        den_walk_differs(walk, "file", "signature", "the file is cut short");
    else if (den_walk_bytes(walk, "file", "signature", walk->source.data, walk->copy.data,
                            SIGNATURE))
        compare_chunks(walk);
    return true;
}
