/* TIFF by libtiff: opening, and the pixels of a page.  What a page may be is in
 * tiff_layout.c.
 *
 * libtiff's RGBA functions are never called: three of its known memory errors are there,
 * and they change pixel values.  Strips and tiles are read into buffers whose sizes are
 * computed here and must agree with what libtiff thinks. */
#include "format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "axes.h"
#include "mem.h"
#include "str.h"
#include "tiff_io.h"
#include "tiff_raw.h"
#include "tiff_rewrite.h"

/* ---- opening ---------------------------------------------------------------------- */

static bool is_tiff(const unsigned char *head, size_t length)
{
    static const unsigned char magic[4][4] = {
        {'I', 'I', 42, 0}, {'M', 'M', 0, 42}, {'I', 'I', 43, 0}, {'M', 'M', 0, 43}};
    for (size_t i = 0; length >= 4 && i < 4; i++)
        if (memcmp(head, magic[i], 4) == 0)
            return true;
    return false;
}

static bool damaged(const struct den_tiff_in *in, uint32_t page, struct den_err *err)
{
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32 " of the TIFF is damaged%s%s", page,
                       in->talk.failed ? ": " : "", in->talk.message);
}

/* Bytes that decoding the page produces, with the padding of tiles. */
static uint64_t unpacked_bytes(const struct den_tiff_layout *layout)
{
    uint64_t planes = layout->planar ? layout->samples : 1;
    if (!layout->tiled)
        return planes * layout->row_bytes * layout->height;
    return (uint64_t)layout->parts * layout->part_rows * layout->row_bytes;
}

static void take_kind(struct den_image_info *info, const struct den_tiff_layout *layout)
{
    info->width = layout->width;
    info->height = layout->height;
    info->channels = layout->samples;
    info->alpha = layout->alpha;
    info->dtype = layout->dtype;
    info->bits = layout->bits;
    info->pixel_size_um = layout->pixel_size_um;
}

/* "512 x 512 uint16 of 12 bits", and what else is unusual. */
static void say_kind(const struct den_image_info *info, char *to, size_t size)
{
    char bits[24] = "", samples[32] = "";
    if (info->bits != 8 * den_dtype_bytes(info->dtype))
        (void)den_str_format(bits, sizeof bits, " of %" PRIu32 " bits", info->bits);
    if (info->channels != 1)
        (void)den_str_format(samples, sizeof samples, ", %" PRIu32 " samples%s",
                             info->channels, info->alpha ? " with opacity" : "");
    (void)den_str_format(to, size, "%" PRIu32 " x %" PRIu32 " %s%s%s", info->width,
                         info->height, den_dtype_name(info->dtype), bits, samples);
}

static bool same_kind(const struct den_image_info *first,
                      const struct den_tiff_layout *layout, uint32_t page,
                      struct den_err *err)
{
    char ours[96], theirs[96];
    struct den_image_info info;
    take_kind(&info, layout);
    if (info.width == first->width && info.height == first->height &&
        info.dtype == first->dtype && info.bits == first->bits &&
        info.channels == first->channels && info.alpha == first->alpha)
        return true;
    say_kind(&info, ours, sizeof ours);
    say_kind(first, theirs, sizeof theirs);
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32
                       " of the TIFF is %s, but page 0 is %s; all pages must be alike",
                       page, ours, theirs);
}

void den_tiff_in_close(struct den_tiff_in *in)
{
    if (in == NULL)
        return;
    if (in->tif != NULL)
        TIFFCleanup(in->tif);
    den_free(in->directories);
    den_free(in->part);
    den_free(in);
}

static bool read_pages(struct den_tiff_in *in, struct den_err *err)
{
    uint64_t unpacked = 0;
    for (uint32_t page = 0; page < in->info.pages; page++) {
        struct den_tiff_layout layout;
        if (!den_tiff_layout_read(in, page, &layout, err))
            return false;
        if (page == 0)
            take_kind(&in->info, &layout);
        unpacked += unpacked_bytes(&layout);
        if (!same_kind(&in->info, &layout, page, err) ||
            !den_format_admit_file(&in->info, unpacked, in->file_bytes, &in->limits, err))
            return false;
    }
    return true;
}

/* ---- what the text of the first page says ----------------------------------------- */

