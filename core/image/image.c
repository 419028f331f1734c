#include "image.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert.h"
#include "format.h"
#include "jail.h"
#include "mem.h"

const struct den_format *const den_formats[] = {&den_format_png, &den_format_tiff, NULL};

static const struct {
    const char *name;
    size_t bytes;
    bool is_float;
} dtypes[] = {
    [DEN_U8] = {"uint8", 1, false},   [DEN_I8] = {"int8", 1, false},
    [DEN_U16] = {"uint16", 2, false}, [DEN_I16] = {"int16", 2, false},
    [DEN_U32] = {"uint32", 4, false}, [DEN_I32] = {"int32", 4, false},
    [DEN_F16] = {"float16", 2, true}, [DEN_F32] = {"float32", 4, true},
    [DEN_F64] = {"float64", 8, true},
};
_Static_assert(sizeof dtypes / sizeof *dtypes == DEN_DTYPES, "one row per pixel type");

const char *den_dtype_name(enum den_dtype dtype)
{
    return (unsigned)dtype < DEN_DTYPES ? dtypes[dtype].name : "unknown";
}

size_t den_dtype_bytes(enum den_dtype dtype)
{
    return (unsigned)dtype < DEN_DTYPES ? dtypes[dtype].bytes : 0;
}

bool den_dtype_is_float(enum den_dtype dtype)
{
    return (unsigned)dtype < DEN_DTYPES && dtypes[dtype].is_float;
}

size_t den_image_page_bytes(const struct den_image_info *info)
{
    return (size_t)info->width * info->height * info->channels *
           den_dtype_bytes(info->dtype);
}

void den_image_place(const struct den_image_info *info, uint32_t page, uint32_t *ret_t,
                     uint32_t *ret_z, uint32_t *ret_c)
{
    const struct den_axes *a = &info->axes;
    uint32_t t = 0, z = 0, c = 0;
    for (size_t i = 0; a->source[0] != '\0' && i < 3; i++) {
        uint32_t size = a->order[i] == 'T' ? a->t : a->order[i] == 'Z' ? a->z : a->c;
        uint32_t *at = a->order[i] == 'T' ? &t : a->order[i] == 'Z' ? &z : &c;
        *at = page % size;
        page /= size;
    }
    *ret_t = t;
    *ret_z = z;
    *ret_c = c;
}

struct den_image_limits den_image_limits_default(void)
{
    return (struct den_image_limits){
        .side = 65536,
        .page_pixels = (uint64_t)1 << 28,
        .pages = 20000,
        .decoded_bytes = (uint64_t)16 << 30,
        .unpack_ratio = 200,
        .part_bytes = (uint64_t)64 << 20,
        .tags = 4096,
    };
}

struct den_image_limits den_format_limits(const struct den_image_limits *limits)
{
    struct den_image_limits full = den_image_limits_default();
    if (limits == NULL)
        return full;
    if (limits->side != 0)
        full.side = limits->side;
    if (limits->page_pixels != 0)
        full.page_pixels = limits->page_pixels;
    if (limits->pages != 0)
        full.pages = limits->pages;
    if (limits->decoded_bytes != 0)
        full.decoded_bytes = limits->decoded_bytes;
    if (limits->unpack_ratio != 0)
        full.unpack_ratio = limits->unpack_ratio;
    if (limits->part_bytes != 0)
        full.part_bytes = limits->part_bytes;
    if (limits->tags != 0)
        full.tags = limits->tags;
    return full;
}

/* Of all channels. */
static size_t page_pixels(const struct den_image_info *info)
{
    return (size_t)info->width * info->height * info->channels;
}

/* ---- reading ---------------------------------------------------------------------- */

struct den_reader {
    const struct den_format *format;
    int fd;
    void *state; /* the format's */
    struct den_image_info info;
    void *raw; /* one page of info.dtype, made when first needed */
};

enum { HEAD_BYTES = 16 };

const struct den_format *den_format_of_file(int fd, struct den_err *err)
{
    unsigned char head[HEAD_BYTES] = {0};
    ssize_t got;
    do
        got = pread(fd, head, HEAD_BYTES, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        den_err_sys(err, errno, "the image cannot be read");
        return NULL;
    }
    for (size_t i = 0; den_formats[i] != NULL; i++)
        if (den_formats[i]->sniff(head, (size_t)got))
            return den_formats[i];
    den_err_set(err, DEN_E_UNSUPPORTED,
                "the file is no image of a known format; PNG and TIFF are read");
    return NULL;
}

/* Closes the descriptor, too. */
static void reader_free(struct den_reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    den_free(reader->raw);
    den_free(reader);
}

