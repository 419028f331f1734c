/* What a page of a TIFF is: its tags, checked one by one.  A refusal names the page, the
 * tag and its value. */
#include "tiff_io.h"

#include <inttypes.h>

#include "format.h"

/* ---- tags ------------------------------------------------------------------------- */

static bool refuse(struct den_err *err, uint32_t page, const char *what, unsigned value,
                   const char *allowed)
{
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32 " of the TIFF has %s %u; %s", page, what, value,
                       allowed);
}

static bool damaged(const struct den_tiff_in *in, uint32_t page, struct den_err *err)
{
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32 " of the TIFF is damaged%s%s", page,
                       in->talk.failed ? ": " : "", in->talk.message);
}

static uint16_t tag16(TIFF *tif, uint32_t tag, uint16_t missing)
{
    uint16_t value = 0;
    return TIFFGetFieldDefaulted(tif, tag, &value) == 1 ? value : missing;
}

static uint32_t tag32(TIFF *tif, uint32_t tag)
{
    uint32_t value = 0;
    return TIFFGetFieldDefaulted(tif, tag, &value) == 1 ? value : 0;
}

struct name {
    unsigned value;
    const char *name;
};

static const char *name_of(const struct name *names, size_t count, unsigned value)
{
    for (size_t i = 0; i < count; i++)
        if (names[i].value == value)
            return names[i].name;
    return "unknown";
}
#define NAME_OF(names, value) name_of(names, sizeof(names) / sizeof *(names), value)

/* ---- kinds of pixels -------------------------------------------------------------- */

static const struct name photometrics[] = {
    {PHOTOMETRIC_MINISWHITE, "min-is-white"},
    {PHOTOMETRIC_MINISBLACK, "min-is-black"},
    {PHOTOMETRIC_RGB, "RGB"},
    {PHOTOMETRIC_PALETTE, "palette"},
    {PHOTOMETRIC_MASK, "mask"},
    {PHOTOMETRIC_SEPARATED, "CMYK"},
    {PHOTOMETRIC_YCBCR, "YCbCr"},
    {PHOTOMETRIC_CIELAB, "CIE Lab"},
    {PHOTOMETRIC_ICCLAB, "ICC Lab"},
    {PHOTOMETRIC_ITULAB, "ITU Lab"},
    {PHOTOMETRIC_CFA, "color filter array"},
    {PHOTOMETRIC_LOGL, "LogL"},
    {PHOTOMETRIC_LOGLUV, "LogLuv"},
};

/* Colors of a kind; 0 for one that is not read.  A palette is a look-up table for the
 * display, and what a microscope stores are its indices. */
static uint32_t colors_of(unsigned photometric)
{
    switch (photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_PALETTE:
        return 1;
    case PHOTOMETRIC_RGB:
        return 3;
    default:
        return 0;
    }
}

static bool read_photometric(TIFF *tif, uint32_t page, struct den_tiff_layout *layout,
                             struct den_err *err)
{
    uint16_t value = 0;
    if (TIFFGetField(tif, TIFFTAG_PHOTOMETRIC, &value) != 1)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "page %" PRIu32
                           " of the TIFF does not say how light its values are (it has "
                           "no photometric interpretation)",
                           page);
    if (colors_of(value) == 0)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "page %" PRIu32 " of the TIFF has %s pixels (photometric "
                           "interpretation %u); min-is-white (0), min-is-black (1), RGB "
                           "(2) and palette (3) are read",
                           page, NAME_OF(photometrics, value), value);
    layout->photometric = value;
    layout->white_is_0 = value == PHOTOMETRIC_MINISWHITE;
    return true;
}

/* One extra sample may be opacity, and must then be the last. */
static bool read_alpha(TIFF *tif, uint32_t page, struct den_tiff_layout *layout,
                       struct den_err *err)
{
    uint16_t count = 0, *kinds = NULL;
    if (TIFFGetField(tif, TIFFTAG_EXTRASAMPLES, &count, &kinds) != 1 || count == 0)
        return true;
    for (uint16_t i = 0; i + 1 < count; i++)
        if (kinds[i] != EXTRASAMPLE_UNSPECIFIED)
            return refuse(err, page, "several extra samples (ExtraSamples), the first",
                          kinds[i], "opacity is read only as the last of them");
    layout->alpha = kinds[count - 1] != EXTRASAMPLE_UNSPECIFIED;
    return true;
}

