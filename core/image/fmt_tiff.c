/* TIFF by libtiff: gray, uint8, uint16 and float32, strips or tiles, either byte order,
 * classic and BigTIFF, uncompressed, LZW, Deflate and PackBits.
 *
 * libtiff's RGBA functions are never called: three of its known memory errors are there,
 * and they change pixel values.  Strips and tiles are read into buffers whose sizes are
 * computed here and must agree with what libtiff thinks. */
#include "format.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "mem.h"
#include "tiff_io.h"

struct tiff_in {
    TIFF *tif;
    struct den_tiff_talk talk;
    struct den_image_info info;
    uint64_t *offsets; /* [pages], each page's directory */
    void *tile;        /* grown to the largest tile seen */
    size_t tile_room;
};

/* How a page lies in the file. */
struct layout {
    uint32_t width, height;
    enum den_dtype dtype;
    bool tiled;
    uint32_t tile_width; /* 0 for strips */
    uint32_t rows;       /* of a strip or tile */
    size_t tile_bytes;
    double pixel_size_um;
};

/* ---- libtiff's messages ----------------------------------------------------------- */

__attribute__((format(printf, 4, 0))) static int
on_error(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    (void)tif;
    (void)module;
    struct den_tiff_talk *talk = user;
    char text[160];
    if (talk->failed)
        return 1;
    talk->sys = errno;
    talk->failed = true;
    (void)vsnprintf(text, sizeof text, format, args);
    den_format_message(talk->message, sizeof talk->message, text);
    return 1; /* handled: not to stderr */
}

__attribute__((format(printf, 4, 0))) static int
on_warning(TIFF *tif, void *user, const char *module, const char *format, va_list args)
{
    (void)tif;
    (void)user;
    (void)module;
    (void)format;
    (void)args;
    return 1;
}

void den_tiff_talk_clear(struct den_tiff_talk *talk)
{
    *talk = (struct den_tiff_talk){.failed = false};
    errno = 0;
}

TIFF *den_tiff_open_fd(int fd, const char *mode, int64_t single_bytes,
                       struct den_tiff_talk *talk)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (options == NULL)
        return NULL;
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)single_bytes);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, talk);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, talk);
    den_tiff_talk_clear(talk);
    TIFF *tif = TIFFFdOpenExt(fd, "image", mode, options);
    TIFFOpenOptionsFree(options);
    return tif;
}

/* ---- what a page is --------------------------------------------------------------- */

static bool refuse(struct den_err *err, uint32_t page, const char *what, unsigned value,
                   const char *allowed)
{
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32 " of the TIFF has %s %u; %s", page, what, value,
                       allowed);
}

static bool damaged(const struct tiff_in *in, uint32_t page, struct den_err *err)
{
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32 " of the TIFF is damaged%s%s", page,
                       in->talk.failed ? ": " : "", in->talk.message);
}

static unsigned tag16(TIFF *tif, uint32_t tag, unsigned missing)
{
    uint16_t value = 0;
    return TIFFGetFieldDefaulted(tif, tag, &value) == 1 ? value : missing;
}

static uint32_t tag32(TIFF *tif, uint32_t tag)
{
    uint32_t value = 0;
    return TIFFGetFieldDefaulted(tif, tag, &value) == 1 ? value : 0;
}

static const char *photometric_name(unsigned photometric)
{
    static const char *const names[] = {"min-is-white", "min-is-black", "RGB",  "palette",
                                        "mask",         "CMYK",         "YCbCr"};
    return photometric < sizeof names / sizeof *names ? names[photometric] : "unknown";
}

