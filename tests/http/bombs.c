#include "bombs.h"

#include <stdint.h>
#include <string.h>

#include "str.h"

/* ---- deflate, fixed codes [RFC 1951, 3.2.6] --------------------------------------- */

struct bits {
    struct den_buf *to;
    unsigned held, count;
};

/* `count` bits of a code, its first bit first. */
static void put_bits(struct bits *b, unsigned code, unsigned count)
{
    while (count-- > 0) {
        b->held |= (code >> count & 1) << b->count++;
        if (b->count == 8) {
            unsigned char byte = (unsigned char)b->held;
            den_buf_add(b->to, &byte, 1);
            b->held = b->count = 0;
        }
    }
}

/* A zero, copies of 258 of it, 13 bits each, and more zeros: 158 times smaller. */
static void deflate_zeros(struct den_buf *to, size_t bytes)
{
    struct bits b = {.to = to};
    put_bits(&b, 1, 1); /* the last block, */
    put_bits(&b, 2, 2); /* of fixed codes */
    put_bits(&b, 0x30, 8);
    for (size_t i = 0; i < (bytes - 1) / 258; i++) {
        put_bits(&b, 0xc5, 8);
        put_bits(&b, 0, 5);
    }
    for (size_t i = 0; i < (bytes - 1) % 258; i++)
        put_bits(&b, 0x30, 8);
    put_bits(&b, 0, 7);
    if (b.count > 0)
        put_bits(&b, 0, 8 - b.count);
}

static void put_u32_be(struct den_buf *to, uint32_t value)
{
    unsigned char bytes[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                              (unsigned char)(value >> 8), (unsigned char)value};
    den_buf_add(to, bytes, 4);
}

static void zlib_zeros(struct den_buf *to, size_t bytes)
{
    den_buf_add(to, "\x78\x01", 2);
    deflate_zeros(to, bytes);
    put_u32_be(to, (uint32_t)(bytes % 65521) << 16 | 1); /* their Adler-32 */
}

void bomb_gzip(struct den_buf *to, size_t bytes)
{
    den_buf_add(to, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    deflate_zeros(to, bytes);
    put_u32_be(to, 0); /* a checksum, which nobody will come to */
    put_u32_be(to, 0);
}

/* ---- TIFF ------------------------------------------------------------------------- */

static void put_le(struct den_buf *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)(value >> 8 * i);
        den_buf_add(to, &byte, 1);
    }
}

static void put_entry(struct den_buf *to, unsigned tag, unsigned type, uint32_t count,
                      uint32_t value)
{
    put_le(to, tag, 2);
    put_le(to, type, 2);
    put_le(to, count, 4);
    put_le(to, value, 4);
}

enum { SHORT = 3, LONG = 4, HEAD = 8, BASIC = 9, BASIC_BYTES = 2 + 12 * BASIC + 4 };

struct page {
    uint32_t width, height, compression, rows, samples, offset, bytes, parts, next;
    uint32_t tile;                    /* side; 0 = strips */
    uint32_t tag, type, count, value; /* one more entry; none with tag 0 */
};

/* A directory of gray pixels. */
static void put_page(struct den_buf *to, const struct page *p)
{
    uint32_t parts = p->parts != 0 ? p->parts : 1;
    bool tiled = p->tile != 0;
    unsigned entries = BASIC + (p->tag != 0 ? 1U : 0U) + (tiled ? 1U : 0U);
    put_le(to, entries, 2);
    put_entry(to, 256, LONG, 1, p->width);
    put_entry(to, 257, LONG, 1, p->height);
    put_entry(to, 258, SHORT, 1, 8);
    put_entry(to, 259, SHORT, 1, p->compression != 0 ? p->compression : 1);
    put_entry(to, 262, SHORT, 1, 1);
    if (p->tag == 270)
        put_entry(to, p->tag, p->type, p->count, p->value);
    if (!tiled)
        put_entry(to, 273, LONG, parts, p->offset);
    put_entry(to, 277, SHORT, 1, p->samples != 0 ? p->samples : 1);
    if (!tiled) {
        put_entry(to, 278, LONG, 1, p->rows != 0 ? p->rows : p->height);
        put_entry(to, 279, LONG, parts, p->bytes);
    } else {
        put_entry(to, 322, LONG, 1, p->tile);
        put_entry(to, 323, LONG, 1, p->tile);
        put_entry(to, 324, LONG, parts, p->offset);
        put_entry(to, 325, LONG, parts, p->bytes);
    }
    if (p->tag > 325)
        put_entry(to, p->tag, p->type, p->count, p->value);
    put_le(to, p->next, 4);
}

