#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "http_private.h"
#include "log.h"
#include "mem.h"
#include "rng.h"
#include "tls.h"

/* Half of a connection's memory is what is received at a time, and the library clears all
 * of it after each request: with 256 KiB that was 40 % of the time of a small one, with
 * 64 KiB an image of 8 MB takes 11 ms longer to come in. */
enum { CONNECTION_MEMORY = 64 * 1024, GRACE_MS = 100 };

/* What the library has to say is about clients, not about us. */
static void log_library(void *cls, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_library(void *cls, const char *format, va_list args)
{
    (void)cls;
    char text[256], quoted[300];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\r\n")] = '\0';
    den_log(DEN_DEBUG, "http", " text=%s", den_log_quote(text, quoted, sizeof quoted));
}

static bool make_locks(struct den_http *http)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    bool made = pthread_mutex_init(&http->lock, NULL) == 0 &&
                pthread_cond_init(&http->tick, &monotonic) == 0 &&
                pthread_cond_init(&http->idle, &monotonic) == 0 && den_side_init(http);
    pthread_condattr_destroy(&monotonic);
    return made;
}

static bool copy_text(const char **text)
{
    if (*text != NULL)
        *text = den_strdup(*text);
    return *text != NULL;
}

/* A limit that was not set. */
static void set_default(unsigned *number, unsigned fallback)
{
    if (*number == 0)
        *number = fallback;
}

static bool copy_config(struct den_http *http, const struct den_http_config *config,
                        struct den_err *err)
{
    struct den_http_config *c = &http->config;
    *c = *config;
    c->tls_cert = c->tls_key = NULL; /* read by then */
    bool good = copy_text(&c->address);
    good = (copy_text(&c->hosts) || config->hosts == NULL) && good;
    good = (copy_text(&c->proxies) || config->proxies == NULL) && good;
    set_default(&c->header_s, 10);
    set_default(&c->body_s, 60);
    set_default(&c->rate, 50000);
    set_default(&c->ping_s, 15);
    set_default(&c->linger_s, 10);
    set_default(&c->streams, 1024);
    set_default(&c->streams_per_client, 64);
    return good || den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
}

static bool make_histograms(struct den_http *http, struct den_err *err)
{
    size_t rows = 1; /* and one for requests without a route */
    for (const struct den_route *at = http->config.routes; at->method != NULL; at++)
        rows++;
    http->seconds = den_new(rows, sizeof *http->seconds, err);
    return http->seconds != NULL;
}

static bool start_daemon(struct den_http *http, const struct den_tls *tls,
                         struct den_err *err)
{
    const struct den_http_config *c = &http->config;
    unsigned threads = c->threads < 1 ? 1 : (unsigned)c->threads;
    /* The acceptor keeps the limit; each pool thread alone must never refuse earlier. */
    unsigned connections = (c->connections + 16) * threads;
    struct MHD_OptionItem secure[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (char[]){DEN_TLS_PRIORITIES}},
        {MHD_OPTION_END, 0, NULL},
    };
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC;
    http->daemon = MHD_start_daemon(
        tls->key != NULL ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, den_serve, http,
        MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_THREAD_POOL_SIZE,
        threads > 1 ? threads : 0U, MHD_OPTION_CONNECTION_LIMIT, connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, c->per_address, MHD_OPTION_CONNECTION_TIMEOUT,
        c->timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_URI_LOG_CALLBACK, den_serve_uri, http,
        MHD_OPTION_NOTIFY_COMPLETED, den_serve_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, den_watch_notify, http, MHD_OPTION_ARRAY,
        tls->key != NULL ? secure : &secure[3], MHD_OPTION_END);
    return http->daemon != NULL ||
           den_err_set(err, DEN_E_IO, "the HTTP server cannot be started");
}

static bool start_thread(pthread_t *thread, void *(*run)(void *), struct den_http *http,
                         struct den_err *err)
{
    int sys = pthread_create(thread, NULL, run, http);
    return sys == 0 || den_err_sys(err, sys, "a thread cannot be started");
}

static bool start_threads(struct den_http *http, struct den_err *err)
{
    if (!den_side_start(http, err) ||
        !den_linger_start(&http->linger, http->config.linger_s, err))
        return false;
    http->has_ticker = start_thread(&http->ticker, den_ticker_run, http, err);
    if (!http->has_ticker)
        return false;
    if (http->config.started != NULL)
        http->config.started(http->config.app, http);
    http->has_acceptor = start_thread(&http->acceptor, den_listen_run, http, err);
    return http->has_acceptor;
}

