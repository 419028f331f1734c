#include <stdlib.h>
#include <string.h>

#include "handlers.h"
#include "mem.h"
#include "str.h"

#define BATCH 64

struct stream {
    struct den_api *api;
    char job[DEN_ID_SIZE], owner[DEN_OWNER_SIZE];
    uint64_t seq; /* of the last event sent */
};

/* What each type of event tells; a new type is a new row. */
static json_t *state_data(const struct den_event_row *e)
{
    return json_pack("{ss}", "state", e->name);
}

static json_t *progress_data(const struct den_event_row *e)
{
    double fraction = e->steps > 0 ? (double)e->step / (double)e->steps : 0.0;
    return json_pack("{sI sI sf}", "step", (json_int_t)e->step, "steps",
                     (json_int_t)e->steps, "fraction", fraction);
}

static json_t *metric_data(const struct den_event_row *e)
{
    return json_pack("{sI ss so}", "step", (json_int_t)e->step, "name", e->name, "value",
                     den_json_number(e->value));
}

static json_t *log_data(const struct den_event_row *e)
{
    return json_pack("{ss}", "text", e->text);
}

static const struct {
    const char *type;
    json_t *(*data)(const struct den_event_row *event);
} types[] = {
    {"state", state_data}, {"progress", progress_data}, {"metric", metric_data},
    {"log", log_data},     {"done", state_data},
};

static void append(struct den_buf *out, const struct den_event_row *event)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].type, event->type) != 0)
            continue;
        json_t *data = types[i].data(event);
        char *text = data != NULL ? json_dumps(data, DEN_JSON_STYLE) : NULL;
        if (text != NULL)
            den_buf_printf(out, "id: %llu\nevent: %s\ndata: %s\n\n",
                           (unsigned long long)event->seq, event->type, text);
        free(text);
        json_decref(data);
    }
}

static void pull(void *context, struct den_buf *out, bool *done)
{
    struct stream *stream = context;
    struct den_err err = DEN_ERR_INIT;
    struct den_event_row *rows = den_calloc(BATCH, sizeof *rows);
    size_t count = 0;
    if (rows == NULL || !stream->api->store_kind->event_list(
                            stream->api->store, stream->owner, stream->job, stream->seq,
                            BATCH, rows, &count, &err)) {
        *done = true; /* the client comes back with Last-Event-ID */
        den_free(rows);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        append(out, &rows[i]);
        stream->seq = rows[i].seq;
        if (strcmp(rows[i].type, "done") == 0)
            *done = true;
    }
    /* A job that ended, seen from behind its `done`, has nothing more to tell. */
    struct den_job_row job;
    if (count == 0 && (!stream->api->store_kind->job_get(
                           stream->api->store, stream->owner, stream->job, &job, &err) ||
                       job.finished_ms > 0))
        *done = true;
    den_free(rows);
}

static void release(void *context)
{
    den_free(context);
}

DEN_HANDLER(den_h_job_events)
{
    struct den_api *api = app;
    const char *id, *last = den_request_header(request, "Last-Event-ID");
    struct den_job_row row;
    int64_t seq = 0;
    if (!den_api_id(request, "job_", &id, err) ||
        !api->store_kind->job_get(api->store, den_request_owner(request), id, &row, err))
        return false;
    if (last != NULL && !den_parse_int(last, 0, INT64_MAX, &seq, NULL))
        return den_err_field(
            err, DEN_E_MALFORMED, "Last-Event-ID",
            "Last-Event-ID must be a whole number that an event had as id");
    struct stream *stream = den_new(1, sizeof *stream, err);
    if (stream == NULL)
        return false;
    stream->api = api;
    stream->seq = (uint64_t)seq;
    (void)den_str_copy(stream->job, sizeof stream->job, row.id);
    (void)den_str_copy(stream->owner, sizeof stream->owner, row.owner);
    den_reply_stream(reply, stream, pull, release);
    return true;
}
