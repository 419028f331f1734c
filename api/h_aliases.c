/* Names for versions of models: which one is in use, and the way back. */

#include <string.h>

#include "handlers.h"
#include "str.h"

static json_t *json_alias(const struct den_alias_row *row)
{
    json_t *previous = row->previous > 0 ? json_integer(row->previous) : json_null();
    return json_pack("{ss ss sI so so}", "model", row->model, "name", row->name,
                     "version", (json_int_t)row->version, "previous", previous,
                     "updated_at", den_json_time(row->updated_ms));
}

static bool read_name(const struct den_request *request, const char **ret,
                      struct den_err *err)
{
    *ret = den_request_param(request, "alias");
    return den_alias_valid(*ret) ||
           den_err_set(err, DEN_E_INVALID,
                       "an alias has 1 to 64 of the characters A-Z a-z 0-9 . _ - and "
                       "begins with a letter");
}

DEN_HANDLER(den_h_alias_list)
{
    struct den_api *api = app;
    const char *owner = den_request_owner(request),
               *model = den_request_param(request, "name");
    struct den_alias_row rows[DEN_ALIASES];
    struct den_model_row seen;
    size_t count = 0;
    if (!api->store_kind->model_get(api->store, owner, model, 0, &seen, err) ||
        !api->store_kind->alias_list(api->store, owner, model, rows, &count, err))
        return false;
    json_t *items = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(items, json_alias(&rows[i]));
    return den_reply_json(reply, 200, json_pack("{so}", "aliases", items), err);
}

DEN_HANDLER(den_h_alias_get)
{
    struct den_api *api = app;
    const char *name;
    struct den_alias_row row;
    return read_name(request, &name, err) &&
           api->store_kind->alias_get(api->store, den_request_owner(request),
                                      den_request_param(request, "name"), name, &row,
                                      err) &&
           den_reply_json(reply, 200, json_alias(&row), err);
}

DEN_HANDLER(den_h_alias_set)
{
    struct den_api *api = app;
    struct den_alias_row row = {0};
    json_t *body = NULL;
    const char *name, *model = den_request_param(request, "name");
    int64_t if_version = -1;
    bool found = false;
    if (!read_name(request, &name, err) || !den_in_body(request, &body, err))
        return false;
    bool done =
        den_in_only(body, "", "version if_version", err) &&
        den_in_integer(body, "", "if_version", 0, INT32_MAX, &found, &if_version, err) &&
        den_in_integer(body, "", "version", 1, INT32_MAX, &found, &row.version, err) &&
        (found ||
         den_err_field(err, DEN_E_INVALID, "/version",
                       "version is missing: the number that '%s' shall name", name));
    json_decref(body);
    if (!done)
        return false;
    if (!den_str_copy(row.model, sizeof row.model, model))
        return den_err_set(err, DEN_E_NOT_FOUND, "there is no model '%.64s'", model);
    (void)den_str_copy(row.name, sizeof row.name, name);
    return api->store_kind->alias_set(api->store, den_request_owner(request), &row,
                                      if_version, err) &&
           den_reply_json(reply, 200, json_alias(&row), err);
}

DEN_HANDLER(den_h_alias_delete)
{
    struct den_api *api = app;
    const char *name;
    if (!read_name(request, &name, err) ||
        !api->store_kind->alias_delete(api->store, den_request_owner(request),
                                       den_request_param(request, "name"), name, err))
        return false;
    den_reply_status(reply, 204);
    return true;
}

DEN_HANDLER(den_h_alias_rollback)
{
    struct den_api *api = app;
    const char *name;
    struct den_alias_row row;
    return read_name(request, &name, err) &&
           api->store_kind->alias_rollback(api->store, den_request_owner(request),
                                           den_request_param(request, "name"), name, &row,
                                           err) &&
           den_reply_json(reply, 200, json_alias(&row), err);
}

DEN_AGAIN(den_again_alias)
{
    struct den_alias_row row;
    char model[DEN_NAME_SIZE];
    const char *mark = strrchr(object, '@');
    if (mark == NULL || (size_t)(mark - object) >= sizeof model)
        return den_err_set(err, DEN_E_NOT_FOUND, "there is no alias of that name");
    memcpy(model, object, (size_t)(mark - object));
    model[mark - object] = '\0';
    return api->store_kind->alias_get(api->store, den_request_owner(request), model,
                                      mark + 1, &row, err) &&
           den_reply_json(reply, 200, json_alias(&row), err);
}
