#include <limits.h>
#include <string.h>

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
    return name != NULL ? den_str_file_name(name) : "image";
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
    if (!den_service_add_image(api->service, den_request_owner(request), upload->path,
                               name, upload->sha256, &row, &is_new, err))
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
    if (api->store_kind->image_list(api->store, den_request_owner(request), after, limit,
                                    rows, &count, err)) {
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
           api->store_kind->image_get(api->store, den_request_owner(request), id, ret,
                                      err);
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
        !den_service_delete_image(api->service, den_request_owner(request), id, err))
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

DEN_AGAIN(den_again_image)
{
    struct den_image_row row;
    char location[80];
    if (!api->store_kind->image_get(api->store, den_request_owner(request), object, &row,
                                    err))
        return false;
    (void)den_str_format(location, sizeof location, "/v1/images/%s", row.id);
    den_reply_header(reply, "Location", location);
    return den_reply_json(reply, 201, den_json_image(&row), err);
}