/* Where the first page's pixels lie, if they lie in one piece as they are in memory. */
static bool one_piece(struct den_tiff_in *in, const struct den_tiff_layout *layout,
                      uint64_t *ret_offset)
{
    bool plain = layout->compression == COMPRESSION_NONE && !layout->tiled &&
                 !layout->planar && layout->fill_order == FILLORDER_MSB2LSB &&
                 layout->bits == 8 * den_dtype_bytes(layout->dtype);
    uint64_t next = 0;
    for (uint32_t part = 0; plain && part < layout->parts; part++) {
        uint64_t at = TIFFGetStrileOffset(in->tif, part);
        uint64_t bytes = TIFFGetStrileByteCount(in->tif, part);
        if (part == 0)
            *ret_offset = next = at;
        plain = at != 0 && at == next && bytes >= den_tiff_part_bytes(layout, part);
        next += den_tiff_part_bytes(layout, part);
    }
    return plain;
}

/* Where the values of the text lie: ImageJ has them before the planes.  Unlike the
 * directory, a copy with other pixels has them in the same place. */
static bool text_offset(const struct den_tiff_in *in, uint64_t *ret, struct den_err *err)
{
    struct den_tiff_raw raw;
    struct den_tiff_directory directory = {.raw = NULL};
    struct den_tiff_entry entry = {.value = 0};
    if (!den_tiff_raw_open(in->fd, in->file_bytes, &raw, err) ||
        !den_tiff_directory_read(&raw, in->fd, in->directories[0], &directory, err))
        return false;
    (void)den_tiff_entry_find(&raw, &directory, TIFFTAG_IMAGEDESCRIPTION,
                              TIFFTAG_IMAGEDESCRIPTION, &entry);
    den_tiff_directory_release(&directory);
    *ret = entry.value;
    return true;
}

/* ImageJ writes one directory for a stack that classic offsets cannot reach, and the
 * planes behind each other.  Others copy its text to single pages, which is no reason to
 * take whatever follows them for planes: a second one must be there, and the text before
 * the first.  Where the directory lies says nothing: a copy has it at the end. */
static bool find_stack(struct den_tiff_in *in, const char *text, size_t length,
                       struct den_err *err)
{
    struct den_tiff_layout layout;
    uint64_t at = 0, inside = 0;
    uint32_t images = 1;
    if (in->info.pages != 1 || !den_imagej_images(text, length, &images) || images < 2)
        return true;
    if (!den_tiff_layout_read(in, 0, &layout, err))
        return false;
    if (!one_piece(in, &layout, &at) || at >= in->file_bytes)
        return true;
    uint64_t page = (uint64_t)layout.row_bytes * layout.height;
    uint64_t there = (in->file_bytes - at) / page;
    if (!text_offset(in, &inside, err))
        return false;
    if (there < 2 || inside >= at)
        return true;
    if (there < images)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the TIFF is cut short: its description has %" PRIu32
                           " images, but the file holds %" PRIu64,
                           images, there);
    in->info.pages = images;
    in->stack_offset = at;
    return den_format_admit_file(&in->info, page * images, in->file_bytes, &in->limits,
                                 err);
}

/* Axes and pixel size; a program's own text counts more than the resolution, which every
 * program writes whether it knows it or not. */
static void read_axes(struct den_tiff_in *in, double resolution, const char *text,
                      size_t length)
{
    double size = 0.0, unit_um = 0.0;
    (void)den_axes_parse(text, length, in->info.pages, &in->info.axes, &size);
    if (!(size > 0.0) && resolution > 0.0 && den_imagej_unit(text, length, &unit_um))
        size = unit_um / resolution;
    if (size > 0.0)
        in->info.pixel_size_um = size < DEN_PIXEL_SIZE_END_UM ? size : 0.0;
}

static bool read_text(struct den_tiff_in *in, struct den_err *err)
{
    struct den_tiff_layout layout;
    const char *text = NULL;
    if (!den_tiff_layout_read(in, 0, &layout, err))
        return false;
    if (TIFFGetField(in->tif, TIFFTAG_IMAGEDESCRIPTION, &text) != 1 || text == NULL)
        return true;
    size_t length = strnlen(text, DEN_AXES_TEXT_MAX + 1);
    if (length > DEN_AXES_TEXT_MAX)
        return true;
    char *copy = den_new(length + 1, 1, err); /* libtiff's goes with the next directory */
    if (copy == NULL)
        return false;
    memcpy(copy, text, length);
    bool done = find_stack(in, copy, length, err);
    if (done)
        read_axes(in, layout.resolution, copy, length);
    den_free(copy);
    return done;
}

/* libtiff needs no single block beyond the tags and one compressed part, and both come
 * out of the file; eight times, because it keeps 16-bit counts as 64-bit numbers. */
static int64_t single_limit(uint64_t file_bytes)
{
    return (int64_t)(file_bytes < (uint64_t)1 << 40 ? file_bytes * 8
                                                    : (uint64_t)1 << 43) +
           ((int64_t)1 << 20);
}

