/* PNG by libpng.
 *
 * libpng reports errors by longjmp.  Every call of it therefore lies in a step function
 * that keeps all it knows in a struct, and `guarded` is the only place with a setjmp: no
 * local variable ever lives across a jump. */
#include "format.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "fs.h"
#include "mem.h"

struct png_file {
    FILE *file;
    uint64_t bytes; /* size of a file that is read */
    png_structp png;
    png_infop info;
    jmp_buf jump;
    int sys; /* errno of a failed read or write, 0 if none */
    char message[160];
    uint32_t width, height;
    int depth, color, interlace;
    double pixel_size_um;
    unsigned char *to;         /* where the rows go when reading */
    const unsigned char *from; /* where they come from when writing */
};

static void on_error(png_structp png, png_const_charp message)
{
    struct png_file *f = png_get_error_ptr(png);
    den_format_message(f->message, sizeof f->message, message);
    longjmp(f->jump, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static png_voidp memory_get(png_structp png, png_alloc_size_t size)
{
    (void)png;
    return den_calloc(1, size);
}

static void memory_put(png_structp png, png_voidp memory)
{
    (void)png;
    den_free(memory);
}

static bool guarded(struct png_file *f, void (*step)(struct png_file *))
{
    if (setjmp(f->jump) != 0)
        return false;
    step(f);
    return true;
}

static void on_read(png_structp png, png_bytep data, size_t length)
{
    struct png_file *f = png_get_io_ptr(png);
    if (fread(data, 1, length, f->file) == length)
        return;
    if (ferror(f->file))
        f->sys = errno;
    png_error(png, "the file ends too early");
}

static void on_write(png_structp png, png_bytep data, size_t length)
{
    struct png_file *f = png_get_io_ptr(png);
    if (fwrite(data, 1, length, f->file) == length)
        return;
    f->sys = errno;
    png_error(png, "a write failed");
}

static void on_flush(png_structp png)
{
    (void)png; /* finish flushes */
}

static size_t row_bytes(const struct png_file *f)
{
    return (size_t)f->width * (f->depth == 16 ? 2 : 1);
}

/* PNG is big-endian. */
static void set_byte_order(struct png_file *f)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (f->depth == 16)
        png_set_swap(f->png);
#endif
}

/* ---- reading ---------------------------------------------------------------------- */

static void read_pixel_size(struct png_file *f)
{
    png_uint_32 x = 0, y = 0;
    int unit = 0;
    f->pixel_size_um = 0.0;
    if (png_get_pHYs(f->png, f->info, &x, &y, &unit) == 0)
        return;
    double size = x > 0 ? 1e6 / x : 0.0;
    if (unit == PNG_RESOLUTION_METER && x == y && size < DEN_PIXEL_SIZE_END_UM)
        f->pixel_size_um = size;
}

static void step_header(struct png_file *f)
{
    f->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, f, on_error, on_warning,
                                      NULL, memory_get, memory_put);
    if (f->png == NULL)
        longjmp(f->jump, 1);
    f->info = png_create_info_struct(f->png);
    if (f->info == NULL)
        longjmp(f->jump, 1);
    png_set_read_fn(f->png, f, on_read);
    /* The sides are compared with our own limits before any row is allocated. */
    png_set_user_limits(f->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_cache_max(f->png, 4);
    png_set_chunk_malloc_max(f->png, 65536);
    /* Texts and colour profiles are compressed and of no use here: skip all but pHYs. */
    png_set_keep_unknown_chunks(f->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(f->png, PNG_HANDLE_CHUNK_AS_DEFAULT,
                                (png_const_bytep) "pHYs", 1);
    png_read_info(f->png, f->info);
    f->width = png_get_image_width(f->png, f->info);
    f->height = png_get_image_height(f->png, f->info);
    f->depth = png_get_bit_depth(f->png, f->info);
    f->color = png_get_color_type(f->png, f->info);
    f->interlace = png_get_interlace_type(f->png, f->info);
    read_pixel_size(f);
}

static void step_rows(struct png_file *f)
{
    set_byte_order(f);
    int passes = png_set_interlace_handling(f->png);
    png_read_update_info(f->png, f->info);
    /* Complaints about the pixel data itself are errors, those about the chunks behind it
     * are not. */
    png_set_benign_errors(f->png, 0);
    for (int pass = 0; pass < passes; pass++)
        for (uint32_t y = 0; y < f->height; y++)
            png_read_row(f->png, f->to + row_bytes(f) * y, NULL);
    png_set_benign_errors(f->png, 1);
    png_read_end(f->png, NULL);
}

static bool read_failed(const struct png_file *f, struct den_err *err)
{
    if (f->sys != 0)
        return den_err_sys(err, f->sys, "the PNG cannot be read");
    if (f->png == NULL || f->info == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "no memory is left to read the PNG");
    return den_err_set(err, DEN_E_UNPROCESSABLE, "the PNG is damaged: %s", f->message);
}

/* Starts at the first byte, up to the first row. */
static bool read_header(struct png_file *f, struct den_err *err)
{
    f->sys = 0;
    if (fseek(f->file, 0, SEEK_SET) != 0)
        return den_err_sys(err, errno, "the PNG cannot be read");
    return guarded(f, step_header) || read_failed(f, err);
}

static const char *color_name(int color)
{
    if (color & PNG_COLOR_MASK_PALETTE)
        return "palette";
    if (color & PNG_COLOR_MASK_COLOR)
        return color & PNG_COLOR_MASK_ALPHA ? "RGB and alpha" : "RGB";
    return "gray and alpha";
}

static bool check_kind(const struct png_file *f, struct den_err *err)
{
    const uint64_t interlaced_pixels = (uint64_t)64 << 20;
    uint64_t pixels = (uint64_t)f->width * f->height;
    if (f->color != PNG_COLOR_TYPE_GRAY)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the PNG has %s pixels; only gray ones are read",
                           color_name(f->color));
    if (f->depth != 8 && f->depth != 16)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the PNG has %d bits per pixel; only 8 and 16 are read",
                           f->depth);
    if (f->interlace != PNG_INTERLACE_NONE && pixels > interlaced_pixels)
        return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)interlaced_pixels,
                             (int64_t)pixels,
                             "the PNG is interlaced and has %" PRIu64
                             " pixels; at most %" PRIu64 " are read",
                             pixels, interlaced_pixels);
    return true;
}