static void put_head(struct den_buf *to)
{
    den_buf_add(to, "II*\0\x08\0\0\0", HEAD);
}

/* One page, and data behind it: at HEAD + BASIC_BYTES, or 12 further with a tag. */
static void put_tiff(struct den_buf *to, struct page p)
{
    if (p.offset == 0)
        p.offset =
            HEAD + BASIC_BYTES + (p.tag != 0 ? 12U : 0U) + (p.tile != 0 ? 12U : 0U);
    put_head(to);
    put_page(to, &p);
}

static void tiff_sides(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = UINT32_MAX, .height = UINT32_MAX, .bytes = 4});
    put_le(to, 0, 4);
}

static void tiff_pixels(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = 60000, .height = 60000, .bytes = 4});
    put_le(to, 0, 4);
}

static void tiff_beyond_the_file(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = 16384, .height = 16384, .bytes = 1 << 28});
    put_le(to, 0, 8);
}

static void tiff_deflate(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = 16384,
                               .height = 16384,
                               .compression = 8,
                               .rows = 1024,
                               .parts = 1,
                               .bytes = 1 << 18});
    zlib_zeros(to, 1 << 25);
}

/* One strip of 4 KiB whose stream goes on for 128 MiB. */
static void tiff_deflate_too_long(struct den_buf *to)
{
    put_tiff(to,
             (struct page){.width = 64, .height = 64, .compression = 8, .bytes = 845000});
    zlib_zeros(to, 1 << 27);
}

void bomb_large_page(struct den_buf *to, uint32_t side)
{
    struct den_buf pixels;
    den_buf_init(&pixels, 1 << 22);
    zlib_zeros(&pixels, (size_t)side * side);
    put_tiff(to, (struct page){.width = side,
                               .height = side,
                               .compression = 8,
                               .bytes = (uint32_t)pixels.length});
    den_buf_add(to, pixels.data, pixels.length);
    den_buf_release(&pixels);
}

static void tiff_tile(struct den_buf *to)
{
    put_tiff(to, (struct page){
                     .width = 16, .height = 16, .tile = (uint32_t)1 << 31, .bytes = 4});
    put_le(to, 0, 4);
}

static void tiff_tile_of_a_gigabyte(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = 16, .height = 16, .tile = 32768, .bytes = 4});
    put_le(to, 0, 4);
}

/* The shortest directories: 30,000 of one entry. */
static void tiff_chain(struct den_buf *to)
{
    put_head(to);
    for (uint32_t i = 0; i < 30000; i++) {
        put_le(to, 1, 2);
        put_entry(to, 256, LONG, 1, 1);
        put_le(to, i < 29999 ? HEAD + 18 * (i + 1) : 0, 4);
    }
}

static void tiff_shared_pages(struct den_buf *to)
{
    put_head(to);
    for (uint32_t i = 0; i < 9999; i++) {
        uint32_t next = HEAD + BASIC_BYTES * (i + 1);
        put_page(to, &(struct page){.width = 1,
                                    .height = 1,
                                    .offset = 0,
                                    .bytes = 1,
                                    .next = i < 9998 ? next : 0});
    }
}

static void tiff_loop(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = 2, .height = 2, .bytes = 4, .next = HEAD});
    put_le(to, 0, 4);
}

static void tiff_loop_of_two(struct den_buf *to)
{
    uint32_t second = HEAD + BASIC_BYTES;
    put_tiff(to, (struct page){.width = 2, .height = 2, .bytes = 4, .next = second});
    put_page(to, &(struct page){
                     .width = 2, .height = 2, .offset = 8, .bytes = 4, .next = HEAD});
}

