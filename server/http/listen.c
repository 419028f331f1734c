#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_private.h"
#include "log.h"

/* Accepting is ours: MHD_quiesce_daemon of 0.9.75 removes the listening socket from the
 * epoll set of each pool thread without a lock, and aborts the process when that thread
 * did it first. */

enum { BACKLOG = 1024, FULL_WAIT_MS = 20, UNANSWERED_MS = 60000 };

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_address(const char *address, uint16_t port, union any_address *ret,
                          socklen_t *ret_length, struct den_err *err)
{
    union any_address to = {.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};
    if (inet_pton(AF_INET6, address, &to.v6.sin6_addr) == 1)
        *ret_length = sizeof to.v6;
    else {
        to = (union any_address){.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
        if (inet_pton(AF_INET, address, &to.v4.sin_addr) != 1)
            return den_err_set(err, DEN_E_INVALID, "'%s' is not an IP address", address);
        *ret_length = sizeof to.v4;
    }
    *ret = to;
    return true;
}

static bool bind_and_listen(int fd, const union any_address *to, socklen_t length,
                            uint16_t *ret_port)
{
    const int yes = 1;
    union any_address bound = {.v4 = {.sin_family = AF_UNSPEC}};
    socklen_t size = sizeof bound;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(fd, &to->any, length) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &bound.any, &size) != 0)
        return false;
    *ret_port =
        ntohs(bound.any.sa_family == AF_INET6 ? bound.v6.sin6_port : bound.v4.sin_port);
    return true;
}

bool den_listen_open(const char *address, uint16_t port, int *ret_fd, uint16_t *ret_port,
                     struct den_err *err)
{
    union any_address to;
    socklen_t length = 0;
    if (!parse_address(address, port, &to, &length, err))
        return false;
    int fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return den_err_sys(err, errno, "a socket cannot be made");
    if (!bind_and_listen(fd, &to, length, ret_port)) {
        den_err_sys(err, errno, "port %u of %s cannot be listened on", port, address);
        close(fd);
        return false;
    }
    *ret_fd = fd;
    return true;
}

static bool is_full(struct den_http *http)
{
    pthread_mutex_lock(&http->lock);
    bool full = http->watch_count >= http->config.connections;
    pthread_mutex_unlock(&http->lock);
    return full;
}

/* A machine that was switched off sends no end, and a client may never take what is sent:
 * the kernel gives up on bytes that are not acknowledged for so long, also on those that
 * it still has when we have closed. */
static void limit_patience(int fd)
{
    const int yes = 1;
    const unsigned wait_ms = UNANSWERED_MS;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &wait_ms, sizeof wait_ms);
}

/* Takes what waits; false when a wait is due before the next attempt. */
static bool accept_all(struct den_http *http)
{
    for (;;) {
        if (is_full(http))
            return false; /* clients wait in the kernel's queue */
        union any_address from;
        socklen_t length = sizeof from;
        int fd =
            accept4(http->listen_fd, &from.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0) { /* out of file descriptors or memory */
            den_log(DEN_WARN, "accept_failed", " errno=%d", errno);
            return false;
        }
        limit_patience(fd);
        if (MHD_add_connection(http->daemon, fd, &from.any, length) != MHD_YES)
            den_log(DEN_WARN, "connection_refused", " errno=%d", errno);
    }
}

void *den_listen_run(void *cls)
{
    struct den_http *http = cls;
    struct pollfd wait[] = {{.fd = http->listen_fd, .events = POLLIN},
                            {.fd = http->stop_fd, .events = POLLIN}};
    bool room = true;
    for (;;) {
        /* While there is no room only the stop signal is listened to. */
        int from = room ? 0 : 1;
        if (poll(wait + from, room ? 2 : 1, room ? -1 : FULL_WAIT_MS) < 0 &&
            errno != EINTR)
            den_log(DEN_ERROR, "poll_failed", " errno=%d", errno);
        if ((wait[1].revents & POLLIN) != 0)
            break;
        room = accept_all(http);
    }
    accept_all(http); /* who has got through the handshake is served */
    return NULL;
}
