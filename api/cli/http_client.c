#include "http_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "fs.h"
#include "problem.h"
#include "progress_bar.h"
#include "sse.h"
#include "str.h"

#define ANSWER_MAX ((size_t)256 << 20) /* bytes of JSON: a report of many images */
#define ADDRESS_MAX ((size_t)4096)
#define BUFFER_BYTES \
    262144L /* images are megabytes: fewer calls than with curl's 16 KiB */
#define CONNECT_SECONDS 10L
#define UNDER_WAY_SECONDS 60.0
#define SILENCE_SECONDS 300L  /* a large stack is decoded before the answer comes */
#define HEARTBEAT_SECONDS 60L /* an event stream says something every 15 */

/* One request.  Bytes of a good answer go to `sink`, those of a refusal to `body`. */
struct exchange {
    struct den_cli *cli;
    CURL *curl;
    struct curl_slist *headers;
    struct den_buf body;
    bool (*sink)(void *context, const char *data, size_t length);
    void *context;
    const char *uploading; /* name shown beside the bar, or NULL */
};

static size_t receive(char *data, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    size_t length = size * count;
    long status = 0;
    (void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < 400 && x->sink != NULL)
        return x->sink(x->context, data, length) ? length : 0;
    den_buf_add(&x->body, data, length);
    return x->body.failed ? 0 : length;
}

/* Called once a second, and more often while bytes move; 1 ends the request. */
static int look_up(void *context, curl_off_t down_total, curl_off_t down_now,
                   curl_off_t up_total, curl_off_t up_now)
{
    const struct exchange *x = context;
    (void)down_total;
    (void)down_now;
    if (up_total > 0 && x->uploading != NULL)
        den_bar_bytes(x->cli, x->uploading, (double)up_now, (double)up_total);
    return x->cli->stop != NULL && *x->cli->stop != 0;
}

/* A loopback server is never behind a proxy, whatever the environment says. */
static bool is_loopback(const char *server)
{
    return strstr(server, "://127.") != NULL || strstr(server, "://localhost") != NULL ||
           strstr(server, "://[::1]") != NULL;
}

static bool set_address(struct exchange *x, const char *path, struct den_err *err)
{
    const char *server = x->cli->server;
    struct den_buf url;
    size_t length = strlen(server);
    while (length > 0 && server[length - 1] == '/')
        length--;
    den_buf_init(&url, ADDRESS_MAX);
    den_buf_add(&url, server, length);
    den_buf_puts(&url, path);
    bool done = den_buf_ok(&url, err);
    if (done)
        (void)curl_easy_setopt(x->curl, CURLOPT_URL, url.data); /* curl keeps a copy */
    den_buf_release(&url);
    return done;
}

