#include "sse.h"

#include <string.h>

#include "str.h"

#define LINE_MAX_BYTES ((size_t)64 << 10)

void den_sse_init(struct den_sse *sse, uint64_t last,
                  bool (*event)(void *context, const struct den_sse_event *event),
                  void *context)
{
    *sse = (struct den_sse){.last = last, .event = event, .context = context};
    den_buf_init(&sse->line, LINE_MAX_BYTES);
    den_buf_init(&sse->data, LINE_MAX_BYTES);
}

void den_sse_release(struct den_sse *sse)
{
    den_buf_release(&sse->line);
    den_buf_release(&sse->data);
}

/* A blank line ends an event.  Data that is no JSON object is passed over. */
static void dispatch(struct den_sse *sse)
{
    json_t *data = sse->data.length > 0
                       ? json_loadb(sse->data.data, sse->data.length, 0, NULL)
                       : NULL;
    if (json_is_object(data) && sse->type[0] != '\0')
        sse->stopped =
            !sse->event(sse->context, &(struct den_sse_event){sse->type, data});
    json_decref(data);
    den_buf_clear(&sse->data);
    sse->type[0] = '\0';
}

static void take_line(struct den_sse *sse, const char *line)
{
    if (line[0] == '\0') {
        dispatch(sse);
        return;
    }
    size_t name = strcspn(line, ":");
    const char *value = line + name + (line[name] == ':');
    value += *value == ' ';
    int64_t id;
    if (name == 4 && memcmp(line, "data", 4) == 0)
        den_buf_puts(&sse->data, value);
    else if (name == 5 && memcmp(line, "event", 5) == 0)
        (void)den_str_copy(sse->type, sizeof sse->type, value);
    else if (name == 2 && memcmp(line, "id", 2) == 0 &&
             den_parse_int(value, 0, INT64_MAX, &id, NULL))
        sse->last = (uint64_t)id;
}

bool den_sse_feed(struct den_sse *sse, const char *bytes, size_t length)
{
    for (size_t at = 0; at < length && !sse->stopped;) {
        const char *newline = memchr(bytes + at, '\n', length - at);
        size_t part = newline != NULL ? (size_t)(newline - bytes) - at : length - at;
        den_buf_add(&sse->line, bytes + at, part);
        at += part;
        if (sse->line.failed) /* no server of ours sends such a line */
            return !(sse->stopped = true);
        if (newline == NULL)
            break;
        at++;
        size_t end = sse->line.length;
        if (end > 0 && sse->line.data[end - 1] == '\r')
            sse->line.data[end - 1] = '\0';
        take_line(sse, sse->line.data != NULL ? sse->line.data : "");
        den_buf_clear(&sse->line);
    }
    return !sse->stopped;
}
