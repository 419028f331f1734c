#ifndef DEN_HANDLERS_H
#define DEN_HANDLERS_H

/* Private to api/: the handlers behind the rows of den_routes[] and what they share. */

#include <jansson.h>
#include <pthread.h>

#include "api.h"
#include "json_in.h"
#include "metric.h"

/* Requests with an Idempotency-Key that are under way; once.c. */
struct den_pending {
    const char *owner, *key;
    struct den_pending *next;
};
struct den_once {
    pthread_mutex_t lock; /* guards first */
    struct den_pending *first;
};

struct den_api {
    struct den_service *service;
    const struct den_store_kind *store_kind;
    struct den_store *store;
    struct den_http *http;         /* NULL until den_api_set_http */
    double stall_s;                /* as of den_api_set_stall */
    char webhook_hosts[1024];      /* that may be called; "" = none */
    struct den_webhooks *webhooks; /* NULL = off */
    struct den_once once;
};

#define DEN_HANDLER(name)                                                      \
    bool name(void *app, struct den_request *request, struct den_reply *reply, \
              struct den_err *err)

DEN_HANDLER(den_h_image_add);
DEN_HANDLER(den_h_image_list);
DEN_HANDLER(den_h_image_get);
DEN_HANDLER(den_h_image_delete);
DEN_HANDLER(den_h_image_content);
DEN_HANDLER(den_h_image_preview);
DEN_HANDLER(den_h_upload_options);
DEN_HANDLER(den_h_upload_add);
DEN_HANDLER(den_h_upload_get);
DEN_HANDLER(den_h_upload_delete);
DEN_HANDLER(den_h_upload_part);
DEN_HANDLER(den_h_dataset_add);
DEN_HANDLER(den_h_dataset_list);
DEN_HANDLER(den_h_dataset_get);
DEN_HANDLER(den_h_dataset_delete);
DEN_HANDLER(den_h_job_add);
DEN_HANDLER(den_h_job_list);
DEN_HANDLER(den_h_job_get);
DEN_HANDLER(den_h_job_delete);
DEN_HANDLER(den_h_job_cancel);
DEN_HANDLER(den_h_job_retry);
DEN_HANDLER(den_h_job_events);
DEN_HANDLER(den_h_job_report);
DEN_HANDLER(den_h_job_result);
DEN_HANDLER(den_h_job_sample);
DEN_HANDLER(den_h_job_preview);
DEN_HANDLER(den_h_model_list);
DEN_HANDLER(den_h_model_versions);
DEN_HANDLER(den_h_model_get);
DEN_HANDLER(den_h_model_delete);
DEN_HANDLER(den_h_model_share);
DEN_HANDLER(den_h_model_weights);
DEN_HANDLER(den_h_alias_list);
DEN_HANDLER(den_h_alias_get);
DEN_HANDLER(den_h_alias_set);
DEN_HANDLER(den_h_alias_delete);
DEN_HANDLER(den_h_alias_rollback);
DEN_HANDLER(den_h_me);
DEN_HANDLER(den_h_token_list);
DEN_HANDLER(den_h_token_add);
DEN_HANDLER(den_h_token_delete);
DEN_HANDLER(den_h_audit_list);
DEN_HANDLER(den_h_methods);
DEN_HANDLER(den_h_health);
DEN_HANDLER(den_h_ready);
DEN_HANDLER(den_h_metrics);
DEN_HANDLER(den_h_contract);
DEN_HANDLER(den_h_page);
DEN_HANDLER(den_h_web);

/* ---- json_out.c ---- */
/* 12 digits: 0.3 stays 0.3, and nothing here was measured to more. */
#define DEN_JSON_STYLE (JSON_COMPACT | JSON_REAL_PRECISION(12))
/* Takes the reference of value (NULL = out of memory). */
bool den_reply_json(struct den_reply *reply, unsigned status, json_t *value,
                    struct den_err *err) DEN_CHECKED;
json_t *den_json_time(int64_t wall_ms);      /* null for 0 */
json_t *den_json_text(const char *text);     /* null for "" */
json_t *den_json_number(double value);       /* null for NaN and infinity */
json_t *den_json_config(const char *config); /* "key=value\n" lines as an object of typed
                                                values; without base model, pages and
                                                channels, which are no settings */
json_t *den_json_base(const char *config);   /* its base model, "name@3", or null */
json_t *den_json_pages(const char *config);  /* "0-9,12", or null */
json_t *den_json_channels(const char *config); /* [0, 2], or null */
json_t *den_json_image(const struct den_image_row *row);
json_t *den_json_dataset(const struct den_dataset_row *row);
/* position 0 = not queued */
json_t *den_json_job(const struct den_job_row *row, const struct den_outlook *outlook);
json_t *den_json_model(const struct den_model_row *row);
json_t *den_json_metric(const struct den_metric *metric); /* all but the name */

/* The answer to a request that made or changed this object, as the object is by now. */
#define DEN_AGAIN(name)                                               \
    bool name(struct den_api *api, const struct den_request *request, \
              const char *object, struct den_reply *reply, struct den_err *err)
DEN_AGAIN(den_again_job);
DEN_AGAIN(den_again_dataset);
DEN_AGAIN(den_again_image);
DEN_AGAIN(den_again_upload);
DEN_AGAIN(den_again_alias); /* name@alias */
DEN_AGAIN(den_again_token);

/* ---- errors.c ---- */
unsigned den_api_status(enum den_code code); /* of HTTP */

/* ---- auth.c ---- */
/* What the token of the request may do (DEN_SCOPE_...); all, where none is needed. */
unsigned den_api_scopes(struct den_api *api, const struct den_request *request);
/* For what is more than its route says; "a train job" needs the scope train. */
bool den_api_need_scope(struct den_api *api, const struct den_request *request,
                        const char *scope, const char *what,
                        struct den_err *err) DEN_CHECKED;

/* ---- what handlers share (api.c) ---- */
/* The path parameter {id}, checked for its prefix ("img_"): anything else is
 * DEN_E_NOT_FOUND. */
bool den_api_id(const struct den_request *request, const char *prefix, const char **ret,
                struct den_err *err) DEN_CHECKED;
/* Query numbers; *ret keeps its default when the key is absent. */
bool den_api_query_int(const struct den_request *request, const char *key, int64_t min,
                       int64_t max, int64_t *ret, struct den_err *err) DEN_CHECKED;
bool den_api_query_double(const struct den_request *request, const char *key, double min,
                          double max, double *ret, struct den_err *err) DEN_CHECKED;
/* The denoise job {id}, which must be succeeded. */
bool den_api_result(struct den_api *api, const struct den_request *request,
                    struct den_job_row *ret, struct den_err *err) DEN_CHECKED;
#define DEN_PAGE_MAX 500
/* ?limit= and ?cursor= of a list. */
bool den_api_page(const struct den_request *request, const char *prefix,
                  size_t *ret_limit, const char **ret_after,
                  struct den_err *err) DEN_CHECKED;
/* {key: items, next_cursor}: takes items; cursor "" = last page. */
bool den_reply_list(struct den_reply *reply, const char *key, json_t *items,
                    const char *cursor, struct den_err *err) DEN_CHECKED;

#endif
