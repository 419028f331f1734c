#include <string.h>
#include <time.h>

#include "clock.h"
#include "http_private.h"
#include "mem.h"

/* Server-sent events.  A stream with nothing to say is a suspended connection; the ticker
 * resumes all of them when somebody called den_http_wake, and every second. */

enum { OUT_MAX = 1 << 20, ROUNDS_PER_S = 50, BURST = 8, CHECK_MS = 500 };

struct den_event_stream {
    struct den_event_stream *next, *prev;
    struct den_http *http;
    struct MHD_Connection *connection;
    int fd;
    void *context;
    void (*pull)(void *context, struct den_buf *out, bool *done);
    void (*release)(void *context);
    struct den_buf out;
    size_t sent; /* of out */
    bool done;
    char client[DEN_CLIENT];
    double last;    /* when something was last sent */
    bool suspended; /* guarded by http->lock, as the list is */
};

/* ---- a stream, in its libmicrohttpd thread ------------------------------------------
 */

static uint64_t generation(struct den_http *http)
{
    pthread_mutex_lock(&http->lock);
    uint64_t now = http->generation;
    pthread_mutex_unlock(&http->lock);
    return now;
}

static void fill(struct den_event_stream *s)
{
    bool last = atomic_load(&s->http->draining);
    den_buf_clear(&s->out);
    s->sent = 0;
    s->pull(s->context, &s->out, &s->done);
    if (s->out.failed) { /* the client comes again with its Last-Event-ID */
        den_buf_clear(&s->out);
        s->done = true;
    }
    if (last)
        s->done = true;
    if (s->out.length == 0 && !s->done &&
        den_monotonic_s() - s->last >= s->http->config.ping_s)
        den_buf_puts(&s->out, ": ping\n\n");
}

/* Suspends, unless a round of the ticker has gone by since `seen`: it may have brought
 * something, and the next round may be a second away. */
static bool suspend(struct den_event_stream *s, uint64_t seen)
{
    struct den_http *http = s->http;
    pthread_mutex_lock(&http->lock);
    bool sleeps = http->generation == seen && !http->no_suspend;
    if (sleeps) {
        s->suspended = true;
        MHD_suspend_connection(s->connection);
    }
    pthread_mutex_unlock(&http->lock);
    return sleeps;
}

static ssize_t give(struct den_event_stream *s, char *to, size_t room)
{
    size_t rest = s->out.length - s->sent;
    size_t count = rest < room ? rest : room;
    memcpy(to, s->out.data + s->sent, count);
    s->sent += count;
    s->last = den_monotonic_s();
    return (ssize_t)count;
}

static ssize_t read_stream(void *cls, uint64_t position, char *to, size_t room)
{
    (void)position;
    struct den_event_stream *s = cls;
    for (;;) {
        if (s->sent < s->out.length)
            return give(s, to, room);
        if (s->done)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (den_watch_gone(s->fd)) /* a suspended connection does not notice by itself */
            return MHD_CONTENT_READER_END_WITH_ERROR;
        uint64_t seen = generation(s->http);
        fill(s);
        if (s->out.length == 0 && !s->done && suspend(s, seen))
            return 0;
    }
}

static void free_stream(void *cls)
{
    struct den_event_stream *s = cls;
    pthread_mutex_lock(&s->http->lock);
    if (s->prev != NULL)
        s->prev->next = s->next;
    else
        s->http->streams = s->next;
    if (s->next != NULL)
        s->next->prev = s->prev;
    s->http->stream_count--;
    pthread_mutex_unlock(&s->http->lock);
    if (s->release != NULL)
        s->release(s->context);
    den_buf_release(&s->out);
    den_free(s);
}

/* Under the lock. */
static unsigned streams_of(const struct den_http *http, const char *client)
{
    unsigned count = 0;
    for (const struct den_event_stream *s = http->streams; s != NULL; s = s->next)
        count += strcmp(s->client, client) == 0;
    return count;
}

