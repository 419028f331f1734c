#include "upkeep.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "fs.h"
#include "log.h"
#include "mem.h"
#include "service_accounts.h"
#include "service_private.h"
#include "state_command.h"
#include "str.h"
#include "uploads.h"

struct den_upkeep {
    struct den_service *service;
    pthread_t chores, desk;
    int listener, stop; /* a socket; an eventfd that is written to once */
    double ballast_at, swept_at, noted_at; /* monotonic seconds; 0 = never */
    double collect_at;                     /* the same; when the next round is due */

    /* What takes long is handed from the desk to the chores' thread, one at a time. */
    int handed;           /* an eventfd: something is there */
    pthread_mutex_t lock; /* guards the rest */
    int waiting;          /* a connection, -1 = none */
    char words[DEN_CONTROL_LINE];
};

/* ---- words ---- */

/* Is it a dry run?  *ret_days: 36,500 at most, as the setting; -1 = those configured. */
static bool read_dry_run(const char *words, int64_t *ret_days, bool *ret_dry,
                         struct den_err *err)
{
    static const char dry_run[] = "check dry-run";
    const char *rest = den_str_starts(words, dry_run) ? words + strlen(dry_run) : "?";
    *ret_days = -1;
    *ret_dry = rest[0] == '\0' || rest[0] == ' ';
    return rest[0] != ' ' || den_parse_int(rest + 1, 0, 36500, ret_days, err);
}

bool den_upkeep_do(struct den_service *service, const char *words, den_say *say,
                   void *context, size_t *ret_wrong, struct den_err *err)
{
    static const char backup[] = "backup ";
    size_t removed = 0;
    *ret_wrong = 0;
    if (den_str_starts(words, backup))
        return den_service_backup(service, words + strlen(backup), say, context, err);
    int64_t days = -1;
    bool gc = strcmp(words, "check gc") == 0, dry = false;
    if (!read_dry_run(words, &days, &dry, err))
        return false;
    if (!gc && !dry && strcmp(words, "check") != 0)
        return den_err_set(err, DEN_E_INVALID,
                           "the daemon knows backup and check, not '%.40s'", words);
    return den_service_check(service, say, context, ret_wrong, err) &&
           (!(gc || dry) ||
            den_service_collect(service, dry, say, context, &removed, err)) &&
           (!dry || den_service_expire_try(service, days, say, context, err));
}

struct asker {
    int fd, stop;
};

/* Who asked for a long list is not waited for when the service ends. */
static bool say_to_socket(void *context, const char *line)
{
    const struct asker *asker = context;
    struct pollfd stop = {.fd = asker->stop, .events = POLLIN};
    if (poll(&stop, 1, 0) > 0) {
        (void)shutdown(asker->fd, SHUT_RDWR);
        return false;
    }
    return den_control_line(asker->fd, " ", line);
}

/* Answers, and closes fd. */
static void answer(struct den_upkeep *upkeep, int fd, const char *words)
{
    struct den_err err = DEN_ERR_INIT;
    struct asker asker = {.fd = fd, .stop = upkeep->stop};
    char text[32];
    size_t wrong = 0;
    if (den_state_do(upkeep->service, words, say_to_socket, &asker, &wrong, &err)) {
        den_str_format(text, sizeof text, "%zu", wrong);
        (void)den_control_line(fd, "=", text);
    } else {
        (void)den_control_line(fd, "!", err.text);
    }
    close(fd);
}

/* ---- the desk ---- */

static bool hand_over(struct den_upkeep *upkeep, int fd, const char *words)
{
    pthread_mutex_lock(&upkeep->lock);
    bool free_place = upkeep->waiting < 0;
    if (free_place) {
        upkeep->waiting = fd;
        den_str_copy(upkeep->words, sizeof upkeep->words, words);
        (void)eventfd_write(upkeep->handed, 1);
    }
    pthread_mutex_unlock(&upkeep->lock);
    return free_place;
}

/* A backup may take an hour, and a token that was stolen is to be revoked at once. */
static void serve(struct den_upkeep *upkeep, int fd)
{
    char words[DEN_CONTROL_LINE];
    if (!den_control_read(fd, words, sizeof words)) {
        close(fd);
        return;
    }
    den_log(DEN_INFO, "asked", " words=%.6s", words);
    if (den_str_starts(words, "token ") || den_str_starts(words, "audit "))
        answer(upkeep, fd, words);
    else if (!hand_over(upkeep, fd, words)) {
        (void)den_control_line(
            fd, "!",
            "backups and checks are waiting for one another already; try "
            "again when they are done");
        close(fd);
    }
}

static void *work_at_desk(void *opaque)
{
    struct den_upkeep *upkeep = opaque;
    struct pollfd fds[] = {{.fd = upkeep->stop, .events = POLLIN},
                           {.fd = upkeep->listener, .events = POLLIN}};
    while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
        int fd;
        if (fds[0].revents != 0)
            break;
        if ((fds[1].revents & POLLIN) != 0 && den_control_accept(upkeep->listener, &fd))
            serve(upkeep, fd);
    }
    return NULL;
}

/* ---- chores ---- */

static bool say_nothing(void *context, const char *line)
{
    (void)context;
    (void)line;
    return true;
}

