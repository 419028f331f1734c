#include "linger.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

/* A socket that is closed with bytes unread, or that gets more of them, answers with a
 * reset, and that takes the reply out of the client's hands before it was read (RFC 9112,
 * 9.6).  The library closes at once; what is kept here is a second descriptor of the
 * same socket. */

enum {
    GULP = 1 << 20,     /* bytes thrown away at a time */
    DEADLINES_MS = 500, /* how often deadlines are looked at */
};

struct lingering {
    int fd;
    double until; /* den_monotonic_s */
};

/* What the thread alone has; polled[0] is the pipe, polled[i + 1] socket i. */
struct pool {
    struct lingering sockets[DEN_LINGERING];
    struct pollfd polled[DEN_LINGERING + 1];
    size_t count;
};

/* Takes in a socket from the pipe; false: nobody will write to it any more. */
static bool take(struct pool *pool, int pipe, double seconds)
{
    int fd;
    ssize_t got = read(pipe, &fd, sizeof fd);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    if (got != sizeof fd)
        return false;
    if (pool->count == DEN_LINGERING)
        close(fd);
    else
        pool->sockets[pool->count++] =
            (struct lingering){fd, den_monotonic_s() + seconds};
    return true;
}

/* false: the client has closed its side, or is gone. */
static bool throw_away(int fd)
{
    ssize_t got = recv(fd, NULL, GULP, MSG_TRUNC | MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static void look_at_all(struct pool *pool, size_t polled)
{
    double now = den_monotonic_s();
    for (size_t i = polled; i-- > 0;) {
        struct lingering *socket = &pool->sockets[i];
        bool stays = pool->polled[i + 1].revents == 0 || throw_away(socket->fd);
        if (stays && now < socket->until)
            continue;
        close(socket->fd);
        *socket = pool->sockets[--pool->count];
    }
}

static void *run(void *opaque)
{
    const struct den_linger *linger = opaque;
    struct pool pool = {.count = 0};
    for (bool open = true; open;) {
        size_t polled = pool.count;
        pool.polled[0] = (struct pollfd){.fd = linger->pipe[0], .events = POLLIN};
        for (size_t i = 0; i < polled; i++)
            pool.polled[i + 1] =
                (struct pollfd){.fd = pool.sockets[i].fd, .events = POLLIN};
        if (poll(pool.polled, polled + 1, polled > 0 ? DEADLINES_MS : -1) < 0)
            continue; /* a signal */
        look_at_all(&pool, polled);
        if (pool.polled[0].revents != 0)
            open = take(&pool, linger->pipe[0], linger->seconds);
    }
    while (pool.count > 0)
        close(pool.sockets[--pool.count].fd);
    return NULL;
}

bool den_linger_start(struct den_linger *linger, double seconds, struct den_err *err)
{
    linger->seconds = seconds;
    if (pipe2(linger->pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return den_err_sys(err, errno, "a pipe cannot be made");
    int sys = pthread_create(&linger->thread, NULL, run, linger);
    linger->runs = sys == 0;
    if (linger->runs)
        return true;
    close(linger->pipe[0]);
    close(linger->pipe[1]);
    return den_err_sys(err, sys, "a thread cannot be started");
}

void den_linger_take(struct den_linger *linger, int fd)
{
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return;
    shutdown(own, SHUT_WR);
    if (write(linger->pipe[1], &own, sizeof own) != sizeof own)
        close(own);
}

void den_linger_stop(struct den_linger *linger)
{
    if (!linger->runs)
        return;
    close(linger->pipe[1]);
    pthread_join(linger->thread, NULL);
    close(linger->pipe[0]);
    linger->runs = false;
}