bool den_http_start(const struct den_http_config *config, struct den_http **ret,
                    struct den_err *err)
{
    bool done = false;
    struct den_tls tls = {NULL, NULL};
    struct den_http *http = den_new(1, sizeof *http, err);
    if (http == NULL)
        return false;
    http->listen_fd = http->stop_fd = -1;
    den_random_bytes(http->id_seed, sizeof http->id_seed);
    if (!make_locks(http)) {
        den_free(http);
        return den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
    }
    http->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (http->stop_fd < 0) {
        den_err_sys(err, errno, "an event counter cannot be made");
        goto out;
    }
    if (!copy_config(http, config, err) || !make_histograms(http, err) ||
        !den_tls_load(config->tls_cert, config->tls_key, &tls, err) ||
        !den_listen_open(config->address, config->port, &http->listen_fd, &http->port,
                         err) ||
        !start_daemon(http, &tls, err) || !start_threads(http, err))
        goto out;
    *ret = http;
    http = NULL;
    done = true;
out:
    den_tls_release(&tls); /* the library has made its own of it */
    den_http_stop(http, 0);
    den_http_free(http);
    return done;
}

struct den_histogram *den_http_seconds(struct den_http *http, size_t index)
{
    return &http->seconds[index];
}

uint16_t den_http_port(const struct den_http *http)
{
    return http->port;
}

uint64_t den_http_upload_max(const struct den_http *http)
{
    return http->config.upload_max;
}

bool den_http_draining(const struct den_http *http)
{
    return atomic_load(&http->draining);
}

/* ---- the end ---------------------------------------------------------------------- */

static void stop_accepting(struct den_http *http)
{
    const uint64_t one = 1;
    if (http->has_acceptor) {
        while (write(http->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
            ;
        pthread_join(http->acceptor, NULL);
        http->has_acceptor = false;
    }
    if (http->listen_fd >= 0)
        close(http->listen_fd);
    http->listen_fd = -1;
}

static void wait_until_idle(struct den_http *http, unsigned drain_s)
{
    struct timespec until;
    if (drain_s > 0) /* a request may be on its way on a connection just accepted */
        nanosleep(&(struct timespec){.tv_nsec = GRACE_MS * 1000000L}, NULL);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += drain_s;
    pthread_mutex_lock(&http->lock);
    while (atomic_load(&http->active) > 0 &&
           pthread_cond_timedwait(&http->idle, &http->lock, &until) == 0)
        ;
    unsigned left = atomic_load(&http->active);
    http->no_suspend = true;
    pthread_mutex_unlock(&http->lock);
    if (left > 0)
        den_log(DEN_WARN, "requests_cut", " count=%u", left);
}

/* The side threads finish what is queued and so resume every request of theirs; the
 * ticker's last round resumes the streams.  After that nothing is suspended, which
 * MHD_stop_daemon insists on. */
static void stop_threads(struct den_http *http)
{
    den_side_stop(http);
    pthread_mutex_lock(&http->lock);
    http->ticker_ends = true;
    pthread_cond_signal(&http->tick);
    pthread_mutex_unlock(&http->lock);
    if (http->has_ticker)
        pthread_join(http->ticker, NULL);
    http->has_ticker = false;
}

void den_http_stop(struct den_http *http, unsigned drain_s)
{
    if (http == NULL)
        return;
    atomic_store(&http->draining, true);
    stop_accepting(http);
    den_http_wake(http); /* streams see that they shall end */
    if (http->daemon != NULL)
        wait_until_idle(http, drain_s);
    stop_threads(http);
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    http->daemon = NULL;
    den_linger_stop(&http->linger);
}

void den_http_free(struct den_http *http)
{
    if (http == NULL)
        return;
    if (http->stop_fd >= 0)
        close(http->stop_fd);
    den_side_release(http);
    pthread_cond_destroy(&http->tick);
    pthread_cond_destroy(&http->idle);
    pthread_mutex_destroy(&http->lock);
    den_free(http->seconds);
    den_free((void *)(uintptr_t)http->config.address); /* const in the interface only */
    den_free((void *)(uintptr_t)http->config.hosts);
    den_free((void *)(uintptr_t)http->config.proxies);
    den_free(http);
}

struct den_http_stats den_http_stats(struct den_http *http)
{
    struct den_http_stats stats = {.upload_bytes = atomic_load(&http->upload_bytes)};
    for (size_t i = 0; i < 6; i++)
        stats.requests[i] = atomic_load(&http->requests[i]);
    pthread_mutex_lock(&http->lock);
    stats.connections = http->watch_count;
    stats.streams = http->stream_count;
    pthread_mutex_unlock(&http->lock);
    return stats;
}