static void failed(const char *what, const struct den_err *err)
{
    char text[sizeof err->text + 8];
    den_log(DEN_WARN, "upkeep_failed", " what=%s error=%s", what,
            den_log_quote(err->text, text, sizeof text));
}

static void collect(struct den_service *s)
{
    struct den_err err = DEN_ERR_INIT;
    size_t removed = 0;
    const int64_t day_ms = 86400000;
    if (!s->kind->answer_drop(s->store, "", "", den_wall_ms() - day_ms, &err) ||
        !den_service_expire(s, &err) || !den_service_sweep_work(s, &err) ||
        !den_service_collect(s, false, say_nothing, NULL, &removed, &err))
        if (!atomic_load(&s->stopping)) /* else the next start goes on */
            failed("collect", &err);
}

static void chores(struct den_upkeep *upkeep)
{
    const double collect_s = 3600, ballast_s = 30, sweep_s = 300, note_s = 30;
    struct den_service *s = upkeep->service;
    struct den_err err = DEN_ERR_INIT;
    double now = den_monotonic_s();
    if (!s->kind->tidy(s->store, &err))
        failed("tidy", &err);
    err = DEN_ERR_INIT;
    if (upkeep->ballast_at <= 0 || now - upkeep->ballast_at >= ballast_s) {
        upkeep->ballast_at = now;
        uint64_t spare = s->config.min_free + s->config.ballast;
        if (!s->kind->ballast(s->store, s->config.ballast, spare, &err))
            failed("ballast", &err);
    }
    err = DEN_ERR_INIT;
    if (now - upkeep->swept_at >= sweep_s) {
        upkeep->swept_at = now;
        if (!den_service_sweep_uploads(s, &err))
            failed("uploads", &err);
    }
    err = DEN_ERR_INIT;
    if (upkeep->noted_at <= 0 || now - upkeep->noted_at >= note_s) {
        upkeep->noted_at = now;
        if (!den_service_tokens_note(s, &err))
            failed("tokens", &err);
    }
    if (now >= upkeep->collect_at) {
        upkeep->collect_at = now + collect_s;
        collect(s);
    }
}

static void take_over(struct den_upkeep *upkeep)
{
    char words[DEN_CONTROL_LINE];
    eventfd_t count;
    (void)eventfd_read(upkeep->handed, &count);
    pthread_mutex_lock(&upkeep->lock);
    int fd = upkeep->waiting;
    upkeep->waiting = -1;
    memcpy(words, upkeep->words, sizeof words);
    pthread_mutex_unlock(&upkeep->lock);
    if (fd >= 0)
        answer(upkeep, fd, words);
}

static void *work_at_chores(void *opaque)
{
    struct den_upkeep *upkeep = opaque;
    enum { EACH_MS = 1000 };
    struct pollfd fds[] = {{.fd = upkeep->stop, .events = POLLIN},
                           {.fd = upkeep->handed, .events = POLLIN}};
    /* Soon, and not only after the hour: some daemons never live that long.  Not at once:
     * a start has other reads to do. */
    upkeep->collect_at = den_monotonic_s() + upkeep->service->config.collect_s;
    for (;;) {
        chores(upkeep);
        if (poll(fds, 2, EACH_MS) < 0 && errno != EINTR)
            break;
        if (fds[0].revents != 0)
            break;
        if ((fds[1].revents & POLLIN) != 0)
            take_over(upkeep);
    }
    return NULL;
}

/* ---- start and stop ---- */

/* What was made of it; no thread runs. */
static void release(struct den_upkeep *upkeep)
{
    const int fds[] = {upkeep->stop, upkeep->handed, upkeep->listener, upkeep->waiting};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_mutex_destroy(&upkeep->lock);
    den_free(upkeep);
}

static bool start_threads(struct den_upkeep *upkeep, struct den_err *err)
{
    int sys = pthread_create(&upkeep->chores, NULL, work_at_chores, upkeep);
    if (sys == 0 &&
        (sys = pthread_create(&upkeep->desk, NULL, work_at_desk, upkeep)) != 0) {
        (void)eventfd_write(upkeep->stop, 1);
        pthread_join(upkeep->chores, NULL);
    }
    return sys == 0 || den_err_sys(err, sys, "the upkeep cannot be started");
}

bool den_upkeep_start(struct den_service *service, struct den_upkeep **ret,
                      struct den_err *err)
{
    struct den_upkeep *upkeep = den_new(1, sizeof *upkeep, err);
    if (upkeep == NULL)
        return false;
    *upkeep = (struct den_upkeep){.service = service, .listener = -1, .waiting = -1};
    pthread_mutex_init(&upkeep->lock, NULL);
    upkeep->stop = eventfd(0, EFD_CLOEXEC);
    upkeep->handed = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int sys = errno;
    bool events = (upkeep->stop >= 0 && upkeep->handed >= 0) ||
                  den_err_sys(err, sys, "an event cannot be made");
    if (!events || !den_control_listen(service->state, &upkeep->listener, err) ||
        !start_threads(upkeep, err)) {
        release(upkeep);
        return false;
    }
    *ret = upkeep;
    return true;
}

void den_upkeep_stop(struct den_upkeep *upkeep)
{
    if (upkeep == NULL)
        return;
    (void)eventfd_write(upkeep->stop, 1);
    pthread_join(upkeep->desk, NULL);
    pthread_join(upkeep->chores, NULL);
    release(upkeep);
}
