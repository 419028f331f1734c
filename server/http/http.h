#ifndef DEN_HTTP_H
#define DEN_HTTP_H

/* HTTP on libmicrohttpd: epoll and a thread pool.  It knows requests, replies and routes,
 * and nothing of images or jobs.  A handler fills a reply; it never sees libmicrohttpd.
 */

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "histogram.h"

struct den_http;
struct den_request;
struct den_reply;

enum den_body {
    DEN_BODY_NONE, /* a body is refused with 400 */
    DEN_BODY_JSON, /* kept in memory up to body_max */
    DEN_BODY_FILE, /* raw bytes or multipart field "file", streamed to a temporary file,
                      SHA-256 on the way */
    DEN_BODY_PART, /* raw bytes for a file of the application's (struct den_part), SHA-256
                      on the way; what has come stays when the connection breaks */
};

/* Where the bytes of a part go. */
struct den_part {
    int fd;        /* the bytes go to its place in the file */
    uint64_t most; /* so many may come */
    void *context;
};

/* Where a handler runs.  One that blocks does so on threads of its own, with the
 * connection suspended; a route that takes a file always does. */
enum den_slow {
    DEN_AT_ONCE,  /* aside only while the application is busy: see below */
    DEN_COMPUTES, /* decodes or hashes: few at a time */
    DEN_WAITS,    /* for the disk: many at a time */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): rows read best this way */
struct den_route {
    const char *method;  /* "GET", "POST", "PUT", "DELETE" */
    const char *pattern; /* "/v1/jobs/{id}/cancel": a {name} is one path segment */
    bool (*handle)(void *app, struct den_request *request, struct den_reply *reply,
                   struct den_err *err); /* false: problem+json from err */
    enum den_body body;
    const char
        *query; /* allowed query keys, "limit cursor"; others are 400; NULL = none */
    const char *scope; /* read, submit, train, admin; any = whoever is known; NULL = open
                          to all */
    enum den_slow slow;
};

struct den_http_config {
    const char *address; /* "127.0.0.1" or "::1" */
    uint16_t port;       /* 0 = a free one */
    int threads;
    unsigned connections;        /* limit */
    unsigned per_address;        /* connections of one address; 0 = no limit */
    size_t json_max;             /* bytes of a JSON body */
    uint64_t upload_max;         /* bytes of an uploaded file */
    uint64_t upload_spare;       /* bytes that it must leave free on the disk */
    unsigned timeout_s;          /* silence, and the time between two requests */
    unsigned header_s;           /* a request's line and headers in all; 0 = 10 */
    unsigned body_s, rate;       /* a body in all, and a reply: body_s, and a second
                                    more per `rate` bytes moved; 0 = 60, 50000 */
    unsigned ping_s;             /* silence of an event stream before a comment line
                                    goes out; 0 = 15 */
    unsigned linger_s;           /* what a refused client still sends is read; 0 = 10 */
    unsigned streams;            /* event streams at a time; 0 = 1024 */
    unsigned streams_per_client; /* and of one client; 0 = 64 */
    const char *proxies;         /* addresses, separated by spaces, whose X-Real-IP is
                                    believed; NULL = none */
    const char *tls_cert, *tls_key; /* PEM files; NULL or "" = plain HTTP */
    const char *hosts;              /* Host names allowed besides the loopback ones,
                                       separated by spaces; NULL = any Host */
    const struct den_route *routes; /* ends with method NULL */
    void *app;
    /* Called before the first connection is accepted; may be NULL. */
    void (*started)(void *app, struct den_http *http);
    /* Who asks, and may they?  Called when the route is known and nothing of the body has
     * been read; it must not block.  It names them by den_request_set_user; false: the
     * problem is from err.  NULL = anybody may do anything, and nobody has a name. */
    bool (*admit)(void *app, struct den_request *request, const char *scope,
                  struct den_err *err);
    /* For DEN_BODY_PART, may be NULL without such a route: before a byte of the body is
     * taken, and, after a success, once when the request is over, however it went.  They
     * must not block for long. */
    bool (*part_begin)(void *app, const struct den_request *request, struct den_part *ret,
                       struct den_err *err);
    void (*part_end)(void *app, struct den_part *part);
    /* Would a handler have to wait at this moment?  Then requests with a scope are put
     * aside, so that connections beside them go on.  NULL = never. */
    bool (*busy)(void *app);
    /* A fresh temporary file name for uploads, into to[size]. */
    void (*temporary)(void *app, char *to, size_t size);
    /* Maps an error to status and fills the problem body (api/errors.c). */
    void (*problem)(void *app, const struct den_request *request,
                    const struct den_err *err, struct den_reply *reply);
};