static void describe(const struct png_file *f, struct den_image_info *info)
{
    *info = (struct den_image_info){
        .format = "png",
        .width = f->width,
        .height = f->height,
        .pages = 1,
        .channels = 1,
        .dtype = f->depth == 16 ? DEN_U16 : DEN_U8,
        .bits = (uint32_t)f->depth,
        .pixel_size_um = f->pixel_size_um,
    };
}

static bool is_png(const unsigned char *head, size_t length)
{
    return length >= 8 && png_sig_cmp(head, 0, 8) == 0;
}

static void close_file(void *state)
{
    struct png_file *f = state;
    if (f == NULL)
        return;
    if (f->file != NULL)
        fclose(f->file);
    den_free(f);
}

static struct png_file *file_new(int fd, const char *mode, struct den_err *err)
{
    int own = dup(fd); /* fclose closes its descriptor */
    struct png_file *f = den_new(1, sizeof *f, err);
    if (f != NULL && own >= 0)
        f->file = fdopen(own, mode);
    if (f != NULL && f->file != NULL)
        return f;
    den_err_set(err, DEN_E_NO_MEMORY, "no memory is left to open the PNG");
    den_free(f);
    if (own >= 0)
        close(own);
    return NULL;
}

static bool open_file(int fd, uint64_t bytes, const struct den_image_limits *limits,
                      struct den_image_info *ret_info, void **ret_state,
                      struct den_err *err)
{
    struct den_image_info info;
    struct png_file *f = file_new(fd, "rb", err);
    if (f == NULL)
        return false;
    bool done = read_header(f, err);
    png_destroy_read_struct(&f->png, &f->info, NULL);
    if (done) {
        describe(f, &info);
        uint64_t unpacked = (uint64_t)info.height * row_bytes(f);
        done = den_format_admit_page(&info, limits, err) && check_kind(f, err) &&
               den_format_admit_file(&info, unpacked, bytes, limits, err);
    }
    if (!done) {
        close_file(f);
        return false;
    }
    *ret_info = info;
    *ret_state = f;
    return true;
}

static bool read_page(void *state, uint32_t page, void *pixels, struct den_err *err)
{
    (void)page; /* there is only one */
    struct png_file *f = state;
    uint32_t width = f->width, height = f->height;
    int depth = f->depth, color = f->color;
    f->to = pixels;
    /* libpng cannot rewind, so each page starts over.  The sizes are compared because the
     * file may have been replaced meanwhile. */
    bool done = read_header(f, err);
    if (done && (f->width != width || f->height != height || f->depth != depth ||
                 f->color != color))
        done = den_err_set(err, DEN_E_UNPROCESSABLE, "the PNG changed while it was read");
    if (done && !guarded(f, step_rows))
        done = read_failed(f, err);
    png_destroy_read_struct(&f->png, &f->info, NULL);
    f->width = width;
    f->height = height;
    f->depth = depth;
    f->color = color;
    return done;
}

