#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "convert.h"
#include "fs.h"
#include "handlers.h"
#include "mem.h"
#include "str.h"

/* The name a client gives its file: query key, else multipart file name; the last path
 * part of it. */
static const char *client_name(const struct den_request *request,
                               const struct den_upload *upload)
{
    const char *name = den_request_query(request, "name");
    if (name == NULL)
        name = upload->filename;
    if (name == NULL)
        return "image";
    for (const char *p = name; *p != '\0'; p++)
        if (*p == '/' || *p == '\\')
            name = p + 1;
    return name;
}

DEN_HANDLER(den_h_image_add)
{
    struct den_api *api = app;
    const struct den_upload *upload = den_request_upload(request);
    const char *name = client_name(request, upload);
    if (name[0] == '\0' || strlen(name) >= DEN_NAME_SIZE || !den_utf8_printable(name))
        return den_err_field(
            err, DEN_E_INVALID, "name",
            "the file name must be 1 to %d bytes of text without control "
            "characters",
            DEN_NAME_SIZE - 1);
    struct den_image_row row;
    bool is_new = false;
    den_request_take_upload(request); /* the service removes or keeps it */
    if (!den_service_add_image(api->service, upload->path, name, upload->sha256, &row,
                               &is_new, err))
        return false;
    char location[80];
    (void)den_str_format(location, sizeof location, "/v1/images/%s", row.id);
    den_reply_header(reply, "Location", location);
    return den_reply_json(reply, is_new ? 201 : 200, den_json_image(&row), err);
}

DEN_HANDLER(den_h_image_list)
{
    struct den_api *api = app;
    size_t limit, count = 0;
    const char *after;
    if (!den_api_page(request, "img_", &limit, &after, err))
        return false;
    struct den_image_row *rows = den_new(limit, sizeof *rows, err);
    if (rows == NULL)
        return false;
    bool done = false;
    if (api->store_kind->image_list(api->store, after, limit, rows, &count, err)) {
        json_t *items = json_array();
        for (size_t i = 0; i < count; i++)
            (void)json_array_append_new(items, den_json_image(&rows[i]));
        done = den_reply_list(reply, "images", items,
                              count == limit ? rows[count - 1].id : "", err);
    }
    den_free(rows);
    return done;
}

static bool find_image(struct den_api *api, const struct den_request *request,
                       struct den_image_row *ret, struct den_err *err)
{
    const char *id;
    return den_api_id(request, "img_", &id, err) &&
           api->store_kind->image_get(api->store, id, ret, err);
}

DEN_HANDLER(den_h_image_get)
{
    struct den_image_row row;
    return find_image(app, request, &row, err) &&
           den_reply_json(reply, 200, den_json_image(&row), err);
}

DEN_HANDLER(den_h_image_delete)
{
    struct den_api *api = app;
    const char *id;
    if (!den_api_id(request, "img_", &id, err) ||
        !den_service_delete_image(api->service, id, err))
        return false;
    den_reply_status(reply, 204);
    return true;
}

static const char *media_of(const char *format)
{
    for (size_t i = 0; den_formats[i] != NULL; i++)
        if (strcmp(den_formats[i]->name, format) == 0)
            return den_formats[i]->media_type;
    return "application/octet-stream";
}

DEN_HANDLER(den_h_image_content)
{
    struct den_api *api = app;
    struct den_image_row row;
    if (!find_image(api, request, &row, err))
        return false;
    char path[PATH_MAX];
    den_blobs_path(den_service_blobs(api->service), row.sha256, path, sizeof path);
    return den_reply_file(reply, path, media_of(row.info.format), row.sha256, row.name,
                          err);
}

/* What is shown of which page. */
struct view {
    uint32_t page;
    uint32_t first, last; /* channels, the mean of which is shown */
    size_t size;          /* longest side, pixels */
    double low, high;     /* percentiles */
};

/* Without a channel: light as a whole, all but opacity. */
static bool choose(const struct den_image_info *info, int64_t channel, struct view *view,
                   struct den_err *err)
{
    if (view->page >= info->pages)
        return den_err_field(err, DEN_E_INVALID, "page",
                             "page %u does not exist; the image has %u (from 0)",
                             view->page, info->pages);
    if (channel >= (int64_t)info->channels)
        return den_err_field(err, DEN_E_INVALID, "channel",
                             "channel %lld does not exist; a page of the image has %u "
                             "(from 0)",
                             (long long)channel, info->channels);
    uint32_t light = info->channels - (info->alpha && info->channels > 1);
    view->first = channel < 0 ? 0 : (uint32_t)channel;
    view->last = channel < 0 ? light - 1 : (uint32_t)channel;
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

/* The view as an 8-bit PNG at `to`. */
static bool render(const char *from, const struct den_image_limits *limits,
                   struct view *view, int64_t channel, const char *to,
                   struct den_err *err)
{
    struct den_reader *reader = NULL;
    float *row = NULL, *small = NULL;
    unsigned char *gray = NULL;
    char *raw = NULL;
    bool done = false;
    if (!den_reader_open(from, limits, &reader, err))
        return false;
    const struct den_image_info *info = den_reader_info(reader);
    if (!choose(info, channel, view, err))
        goto out;
    size_t longest = info->width > info->height ? info->width : info->height;
    size_t step = (longest + view->size - 1) / view->size;
    size_t w = (info->width + step - 1) / step, h = (info->height + step - 1) / step;
    raw = den_new(1, den_image_page_bytes(info), err);
    row = den_new(info->width, sizeof *row, err);
    small = den_new(w * h, sizeof *small, err);
    gray = den_new(w * h, 1, err);
    if (raw == NULL || row == NULL || small == NULL || gray == NULL ||
        !den_reader_page(reader, view->page, raw, err))
        goto out;
    shrink(info, view, raw, step, row, small);
    done = den_preview(small, w * h, view->low / 100.0, view->high / 100.0, gray, err) &&
           write_png(gray, w, h, to, err);
out:
    den_reader_close(reader);
    den_free(raw);
    den_free(row);
    den_free(small);
    den_free(gray);
    return done;
}

DEN_HANDLER(den_h_image_preview)
{
    struct den_api *api = app;
    struct den_image_row row;
    int64_t page = 0, size = 512, channel = -1;
    struct view view = {.low = 0.5, .high = 99.8};
    if (!find_image(api, request, &row, err) ||
        !den_api_query_int(request, "page", 0, UINT32_MAX, &page, err) ||
        !den_api_query_int(request, "size", 16, 4096, &size, err) ||
        !den_api_query_int(request, "channel", 0, UINT32_MAX, &channel, err) ||
        !den_api_query_double(request, "low", 0, 100, &view.low, err) ||
        !den_api_query_double(request, "high", 0, 100, &view.high, err))
        return false;
    if (view.low >= view.high)
        return den_err_field(
            err, DEN_E_INVALID, "low",
            "low is %g and high is %g; low must be the smaller percentile", view.low,
            view.high);
    view.page = (uint32_t)page;
    view.size = (size_t)size;
    char from[PATH_MAX], to[PATH_MAX];
    den_blobs_path(den_service_blobs(api->service), row.sha256, from, sizeof from);
    den_blobs_temporary(den_service_blobs(api->service), to, sizeof to);
    char *data = NULL;
    size_t length = 0;
    bool done =
        render(from, den_service_image_limits(api->service), &view, channel, to, err) &&
        den_fs_read(to, (size_t)64 << 20, &data, &length, err);
    (void)unlink(to); /* the folder is emptied at start in any case */
    if (done)
        den_reply_take(reply, "image/png", data, length);
    return done;
}
