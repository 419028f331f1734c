#ifndef DEN_WATCH_H
#define DEN_WATCH_H

/* Connections and their deadlines. */

#include <microhttpd.h>
#include <stdatomic.h>

#include "http.h"

enum den_phase {
    DEN_PHASE_HEADERS, /* a request line and headers are coming; so a connection begins */
    DEN_PHASE_IDLE,    /* between two requests */
    DEN_PHASE_BODY,    /* a body is coming: body_s, and a second more per rate bytes */
    DEN_PHASE_WORK,    /* our turn, or a stream of events: no deadline */
    DEN_PHASE_SEND,    /* a reply is going out: as a body, by bytes acknowledged */
};
struct den_watch {
    struct den_watch *next, *prev; /* guarded by den_http.lock */
    int fd;
    /* Written by the connection's thread, `since` first; read by the ticker, `phase`
     * first: it may see an old phase that began late, never a new one that began early.
     */
    _Atomic(double) since; /* den_monotonic_s of the phase's start */
    _Atomic(enum den_phase) phase;
    /* The ticker's own: the phase it last saw, and the bytes moved before that. */
    double seen;
    uint64_t received, acknowledged;
    double line_began; /* when bytes came in IDLE, 0 = not yet */
    bool cut;
    bool lingers; /* a body may still be coming; the connection's thread alone */
};
void den_watch_notify(void *cls, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode code);
struct den_watch *den_watch_of(struct MHD_Connection *connection);
void den_watch_phase(struct den_watch *watch, enum den_phase phase);
/* Twice a second, under the lock: cuts who is too slow, notices who has left. */
void den_watch_expire(struct den_http *http);
bool den_watch_gone(int fd); /* nothing more will come: end of stream or an error */

#endif
