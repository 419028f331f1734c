#ifndef HTTP_TOY_H
#define HTTP_TOY_H

/* A small server with toy routes, and a client that sends raw bytes. */

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "clock.h"
#include "den_check.h"
#include "fs.h"
#include "http.h"
#include "mem.h"
#include "str.h"

enum { TOY_JSON_MAX = 4096, TOY_UPLOAD_MAX = 3 * 1024 * 1024 };

struct toy {
    struct den_http *http;
    char folder[64]; /* of uploads */
    atomic_int names, handled, released, started, slept;
    atomic_int events;  /* how many each stream shall tell */
    atomic_bool finish; /* streams end after the events */
    atomic_int slow_ms; /* what /slow and its like sleep */
    atomic_bool busy;   /* handlers of routes with a scope would wait */
    char kept[200];     /* path of the last upload that was taken */
    atomic_int parts, parts_ended;
    unsigned port;
};

static struct toy toy;

/* ---- handlers ------------------------------------------------------------------------
 */

static inline void toy_sleep(int ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L},
              NULL);
}

static inline bool toy_printf(struct den_reply *reply, const char *format, const char *a,
                              const char *b)
{
    char text[600];
    den_str_format(text, sizeof text, "%s[%s][%s]", format, a != NULL ? a : "-",
                   b != NULL ? b : "-");
    den_reply_text(reply, "text/plain", text);
    return true;
}

static bool toy_hello(void *app, struct den_request *r, struct den_reply *reply,
                      struct den_err *err)
{
    (void)err;
    atomic_fetch_add(&((struct toy *)app)->handled, 1);
    return toy_printf(reply, "hello", den_request_header(r, "X-Say"), NULL);
}

static bool toy_thing(void *app, struct den_request *r, struct den_reply *reply,
                      struct den_err *err)
{
    (void)app, (void)err;
    return toy_printf(reply, "thing", den_request_param(r, "id"),
                      den_request_param(r, "part"));
}

static bool toy_query(void *app, struct den_request *r, struct den_reply *reply,
                      struct den_err *err)
{
    (void)app, (void)err;
    return toy_printf(reply, "query", den_request_query(r, "limit"),
                      den_request_query(r, "name"));
}

static bool toy_json(void *app, struct den_request *r, struct den_reply *reply,
                     struct den_err *err)
{
    (void)app, (void)err;
    size_t length = 0;
    const char *body = den_request_body(r, &length);
    char number[32];
    den_str_format(number, sizeof number, "%zu", length);
    return toy_printf(reply, "json", number, length < 200 ? body : "long");
}

static bool toy_upload(void *app, struct den_request *r, struct den_reply *reply,
                       struct den_err *err)
{
    struct toy *t = app;
    const struct den_upload *upload = den_request_upload(r);
    uint64_t size = 0;
    char text[400];
    if (!den_fs_size(upload->path, &size, err))
        return false;
    if (size != upload->bytes || size == 0)
        return den_err_set(err, DEN_E_UNPROCESSABLE, "the file has %llu bytes",
                           (unsigned long long)size);
    if (den_request_query(r, "keep") != NULL) {
        den_str_copy(t->kept, sizeof t->kept, upload->path);
        den_request_take_upload(r);
    }
    den_str_format(text, sizeof text, "upload[%s][%llu][%s]", upload->sha256,
                   (unsigned long long)upload->bytes,
                   upload->filename != NULL ? upload->filename : "-");
    den_reply_status(reply, 201);
    den_reply_text(reply, "text/plain", text);
    return true;
}

/* The one file that parts go to: as many bytes as /part may have. */
enum { TOY_PART_MAX = 100000 };

static inline void toy_part_path(char *to, size_t size)
{
    den_str_format(to, size, "%s.part", toy.folder);
}

static inline bool toy_part_begin(void *app, const struct den_request *r,
                                  struct den_part *ret, struct den_err *err)
{
    struct toy *t = app;
    char path[200];
    toy_part_path(path, sizeof path);
    if (den_request_header(r, "X-Refuse") != NULL)
        return den_err_set(err, DEN_E_CONFLICT, "not now");
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    off_t at = lseek(fd, 0, SEEK_END);
    *ret = (struct den_part){.fd = fd, .most = TOY_PART_MAX - (uint64_t)at, .context = t};
    atomic_fetch_add(&t->parts, 1);
    return true;
}