/* ---- writing ---------------------------------------------------------------------- */

static bool write_failed(const struct png_file *f, struct den_err *err)
{
    if (f->sys != 0)
        return den_err_sys(err, f->sys, "the PNG cannot be written");
    if (f->png == NULL || f->info == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "no memory is left to write the PNG");
    return den_err_set(err, DEN_E_IO, "the PNG cannot be written: %s", f->message);
}

static void step_write_header(struct png_file *f)
{
    f->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, f, on_error, on_warning,
                                       NULL, memory_get, memory_put);
    if (f->png == NULL)
        longjmp(f->jump, 1);
    f->info = png_create_info_struct(f->png);
    if (f->info == NULL)
        longjmp(f->jump, 1);
    png_set_write_fn(f->png, f, on_write, on_flush);
    /* Pixels of a camera repeat nothing but runs, so a search for longer matches costs
     * time and gains nothing.  A denoised image of 2048 x 2048 with 16 bits: 112 ms
     * and 2.2 MB, with all filters and level 3 294 ms and 2.0 MB; a noisy one 131 and 320
     * ms, 4.6 and 4.5 MB; micrographs are smaller this way by up to 8 %. */
    png_set_compression_level(f->png, 1);
    png_set_compression_strategy(f->png, Z_RLE);
    png_set_filter(f->png, PNG_FILTER_TYPE_BASE, PNG_FILTER_PAETH);
    png_set_IHDR(f->png, f->info, f->width, f->height, f->depth, PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    double per_metre = f->pixel_size_um > 0.0 ? round(1e6 / f->pixel_size_um) : 0.0;
    if (per_metre >= 1.0 && per_metre <= PNG_UINT_31_MAX)
        png_set_pHYs(f->png, f->info, (png_uint_32)per_metre, (png_uint_32)per_metre,
                     PNG_RESOLUTION_METER);
    png_write_info(f->png, f->info);
    set_byte_order(f);
}

static void step_write_rows(struct png_file *f)
{
    for (uint32_t y = 0; y < f->height; y++)
        png_write_row(f->png, f->from + row_bytes(f) * y);
}

static void step_write_end(struct png_file *f)
{
    png_write_end(f->png, NULL);
}

static void abandon_file(void *state)
{
    struct png_file *f = state;
    if (f != NULL)
        png_destroy_write_struct(&f->png, &f->info);
    close_file(f);
}

static bool create_file(int fd, const struct den_image_info *info, void **ret_state,
                        struct den_err *err)
{
    if (info->dtype != DEN_U8 && info->dtype != DEN_U16)
        return den_err_set(err, DEN_E_INVALID,
                           "a PNG holds uint8 or uint16 pixels, not %s; TIFF holds all",
                           den_dtype_name(info->dtype));
    if (info->pages != 1)
        return den_err_set(err, DEN_E_INVALID,
                           "a PNG holds 1 page, not %" PRIu32 "; TIFF holds more",
                           info->pages);
    struct png_file *f = file_new(fd, "wb", err);
    if (f == NULL)
        return false;
    f->width = info->width;
    f->height = info->height;
    f->depth = info->dtype == DEN_U16 ? 16 : 8;
    f->pixel_size_um = info->pixel_size_um;
    if (!guarded(f, step_write_header)) {
        write_failed(f, err);
        abandon_file(f);
        return false;
    }
    *ret_state = f;
    return true;
}

static bool write_page(void *state, const void *pixels, struct den_err *err)
{
    struct png_file *f = state;
    f->from = pixels;
    return guarded(f, step_write_rows) || write_failed(f, err);
}

static bool finish_file(void *state, struct den_err *err)
{
    struct png_file *f = state;
    bool done = guarded(f, step_write_end) || write_failed(f, err);
    if (done && fflush(f->file) != 0)
        done = den_err_sys(err, errno, "the PNG cannot be written");
    if (done)
        den_fs_write_behind(fileno(f->file), 0, 0);
    png_destroy_write_struct(&f->png, &f->info);
    FILE *file = f->file;
    f->file = NULL;
    if (fclose(file) != 0 && done)
        done = den_err_sys(err, errno, "the PNG cannot be written");
    close_file(f);
    return done;
}

const struct den_format den_format_png = {
    .name = "png",
    .media_type = "image/png",
    .suffix = ".png",
    .sniff = is_png,
    .open = open_file,
    .read = read_page,
    .close = close_file,
    .create = create_file,
    .write = write_page,
    .finish = finish_file,
    .abandon = abandon_file,
};
