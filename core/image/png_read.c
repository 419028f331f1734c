/* PNG, reading: every kind of pixels as they are stored, but for palettes, which are
 * looked up.  Opacity of palettes (tRNS) and colors that mean "transparent" are no
 * channel. */
#include "png_io.h"

#include <inttypes.h>
#include <string.h>

#include "format.h"

static void read_pixel_size(struct den_png *f)
{
    png_uint_32 x = 0, y = 0;
    int unit = 0;
    f->head.pixel_size_um = 0.0;
    if (png_get_pHYs(f->png, f->info, &x, &y, &unit) == 0)
        return;
    double size = x > 0 ? 1e6 / x : 0.0;
    if (unit == PNG_RESOLUTION_METER && x == y && size < DEN_PIXEL_SIZE_END_UM)
        f->head.pixel_size_um = size;
}

static void read_palette(struct den_png *f)
{
    struct den_png_head *head = &f->head;
    png_colorp colors = NULL;
    png_bytep alpha = NULL;
    int count = 0, alphas = 0;
    if (png_get_PLTE(f->png, f->info, &colors, &count) == 0 || count < 1 ||
        count > DEN_PNG_COLORS)
        png_error(f->png, "it has no palette");
    memcpy(head->palette, colors, (size_t)count * sizeof *colors);
    head->colors = (uint32_t)count;
    head->gray = true;
    for (int i = 0; i < count; i++)
        if (colors[i].red != colors[i].green || colors[i].red != colors[i].blue)
            head->gray = false;
    memset(head->alpha, 255, sizeof head->alpha);
    if (png_get_tRNS(f->png, f->info, &alpha, &alphas, NULL) != 0 && alpha != NULL)
        memcpy(head->alpha, alpha, (size_t)(alphas < count ? alphas : count));
}

static void step_header(struct den_png *f)
{
    den_png_start_read(f);
    /* The sides are compared with our own limits before any row is allocated. */
    png_set_user_limits(f->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_chunk_cache_max(f->png, 4);
    png_set_chunk_malloc_max(f->png, 65536);
    /* Texts and colour profiles are compressed and of no use here: skip all but pHYs. */
    png_set_keep_unknown_chunks(f->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(f->png, PNG_HANDLE_CHUNK_AS_DEFAULT,
                                (png_const_bytep) "pHYs", 1);
    png_read_info(f->png, f->info);
    memset(&f->head, 0, sizeof f->head);
    f->head.width = png_get_image_width(f->png, f->info);
    f->head.height = png_get_image_height(f->png, f->info);
    f->head.depth = png_get_bit_depth(f->png, f->info);
    f->head.color = png_get_color_type(f->png, f->info);
    f->head.interlace = png_get_interlace_type(f->png, f->info);
    read_pixel_size(f);
    if (f->head.color & PNG_COLOR_MASK_PALETTE)
        read_palette(f);
}

/* Starts at the first byte, up to the first row. */
static bool read_header(struct den_png *f, struct den_err *err)
{
    f->sys = 0;
    f->no_memory = false;
    return den_png_guarded(f, step_header) || den_png_read_failed(f, err);
}

/* ---- what it is -------------------------------------------------------------------- */

static struct den_image_info describe(const struct den_png_head *head)
{
    bool indexed = (head->color & PNG_COLOR_MASK_PALETTE) != 0;
    return (struct den_image_info){
        .format = "png",
        .width = head->width,
        .height = head->height,
        .pages = 1,
        .channels = !indexed     ? den_png_samples(head)
                    : head->gray ? 1
                                 : 3,
        .alpha = (head->color & PNG_COLOR_MASK_ALPHA) != 0,
        .dtype = head->depth == 16 ? DEN_U16 : DEN_U8,
        .bits = indexed ? 8 : (uint32_t)head->depth,
        .pixel_size_um = head->pixel_size_um,
    };
}

/* Each of the seven passes goes over the whole image. */
static bool check_interlaced(const struct den_png_head *head, struct den_err *err)
{
    const uint64_t limit = (uint64_t)64 << 20;
    uint64_t pixels = (uint64_t)head->width * head->height;
    if (head->interlace == PNG_INTERLACE_NONE || pixels <= limit)
        return true;
    return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)limit, (int64_t)pixels,
                         "the PNG is interlaced and has %" PRIu64
                         " pixels; at most %" PRIu64 " are read",
                         pixels, limit);
}

void den_png_close(void *state)
{
    den_png_free(state);
}

bool den_png_open(int fd, uint64_t bytes, const struct den_image_limits *limits,
                  struct den_image_info *ret_info, void **ret_state, struct den_err *err)
{
    struct den_image_info info;
    struct den_png *f = den_png_new(fd, err);
    if (f == NULL)
        return false;
    bool done = den_png_walk(fd, bytes, limits, &f->layout, err) && read_header(f, err);
    den_png_stop_read(f);
    if (done) {
        info = describe(&f->head);
        done =
            den_format_admit_page(&info, limits, err) &&
            check_interlaced(&f->head, err) &&
            den_format_admit_file(&info, den_image_page_bytes(&info), bytes, limits, err);
    }
    if (!done) {
        den_png_close(f);
        return false;
    }
    *ret_info = info;
    *ret_state = f;
    return true;
}

