#include "handlers.h"

#include <limits.h>
#include <string.h>

#include "mem.h"
#include "str.h"

bool den_api_new(struct den_service *service, struct den_api **ret, struct den_err *err)
{
    struct den_api *api = den_new(1, sizeof *api, err);
    if (api == NULL)
        return false;
    api->service = service;
    pthread_mutex_init(&api->once.lock, NULL);
    api->store_kind = den_service_store(service, &api->store);
    *ret = api;
    return true;
}

void den_api_free(struct den_api *api)
{
    if (api == NULL)
        return;
    den_service_on_event(api->service, NULL, NULL);
    pthread_mutex_destroy(&api->once.lock);
    den_free(api);
}

static void wake_streams(void *context)
{
    den_http_wake(context);
}

void den_api_set_http(struct den_api *api, struct den_http *http)
{
    api->http = http;
    den_service_on_event(api->service, http != NULL ? wake_streams : NULL, http);
}

void den_api_set_stall(struct den_api *api, double seconds)
{
    api->stall_s = seconds;
}

void den_api_temporary(void *app, char *to, size_t size)
{
    struct den_api *api = app;
    den_blobs_temporary(den_service_blobs(api->service), to, size);
}

bool den_api_busy(void *app)
{
    const struct den_api *api = app;
    return api->store_kind->busy(api->store);
}

bool den_api_id(const struct den_request *request, const char *prefix, const char **ret,
                struct den_err *err)
{
    const char *id = den_request_param(request, "id");
    if (id == NULL || !den_id_valid(id, prefix)) {
        char shown[48];
        (void)den_str_copy(shown, sizeof shown, id != NULL ? id : "");
        return den_err_set(err, DEN_E_NOT_FOUND,
                           "'%s' is not an id of this kind (%s and 26 characters)",
                           den_utf8_printable(shown) ? shown : "?", prefix);
    }
    *ret = id;
    return true;
}

/* A number parser's sentence with the query key in front, as a 400. */
static bool bad_query(const char *key, const struct den_err *why, struct den_err *err)
{
    return den_err_field(err, DEN_E_MALFORMED, key, "query key '%s': %s", key, why->text);
}

bool den_api_query_int(const struct den_request *request, const char *key, int64_t min,
                       int64_t max, int64_t *ret, struct den_err *err)
{
    const char *text = den_request_query(request, key);
    struct den_err why = DEN_ERR_INIT;
    if (text == NULL || den_parse_int(text, min, max, ret, &why))
        return true;
    return bad_query(key, &why, err);
}

bool den_api_query_double(const struct den_request *request, const char *key, double min,
                          double max, double *ret, struct den_err *err)
{
    const char *text = den_request_query(request, key);
    struct den_err why = DEN_ERR_INIT;
    if (text == NULL || den_parse_double(text, min, max, ret, &why))
        return true;
    return bad_query(key, &why, err);
}

bool den_api_page(const struct den_request *request, const char *prefix,
                  size_t *ret_limit, const char **ret_after, struct den_err *err)
{
    int64_t limit = 50;
    if (!den_api_query_int(request, "limit", 1, DEN_PAGE_MAX, &limit, err))
        return false;
    const char *after = den_request_query(request, "cursor");
    if (after != NULL && prefix != NULL && !den_id_valid(after, prefix))
        return den_err_field(err, DEN_E_MALFORMED, "cursor",
                             "query key 'cursor' is not a next_cursor of this list");
    *ret_limit = (size_t)limit;
    *ret_after = after != NULL ? after : "";
    return true;
}
