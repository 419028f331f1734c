/* Between the parts (strips, tiles) of a file and the planes of a page: samples of one
 * pixel beside each other or in planes, packed bits, min-is-white. */
#include "tiff_io.h"

#include <string.h>

/* Pixels that are moved at once; so many that they end at a byte, whatever their bits. */
enum { BLOCK = 512 };

/* What a part covers of the page. */
struct region {
    uint32_t x, y, columns, rows;
    uint32_t plane; /* of its first sample */
    uint32_t stored_rows;
};

static struct region region_of(const struct den_tiff_layout *layout, uint32_t part)
{
    uint32_t per_plane = layout->across * layout->down, at = part % per_plane;
    struct region r = {.x = at % layout->across * layout->part_width,
                       .y = at / layout->across * layout->part_rows,
                       .plane = part / per_plane};
    uint32_t right = layout->width - r.x, below = layout->height - r.y;
    r.columns = right < layout->part_width ? right : layout->part_width;
    r.rows = below < layout->part_rows ? below : layout->part_rows;
    r.stored_rows = layout->tiled ? layout->part_rows : r.rows;
    return r;
}

size_t den_tiff_part_bytes(const struct den_tiff_layout *layout, uint32_t part)
{
    return layout->row_bytes * region_of(layout, part).stored_rows;
}

/* Samples beside each other in a part. */
static uint32_t samples_of(const struct den_tiff_layout *layout)
{
    return layout->planar ? 1 : layout->samples;
}

/* Where the row of a plane begins in the page. */
static size_t row_start(const struct den_tiff_layout *layout, const struct region *r,
                        uint32_t sample, uint32_t row)
{
    size_t plane = (size_t)r->plane + sample;
    size_t y = plane * layout->height + r->y + row;
    return (y * layout->width + r->x) * den_dtype_bytes(layout->dtype);
}

/* ---- every step-th sample --------------------------------------------------------- */

#define MOVES(type)                                                            \
    static void pick_##type(const void *from, size_t step, void *to, size_t n) \
    {                                                                          \
        typedef type sample;                                                   \
        const sample *restrict in = from;                                      \
        sample *restrict out = to;                                             \
        for (size_t i = 0; i < n; i++)                                         \
            out[i] = in[i * step];                                             \
    }                                                                          \
    static void put_##type(const void *from, void *to, size_t step, size_t n)  \
    {                                                                          \
        typedef type sample;                                                   \
        const sample *restrict in = from;                                      \
        sample *restrict out = to;                                             \
        for (size_t i = 0; i < n; i++)                                         \
            out[i * step] = in[i];                                             \
    }
MOVES(uint8_t)
MOVES(uint16_t)
MOVES(uint32_t)
MOVES(uint64_t)

static void pick(size_t size, const void *from, size_t step, void *to, size_t n)
{
    if (step == 1)
        memcpy(to, from, n * size);
    else if (size == 1)
        pick_uint8_t(from, step, to, n);
    else if (size == 2)
        pick_uint16_t(from, step, to, n);
    else if (size == 4)
        pick_uint32_t(from, step, to, n);
    else
        pick_uint64_t(from, step, to, n);
}

static void put(size_t size, const void *from, void *to, size_t step, size_t n)
{
    if (step == 1)
        memcpy(to, from, n * size);
    else if (size == 1)
        put_uint8_t(from, to, step, n);
    else if (size == 2)
        put_uint16_t(from, to, step, n);
    else if (size == 4)
        put_uint32_t(from, to, step, n);
    else
        put_uint64_t(from, to, step, n);
}

/* maximum - value, which is value with all its bits flipped, of every step-th sample.
 * Unsigned only; opacity has no white. */
#define INVERT(type)                                                          \
    static void invert_##type(void *samples, size_t step, size_t n, type top) \
    {                                                                         \
        typedef type sample;                                                  \
        sample *at = samples;                                                 \
        for (size_t i = 0; i < n; i++)                                        \
            at[i * step] ^= top;                                              \
    }
INVERT(uint8_t)
INVERT(uint16_t)
INVERT(uint32_t)

