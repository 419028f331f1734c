#include <string.h>
#include <strings.h>

#include "clock.h"
#include "guard.h"
#include "http_private.h"
#include "log.h"
#include "str.h"

/* The life of a request: first call (headers), calls with pieces of the body, last call
 * (all is there).  libmicrohttpd takes a reply in the first and in the last only, and
 * closes the connection after a reply in the first. */

enum { MULTIPART_EXTRA = 64 * 1024 }; /* boundaries and part headers of a form */

/* ---- refusals ---------------------------------------------------------------------- */

/* Statuses that have no error code of their own; the others go through config.problem. */
static const struct {
    unsigned status;
    const char *code;
} http_only[] = {
    {403, "forbidden_origin"},   {405, "method_not_allowed"},  {411, "length_required"},
    {417, "expectation_failed"}, {421, "misdirected_request"},
};

static bool refuse(struct den_request *r, unsigned status)
{
    r->refused = status;
    return false;
}

static bool refuse_text(struct den_request *r, unsigned status, enum den_code code,
                        const char *text)
{
    den_err_set(&r->err, code, "%s", text);
    return refuse(r, status);
}

/* The reply of last resort, when even the problem cannot be told. */
static void reply_bare(struct den_request *r)
{
    den_reply_reset(&r->reply);
    den_reply_status(&r->reply, 500);
}

static void reply_error(struct den_request *r, const struct den_err *err)
{
    den_reply_reset(&r->reply);
    r->http->config.problem(r->http->config.app, r, err, &r->reply);
    if (r->reply.failed)
        reply_bare(r);
}

static void reply_refusal(struct den_request *r)
{
    for (size_t i = 0; i < sizeof http_only / sizeof http_only[0]; i++)
        if (http_only[i].status == r->refused) {
            den_reply_reset(&r->reply);
            if (r->refused == 405)
                den_reply_header(&r->reply, "Allow", r->match.allow);
            den_reply_problem(&r->reply, r->refused, http_only[i].code, r->err.text);
            if (r->reply.failed)
                reply_bare(r);
            return;
        }
    reply_error(r, &r->err);
}

static enum MHD_Result send_now(struct den_request *r)
{
    r->state = DEN_STATE_SENT;
    return den_reply_send(&r->reply, r->close || atomic_load(&r->http->draining));
}

/* ---- the first call: all that can be said from the headers ---------------------------
 */

static bool good_id(const char *id)
{
    size_t length = strlen(id);
    return length >= 1 && length <= DEN_REQUEST_ID &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                      "._-") == length;
}

/* Content-Length was parsed by the library already: digits only, and it fits. */
static uint64_t announced_bytes(const struct den_request *r)
{
    const char *length = den_request_header(r, "Content-Length");
    uint64_t bytes = 0;
    if (length == NULL)
        return den_request_header(r, "Transfer-Encoding") != NULL ? UINT64_MAX : 0;
    for (; *length >= '0' && *length <= '9'; length++)
        bytes = bytes * 10 + (uint64_t)(*length - '0');
    return bytes;
}

static bool media_is(const char *type, const char *want)
{
    size_t length = strlen(want);
    return strncasecmp(type, want, length) == 0 &&
           strchr("; \t", type[length]) != NULL; /* the final NUL counts */
}

static bool too_large(struct den_request *r, uint64_t limit, uint64_t actual)
{
    int64_t shown = actual > INT64_MAX ? INT64_MAX : (int64_t)actual;
    den_err_limit(&r->err, DEN_E_TOO_LARGE, (int64_t)limit, shown,
                  "the body has more than the allowed %llu bytes",
                  (unsigned long long)limit);
    return refuse(r, 413);
}

static bool check_json(struct den_request *r)
{
    const char *type = den_request_header(r, "Content-Type");
    if (type != NULL && !media_is(type, "application/json"))
        return refuse_text(r, 415, DEN_E_UNSUPPORTED,
                           "the Content-Type must be application/json");
    size_t limit = r->http->config.json_max;
    return r->announced == UINT64_MAX || r->announced <= limit ||
           too_large(r, limit, r->announced);
}

static bool check_file(struct den_request *r)
{
    const char *type = den_request_header(r, "Content-Type");
    bool form = type != NULL && media_is(type, "multipart/form-data");
    uint64_t limit = r->http->config.upload_max;
    if (r->announced == 0 && den_request_header(r, "Content-Length") == NULL)
        return refuse_text(r, 411, DEN_E_MALFORMED,
                           "an upload needs a Content-Length or chunked coding");
    if (r->announced != UINT64_MAX && r->announced > limit + (form ? MULTIPART_EXTRA : 0))
        return too_large(r, limit, r->announced);
    if (den_upload_begin(&r->upload, r->http, r->connection, r->announced, form, &r->err))
        return true;
    den_upload_drop(&r->upload); /* a failed reservation may hold half of the disk */
    return refuse(r, 500);
}

/* Before a byte of the body is taken. */
static bool check_user(struct den_request *r)
{
    const struct den_http_config *config = &r->http->config;
    return config->admit == NULL ||
           config->admit(config->app, r, r->match.route->scope, &r->err) ||
           refuse(r, 401);
}