static void tiff_text(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = 2,
                               .height = 2,
                               .bytes = 4,
                               .tag = 270,
                               .type = 2,
                               .count = UINT32_MAX,
                               .value = 8});
    put_le(to, 0, 4);
}

static void tiff_parts(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = 2,
                               .height = 65535,
                               .rows = 1,
                               .offset = 8,
                               .bytes = 8,
                               .parts = (uint32_t)1 << 29});
}

static void tiff_entries(struct den_buf *to)
{
    put_head(to);
    put_le(to, 65535, 2);
    for (uint32_t i = 0; i < 65535; i++)
        put_entry(to, i, LONG, 1, i);
    put_le(to, 0, 4);
}

static void tiff_tags_of_one_megabyte(struct den_buf *to)
{
    enum { TAGS = 4000, BYTES = 1 << 20 };
    put_head(to);
    put_le(to, TAGS, 2);
    for (uint32_t i = 0; i < TAGS; i++)
        put_entry(to, 40000 + i, 1, BYTES, 8);
    put_le(to, 0, 4);
    while (to->length < BYTES + 64)
        den_buf_add(to, "0123456789abcdef", 16);
}

/* 65,535 strips of 4000 bytes, all of them the same. */
static void tiff_strips_shared(struct den_buf *to)
{
    enum { STRIPS = 65535 };
    uint32_t at = HEAD + BASIC_BYTES;
    put_tiff(to, (struct page){.width = 4000,
                               .height = STRIPS,
                               .rows = 1,
                               .offset = at,
                               .bytes = at + 4 * STRIPS,
                               .parts = STRIPS});
    for (int i = 0; i < STRIPS; i++)
        put_le(to, 8, 4);
    for (int i = 0; i < STRIPS; i++)
        put_le(to, 4000, 4);
}

static void tiff_samples(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = 2, .height = 2, .bytes = 4, .samples = 65535});
    put_le(to, 0, 4);
}

static void big_tiff(struct den_buf *to, uint64_t first, uint64_t count)
{
    den_buf_add(to, "II+\0\x08\0\0\0", 8);
    put_le(to, first, 8);
    put_le(to, count, 8);
    for (int i = 0; i < 64; i++)
        put_le(to, 0, 8);
}

static void big_tiff_entries(struct den_buf *to)
{
    big_tiff(to, 16, (uint64_t)1 << 60);
}

static void big_tiff_offset(struct den_buf *to)
{
    big_tiff(to, UINT64_MAX - 4, 1);
}

static void tiff_sub_directories(struct den_buf *to)
{
    put_tiff(to, (struct page){.width = 2,
                               .height = 2,
                               .bytes = 4,
                               .tag = 330,
                               .type = LONG,
                               .count = 1,
                               .value = HEAD});
    put_le(to, 0, 4);
}

static void put_described(struct den_buf *to, const char *text, size_t length)
{
    uint32_t at = HEAD + BASIC_BYTES + 12;
    put_tiff(to, (struct page){.width = 2,
                               .height = 2,
                               .bytes = 4,
                               .tag = 270,
                               .type = 2,
                               .count = (uint32_t)length + 1,
                               .value = at + 4});
    put_le(to, 0, 4);
    den_buf_add(to, text, length + 1);
}

static void imagej_planes(struct den_buf *to)
{
    static const char text[] = "ImageJ=1.53t\nimages=4294967295\nframes=4294967295\n";
    put_described(to, text, strlen(text));
}