bool den_reader_open(const char *path, const struct den_image_limits *limits,
                     struct den_reader **ret, struct den_err *err)
{
    struct den_image_limits full = den_format_limits(limits);
    uint64_t bytes = 0;
    struct den_reader *reader = den_new(1, sizeof *reader, err);
    if (reader == NULL)
        return false;
    reader->fd = -1;
    if (!den_format_open(path, &reader->fd, &bytes, err) ||
        (reader->format = den_jail_format(reader->fd, err)) == NULL ||
        !reader->format->open(reader->fd, bytes, &full, &reader->info, &reader->state,
                              err)) {
        reader_free(reader);
        return false;
    }
    *ret = reader;
    return true;
}

const struct den_image_info *den_reader_info(const struct den_reader *reader)
{
    return &reader->info;
}

bool den_reader_page(struct den_reader *reader, uint32_t page, void *pixels,
                     struct den_err *err)
{
    if (page >= reader->info.pages)
        return den_err_set(err, DEN_E_INVALID,
                           "page %" PRIu32
                           " does not exist; the image has pages 0 to %" PRIu32,
                           page, reader->info.pages - 1);
    return reader->format->read(reader->state, page, pixels, err);
}

static bool check_finite(const struct den_reader *reader, uint32_t page,
                         const float *pixels, struct den_err *err)
{
    size_t n = page_pixels(&reader->info), at = den_find_nonfinite(pixels, n);
    if (at == n)
        return true;
    at %= (size_t)reader->info.width * reader->info.height;
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32
                       " has a pixel that is no finite number at x %zu, y "
                       "%zu; NaN and infinity are not processed",
                       page, at % reader->info.width, at / reader->info.width);
}

bool den_reader_page_float(struct den_reader *reader, uint32_t page, float *pixels,
                           struct den_err *err)
{
    const struct den_image_info *info = &reader->info;
    size_t n = page_pixels(info);
    if (info->dtype == DEN_F32)
        return den_reader_page(reader, page, pixels, err) &&
               check_finite(reader, page, pixels, err);
    if (reader->raw == NULL)
        reader->raw = den_new(n, den_dtype_bytes(info->dtype), err);
    if (reader->raw == NULL || !den_reader_page(reader, page, reader->raw, err))
        return false;
    den_to_float(info->dtype, reader->raw, pixels, n);
    return !den_dtype_is_float(info->dtype) || check_finite(reader, page, pixels, err);
}

void den_reader_close(struct den_reader *reader)
{
    if (reader == NULL)
        return;
    reader->format->close(reader->state);
    reader_free(reader);
}

/* ---- writing ---------------------------------------------------------------------- */

struct den_writer {
    const struct den_format *format;
    int fd;
    void *state; /* the format's */
    struct den_image_info info;
    uint32_t written; /* pages */
    bool failed;      /* the file is not complete, whatever follows */
    void *raw;        /* one page of info.dtype, made when first needed */
};

static const struct den_format *format_named(const char *name, struct den_err *err)
{
    for (size_t i = 0; den_formats[i] != NULL; i++)
        if (strcmp(den_formats[i]->name, name) == 0)
            return den_formats[i];
    den_err_set(err, DEN_E_INVALID, "images are written as png or tiff");
    return NULL;
}

static bool check_info(const struct den_image_info *info, struct den_err *err)
{
    struct den_image_limits limits = den_image_limits_default();
    if ((unsigned)info->dtype >= DEN_DTYPES)
        return den_err_set(err, DEN_E_INVALID,
                           "the pixel type is none of those that are known");
    if (info->channels != 1)
        return den_err_set(err, DEN_E_INVALID,
                           "an image with %" PRIu32
                           " channels cannot be created; only 1 is "
                           "allowed",
                           info->channels);
    if (info->pages == 0)
        return den_err_set(err, DEN_E_INVALID, "an image needs at least 1 page");
    return den_format_admit_page(info, &limits, err) &&
           den_format_admit_file(info, 0, 0, &limits, err);
}

/* Closes the descriptor, too: 0, or errno of that. */
static int writer_free(struct den_writer *writer)
{
    int sys = writer->fd >= 0 && close(writer->fd) != 0 ? errno : 0;
    den_free(writer->raw);
    den_free(writer);
    return sys;
}

void den_format_remove(const char *path, int fd)
{
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        (void)unlink(path);
}

bool den_writer_open(const char *path, const struct den_image_info *info,
                     struct den_writer **ret, struct den_err *err)
{
    const struct den_format *format = format_named(info->format, err);
    if (format == NULL || !check_info(info, err))
        return false;
    struct den_writer *writer = den_new(1, sizeof *writer, err);
    if (writer == NULL)
        return false;
    writer->format = format;
    writer->fd = -1;
    writer->info = *info;
    if (!den_format_create(path, &writer->fd, err) ||
        !format->create(writer->fd, info, &writer->state, err)) {
        den_format_remove(path, writer->fd);
        (void)writer_free(writer);
        return false;
    }
    *ret = writer;
    return true;
}