bool den_tiff_in_open(int fd, uint64_t bytes, const struct den_image_limits *limits,
                      struct den_tiff_in **ret, struct den_err *err)
{
    struct den_tiff_in *in = den_new(1, sizeof *in, err);
    if (in == NULL)
        return false;
    in->fd = fd;
    in->file_bytes = bytes;
    in->limits = *limits;
    in->info =
        (struct den_image_info){.format = "tiff", .axes = {.t = 1, .z = 1, .c = 1}};
    if (!den_tiff_scan(fd, bytes, limits, &in->directories, &in->info.pages, err))
        goto fail;
    /* m: no memory map, because a file that shrinks under one is a SIGBUS.  h: the first
     * page is not read yet.  c: strips stay as they are in the file. */
    in->tif = den_tiff_open_fd(fd, "rmhc", single_limit(bytes), &in->talk);
    if (in->tif == NULL) {
        den_err_set(err, DEN_E_UNPROCESSABLE, "the TIFF cannot be opened: %s",
                    in->talk.failed ? in->talk.message : "no memory is left");
        goto fail;
    }
    if (!read_pages(in, err) || !read_text(in, err))
        goto fail;
    *ret = in;
    return true;
fail:
    den_tiff_in_close(in);
    return false;
}

/* ---- pixels ----------------------------------------------------------------------- */

enum { ROWS_BYTES = 256 * 1024 }; /* of uncompressed rows at a time */

static bool part_room(struct den_tiff_in *in, size_t bytes, struct den_err *err)
{
    if (bytes <= in->part_room)
        return true;
    void *part = den_new(1, bytes, err);
    if (part == NULL)
        return false;
    den_free(in->part);
    in->part = part;
    in->part_room = bytes;
    return true;
}

/* Parts that are rows of a plane as they are in memory need no unpacking. */
static bool is_plain(const struct den_tiff_layout *layout)
{
    return !layout->tiled && !layout->white_is_0 &&
           (layout->planar || layout->samples == 1) &&
           layout->bits == 8 * den_dtype_bytes(layout->dtype);
}

/* Sparse files have parts that are nowhere, of zeros. */
static bool is_missing(TIFF *tif, uint32_t part)
{
    return TIFFGetStrileOffset(tif, part) == 0 && TIFFGetStrileByteCount(tif, part) == 0;
}

/* An uncompressed part that is shorter than its rows would be continued with whatever
 * follows it in the file. */
static bool long_enough(TIFF *tif, const struct den_tiff_layout *layout, uint32_t part,
                        size_t bytes)
{
    int wrong = 0;
    return layout->compression != COMPRESSION_NONE ||
           (TIFFGetStrileByteCountWithErr(tif, part, &wrong) >= bytes && wrong == 0);
}

static bool read_part(struct den_tiff_in *in, const struct den_tiff_layout *layout,
                      uint32_t part, void *to)
{
    size_t bytes = den_tiff_part_bytes(layout, part);
    tmsize_t got;
    if (is_missing(in->tif, part)) {
        memset(to, 0, bytes);
        return true;
    }
    if (!long_enough(in->tif, layout, part, bytes))
        return false;
    got = layout->tiled ? TIFFReadEncodedTile(in->tif, part, to, (tmsize_t)bytes)
                        : TIFFReadEncodedStrip(in->tif, part, to, (tmsize_t)bytes);
    return got == (tmsize_t)bytes && !in->talk.failed;
}

static bool read_bytes(const struct den_tiff_in *in, uint64_t offset, void *to,
                       size_t bytes, uint32_t page, struct den_err *err)
{
    unsigned char *at = to;
    for (size_t done = 0; done < bytes;) {
        ssize_t got = pread(in->fd, at + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return den_err_sys(err, errno, "page %" PRIu32 " of the TIFF cannot be read",
                               page);
        if (got == 0)
            return damaged(in, page, err);
        done += (size_t)got;
    }
    return true;
}

/* What libtiff does after reading; packed bits are the same in every file. */
static void to_native(const struct den_tiff_layout *layout, void *samples, size_t bytes)
{
    if (layout->big_endian == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__))
        return;
    if (layout->bits == 16)
        TIFFSwabArrayOfShort(samples, (tmsize_t)(bytes / 2));
    else if (layout->bits == 24)
        TIFFSwabArrayOfTriples(samples, (tmsize_t)(bytes / 3));
    else if (layout->bits == 32)
        TIFFSwabArrayOfLong(samples, (tmsize_t)(bytes / 4));
    else if (layout->bits == 64)
        TIFFSwabArrayOfLong8(samples, (tmsize_t)(bytes / 8));
}

/* An uncompressed strip at the offset, a few rows at a time: it may be all of a page, for
 * which there would have to be memory twice. */