static void ome_laughs(struct den_buf *to)
{
    struct den_buf text;
    den_buf_init(&text, 1 << 16);
    den_buf_puts(&text, "<?xml version=\"1.0\"?><!DOCTYPE OME [<!ENTITY a0 \"ha\">");
    for (int i = 1; i < 40; i++)
        den_buf_printf(&text,
                       "<!ENTITY a%d \"&a%d;&a%d;&a%d;&a%d;&a%d;&a%d;&a%d;&a%d;\">", i,
                       i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    den_buf_puts(&text, "]><OME><Image Name=\"&a39;\">&a39;</Image></OME>");
    put_described(to, text.data, text.length);
    den_buf_release(&text);
}

static void ome_deep(struct den_buf *to)
{
    struct den_buf text;
    den_buf_init(&text, 1 << 22);
    den_buf_puts(&text, "<?xml version=\"1.0\"?><OME>");
    for (int i = 0; i < 200000; i++)
        den_buf_puts(&text, "<a>");
    put_described(to, text.data, text.length);
    den_buf_release(&text);
}

static void ome_file(struct den_buf *to)
{
    static const char text[] =
        "<?xml version=\"1.0\"?><!DOCTYPE OME [<!ENTITY e SYSTEM \"file:///dev/zero\">"
        "<!ENTITY % p SYSTEM \"http://127.0.0.1:9/\"> %p;]><OME>&e;</OME>";
    put_described(to, text, strlen(text));
}

/* ---- PNG -------------------------------------------------------------------------- */

static uint32_t crc_of(const char *data, size_t length)
{
    static uint32_t table[256];
    uint32_t crc = UINT32_MAX;
    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = (c & 1) != 0 ? c >> 1 ^ 0xedb88320U : c >> 1;
        table[i] = c;
    }
    for (size_t i = 0; i < length; i++)
        crc = crc >> 8 ^ table[(crc ^ (unsigned char)data[i]) & 0xff];
    return ~crc;
}

static void put_chunk(struct den_buf *to, const char *name, const void *data,
                      size_t length)
{
    put_u32_be(to, (uint32_t)length);
    size_t from = to->length;
    den_buf_puts(to, name);
    den_buf_add(to, data, length);
    put_u32_be(to, crc_of(to->data + from, to->length - from));
}

static void put_png(struct den_buf *to, uint32_t width, uint32_t height,
                    unsigned char depth, unsigned char interlace)
{
    struct den_buf head;
    unsigned char rest[5] = {depth, 0, 0, 0, interlace};
    den_buf_init(&head, 64);
    put_u32_be(&head, width);
    put_u32_be(&head, height);
    den_buf_add(&head, rest, sizeof rest);
    den_buf_add(to, "\x89PNG\r\n\x1a\n", 8);
    put_chunk(to, "IHDR", head.data, head.length);
    den_buf_release(&head);
}

/* A chunk that holds `lead` and a stream of zeros. */
static void put_zeros(struct den_buf *to, const char *name, const char *lead, size_t n,
                      size_t bytes)
{
    struct den_buf data;
    den_buf_init(&data, 1 << 22);
    den_buf_add(&data, lead, n);
    zlib_zeros(&data, bytes);
    put_chunk(to, name, data.data, data.length);
    den_buf_release(&data);
}

enum { SMALL = 16 * 17 }; /* bytes of 16 rows of 16 pixels */

static void end_png(struct den_buf *to, size_t pixels)
{
    put_zeros(to, "IDAT", "", 0, pixels);
    put_chunk(to, "IEND", "", 0);
}

static void png_sides(struct den_buf *to)
{
    put_png(to, INT32_MAX, INT32_MAX, 8, 0);
    end_png(to, 1000);
}

static void png_pixels(struct den_buf *to)
{
    put_png(to, 60000, 60000, 1, 0);
    end_png(to, 1 << 20);
}

static void png_ratio(struct den_buf *to)
{
    put_png(to, 16384, 16384, 8, 0);
    end_png(to, 1 << 25);
}

static void png_stream_too_long(struct den_buf *to)
{
    put_png(to, 16, 16, 8, 0);
    end_png(to, 1 << 28);
}

static void png_interlaced(struct den_buf *to)
{
    put_png(to, 10000, 10000, 8, 1);
    end_png(to, 100000000 / 2);
}

static void png_text(struct den_buf *to)
{
    put_png(to, 16, 16, 8, 0);
    put_zeros(to, "zTXt", "Comment\0", 9, 1 << 27);
    end_png(to, SMALL);
}

static void png_utf8(struct den_buf *to)
{
    put_png(to, 16, 16, 8, 0);
    put_zeros(to, "iTXt", "Comment\0\1\0\0", 12, 1 << 27);
    end_png(to, SMALL);
}