static void invert(const struct den_tiff_layout *layout, uint32_t channel, void *samples,
                   size_t step, size_t n)
{
    size_t size = den_dtype_bytes(layout->dtype);
    if (!layout->white_is_0 || (layout->alpha && channel == layout->samples - 1))
        return;
    uint32_t top = (uint32_t)((UINT64_C(1) << layout->bits) - 1);
    if (size == 1)
        invert_uint8_t(samples, step, n, (uint8_t)top);
    else if (size == 2)
        invert_uint16_t(samples, step, n, (uint16_t)top);
    else
        invert_uint32_t(samples, step, n, top);
}

/* ---- bits ------------------------------------------------------------------------- */

static uint32_t sample_at(const void *samples, size_t size, size_t i)
{
    return size == 1   ? ((const uint8_t *)samples)[i]
           : size == 2 ? ((const uint16_t *)samples)[i]
                       : ((const uint32_t *)samples)[i];
}

static void sample_set(void *samples, size_t size, size_t i, uint32_t value)
{
    if (size == 1)
        ((uint8_t *)samples)[i] = (uint8_t)value;
    else if (size == 2)
        ((uint16_t *)samples)[i] = (uint16_t)value;
    else
        ((uint32_t *)samples)[i] = value;
}

/* Samples follow each other without gaps, the highest bit first (TIFF 6.0 section 7);
 * libtiff has undone a FillOrder of 2. */
static void unpack_bits(const unsigned char *from, unsigned bits, void *to, size_t size,
                        size_t n)
{
    uint64_t bag = 0;
    unsigned have = 0;
    uint32_t mask = (uint32_t)((UINT64_C(1) << bits) - 1);
    for (size_t i = 0; i < n; i++) {
        for (; have < bits; have += 8)
            bag = bag << 8 | *from++;
        have -= bits;
        sample_set(to, size, i, (uint32_t)(bag >> have) & mask);
    }
}

/* The rest of the last byte becomes 0. */
static void pack_bits(const void *from, size_t size, unsigned bits, unsigned char *to,
                      size_t n)
{
    uint64_t bag = 0;
    unsigned have = 0;
    uint32_t mask = (uint32_t)((UINT64_C(1) << bits) - 1);
    for (size_t i = 0; i < n; i++) {
        bag = bag << bits | (sample_at(from, size, i) & mask);
        for (have += bits; have >= 8; have -= 8)
            *to++ = (unsigned char)(bag >> (have - 8));
    }
    if (have > 0)
        *to = (unsigned char)(bag << (8 - have));
}

/* Three bytes, which libtiff gives in the machine's order, unlike other packed samples.
 */
static unsigned place_24(unsigned i)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 8 * i : 16 - 8 * i;
}

static void unpack_24(const unsigned char *from, uint32_t *to, size_t n)
{
    for (size_t i = 0; i < n; i++, from += 3)
        to[i] = (uint32_t)from[0] << place_24(0) | (uint32_t)from[1] << place_24(1) |
                (uint32_t)from[2] << place_24(2);
}

static void pack_24(const uint32_t *from, unsigned char *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (unsigned j = 0; j < 3; j++)
            *to++ = (unsigned char)(from[i] >> place_24(j));
}

static bool is_whole(const struct den_tiff_layout *layout)
{
    return layout->bits == 8 * den_dtype_bytes(layout->dtype);
}

/* ---- parts ------------------------------------------------------------------------ */

/* n samples from number `first` of the row on: where they lie, or unpacked into room. */
static const void *samples_from(const struct den_tiff_layout *layout,
                                const unsigned char *row, size_t first, size_t n,
                                uint32_t *room)
{
    const unsigned char *from = row + first * layout->bits / 8;
    if (is_whole(layout))
        return from;
    if (layout->bits == 24)
        unpack_24(from, room, n);
    else
        unpack_bits(from, layout->bits, room, den_dtype_bytes(layout->dtype), n);
    return room;
}

