#ifndef DEN_HTTP_CLIENT_H
#define DEN_HTTP_CLIENT_H

/* Requests to the server, one after the other over one connection.
 *
 * An answer of 400 and above is an error: err gets the detail of the problem document
 * [RFC 9457], cli->note its code, the HTTP status and the JSON Pointers; cli->failure
 * becomes DEN_EXIT_SERVER or DEN_EXIT_AUTH.  A *ret of JSON is the caller's to decref. */

#include <jansson.h>

#include "cli.h"

/* /v1/jobs/ID/report is den_client_path(.., "/v1/jobs", "ID", "/report"); the middle part
 * is percent-encoded. */
bool den_client_path(char *to, size_t size, const char *collection, const char *member,
                     const char *rest, struct den_err *err) DEN_CHECKED;
/* to = front, then the value percent-encoded. */
bool den_client_query(char *to, size_t size, const char *front, const char *value,
                      struct den_err *err) DEN_CHECKED;

bool den_client_get(struct den_cli *cli, const char *path, json_t **ret,
                    struct den_err *err) DEN_CHECKED;
/* Takes the body; NULL counts as memory that was not there. */
bool den_client_post(struct den_cli *cli, const char *path, json_t *body, json_t **ret,
                     struct den_err *err) DEN_CHECKED;
/* The same with an Idempotency-Key: a request that comes twice is done once.  key NULL =
 * none. */
bool den_client_post_once(struct den_cli *cli, const char *path, json_t *body,
                          const char *key, json_t **ret, struct den_err *err) DEN_CHECKED;
/* PUT, with a body as of den_client_post. */
bool den_client_put(struct den_cli *cli, const char *path, json_t *body, json_t **ret,
                    struct den_err *err) DEN_CHECKED;
/* POST without a body, as /cancel wants it. */
bool den_client_act(struct den_cli *cli, const char *path, json_t **ret,
                    struct den_err *err) DEN_CHECKED;
/* Sends a file as a new image; errors name it. */
bool den_client_upload(struct den_cli *cli, const char *file, json_t **ret,
                       struct den_err *err) DEN_CHECKED;
/* The body of an answer into an open file.  accept: the media type wanted, or NULL. */
bool den_client_download(struct den_cli *cli, const char *path, const char *accept,
                         int fd, struct den_err *err) DEN_CHECKED;

/* Server-sent events.  event returns false to stop; *last is the id of the last event,
 * sent as Last-Event-ID when it is not 0.  true when the stream ended in order. */
struct den_sse_event {
    const char *type;
    const json_t *data; /* an object */
};
bool den_client_events(struct den_cli *cli, const char *path, uint64_t *last,
                       bool (*event)(void *context, const struct den_sse_event *event),
                       void *context, struct den_err *err) DEN_CHECKED;

void den_client_close(struct den_cli *cli);

#endif