static bool read_samples(TIFF *tif, uint32_t page, struct den_tiff_layout *layout,
                         struct den_err *err)
{
    uint16_t planar = tag16(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    unsigned samples = tag16(tif, TIFFTAG_SAMPLESPERPIXEL, 1);
    if (samples < 1 || samples > DEN_CHANNELS_MAX)
        return refuse(err, page, "samples per pixel:", samples, "1 to 4 are read");
    if (samples < colors_of(layout->photometric))
        return refuse(err, page, "RGB pixels with samples per pixel:", samples,
                      "3 or 4 are read");
    if (layout->photometric == PHOTOMETRIC_PALETTE && samples != 1)
        return refuse(err, page, "palette pixels with samples per pixel:", samples,
                      "1 is read");
    if (tag32(tif, TIFFTAG_IMAGEDEPTH) > 1 || tag32(tif, TIFFTAG_TILEDEPTH) > 1)
        return refuse(err, page, "image depth", tag32(tif, TIFFTAG_IMAGEDEPTH),
                      "only 1 is read");
    layout->samples = samples;
    layout->planar_config = planar;
    layout->planar = samples > 1 && planar == PLANARCONFIG_SEPARATE;
    return read_alpha(tif, page, layout, err);
}

static bool dtype_of(unsigned bits, unsigned format, enum den_dtype *ret)
{
    static const struct {
        unsigned format, bits;
        enum den_dtype dtype;
    } wide[] = {
        {SAMPLEFORMAT_UINT, 24, DEN_U32},   {SAMPLEFORMAT_UINT, 32, DEN_U32},
        {SAMPLEFORMAT_INT, 8, DEN_I8},      {SAMPLEFORMAT_INT, 16, DEN_I16},
        {SAMPLEFORMAT_INT, 32, DEN_I32},    {SAMPLEFORMAT_IEEEFP, 16, DEN_F16},
        {SAMPLEFORMAT_IEEEFP, 32, DEN_F32}, {SAMPLEFORMAT_IEEEFP, 64, DEN_F64},
    };
    if (format == SAMPLEFORMAT_VOID)
        format = SAMPLEFORMAT_UINT;
    if (format == SAMPLEFORMAT_UINT && bits >= 1 && bits <= 16) {
        *ret = bits <= 8 ? DEN_U8 : DEN_U16;
        return true;
    }
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (wide[i].format == format && wide[i].bits == bits) {
            *ret = wide[i].dtype;
            return true;
        }
    return false;
}

static bool read_dtype(TIFF *tif, uint32_t page, struct den_tiff_layout *layout,
                       struct den_err *err)
{
    static const struct name formats[] = {
        {SAMPLEFORMAT_UINT, "unsigned"},
        {SAMPLEFORMAT_INT, "signed"},
        {SAMPLEFORMAT_IEEEFP, "IEEE"},
        {SAMPLEFORMAT_VOID, "untyped"},
        {SAMPLEFORMAT_COMPLEXINT, "complex integer"},
        {SAMPLEFORMAT_COMPLEXIEEEFP, "complex"},
    };
    unsigned bits = tag16(tif, TIFFTAG_BITSPERSAMPLE, 1);
    uint16_t format = tag16(tif, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
    if (!dtype_of(bits, format, &layout->dtype))
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "page %" PRIu32 " of the TIFF has %u-bit %s pixels (sample "
                           "format %u); unsigned ones of 1 to 16, 24 and 32 bits, signed "
                           "ones of 8, 16 and 32 and IEEE ones of 16, 32 and 64 are read",
                           page, bits, NAME_OF(formats, format), format);
    bool is_unsigned =
        layout->dtype == DEN_U8 || layout->dtype == DEN_U16 || layout->dtype == DEN_U32;
    if (layout->white_is_0 && !is_unsigned)
        return refuse(err, page, "min-is-white pixels (photometric 0) of sample format",
                      format, "only unsigned ones (1) have a white to count from");
    if (layout->photometric == PHOTOMETRIC_PALETTE && !is_unsigned)
        return refuse(err, page, "palette pixels (photometric 3) of sample format",
                      format, "only unsigned ones (1) are indices");
    layout->bits = bits;
    layout->sample_format = format;
    return true;
}

static bool read_compression(TIFF *tif, uint32_t page, struct den_tiff_layout *layout,
                             struct den_err *err)
{
    static const uint16_t known[] = {COMPRESSION_NONE,          COMPRESSION_LZW,
                                     COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE,
                                     COMPRESSION_PACKBITS,      COMPRESSION_LZMA,
                                     COMPRESSION_ZSTD};
    static const struct name others[] = {
        {COMPRESSION_CCITTRLE, "CCITT RLE"},
        {COMPRESSION_CCITTFAX3, "CCITT fax 3"},
        {COMPRESSION_CCITTFAX4, "CCITT fax 4"},
        {COMPRESSION_OJPEG, "old JPEG"},
        {COMPRESSION_JPEG, "JPEG"},
        {COMPRESSION_SGILOG, "SGI Log"},
        {COMPRESSION_SGILOG24, "SGI Log"},
        {COMPRESSION_JP2000, "JPEG 2000"},
        {COMPRESSION_WEBP, "WebP"},
        {COMPRESSION_JXL, "JPEG XL"},
    };
    uint16_t value = tag16(tif, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    layout->compression = value;
    layout->predictor = tag16(tif, TIFFTAG_PREDICTOR, PREDICTOR_NONE);
    layout->fill_order = tag16(tif, TIFFTAG_FILLORDER, FILLORDER_MSB2LSB);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (value == known[i])
            return true;
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32 " of the TIFF has compression %u (%s); none (1), "
                       "LZW (5), Deflate (8, 32946), PackBits (32773), LZMA (34925) and "
                       "ZSTD (50000) are read",
                       page, value, NAME_OF(others, value));
}

/* libtiff looks at it when it decodes; a page whose parts are all missing it never does,
 * and a copy of that has parts. */
static bool check_predictor(const struct den_tiff_layout *layout, uint32_t page,
                            struct den_err *err)
{
    unsigned bits = layout->bits, predictor = layout->predictor;
    bool whole_bytes = bits == 8 || bits == 16 || bits == 32 || bits == 64;
    bool floats = layout->sample_format == SAMPLEFORMAT_IEEEFP;
    if (predictor == PREDICTOR_NONE ||
        (predictor == PREDICTOR_HORIZONTAL && whole_bytes) ||
        (predictor == PREDICTOR_FLOATINGPOINT && floats))
        return true;
    return refuse(err, page, "predictor", predictor,
                  "none (1), differences (2) of 8, 16, 32 or 64-bit samples and "
                  "floating point (3) of floats are read");
}

static void read_resolution(TIFF *tif, struct den_tiff_layout *layout)
{
    float x = 0.0f, y = 0.0f;
    uint16_t unit = RESUNIT_NONE;
    if (TIFFGetField(tif, TIFFTAG_XRESOLUTION, &x) != 1 ||
        TIFFGetField(tif, TIFFTAG_YRESOLUTION, &y) != 1 || !(x > 0.0f && x == y))
        return;
    layout->resolution = (double)x;
    if (TIFFGetField(tif, TIFFTAG_RESOLUTIONUNIT, &unit) != 1)
        return;
    double unit_um = unit == RESUNIT_CENTIMETER ? 1e4
                     : unit == RESUNIT_INCH     ? 25400.0
                                                : 0.0;
    double size = unit_um / (double)x;
    if (size > 0.0 && size < DEN_PIXEL_SIZE_END_UM)
        layout->pixel_size_um = size;
}

/* ---- parts ------------------------------------------------------------------------ */

static bool admit_tile(const struct den_tiff_layout *layout, uint32_t page, uint64_t most,
                       struct den_err *err)
{
    uint64_t pixels = (uint64_t)layout->part_width * layout->part_rows;
    uint64_t pixel_bits = (uint64_t)layout->bits * (layout->planar ? 1 : layout->samples);
    if (pixels / 8 < UINT64_MAX / 8 / pixel_bits && pixels * pixel_bits / 8 <= most)
        return true;
    uint64_t allowed = most / pixel_bits * 8;
    return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)allowed,
                         (int64_t)(pixels < INT64_MAX ? pixels : INT64_MAX),
                         "page %" PRIu32 " of the TIFF has tiles of %" PRIu32
                         " x %" PRIu32 " pixels; at most %" PRIu64 " pixels are allowed",
                         page, layout->part_width, layout->part_rows, allowed);
}

