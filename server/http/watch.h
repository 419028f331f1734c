#ifndef DEN_WATCH_H
#define DEN_WATCH_H

/* Connections and their deadlines. */

#include <microhttpd.h>

#include "http.h"

enum den_phase {
    DEN_PHASE_IDLE,    /* nothing of a request line yet */
    DEN_PHASE_HEADERS, /* headers are coming */
    DEN_PHASE_BODY,    /* a body is coming: 60 s, and a second more per 50 kB received */
    DEN_PHASE_WORK,    /* our turn: no deadline */
    DEN_PHASE_SEND,    /* a reply of `bytes` is going out, same arithmetic */
};
struct den_watch {
    struct den_watch *next, *prev;
    int fd;
    /* Guarded by den_http.lock, as the list is. */
    enum den_phase phase;
    double since; /* den_monotonic_s of the phase's start */
    uint64_t bytes;
};
void den_watch_notify(void *cls, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode code);
struct den_watch *den_watch_of(struct MHD_Connection *connection);
void den_watch_phase(struct den_http *http, struct den_watch *watch, enum den_phase phase,
                     uint64_t bytes);
void den_watch_received(struct den_http *http, struct den_watch *watch, size_t bytes);
/* Twice a second, under the lock: cuts who is too slow, notices who has left. */
void den_watch_expire(struct den_http *http);
bool den_watch_gone(int fd); /* nothing more will come: end of stream or an error */

#endif
