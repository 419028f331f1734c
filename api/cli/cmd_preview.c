#include <string.h>

#include "cli.h"
#include "convert.h"
#include "follow.h"
#include "image.h"
#include "mem.h"
#include "str.h"

#define PANELS_MAX 16
#define GAP 4 /* pixels of white between panels */
#define SIDE_MAX 65535u

static const struct den_option options[] = {
    {"output", 'o', DEN_OPTION_VALUE, "PNG", "the picture to write"},
    {"crop", 0, DEN_OPTION_VALUE, "X,Y,W,H", "only this part, in pixels"},
    {"zoom", 0, DEN_OPTION_VALUE, "N", "each pixel as N x N (default 1)"},
    {"page", 0, DEN_OPTION_VALUE, "N", "page of a stack, the first is 0 (default 0)"},
    {"low", 0, DEN_OPTION_VALUE, "PERCENT", "percentile shown black (default 0.5)"},
    {"high", 0, DEN_OPTION_VALUE, "PERCENT", "percentile shown white (default 99.8)"},
    {"contrast", 0, DEN_OPTION_VALUE, "HOW",
     "percentiles over all panels (default), of `each`, or of panel 1, 2, ..."},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

struct view {
    size_t x, y, width, height; /* the part shown; width 0 = all */
    size_t zoom;
    int64_t page;
    double low, high; /* quantiles, 0 to 1 */
    size_t panel;     /* whose contrast: 0 = all together, 1 = the first, ... */
    bool each;
    size_t count;
    float *panels;       /* [count][height][width] */
    unsigned char *grey; /* the same, stretched */
};

/* "10,20,64,64" */
static bool read_crop(const char *text, struct view *view, struct den_err *err)
{
    size_t *const to[] = {&view->x, &view->y, &view->width, &view->height};
    const char *at = text;
    if (text == NULL)
        return true;
    for (size_t i = 0; i < 4; i++) {
        char word[16];
        size_t length = strcspn(at, ",");
        int64_t value;
        if (!den_str_format(word, sizeof word, "%.*s", (int)length, at) ||
            !den_parse_int(word, i < 2 ? 0 : 1, UINT16_MAX, &value, NULL) ||
            (at[length] == ',') != (i < 3))
            return den_err_set(err, DEN_E_INVALID,
                               "--crop '%.40s' is not of the form X,Y,WIDTH,HEIGHT",
                               text);
        *to[i] = (size_t)value;
        at += length + 1;
    }
    return true;
}

static bool read_contrast(const char *text, struct view *view, struct den_err *err)
{
    int64_t panel = 0;
    view->each = text != NULL && strcmp(text, "each") == 0;
    if (text == NULL || view->each || strcmp(text, "all") == 0)
        return true;
    if (!den_parse_int(text, 1, (int64_t)view->count, &panel, NULL))
        return den_err_set(err, DEN_E_INVALID,
                           "--contrast '%.40s' is none of: all, each, 1 to %zu", text,
                           view->count);
    view->panel = (size_t)panel;
    return true;
}

static bool read_view(const struct den_args *args, struct view *view, struct den_err *err)
{
    int64_t zoom = 1;
    double low = 0.5, high = 99.8;
    view->count = args->count;
    if (!den_args_int(args, "zoom", 1, 64, &zoom, err) ||
        !den_args_int(args, "page", 0, INT32_MAX, &view->page, err) ||
        !den_args_double(args, "low", 0, 100, &low, err) ||
        !den_args_double(args, "high", 0, 100, &high, err) ||
        !read_crop(den_args_text(args, "crop"), view, err) ||
        !read_contrast(den_args_text(args, "contrast"), view, err))
        return false;
    if (low >= high)
        return den_err_set(err, DEN_E_INVALID,
                           "--low %g is not below --high %g: nothing would be left to "
                           "show",
                           low, high);
    view->zoom = (size_t)zoom;
    view->low = low / 100;
    view->high = high / 100;
    return true;
}

/* The first image decides the size when there is no --crop. */
static bool admit(struct view *view, size_t panel, const struct den_image_info *info,
                  struct den_err *err)
{
    if (info->channels != 1)
        return den_err_set(err, DEN_E_INVALID,
                           "the image has %u channels; only 1 is shown", info->channels);
    if (view->width == 0) {
        view->width = info->width;
        view->height = info->height;
    }
    if (view->x + view->width > info->width || view->y + view->height > info->height)
        return den_err_set(err, DEN_E_INVALID,
                           "the image has %u x %u pixels; it does not hold %zu x %zu at "
                           "%zu,%zu",
                           info->width, info->height, view->width, view->height, view->x,
                           view->y);
    if (view->page >= (int64_t)info->pages)
        return den_err_set(err, DEN_E_INVALID,
                           "the image has %u pages; there is no page %d", info->pages,
                           (int)view->page);
    if (panel > 0)
        return true;
    size_t n = view->width * view->height * view->count;
    view->panels = den_new(n, sizeof *view->panels, err);
    view->grey = den_new(n, 1, err);
    return view->panels != NULL && view->grey != NULL;
}

static bool load_panel(struct view *view, size_t panel, const char *path,
                       struct den_err *err)
{
    struct den_image_limits limits = den_image_limits_default();
    struct den_reader *reader = NULL;
    struct den_err cause = DEN_ERR_INIT;
    float *page = NULL;
    bool done = false;
    if (!den_reader_open(path, &limits, &reader, &cause))
        goto out;
    const struct den_image_info *info = den_reader_info(reader);
    if (!admit(view, panel, info, &cause))
        goto out;
    page = den_new((size_t)info->width * info->height, sizeof *page, &cause);
    if (page == NULL ||
        !den_reader_page_float(reader, (uint32_t)view->page, page, &cause))
        goto out;
    float *to = view->panels + panel * view->width * view->height;
    for (size_t y = 0; y < view->height; y++)
        memcpy(to + y * view->width, page + (view->y + y) * info->width + view->x,
               view->width * sizeof *to);
    done = true;
out:
    den_free(page);
    den_reader_close(reader);
    return done || den_err_about(err, path, &cause);
}

/* Grey values from low to high become 0 to 255. */
static void stretch(const float *from, size_t n, const double range[2], unsigned char *to)
{
    double scale = range[1] > range[0] ? 255.0 / (range[1] - range[0]) : 0;
    for (size_t i = 0; i < n; i++) {
        double v = ((double)from[i] - range[0]) * scale;
        to[i] = (unsigned char)(v <= 0 ? 0 : v >= 255 ? 255 : v + 0.5);
    }
}

static bool stretch_all(struct view *view, struct den_err *err)
{
    const double q[2] = {view->low, view->high};
    size_t n = view->width * view->height, total = n * view->count;
    double range[2];
    const float *from =
        view->panel > 0 ? view->panels + (view->panel - 1) * n : view->panels;
    if (!den_quantiles(from, view->panel > 0 ? n : total, q, 2, range, err))
        return false;
    if (!view->each) {
        stretch(view->panels, total, range, view->grey);
        return true;
    }
    for (size_t i = 0; i < view->count; i++) {
        if (!den_quantiles(view->panels + i * n, n, q, 2, range, err))
            return false;
        stretch(view->panels + i * n, n, range, view->grey + i * n);
    }
    return true;
}

/* Panels from left to right, each pixel as a square. */
static bool write_picture(const struct view *view, const char *path, struct den_err *err)
{
    size_t step = view->width * view->zoom + GAP;
    size_t width = step * view->count - GAP, height = view->height * view->zoom;
    if (width > SIDE_MAX || height > SIDE_MAX)
        return den_err_set(err, DEN_E_INVALID,
                           "the picture would have %zu x %zu pixels; at most %u are "
                           "written on a side",
                           width, height, SIDE_MAX);
    struct den_image picture = {.info = {.format = "png",
                                         .width = (uint32_t)width,
                                         .height = (uint32_t)height,
                                         .pages = 1,
                                         .channels = 1,
                                         .dtype = DEN_U8}};
    picture.pixels = den_new(width * height, sizeof *picture.pixels, err);
    if (picture.pixels == NULL)
        return false;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) {
            size_t panel = x / step, column = x % step / view->zoom;
            size_t row = panel * view->height + y / view->zoom;
            picture.pixels[y * width + x] =
                column < view->width ? (float)view->grey[row * view->width + column]
                                     : 255.0f;
        }
    bool done = den_image_save(path, &picture, err);
    den_free(picture.pixels);
    return done;
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    struct view view = {0};
    const char *path = den_args_text(args, "output");
    bool done = false;
    if (path == NULL)
        return den_err_set(err, DEN_E_INVALID, "name the picture to write with -o PNG");
    if (!den_str_ends(path, ".png")) /* so that no image of a series is overwritten */
        return den_err_set(err, DEN_E_INVALID, "-o '%.160s' does not end with .png",
                           path);
    if (!read_view(args, &view, err))
        return false;
    for (size_t i = 0; i < view.count; i++)
        if (!load_panel(&view, i, args->words[i], err))
            goto out;
    done = stretch_all(&view, err) && write_picture(&view, path, err);
    if (done)
        den_print_path(cli, "picture", path);
out:
    den_free(view.panels);
    den_free(view.grey);
    return done;
}

const struct den_command den_cmd_preview = {
    "preview",
    "FILE... -o PNG",
    "Draw images side by side as an 8-bit PNG (needs no server)",
    "All panels share one contrast, so that they can be compared:\n"
    "  denoise preview noisy.tif denoised.tif clean.tif -o compare.png --zoom 2\n",
    options,
    1,
    PANELS_MAX,
    run,
};