/* Geometry of strips or tiles, which must be what libtiff thinks of them. */
static bool read_parts(struct den_tiff_in *in, uint32_t page,
                       struct den_tiff_layout *layout, struct den_err *err)
{
    uint32_t rows = tag32(in->tif, TIFFTAG_ROWSPERSTRIP);
    layout->part_width = layout->width;
    layout->part_rows = rows < layout->height ? rows : layout->height;
    if (layout->tiled) {
        layout->part_width = tag32(in->tif, TIFFTAG_TILEWIDTH);
        layout->part_rows = tag32(in->tif, TIFFTAG_TILELENGTH);
    }
    if (layout->part_width == 0 || layout->part_rows == 0)
        return damaged(in, page, err);
    if (layout->tiled && !admit_tile(layout, page, in->limits.part_bytes, err))
        return false;
    uint32_t samples = layout->planar ? 1 : layout->samples;
    uint64_t bits = (uint64_t)layout->part_width * samples * layout->bits;
    uint64_t across = (layout->width - 1) / layout->part_width + 1;
    uint64_t down = (layout->height - 1) / layout->part_rows + 1;
    uint64_t parts = across * down * (layout->planar ? layout->samples : 1);
    layout->row_bytes = (size_t)((bits + 7) / 8);
    tmsize_t row = layout->tiled ? TIFFTileRowSize(in->tif) : TIFFScanlineSize(in->tif);
    uint32_t count =
        layout->tiled ? TIFFNumberOfTiles(in->tif) : TIFFNumberOfStrips(in->tif);
    if ((uint64_t)row != layout->row_bytes || count != parts)
        return damaged(in, page, err);
    layout->across = (uint32_t)across;
    layout->down = (uint32_t)down;
    layout->parts = (uint32_t)parts;
    return true;
}

