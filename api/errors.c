#include <jansson.h>
#include <stdlib.h>

#include "handlers.h"
#include "str.h"

/* The one place where an error becomes an HTTP status. */
static const struct {
    unsigned status;
    const char *title;
    const char *retry_after; /* seconds, or NULL */
} statuses[] = {
    [DEN_OK] = {500, "Internal error", NULL},
    [DEN_E_MALFORMED] = {400, "Malformed request", NULL},
    [DEN_E_INVALID] = {422, "Value not allowed", NULL},
    [DEN_E_UNPROCESSABLE] = {422, "Cannot be used", NULL},
    [DEN_E_UNSUPPORTED] = {415, "Unsupported format", NULL},
    [DEN_E_UNAUTHORIZED] = {401, "Not signed in", NULL},
    [DEN_E_FORBIDDEN] = {403, "Not allowed", NULL},
    [DEN_E_NOT_FOUND] = {404, "Not found", NULL},
    [DEN_E_CONFLICT] = {409, "Conflict", NULL},
    [DEN_E_PRECONDITION] = {412, "Precondition failed", NULL},
    [DEN_E_CHECKSUM] = {460, "Checksum mismatch", NULL}, /* of the tus protocol */
    [DEN_E_TOO_LARGE] = {413, "Too large", NULL},
    [DEN_E_BUSY] = {429, "Busy", "10"},
    [DEN_E_DRAINING] = {503, "Going down", "10"},
    [DEN_E_DISK_FULL] = {507, "Disk full", NULL},
    [DEN_E_NO_MEMORY] = {503, "Out of memory", "30"},
    [DEN_E_IO] = {500, "Storage error", NULL},
    [DEN_E_CANCELLED] = {500, "Cancelled", NULL},
    [DEN_E_DIVERGED] = {500, "Training diverged", NULL},
    [DEN_E_INTERNAL] = {500, "Internal error", NULL},
};
_Static_assert(sizeof statuses / sizeof statuses[0] == DEN_CODES, "a status per code");

unsigned den_api_status(enum den_code code)
{
    return statuses[code < DEN_CODES ? code : DEN_E_INTERNAL].status;
}

void den_api_problem(void *app, const struct den_request *request,
                     const struct den_err *err, struct den_reply *reply)
{
    (void)app;
    size_t code = err->code < DEN_CODES ? err->code : DEN_E_INTERNAL;
    den_reply_status(reply, statuses[code].status);
    char seconds[16];
    den_str_format(seconds, sizeof seconds, "%d", err->retry_s);
    if (err->retry_s > 0)
        den_reply_header(reply, "Retry-After", seconds);
    else if (statuses[code].retry_after != NULL)
        den_reply_header(reply, "Retry-After", statuses[code].retry_after);
    if (code == DEN_E_UNAUTHORIZED)
        den_reply_header(reply, "WWW-Authenticate", "Bearer realm=\"denoised\"");
    if (den_str_starts(den_request_path(request), "/v1/uploads"))
        den_reply_header(reply, "Tus-Resumable", "1.0.0");
    if (code == DEN_E_PRECONDITION)
        den_reply_header(reply, "Tus-Version", "1.0.0");
    json_t *body = json_pack(
        "{ss ss sI ss ss ss}", "type", "about:blank", "title", statuses[code].title,
        "status", (json_int_t)statuses[code].status, "detail", err->text, "code",
        den_code_name((enum den_code)code), "request_id", den_request_id(request));
    if (body != NULL && err->field[0] != '\0')
        (void)json_object_set_new(
            body, "errors",
            json_pack("[{ss ss}]", "pointer", err->field, "detail", err->text));
    if (body != NULL && err->limit >= 0) {
        (void)json_object_set_new(body, "limit", json_integer(err->limit));
        (void)json_object_set_new(body, "actual", json_integer(err->actual));
    }
    char *text = body != NULL ? json_dumps(body, DEN_JSON_STYLE) : NULL;
    den_reply_text(reply, "application/problem+json",
                   text != NULL ? text : "{\"title\":\"Out of memory\",\"status\":503}");
    free(text);
    json_decref(body);
}
