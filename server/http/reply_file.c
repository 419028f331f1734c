#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_private.h"
#include "mem.h"
#include "range.h"
#include "str.h"

/* Conditional and partial answers for files [RFC 9110, sections 13 and 14]. */

/* Content-Disposition with an ASCII name for old clients and the full one in UTF-8
 * [RFC 6266, RFC 8187]. */
static void add_disposition(struct den_reply *reply, const char *name)
{
    struct den_buf text;
    den_buf_init(&text, 4096);
    den_buf_puts(&text, "attachment; filename=\"");
    for (const char *p = name; *p != '\0'; p++) {
        bool plain = (unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f &&
                     strchr("\"\\%/", *p) == NULL;
        den_buf_add(&text, plain ? p : "_", 1);
    }
    den_buf_puts(&text, "\"; filename*=UTF-8''");
    for (const char *p = name; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (isalnum(c) || strchr("-._~", c) != NULL)
            den_buf_add(&text, p, 1);
        else
            den_buf_printf(&text, "%%%02X", c);
    }
    if (text.failed)
        reply->failed = true;
    else
        den_reply_header(reply, "Content-Disposition", text.data);
    den_buf_release(&text);
}

static bool open_file(const char *path, int *ret_fd, uint64_t *ret_size,
                      struct den_err *err)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return den_err_sys(err, errno, "the content cannot be opened");
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return den_err_set(err, DEN_E_IO, "the content cannot be read");
    }
    *ret_fd = fd;
    *ret_size = (uint64_t)info.st_size;
    return true;
}

/* The Range header counts for GET only, and with If-Range only while the file is the one
 * that the client has a part of. */
static const char *range_asked(const struct den_request *r, const char *quoted)
{
    const char *only_if = den_request_header(r, "If-Range");
    if (strcmp(r->method, "GET") != 0 ||
        (only_if != NULL && strcmp(only_if, quoted) != 0))
        return NULL;
    return den_request_header(r, "Range");
}

static void choose_part(struct den_reply *reply, const char *range, uint64_t size)
{
    char text[96];
    uint64_t from = 0, count = size;
    enum den_span span =
        range == NULL ? DEN_SPAN_ALL : den_range_read(range, size, &from, &count);
    if (span == DEN_SPAN_NONE) {
        close(reply->fd);
        reply->fd = -1;
        den_str_format(text, sizeof text, "bytes */%llu", (unsigned long long)size);
        den_reply_header(reply, "Content-Range", text);
        den_str_format(text, sizeof text, "the range lies outside the %llu bytes",
                       (unsigned long long)size);
        den_reply_problem(reply, 416, "range_not_satisfiable", text);
        return;
    }
    if (span == DEN_SPAN_PART) {
        reply->status = 206;
        den_str_format(text, sizeof text, "bytes %llu-%llu/%llu",
                       (unsigned long long)from, (unsigned long long)(from + count - 1),
                       (unsigned long long)size);
        den_reply_header(reply, "Content-Range", text);
    }
    reply->offset = from;
    reply->size = count;
}

bool den_reply_file(struct den_reply *reply, const char *path, const char *media,
                    const char *etag, const char *disposition, struct den_err *err)
{
    char quoted[192] = "";
    int fd = -1;
    uint64_t size = 0;
    const struct den_request *r = reply->request;
    if (etag != NULL && !den_str_format(quoted, sizeof quoted, "\"%s\"", etag))
        return den_err_set(err, DEN_E_INTERNAL, "the entity tag is too long");
    if (!open_file(path, &fd, &size, err))
        return false;
    den_reply_take(reply, media, den_strdup(""), 0); /* drops what was there */
    den_reply_header(reply, "Accept-Ranges", "bytes");
    if (etag != NULL) {
        den_reply_header(reply, "ETag", quoted);
        /* Content under a hash never changes, but access to it may: ask again. */
        den_reply_header(reply, "Cache-Control", "private, no-cache");
    }
    const char *known = den_request_header(r, "If-None-Match");
    if (etag != NULL && known != NULL && den_etag_listed(known, quoted)) {
        reply->status = 304;
        close(fd);
        return true;
    }
    if (disposition != NULL)
        add_disposition(reply, disposition);
    reply->kind = DEN_REPLY_FILE;
    reply->fd = fd;
    choose_part(reply, range_asked(r, quoted), size);
    return true;
}
