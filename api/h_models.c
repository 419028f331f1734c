#include <limits.h>
#include <string.h>

#include "handlers.h"
#include "mem.h"
#include "str.h"

static bool list(struct den_api *api, struct den_request *request, const char *name,
                 struct den_reply *reply, struct den_err *err)
{
    size_t limit, count = 0;
    const char *after;
    if (!den_api_page(request, NULL, &limit, &after, err))
        return false;
    struct den_model_row *rows = den_new(limit, sizeof *rows, err);
    if (rows == NULL)
        return false;
    bool done = api->store_kind->model_list(api->store, den_request_owner(request), name,
                                            after, limit, rows, &count, err);
    if (done && name != NULL && count == 0) /* behind the last, or of no model */
        done = api->store_kind->model_get(api->store, den_request_owner(request), name, 0,
                                          &rows[0], err);
    if (done) {
        json_t *items = json_array();
        char cursor[DEN_NAME_SIZE] = "";
        for (size_t i = 0; i < count; i++)
            (void)json_array_append_new(items, den_json_model(&rows[i]));
        if (count == limit && name == NULL)
            (void)den_str_copy(cursor, sizeof cursor, rows[count - 1].name);
        else if (count == limit)
            (void)den_str_format(cursor, sizeof cursor, "%lld",
                                 (long long)rows[count - 1].version);
        done = den_reply_list(reply, "models", items, cursor, err);
    }
    den_free(rows);
    return done;
}

DEN_HANDLER(den_h_model_list)
{
    return list(app, request, NULL, reply, err);
}

DEN_HANDLER(den_h_model_versions)
{
    return list(app, request, den_request_param(request, "name"), reply, err);
}

/* {version} of the path; 0 when the route has none. */
static bool version_of(const struct den_request *request, int64_t *ret,
                       struct den_err *err)
{
    const char *text = den_request_param(request, "version");
    *ret = 0;
    if (text == NULL || den_parse_int(text, 1, INT32_MAX, ret, NULL))
        return true;
    return den_err_set(err, DEN_E_NOT_FOUND, "'%.20s' is not a version number",
                       den_utf8_printable(text) ? text : "?");
}

static bool find(struct den_api *api, const struct den_request *request,
                 struct den_model_row *ret, struct den_err *err)
{
    int64_t version;
    return version_of(request, &version, err) &&
           api->store_kind->model_get(api->store, den_request_owner(request),
                                      den_request_param(request, "name"), version, ret,
                                      err);
}

DEN_HANDLER(den_h_model_get)
{
    struct den_model_row row;
    return find(app, request, &row, err) &&
           den_reply_json(reply, 200, den_json_model(&row), err);
}

DEN_HANDLER(den_h_model_delete)
{
    struct den_api *api = app;
    int64_t version;
    if (!version_of(request, &version, err) ||
        !den_service_delete_model(api->service, den_request_owner(request),
                                  den_request_param(request, "name"), version, err))
        return false;
    den_reply_status(reply, 204);
    return true;
}

/* {"shared": true}, and nothing else. */
static bool read_shared(const struct den_request *request, bool *ret, struct den_err *err)
{
    json_t *body = NULL;
    if (!den_in_body(request, &body, err))
        return false;
    const json_t *value = json_object_get(body, "shared");
    bool done = den_in_only(body, "", "shared", err);
    if (done && !json_is_boolean(value))
        done = den_err_field(err, DEN_E_MALFORMED, "/shared",
                             "shared must be true or false, not %s",
                             value != NULL ? den_json_kind(value) : "absent");
    if (done)
        *ret = json_is_true(value);
    json_decref(body);
    return done;
}

DEN_HANDLER(den_h_model_share)
{
    struct den_api *api = app;
    struct den_model_row row;
    bool shared = false;
    return read_shared(request, &shared, err) &&
           api->store_kind->model_share(api->store, den_request_owner(request),
                                        den_request_param(request, "name"), shared, &row,
                                        err) &&
           den_reply_json(reply, 200, den_json_model(&row), err);
}

DEN_HANDLER(den_h_model_weights)
{
    struct den_api *api = app;
    struct den_model_row row;
    if (!find(api, request, &row, err))
        return false;
    char path[PATH_MAX], name[DEN_NAME_SIZE + 40];
    den_blobs_path(den_service_blobs(api->service), row.sha256, path, sizeof path);
    (void)den_str_format(name, sizeof name, "%s-%lld.safetensors", row.name,
                         (long long)row.version);
    return den_reply_file(reply, path, "application/octet-stream", row.sha256, name, err);
}