static inline void toy_part_end(void *app, struct den_part *part)
{
    struct toy *t = app;
    close(part->fd);
    atomic_fetch_add(&t->parts_ended, 1);
}

static bool toy_part(void *app, struct den_request *r, struct den_reply *reply,
                     struct den_err *err)
{
    (void)err;
    const struct den_upload *upload = den_request_upload(r);
    char text[200];
    ck_assert_ptr_eq(upload->part, app);
    ck_assert_ptr_null(upload->path);
    den_str_format(text, sizeof text, "part[%s][%llu]", upload->sha256,
                   (unsigned long long)upload->bytes);
    den_reply_text(reply, "text/plain", text);
    return true;
}

static bool toy_file(void *app, struct den_request *r, struct den_reply *reply,
                     struct den_err *err)
{
    struct toy *t = app;
    char path[200];
    den_str_format(path, sizeof path, "%s.content", t->folder);
    const char *name = den_request_query(r, "name");
    return den_reply_file(reply, den_request_query(r, "missing") ? "/nowhere" : path,
                          "image/tiff", "abc", name, err);
}

static bool toy_slow(void *app, struct den_request *r, struct den_reply *reply,
                     struct den_err *err)
{
    (void)err;
    struct toy *t = app;
    atomic_fetch_add(&t->started, 1);
    toy_sleep(atomic_load(&t->slow_ms));
    atomic_fetch_add(&t->slept, 1);
    atomic_fetch_add(&t->handled, 1);
    return toy_printf(reply, "slow", den_request_header(r, "X-Say"), NULL);
}

static bool toy_fail(void *app, struct den_request *r, struct den_reply *reply,
                     struct den_err *err)
{
    (void)app, (void)r;
    den_reply_text(reply, "text/plain", "half an answer");
    den_reply_header(reply, "X-Half", "yes");
    return den_err_field(err, DEN_E_CONFLICT, "/x", "it cannot be \"so\"");
}

static bool toy_big(void *app, struct den_request *r, struct den_reply *reply,
                    struct den_err *err)
{
    (void)app, (void)r;
    const size_t size = 1 << 20;
    char *data = den_new(size, 1, err);
    if (data == NULL)
        return false;
    memset(data, 'x', size);
    den_reply_header(reply, "X-Evil", "a\r\nX-Injected: 1"); /* must be refused */
    den_reply_header(reply, "Content-Security-Policy", "default-src 'self'");
    den_reply_take(reply, "text/plain", data, size);
    return true;
}

struct toy_stream {
    struct toy *toy;
    int told;
};

static void toy_pull(void *context, struct den_buf *out, bool *done)
{
    struct toy_stream *s = context;
    while (s->told < atomic_load(&s->toy->events))
        den_buf_printf(out, "data: %d\n\n", ++s->told);
    *done = atomic_load(&s->toy->finish);
}

static void toy_release(void *context)
{
    struct toy_stream *s = context;
    atomic_fetch_add(&s->toy->released, 1);
    den_free(s);
}

static bool toy_events(void *app, struct den_request *r, struct den_reply *reply,
                       struct den_err *err)
{
    (void)r;
    struct toy_stream *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    s->toy = app;
    den_reply_stream(reply, s, toy_pull, toy_release);
    return true;
}

static const struct den_route toy_routes[] = {
    {"GET", "/hello", toy_hello, DEN_BODY_NONE, NULL, NULL, false},
    {"GET", "/things/{id}", toy_thing, DEN_BODY_NONE, NULL, NULL, false},
    {"DELETE", "/things/{id}", toy_thing, DEN_BODY_NONE, NULL, NULL, false},
    {"GET", "/things/{id}/parts/{part}", toy_thing, DEN_BODY_NONE, NULL, NULL, false},
    {"POST", "/things/{id}/undo", toy_thing, DEN_BODY_NONE, NULL, NULL, false},
    {"GET", "/query", toy_query, DEN_BODY_NONE, "limit name", NULL, false},
    {"POST", "/json", toy_json, DEN_BODY_JSON, NULL, NULL, false},
    {"POST", "/slowjson", toy_json, DEN_BODY_JSON, NULL, NULL, true},
    {"POST", "/files", toy_upload, DEN_BODY_FILE, "keep", NULL, true},
    {"PATCH", "/part", toy_part, DEN_BODY_PART, NULL, NULL, false},
    {"GET", "/file", toy_file, DEN_BODY_NONE, "name missing", NULL, false},
    {"GET", "/slow", toy_slow, DEN_BODY_NONE, NULL, NULL, true},
    {"GET", "/aside", toy_hello, DEN_BODY_NONE, NULL, NULL, DEN_WAITS},
    {"GET", "/waits", toy_slow, DEN_BODY_NONE, NULL, NULL, DEN_WAITS},
    {"GET", "/reads", toy_slow, DEN_BODY_NONE, NULL, "read", DEN_AT_ONCE},
    {"GET", "/fail", toy_fail, DEN_BODY_NONE, NULL, NULL, false},
    {"GET", "/big", toy_big, DEN_BODY_NONE, NULL, NULL, false},
    {"GET", "/events", toy_events, DEN_BODY_NONE, NULL, NULL, false},
    {NULL, NULL, NULL, DEN_BODY_NONE, NULL, NULL, false},
};