/* 0, or the status of a refusal. */
static unsigned enlist(struct den_http *http, struct den_event_stream *s)
{
    const struct den_http_config *c = &http->config;
    unsigned status = 0;
    pthread_mutex_lock(&http->lock);
    if (http->stream_count >= c->streams)
        status = 503;
    else if (streams_of(http, s->client) >= c->streams_per_client)
        status = 429;
    else {
        s->next = http->streams;
        if (s->next != NULL)
            s->next->prev = s;
        http->streams = s;
        http->stream_count++;
    }
    pthread_mutex_unlock(&http->lock);
    return status;
}

struct MHD_Response *den_stream_response(struct den_reply *reply, unsigned *ret_status)
{
    const struct den_request *r = reply->request;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct den_event_stream *s = den_calloc(1, sizeof *s);
    *ret_status = 503;
    if (s == NULL)
        return NULL;
    *s = (struct den_event_stream){.http = r->http,
                                   .connection = r->connection,
                                   .fd = info->connect_fd,
                                   .context = reply->context,
                                   .pull = reply->pull,
                                   .release = reply->release,
                                   .last = den_monotonic_s()};
    memcpy(s->client, r->client, sizeof s->client);
    den_buf_init(&s->out, OUT_MAX);
    unsigned status = enlist(r->http, s);
    if (status != 0) {
        *ret_status = status;
        den_free(s);
        return NULL; /* reply still has the context */
    }
    reply->kind = DEN_REPLY_EMPTY; /* the stream has it now */
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, 4096, read_stream, s, free_stream);
    if (response == NULL)
        free_stream(s);
    return response;
}

/* ---- the ticker ------------------------------------------------------------------- */

static struct timespec after_ms(long ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += ms % 1000 * 1000000;
    t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

/* However often jobs report, streams look at most 50 times a second in the long run.  A
 * few rounds in a row need not wait: queued, running and done of a short job follow each
 * other within milliseconds, and somebody waits for the last of them. */
struct pace {
    double credit; /* rounds that may come at once, up to BURST */
    double at;     /* when it was right */
};

static void keep_pace(struct pace *pace)
{
    double now = den_monotonic_s(), credit = pace->credit;
    credit += ROUNDS_PER_S * (now - pace->at) - 1;
    pace->credit = credit < BURST ? credit : BURST;
    pace->at = now;
    if (pace->credit < 1)
        nanosleep(&(struct timespec){.tv_nsec = 1000000000L / ROUNDS_PER_S}, NULL);
}

/* Under the lock.  Resumes each sleeping stream exactly once. */
static void resume_all(struct den_http *http)
{
    http->generation++;
    for (struct den_event_stream *s = http->streams; s != NULL; s = s->next)
        if (s->suspended) {
            s->suspended = false;
            MHD_resume_connection(s->connection);
        }
}

/* Waits for a wake, for `ms` at most. */
static void sleep_until_woken(struct den_http *http, long ms)
{
    struct timespec until = after_ms(ms);
    while (!http->woken && !http->ticker_ends &&
           pthread_cond_timedwait(&http->tick, &http->lock, &until) == 0)
        ;
}

void *den_ticker_run(void *cls)
{
    struct den_http *http = cls;
    double checked = den_monotonic_s(), resumed = checked;
    struct pace pace = {BURST, checked};
    pthread_mutex_lock(&http->lock);
    while (!http->ticker_ends) {
        sleep_until_woken(http, CHECK_MS);
        double now = den_monotonic_s();
        bool round = http->woken || now - resumed >= 1;
        http->woken = false;
        if (round) {
            resume_all(http);
            resumed = now;
        }
        if (now - checked >= CHECK_MS / 1e3 - 0.05) {
            den_watch_expire(http);
            checked = now;
        }
        if (!round)
            continue;
        pthread_mutex_unlock(&http->lock);
        keep_pace(&pace);
        pthread_mutex_lock(&http->lock);
    }
    resume_all(http);
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

void den_http_wake(struct den_http *http)
{
    if (http == NULL)
        return;
    pthread_mutex_lock(&http->lock);
    http->woken = true;
    pthread_cond_signal(&http->tick);
    pthread_mutex_unlock(&http->lock);
}
