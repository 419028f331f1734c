/* Pages of stored files as people look at them: of an image, and of a result. */

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "convert.h"
#include "fs.h"
#include "handlers.h"
#include "mem.h"
#include "range.h"
#include "str.h"

/* What is shown of which page. */
struct view {
    uint32_t page;
    int64_t channel;      /* -1 = the mean of all but opacity */
    uint32_t first, last; /* channels, the mean of which is shown */
    size_t size;          /* longest side, pixels */
    double low, high;     /* percentiles */
    bool values;          /* grey values instead of a picture */
};

/* A view, read: pixels [height][width]. */
struct shown {
    size_t width, height, step;
    float *pixels;
};

static bool read_view(const struct den_request *request, struct view *ret,
                      struct den_err *err)
{
    int64_t page = 0, size = 512;
    struct view view = {.channel = -1, .low = 0.5, .high = 99.8};
    const char *as = den_request_query(request, "as");
    if (!den_api_query_int(request, "page", 0, UINT32_MAX, &page, err) ||
        !den_api_query_int(request, "size", 16, 4096, &size, err) ||
        !den_api_query_int(request, "channel", 0, UINT32_MAX, &view.channel, err) ||
        !den_api_query_double(request, "low", 0, 100, &view.low, err) ||
        !den_api_query_double(request, "high", 0, 100, &view.high, err))
        return false;
    if (view.low >= view.high)
        return den_err_field(
            err, DEN_E_INVALID, "low",
            "low is %g and high is %g; low must be the smaller percentile", view.low,
            view.high);
    if (as != NULL && strcmp(as, "png") != 0 && strcmp(as, "float32") != 0)
        return den_err_field(err, DEN_E_MALFORMED, "as",
                             "query key 'as' must be png or float32");
    view.values = as != NULL && strcmp(as, "float32") == 0;
    view.page = (uint32_t)page;
    view.size = (size_t)size;
    *ret = view;
    return true;
}

/* Without a channel: light as a whole, all but opacity. */
static bool choose(const struct den_image_info *info, struct view *view,
                   struct den_err *err)
{
    if (view->page >= info->pages)
        return den_err_field(err, DEN_E_INVALID, "page",
                             "page %u does not exist; the image has %u (from 0)",
                             view->page, info->pages);
    if (view->channel >= (int64_t)info->channels)
        return den_err_field(err, DEN_E_INVALID, "channel",
                             "channel %lld does not exist; a page of the image has %u "
                             "(from 0)",
                             (long long)view->channel, info->channels);
    uint32_t light = info->channels - (info->alpha && info->channels > 1);
    view->first = view->channel < 0 ? 0 : (uint32_t)view->channel;
    view->last = view->channel < 0 ? light - 1 : (uint32_t)view->channel;
    return true;
}

/* Mean over boxes of `step` x `step` pixels of the channels: enough for a picture to look
 * at.  raw: a page in the file's type; row [width]: room. */
static void shrink(const struct den_image_info *info, const struct view *view,
                   const char *raw, size_t step, float *row, float *to)
{
    size_t width = info->width, height = info->height;
    size_t w = (width + step - 1) / step, bytes = den_dtype_bytes(info->dtype);
    size_t channels = view->last - view->first + 1;
    for (size_t top = 0; top < height; top += step, to += w) {
        size_t rows = height - top < step ? height - top : step;
        for (size_t k = 0; k < rows * channels; k++) {
            size_t plane = view->first + k / rows, y = top + k % rows;
            den_to_float(info->dtype, raw + (plane * height + y) * width * bytes, row,
                         width);
            for (size_t x = 0; x < width; x++)
                to[x / step] += row[x];
        }
        for (size_t x = 0; x < w; x++) {
            size_t columns = width - x * step < step ? width - x * step : step;
            to[x] /= (float)(rows * channels * columns);
        }
    }
}

/* The caller frees ret->pixels. */
static bool read_shown(const char *from, const struct den_image_limits *limits,
                       struct view *view, struct shown *ret, struct den_err *err)
{
    struct den_reader *reader = NULL;
    float *row = NULL, *small = NULL;
    char *raw = NULL;
    bool done = false;
    if (!den_reader_open(from, limits, &reader, err))
        return false;
    const struct den_image_info *info = den_reader_info(reader);
    if (!choose(info, view, err))
        goto out;
    size_t longest = info->width > info->height ? info->width : info->height;
    size_t step = (longest + view->size - 1) / view->size;
    size_t w = (info->width + step - 1) / step, h = (info->height + step - 1) / step;
    raw = den_new(1, den_image_page_bytes(info), err);
    row = den_new(info->width, sizeof *row, err);
    small = den_new(w * h, sizeof *small, err);
    if (raw == NULL || row == NULL || small == NULL ||
        !den_reader_page(reader, view->page, raw, err))
        goto out;
    shrink(info, view, raw, step, row, small);
    *ret = (struct shown){.width = w, .height = h, .step = step, .pixels = small};
    small = NULL;
    done = true;
out:
    den_reader_close(reader);
    den_free(raw);
    den_free(row);
    den_free(small);
    return done;
}