static bool check_part(struct den_request *r)
{
    if (r->announced == 0 && den_request_header(r, "Content-Length") == NULL)
        return refuse_text(r, 411, DEN_E_MALFORMED,
                           "an upload needs a Content-Length or chunked coding");
    if (!den_upload_begin_part(&r->upload, r->http, r, &r->err))
        return refuse(r, 500);
    return r->announced == UINT64_MAX || r->announced <= r->upload.maximum ||
           too_large(r, r->upload.maximum, r->announced);
}

static bool check_body(struct den_request *r)
{
    const char *coding = den_request_header(r, "Content-Encoding");
    if (r->announced != 0 && coding != NULL && strcasecmp(coding, "identity") != 0)
        return refuse_text(r, 415, DEN_E_UNSUPPORTED,
                           "a body with a Content-Encoding is not read");
    switch (r->match.route->body) {
    case DEN_BODY_NONE:
        return r->announced == 0 ||
               refuse_text(r, 400, DEN_E_MALFORMED, "this request takes no body");
    case DEN_BODY_JSON:
        return check_json(r);
    case DEN_BODY_FILE:
        return check_file(r);
    case DEN_BODY_PART:
        return check_part(r);
    }
    return true;
}

/* Most who meet this have put a server behind a new name: they are told what to set. */
static bool refuse_host(struct den_request *r, const char *host)
{
    char quoted[80];
    den_err_set(&r->err, DEN_E_MALFORMED,
                "this server is not known by the name in the Host header, %s; its names "
                "are in the setting hosts",
                den_log_quote(host, quoted, sizeof quoted));
    return refuse(r, 421);
}

/* Who is asked, and who asks: see guard.c. */
static bool check_site(struct den_request *r)
{
    const char *host = den_request_header(r, "Host");
    const char *origin = den_request_header(r, "Origin");
    if (host != NULL && !den_guard_host(host, r->http->config.hosts))
        return refuse_host(r, host);
    if (!den_request_reads(r) && origin != NULL &&
        (host == NULL || !den_guard_origin(origin, host)))
        return refuse_text(r, 403, DEN_E_MALFORMED,
                           "pages of other sites may not change anything here");
    return true;
}

/* What is here may still be read while the server goes down; nothing new begins. */
static bool check_draining(struct den_request *r)
{
    return den_request_reads(r) || !atomic_load(&r->http->draining) ||
           refuse_text(r, 503, DEN_E_DRAINING,
                       "the server is going down; what it has accepted goes on when it "
                       "is back");
}

static bool check_route(struct den_request *r)
{
    r->match = den_route_match(r->http->config.routes, r->method, r->uri);
    char shown[200];
    if (r->match.route == NULL && r->match.allow[0] == '\0') {
        den_err_set(&r->err, DEN_E_NOT_FOUND, "there is nothing at %s",
                    den_log_quote(r->uri, shown, sizeof shown));
        return refuse(r, 404);
    }
    if (r->match.route == NULL) {
        den_err_set(&r->err, DEN_E_MALFORMED, "%s is not possible here, only %s",
                    den_log_quote(r->method, shown, sizeof shown), r->match.allow);
        return refuse(r, 405);
    }
    const char *expect = den_request_header(r, "Expect");
    if (expect != NULL && strcasecmp(expect, "100-continue") != 0)
        return refuse_text(r, 417, DEN_E_MALFORMED,
                           "the only expectation that can be met is 100-continue");
    return (den_request_read_query(r, r->match.route->query, &r->err) &&
            den_request_read_params(r, &r->err)) ||
           refuse(r, 400);
}

/* A refusal that can wait for the end of the body keeps the connection; one that cannot,
 * ends it.  Who expects 100-continue has sent nothing yet.
 */
static bool can_wait(const struct den_request *r)
{
    return !r->close && den_request_header(r, "Expect") == NULL &&
           (r->announced <= DEN_SWALLOW || r->announced == UINT64_MAX);
}

static enum MHD_Result first_call(struct den_request *r, const char *method,
                                  const char *version)
{
    r->watch = den_watch_of(r->connection);
    r->state = DEN_STATE_BODY;
    if (!den_str_copy(r->method, sizeof r->method, method))
        den_str_copy(r->method, sizeof r->method, "?");
    const char *id = den_request_header(r, "X-Request-Id");
    if (id != NULL && good_id(id))
        den_str_copy(r->id, sizeof r->id, id);
    den_request_read_client(r);
    den_watch_phase(r->watch, DEN_PHASE_BODY);
    if (!den_guard_framing(r->connection, version, r->uri, &r->err)) {
        r->close = true;
        refuse(r, 400);
    } else {
        r->announced = announced_bytes(r);
        (void)(check_site(r) && check_draining(r) && check_route(r) && check_user(r) &&
               check_body(r));
    }
    if (r->refused == 0 || can_wait(r))
        return MHD_YES;
    r->close = true;
    if (r->watch != NULL)
        r->watch->lingers = true;
    reply_refusal(r);
    return send_now(r);
}

/* ---- calls with data -----------------------------------------------------------------
 */

