/* The process that forks decoders: small, of one thread, without files and paths, so that
 * a decoder starts in half a millisecond and inherits nothing. */
#include "jail_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs.h"
#include "mem.h"
#include "str.h"

enum { CONTROL = 3 };

/* Standard streams become /dev/null, the control socket CONTROL, all else is closed: no
 * decoder may hold what the daemon had open, not even the pipe of its log. */
static bool keep_only(int control, struct den_err *err)
{
    enum { ASIDE = 10 };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int aside = fcntl(control, F_DUPFD_CLOEXEC, ASIDE);
    bool kept = null >= 0 && aside >= 0;
    /* Sanitizers report on stderr. */
    for (int fd = 0; kept && fd < (DEN_JAIL_SANITIZED ? 2 : 3); fd++)
        kept = dup2(null, fd) == fd;
    kept = kept && dup3(aside, CONTROL, O_CLOEXEC) == CONTROL;
    kept = kept && close_range(CONTROL + 1, UINT_MAX, 0) == 0;
    return kept || den_err_sys(err, errno, "descriptors cannot be closed");
}

/* The end of the daemon is that of the nursery.  Signals that tell the daemon to end in
 * order go to all processes of a terminal or a service: decoders have to work on. */
static void settle_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ};
    static const int by_default[] = {SIGXCPU, SIGCHLD, SIGSYS};
    sigset_t none;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    for (size_t i = 0; i < sizeof by_default / sizeof *by_default; i++)
        signal(by_default[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* False when the parent is gone already. */
static bool die_with(pid_t parent)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == parent;
}

/* The first number of /proc/self/statm: addresses in use, pages. */
static uint64_t address_bytes(void)
{
    char *text = NULL;
    size_t length = 0;
    int64_t pages = 0;
    if (den_fs_read("/proc/self/statm", 256, &text, &length, NULL)) {
        text[strcspn(text, " ")] = '\0';
        if (!den_parse_int(text, 1, INT64_MAX >> 20, &pages, NULL))
            pages = 0;
    }
    den_free(text);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

_Noreturn static void become_decoder(const struct den_jail_order *order,
                                     uint64_t base_bytes, pid_t nursery, const int *fds,
                                     size_t count)
{
    close(CONTROL);
    prctl(PR_SET_NAME, "denoised-decode", 0, 0, 0);
    if (!die_with(nursery) || !den_jail_lock_decoder(order, base_bytes))
        _exit(DEN_JAIL_UNLOCKED);
    if (order->probe != NULL)
        _exit(order->probe(fds[1]));
    den_jail_decode(fds[0], fds[1], count > 2 ? fds[2] : -1);
    _exit(0);
}

static void start(const struct den_jail_order *order, uint64_t base_bytes, const int *fds,
                  size_t count, struct den_jail_report *report)
{
    pid_t nursery = getpid();
    report->pid = count < 2 ? -1 : fork();
    if (report->pid == 0)
        become_decoder(order, base_bytes, nursery, fds, count);
    if (report->pid < 0)
        report->sys = count < 2 ? EINVAL : errno;
}

/* Only here are decoders reaped, so that no pid can be another's before. */
static void end(pid_t pid, struct den_jail_report *report)
{
    pid_t got;
    (void)kill(pid, SIGKILL);
    do
        got = waitpid(pid, &report->status, 0);
    while (got < 0 && errno == EINTR);
    if (got != pid)
        report->sys = got < 0 ? errno : ECHILD;
}

static bool settle(int control, struct den_jail_report *report)
{
    prctl(PR_SET_NAME, "denoised-jail", 0, 0, 0);
    settle_signals();
    if (!keep_only(control, &report->why))
        return false;
    report->base_bytes = address_bytes(); /* as long as there are paths */
    if (report->base_bytes == 0)
        return den_err_set(&report->why, DEN_E_UNSUPPORTED,
                           "this system does not tell how much memory is in use");
    return den_jail_lock_nursery(&report->why);
}

_Noreturn void den_jail_nursery(int control, pid_t daemon)
{
    struct den_jail_report report = {.why = DEN_ERR_INIT};
    if (!die_with(daemon))
        _exit(1);
    bool settled = settle(control, &report);
    uint64_t base_bytes = report.base_bytes;
    int failed = den_jail_send(CONTROL, &report, sizeof report, NULL, 0);
    while (settled && failed == 0) {
        struct den_jail_order order;
        int fds[DEN_JAIL_FDS];
        size_t count = 0;
        if (den_jail_receive(CONTROL, &order, sizeof order, fds, DEN_JAIL_FDS, &count) !=
            0)
            break; /* the daemon is gone */
        memset(&report, 0, sizeof report);
        if (order.end)
            end(order.pid, &report);
        else
            start(&order, base_bytes, fds, count, &report);
        den_jail_close_all(fds, count);
        failed = den_jail_send(CONTROL, &report, sizeof report, NULL, 0);
    }
    _exit(0);
}