/* ---- pixels ------------------------------------------------------------------------ */

/* Samples side by side to planes.  at: of the row's first pixel within a plane. */
static void spread_8(const struct den_png *f, const struct den_png_pass *p, size_t at)
{
    size_t samples = den_png_samples(&f->head);
    size_t plane = (size_t)f->head.width * f->head.height;
    for (size_t s = 0; s < samples; s++) {
        const unsigned char *from = f->row + s;
        unsigned char *to = f->to + s * plane + at;
        for (size_t i = 0; i < p->columns; i++)
            to[i * p->dx] = from[i * samples];
    }
}

static void spread_16(const struct den_png *f, const struct den_png_pass *p, size_t at)
{
    size_t samples = den_png_samples(&f->head);
    size_t plane = (size_t)f->head.width * f->head.height;
    for (size_t s = 0; s < samples; s++) {
        const uint16_t *from = (const uint16_t *)(const void *)f->row + s;
        uint16_t *to = (uint16_t *)(void *)f->to + s * plane + at;
        for (size_t i = 0; i < p->columns; i++)
            to[i * p->dx] = from[i * samples];
    }
}

static void spread_colors(const struct den_png *f, const struct den_png_pass *p,
                          size_t at)
{
    size_t plane = (size_t)f->head.width * f->head.height;
    unsigned char *to = f->to + at;
    for (size_t i = 0; i < p->columns; i++, to += p->dx) {
        const png_color *color = &f->head.palette[f->row[i]];
        to[0] = color->red;
        if (f->head.gray)
            continue;
        to[plane] = color->green;
        to[2 * plane] = color->blue;
    }
}

static void check_indices(const struct den_png *f, size_t columns)
{
    unsigned char largest = 0;
    for (size_t i = 0; i < columns; i++)
        largest = f->row[i] > largest ? f->row[i] : largest;
    if (largest >= f->head.colors)
        png_error(f->png, "a pixel has a color that is not in the palette");
}

static void take_row(struct den_png *f, const struct den_png_pass *p, size_t y)
{
    size_t at = (p->y0 + y * p->dy) * f->head.width + p->x0;
    size_t sample = f->head.depth == 16 ? 2 : 1;
    if (f->row == NULL) { /* rows of the file are rows of the plane */
        png_read_row(f->png, f->to + at * sample, NULL);
        return;
    }
    png_read_row(f->png, f->row, NULL);
    if (f->head.colors > 0)
        check_indices(f, p->columns);
    if (f->head.colors > 0 && !f->indices)
        spread_colors(f, p, at);
    else if (sample == 1)
        spread_8(f, p, at);
    else
        spread_16(f, p, at);
}

static void step_rows(struct den_png *f)
{
    den_png_set_samples(f);
    png_read_update_info(f->png, f->info);
    if (den_png_needs_row(&f->head))
        den_png_make_row(f);
    /* Complaints about the pixel data itself are errors, those about the chunks behind it
     * are not. */
    png_set_benign_errors(f->png, 0);
    /* libpng is not asked to undo interlacing: it would need all pixels side by side. */
    for (int pass = 0; pass < den_png_passes(&f->head); pass++) {
        struct den_png_pass p = den_png_pass(&f->head, pass);
        for (size_t y = 0; y < p.rows; y++)
            take_row(f, &p, y);
    }
    png_set_benign_errors(f->png, 1);
    png_read_end(f->png, NULL);
}

/* libpng cannot rewind, so each reading starts over.  The heads are compared because the
 * file may have been changed meanwhile; f->head is as it was in any case. */
static bool read_all(struct den_png *f, struct den_err *err)
{
    const struct den_png_head before = f->head;
    bool done = read_header(f, err);
    if (done && (f->head.width != before.width || f->head.height != before.height ||
                 f->head.depth != before.depth || f->head.color != before.color ||
                 f->head.colors != before.colors || f->head.gray != before.gray ||
                 f->head.interlace != before.interlace))
        done = den_err_set(err, DEN_E_UNPROCESSABLE, "the PNG changed while it was read");
    if (done && !den_png_guarded(f, step_rows))
        done = den_png_read_failed(f, err);
    den_png_stop_read(f);
    f->head = before;
    return done;
}

bool den_png_read(void *state, uint32_t page, void *pixels, struct den_err *err)
{
    (void)page; /* there is only one */
    struct den_png *f = state;
    f->to = pixels;
    f->indices = false;
    return read_all(f, err);
}

bool den_png_read_indices(struct den_png *f, unsigned char *to, struct den_err *err)
{
    f->to = to;
    f->indices = true;
    return read_all(f, err);
}
