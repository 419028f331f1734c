#ifndef PNG_FILES_H
#define PNG_FILES_H

/* Made PNG files of every kind, their chunks, and libpng's own way to decode them, which
 * is none that the program goes: rows side by side, interlacing undone by libpng. */

#include <png.h>

#include "image_files.h"
#include "rewrite.h"

/* The 15 kinds of pixels there are. */
static const struct png_kind {
    const char *name;
    int color, depth;
    uint32_t channels; /* as they are read */
} png_kinds[] = {
    {"gray 1", PNG_COLOR_TYPE_GRAY, 1, 1},
    {"gray 2", PNG_COLOR_TYPE_GRAY, 2, 1},
    {"gray 4", PNG_COLOR_TYPE_GRAY, 4, 1},
    {"gray 8", PNG_COLOR_TYPE_GRAY, 8, 1},
    {"gray 16", PNG_COLOR_TYPE_GRAY, 16, 1},
    {"gray and alpha 8", PNG_COLOR_TYPE_GRAY_ALPHA, 8, 2},
    {"gray and alpha 16", PNG_COLOR_TYPE_GRAY_ALPHA, 16, 2},
    {"RGB 8", PNG_COLOR_TYPE_RGB, 8, 3},
    {"RGB 16", PNG_COLOR_TYPE_RGB, 16, 3},
    {"RGBA 8", PNG_COLOR_TYPE_RGB_ALPHA, 8, 4},
    {"RGBA 16", PNG_COLOR_TYPE_RGB_ALPHA, 16, 4},
    {"palette 1", PNG_COLOR_TYPE_PALETTE, 1, 3},
    {"palette 2", PNG_COLOR_TYPE_PALETTE, 2, 3},
    {"palette 4", PNG_COLOR_TYPE_PALETTE, 4, 3},
    {"palette 8", PNG_COLOR_TYPE_PALETTE, 8, 3},
};
enum { PNG_KINDS = sizeof png_kinds / sizeof *png_kinds, PNG_WAYS = 2 * PNG_KINDS };

/* A PNG and what it holds.  Samples as stored, side by side: [height][width][samples];
 * entries of the palette where there is one. */
struct made_png {
    const struct png_kind *kind;
    bool interlaced, gray_palette;
    uint32_t width, height, samples;
    uint16_t *values;
    png_color palette[256];
};

static inline bool has_palette(const struct made_png *m)
{
    return m->kind->color == PNG_COLOR_TYPE_PALETTE;
}

static inline uint32_t channels_of(const struct made_png *m)
{
    return has_palette(m) && m->gray_palette ? 1 : m->kind->channels;
}

/* way: a kind, plain or interlaced. */
static inline struct made_png made_png(int way, uint32_t width, uint32_t height)
{
    struct made_png m = {
        .kind = &png_kinds[way % PNG_KINDS], .width = width, .height = height};
    struct den_rng rng;
    m.interlaced = way >= PNG_KINDS;
    m.samples = has_palette(&m) ? 1 : m.kind->channels;
    size_t n = (size_t)width * height * m.samples;
    m.values = den_calloc(n, sizeof *m.values);
    ck_assert_ptr_nonnull(m.values);
    den_rng_seed(&rng, 11, DEN_STREAM_SYNTH, (uint64_t)way);
    for (size_t i = 0; i < n; i++)
        m.values[i] = (uint16_t)den_rng_below(&rng, 1ull << m.kind->depth);
    for (size_t i = 0; i < 256; i++) /* no color twice */
        m.palette[i] = (png_color){(png_byte)(i * 7), (png_byte)(255 - i),
                                   (png_byte)den_rng_below(&rng, 256)};
    return m;
}

/* One row as it is in the file, before filters. */
static inline void pack_row(const struct made_png *m, size_t y, unsigned char *row)
{
    size_t n = (size_t)m->width * m->samples, depth = (size_t)m->kind->depth;
    const uint16_t *from = m->values + y * n;
    memset(row, 0, n * 2);
    for (size_t i = 0; i < n; i++)
        if (depth == 16) {
            row[2 * i] = (unsigned char)(from[i] >> 8);
            row[2 * i + 1] = (unsigned char)from[i];
        } else {
            row[i * depth / 8] |= (unsigned char)(from[i] << (8 - depth - i * depth % 8));
        }
}

