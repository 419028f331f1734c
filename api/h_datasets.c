#include <string.h>

#include "handlers.h"
#include "mem.h"
#include "str.h"

#define ITEMS_MAX 10000

/* Copies an image id out of a JSON string; at: JSON Pointer of the place. */
static bool read_id(const json_t *value, const char *at, char *to, struct den_err *err)
{
    if (!json_is_string(value))
        return den_err_field(err, DEN_E_MALFORMED, at,
                             "an image id must be a string, not %s",
                             den_json_kind(value));
    const char *id = json_string_value(value);
    if (!den_id_valid(id, "img_") || !den_str_copy(to, DEN_ID_SIZE, id))
        return den_err_field(err, DEN_E_NOT_FOUND, at, "there is no such image: '%.40s'",
                             den_utf8_printable(id) ? id : "?");
    return true;
}

static bool read_pairs(const json_t *body, struct den_dataset_item **ret,
                       size_t *ret_count, struct den_err *err)
{
    json_t *pairs = NULL;
    if (!den_in_array(body, "", "pairs", true, ITEMS_MAX, &pairs, err))
        return false;
    size_t count = json_array_size(pairs);
    struct den_dataset_item *items = den_new(count, sizeof *items, err);
    if (items == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *pair = json_array_get(pairs, i);
        char at[48], noisy[64], clean[64];
        (void)den_str_format(at, sizeof at, "/pairs/%zu", i);
        (void)den_str_format(noisy, sizeof noisy, "%s/noisy", at);
        (void)den_str_format(clean, sizeof clean, "%s/clean", at);
        bool fine = json_is_object(pair) ||
                    den_err_field(err, DEN_E_MALFORMED, at,
                                  "a pair must be an object {noisy, clean}, not %s",
                                  den_json_kind(pair));
        fine = fine && den_in_only(pair, at, "noisy clean", err) &&
               read_id(json_object_get(pair, "noisy"), noisy, items[i].noisy, err) &&
               read_id(json_object_get(pair, "clean"), clean, items[i].clean, err);
        if (!fine) {
            den_free(items);
            return false;
        }
    }
    *ret = items;
    *ret_count = count;
    return true;
}

static bool read_images(const json_t *body, struct den_dataset_item **ret,
                        size_t *ret_count, struct den_err *err)
{
    json_t *images = NULL;
    if (!den_in_array(body, "", "images", true, ITEMS_MAX, &images, err))
        return false;
    size_t count = json_array_size(images);
    struct den_dataset_item *items = den_new(count, sizeof *items, err);
    if (items == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        char at[48];
        (void)den_str_format(at, sizeof at, "/images/%zu", i);
        if (!read_id(json_array_get(images, i), at, items[i].noisy, err)) {
            den_free(items);
            return false;
        }
    }
    *ret = items;
    *ret_count = count;
    return true;
}

/* The two ways to say what belongs together; a new kind is a new row. */
static const struct {
    const char *kind, *members;
    bool (*read)(const json_t *body, struct den_dataset_item **ret, size_t *ret_count,
                 struct den_err *err);
} kinds[] = {
    {"pairs", "name kind pairs", read_pairs},
    {"repeats", "name kind images", read_images},
};

DEN_HANDLER(den_h_dataset_add)
{
    struct den_api *api = app;
    json_t *body = NULL;
    const char *name = NULL, *kind = NULL;
    struct den_dataset_item *items = NULL;
    size_t count = 0;
    bool done = false;
    if (!den_in_body(request, &body, err))
        return false;
    if (!den_in_only(body, "", "name kind pairs images", err) ||
        !den_in_string(body, "", "name", true, DEN_NAME_SIZE - 1, &name, err) ||
        !den_in_string(body, "", "kind", true, 32, &kind, err))
        goto out;
    size_t k = 0, n = sizeof kinds / sizeof kinds[0];
    while (k < n && strcmp(kinds[k].kind, kind) != 0)
        k++;
    if (k == n) {
        (void)den_err_field(err, DEN_E_INVALID, "/kind",
                            "kind '%s' is unknown; allowed are pairs and repeats", kind);
        goto out;
    }
    struct den_dataset_row row;
    if (!den_in_only(body, "", kinds[k].members, err) ||
        !kinds[k].read(body, &items, &count, err) ||
        !den_service_add_dataset(api->service, den_request_owner(request), name, kind,
                                 items, count, &row, err))
        goto out;
    char location[80];
    (void)den_str_format(location, sizeof location, "/v1/datasets/%s", row.id);
    den_reply_header(reply, "Location", location);
    done = den_reply_json(reply, 201, den_json_dataset(&row), err);
out:
    den_free(items);
    json_decref(body);
    return done;
}

DEN_HANDLER(den_h_dataset_list)
{
    struct den_api *api = app;
    size_t limit, count = 0;
    const char *after;
    if (!den_api_page(request, "set_", &limit, &after, err))
        return false;
    struct den_dataset_row *rows = den_new(limit, sizeof *rows, err);
    if (rows == NULL)
        return false;
    bool done = false;
    if (api->store_kind->dataset_list(api->store, den_request_owner(request), after,
                                      limit, rows, &count, err)) {
        json_t *items = json_array();
        for (size_t i = 0; i < count; i++)
            (void)json_array_append_new(items, den_json_dataset(&rows[i]));
        done = den_reply_list(reply, "datasets", items,
                              count == limit ? rows[count - 1].id : "", err);
    }
    den_free(rows);
    return done;
}

DEN_HANDLER(den_h_dataset_get)
{
    struct den_api *api = app;
    const char *id;
    struct den_dataset_row row;
    struct den_dataset_item *items = NULL;
    size_t count = 0;
    if (!den_api_id(request, "set_", &id, err) ||
        !api->store_kind->dataset_get(api->store, den_request_owner(request), id, &row,
                                      err) ||
        !api->store_kind->dataset_items(api->store, den_request_owner(request), id,
                                        &items, &count, err))
        return false;
    bool pairs = strcmp(row.kind, "pairs") == 0;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(
            list,
            pairs ? json_pack("{ss ss}", "noisy", items[i].noisy, "clean", items[i].clean)
                  : json_string(items[i].noisy));
    den_free(items);
    json_t *out = den_json_dataset(&row);
    (void)json_object_set_new(out, pairs ? "pairs" : "images", list);
    return den_reply_json(reply, 200, out, err);
}

DEN_HANDLER(den_h_dataset_delete)
{
    struct den_api *api = app;
    const char *id;
    if (!den_api_id(request, "set_", &id, err) ||
        !api->store_kind->dataset_delete(api->store, den_request_owner(request), id, err))
        return false;
    den_reply_status(reply, 204);
    return true;
}

DEN_AGAIN(den_again_dataset)
{
    struct den_dataset_row row;
    char location[80];
    if (!api->store_kind->dataset_get(api->store, den_request_owner(request), object,
                                      &row, err))
        return false;
    (void)den_str_format(location, sizeof location, "/v1/datasets/%s", row.id);
    den_reply_header(reply, "Location", location);
    return den_reply_json(reply, 201, den_json_dataset(&row), err);
}