static bool check_gray(TIFF *tif, uint32_t page, struct den_err *err)
{
    unsigned photometric = tag16(tif, TIFFTAG_PHOTOMETRIC, UINT16_MAX);
    unsigned samples = tag16(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
    unsigned orientation = tag16(tif, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    if (photometric != PHOTOMETRIC_MINISBLACK)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "page %" PRIu32 " of the TIFF has %s pixels (photometric "
                           "interpretation %u); only gray ones, min-is-black, are read",
                           page, photometric_name(photometric), photometric);
    if (samples != 1)
        return refuse(err, page, "samples per pixel:", samples, "only 1 is read");
    if (orientation != ORIENTATION_TOPLEFT)
        return refuse(err, page, "orientation", orientation, "only 1 (top left) is read");
    if (tag32(tif, TIFFTAG_IMAGEDEPTH) > 1 || tag32(tif, TIFFTAG_TILEDEPTH) > 1)
        return refuse(err, page, "image depth", tag32(tif, TIFFTAG_IMAGEDEPTH),
                      "only 1 is read");
    return true;
}

static bool check_compression(TIFF *tif, uint32_t page, struct den_err *err)
{
    static const uint16_t known[] = {COMPRESSION_NONE, COMPRESSION_LZW,
                                     COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,
                                     COMPRESSION_PACKBITS};
    unsigned compression = tag16(tif, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (compression == known[i])
            return true;
    return refuse(err, page, "compression", compression,
                  "none (1), LZW (5), Deflate (8, 32946) and PackBits (32773) are read");
}

static bool read_dtype(TIFF *tif, uint32_t page, enum den_dtype *ret, struct den_err *err)
{
    static const char *const names[] = {"",        "unsigned",        "signed", "IEEE",
                                        "untyped", "complex integer", "complex"};
    unsigned bits = tag16(tif, TIFFTAG_BITSPERSAMPLE, 1);
    unsigned format = tag16(tif, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
    bool whole = format == SAMPLEFORMAT_UINT || format == SAMPLEFORMAT_VOID;
    if (whole && bits == 8)
        *ret = DEN_U8;
    else if (whole && bits == 16)
        *ret = DEN_U16;
    else if (format == SAMPLEFORMAT_IEEEFP && bits == 32)
        *ret = DEN_F32;
    else
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "page %" PRIu32
                           " of the TIFF has %u-bit %s pixels; uint8, uint16 "
                           "and float32 are read",
                           page, bits, format < 7 ? names[format] : "unknown");
    return true;
}

static double pixel_size(TIFF *tif)
{
    float x = 0.0f, y = 0.0f;
    uint16_t unit = RESUNIT_NONE;
    if (TIFFGetField(tif, TIFFTAG_RESOLUTIONUNIT, &unit) != 1 ||
        TIFFGetField(tif, TIFFTAG_XRESOLUTION, &x) != 1 ||
        TIFFGetField(tif, TIFFTAG_YRESOLUTION, &y) != 1)
        return 0.0;
    double unit_um = unit == RESUNIT_CENTIMETER ? 1e4
                     : unit == RESUNIT_INCH     ? 25400.0
                                                : 0.0;
    double size = unit_um / (double)x;
    bool usable = x > 0.0f && x == y && size > 0.0 && size < DEN_PIXEL_SIZE_END_UM;
    return usable ? size : 0.0;
}

/* Strips: rows per strip.  Tiles: their size in memory. */
static bool read_parts(const struct tiff_in *in, uint32_t page, uint64_t most,
                       struct layout *layout, struct den_err *err)
{
    size_t pixel = den_dtype_bytes(layout->dtype);
    if (!layout->tiled) {
        uint32_t rows = tag32(in->tif, TIFFTAG_ROWSPERSTRIP);
        layout->rows = rows < layout->height ? rows : layout->height;
        if (layout->rows == 0 ||
            (uint64_t)TIFFScanlineSize(in->tif) != (uint64_t)layout->width * pixel ||
            TIFFNumberOfStrips(in->tif) != (layout->height - 1) / layout->rows + 1)
            return damaged(in, page, err);
        return true;
    }
    uint32_t width = tag32(in->tif, TIFFTAG_TILEWIDTH);
    uint32_t rows = tag32(in->tif, TIFFTAG_TILELENGTH);
    if (width == 0 || rows == 0)
        return damaged(in, page, err);
    uint64_t bytes = (uint64_t)width * rows;
    if (bytes > most / pixel)
        return den_err_limit(
            err, DEN_E_TOO_LARGE, (int64_t)(most / pixel), (int64_t)bytes,
            "page %" PRIu32 " of the TIFF has tiles of %" PRIu32 " x %" PRIu32
            " pixels; at most %" PRIu64 " pixels are allowed",
            page, width, rows, most / pixel);
    bytes *= pixel;
    uint64_t across = (layout->width - 1) / width + 1,
             down = (layout->height - 1) / rows + 1;
    if ((uint64_t)TIFFTileSize(in->tif) != bytes ||
        TIFFNumberOfTiles(in->tif) != across * down)
        return damaged(in, page, err);
    layout->tile_width = width;
    layout->rows = rows;
    layout->tile_bytes = (size_t)bytes;
    return true;
}

/* Goes to the page and reads what it is.  limits NULL: they were checked before. */
static bool read_layout(struct tiff_in *in, uint32_t page,
                        const struct den_image_limits *limits, struct layout *ret,
                        struct den_err *err)
{
    struct layout layout = {.tiled = false};
    den_tiff_talk_clear(&in->talk);
    if (TIFFSetSubDirectory(in->tif, in->offsets[page]) != 1)
        return damaged(in, page, err);
    layout.width = tag32(in->tif, TIFFTAG_IMAGEWIDTH);
    layout.height = tag32(in->tif, TIFFTAG_IMAGELENGTH);
    layout.tiled = TIFFIsTiled(in->tif) != 0;
    layout.pixel_size_um = pixel_size(in->tif);
    struct den_image_info size = {.width = layout.width, .height = layout.height};
    if (limits != NULL && !den_format_admit_page(&size, limits, err))
        return false;
    if (!check_gray(in->tif, page, err) || !check_compression(in->tif, page, err) ||
        !read_dtype(in->tif, page, &layout.dtype, err) ||
        !read_parts(in, page, limits == NULL ? UINT64_MAX : limits->part_bytes, &layout,
                    err))
        return false;
    *ret = layout;
    return true;
}

/* Bytes that decoding the page produces, with the padding of tiles. */
static uint64_t unpacked_bytes(const struct layout *layout)
{
    if (!layout->tiled)
        return (uint64_t)layout->width * layout->height * den_dtype_bytes(layout->dtype);
    uint64_t across = (layout->width - 1) / layout->tile_width + 1;
    uint64_t down = (layout->height - 1) / layout->rows + 1;
    return across * down * layout->tile_bytes;
}

static bool same_kind(const struct den_image_info *info, const struct layout *layout,
                      uint32_t page, struct den_err *err)
{
    if (layout->width == info->width && layout->height == info->height &&
        layout->dtype == info->dtype)
        return true;
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32 " of the TIFF is %" PRIu32 " x %" PRIu32
                       " %s, but page "
                       "0 is %" PRIu32 " x %" PRIu32 " %s; all pages must be alike",
                       page, layout->width, layout->height, den_dtype_name(layout->dtype),
                       info->width, info->height, den_dtype_name(info->dtype));
}

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

static void close_file(void *state)
{
    struct tiff_in *in = state;
    if (in == NULL)
        return;
    if (in->tif != NULL)
        TIFFCleanup(in->tif);
    den_free(in->offsets);
    den_free(in->tile);
    den_free(in);
}

static bool read_info(struct tiff_in *in, uint64_t file_bytes,
                      const struct den_image_limits *limits, struct den_err *err)
{
    uint64_t unpacked = 0;
    for (uint32_t page = 0; page < in->info.pages; page++) {
        struct layout layout;
        if (!read_layout(in, page, limits, &layout, err))
            return false;
        if (page == 0) {
            in->info.width = layout.width;
            in->info.height = layout.height;
            in->info.dtype = layout.dtype;
            in->info.bits = (uint32_t)den_dtype_bytes(layout.dtype) * 8;
            in->info.pixel_size_um = layout.pixel_size_um;
        }
        unpacked += unpacked_bytes(&layout);
        if (!same_kind(&in->info, &layout, page, err) ||
            !den_format_admit_file(&in->info, unpacked, file_bytes, limits, err))
            return false;
    }
    return true;
}

/* libtiff needs no single block beyond the tags and one compressed part, and both come
 * out of the file; eight times, because it keeps 16-bit counts as 64-bit numbers. */
static int64_t single_limit(uint64_t file_bytes)
{
    return (int64_t)(file_bytes < (uint64_t)1 << 40 ? file_bytes * 8
                                                    : (uint64_t)1 << 43) +
           ((int64_t)1 << 20);
}

static bool open_file(int fd, uint64_t bytes, const struct den_image_limits *limits,
                      struct den_image_info *ret_info, void **ret_state,
                      struct den_err *err)
{
    struct tiff_in *in = den_new(1, sizeof *in, err);
    if (in == NULL)
        return false;
    in->info = (struct den_image_info){.format = "tiff", .channels = 1};
    if (!den_tiff_scan(fd, bytes, limits, &in->offsets, &in->info.pages, err))
        goto fail;
    /* m: no memory map, because a file that shrinks under one is a SIGBUS.  h: the first
     * page is not read yet. */
    in->tif = den_tiff_open_fd(fd, "rmh", single_limit(bytes), &in->talk);
    if (in->tif == NULL) {
        den_err_set(err, DEN_E_UNPROCESSABLE, "the TIFF cannot be opened: %s",
                    in->talk.failed ? in->talk.message : "no memory is left");
        goto fail;
    }
    if (!read_info(in, bytes, limits, err))
        goto fail;
    *ret_info = in->info;
    *ret_state = in;
    return true;
fail:
    close_file(in);
    return false;
}

/* ---- pixels ----------------------------------------------------------------------- */

/* An uncompressed strip that is shorter than its rows would be continued with whatever
 * follows it in the file. */
static bool long_enough(TIFF *tif, uint32_t part, uint64_t bytes)
{
    if (tag16(tif, TIFFTAG_COMPRESSION, COMPRESSION_NONE) != COMPRESSION_NONE)
        return true;
    int wrong = 0;
    uint64_t stored = TIFFGetStrileByteCountWithErr(tif, part, &wrong);
    return wrong == 0 && stored >= bytes;
}

static bool read_strips(struct tiff_in *in, uint32_t page, const struct layout *layout,
                        unsigned char *pixels, struct den_err *err)
{
    size_t row = (size_t)layout->width * den_dtype_bytes(layout->dtype);
    uint32_t strip = 0;
    for (uint32_t y = 0; y < layout->height; strip++) {
        uint32_t rows =
            layout->height - y < layout->rows ? layout->height - y : layout->rows;
        tmsize_t bytes = (tmsize_t)(row * rows);
        if (!long_enough(in->tif, strip, row * rows) ||
            TIFFReadEncodedStrip(in->tif, strip, pixels + row * y, bytes) != bytes ||
            in->talk.failed)
            return damaged(in, page, err);
        y += rows;
    }
    return true;
}

static bool tile_room(struct tiff_in *in, size_t bytes, struct den_err *err)
{
    if (bytes <= in->tile_room)
        return true;
    void *tile = den_new(1, bytes, err);
    if (tile == NULL)
        return false;
    den_free(in->tile);
    in->tile = tile;
    in->tile_room = bytes;
    return true;
}

/* The part of the tile at x, y that lies inside the page. */
static void copy_tile(const struct layout *layout, const unsigned char *tile, uint32_t x,
                      uint32_t y, unsigned char *pixels)
{
    size_t pixel = den_dtype_bytes(layout->dtype);
    uint32_t right = layout->width - x, below = layout->height - y;
    size_t columns = right < layout->tile_width ? right : layout->tile_width;
    uint32_t rows = below < layout->rows ? below : layout->rows;
    for (uint32_t i = 0; i < rows; i++)
        memcpy(pixels + ((size_t)(y + i) * layout->width + x) * pixel,
               tile + (size_t)i * layout->tile_width * pixel, columns * pixel);
}

static bool read_tiles(struct tiff_in *in, uint32_t page, const struct layout *layout,
                       unsigned char *pixels, struct den_err *err)
{
    tmsize_t bytes = (tmsize_t)layout->tile_bytes;
    uint32_t across = (layout->width - 1) / layout->tile_width + 1;
    uint32_t down = (layout->height - 1) / layout->rows + 1;
    if (!tile_room(in, layout->tile_bytes, err))
        return false;
    for (uint32_t i = 0; i < down; i++)
        for (uint32_t j = 0; j < across; j++) {
            uint32_t tile = i * across + j;
            if (!long_enough(in->tif, tile, layout->tile_bytes) ||
                TIFFReadEncodedTile(in->tif, tile, in->tile, bytes) != bytes ||
                in->talk.failed)
                return damaged(in, page, err);
            copy_tile(layout, in->tile, j * layout->tile_width, i * layout->rows, pixels);
        }
    return true;
}

static bool read_page(void *state, uint32_t page, void *pixels, struct den_err *err)
{
    struct tiff_in *in = state;
    struct layout layout;
    if (!read_layout(in, page, NULL, &layout, err) ||
        !same_kind(&in->info, &layout, page, err))
        return false;
    den_tiff_talk_clear(&in->talk);
    return layout.tiled ? read_tiles(in, page, &layout, pixels, err)
                        : read_strips(in, page, &layout, pixels, err);
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
};