/* room: of BLOCK pixels. */
static void unpack_row(const struct den_tiff_layout *layout, const struct region *r,
                       uint32_t y, const unsigned char *row, uint32_t *room,
                       unsigned char *pixels)
{
    uint32_t samples = samples_of(layout);
    size_t size = den_dtype_bytes(layout->dtype);
    for (uint32_t x = 0; x < r->columns; x += BLOCK) {
        size_t n = r->columns - x < BLOCK ? r->columns - x : BLOCK;
        const unsigned char *from =
            samples_from(layout, row, (size_t)x * samples, n * samples, room);
        for (uint32_t s = 0; s < samples; s++) {
            unsigned char *to = pixels + row_start(layout, r, s, y) + x * size;
            pick(size, from + s * size, samples, to, n);
            invert(layout, r->plane + s, to, 1, n);
        }
    }
}

void den_tiff_unpack_rows(const struct den_tiff_layout *layout, uint32_t part,
                          uint32_t first, uint32_t rows, const void *bytes, void *pixels)
{
    uint32_t room[BLOCK * DEN_CHANNELS_MAX] = {0};
    struct region r = region_of(layout, part);
    const unsigned char *row = bytes;
    bool plain = is_whole(layout) && samples_of(layout) == 1 && !layout->white_is_0;
    size_t columns = r.columns * den_dtype_bytes(layout->dtype);
    for (uint32_t y = first; y < r.rows && y - first < rows; y++) {
        if (plain)
            memcpy((unsigned char *)pixels + row_start(layout, &r, 0, y), row, columns);
        else
            unpack_row(layout, &r, y, row, room, pixels);
        row += layout->row_bytes;
    }
}

void den_tiff_unpack_part(const struct den_tiff_layout *layout, uint32_t part,
                          const void *bytes, void *pixels)
{
    den_tiff_unpack_rows(layout, part, 0, layout->part_rows, bytes, pixels);
}

/* Pixels x to x + n of a row of the part, one sample beside the other; beyond the page
 * its last one. */
static void gather(const struct den_tiff_layout *layout, const struct region *r,
                   uint32_t row, uint32_t x, size_t n, const unsigned char *pixels,
                   unsigned char *to)
{
    size_t size = den_dtype_bytes(layout->dtype);
    size_t inside = x >= r->columns ? 0 : r->columns - x < n ? r->columns - x : n;
    uint32_t samples = samples_of(layout);
    for (uint32_t s = 0; s < samples; s++) {
        const unsigned char *from = pixels + row_start(layout, r, s, row);
        const unsigned char *last = from + (size_t)(r->columns - 1) * size;
        put(size, from + x * size, to + s * size, samples, inside);
        for (size_t i = inside; i < n; i++)
            memcpy(to + (i * samples + s) * size, last, size);
        invert(layout, r->plane + s, to + s * size, samples, n);
    }
}

static void pack_row(const struct den_tiff_layout *layout, const struct region *r,
                     uint32_t row, const unsigned char *pixels, unsigned char *to)
{
    uint32_t room[BLOCK * DEN_CHANNELS_MAX];
    size_t samples = samples_of(layout), size = den_dtype_bytes(layout->dtype);
    for (uint32_t x = 0; x < layout->part_width; x += BLOCK) {
        size_t n = layout->part_width - x < BLOCK ? layout->part_width - x : BLOCK;
        unsigned char *at = to + (size_t)x * samples * layout->bits / 8;
        if (is_whole(layout)) {
            gather(layout, r, row, x, n, pixels, at);
            continue;
        }
        gather(layout, r, row, x, n, pixels, (unsigned char *)room);
        if (layout->bits == 24)
            pack_24(room, at, n * samples);
        else
            pack_bits(room, size, layout->bits, at, n * samples);
    }
}

void den_tiff_pack_rows(const struct den_tiff_layout *layout, uint32_t part,
                        uint32_t first, uint32_t rows, const void *pixels, void *bytes)
{
    struct region r = region_of(layout, part);
    unsigned char *row = bytes;
    for (uint32_t y = first; y < r.stored_rows && y - first < rows; y++) {
        if (y < r.rows || y == first)
            pack_row(layout, &r, y < r.rows ? y : r.rows - 1, pixels, row);
        else
            memcpy(row, row - layout->row_bytes, layout->row_bytes);
        row += layout->row_bytes;
    }
}

void den_tiff_pack_part(const struct den_tiff_layout *layout, uint32_t part,
                        const void *pixels, void *bytes)
{
    den_tiff_pack_rows(layout, part, 0, layout->part_rows, pixels, bytes);
}
