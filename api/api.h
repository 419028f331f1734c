#ifndef DEN_API_H
#define DEN_API_H

/* The HTTP interface of denoised: openapi.yaml in C.  One file per resource, one row per
 * endpoint. */

#include "courier.h"
#include "http.h"
#include "service.h"

struct den_api;

/* The service is borrowed and must outlive the api. */
bool den_api_new(struct den_service *service, struct den_api **ret,
                 struct den_err *err) DEN_CHECKED;
void den_api_free(struct den_api *api);
/* After den_http_start: job events wake its streams, /metrics reads its counters. */
void den_api_set_http(struct den_api *api, struct den_http *http);
/* Seconds of a worker's silence after which the server is not ready; 0, as at first: it
 * may be silent.  Before den_http_start. */
void den_api_set_stall(struct den_api *api, double seconds);
/* From now on jobs may name a webhook on one of the hosts (as of webhook_url.h), and the
 * courier, which is borrowed, takes messages there, signed with the key in the file.
 * Before den_http_start. */
bool den_webhooks_start(struct den_api *api, struct den_courier *courier,
                        const char *hosts, const char *key_file,
                        struct den_err *err) DEN_CHECKED;
/* Is there a key in the file?  What is wrong is said by the setting's name. */
bool den_webhooks_key_check(const char *path, struct den_err *err) DEN_CHECKED;
void den_webhooks_stop(struct den_api *api); /* before den_api_free; NULL is fine */
/* Ends with method NULL.  app of the handlers is the struct den_api. */
const struct den_route *den_api_routes(void);
/* For struct den_http_config. */
void den_api_problem(void *app, const struct den_request *request,
                     const struct den_err *err, struct den_reply *reply);
bool den_api_admit(void *app, struct den_request *request, const char *scope,
                   struct den_err *err);
bool den_api_busy(void *app); /* the store waits for the disk */
bool den_api_part_begin(void *app, const struct den_request *request,
                        struct den_part *ret, struct den_err *err);
void den_api_part_end(void *app, struct den_part *part);
void den_api_temporary(void *app, char *to, size_t size);

#endif
