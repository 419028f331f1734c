#ifndef DEN_HTTP_PRIVATE_H
#define DEN_HTTP_PRIVATE_H

/* What the files of this folder share.
 *
 * Threads: `acceptor` accepts sockets and hands them to libmicrohttpd, whose own threads
 * run every callback of one connection; side threads run handlers that may block, with
 * the connection suspended; one `ticker` wakes event streams and cuts connections
 * that are too slow; one reads what clients still send after a refusal (linger.h).  A
 * request belongs to its libmicrohttpd thread, except while it is on the side queue.  */

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "http.h"
#include "linger.h"
#include "router.h"
#include "upload.h"
#include "watch.h"

enum {
    DEN_QUERY_KEYS = 16,
    DEN_HEADERS = 16,          /* of a reply */
    DEN_SWALLOW = 1024 * 1024, /* bytes of a refused body that are read however long it
                                  takes; more of them for linger_s seconds, so that the
                                  client is done sending and sees the answer */
    DEN_COMPUTING_THREADS = 2,
    DEN_WAITING_THREADS = 16, /* as many writers can share a commit */
    DEN_REQUEST_ID = 64,
    DEN_ID_SEED = 6,
    DEN_CLIENT = 48, /* an IP address as text */
    DEN_USER = 80,   /* name of an owner, id of a token */
};

/* ---- the server ---- */
/* What the side threads are asked for.  All but http and threads under the server's lock.
 */
enum { DEN_LINE_COMPUTES, DEN_LINE_WAITS, DEN_LINES };
struct den_line {
    struct den_http *http;
    struct den_request *head, *tail;
    pthread_cond_t work; /* something is queued, or they shall end */
    pthread_t threads[DEN_WAITING_THREADS];
    size_t count; /* of threads, for who starts and stops them */
};

struct den_event_stream;
struct den_http {
    struct den_http_config config; /* strings: copies; numbers: defaults filled in */
    struct MHD_Daemon *daemon;
    int listen_fd;
    int stop_fd; /* eventfd: ends the acceptor */
    uint16_t port;
    pthread_t acceptor, ticker;
    bool has_acceptor, has_ticker;
    struct den_line lines[DEN_LINES];
    struct den_linger linger;

    atomic_bool draining;
    atomic_uint_fast64_t requests[6], upload_bytes;
    unsigned char id_seed[DEN_ID_SEED]; /* of request ids */
    atomic_uint_fast64_t ids;
    struct den_histogram *seconds; /* by row of config.routes, the last for none */
    atomic_uint active;            /* requests between their first line and their end */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t tick;  /* ticker: woken or ending */
    pthread_cond_t idle;  /* stop: active became 0 */
    struct den_event_stream *streams;
    struct den_watch *watches;
    unsigned stream_count, watch_count;
    uint64_t generation; /* rounds of the ticker; a stream that saw an older one does not
                            go to sleep */
    bool woken, side_ends, ticker_ends;
    bool no_suspend; /* nobody would resume any more */
};

/* ---- listen.c ---- */
/* A listening socket; *ret_port is the real port. */
bool den_listen_open(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port,
                     struct den_err *err) DEN_CHECKED;
void *den_listen_run(void *http); /* the acceptor thread */

/* ---- reply.c ---- */
enum den_reply_kind { DEN_REPLY_EMPTY, DEN_REPLY_DATA, DEN_REPLY_FILE, DEN_REPLY_STREAM };
struct den_reply {
    const struct den_request *request;
    unsigned status;
    enum den_reply_kind kind;
    bool failed; /* out of memory, or more headers than fit */
    struct {
        char *name, *value;
    } headers[DEN_HEADERS];
    size_t header_count;
    char *data; /* DATA */
    size_t length;
    int fd; /* FILE: bytes [offset, offset + size) */
    uint64_t offset, size;
    void *context; /* STREAM */
    void (*pull)(void *context, struct den_buf *out, bool *done);
    void (*release)(void *context);
};
void den_reply_init(struct den_reply *reply, const struct den_request *request);
bool den_reply_has(const struct den_reply *reply, const char *name);
/* problem+json of what only HTTP knows (405, 411, 416 ...); text is plain or UTF-8. */
void den_reply_problem(struct den_reply *reply, unsigned status, const char *code,
                       const char *text);
/* Queues the reply and empties it.  close: the connection ends with it. */
enum MHD_Result den_reply_send(struct den_reply *reply, bool close);

/* ---- events.c ---- */
/* Takes the context of the reply, or returns NULL and leaves it.  *ret_status: 503 when
 * there are too many streams or no memory, 429 when the client has too many. */
struct MHD_Response *den_stream_response(struct den_reply *reply, unsigned *ret_status);
void *den_ticker_run(void *http);

/* ---- request.c ---- */
enum den_state {
    DEN_STATE_FRESH, /* the headers have not been seen */
    DEN_STATE_BODY,
    DEN_STATE_SIDE, /* on the side queue or in a side thread, suspended */
    DEN_STATE_DONE, /* reply is filled, to be sent */
    DEN_STATE_SENT,
};
struct den_request {
    struct den_http *http;
    struct MHD_Connection *connection;
    struct den_watch *watch;
    struct den_request *next; /* side queue */
    enum den_state state;
    double started;
    char id[DEN_REQUEST_ID + 1], method[16], client[DEN_CLIENT];
    char owner[DEN_USER], token[DEN_USER]; /* as admit said */
    char *uri;                             /* as it came, cut at '?' */
    char *query; /* decoded piece by piece; what keys and values point into */
    char *params;
    struct {
        const char *key, *value;
    } pairs[DEN_QUERY_KEYS];
    size_t pair_count;
    struct den_match match;
    const char *param_values[DEN_PARAMS];
    unsigned refused; /* status of a refusal, 0 = none */
    struct den_err err;
    bool close;                    /* the connection cannot be trusted to be in step */
    uint64_t announced, swallowed; /* announced: UINT64_MAX for a chunked body */
    double refused_at;             /* when swallowing began, den_monotonic_s */
    struct den_buf body;
    struct den_upload_state upload;
    struct den_reply reply;
};
bool den_request_reads(const struct den_request *r); /* GET or HEAD: changes nothing */
struct den_request *den_request_new(struct den_http *http, const char *uri);
void den_request_free(struct den_request *r);
void den_request_read_client(struct den_request *r);
/* Splits and decodes the query; 400 for unknown or doubled keys. */
bool den_request_read_query(struct den_request *r, const char *allowed,
                            struct den_err *err) DEN_CHECKED;
bool den_request_read_params(struct den_request *r, struct den_err *err) DEN_CHECKED;

/* ---- serve.c: the life of a request ---- */
enum MHD_Result den_serve(void *cls, struct MHD_Connection *connection, const char *url,
                          const char *method, const char *version, const char *data,
                          size_t *size, void **context);
void *den_serve_uri(void *cls, const char *uri, struct MHD_Connection *connection);
void den_serve_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code);
bool den_serve_streamed(const struct den_route *route); /* takes a file */
/* Fills the reply; in a side thread for routes that may block. */
void den_serve_run(struct den_request *r);

/* ---- side.c: the threads for handlers that may block ---- */
bool den_side_init(struct den_http *http);
bool den_side_start(struct den_http *http, struct den_err *err);
/* Suspends the connection until a side thread has run the request; false: too late. */
bool den_side_put(struct den_request *r);
void den_side_stop(struct den_http *http); /* what is queued is done first */
void den_side_release(struct den_http *http);

#endif