/* gray: [h][w] as a PNG at `to`. */
static bool write_png(const unsigned char *gray, size_t w, size_t h, const char *to,
                      struct den_err *err)
{
    struct den_writer *writer = NULL;
    struct den_image_info info = {.format = "png",
                                  .width = (uint32_t)w,
                                  .height = (uint32_t)h,
                                  .pages = 1,
                                  .channels = 1,
                                  .dtype = DEN_U8,
                                  .bits = 8};
    if (!den_writer_open(to, &info, &writer, err))
        return false;
    if (!den_writer_page(writer, gray, err)) {
        den_writer_abandon(writer);
        return false;
    }
    return den_writer_finish(writer, err);
}

static bool reply_picture(struct den_api *api, const struct view *view,
                          const struct shown *shown, struct den_reply *reply,
                          struct den_err *err)
{
    size_t n = shown->width * shown->height, length = 0;
    char to[PATH_MAX], *data = NULL;
    unsigned char *gray = den_new(n, 1, err);
    if (gray == NULL)
        return false;
    den_blobs_temporary(den_service_blobs(api->service), to, sizeof to);
    bool done =
        den_preview(shown->pixels, n, view->low / 100.0, view->high / 100.0, gray, err) &&
        write_png(gray, shown->width, shown->height, to, err) &&
        den_fs_read(to, (size_t)64 << 20, &data, &length, err);
    (void)unlink(to); /* the folder is emptied at start in any case */
    den_free(gray);
    if (done)
        den_reply_take(reply, "image/png", data, length);
    return done;
}

static void add_number(struct den_reply *reply, const char *name, size_t value)
{
    char text[24];
    (void)den_str_format(text, sizeof text, "%zu", value);
    den_reply_header(reply, name, text);
}

/* Grey values as they are, so that two images can be shown alike and subtracted:
 * [height][width] floats of the machine, which is little-endian. */
static void reply_values(struct shown *shown, struct den_reply *reply)
{
    size_t bytes = shown->width * shown->height * sizeof *shown->pixels;
    char *data = (char *)shown->pixels;
    shown->pixels = NULL;
    den_reply_take(reply, "application/octet-stream", data, bytes);
    add_number(reply, "X-Preview-Width", shown->width);
    add_number(reply, "X-Preview-Height", shown->height);
    add_number(reply, "X-Preview-Step", shown->step);
}

/* Content under a hash never changes: the same question has the same answer. */
static void tag_of(const char *sha256, const struct view *view, char *to, size_t size)
{
    (void)den_str_format(to, size, "\"%s-%u-%lld-%zu-%g-%g-%s\"", sha256, view->page,
                         (long long)view->channel, view->size, view->low, view->high,
                         view->values ? "float32" : "png");
}

/* sha256: of the blob. */
static bool reply_view(struct den_api *api, const struct den_request *request,
                       const char *sha256, struct den_reply *reply, struct den_err *err)
{
    const char *known = den_request_header(request, "If-None-Match");
    struct view view = {0};
    struct shown shown = {0};
    char from[PATH_MAX], tag[200];
    bool done = true;
    if (!read_view(request, &view, err))
        return false;
    tag_of(sha256, &view, tag, sizeof tag);
    if (known != NULL && den_etag_listed(known, tag)) {
        den_reply_status(reply, 304);
    } else {
        den_blobs_path(den_service_blobs(api->service), sha256, from, sizeof from);
        if (!read_shown(from, den_service_image_limits(api->service), &view, &shown, err))
            return false;
        if (view.values)
            reply_values(&shown, reply);
        else
            done = reply_picture(api, &view, &shown, reply, err);
        den_free(shown.pixels);
    }
    den_reply_header(reply, "ETag", tag);
    den_reply_header(reply, "Cache-Control", "private, no-cache");
    return done;
}

DEN_HANDLER(den_h_image_preview)
{
    struct den_api *api = app;
    const char *id;
    struct den_image_row row;
    return den_api_id(request, "img_", &id, err) &&
           api->store_kind->image_get(api->store, den_request_owner(request), id, &row,
                                      err) &&
           reply_view(api, request, row.sha256, reply, err);
}

DEN_HANDLER(den_h_job_preview)
{
    struct den_api *api = app;
    struct den_job_row row;
    return den_api_result(api, request, &row, err) &&
           reply_view(api, request, row.result_sha256, reply, err);
}