/* Chunks of other people around the pixels, and bytes behind the end. */
static inline void add_chunks(png_structp png, png_infop info, const struct made_png *m)
{
    png_text texts[2] = {{.compression = PNG_TEXT_COMPRESSION_NONE,
                          .key = (png_charp)(uintptr_t) "Title",
                          .text = (png_charp)(uintptr_t) "neurons"},
                         {.compression = PNG_TEXT_COMPRESSION_zTXt,
                          .key = (png_charp)(uintptr_t) "Comment",
                          .text = (png_charp)(uintptr_t) "laser at 3 %"}};
    png_time when = {.year = 2024, .month = 2, .day = 29, .hour = 12};
    png_set_gAMA(png, info, 0.45455);
    png_set_pHYs(png, info, 10000000, 10000000, PNG_RESOLUTION_METER); /* 0.1 um */
    png_set_text(png, info, texts, 2);
    png_set_tIME(png, info, &when);
    if (has_palette(m)) {
        const png_byte alpha[2] = {0, 128};
        png_set_tRNS(png, info, alpha, 2, NULL);
    }
}

static inline void write_made(const char *path, const struct made_png *m)
{
    unsigned char *row = den_calloc((size_t)m->width * m->samples, 2);
    FILE *file = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    ck_assert(file != NULL && row != NULL && info != NULL);
    png_init_io(png, file);
    png_set_IHDR(png, info, m->width, m->height, m->kind->depth, m->kind->color,
                 m->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (has_palette(m)) {
        png_color palette[256];
        memcpy(palette, m->palette, sizeof palette);
        for (size_t i = 0; i < 256 && m->gray_palette; i++)
            palette[i].green = palette[i].blue = palette[i].red;
        png_set_PLTE(png, info, palette, 1 << m->kind->depth);
    }
    add_chunks(png, info, m);
    png_write_info(png, info);
    png_write_chunk(png, (png_const_bytep) "vmAb", (png_const_bytep) "before", 6);
    for (int passes = png_set_interlace_handling(png); passes > 0; passes--)
        for (size_t y = 0; y < m->height; y++) {
            pack_row(m, y, row);
            png_write_row(png, row);
        }
    png_write_chunk(png, (png_const_bytep) "vmAa", (png_const_bytep) "after", 5);
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    ck_assert_uint_eq(fwrite("and more", 1, 8, file), 8);
    ck_assert_int_eq(fclose(file), 0);
    den_free(row);
}

/* What a reader must give: pixels[channels][height][width], 8 or 16 bits; den_free. */
static inline void *planes_of(const struct made_png *m)
{
    size_t n = (size_t)m->width * m->height, channels = channels_of(m);
    uint16_t *planes16 = den_calloc(n * channels, 2);
    unsigned char *planes8 = (void *)planes16;
    ck_assert_ptr_nonnull(planes16);
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < n; i++) {
            const png_color *color = &m->palette[m->values[i] & 255];
            const png_byte rgb[3] = {color->red, color->green, color->blue};
            uint16_t value = has_palette(m) ? rgb[c] : m->values[i * m->samples + c];
            if (m->kind->depth == 16)
                planes16[c * n + i] = value;
            else
                planes8[c * n + i] = (unsigned char)value;
        }
    return planes16;
}

/* ---- a file's bytes -----------------------------------------------------------------
 */

struct png_bytes {
    char *data;
    size_t length;
};

static inline struct png_bytes load_bytes(const char *path)
{
    struct den_err err = DEN_ERR_INIT;
    struct png_bytes b = {NULL, 0};
    must(den_fs_read(path, 64 << 20, &b.data, &b.length, &err));
    return b;
}

