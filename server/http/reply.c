#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clock.h"
#include "http_private.h"
#include "log.h"
#include "mem.h"
#include "str.h"

void den_reply_init(struct den_reply *reply, const struct den_request *request)
{
    *reply = (struct den_reply){.request = request, .status = 200, .fd = -1};
}

static void drop_body(struct den_reply *reply)
{
    den_free(reply->data);
    if (reply->fd >= 0)
        close(reply->fd);
    if (reply->kind == DEN_REPLY_STREAM && reply->release != NULL)
        reply->release(reply->context);
    reply->data = NULL;
    reply->fd = -1;
    reply->kind = DEN_REPLY_EMPTY;
}

void den_reply_reset(struct den_reply *reply)
{
    drop_body(reply);
    for (size_t i = 0; i < reply->header_count; i++) {
        den_free(reply->headers[i].name);
        den_free(reply->headers[i].value);
    }
    den_reply_init(reply, reply->request);
}

void den_reply_status(struct den_reply *reply, unsigned status)
{
    reply->status = status;
}

static char **find(struct den_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcasecmp(reply->headers[i].name, name) == 0)
            return &reply->headers[i].value;
    return NULL;
}

static const char *value_of(const struct den_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcasecmp(reply->headers[i].name, name) == 0)
            return reply->headers[i].value;
    return "";
}

bool den_reply_look(const struct den_reply *reply, struct den_reply_view *ret)
{
    bool data = reply->kind == DEN_REPLY_DATA;
    if (reply->failed || (!data && reply->kind != DEN_REPLY_EMPTY))
        return false;
    *ret = (struct den_reply_view){.status = reply->status,
                                   .media = value_of(reply, "Content-Type"),
                                   .location = value_of(reply, "Location"),
                                   .data = data ? reply->data : "",
                                   .length = data ? reply->length : 0};
    return true;
}

bool den_reply_has(const struct den_reply *reply, const char *name)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcasecmp(reply->headers[i].name, name) == 0)
            return true;
    return false;
}

void den_reply_header(struct den_reply *reply, const char *name, const char *value)
{
    if (value[strcspn(value, "\r\n")] != '\0' || name[strcspn(name, "\r\n:")] != '\0')
        return; /* would start a header of its own */
    char *copy = den_strdup(value);
    char **old = find(reply, name);
    if (copy == NULL)
        reply->failed = true;
    else if (old != NULL) {
        den_free(*old);
        *old = copy;
    } else {
        char *key = reply->header_count < DEN_HEADERS ? den_strdup(name) : NULL;
        if (key == NULL) {
            den_free(copy);
            reply->failed = true;
            return;
        }
        reply->headers[reply->header_count].name = key;
        reply->headers[reply->header_count++].value = copy;
    }
}

void den_reply_take(struct den_reply *reply, const char *media, char *data, size_t length)
{
    drop_body(reply);
    if (data == NULL) {
        reply->failed = true;
        return;
    }
    reply->kind = DEN_REPLY_DATA;
    reply->data = data;
    reply->length = length;
    den_reply_header(reply, "Content-Type", media);
}

void den_reply_text(struct den_reply *reply, const char *media, const char *text)
{
    den_reply_take(reply, media, den_strdup(text), strlen(text));
}

void den_reply_stream(struct den_reply *reply, void *context,
                      void (*pull)(void *context, struct den_buf *out, bool *done),
                      void (*release)(void *context))
{
    drop_body(reply);
    reply->kind = DEN_REPLY_STREAM;
    reply->context = context;
    reply->pull = pull;
    reply->release = release;
    den_reply_header(reply, "Content-Type", "text/event-stream");
    den_reply_header(reply, "Cache-Control", "no-cache");
    den_reply_header(reply, "X-Accel-Buffering", "no"); /* nginx: pass on at once */
}

/* ---- problem+json, where only HTTP is concerned ------------------------------------ */

static void add_json_text(struct den_buf *buf, const char *text)
{
    den_buf_puts(buf, "\"");
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\')
            den_buf_printf(buf, "\\%c", *p);
        else if ((unsigned char)*p < 0x20)
            den_buf_printf(buf, "\\u%04x", (unsigned char)*p);
        else
            den_buf_add(buf, p, 1);
    }
    den_buf_puts(buf, "\"");
}

void den_reply_problem(struct den_reply *reply, unsigned status, const char *code,
                       const char *text)
{
    struct den_buf body;
    den_buf_init(&body, 8192);
    den_buf_printf(&body,
                   "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
                   "\"detail\":",
                   MHD_get_reason_phrase_for(status), status);
    add_json_text(&body, text);
    den_buf_printf(&body, ",\"code\":\"%s\",\"request_id\":\"%s\"}", code,
                   reply->request->id);
    size_t length = body.length;
    den_reply_status(reply, status);
    den_reply_take(reply, "application/problem+json", den_buf_take(&body), length);
}

/* ---- to libmicrohttpd -------------------------------------------------------------- */

