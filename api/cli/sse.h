#ifndef DEN_SSE_H
#define DEN_SSE_H

/* A reader of server-sent events [WHATWG HTML, section 9.2], fed piece by piece. */

#include "buf.h"
#include "http_client.h"

struct den_sse {
    struct den_buf line, data;
    char type[32];
    uint64_t last; /* id of the last event */
    bool stopped;  /* the callback asked for it, or a line was too long */
    bool (*event)(void *context, const struct den_sse_event *event);
    void *context;
};

void den_sse_init(struct den_sse *sse, uint64_t last,
                  bool (*event)(void *context, const struct den_sse_event *event),
                  void *context);
/* false once stopped. */
bool den_sse_feed(struct den_sse *sse, const char *bytes, size_t length);
void den_sse_release(struct den_sse *sse);

#endif