static bool read_rows(struct den_tiff_in *in, const struct den_tiff_layout *layout,
                      uint32_t part, uint64_t offset, uint32_t page, void *pixels,
                      struct den_err *err)
{
    size_t row = layout->row_bytes, rows = den_tiff_part_bytes(layout, part) / row;
    size_t step = row < ROWS_BYTES ? ROWS_BYTES / row : 1;
    if (!part_room(in, row * (step < rows ? step : rows), err))
        return false;
    for (size_t y = 0; y < rows; y += step) {
        size_t n = rows - y < step ? rows - y : step;
        if (!read_bytes(in, offset + y * row, in->part, n * row, page, err))
            return false;
        to_native(layout, in->part, n * row);
        den_tiff_unpack_rows(layout, part, (uint32_t)y, (uint32_t)n, in->part, pixels);
    }
    return true;
}

/* Every part through libtiff, straight into the page where it can be. */
static bool read_parts(struct den_tiff_in *in, const struct den_tiff_layout *layout,
                       uint32_t page, unsigned char *pixels, struct den_err *err)
{
    bool plain = is_plain(layout);
    if (!plain && !part_room(in, den_tiff_part_bytes(layout, 0), err))
        return false;
    for (uint32_t part = 0; part < layout->parts; part++) {
        if (!read_part(in, layout, part, plain ? pixels : in->part))
            return damaged(in, page, err);
        if (plain)
            pixels += den_tiff_part_bytes(layout, part);
        else
            den_tiff_unpack_part(layout, part, in->part, pixels);
    }
    return true;
}

static bool read_raw_strips(struct den_tiff_in *in, const struct den_tiff_layout *layout,
                            uint32_t page, void *pixels, struct den_err *err)
{
    for (uint32_t part = 0; part < layout->parts; part++) {
        size_t bytes = den_tiff_part_bytes(layout, part);
        uint64_t offset = TIFFGetStrileOffset(in->tif, part);
        if (!long_enough(in->tif, layout, part, bytes) || in->talk.failed)
            return damaged(in, page, err);
        if (!read_rows(in, layout, part, offset, page, pixels, err))
            return false;
    }
    return true;
}

/* Strips that are no rows of a plane yet, but could be read by anybody. */
static bool is_raw(struct den_tiff_in *in, const struct den_tiff_layout *layout)
{
    bool raw = layout->compression == COMPRESSION_NONE && !layout->tiled &&
               !is_plain(layout) && layout->fill_order == FILLORDER_MSB2LSB;
    for (uint32_t part = 0; raw && part < layout->parts; part++)
        raw = !is_missing(in->tif, part);
    return raw;
}

static bool read_stack_page(struct den_tiff_in *in, const struct den_tiff_layout *layout,
                            uint32_t page, void *pixels, struct den_err *err)
{
    size_t bytes = den_tiff_part_bytes(layout, 0);
    if (!is_plain(layout))
        return read_rows(in, layout, 0, layout->data_offset, page, pixels, err);
    if (!read_bytes(in, layout->data_offset, pixels, bytes, page, err))
        return false;
    to_native(layout, pixels, bytes);
    return true;
}

/* ---- the row ---------------------------------------------------------------------- */

static bool open_file(int fd, uint64_t bytes, const struct den_image_limits *limits,
                      struct den_image_info *ret_info, void **ret_state,
                      struct den_err *err)
{
    struct den_tiff_in *in = NULL;
    if (!den_tiff_in_open(fd, bytes, limits, &in, err))
        return false;
    *ret_info = in->info;
    *ret_state = in;
    return true;
}

static bool read_page(void *state, uint32_t page, void *pixels, struct den_err *err)
{
    struct den_tiff_in *in = state;
    struct den_tiff_layout layout;
    if (!den_tiff_layout_read(in, page, &layout, err) ||
        !same_kind(&in->info, &layout, page, err))
        return false;
    den_tiff_talk_clear(&in->talk);
    if (in->stack_offset != 0)
        return read_stack_page(in, &layout, page, pixels, err);
    return is_raw(in, &layout) ? read_raw_strips(in, &layout, page, pixels, err)
                               : read_parts(in, &layout, page, pixels, err);
}

static void close_file(void *state)
{
    den_tiff_in_close(state);
}

const struct den_format den_format_tiff = {
    .name = "tiff",
    .media_type = "image/tiff",
    .suffix = ".tif",
    .sniff = is_tiff,
    .open = open_file,
    .read = read_page,
    .close = close_file,
    .create = den_tiff_create,
    .write = den_tiff_write,
    .finish = den_tiff_finish,
    .abandon = den_tiff_abandon,
    .rewrite = den_tiff_rewrite,
    .replace = den_tiff_replace,
    .complete = den_tiff_complete,
    .discard = den_tiff_discard,
};