/* Page k of a stack with one directory: one strip, wherever the first page's are. */
static void place_in_stack(const struct den_tiff_in *in, uint32_t page,
                           struct den_tiff_layout *layout)
{
    uint64_t bytes = (uint64_t)layout->row_bytes * layout->height;
    layout->part_rows = layout->height;
    layout->down = layout->parts = 1;
    layout->data_offset = in->stack_offset + page * bytes;
}

/* Orientation is not looked at: pixels are given in the order of the file, which changes
 * nothing for a filter, and the copy keeps the tag. */
bool den_tiff_layout_read(struct den_tiff_in *in, uint32_t page,
                          struct den_tiff_layout *ret, struct den_err *err)
{
    struct den_tiff_layout layout = {.tiled = false};
    bool stack = in->stack_offset != 0;
    den_tiff_talk_clear(&in->talk);
    if (TIFFSetSubDirectory(in->tif, in->directories[stack ? 0 : page]) != 1)
        return damaged(in, page, err);
    layout.width = tag32(in->tif, TIFFTAG_IMAGEWIDTH);
    layout.height = tag32(in->tif, TIFFTAG_IMAGELENGTH);
    layout.tiled = TIFFIsTiled(in->tif) != 0;
    layout.big_endian = TIFFIsBigEndian(in->tif) != 0;
    struct den_image_info size = {.width = layout.width, .height = layout.height};
    if (!den_format_admit_page(&size, &in->limits, err) ||
        !read_compression(in->tif, page, &layout, err) ||
        !read_photometric(in->tif, page, &layout, err) ||
        !read_samples(in->tif, page, &layout, err) ||
        !read_dtype(in->tif, page, &layout, err) ||
        !check_predictor(&layout, page, err) || !read_parts(in, page, &layout, err))
        return false;
    read_resolution(in->tif, &layout);
    if (stack)
        place_in_stack(in, page, &layout);
    *ret = layout;
    return true;
}
