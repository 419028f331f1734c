#include <stdlib.h>

#include "handlers.h"
#include "jail.h"
#include "upkeep.h"

static const char contract[] = {
#include "openapi.inc"
    0};

DEN_HANDLER(den_h_health)
{
    (void)app;
    (void)request;
    return den_reply_json(reply, 200, json_pack("{ss}", "status", "ok"), err);
}

/* ---- readiness ----------------------------------------------------------------------
 */

static bool goes_on(struct den_api *api, struct den_err *err)
{
    return api->http == NULL || !den_http_draining(api->http) ||
           den_err_set(err, DEN_E_DRAINING,
                       "the server is going down; running jobs will go on at its next "
                       "start");
}

static bool store_answers(struct den_api *api, struct den_err *err)
{
    return den_service_store_answers(api->service, err);
}

static bool has_room(struct den_api *api, struct den_err *err)
{
    return den_service_room(api->service, err);
}

static bool workers_live(struct den_api *api, struct den_err *err)
{
    return den_service_workers_live(api->service, api->stall_s, err);
}

static bool jail_stands(struct den_api *api, struct den_err *err)
{
    (void)api;
    return den_jail_stands() ||
           den_err_set(
               err, DEN_E_INTERNAL,
               "the process that starts image decoders has ended; denoised has to "
               "be started again");
}

/* What has to hold, each with its name in `errors`. */
static const struct {
    const char *name;
    bool (*holds)(struct den_api *api, struct den_err *err);
} conditions[] = {
    {"/server", goes_on},       {"/store", store_answers}, {"/disk", has_room},
    {"/workers", workers_live}, {"/jail", jail_stands},
};

/* A problem with all reasons; its code and detail are those of the first. */
static bool reply_not_ready(struct den_reply *reply, const struct den_request *request,
                            const struct den_err *first, json_t *reasons,
                            struct den_err *err)
{
    json_t *body = json_pack("{ss ss si ss ss ss so}", "type", "about:blank", "title",
                             "Not ready", "status", 503, "detail", first->text, "code",
                             den_code_name(first->code), "request_id",
                             den_request_id(request), "errors", reasons);
    char *text = body != NULL ? json_dumps(body, DEN_JSON_STYLE) : NULL;
    json_decref(body);
    if (text == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
    den_reply_status(reply, 503);
    den_reply_header(reply, "Retry-After", "10");
    den_reply_text(reply, "application/problem+json", text);
    free(text);
    return true;
}

DEN_HANDLER(den_h_ready)
{
    struct den_api *api = app;
    struct den_err first = DEN_ERR_INIT;
    json_t *reasons = json_array();
    for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
        struct den_err why = DEN_ERR_INIT;
        if (conditions[i].holds(api, &why))
            continue;
        if (first.code == DEN_OK)
            first = why;
        (void)json_array_append_new(
            reasons,
            json_pack("{ss ss}", "pointer", conditions[i].name, "detail", why.text));
    }
    if (first.code != DEN_OK)
        return reply_not_ready(reply, request, &first, reasons, err);
    json_decref(reasons);
    return den_reply_json(reply, 200, json_pack("{ss}", "status", "ready"), err);
}

DEN_HANDLER(den_h_contract)
{
    (void)app;
    (void)request;
    (void)err;
    den_reply_text(reply, "application/yaml", contract);
    return true;
}
