/* Messages of the jail's processes: fixed structs over SOCK_SEQPACKET, descriptors beside
 * them. */
#include "jail_private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(DEN_JAIL_FDS * sizeof(int))];
};

void den_jail_close_all(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

int den_jail_send(int socket, const void *data, size_t size, const int *fds, size_t count)
{
    union control control;
    struct iovec part = {.iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    memcpy(&part.iov_base, &data, sizeof data); /* sendmsg only reads it */
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof *fds);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof *fds);
        memcpy(CMSG_DATA(head), fds, count * sizeof *fds);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == ECONNRESET ? EPIPE : errno;
    return (size_t)sent == size ? 0 : EBADMSG;
}

/* All descriptors of the message, how many there ever are. */
static size_t take_fds(struct msghdr *message, int *fds)
{
    size_t count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL;
         at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (at->cmsg_len - CMSG_LEN(0)) / sizeof *fds;
        for (size_t i = 0; i < n && count < DEN_JAIL_FDS; i++)
            memcpy(&fds[count++], CMSG_DATA(at) + i * sizeof *fds, sizeof *fds);
    }
    return count;
}

int den_jail_receive(int socket, void *data, size_t size, int *fds, size_t room,
                     size_t *ret_count)
{
    union control control;
    int got_fds[DEN_JAIL_FDS] = {-1, -1, -1};
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (room > 0) { /* without room for them the kernel closes what is sent */
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
    }
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == ECONNRESET ? EPIPE : errno;
    size_t count = take_fds(&message, got_fds);
    bool whole = (size_t)got == size && (message.msg_flags & MSG_TRUNC) == 0;
    if (got == 0 || !whole || count > room) {
        den_jail_close_all(got_fds, count);
        return got == 0 ? EPIPE : EBADMSG;
    }
    for (size_t i = 0; i < count; i++)
        fds[i] = got_fds[i];
    if (ret_count != NULL)
        *ret_count = count;
    return 0;
}