/* ---- the server ----------------------------------------------------------------------
 */

static inline void toy_temporary(void *app, char *to, size_t size)
{
    struct toy *t = app;
    den_str_format(to, size, "%s/%d", t->folder, atomic_fetch_add(&t->names, 1));
}

static inline void toy_problem(void *app, const struct den_request *r,
                               const struct den_err *err, struct den_reply *reply)
{
    static const unsigned statuses[DEN_CODES] = {
        [DEN_E_MALFORMED] = 400,   [DEN_E_INVALID] = 422,   [DEN_E_UNPROCESSABLE] = 422,
        [DEN_E_UNSUPPORTED] = 415, [DEN_E_NOT_FOUND] = 404, [DEN_E_CONFLICT] = 409,
        [DEN_E_TOO_LARGE] = 413,   [DEN_E_BUSY] = 429,      [DEN_E_DRAINING] = 503,
        [DEN_E_DISK_FULL] = 507,   [DEN_E_NO_MEMORY] = 503, [DEN_E_IO] = 500,
        [DEN_E_CANCELLED] = 500,   [DEN_E_DIVERGED] = 500,  [DEN_E_INTERNAL] = 500,
    };
    char text[700];
    (void)app, (void)r;
    den_str_format(text, sizeof text, "problem: %s (limit %lld)", err->text,
                   (long long)err->limit);
    den_reply_status(reply, statuses[err->code]);
    den_reply_text(reply, "application/problem+json", text);
}

static inline bool toy_busy(void *app)
{
    return atomic_load(&((struct toy *)app)->busy);
}

static inline void toy_started(void *app, struct den_http *http)
{
    ((struct toy *)app)->http = http;
}

static inline struct den_http_config toy_config(void)
{
    return (struct den_http_config){.address = "127.0.0.1",
                                    .threads = 2,
                                    .connections = 400,
                                    .json_max = TOY_JSON_MAX,
                                    .upload_max = TOY_UPLOAD_MAX,
                                    .timeout_s = 20,
                                    .streams = 256,
                                    .streams_per_client = 256,
                                    .routes = toy_routes,
                                    .app = &toy,
                                    .started = toy_started,
                                    .busy = toy_busy,
                                    .part_begin = toy_part_begin,
                                    .part_end = toy_part_end,
                                    .temporary = toy_temporary,
                                    .problem = toy_problem};
}

static inline void toy_open(const struct den_http_config *config)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_http *http = NULL;
    char path[200];
    toy = (struct toy){.slow_ms = 30};
    den_str_copy(toy.folder, sizeof toy.folder, "/tmp/den_http_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(toy.folder));
    den_str_format(path, sizeof path, "%s.content", toy.folder);
    must(den_fs_write(path, "0123456789abcdefghij", 20, &err));
    must(den_http_start(config, &http, &err));
    ck_assert_ptr_eq(http, toy.http);
    toy.port = den_http_port(http);
}

static inline void toy_setup(void)
{
    struct den_http_config config = toy_config();
    toy_open(&config);
}

