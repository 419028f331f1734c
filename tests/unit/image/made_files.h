#ifndef MADE_FILES_H
#define MADE_FILES_H

/* TIFF and PNG files made byte by byte from descriptions, which a test may change one
 * thing of: 3 pages of 8 x 4 uint8 in two strips, with tags of many kinds. */

#include <stdint.h>
#include <string.h>

#include "den_check.h"

enum { MADE_WIDTH = 8, MADE_HEIGHT = 4, MADE_BYTES = 1 << 13 };

struct made_file {
    unsigned char data[MADE_BYTES];
    size_t length;
};

static inline void made_put(struct made_file *f, const void *data, size_t length)
{
    ck_assert_uint_le(f->length + length, sizeof f->data);
    memcpy(f->data + f->length, data, length);
    f->length += length;
}

/* ---- TIFF ------------------------------------------------------------------------- */

enum {
    MADE_ASCII = 2,
    MADE_SHORT = 3,
    MADE_LONG = 4,
    MADE_RATIONAL = 5,
    MADE_DOUBLE = 12
};

struct made_tag {
    unsigned tag, type;
    uint32_t count;
    uint64_t values[6]; /* of a RATIONAL two each; of a DOUBLE its bits */
    const char *text;   /* of ASCII; count counts its NUL */
};

struct made_page {
    size_t count;
    struct made_tag tags[32]; /* 273 and 34665 get their values when they are written */
    unsigned char pixels[MADE_WIDTH * MADE_HEIGHT];
    struct made_tag exif[4]; /* of the directory that tag 34665 points to */
    size_t exif_count;
};

struct made_tiff {
    bool big_endian, big_tiff;
    const char *hidden; /* bytes that no tag speaks of */
    size_t count;
    struct made_page pages[4];
};

static inline struct made_tiff made_tiff_default(void)
{
    static const char ome[] = "<OME> <Image ID=\"Image:0\"/></OME>";
    struct made_tiff m = {.hidden = "index of a microscope", .count = 3};
    const struct made_tag tags[] = {
        {254, MADE_LONG, 1, {0}, NULL},
        {256, MADE_LONG, 1, {MADE_WIDTH}, NULL},
        {257, MADE_LONG, 1, {MADE_HEIGHT}, NULL},
        {258, MADE_SHORT, 1, {8}, NULL},
        {259, MADE_SHORT, 1, {1}, NULL},
        {262, MADE_SHORT, 1, {1}, NULL},
        {270, MADE_ASCII, sizeof ome, {0}, ome},
        {273, MADE_LONG, 2, {0}, NULL},
        {277, MADE_SHORT, 1, {1}, NULL},
        {278, MADE_LONG, 1, {MADE_HEIGHT / 2}, NULL},
        {279, MADE_LONG, 2, {16, 16}, NULL},
        {282, MADE_RATIONAL, 1, {100000, 7}, NULL},
        {283, MADE_RATIONAL, 1, {100000, 7}, NULL},
        {296, MADE_SHORT, 1, {3}, NULL},
        {305, MADE_ASCII, 4, {0}, "abc"},
        {34665, MADE_LONG, 1, {0}, NULL},
        {65000, MADE_SHORT, 5, {1, 2, 3, 5, 8}, NULL},
        {65001, MADE_DOUBLE, 1, {0x3ff8000000000000}, NULL},
    };
    for (size_t p = 0; p < 4; p++) {
        struct made_page *page = &m.pages[p];
        memcpy(page->tags, tags, sizeof tags);
        page->count = sizeof tags / sizeof *tags;
        page->exif[0] = (struct made_tag){33434, MADE_RATIONAL, 1, {1, 250}, NULL};
        page->exif[1] = (struct made_tag){34855, MADE_SHORT, 2, {400, 800}, NULL};
        page->exif_count = 2;
        for (size_t i = 0; i < sizeof page->pixels; i++)
            page->pixels[i] = (unsigned char)(p * 50 + i);
    }
    return m;
}

