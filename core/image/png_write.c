/* PNG, writing: files of our own, with 1 channel, and the pixels of copies. */
#include "png_io.h"

#include <inttypes.h>
#include <math.h>
#include <zlib.h>

#include "format.h"
#include "fs.h"

/* ---- encoding -----------------------------------------------------------------------
 */

/* Pixels of a camera repeat nothing but runs, so a search for longer matches costs time
 * and gains nothing.  A denoised image of 2048 x 2048 with 16 bits: 112 ms and 2.2 MB,
 * with all filters and level 3 294 ms and 2.0 MB; a noisy one 131 and 320 ms, 4.6 and 4.5
 * MB; micrographs are smaller this way by up to 8 %.  Numbers of colors, and pixels that
 * share a byte, are no brightness whose slope could be foretold. */
static void set_compression(struct den_png *f)
{
    bool brightness = f->head.colors == 0 && f->head.depth >= 8;
    png_set_compression_level(f->png, brightness ? 1 : 3);
    png_set_compression_strategy(f->png, brightness ? Z_RLE : Z_DEFAULT_STRATEGY);
    png_set_filter(f->png, PNG_FILTER_TYPE_BASE,
                   brightness ? PNG_FILTER_PAETH : PNG_FILTER_NONE);
}

void den_png_step_encode_header(struct den_png *f)
{
    const struct den_png_head *head = &f->head;
    den_png_start_write(f);
    set_compression(f);
    png_set_IHDR(f->png, f->info, head->width, head->height, head->depth, head->color,
                 head->interlace, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (head->colors > 0)
        png_set_PLTE(f->png, f->info, head->palette, (int)head->colors);
    double per_metre = head->pixel_size_um > 0.0 ? round(1e6 / head->pixel_size_um) : 0.0;
    if (per_metre >= 1.0 && per_metre <= PNG_UINT_31_MAX)
        png_set_pHYs(f->png, f->info, (png_uint_32)per_metre, (png_uint_32)per_metre,
                     PNG_RESOLUTION_METER);
    png_write_info(f->png, f->info);
    den_png_set_samples(f);
}

/* Planes to samples side by side.  at: of the row's first pixel within a plane. */
static void gather_8(const struct den_png *f, const struct den_png_pass *p, size_t at)
{
    size_t samples = den_png_samples(&f->head);
    size_t plane = (size_t)f->head.width * f->head.height;
    for (size_t s = 0; s < samples; s++) {
        const unsigned char *from = f->from + s * plane + at;
        unsigned char *to = f->row + s;
        for (size_t i = 0; i < p->columns; i++)
            to[i * samples] = from[i * p->dx];
    }
}

static void gather_16(const struct den_png *f, const struct den_png_pass *p, size_t at)
{
    size_t samples = den_png_samples(&f->head);
    size_t plane = (size_t)f->head.width * f->head.height;
    for (size_t s = 0; s < samples; s++) {
        const uint16_t *from = (const uint16_t *)(const void *)f->from + s * plane + at;
        uint16_t *to = (uint16_t *)(void *)f->row + s;
        for (size_t i = 0; i < p->columns; i++)
            to[i * samples] = from[i * p->dx];
    }
}

static void put_row(struct den_png *f, const struct den_png_pass *p, size_t y)
{
    size_t at = (p->y0 + y * p->dy) * f->head.width + p->x0;
    size_t sample = f->head.depth == 16 ? 2 : 1;
    if (f->row == NULL || (den_png_samples(&f->head) == 1 && p->dx == 1)) {
        png_write_row(f->png, f->from + at * sample);
        return;
    }
    if (sample == 1)
        gather_8(f, p, at);
    else
        gather_16(f, p, at);
    png_write_row(f->png, f->row);
}

static void step_rows(struct den_png *f)
{
    if (den_png_needs_row(&f->head))
        den_png_make_row(f);
    for (int pass = 0; pass < den_png_passes(&f->head); pass++) {
        struct den_png_pass p = den_png_pass(&f->head, pass);
        for (size_t y = 0; y < p.rows; y++)
            put_row(f, &p, y);
    }
}

bool den_png_encode_rows(struct den_png *f, const void *pixels, struct den_err *err)
{
    f->from = pixels;
    return den_png_guarded(f, step_rows) || den_png_write_failed(f, err);
}

/* ---- files of our own ---------------------------------------------------------------
 */

void den_png_abandon(void *state)
{
    struct den_png *f = state;
    if (f != NULL)
        den_png_stop_write(f);
    den_png_free(f);
}

bool den_png_create(int fd, const struct den_image_info *info, void **ret_state,
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
    struct den_png *f = den_png_new(fd, err);
    if (f == NULL)
        return false;
    f->head = (struct den_png_head){.width = info->width,
                                    .height = info->height,
                                    .depth = info->dtype == DEN_U16 ? 16 : 8,
                                    .color = PNG_COLOR_TYPE_GRAY,
                                    .interlace = PNG_INTERLACE_NONE,
                                    .pixel_size_um = info->pixel_size_um};
    if (!den_png_guarded(f, den_png_step_encode_header)) {
        den_png_write_failed(f, err);
        den_png_abandon(f);
        return false;
    }
    *ret_state = f;
    return true;
}

bool den_png_write(void *state, const void *pixels, struct den_err *err)
{
    return den_png_encode_rows(state, pixels, err);
}

static void step_end(struct den_png *f)
{
    png_write_end(f->png, NULL);
}

bool den_png_finish(void *state, struct den_err *err)
{
    struct den_png *f = state;
    bool done = (den_png_guarded(f, step_end) && den_png_flush(f)) ||
                den_png_write_failed(f, err);
    if (done)
        den_fs_write_behind(f->fd, 0, 0);
    den_png_abandon(f);
    return done;
}