/* Files in the folder for uploads. */
static inline int toy_files(void)
{
    int count = 0;
    DIR *dir = opendir(toy.folder);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static inline void toy_close(unsigned drain_s)
{
    den_http_stop(toy.http, drain_s);
    den_http_free(toy.http);
    toy.http = NULL;
}

static inline void toy_teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    char path[200];
    if (toy.http != NULL)
        toy_close(0);
    ck_assert_int_eq(toy_files(), 0); /* whatever a test did, no upload stays */
    must(den_fs_remove_tree(toy.folder, &err));
    den_str_format(path, sizeof path, "%s.content", toy.folder);
    must(den_fs_remove(path, &err));
    toy_part_path(path, sizeof path);
    unlink(path);
    ck_assert_int_eq(toy.parts, toy.parts_ended);
}

/* ---- the client ----------------------------------------------------------------------
 */

static inline int toy_connect(void)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)toy.port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval limit = {.tv_sec = 8};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline bool toy_send(int fd, const void *data, size_t length)
{
    const char *bytes = data;
    while (length > 0) {
        ssize_t put = send(fd, bytes, length, MSG_NOSIGNAL);
        if (put <= 0)
            return false;
        bytes += put;
        length -= (size_t)put;
    }
    return true;
}

static inline bool toy_say(int fd, const char *text)
{
    return toy_send(fd, text, strlen(text));
}

/* All bytes until the server closes; free() it. */
static inline char *toy_read_all(int fd, size_t *ret_length)
{
    size_t length = 0, room = 4096;
    char *all = malloc(room);
    for (;;) {
        ssize_t got = recv(fd, all + length, room - length - 1, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
        if (length + 1 == room) {
            char *more = realloc(all, room *= 2);
            ck_assert_ptr_nonnull(more);
            all = more;
        }
    }
    all[length] = '\0';
    if (ret_length != NULL)
        *ret_length = length;
    return all;
}

/* One reply by its Content-Length, the connection stays; free() it. */
static inline char *toy_read_one(int fd)
{
    char *all = calloc(1, 65536);
    size_t length = 0;
    const char *end = NULL;
    while (end == NULL && recv(fd, all + length, 1, 0) == 1 && ++length < 65000)
        end = strstr(all, "\r\n\r\n");
    const char *size = strcasestr(all, "Content-Length: ");
    int64_t rest = 0;
    char number[24] = "0";
    if (size != NULL) {
        size += strlen("Content-Length: ");
        memcpy(number, size, strspn(size, "0123456789"));
        ck_assert(den_parse_int(number, 0, 60000, &rest, NULL));
    }
    while (rest > 0) {
        ssize_t got = recv(fd, all + length, (size_t)rest, 0);
        if (got <= 0)
            break;
        length += (size_t)got;
        rest -= got;
    }
    return all;
}

static inline int toy_status(const char *reply)
{
    int64_t status = -1;
    char digits[4] = "";
    if (den_str_starts(reply, "HTTP/1.1 ")) {
        memcpy(digits, reply + 9, 3);
        if (!den_parse_int(digits, 100, 599, &status, NULL))
            return -1;
    }
    return (int)status;
}

static inline const char *toy_body(const char *reply)
{
    const char *end = strstr(reply, "\r\n\r\n");
    return end == NULL ? "" : end + 4;
}

static inline size_t toy_count(const char *text, const char *what)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        count++;
    return count;
}

/* Sends the bytes and reads until the server closes. */
static inline char *toy_exchange(const void *data, size_t length)
{
    int fd = toy_connect();
    ck_assert_int_ge(fd, 0);
    (void)toy_send(fd, data, length);
    char *reply = toy_read_all(fd, NULL);
    close(fd);
    return reply;
}

/* "METHOD target", more header lines (each with its CRLF), body. */
static inline char *toy_ask(const char *line, const char *headers, const char *body)
{
    char text[8192];
    ck_assert(den_str_format(text, sizeof text,
                             "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                             "%s\r\n%s",
                             line, headers, body));
    return toy_exchange(text, strlen(text));
}

/* Waits until *number is at least `least`. */
static inline void toy_wait(atomic_int *number, int least)
{
    for (int i = 0; i < 500 && atomic_load(number) < least; i++)
        toy_sleep(10);
    ck_assert_int_ge(atomic_load(number), least);
}

#define expect_status(reply, want) \
    ck_assert_msg(toy_status(reply) == (want), "want %d, got: %.300s", want, reply)
#define expect_text(reply, words) \
    ck_assert_msg(strstr(reply, words) != NULL, "'%s' is not in: %.900s", words, reply)
#define expect_no_text(reply, words) \
    ck_assert_msg(strstr(reply, words) == NULL, "'%s' is in: %.900s", words, reply)

#endif