static inline struct made_tag *made_find(struct made_page *page, unsigned tag)
{
    for (size_t i = 0; i < page->count; i++)
        if (page->tags[i].tag == tag)
            return &page->tags[i];
    ck_abort_msg("no tag %u", tag);
    return NULL;
}

static inline void made_number(struct made_file *f, const struct made_tiff *m,
                               uint64_t value, unsigned bytes)
{
    unsigned char to[8];
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * (m->big_endian ? bytes - 1 - i : i));
    made_put(f, to, bytes);
}

static inline void made_patch(struct made_file *f, const struct made_tiff *m, size_t at,
                              uint64_t value)
{
    size_t length = f->length;
    f->length = at;
    made_number(f, m, value, m->big_tiff ? 8 : 4);
    f->length = length;
}

static inline void made_values(struct made_file *f, const struct made_tiff *m,
                               const struct made_tag *tag)
{
    if (tag->text != NULL) {
        made_put(f, tag->text, tag->count);
        return;
    }
    bool pair = tag->type == MADE_RATIONAL;
    unsigned bytes = tag->type == MADE_SHORT ? 2 : tag->type == MADE_DOUBLE ? 8 : 4;
    for (uint32_t i = 0; i < tag->count * (pair ? 2 : 1); i++)
        made_number(f, m, tag->values[i], bytes);
}

/* Writes values and directory; gives the directory's offset. */
static inline size_t made_directory(struct made_file *f, const struct made_tiff *m,
                                    const struct made_tag *tags, size_t count,
                                    size_t *ret_next)
{
    size_t at[32], word = m->big_tiff ? 8 : 4;
    struct made_file values[1] = {{.length = 0}};
    for (size_t i = 0; i < count; i++) {
        memset(values, 0, sizeof *values);
        made_values(values, m, &tags[i]);
        at[i] = values->length > word ? f->length : 0;
        if (at[i] != 0)
            made_put(f, values->data, values->length + values->length % 2);
    }
    size_t start = f->length;
    made_number(f, m, count, m->big_tiff ? 8 : 2);
    for (size_t i = 0; i < count; i++) {
        made_number(f, m, tags[i].tag, 2);
        made_number(f, m, tags[i].type, 2);
        made_number(f, m, tags[i].count, (unsigned)word);
        memset(values, 0, sizeof *values);
        if (at[i] != 0)
            made_number(values, m, at[i], (unsigned)word);
        else
            made_values(values, m, &tags[i]);
        made_put(f, values->data, word);
    }
    *ret_next = f->length;
    made_number(f, m, 0, (unsigned)word);
    return start;
}

static inline size_t made_write_page(struct made_file *f, const struct made_tiff *m,
                                     const struct made_page *from, size_t *ret_next)
{
    struct made_page page = *from;
    struct made_tag *strips = made_find(&page, 273);
    size_t unused;
    strips->values[0] = f->length;
    strips->values[1] = f->length + sizeof page.pixels / 2;
    made_put(f, page.pixels, sizeof page.pixels);
    if (page.exif_count > 0)
        made_find(&page, 34665)->values[0] =
            made_directory(f, m, page.exif, page.exif_count, &unused);
    return made_directory(f, m, page.tags, page.count, ret_next);
}

static inline void made_tiff_write(const struct made_tiff *m, struct made_file *f)
{
    f->length = 0;
    made_put(f, m->big_endian ? "MM" : "II", 2);
    made_number(f, m, m->big_tiff ? 43 : 42, 2);
    if (m->big_tiff)
        made_number(f, m, m->big_endian ? 0x00080000 : 8, 4);
    size_t next = f->length;
    made_number(f, m, 0, m->big_tiff ? 8 : 4);
    made_put(f, m->hidden, strlen(m->hidden) + strlen(m->hidden) % 2);
    for (size_t p = 0; p < m->count; p++) {
        size_t link = next;
        made_patch(f, m, link, made_write_page(f, m, &m->pages[p], &next));
    }
}

