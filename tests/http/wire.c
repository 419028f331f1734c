#include "wire.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "str.h"

enum { MORE_MS = 400 }; /* how long a second answer is waited for */

/* ---- connections --------------------------------------------------------------------
 */

unsigned wire_port(const char *url)
{
    int64_t port = 0;
    const char *colon = strrchr(url, ':');
    ck_assert(colon != NULL && den_parse_int(colon + 1, 1, 65535, &port, NULL));
    return (unsigned)port;
}

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int wire_connect(unsigned port)
{
    const struct sockaddr_in to = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

int wire_listen(unsigned *ret_port)
{
    struct sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    ck_assert_int_eq(listen(fd, 511), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

bool wire_raise_files(size_t wanted)
{
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted;
}

bool wire_send(int fd, const void *data, size_t length)
{
    const char *bytes = data;
    while (length > 0) {
        ssize_t put = send(fd, bytes, length, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        bytes += put;
        length -= (size_t)put;
    }
    return true;
}

/* ---- a strict reader [RFC 9112, sections 4 to 7] --------------------------------------
 */

/* The value of a header between from and end, or NULL. */
static const char *header(const char *from, const char *end, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = strstr(from, "\r\n"); line != NULL && line < end;
         line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
            return line + 3 + length + strspn(line + 3 + length, " ");
    return NULL;
}

/* The bytes of a chunked body, 0 when it is not whole. */
static size_t chunked(const char *body, size_t length)
{
    size_t at = 0;
    for (;;) {
        char digits[9] = "";
        size_t n = strspn(body + at, "0123456789abcdefABCDEF"), size = 0;
        if (n == 0 || n > 8 || at + n + 2 > length)
            return 0;
        memcpy(digits, body + at, n);
        for (size_t i = 0; i < n; i++) {
            static const char hex[] = "0123456789abcdef";
            const char *c = strchr(hex, digits[i] | 0x20);
            size = size * 16 + (c != NULL ? (size_t)(c - hex) : 0);
        }
        at += n + 2 + size + 2;
        if (at > length)
            return 0;
        if (size == 0)
            return at;
    }
}

static bool ends_connection(const char *head, const char *end)
{
    const char *value = header(head, end, "Connection");
    return value != NULL && strncasecmp(value, "close", 5) == 0;
}

/* Length of the answer at `at`, 0 when there is none. */
static size_t answer_length(const struct wire *w, size_t at, int *ret_status)
{
    const char *head = w->data + at, *end = strstr(head, "\r\n\r\n");
    char digits[21] = "";
    int64_t status = 0, size = 0;
    if (strncmp(head, "HTTP/1.1 ", 9) != 0 || end == NULL)
        return 0;
    memcpy(digits, head + 9, 3);
    if (!den_parse_int(digits, 100, 599, &status, NULL))
        return 0;
    *ret_status = (int)status;
    size_t length = (size_t)(end + 4 - head), rest = w->length - at - length;
    const char *announced = header(head, end, "Content-Length");
    if (status < 200 || status == 204 || status == 304)
        return length;
    if (header(head, end, "Transfer-Encoding") != NULL)
        return length + chunked(head + length, rest);
    if (announced != NULL) {
        memcpy(digits, announced, strspn(announced, "0123456789") % sizeof digits);
        if (!den_parse_int(digits, 0, INT64_MAX, &size, NULL))
            return 0;
        return length + ((size_t)size < rest ? (size_t)size : rest);
    }
    return length + rest;
}

static void split(struct wire *w)
{
    size_t at = 0, length;
    int status = 0;
    bool last = false;
    w->count = 0;
    while (!last && (length = answer_length(w, at, &status)) > 0) {
        last = ends_connection(w->data + at, strstr(w->data + at, "\r\n\r\n"));
        if (status >= 200 && w->count < WIRE_ANSWERS) {
            w->status[w->count] = status;
            w->start[w->count] = at;
        }
        w->count += status >= 200;
        at += length;
    }
    w->left_over = w->length - at;
}

struct wire wire_exchange(unsigned port, const void *data, size_t length, double seconds)
{
    struct wire w = {.data = calloc(1, 4096)};
    size_t room = 4096;
    int fd = wire_connect(port);
    ck_assert_int_ge(fd, 0);
    (void)wire_send(fd, data, length);
    for (;;) {
        struct pollfd look = {.fd = fd, .events = POLLIN};
        if (poll(&look, 1, w.count > 0 ? MORE_MS : (int)(seconds * 1e3)) <= 0)
            break;
        ssize_t got = recv(fd, w.data + w.length, room - w.length - 1, 0);
        w.closed = got <= 0; /* a reset is an end as well */
        if (w.closed)
            break;
        w.length += (size_t)got;
        w.data[w.length] = '\0';
        split(&w);
        if (w.length + 1 == room) {
            char *more = realloc(w.data, room *= 2);
            ck_assert_ptr_nonnull(more);
            w.data = more;
        }
    }
    close(fd);
    return w;
}

void wire_free(struct wire *wire)
{
    free(wire->data);
    *wire = (struct wire){0};
}
