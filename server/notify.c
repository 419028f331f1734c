#include "notify.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "mem.h"
#include "str.h"

/* An abstract name begins with NUL and ends with the length. */
static bool address_of(const char *name, struct sockaddr_un *ret, socklen_t *ret_size)
{
    size_t length = strlen(name);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if ((name[0] != '/' && name[0] != '@') || length < 2 ||
        length >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, name, length);
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    *ret = address;
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length +
                            (name[0] == '/' ? 1 : 0));
    return true;
}

void den_notify(const char *lines)
{
    struct sockaddr_un address;
    socklen_t size = 0;
    const char *name = getenv("NOTIFY_SOCKET");
    if (name == NULL || !address_of(name, &address, &size))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, lines, strlen(lines), MSG_NOSIGNAL,
                         (const struct sockaddr *)&address, size) < 0)
        den_log(DEN_WARN, "notify_failed", " errno=%d", errno);
    if (fd >= 0)
        close(fd);
}

/* ---- watchdog ---------------------------------------------------------------------
 */

struct den_watchdog {
    bool (*alive)(void *context, struct den_err *err);
    void *context;
    int64_t period_us;
    pthread_t thread;
    pthread_mutex_t lock; /* guards ends */
    pthread_cond_t wake;  /* ends; CLOCK_MONOTONIC */
    bool ends;
};

/* Half of WATCHDOG_USEC; 0 when there is none, or when it is for another process. */
static int64_t period_us(void)
{
    const char *text = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    int64_t micros = 0, whose = 0;
    if (text == NULL || !den_parse_int(text, 2, INT64_MAX, &micros, NULL))
        return 0;
    if (pid != NULL &&
        (!den_parse_int(pid, 1, INT32_MAX, &whose, NULL) || whose != getpid()))
        return 0;
    return micros / 2;
}

/* Half a period; false when the watchdog ends. */
static bool pause_for(struct den_watchdog *w)
{
    const int64_t second = 1000000;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanos = until.tv_nsec + w->period_us % second * 1000;
    until.tv_sec += (time_t)(w->period_us / second + nanos / (1000 * second));
    until.tv_nsec = (long)(nanos % (1000 * second));
    pthread_mutex_lock(&w->lock);
    while (!w->ends && pthread_cond_timedwait(&w->wake, &w->lock, &until) != ETIMEDOUT)
        ;
    bool goes_on = !w->ends;
    pthread_mutex_unlock(&w->lock);
    return goes_on;
}

static void *work(void *opaque)
{
    struct den_watchdog *w = opaque;
    do {
        struct den_err err = DEN_ERR_INIT;
        char text[sizeof err.text + 8];
        if (w->alive(w->context, &err))
            den_notify("WATCHDOG=1");
        else
            den_log(DEN_ERROR, "not_alive", " error=%s",
                    den_log_quote(err.text, text, sizeof text));
    } while (pause_for(w));
    return NULL;
}

static bool init_wait(struct den_watchdog *w)
{
    pthread_condattr_t monotonic;
    bool made = pthread_condattr_init(&monotonic) == 0 &&
                pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&w->wake, &monotonic) == 0 &&
                pthread_mutex_init(&w->lock, NULL) == 0;
    pthread_condattr_destroy(&monotonic);
    return made;
}

bool den_watchdog_start(bool (*alive)(void *context, struct den_err *err), void *context,
                        struct den_watchdog **ret, struct den_err *err)
{
    int64_t period = period_us();
    *ret = NULL;
    if (period == 0)
        return true;
    struct den_watchdog *w = den_new(1, sizeof *w, err);
    if (w == NULL)
        return false;
    w->alive = alive;
    w->context = context;
    w->period_us = period;
    int sys = init_wait(w) ? pthread_create(&w->thread, NULL, work, w) : ENOMEM;
    if (sys != 0) {
        den_free(w);
        return den_err_sys(err, sys, "the watchdog cannot be started");
    }
    *ret = w;
    return true;
}

void den_watchdog_stop(struct den_watchdog *watchdog)
{
    if (watchdog == NULL)
        return;
    pthread_mutex_lock(&watchdog->lock);
    watchdog->ends = true;
    pthread_cond_signal(&watchdog->wake);
    pthread_mutex_unlock(&watchdog->lock);
    pthread_join(watchdog->thread, NULL);
    pthread_cond_destroy(&watchdog->wake);
    pthread_mutex_destroy(&watchdog->lock);
    den_free(watchdog);
}
