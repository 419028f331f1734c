#ifndef NOTIFIED_H
#define NOTIFIED_H

/* The other end of sd_notify(3): a datagram socket of our own, told to the daemon by its
 * environment. */

#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "clock.h"
#include "den_check.h"
#include "str.h"

struct notified {
    int fd;
    char name[64];
};

/* abstract: a name without a file.  watchdog: WATCHDOG_USEC, or NULL. */
static inline void notified_open(struct notified *n, bool abstract, const char *watchdog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(n->name, sizeof n->name, "%s/tmp/denoised-notify-%d",
                   abstract ? "@" : "", (int)getpid());
    den_str_copy(address.sun_path, sizeof address.sun_path, n->name);
    if (abstract)
        address.sun_path[0] = '\0';
    else
        (void)unlink(n->name);
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(n->fd, 0);
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(n->name) + !abstract);
    ck_assert_int_eq(bind(n->fd, (const struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", n->name, 1), 0);
    if (watchdog != NULL)
        ck_assert_int_eq(setenv("WATCHDOG_USEC", watchdog, 1), 0);
}

static inline void notified_close(struct notified *n)
{
    close(n->fd);
    if (n->name[0] == '/')
        (void)unlink(n->name);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
}

/* The next message into to[size], or "" when none came in so many seconds. */
static inline const char *notified_next(const struct notified *n, double seconds,
                                        char *to, size_t size)
{
    struct pollfd one = {.fd = n->fd, .events = POLLIN};
    ssize_t got = 0;
    if (poll(&one, 1, (int)(1e3 * seconds)) == 1)
        got = recv(n->fd, to, size - 1, MSG_DONTWAIT);
    to[got > 0 ? got : 0] = '\0';
    return to;
}

/* Until a message begins so; what else comes is passed over.  false: it did not come. */
static inline bool notified_wait(const struct notified *n, const char *begin,
                                 double seconds)
{
    char text[256];
    double end = den_monotonic_s() + seconds;
    while (den_monotonic_s() < end)
        if (den_str_starts(notified_next(n, 0.1, text, sizeof text), begin) &&
            text[0] != '\0')
            return true;
    return false;
}

/* How many messages of this text come in so many seconds. */
static inline size_t notified_count(const struct notified *n, const char *text,
                                    double seconds)
{
    char got[256];
    size_t count = 0;
    double end = den_monotonic_s() + seconds;
    while (den_monotonic_s() < end)
        count += strcmp(notified_next(n, 0.05, got, sizeof got), text) == 0;
    return count;
}

#endif
