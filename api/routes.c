#include <pthread.h>
#include <string.h>

#include "once.h"

/* Every endpoint is one row; a test holds this table against openapi.yaml both ways. */
static const struct den_route routes[] = {
    {"POST", "/v1/images", den_h_image_add, DEN_BODY_FILE, "name", "submit",
     DEN_COMPUTES},
    {"GET", "/v1/images", den_h_image_list, DEN_BODY_NONE, "limit cursor", "read",
     DEN_AT_ONCE},
    {"GET", "/v1/images/{id}", den_h_image_get, DEN_BODY_NONE, NULL, "read", DEN_AT_ONCE},
    {"DELETE", "/v1/images/{id}", den_h_image_delete, DEN_BODY_NONE, NULL, "submit",
     DEN_WAITS},
    {"GET", "/v1/images/{id}/content", den_h_image_content, DEN_BODY_NONE, NULL, "read",
     DEN_AT_ONCE},
    {"GET", "/v1/images/{id}/preview", den_h_image_preview, DEN_BODY_NONE,
     "page channel size low high as", "read", DEN_COMPUTES},
    {"OPTIONS", "/v1/uploads", den_h_upload_options, DEN_BODY_NONE, NULL, NULL,
     DEN_AT_ONCE},
    {"POST", "/v1/uploads", den_h_upload_add, DEN_BODY_NONE, NULL, "submit", DEN_WAITS},
    {"GET", "/v1/uploads/{id}", den_h_upload_get, DEN_BODY_NONE, NULL, "submit",
     DEN_AT_ONCE},
    {"PATCH", "/v1/uploads/{id}", den_h_upload_part, DEN_BODY_PART, NULL, "submit",
     DEN_COMPUTES},
    {"DELETE", "/v1/uploads/{id}", den_h_upload_delete, DEN_BODY_NONE, NULL, "submit",
     DEN_WAITS},
    {"POST", "/v1/datasets", den_h_dataset_add, DEN_BODY_JSON, NULL, "submit", DEN_WAITS},
    {"GET", "/v1/datasets", den_h_dataset_list, DEN_BODY_NONE, "limit cursor", "read",
     DEN_AT_ONCE},
    {"GET", "/v1/datasets/{id}", den_h_dataset_get, DEN_BODY_NONE, NULL, "read",
     DEN_AT_ONCE},
    {"DELETE", "/v1/datasets/{id}", den_h_dataset_delete, DEN_BODY_NONE, NULL, "submit",
     DEN_WAITS},
    {"POST", "/v1/jobs", den_h_job_add, DEN_BODY_JSON, "dry_run", "submit", DEN_WAITS},
    {"GET", "/v1/jobs", den_h_job_list, DEN_BODY_NONE, "state kind limit cursor", "read",
     DEN_AT_ONCE},
    {"GET", "/v1/jobs/{id}", den_h_job_get, DEN_BODY_NONE, NULL, "read", DEN_AT_ONCE},
    {"DELETE", "/v1/jobs/{id}", den_h_job_delete, DEN_BODY_NONE, NULL, "submit",
     DEN_WAITS},
    {"POST", "/v1/jobs/{id}/cancel", den_h_job_cancel, DEN_BODY_NONE, NULL, "submit",
     DEN_WAITS},
    {"POST", "/v1/jobs/{id}/retry", den_h_job_retry, DEN_BODY_NONE, NULL, "submit",
     DEN_WAITS},
    {"GET", "/v1/jobs/{id}/events", den_h_job_events, DEN_BODY_NONE, NULL, "read",
     DEN_AT_ONCE},
    {"GET", "/v1/jobs/{id}/report", den_h_job_report, DEN_BODY_NONE, NULL, "read",
     DEN_AT_ONCE},
    {"GET", "/v1/jobs/{id}/sample", den_h_job_sample, DEN_BODY_NONE, NULL, "read",
     DEN_AT_ONCE},
    {"GET", "/v1/jobs/{id}/result", den_h_job_result, DEN_BODY_NONE, NULL, "read",
     DEN_AT_ONCE},
    {"GET", "/v1/jobs/{id}/preview", den_h_job_preview, DEN_BODY_NONE,
     "page channel size low high as", "read", DEN_COMPUTES},
    {"GET", "/v1/models", den_h_model_list, DEN_BODY_NONE, "limit cursor", "read",
     DEN_AT_ONCE},
    {"GET", "/v1/models/{name}", den_h_model_versions, DEN_BODY_NONE, "limit cursor",
     "read", DEN_AT_ONCE},
    {"DELETE", "/v1/models/{name}", den_h_model_delete, DEN_BODY_NONE, NULL, "train",
     DEN_WAITS},
    {"PUT", "/v1/models/{name}/shared", den_h_model_share, DEN_BODY_JSON, NULL, "train",
     DEN_WAITS},
    {"GET", "/v1/models/{name}/versions/{version}", den_h_model_get, DEN_BODY_NONE, NULL,
     "read", DEN_AT_ONCE},
    {"DELETE", "/v1/models/{name}/versions/{version}", den_h_model_delete, DEN_BODY_NONE,
     NULL, "train", DEN_WAITS},
    {"GET", "/v1/models/{name}/versions/{version}/weights", den_h_model_weights,
     DEN_BODY_NONE, NULL, "read", DEN_AT_ONCE},
    {"GET", "/v1/models/{name}/aliases", den_h_alias_list, DEN_BODY_NONE, NULL, "read",
     DEN_AT_ONCE},
    {"GET", "/v1/models/{name}/aliases/{alias}", den_h_alias_get, DEN_BODY_NONE, NULL,
     "read", DEN_AT_ONCE},
    {"PUT", "/v1/models/{name}/aliases/{alias}", den_h_alias_set, DEN_BODY_JSON, NULL,
     "train", DEN_WAITS},
    {"DELETE", "/v1/models/{name}/aliases/{alias}", den_h_alias_delete, DEN_BODY_NONE,
     NULL, "train", DEN_WAITS},
    {"POST", "/v1/models/{name}/aliases/{alias}/rollback", den_h_alias_rollback,
     DEN_BODY_NONE, NULL, "train", DEN_WAITS},
    {"GET", "/v1/me", den_h_me, DEN_BODY_NONE, NULL, "any", DEN_AT_ONCE},
    {"GET", "/v1/tokens", den_h_token_list, DEN_BODY_NONE, "limit cursor", "admin",
     DEN_AT_ONCE},
    {"POST", "/v1/tokens", den_h_token_add, DEN_BODY_JSON, NULL, "admin", DEN_WAITS},
    {"DELETE", "/v1/tokens/{id}", den_h_token_delete, DEN_BODY_NONE, NULL, "admin",
     DEN_WAITS},
    {"GET", "/v1/audit", den_h_audit_list, DEN_BODY_NONE, "limit cursor", "admin",
     DEN_WAITS},
    {"GET", "/v1/methods", den_h_methods, DEN_BODY_NONE, NULL, "read", DEN_AT_ONCE},
    {"GET", "/healthz", den_h_health, DEN_BODY_NONE, NULL, NULL, DEN_AT_ONCE},
    {"GET", "/readyz", den_h_ready, DEN_BODY_NONE, NULL, NULL, DEN_WAITS},
    {"GET", "/metrics", den_h_metrics, DEN_BODY_NONE, NULL, NULL, DEN_WAITS},
    {"GET", "/openapi.yaml", den_h_contract, DEN_BODY_NONE, NULL, NULL, DEN_AT_ONCE},
    {"GET", "/web/{file}", den_h_web, DEN_BODY_NONE, NULL, NULL, DEN_AT_ONCE},
    {"GET", "/", den_h_page, DEN_BODY_NONE, NULL, NULL, DEN_AT_ONCE},
    {NULL, NULL, NULL, DEN_BODY_NONE, NULL, NULL, DEN_AT_ONCE},
};

/* The same rows with handlers that go through `handle`. */
enum { ROUTES = sizeof routes / sizeof routes[0] };
static struct den_route served[ROUTES];
static pthread_once_t served_once = PTHREAD_ONCE_INIT;

/* What the store changes from here on is changed on behalf of whoever asks. */
static bool handle(void *app, struct den_request *request, struct den_reply *reply,
                   struct den_err *err)
{
    const struct den_route *route = &routes[den_request_route(request) - served];
    const struct den_actor actor = {.owner = den_request_owner(request),
                                    .token = den_request_token(request),
                                    .request = den_request_id(request)};
    den_actor_set(&actor);
    bool keyed = strcmp(route->method, "POST") == 0 &&
                 den_request_header(request, "Idempotency-Key") != NULL;
    bool done = keyed ? den_api_once(app, route, request, reply, err)
                      : route->handle(app, request, reply, err);
    den_actor_set(NULL);
    return done;
}

static void make_served(void)
{
    memcpy(served, routes, sizeof served);
    for (size_t i = 0; i < ROUTES - 1; i++)
        served[i].handle = handle;
}

const struct den_route *den_api_routes(void)
{
    (void)pthread_once(&served_once, make_served);
    return served;
}