static bool add_header(struct exchange *x, const char *line, struct den_err *err)
{
    struct curl_slist *longer = curl_slist_append(x->headers, line);
    if (longer == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a request");
    x->headers = longer;
    return true;
}

static bool add_named(struct exchange *x, const char *name, const char *value,
                      struct den_err *err)
{
    char line[512];
    if (!den_str_format(line, sizeof line, "%s: %s", name, value) ||
        !den_utf8_printable(line)) /* a line break would begin another header */
        return den_err_set(err, DEN_E_INVALID,
                           "what is sent as %s is too long or not printable", name);
    return add_header(x, line, err);
}

/* Redirects are not followed, so that it goes to nobody else. */
static bool add_token(struct exchange *x, struct den_err *err)
{
    char value[sizeof x->cli->token + 8];
    if (x->cli->token[0] == '\0')
        return true;
    (void)den_str_format(value, sizeof value, "Bearer %s", x->cli->token);
    return add_named(x, "Authorization", value, err);
}

static bool begin(struct exchange *x, struct den_cli *cli, const char *path,
                  struct den_err *err)
{
    *x = (struct exchange){.cli = cli};
    cli->status = 0;
    den_buf_init(&x->body, ANSWER_MAX);
    if (cli->curl == NULL)
        cli->curl = curl_easy_init();
    if (cli->curl == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a request");
    x->curl = cli->curl;
    curl_easy_reset(x->curl); /* keeps the connection */
    (void)curl_easy_setopt(x->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(x->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(x->curl, CURLOPT_USERAGENT, "denoise/" DEN_VERSION);
    (void)curl_easy_setopt(x->curl, CURLOPT_BUFFERSIZE, BUFFER_BYTES);
    (void)curl_easy_setopt(x->curl, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
    (void)curl_easy_setopt(x->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    (void)curl_easy_setopt(x->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(x->curl, CURLOPT_LOW_SPEED_TIME, SILENCE_SECONDS);
    (void)curl_easy_setopt(x->curl, CURLOPT_WRITEFUNCTION, receive);
    (void)curl_easy_setopt(x->curl, CURLOPT_WRITEDATA, x);
    (void)curl_easy_setopt(x->curl, CURLOPT_NOPROGRESS, 0L);
    (void)curl_easy_setopt(x->curl, CURLOPT_XFERINFOFUNCTION, look_up);
    (void)curl_easy_setopt(x->curl, CURLOPT_XFERINFODATA, x);
    if (is_loopback(cli->server))
        (void)curl_easy_setopt(x->curl, CURLOPT_PROXY, "");
    return add_token(x, err) && set_address(x, path, err);
}

/* Sends; true for a status below 400.  What failed on the way and what the server refused
 * are both told in err. */
static bool perform(struct exchange *x, struct den_err *err)
{
    long status = 0, connections = 0;
    (void)curl_easy_setopt(x->curl, CURLOPT_HTTPHEADER, x->headers);
    CURLcode code = curl_easy_perform(x->curl);
    (void)curl_easy_getinfo(x->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(x->curl, CURLINFO_NUM_CONNECTS, &connections);
    if (x->uploading != NULL)
        den_bar_clear(x->cli);
    /* A server may refuse an upload and hang up before it has read all of it. */
    if (status >= 400) {
        curl_off_t wait = 0; /* Retry-After, seconds */
        (void)curl_easy_getinfo(x->curl, CURLINFO_RETRY_AFTER, &wait);
        (void)den_problem_http(x->cli, status, x->body.data, x->body.length, err);
        err->retry_s = wait > 0 && wait < 3600 ? (int)wait : 0;
        return false;
    }
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return den_err_set(err, DEN_E_CANCELLED, "a signal asked for the end");
    /* Something answered that does not speak HTTP. */
    if (code == CURLE_UNSUPPORTED_PROTOCOL && connections > 0)
        return den_problem_stranger(x->cli, err);
    if (code != CURLE_OK)
        return den_problem_network(x->cli, (int)code, err);
    x->cli->reached = true;
    x->cli->failure = DEN_EXIT_USAGE; /* an earlier failure was got over */
    x->cli->note[0] = '\0';
    return true;
}

static bool parse(const struct exchange *x, json_t **ret, struct den_err *err)
{
    json_t *value =
        x->body.length > 0 ? json_loadb(x->body.data, x->body.length, 0, NULL) : NULL;
    if (value == NULL)
        return den_problem_stranger(x->cli, err);
    *ret = value;
    return true;
}

static void end(struct exchange *x)
{
    curl_slist_free_all(x->headers);
    den_buf_release(&x->body);
}

static bool encode(char *to, size_t size, const char *front, const char *value,
                   const char *rest, struct den_err *err)
{
    char *escaped = curl_easy_escape(NULL, value, 0);
    bool fits =
        escaped != NULL && den_str_format(to, size, "%s%s%s", front, escaped, rest);
    curl_free(escaped);
    return fits || den_err_set(err, DEN_E_INVALID, "'%.60s...' is too long", value);
}

bool den_client_path(char *to, size_t size, const char *collection, const char *member,
                     const char *rest, struct den_err *err)
{
    char front[64];
    /* "." and ".." would be taken for folders */
    if (member[0] == '\0' || member[0] == '.')
        return den_err_set(err, DEN_E_INVALID, "'%.60s' names nothing", member);
    (void)den_str_format(front, sizeof front, "%s/", collection);
    return encode(to, size, front, member, rest, err);
}

bool den_client_query(char *to, size_t size, const char *front, const char *value,
                      struct den_err *err)
{
    return encode(to, size, front, value, "", err);
}

bool den_client_get(struct den_cli *cli, const char *path, json_t **ret,
                    struct den_err *err)
{
    struct exchange x;
    bool done = begin(&x, cli, path, err) && perform(&x, err) && parse(&x, ret, err);
    end(&x);
    return done;
}

/* method: NULL = POST.  key: NULL = none. */
static bool send_text(struct den_cli *cli, const char *method, const char *path,
                      const char *body, const char *type, const char *key, json_t **ret,
                      struct den_err *err)
{
    struct exchange x;
    bool done = begin(&x, cli, path, err) && add_header(&x, type, err) &&
                (key == NULL || add_named(&x, "Idempotency-Key", key, err));
    if (done) {
        (void)curl_easy_setopt(x.curl, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)strlen(body));
        (void)curl_easy_setopt(x.curl, CURLOPT_POSTFIELDS, body);
        if (method != NULL)
            (void)curl_easy_setopt(x.curl, CURLOPT_CUSTOMREQUEST, method);
        done = perform(&x, err) && parse(&x, ret, err);
    }
    end(&x);
    return done;
}

static bool send_json(struct den_cli *cli, const char *method, const char *path,
                      json_t *body, const char *key, json_t **ret, struct den_err *err)
{
    static const char type[] = "Content-Type: application/json";
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (text == NULL)
        return den_err_set(err, DEN_E_INVALID,
                           "the request cannot be written as JSON; names must be UTF-8");
    bool done = false, again;
    double begun = den_monotonic_s();
    do {
        struct den_err cause = DEN_ERR_INIT;
        done = send_text(cli, method, path, text, type, key, ret, &cause);
        /* The same request, sent before, is still under way. */
        again = !done && key != NULL && cli->status == 409 && cause.retry_s > 0 &&
                den_monotonic_s() - begun < UNDER_WAY_SECONDS;
        if (again)
            (void)sleep((unsigned)cause.retry_s);
        else if (!done)
            *err = cause;
    } while (again);
    free(text);
    return done;
}

bool den_client_post(struct den_cli *cli, const char *path, json_t *body, json_t **ret,
                     struct den_err *err)
{
    return send_json(cli, NULL, path, body, NULL, ret, err);
}

bool den_client_post_once(struct den_cli *cli, const char *path, json_t *body,
                          const char *key, json_t **ret, struct den_err *err)
{
    return send_json(cli, NULL, path, body, key, ret, err);
}

bool den_client_put(struct den_cli *cli, const char *path, json_t *body, json_t **ret,
                    struct den_err *err)
{
    return send_json(cli, "PUT", path, body, NULL, ret, err);
}

bool den_client_act(struct den_cli *cli, const char *path, json_t **ret,
                    struct den_err *err)
{
    return send_text(cli, NULL, path, "", "Content-Type:", NULL, ret,
                     err); /* no such header */
}

/* ---- files --------------------------------------------------------------------------
 */

static bool send_file(struct exchange *x, FILE *file, uint64_t bytes, json_t **ret,
                      struct den_err *err)
{
    (void)curl_easy_setopt(x->curl, CURLOPT_POST, 1L);
    (void)curl_easy_setopt(x->curl, CURLOPT_READDATA, file); /* with curl's fread */
    (void)curl_easy_setopt(x->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)bytes);
    return add_header(x, "Content-Type: application/octet-stream", err) &&
           perform(x, err) && parse(x, ret, err);
}

/* A folder or a pipe would be read as something that it is not. */
static bool open_regular(const char *path, FILE **ret, uint64_t *ret_bytes,
                         struct den_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return den_err_sys(err, errno, "it cannot be read");
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        (*ret = fdopen(fd, "rb")) == NULL) {
        (void)close(fd);
        return den_err_set(err, DEN_E_INVALID, "it is not a regular file");
    }
    *ret_bytes = (uint64_t)st.st_size;
    return true;
}

bool den_client_upload(struct den_cli *cli, const char *file, json_t **ret,
                       struct den_err *err)
{
    struct exchange x = {0};
    struct den_err cause = DEN_ERR_INIT;
    FILE *stream = NULL;
    uint64_t bytes = 0;
    char path[1024];
    const char *slash = strrchr(file, '/'), *name = slash != NULL ? slash + 1 : file;
    bool done = open_regular(file, &stream, &bytes, &cause) &&
                den_client_query(path, sizeof path, "/v1/images?name=", name, &cause);
    if (done) {
        done = begin(&x, cli, path, &cause);
        x.uploading = name;
        done = done && send_file(&x, stream, bytes, ret, &cause);
        end(&x);
    }
    if (stream != NULL)
        (void)fclose(stream);
    return done || den_err_about(err, file, &cause);
}

struct download {
    int fd;
    uint64_t written, started; /* bytes; see den_fs_write_along */
};

static bool to_file(void *context, const char *data, size_t length)
{
    struct download *to = context;
    struct den_err none = DEN_ERR_INIT; /* curl says that writing failed */
    if (!den_fs_write_fd(to->fd, data, length, &none))
        return false;
    to->written += length;
    den_fs_write_along(to->fd, to->written, &to->started);
    return true;
}

bool den_client_download(struct den_cli *cli, const char *path, const char *accept,
                         int fd, struct den_err *err)
{
    struct exchange x;
    struct download to = {.fd = fd};
    bool done = begin(&x, cli, path, err) &&
                (accept == NULL || add_named(&x, "Accept", accept, err));
    x.sink = to_file;
    x.context = &to;
    done = done && perform(&x, err);
    end(&x);
    return done;
}

/* ---- events -------------------------------------------------------------------------
 */

static bool to_events(void *context, const char *data, size_t length)
{
    return den_sse_feed(context, data, length);
}

bool den_client_events(struct den_cli *cli, const char *path, uint64_t *last,
                       bool (*event)(void *context, const struct den_sse_event *event),
                       void *context, struct den_err *err)
{
    struct exchange x;
    struct den_sse sse;
    char line[64];
    den_sse_init(&sse, *last, event, context);
    (void)den_str_format(line, sizeof line, "Last-Event-ID: %llu",
                         (unsigned long long)*last);
    bool done = begin(&x, cli, path, err) &&
                add_header(&x, "Accept: text/event-stream", err) &&
                (*last == 0 || add_header(&x, line, err));
    x.sink = to_events;
    x.context = &sse;
    if (done)
        (void)curl_easy_setopt(x.curl, CURLOPT_LOW_SPEED_TIME, HEARTBEAT_SECONDS);
    done = done && (perform(&x, err) || sse.stopped);
    *last = sse.last;
    den_sse_release(&sse);
    end(&x);
    return done;
}

void den_client_close(struct den_cli *cli)
{
    curl_easy_cleanup(cli->curl);
    cli->curl = NULL;
}
