#ifndef MADE_TIFF_H
#define MADE_TIFF_H

/* TIFF files put together byte by byte, as no library would write them. */

#include "image_files.h"

enum { MADE_ROOM = 1 << 18 };

struct made {
    bool big_endian, big_tiff;
    size_t length, link; /* link: where the offset of the next directory belongs */
    unsigned char bytes[MADE_ROOM];
};

enum { T_BYTE = 1, T_ASCII, T_SHORT, T_LONG, T_LONG8 = 16 };

/* count values of `type` in value when they fit into the entry, else at that offset. */
struct made_entry {
    unsigned tag, type;
    uint64_t count, value;
};
static const struct made_entry no_entry = {.type = 0};

static inline size_t made_word(const struct made *m)
{
    return m->big_tiff ? 8 : 4;
}

static inline size_t made_type_bytes(unsigned type)
{
    return type == T_SHORT ? 2 : type == T_LONG ? 4 : type == T_LONG8 ? 8 : 1;
}

static inline void made_put(struct made *m, size_t at, size_t bytes, uint64_t value)
{
    ck_assert_uint_le(at + bytes, MADE_ROOM);
    for (size_t i = 0; i < bytes; i++, value >>= 8)
        m->bytes[at + (m->big_endian ? bytes - 1 - i : i)] = (unsigned char)(value & 255);
    if (at + bytes > m->length)
        m->length = at + bytes;
}

static inline uint64_t made_get(const struct made *m, uint64_t at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | m->bytes[at + (m->big_endian ? i : bytes - 1 - i)];
    return value;
}

static inline void made_begin(struct made *m, bool big_endian, bool big_tiff)
{
    memset(m, 0, sizeof *m);
    m->big_endian = big_endian;
    m->big_tiff = big_tiff;
    memset(m->bytes, big_endian ? 'M' : 'I', 2);
    made_put(m, 2, 2, big_tiff ? 43 : 42);
    if (big_tiff)
        made_put(m, 4, 4, 8); /* bytes of an offset, and 0 */
    if (big_tiff && big_endian)
        made_put(m, 4, 4, 8 << 16);
    m->link = big_tiff ? 8 : 4;
    made_put(m, m->link, made_word(m), 0);
}

/* Where they are. */
static inline uint64_t made_bytes(struct made *m, const void *bytes, size_t count)
{
    size_t at = m->length;
    ck_assert_uint_le(at + count, MADE_ROOM);
    memcpy(m->bytes + at, bytes, count);
    m->length += count;
    return at;
}

/* An array of numbers in the file. */
static inline uint64_t made_array(struct made *m, unsigned type, const uint64_t *values,
                                  size_t count)
{
    size_t at = m->length, each = made_type_bytes(type);
    for (size_t i = 0; i < count; i++)
        made_put(m, at + i * each, each, values[i]);
    return at;
}

/* The next directory of the chain; entries of type 0 are left out. */
static inline uint64_t made_directory(struct made *m, const struct made_entry *entries,
                                      size_t count)
{
    size_t at = m->length += m->length % 2, word = made_word(m), used = 0;
    size_t to = at + (m->big_tiff ? 8 : 2);
    for (size_t i = 0; i < count; i++) {
        const struct made_entry *e = &entries[i];
        if (e->type == 0)
            continue;
        size_t each = made_type_bytes(e->type);
        made_put(m, to, 2, e->tag);
        made_put(m, to + 2, 2, e->type);
        made_put(m, to + 4, word, e->count);
        made_put(m, to + 4 + word, word, 0);
        made_put(m, to + 4 + word, e->count == 1 ? each : word, e->value);
        to += 4 + 2 * word;
        used++;
    }
    made_put(m, at, m->big_tiff ? 8 : 2, used);
    made_put(m, to, word, 0);
    made_put(m, m->link, word, at);
    m->link = to;
    return at;
}

/* 8-bit gray, one sample: what every directory of these tests begins with. */
static inline uint64_t made_page(struct made *m, uint32_t width, uint32_t height,
                                 unsigned compression, uint32_t rows,
                                 struct made_entry offsets, struct made_entry counts,
                                 struct made_entry text)
{
    const struct made_entry entries[] = {
        {256, T_LONG, 1, width},
        {257, T_LONG, 1, height},
        {258, T_SHORT, 1, 8},
        {259, T_SHORT, 1, compression},
        {262, T_SHORT, 1, 1},
        text,
        offsets,
        {277, T_SHORT, 1, 1},
        {278, T_LONG, 1, rows},
        counts,
        {65432, T_LONG, 1, 4711},
        {65500, T_SHORT, 1, 12},
    };
    return made_directory(m, entries, sizeof entries / sizeof *entries);
}

static inline void made_save(const struct made *m, const char *path)
{
    write_bytes(path, m->bytes, m->length);
}

/* The file at path, to be looked at. */
static inline void made_load(struct made *m, const char *path)
{
    struct den_err err = DEN_ERR_INIT;
    char *data = NULL;
    must(den_fs_read(path, MADE_ROOM, &data, &m->length, &err));
    memcpy(m->bytes, data, m->length);
    m->big_endian = data[0] == 'M';
    m->big_tiff = data[2] + data[3] == 43;
    den_free(data);
}

/* Tag of page `page`: false when it has none.  *ret->value is the field as a number, for
 * an array its offset. */
static inline bool made_find(const struct made *m, uint32_t page, unsigned tag,
                             struct made_entry *ret, size_t *ret_index)
{
    size_t word = made_word(m), head = m->big_tiff ? 8 : 2, each = 4 + 2 * word;
    uint64_t at = made_get(m, m->big_tiff ? 8 : 4, word);
    while (page-- > 0)
        at = made_get(m, at + head + made_get(m, at, head) * each, word);
    for (size_t i = 0; i < made_get(m, at, head); i++) {
        uint64_t entry = at + head + i * each;
        if (made_get(m, entry, 2) != tag)
            continue;
        ret->tag = tag;
        ret->type = (unsigned)made_get(m, entry + 2, 2);
        ret->count = made_get(m, entry + 4, word);
        size_t bytes = ret->count == 1 ? made_type_bytes(ret->type) : word;
        ret->value = made_get(m, entry + 4 + word, bytes);
        if (ret_index != NULL)
            *ret_index = i;
        return true;
    }
    return false;
}

#endif