static struct MHD_Response *stream_or_refusal(struct den_reply *reply)
{
    unsigned status = 0;
    struct MHD_Response *response = den_stream_response(reply, &status);
    if (response != NULL)
        return response;
    const struct den_http_config *c = &reply->request->http->config;
    char text[96];
    den_str_format(text, sizeof text,
                   "%s %u event streams open and no more are allowed; ask for the state "
                   "instead",
                   status == 429 ? "you have" : "there are",
                   status == 429 ? c->streams_per_client : c->streams);
    den_reply_reset(reply);
    den_reply_header(reply, "Retry-After", "10");
    den_reply_problem(reply, status, "too_many_streams", text);
    return NULL;
}

/* Takes the body out of reply. */
static struct MHD_Response *make_response(struct den_reply *reply)
{
    struct MHD_Response *response = NULL;
    if (reply->kind == DEN_REPLY_STREAM && (response = stream_or_refusal(reply)) != NULL)
        return response;
    if (reply->kind == DEN_REPLY_FILE && reply->size > 0) {
        response = MHD_create_response_from_fd_at_offset64(reply->size, reply->fd,
                                                           reply->offset);
        if (response != NULL)
            reply->fd = -1;
    } else if (reply->kind == DEN_REPLY_DATA && reply->length > 0) {
        response = MHD_create_response_from_buffer_with_free_callback(
            reply->length, reply->data, den_free);
        if (response != NULL)
            reply->data = NULL;
    } else
        response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    return response;
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
    return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* What a browser may do with an answer: nothing, except with our own page. */
static const char *policy(const struct den_reply *reply)
{
    for (size_t i = 0; i < reply->header_count; i++)
        if (strcasecmp(reply->headers[i].name, "Content-Type") == 0 &&
            den_str_starts(reply->headers[i].value, "text/html"))
            return "default-src 'none'; script-src 'self'; style-src 'self'; img-src "
                   "'self' blob:; connect-src 'self'; frame-ancestors 'none'; base-uri "
                   "'none'; form-action 'self'";
    return "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action "
           "'none'";
}

/* Defaults that no handler has to think of. */
static bool add_headers(struct MHD_Response *response, const struct den_reply *reply,
                        bool close)
{
    bool good = add(response, "X-Request-Id", reply->request->id) &&
                add(response, "X-Content-Type-Options", "nosniff") &&
                add(response, "Cross-Origin-Resource-Policy", "same-origin") &&
                add(response, "Referrer-Policy", "no-referrer");
    if (!den_reply_has(reply, "Content-Security-Policy"))
        good = good && add(response, "Content-Security-Policy", policy(reply));
    if (!den_reply_has(reply, "Cache-Control") && !den_reply_has(reply, "ETag"))
        good = good && add(response, "Cache-Control", "no-store");
    for (size_t i = 0; good && i < reply->header_count; i++)
        good = add(response, reply->headers[i].name, reply->headers[i].value);
    return good && (!close || add(response, "Connection", "close"));
}

static size_t route_index(const struct den_request *r)
{
    const struct den_route *all = r->http->config.routes, *one = r->match.route;
    if (one != NULL)
        return (size_t)(one - all);
    size_t count = 0;
    while (all[count].method != NULL)
        count++;
    return count;
}

static void account(const struct den_reply *reply, uint64_t bytes)
{
    const struct den_request *r = reply->request;
    unsigned status = reply->status, class = status / 100;
    if (class < 6)
        atomic_fetch_add(&r->http->requests[class], 1);
    double seconds = den_monotonic_s() - r->started;
    den_histogram_add(den_http_seconds(r->http, route_index(r)), &den_request_bounds,
                      seconds);
    bool quiet = den_request_reads(r) && status < 400;
    enum den_level level = status >= 500 ? DEN_WARN : quiet ? DEN_DEBUG : DEN_INFO;
    char path[256], method[40];
    if (!den_log_shows(level)) /* quoting costs more than the rest */
        return;
    den_log(level, "request",
            " request=%s method=%s path=%s status=%u bytes=%llu ms=%.1f", r->id,
            den_log_quote(r->method, method, sizeof method),
            den_log_quote(r->uri, path, sizeof path), status, (unsigned long long)bytes,
            1e3 * seconds);
}

enum MHD_Result den_reply_send(struct den_reply *reply, bool close)
{
    const struct den_request *r = reply->request;
    uint64_t bytes = reply->kind == DEN_REPLY_DATA   ? reply->length
                     : reply->kind == DEN_REPLY_FILE ? reply->size
                                                     : 0;
    bool endless = reply->kind == DEN_REPLY_STREAM;
    enum MHD_Result result = MHD_NO;
    struct MHD_Response *response = make_response(reply);
    if (response != NULL && add_headers(response, reply, close)) {
        account(reply, bytes);
        den_watch_phase(r->watch, endless ? DEN_PHASE_WORK : DEN_PHASE_SEND);
        result = MHD_queue_response(r->connection, reply->status, response);
    }
    if (response != NULL)
        MHD_destroy_response(response);
    den_reply_reset(reply);
    return result;
}