bool den_writer_page(struct den_writer *writer, const void *pixels, struct den_err *err)
{
    if (writer->written == writer->info.pages)
        return den_err_set(err, DEN_E_INVALID,
                           "the image was announced with %" PRIu32
                           " pages; no more can follow",
                           writer->info.pages);
    if (writer->failed || !writer->format->write(writer->state, pixels, err)) {
        writer->failed = true;
        return den_err_set(err, DEN_E_IO, "the image could not be written");
    }
    writer->written++;
    return true;
}

bool den_writer_page_float(struct den_writer *writer, const float *pixels,
                           uint64_t *clipped, struct den_err *err)
{
    const struct den_image_info *info = &writer->info;
    size_t n = page_pixels(info);
    if (info->dtype == DEN_F32)
        return den_writer_page(writer, pixels, err);
    if (writer->raw == NULL)
        writer->raw = den_new(n, den_dtype_bytes(info->dtype), err);
    if (writer->raw == NULL)
        return false;
    uint64_t count = den_from_float(info->dtype, pixels, writer->raw, n);
    if (!den_writer_page(writer, writer->raw, err))
        return false;
    if (clipped != NULL)
        *clipped += count;
    return true;
}

bool den_writer_finish(struct den_writer *writer, struct den_err *err)
{
    bool done = false;
    if (!writer->failed && writer->written == writer->info.pages) {
        done = writer->format->finish(writer->state, err);
    } else {
        writer->format->abandon(writer->state);
        den_err_set(err, DEN_E_INVALID,
                    "the image is not complete: %" PRIu32 " of %" PRIu32
                    " pages were written",
                    writer->written, writer->info.pages);
    }
    int sys = writer_free(writer);
    if (done && sys != 0)
        return den_err_sys(err, sys, "the image cannot be written");
    return done;
}

void den_writer_abandon(struct den_writer *writer)
{
    if (writer == NULL)
        return;
    writer->format->abandon(writer->state);
    (void)writer_free(writer);
}

/* ---- whole images ----------------------------------------------------------------- */

bool den_image_verify(const char *path, const struct den_image_limits *limits,
                      struct den_image_info *ret_info, struct den_err *err)
{
    bool done = false;
    struct den_reader *reader = NULL;
    float *page = NULL;
    if (!den_reader_open(path, limits, &reader, err))
        goto out;
    const struct den_image_info *info = &reader->info;
    bool floats = den_dtype_is_float(info->dtype); /* else nothing has to be converted */
    size_t bytes = floats ? page_pixels(info) * sizeof *page : den_image_page_bytes(info);
    page = den_new(1, bytes, err);
    if (page == NULL)
        goto out;
    for (uint32_t i = 0; i < info->pages; i++)
        if (floats ? !den_reader_page_float(reader, i, page, err)
                   : !den_reader_page(reader, i, page, err))
            goto out;
    *ret_info = *info;
    done = true;
out:
    den_free(page);
    den_reader_close(reader);
    return done;
}

bool den_image_load(const char *path, const struct den_image_limits *limits,
                    struct den_image *ret, struct den_err *err)
{
    bool done = false;
    struct den_reader *reader = NULL;
    float *pixels = NULL;
    if (!den_reader_open(path, limits, &reader, err))
        goto out;
    const struct den_image_info *info = &reader->info;
    size_t page = page_pixels(info), n = 0;
    if (!den_mul_size(page, info->pages, &n)) {
        den_err_set(err, DEN_E_NO_MEMORY, "the image is too large for the memory");
        goto out;
    }
    pixels = den_new(n, sizeof *pixels, err);
    if (pixels == NULL)
        goto out;
    for (uint32_t i = 0; i < info->pages; i++)
        if (!den_reader_page_float(reader, i, pixels + page * i, err))
            goto out;
    *ret = (struct den_image){.info = *info, .pixels = pixels};
    pixels = NULL;
    done = true;
out:
    den_free(pixels);
    den_reader_close(reader);
    return done;
}

bool den_image_save(const char *path, const struct den_image *image, struct den_err *err)
{
    struct den_writer *writer = NULL;
    size_t page = page_pixels(&image->info);
    if (!den_writer_open(path, &image->info, &writer, err))
        return false;
    for (uint32_t i = 0; i < image->info.pages; i++)
        if (!den_writer_page_float(writer, image->pixels + page * i, NULL, err)) {
            den_writer_abandon(writer);
            return false;
        }
    return den_writer_finish(writer, err);
}

void den_image_release(struct den_image *image)
{
    if (image == NULL)
        return;
    den_free(image->pixels);
    *image = (struct den_image){.pixels = NULL};
}