bool den_http_start(const struct den_http_config *config, struct den_http **ret,
                    struct den_err *err) DEN_CHECKED;
uint16_t den_http_port(const struct den_http *http);
/* No new connections, streams end, requests under way finish (at most drain_s seconds),
 * then stop.  NULL is fine.  Until den_http_free the handle stays valid for wake,
 * draining and stats. */
void den_http_stop(struct den_http *http, unsigned drain_s);
void den_http_free(struct den_http *http); /* after stop; NULL is fine */
/* Wakes all event streams: something new may be there.  Any thread, cheap. */
void den_http_wake(struct den_http *http);
/* Bytes that an upload may have. */
uint64_t den_http_upload_max(const struct den_http *http);
bool den_http_draining(const struct den_http *http);

/* ---- request: strings live as long as the request ---- */
const char *den_request_id(const struct den_request *r); /* X-Request-Id */
const char *den_request_method(const struct den_request *r);
const struct den_route *den_request_route(const struct den_request *r); /* its row */
const char *den_request_path(const struct den_request *r);
const char *den_request_param(const struct den_request *r,
                              const char *name); /* {name}, decoded */
const char *den_request_query(const struct den_request *r,
                              const char *key); /* NULL if absent */
const char *den_request_header(const struct den_request *r, const char *name);
/* As admit said: whose objects the request is about, and the public id of the token it
 * came with; "" = nobody, none. */
void den_request_set_user(struct den_request *r, const char *owner, const char *token);
const char *den_request_owner(const struct den_request *r);
const char *den_request_token(const struct den_request *r);
/* The address of the client: of the connection, or what a proxy that is believed says. */
const char *den_request_client(const struct den_request *r);
const char *den_request_body(const struct den_request *r,
                             size_t *ret_length); /* JSON routes */
struct den_upload {
    const char *path; /* complete, fsync is the caller's; removed after the handler unless
                         taken; NULL for a part */
    void *part;       /* context of the part, or NULL */
    const char *filename; /* of the multipart part, or NULL */
    const char *sha256;   /* 64 hex digits */
    uint64_t bytes;
};
/* File and part routes.  After den_request_take_upload the file is the caller's to
 * remove. */
const struct den_upload *den_request_upload(const struct den_request *r);
void den_request_take_upload(struct den_request *r);

/* ---- reply: status 200 unless set ---- */
void den_reply_reset(struct den_reply *reply); /* as at first */
/* What is in it, when that lies in memory; "" = none. */
struct den_reply_view {
    unsigned status;
    const char *media, *location, *data;
    size_t length;
};
bool den_reply_look(const struct den_reply *reply, struct den_reply_view *ret);
void den_reply_status(struct den_reply *reply, unsigned status);
/* CR and LF in values are refused silently. */
void den_reply_header(struct den_reply *reply, const char *name, const char *value);
/* Takes the memory (den_free); media e.g. "application/json". */
void den_reply_take(struct den_reply *reply, const char *media, char *data,
                    size_t length);
void den_reply_text(struct den_reply *reply, const char *media,
                    const char *text); /* copies */
/* A file: strong ETag (quoted) when etag is given, If-None-Match -> 304, Range -> 206 or
 * 416, Accept-Ranges, HEAD.  disposition: file name for Content-Disposition: attachment,
 * or NULL. */
bool den_reply_file(struct den_reply *reply, const char *path, const char *media,
                    const char *etag, const char *disposition,
                    struct den_err *err) DEN_CHECKED;
/* Server-sent events: pull is called after each den_http_wake (and at least every
 * second); it appends whole events to out and sets *done when the stream ends.  A comment
 * line goes out after 15 s of silence.  release frees the context when the stream has
 * ended for any reason. */
void den_reply_stream(struct den_reply *reply, void *context,
                      void (*pull)(void *context, struct den_buf *out, bool *done),
                      void (*release)(void *context));

/* Counters for /metrics. */
struct den_http_stats {
    uint64_t requests[6]; /* by status class: [2] = 2xx ... */
    uint64_t upload_bytes;
    unsigned connections, streams;
};
struct den_http_stats den_http_stats(struct den_http *http);
/* How long the requests of a route took, from their first line until the answer was
 * ready (den_request_bounds); index: of its row in config.routes, or of the row that ends
 * them: no route.  The server's own. */
struct den_histogram *den_http_seconds(struct den_http *http, size_t index);

#endif
