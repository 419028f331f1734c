#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "str.h"

/* A socket's address has 108 bytes and a folder's name may have more: the address goes
 * over the opened folder. */
static bool open_folder(const char *state, int *ret_fd, struct sockaddr_un *address,
                        struct den_err *err)
{
    int fd = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return den_err_sys(err, errno, "the state folder cannot be opened");
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    den_str_format(address->sun_path, sizeof address->sun_path,
                   "/proc/self/fd/%d/control", fd);
    *ret_fd = fd;
    return true;
}

static bool make(const char *state, bool listens, int *ret_fd, struct den_err *err)
{
    enum { WAITING = 4 };
    struct sockaddr_un address;
    int folder = -1, fd = -1;
    bool done = false;
    if (!open_folder(state, &folder, &address, err))
        return false;
    const struct sockaddr *at = (const struct sockaddr *)(const void *)&address;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && listens) {
        (void)unlink(address.sun_path);
        done = bind(fd, at, sizeof address) == 0 && chmod(address.sun_path, 0600) == 0 &&
               listen(fd, WAITING) == 0;
    } else if (fd >= 0) {
        done = connect(fd, at, sizeof address) == 0;
    }
    if (!done)
        den_err_sys(err, errno == ECONNREFUSED ? ENOENT : errno,
                    "the daemon's control socket cannot be %s",
                    listens ? "made" : "opened");
    if (!done && fd >= 0)
        close(fd);
    if (done)
        *ret_fd = fd;
    close(folder);
    return done;
}

bool den_control_listen(const char *state, int *ret_fd, struct den_err *err)
{
    return make(state, true, ret_fd, err);
}

bool den_control_connect(const char *state, int *ret_fd, struct den_err *err)
{
    return make(state, false, ret_fd, err);
}

/* Between bind and chmod anybody could have knocked who may enter the folder. */
bool den_control_accept(int listener, int *ret_fd)
{
    const struct timeval patience = {.tv_sec = 5};
    struct ucred peer;
    socklen_t size = sizeof peer;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
        (peer.uid == 0 || peer.uid == geteuid()) &&
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0) {
        *ret_fd = fd;
        return true;
    }
    close(fd);
    return false;
}

/* Byte by byte: lines are short and few. */
bool den_control_read(int fd, char *to, size_t size)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = recv(fd, to + length, 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got != 1)
            return false;
        if (to[length] == '\n') {
            to[length] = '\0';
            return true;
        }
        length++;
    }
    return false;
}

static bool put(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0) {
            (void)shutdown(fd, SHUT_RDWR);
            return false;
        }
        text += sent;
        length -= (size_t)sent;
    }
    return true;
}

bool den_control_line(int fd, const char *mark, const char *text)
{
    return put(fd, mark, strlen(mark)) && put(fd, text, strcspn(text, "\n")) &&
           put(fd, "\n", 1);
}
