/* TIFF is written uncompressed, in strips, little or big endian as the machine, and as
 * BigTIFF only when 32-bit offsets would not do: every program reads that. */
#include "tiff_io.h"

#include "format.h"
#include "fs.h"
#include "mem.h"

enum { STRIP_BYTES = 256 * 1024 };

struct tiff_out {
    TIFF *tif;
    int fd;
    struct den_tiff_talk talk;
    struct den_image_info info;
};

static bool write_failed(const struct tiff_out *out, struct den_err *err)
{
    if (out->talk.sys != 0)
        return den_err_sys(err, out->talk.sys, "the TIFF cannot be written");
    return den_err_set(err, DEN_E_IO, "the TIFF cannot be written: %s",
                       out->talk.failed ? out->talk.message : "no memory is left");
}

/* TIFFCleanup would try to write what is left, which is right for a complete file and
 * harmless for an abandoned one. */
static void out_free(struct tiff_out *out)
{
    if (out->tif != NULL)
        TIFFCleanup(out->tif);
    den_free(out);
}

static bool needs_big(const struct den_image_info *info)
{
    uint64_t page = (uint64_t)info->width * info->height * den_dtype_bytes(info->dtype);
    uint64_t strips = page / STRIP_BYTES + info->height;
    uint64_t total = (page + strips * 16 + 1024) * info->pages;
    return total > UINT32_MAX;
}

bool den_tiff_create(int fd, const struct den_image_info *info, void **ret_state,
                     struct den_err *err)
{
    struct tiff_out *out = den_new(1, sizeof *out, err);
    if (out == NULL)
        return false;
    out->fd = fd;
    out->info = *info;
    out->tif = den_tiff_open_fd(out->fd, needs_big(info) ? "w8" : "w", 0, &out->talk);
    if (out->tif == NULL) {
        write_failed(out, err);
        out_free(out);
        return false;
    }
    *ret_state = out;
    return true;
}

static uint32_t rows_per_strip(const struct den_image_info *info, size_t row_bytes)
{
    size_t rows = row_bytes < STRIP_BYTES ? STRIP_BYTES / row_bytes : 1;
    return rows < info->height ? (uint32_t)rows : info->height;
}

static bool set_tags(struct tiff_out *out, uint32_t rows)
{
    const struct den_image_info *info = &out->info;
    int bits = (int)den_dtype_bytes(info->dtype) * 8;
    static const int formats[] = {
        [DEN_U8] = SAMPLEFORMAT_UINT,    [DEN_I8] = SAMPLEFORMAT_INT,
        [DEN_U16] = SAMPLEFORMAT_UINT,   [DEN_I16] = SAMPLEFORMAT_INT,
        [DEN_U32] = SAMPLEFORMAT_UINT,   [DEN_I32] = SAMPLEFORMAT_INT,
        [DEN_F16] = SAMPLEFORMAT_IEEEFP, [DEN_F32] = SAMPLEFORMAT_IEEEFP,
        [DEN_F64] = SAMPLEFORMAT_IEEEFP,
    };
    int format = formats[info->dtype];
    TIFF *tif = out->tif;
    bool done = TIFFSetField(tif, TIFFTAG_IMAGEWIDTH, info->width) &&
                TIFFSetField(tif, TIFFTAG_IMAGELENGTH, info->height) &&
                TIFFSetField(tif, TIFFTAG_BITSPERSAMPLE, bits) &&
                TIFFSetField(tif, TIFFTAG_SAMPLEFORMAT, format) &&
                TIFFSetField(tif, TIFFTAG_SAMPLESPERPIXEL, 1) &&
                TIFFSetField(tif, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK) &&
                TIFFSetField(tif, TIFFTAG_COMPRESSION, COMPRESSION_NONE) &&
                TIFFSetField(tif, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) &&
                TIFFSetField(tif, TIFFTAG_ROWSPERSTRIP, rows);
    if (!done || info->pixel_size_um <= 0.0)
        return done;
    double per_cm = 1e4 / info->pixel_size_um;
    return TIFFSetField(tif, TIFFTAG_RESOLUTIONUNIT, RESUNIT_CENTIMETER) &&
           TIFFSetField(tif, TIFFTAG_XRESOLUTION, per_cm) &&
           TIFFSetField(tif, TIFFTAG_YRESOLUTION, per_cm);
}

/* libtiff wants a pointer without const and, writing, may swap bytes in place; it does
 * neither here: the file has the machine's byte order and no compression. */
static bool write_strip(TIFF *tif, uint32_t strip, const unsigned char *rows,
                        size_t bytes)
{
    union {
        const unsigned char *from;
        void *to;
    } data = {.from = rows};
    return TIFFWriteEncodedStrip(tif, strip, data.to, (tmsize_t)bytes) == (tmsize_t)bytes;
}

bool den_tiff_write(void *state, const void *pixels, struct den_err *err)
{
    struct tiff_out *out = state;
    const unsigned char *from = pixels;
    size_t row = (size_t)out->info.width * den_dtype_bytes(out->info.dtype);
    uint32_t rows = rows_per_strip(&out->info, row), strip = 0;
    den_tiff_talk_clear(&out->talk);
    if (!set_tags(out, rows))
        return write_failed(out, err);
    for (uint32_t y = 0; y < out->info.height; strip++) {
        uint32_t left = out->info.height - y, count = left < rows ? left : rows;
        if (!write_strip(out->tif, strip, from + row * y, row * count))
            return write_failed(out, err);
        y += count;
    }
    if (TIFFWriteDirectory(out->tif) != 1 || out->talk.failed)
        return write_failed(out, err);
    return true;
}

bool den_tiff_finish(void *state, struct den_err *err)
{
    struct tiff_out *out = state;
    den_tiff_talk_clear(&out->talk);
    TIFFCleanup(out->tif);
    out->tif = NULL;
    bool done = !out->talk.failed || write_failed(out, err);
    if (done)
        den_fs_write_behind(out->fd, 0, 0);
    out_free(out);
    return done;
}

void den_tiff_abandon(void *state)
{
    if (state != NULL)
        out_free(state);
}