static inline uint32_t big_endian(const char *at)
{
    const unsigned char *b = (const void *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline void put_big_endian(char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> (24 - 8 * i));
}

/* CRC-32 of ISO 3309, bit by bit. */
static inline uint32_t crc_of(const char *data, size_t length)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < length; i++) {
        crc ^= (unsigned char)data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* Length of the chunk at data + at with all around it; it must be whole and its CRC
 * right. */
static inline size_t chunk_size(const struct png_bytes *b, size_t at)
{
    ck_assert_uint_le(at + 12, b->length);
    size_t length = big_endian(b->data + at);
    ck_assert_uint_le(length, b->length - at - 12);
    ck_assert_uint_eq(big_endian(b->data + at + 8 + length),
                      crc_of(b->data + at + 4, length + 4));
    return length + 12;
}

/* Offset of the first chunk of this name, or the file's length. */
static inline size_t find_chunk(const struct png_bytes *b, const char *name)
{
    size_t at = 8;
    while (at < b->length && memcmp(b->data + at + 4, name, 4) != 0)
        at = memcmp(b->data + at + 4, "IEND", 4) == 0
                 ? b->length
                 : at + big_endian(b->data + at) + 12;
    return at < b->length ? at : b->length;
}

/* Offset behind the run of IDAT chunks that starts here. */
static inline size_t skip_pixels(const struct png_bytes *b, size_t at)
{
    while (memcmp(b->data + at + 4, "IDAT", 4) == 0)
        at += chunk_size(b, at);
    return at;
}

/* The copy is the source, but for what is in IDAT chunks, and for one more text with
 * these words just before IEND. */
static inline void check_copy(const char *source, const char *copy, const char *name,
                              const char *words)
{
    struct png_bytes a = load_bytes(source), b = load_bytes(copy);
    size_t pixels = find_chunk(&a, "IDAT"), end = find_chunk(&a, "IEND");
    ck_assert_uint_lt(end, a.length);
    ck_assert_mem_eq(a.data, b.data, pixels);
    size_t from_a = skip_pixels(&a, pixels), from_b = skip_pixels(&b, pixels);
    ck_assert_uint_gt(from_b, pixels);
    ck_assert_mem_eq(a.data + from_a, b.data + from_b, end - from_a);
    size_t text = from_b + (end - from_a), size = chunk_size(&b, text);
    ck_assert_mem_eq(b.data + text + 4, name, 4);
    ck_assert_mem_eq(b.data + text + 8, "Denoised", 9);
    size_t length = strlen(words);
    ck_assert_mem_eq(b.data + text + size - 4 - length, words, length);
    ck_assert_uint_eq(b.length - text - size, a.length - end);
    ck_assert_mem_eq(b.data + text + size, a.data + end, a.length - end);
    den_free(a.data);
    den_free(b.data);
}

/* ---- reading and copying -------------------------------------------------------------
 */

/* All planes of the file; den_free. */
static inline void *read_planes(const char *path, struct den_image_info *ret_info)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    must(den_reader_open(path, NULL, &reader, &err));
    *ret_info = *den_reader_info(reader);
    void *planes = den_calloc(1, den_image_page_bytes(ret_info));
    must(den_reader_page(reader, 0, planes, &err));
    den_reader_close(reader);
    return planes;
}

static inline bool copy_with(const char *source, const char *copy, const void *pixels,
                             const char *provenance, struct den_err *err)
{
    struct den_rewriter *rewriter = NULL;
    if (!den_rewriter_open(source, copy, NULL, provenance, &rewriter, err))
        return false;
    if (pixels != NULL && !den_rewriter_page(rewriter, 0, pixels, err)) {
        den_rewriter_abandon(rewriter);
        return false;
    }
    return den_rewriter_finish(rewriter, err);
}

/* libpng's way: pixels[height][width][samples], 16 bits big-endian, fewer than 8 bits one
 * per byte, palettes as RGB; den_free. */
static inline unsigned char *libpng_pixels(const char *path, size_t *ret_length)
{
    FILE *file = fopen(path, "rb");
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    ck_assert(file != NULL && info != NULL);
    png_init_io(png, file);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, (png_const_bytep) "tRNS", 1);
    png_read_info(png, info);
    png_set_packing(png);
    if (png_get_color_type(png, info) == PNG_COLOR_TYPE_PALETTE)
        png_set_palette_to_rgb(png);
    int passes = png_set_interlace_handling(png);
    png_read_update_info(png, info);
    size_t height = png_get_image_height(png, info), row = png_get_rowbytes(png, info);
    unsigned char *pixels = den_calloc(height, row);
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++)
            png_read_row(png, pixels + y * row, NULL);
    png_destroy_read_struct(&png, &info, NULL);
    fclose(file);
    *ret_length = height * row;
    return pixels;
}

/* The planes hold what libpng gives, sample by sample. */
static inline void check_against_libpng(const char *path,
                                        const struct den_image_info *info,
                                        const void *planes)
{
    size_t length = 0, n = (size_t)info->width * info->height;
    unsigned char *want = libpng_pixels(path, &length);
    size_t bytes = den_dtype_bytes(info->dtype), samples = length / n / bytes;
    const uint16_t *planes16 = planes;
    const unsigned char *planes8 = planes;
    ck_assert_uint_eq(length, n * bytes * samples);
    ck_assert(samples == info->channels || (samples > 2 && info->channels == 1));
    for (size_t i = 0; i < n * samples; i++) {
        size_t at = (info->channels == 1 ? 0 : i % samples) * n + i / samples;
        unsigned value = bytes == 2 ? want[2 * i] * 256u + want[2 * i + 1] : want[i];
        ck_assert_msg(value == (bytes == 2 ? planes16[at] : planes8[at]),
                      "%s: sample %zu is not %u", path, i, value);
    }
    den_free(want);
}

#endif