static void png_profile(struct den_buf *to)
{
    put_png(to, 16, 16, 8, 0);
    put_zeros(to, "iCCP", "profile\0", 9, 1 << 27);
    end_png(to, SMALL);
}

static void png_chunks(struct den_buf *to)
{
    put_png(to, 16, 16, 8, 0);
    for (int i = 0; i < 100000; i++)
        put_chunk(to, "tEXt", "a\0b", 3);
    end_png(to, SMALL);
}

static void png_empty_pixels(struct den_buf *to)
{
    put_png(to, 16, 16, 8, 0);
    for (int i = 0; i < 100000; i++)
        put_chunk(to, "IDAT", "", 0);
    end_png(to, SMALL);
}

static void png_chunk_length(struct den_buf *to)
{
    put_png(to, 16, 16, 8, 0);
    put_u32_be(to, INT32_MAX);
    den_buf_puts(to, "tEXt");
    end_png(to, SMALL);
}

static void png_frames(struct den_buf *to)
{
    put_png(to, 16, 16, 8, 0);
    put_chunk(to, "acTL", "\x7f\xff\xff\xff\0\0\0\0", 8);
    end_png(to, SMALL);
}

const struct bomb bombs[] = {
    {"TIFF of 2^32 - 1 pixels in each direction", true, tiff_sides},
    {"TIFF of 3.6 billion pixels in 4 bytes", true, tiff_pixels},
    {"TIFF with a strip beyond the file", true, tiff_beyond_the_file},
    {"TIFF deflated 1000 times", true, tiff_deflate},
    {"TIFF with a strip that goes on for 128 MiB", false, tiff_deflate_too_long},
    {"TIFF with tiles of 2^31 pixels a side", true, tiff_tile},
    {"TIFF with a tile of a gigabyte", true, tiff_tile_of_a_gigabyte},
    {"TIFF of 30,000 empty directories", true, tiff_chain},
    {"TIFF of 9,999 pages that share a pixel", false, tiff_shared_pages},
    {"TIFF whose page is followed by itself", true, tiff_loop},
    {"TIFF of two pages in a loop", true, tiff_loop_of_two},
    {"TIFF with a text of 4 GiB", false, tiff_text},
    {"TIFF of 2^29 strips", true, tiff_parts},
    {"TIFF with a directory of 65,535 entries", true, tiff_entries},
    {"TIFF with 4,000 tags of the same megabyte", true, tiff_tags_of_one_megabyte},
    {"TIFF of 65,535 strips of the same bytes", true, tiff_strips_shared},
    {"TIFF of 65,535 samples", true, tiff_samples},
    {"BigTIFF with 2^60 entries", true, big_tiff_entries},
    {"BigTIFF with a directory at 2^64", true, big_tiff_offset},
    {"TIFF with a directory inside itself", false, tiff_sub_directories},
    {"ImageJ text of 2^32 planes", false, imagej_planes},
    {"OME-XML with 8^40 laughs", false, ome_laughs},
    {"OME-XML with 200,000 open elements", false, ome_deep},
    {"OME-XML that asks for a file and a connection", false, ome_file},
    {"PNG of 2^31 - 1 pixels in each direction", true, png_sides},
    {"PNG of 3.6 billion bits", true, png_pixels},
    {"PNG deflated 1000 times", true, png_ratio},
    {"PNG with 256 MiB of pixels for 16 x 16", false, png_stream_too_long},
    {"PNG of 100 million interlaced pixels", true, png_interlaced},
    {"PNG with a text of 128 MiB", false, png_text},
    {"PNG with a UTF-8 text of 128 MiB", false, png_utf8},
    {"PNG with a color profile of 128 MiB", false, png_profile},
    {"PNG with 100,000 texts", true, png_chunks},
    {"PNG with 100,000 empty IDAT chunks", false, png_empty_pixels},
    {"PNG with a chunk of 2 GiB", true, png_chunk_length},
    {"PNG of 2^31 frames", true, png_frames},
    {NULL, false, NULL},
};
