#include "png_io.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "format.h"
#include "fs.h"
#include "mem.h"

struct den_png *den_png_new(int fd, struct den_err *err)
{
    struct den_png *f = den_calloc(1, sizeof *f);
    if (f != NULL)
        f->buffer = den_calloc(1, DEN_PNG_BUFFER);
    if (f == NULL || f->buffer == NULL) {
        den_err_set(err, DEN_E_NO_MEMORY, "no memory is left to open the PNG");
        den_free(f);
        return NULL;
    }
    f->fd = fd;
    return f;
}

void den_png_stop_read(struct den_png *f)
{
    png_destroy_read_struct(&f->png, &f->info, NULL);
}

void den_png_stop_write(struct den_png *f)
{
    png_destroy_write_struct(&f->png, &f->info);
}

void den_png_free(struct den_png *f)
{
    if (f == NULL)
        return;
    den_free(f->row);
    den_free(f->buffer);
    den_free(f);
}

/* ---- what libpng calls ------------------------------------------------------------- */

static void on_error(png_structp png, png_const_charp message)
{
    struct den_png *f = png_get_error_ptr(png);
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
    struct den_png *f = png_get_mem_ptr(png);
    void *memory = den_calloc(1, size);
    if (memory == NULL)
        f->no_memory = true;
    return memory;
}

static void memory_put(png_structp png, png_voidp memory)
{
    (void)png;
    den_free(memory);
}

/* False at the end of the file, too. */
static bool refill(struct den_png *f)
{
    ssize_t got;
    do
        got = pread(f->fd, f->buffer, DEN_PNG_BUFFER, (off_t)f->at);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        f->sys = errno;
    if (got <= 0)
        return false;
    f->at += (uint64_t)got;
    f->next = 0;
    f->filled = (size_t)got;
    return true;
}

static void on_read(png_structp png, png_bytep data, size_t length)
{
    struct den_png *f = png_get_io_ptr(png);
    while (length > 0) {
        if (f->next == f->filled && !refill(f))
            png_error(png, "the file ends too early");
        size_t part = f->filled - f->next;
        if (part > length)
            part = length;
        memcpy(data, f->buffer + f->next, part);
        f->next += part;
        data += part;
        length -= part;
    }
}

bool den_png_flush(struct den_png *f)
{
    struct den_err err = DEN_ERR_INIT;
    bool done = den_fs_write_fd(f->fd, f->buffer, f->filled, &err);
    if (!done)
        f->sys = err.sys;
    f->filled = 0;
    return done;
}

bool den_png_put(struct den_png *f, const void *data, size_t length)
{
    const unsigned char *from = data;
    while (length > 0 && !f->muted) {
        size_t part = DEN_PNG_BUFFER - f->filled;
        if (part > length)
            part = length;
        memcpy(f->buffer + f->filled, from, part);
        f->filled += part;
        from += part;
        length -= part;
        if (f->filled == DEN_PNG_BUFFER && !den_png_flush(f))
            return false;
    }
    return true;
}

static void on_write(png_structp png, png_bytep data, size_t length)
{
    if (!den_png_put(png_get_io_ptr(png), data, length))
        png_error(png, "a write failed");
}

static void on_flush(png_structp png)
{
    (void)png; /* den_png_flush does */
}

/* ---- steps --------------------------------------------------------------------------
 */

bool den_png_guarded(struct den_png *f, void (*step)(struct den_png *))
{
    if (setjmp(f->jump) != 0)
        return false;
    step(f);
    return true;
}

static void make_info(struct den_png *f)
{
    if (f->png != NULL)
        f->info = png_create_info_struct(f->png);
    if (f->info == NULL)
        longjmp(f->jump, 1);
}

void den_png_start_read(struct den_png *f)
{
    f->at = 0;
    f->next = f->filled = 0;
    f->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, f, on_error, on_warning, f,
                                      memory_get, memory_put);
    make_info(f);
    png_set_read_fn(f->png, f, on_read);
}

void den_png_start_write(struct den_png *f)
{
    f->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, f, on_error, on_warning, f,
                                       memory_get, memory_put);
    make_info(f);
    png_set_write_fn(f->png, f, on_write, on_flush);
}

uint32_t den_png_samples(const struct den_png_head *head)
{
    if (head->color & PNG_COLOR_MASK_PALETTE)
        return 1;
    return (head->color & PNG_COLOR_MASK_COLOR ? 3u : 1u) +
           (head->color & PNG_COLOR_MASK_ALPHA ? 1u : 0u);
}

bool den_png_needs_row(const struct den_png_head *head)
{
    return den_png_samples(head) > 1 || head->colors > 0 ||
           head->interlace != PNG_INTERLACE_NONE;
}

void den_png_make_row(struct den_png *f)
{
    size_t bytes =
        (size_t)f->head.width * den_png_samples(&f->head) * (f->head.depth == 16 ? 2 : 1);
    if (f->row == NULL)
        f->row = den_calloc(1, bytes);
    if (f->row != NULL)
        return;
    f->no_memory = true;
    longjmp(f->jump, 1);
}

/* PNG is big-endian. */
void den_png_set_samples(struct den_png *f)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (f->head.depth == 16)
        png_set_swap(f->png);
#endif
    if (f->head.depth < 8)
        png_set_packing(f->png);
}

bool den_png_read_failed(const struct den_png *f, struct den_err *err)
{
    if (f->sys != 0)
        return den_err_sys(err, f->sys, "the PNG cannot be read");
    if (f->no_memory || f->png == NULL || f->info == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "no memory is left to read the PNG");
    return den_err_set(err, DEN_E_UNPROCESSABLE, "the PNG is damaged: %s", f->message);
}

bool den_png_write_failed(const struct den_png *f, struct den_err *err)
{
    if (f->sys != 0)
        return den_err_sys(err, f->sys, "the PNG cannot be written");
    if (f->no_memory || f->png == NULL || f->info == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "no memory is left to write the PNG");
    return den_err_set(err, DEN_E_IO, "the PNG cannot be written: %s", f->message);
}

/* ---- interlacing --------------------------------------------------------------------
 */

int den_png_passes(const struct den_png_head *head)
{
    return head->interlace == PNG_INTERLACE_NONE ? 1 : DEN_PNG_PASSES;
}

struct den_png_pass den_png_pass(const struct den_png_head *head, int pass)
{
    struct den_png_pass p = {.dx = 1, .dy = 1, .columns = head->width};
    p.rows = head->height;
    if (head->interlace == PNG_INTERLACE_NONE)
        return p;
    p.x0 = (size_t)PNG_PASS_START_COL(pass);
    p.y0 = (size_t)PNG_PASS_START_ROW(pass);
    p.dx = (size_t)1 << PNG_PASS_COL_SHIFT(pass);
    p.dy = (size_t)1 << PNG_PASS_ROW_SHIFT(pass);
    p.columns = p.x0 < head->width ? (head->width - p.x0 + p.dx - 1) / p.dx : 0;
    p.rows = p.y0 < head->height ? (head->height - p.y0 + p.dy - 1) / p.dy : 0;
    if (p.columns == 0)
        p.rows = 0;
    return p;
}
