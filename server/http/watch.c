#include "watch.h"

#include <errno.h>
#include <sys/socket.h>

#include "clock.h"
#include "http_private.h"
#include "log.h"
#include "mem.h"

/* libmicrohttpd has a limit on inactivity only: a byte every two seconds holds a
 * connection for ever.  Here each phase of a connection gets a limit on the whole. */

enum { HEADERS_S = 10, BODY_S = 60, BYTES_PER_S = 50000 };

static void forget(struct den_http *http, struct den_watch *watch)
{
    if (watch->prev != NULL)
        watch->prev->next = watch->next;
    else
        http->watches = watch->next;
    if (watch->next != NULL)
        watch->next->prev = watch->prev;
    http->watch_count--;
}

static void opened(struct den_http *http, struct MHD_Connection *connection,
                   void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct den_watch *watch = den_calloc(1, sizeof *watch);
    *context = watch; /* without memory: requests on it are refused */
    if (watch == NULL)
        return;
    watch->fd = info->connect_fd;
    watch->since = den_monotonic_s();
    pthread_mutex_lock(&http->lock);
    watch->next = http->watches;
    if (watch->next != NULL)
        watch->next->prev = watch;
    http->watches = watch;
    http->watch_count++;
    pthread_mutex_unlock(&http->lock);
}

void den_watch_notify(void *cls, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode code)
{
    struct den_http *http = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        opened(http, connection, context);
    else if (*context != NULL) {
        /* The socket is still open here, so expire never meets a number used anew. */
        pthread_mutex_lock(&http->lock);
        forget(http, *context);
        pthread_mutex_unlock(&http->lock);
        den_free(*context);
        *context = NULL;
    }
}

struct den_watch *den_watch_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

void den_watch_phase(struct den_http *http, struct den_watch *watch, enum den_phase phase,
                     uint64_t bytes)
{
    if (watch == NULL)
        return;
    pthread_mutex_lock(&http->lock);
    watch->phase = phase;
    watch->since = den_monotonic_s();
    watch->bytes = bytes;
    pthread_mutex_unlock(&http->lock);
}

void den_watch_received(struct den_http *http, struct den_watch *watch, size_t bytes)
{
    if (watch == NULL)
        return;
    pthread_mutex_lock(&http->lock);
    watch->bytes += bytes;
    pthread_mutex_unlock(&http->lock);
}

/* Seconds that the phase may take in all; < 0: as long as it likes. */
static double allowed(const struct den_http *http, const struct den_watch *watch)
{
    double timeout = http->config.timeout_s;
    double headers = timeout < HEADERS_S ? timeout : HEADERS_S;
    switch (watch->phase) {
    case DEN_PHASE_IDLE: /* silence, and then a request line */
        return timeout + headers;
    case DEN_PHASE_HEADERS:
        return headers;
    case DEN_PHASE_BODY:
    case DEN_PHASE_SEND:
        return BODY_S + (double)watch->bytes / BYTES_PER_S;
    case DEN_PHASE_WORK:
        break;
    }
    return -1;
}

bool den_watch_gone(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 ||
           (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* When the last bytes and the end of a stream arrive together, 0.9.75 reads the bytes,
 * takes the short read for an empty socket, and never hears of the end, because epoll
 * reports an edge once.  Shutting down our side of it makes a new edge; what we still
 * have to send is not touched. */
static void nudge(const struct den_watch *watch)
{
    bool reading = watch->phase == DEN_PHASE_IDLE || watch->phase == DEN_PHASE_HEADERS ||
                   watch->phase == DEN_PHASE_BODY;
    if (reading && den_watch_gone(watch->fd))
        shutdown(watch->fd, SHUT_RD);
}

void den_watch_expire(struct den_http *http)
{
    double now = den_monotonic_s();
    for (struct den_watch *watch = http->watches; watch != NULL; watch = watch->next) {
        double limit = allowed(http, watch);
        nudge(watch);
        if (limit < 0 || now - watch->since <= limit)
            continue;
        /* The library sees the end of the stream and cleans up in its own thread. */
        shutdown(watch->fd, SHUT_RDWR);
        watch->since = now;
        den_log(DEN_INFO, "slow_connection_cut", " phase=%d limit_s=%.1f",
                (int)watch->phase, limit);
    }
}