/* ---- PNG -------------------------------------------------------------------------- */

struct made_chunk {
    char name[5];
    uint32_t length;
    unsigned char data[200];
};

struct made_png {
    size_t count;
    struct made_chunk chunks[16];
    const char *tail; /* behind IEND */
};

static inline uint32_t made_crc(const unsigned char *data, size_t length)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0xedb88320U : crc >> 1;
    }
    return ~crc;
}

static inline void made_chunk_add(struct made_png *m, size_t at, const char *name,
                                  const void *data, size_t length)
{
    ck_assert_uint_lt(m->count, 16);
    memmove(m->chunks + at + 1, m->chunks + at, (m->count++ - at) * sizeof *m->chunks);
    struct made_chunk *c = &m->chunks[at];
    ck_assert_uint_le(length, sizeof c->data);
    memset(c, 0, sizeof *c);
    memcpy(c->name, name, 4);
    memcpy(c->data, data, length);
    c->length = (uint32_t)length;
}

/* zlib stream of one stored block [RFC 1950, 1951]: rows of 8 samples, filter 0. */
static inline size_t made_idat(unsigned char *to, unsigned char first)
{
    enum { RAW = MADE_HEIGHT * (MADE_WIDTH + 1) };
    unsigned char *raw = to + 7;
    uint32_t a = 1, b = 0;
    static const unsigned char head[7] = {0x78, 1, 1, RAW, 0, 0xff - RAW, 0xff};
    memcpy(to, head, sizeof head);
    for (unsigned i = 0; i < RAW; i++) {
        unsigned column = i % (MADE_WIDTH + 1);
        raw[i] = column == 0 ? 0 : (unsigned char)(first + i);
        a = (a + raw[i]) % 65521;
        b = (b + a) % 65521;
    }
    for (unsigned i = 0; i < 4; i++)
        raw[RAW + i] = (unsigned char)((b << 16 | a) >> (24 - 8 * i));
    return 7 + RAW + 4;
}

/* 0 IHDR 1 gAMA 2 pHYs 3 tEXt 4 prVt 5 IDAT 6 tIME 7 IEND */
static inline struct made_png made_png_default(unsigned char first)
{
    struct made_png m = {.tail = ""};
    unsigned char idat[64];
    made_chunk_add(&m, 0, "IHDR", "\0\0\0\x08\0\0\0\x04\x08\0\0\0\0", 13);
    made_chunk_add(&m, 1, "gAMA", "\0\0\xb1\x8f", 4);
    made_chunk_add(&m, 2, "pHYs", "\0\0\x0b\x13\0\0\x0b\x13\1", 9);
    made_chunk_add(&m, 3, "tEXt", "Comment\0a cell", 14);
    made_chunk_add(&m, 4, "prVt", "anything", 8);
    made_chunk_add(&m, 5, "IDAT", idat, made_idat(idat, first));
    made_chunk_add(&m, 6, "tIME", "\x07\xe8\1\2\3\4\5", 7);
    made_chunk_add(&m, 7, "IEND", "", 0);
    return m;
}

static inline void made_u32(struct made_file *f, uint32_t value)
{
    unsigned char to[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                           (unsigned char)(value >> 8), (unsigned char)value};
    made_put(f, to, 4);
}

static inline void made_png_write(const struct made_png *m, struct made_file *f)
{
    f->length = 0;
    made_put(f, "\x89PNG\r\n\x1a\n", 8);
    for (size_t i = 0; i < m->count; i++) {
        const struct made_chunk *c = &m->chunks[i];
        made_u32(f, c->length);
        size_t start = f->length;
        made_put(f, c->name, 4);
        made_put(f, c->data, c->length);
        made_u32(f, made_crc(f->data + start, f->length - start));
    }
    made_put(f, m->tail, strlen(m->tail));
}

#endif