bool den_serve_streamed(const struct den_route *route)
{
    return route->body == DEN_BODY_FILE || route->body == DEN_BODY_PART;
}

static void keep(struct den_request *r, const char *data, size_t length)
{
    if (den_serve_streamed(r->match.route)) {
        atomic_fetch_add(&r->http->upload_bytes, length);
        if (den_upload_feed(&r->upload, data, length, &r->err))
            return;
        den_upload_drop(&r->upload);
        refuse(r, 500);
    } else if (length > r->http->config.json_max - r->body.length) {
        too_large(r, r->http->config.json_max, r->body.length + length);
        den_buf_release(&r->body);
    } else {
        den_buf_add(&r->body, data, length);
        if (!den_buf_ok(&r->body, &r->err))
            refuse(r, 500);
    }
}

static enum MHD_Result body_call(struct den_request *r, const char *data, size_t length)
{
    if (r->refused == 0) {
        keep(r, data, length);
        return MHD_YES;
    }
    if (r->swallowed == 0)
        r->refused_at = den_monotonic_s();
    r->swallowed += length;
    if (r->swallowed <= DEN_SWALLOW ||
        den_monotonic_s() - r->refused_at < r->http->config.linger_s)
        return MHD_YES;
    /* No reply can be queued here: the library cuts the connection. */
    den_log(DEN_INFO, "request_cut", " request=%s status=%u", r->id, r->refused);
    return MHD_NO;
}

/* ---- the last call -------------------------------------------------------------------
 */

/* Fills the reply; in a side thread for routes that may block. */
void den_serve_run(struct den_request *r)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_route *route = r->match.route;
    bool done = (!den_serve_streamed(route) || den_upload_finish(&r->upload, &err)) &&
                route->handle(r->http->config.app, r, &r->reply, &err);
    if (done && r->reply.failed)
        done = den_err_set(&err, DEN_E_NO_MEMORY,
                           "there is not enough memory for the answer");
    if (!done)
        reply_error(r, &err);
    r->upload.view = (struct den_upload){.path = NULL};
    den_upload_drop(&r->upload);
}

static bool at_once(const struct den_request *r)
{
    const struct den_route *route = r->match.route;
    const struct den_http_config *config = &r->http->config;
    return route->slow == DEN_AT_ONCE && !den_serve_streamed(route) &&
           (route->scope == NULL || config->busy == NULL || !config->busy(config->app));
}

static enum MHD_Result last_call(struct den_request *r)
{
    if (r->refused != 0) {
        reply_refusal(r);
        return send_now(r);
    }
    den_watch_phase(r->watch, DEN_PHASE_WORK);
    if (at_once(r))
        den_serve_run(r);
    else if (den_side_put(r))
        return MHD_YES; /* called again when resumed, in state DONE */
    else {
        den_err_set(&r->err, DEN_E_DRAINING, "the server is going down");
        reply_error(r, &r->err);
    }
    return send_now(r);
}

static enum MHD_Result go_on(struct den_request *r, const char *method,
                             const char *version, const char *data, size_t length)
{
    switch (r->state) {
    case DEN_STATE_FRESH:
        return first_call(r, method, version);
    case DEN_STATE_BODY:
        return length > 0 ? body_call(r, data, length) : last_call(r);
    case DEN_STATE_DONE:
        return send_now(r);
    case DEN_STATE_SIDE: /* nobody calls for a suspended connection */
    case DEN_STATE_SENT:
        break;
    }
    return MHD_NO;
}

enum MHD_Result den_serve(void *cls, struct MHD_Connection *connection, const char *url,
                          const char *method, const char *version, const char *data,
                          size_t *size, void **context)
{
    (void)cls;
    (void)url; /* decoded too eagerly; the raw one is in the request */
    struct den_request *r = *context;
    if (r == NULL)
        return MHD_NO; /* no memory at its first line */
    size_t length = *size;
    *size = 0;
    if (r->state == DEN_STATE_FRESH)
        r->connection = connection;
    den_log_context("request", r->id);
    enum MHD_Result result = go_on(r, method, version, data, length);
    den_log_context(NULL, NULL);
    return result;
}

/* ---- start and end of a request ------------------------------------------------------
 */

void *den_serve_uri(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct den_http *http = cls;
    struct den_request *r = den_request_new(http, uri);
    den_watch_phase(den_watch_of(connection), DEN_PHASE_HEADERS);
    if (r != NULL)
        atomic_fetch_add(&http->active, 1);
    return r;
}

void den_serve_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    struct den_http *http = cls;
    struct den_request *r = *context;
    *context = NULL;
    den_watch_phase(den_watch_of(connection), DEN_PHASE_IDLE);
    if (r == NULL)
        return;
    if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK)
        den_log(DEN_DEBUG, "request_broken_off", " request=%s code=%d", r->id, (int)code);
    den_request_free(r);
    /* Who waits for the last one has set draining before it looked at active. */
    if (atomic_fetch_sub(&http->active, 1) > 1 || !atomic_load(&http->draining))
        return;
    pthread_mutex_lock(&http->lock);
    pthread_cond_signal(&http->idle);
    pthread_mutex_unlock(&http->lock);
}
