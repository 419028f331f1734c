#include "watch.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "clock.h"
#include "http_private.h"
#include "log.h"
#include "mem.h"

/* libmicrohttpd has a limit on inactivity only: a byte every two seconds holds a
 * connection for ever.  Here each phase of a connection gets a limit on the whole. */

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
    atomic_init(&watch->phase, DEN_PHASE_HEADERS);
    atomic_init(&watch->since, den_monotonic_s());
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
        struct den_watch *watch = *context;
        /* The socket is still open here, so expire never meets a number used anew. */
        pthread_mutex_lock(&http->lock);
        forget(http, watch);
        pthread_mutex_unlock(&http->lock);
        if (watch->lingers && !watch->cut)
            den_linger_take(&http->linger, watch->fd);
        den_free(watch);
        *context = NULL;
    }
}

struct den_watch *den_watch_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

void den_watch_phase(struct den_watch *watch, enum den_phase phase)
{
    if (watch == NULL)
        return;
    atomic_store_explicit(&watch->since, den_monotonic_s(), memory_order_relaxed);
    atomic_store_explicit(&watch->phase, phase, memory_order_release);
}

/* What the kernel has moved: in, and out up to what the client has acknowledged.  Both
 * stay 0 where it does not say. */
static void moved(int fd, uint64_t *ret_received, uint64_t *ret_acknowledged)
{
    struct tcp_info info = {.tcpi_state = 0};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return;
    *ret_received = info.tcpi_bytes_received;
    *ret_acknowledged = info.tcpi_bytes_acked;
}

/* Notes where the counters stood when a phase was first seen. */
static void begin(struct den_watch *watch, double since, uint64_t received,
                  uint64_t acknowledged)
{
    watch->seen = since;
    watch->received = received;
    watch->acknowledged = acknowledged;
    watch->line_began = 0;
}

/* Is the phase over its time at `now`?  A body or a reply earns its time by moving; the
 * size that a client announces earns it nothing. */
static bool too_slow(const struct den_http_config *c, struct den_watch *watch,
                     enum den_phase phase, double since, double now)
{
    uint64_t received = 0, acknowledged = 0;
    if (phase == DEN_PHASE_WORK)
        return false;
    if (phase == DEN_PHASE_HEADERS)
        return now - since > c->header_s;
    moved(watch->fd, &received, &acknowledged);
    if (watch->seen != since)
        begin(watch, since, received, acknowledged);
    if (phase == DEN_PHASE_BODY)
        return now - since > c->body_s + (double)(received - watch->received) / c->rate;
    if (phase == DEN_PHASE_SEND)
        return now - since >
               c->body_s + (double)(acknowledged - watch->acknowledged) / c->rate;
    /* The library tells of a request when its first line is complete.  One that drips in
     * is known by the bytes it brings, and has as long as any headers. */
    if (received > watch->received && watch->line_began == 0)
        watch->line_began = now;
    return now - since > c->timeout_s + c->header_s ||
           (watch->line_began > 0 && now - watch->line_began > c->header_s);
}

bool den_watch_gone(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0;
}

/* When the last bytes and the end of a stream arrive together, 0.9.75 reads the bytes,
 * takes the short read for an empty socket, and never hears of the end, because epoll
 * reports an edge once.  Shutting down our side of it makes a new edge; what we still
 * have to send is not touched. */
static void nudge(const struct den_watch *watch, enum den_phase phase)
{
    bool reading =
        phase == DEN_PHASE_IDLE || phase == DEN_PHASE_HEADERS || phase == DEN_PHASE_BODY;
    if (reading && den_watch_gone(watch->fd))
        shutdown(watch->fd, SHUT_RD);
}

static void look_at(struct den_http *http, struct den_watch *watch, double now)
{
    enum den_phase phase = atomic_load_explicit(&watch->phase, memory_order_acquire);
    double since = atomic_load_explicit(&watch->since, memory_order_relaxed);
    nudge(watch, phase);
    if (watch->cut || !too_slow(&http->config, watch, phase, since, now))
        return;
    /* What a client does not take shall not stay in the kernel for it either. */
    if (phase == DEN_PHASE_SEND)
        (void)setsockopt(watch->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1},
                         sizeof(struct linger));
    /* The library sees the end of the stream and cleans up in its own thread. */
    shutdown(watch->fd, SHUT_RDWR);
    watch->cut = true;
    den_log(DEN_INFO, "slow_connection_cut", " phase=%d seconds=%.1f", (int)phase,
            now - since);
}

void den_watch_expire(struct den_http *http)
{
    double now = den_monotonic_s();
    for (struct den_watch *watch = http->watches; watch != NULL; watch = watch->next)
        look_at(http, watch, now);
}
