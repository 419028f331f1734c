/* The daemon's side of a session: a row like those of den_formats[] whose every function
 * asks a decoder.  Nothing that comes back is trusted: a wrong answer, a late one and
 * none at all end the session with the same kind of error. */
#include "jail_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "mem.h"
#include "str.h"

struct session {
    pid_t pid; /* 0 when it has ended */
    int socket;
    int memory; /* a page that both sides see; -1 until the first page */
    bool memory_sent;
    uint64_t page_bytes;
    double seconds;      /* a request may take */
    struct den_err over; /* why the session has ended, code DEN_OK before */
    struct den_jail_request request;
    struct den_jail_answer answer;
};

/* ---- the end ---------------------------------------------------------------------- */

static void session_free(struct session *s)
{
    if (s == NULL)
        return;
    if (s->pid > 0)
        (void)den_jail_end(s->pid);
    if (s->socket >= 0)
        close(s->socket);
    if (s->memory >= 0)
        close(s->memory);
    den_free(s);
}

enum failure { GONE, LATE, SENSELESS };

static atomic_uint_least64_t refusals[DEN_JAIL_REASONS];

uint64_t den_jail_refusals(enum den_jail_reason reason)
{
    return atomic_load(&refusals[reason]);
}

static enum den_jail_reason reason_of(enum failure failure, int deadly)
{
    if (failure == SENSELESS)
        return DEN_JAIL_NONSENSE;
    if (failure == LATE || deadly == SIGXCPU)
        return DEN_JAIL_TIME;
    return deadly == SIGSYS    ? DEN_JAIL_CALL
           : deadly == SIGKILL ? DEN_JAIL_KILLED
                               : DEN_JAIL_CRASH;
}

static void tell_failure(const struct session *s, enum failure failure, int status,
                         char *to, size_t size)
{
    int deadly = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    enum den_jail_reason reason = reason_of(failure, deadly);
    atomic_fetch_add(&refusals[reason], 1);
    switch (reason) {
    case DEN_JAIL_NONSENSE:
        den_str_copy(to, size, "its answer made no sense");
        break;
    case DEN_JAIL_TIME:
        den_str_format(to, size, "out of its time limit of %.0f seconds", s->seconds);
        break;
    case DEN_JAIL_CALL:
        den_str_copy(to, size, "killed by the system-call filter");
        break;
    case DEN_JAIL_KILLED:
        den_str_copy(to, size, "killed by the system, maybe for lack of memory");
        break;
    case DEN_JAIL_CRASH:
    case DEN_JAIL_REASONS:
        den_str_format(to, size, "it crashed, signal %d", deadly);
        break;
    }
}

/* The first failure ends the session; every later request repeats it. */
static bool end_session(struct session *s, enum failure failure, struct den_err *err)
{
    char why[96];
    int status = den_jail_end(s->pid);
    s->pid = 0;
    s->over = DEN_ERR_INIT;
    if (failure == GONE && WIFEXITED(status) && WEXITSTATUS(status) == DEN_JAIL_UNLOCKED)
        den_err_set(&s->over, DEN_E_INTERNAL, "a decoder cannot be locked in");
    tell_failure(s, failure, status, why, sizeof why);
    den_err_set(&s->over, DEN_E_UNPROCESSABLE,
                "the file was refused: its decoder was stopped (%s)", why);
    if (err != NULL && err->code == DEN_OK)
        *err = s->over;
    return false;
}

/* ---- requests --------------------------------------------------------------------- */

static void raise_limit(pid_t pid, __rlimit_resource_t resource, uint64_t amount)
{
    struct rlimit both;
    if (prlimit(pid, resource, NULL, &both) != 0)
        return;
    both.rlim_cur = amount < both.rlim_max ? amount : both.rlim_max;
    (void)prlimit(pid, resource, &both, NULL);
}

/* The time limit holds for one request, RLIMIT_CPU for a whole life. */
static void grant_time(const struct session *s)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(s->pid, &clock) == 0 && clock_gettime(clock, &used) == 0)
        raise_limit(s->pid, RLIMIT_CPU, (uint64_t)used.tv_sec + (uint64_t)s->seconds + 1);
}

/* 0, or ETIMEDOUT after so many seconds, or errno. */
static int wait_for(int socket, double seconds)
{
    double end = den_monotonic_s() + seconds;
    for (;;) {
        struct pollfd one = {.fd = socket, .events = POLLIN};
        double left = end - den_monotonic_s();
        if (left <= 0)
            return ETIMEDOUT;
        int ready = poll(&one, 1, left > 1e6 ? 1000000000 : (int)(left * 1e3) + 1);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return errno;
    }
}

/* Sends s->request; true with s->answer when the decoder did it. */
static bool ask(struct session *s, enum den_jail_action action, struct den_err *err)
{
    struct den_jail_answer *answer = &s->answer;
    bool sends = s->memory >= 0 && !s->memory_sent;
    if (s->pid == 0) {
        if (err != NULL && err->code == DEN_OK)
            *err = s->over;
        return false;
    }
    s->request.action = action;
    s->request.number++;
    grant_time(s);
    int sys = den_jail_send(s->socket, &s->request, sizeof s->request, &s->memory,
                            sends ? 1 : 0);
    s->memory_sent |= sends;
    if (sys == 0)
        sys = wait_for(s->socket, s->seconds);
    if (sys == 0)
        sys = den_jail_receive(s->socket, answer, sizeof *answer, NULL, 0, NULL);
    if (sys != 0)
        return end_session(s,
                           sys == ETIMEDOUT ? LATE
                           : sys == EBADMSG ? SENSELESS
                                            : GONE,
                           err);
    if (answer->number != s->request.number || answer->done > 1 ||
        (answer->done == 0 && !den_jail_check_err(&answer->err)))
        return end_session(s, SENSELESS, err);
    if (answer->done == 1)
        return true;
    if (answer->err.code == DEN_E_NO_MEMORY) /* its own limit, not the server's memory */
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the file was refused: its decoder needs more than its memory "
                           "limit of %" PRIu64 " MiB",
                           den_jail_settings()->memory_bytes >> 20);
    if (err != NULL && err->code == DEN_OK)
        *err = answer->err;
    return false;
}

/* ---- the beginning ---------------------------------------------------------------- */

static bool start_decoder(struct session *s, int input, int output, uint64_t file_bytes,
                          struct den_err *err)
{
    const struct den_jail_options *settings = den_jail_settings();
    const struct den_jail_order order = {
        .memory = settings->memory_bytes,
        .cpu_seconds = (uint32_t)s->seconds + 1,
        .file_bytes = file_bytes,
    };
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return den_err_sys(err, errno, "a decoder for the image cannot be started");
    const int fds[] = {ends[1], input, output};
    s->socket = ends[0];
    bool done = den_jail_spawn(&order, fds, output < 0 ? 2 : 3, &s->pid, err);
    close(ends[1]);
    return done;
}

static struct session *session_new(int input, int output, uint64_t file_bytes,
                                   uint64_t file_limit,
                                   const struct den_image_limits *limits,
                                   struct den_err *err)
{
    struct session *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return NULL;
    s->socket = s->memory = -1;
    s->seconds = den_jail_settings()->seconds;
    if (output >= 0)
        s->seconds += (double)(file_bytes >> 24); /* it is copied, too */
    s->request.file_bytes = file_bytes;
    s->request.limits = *limits;
    if (!start_decoder(s, input, output, file_limit, err)) {
        session_free(s);
        return NULL;
    }
    return s;
}

/* After the decoder has opened the file. */
static bool accept_info(struct session *s, const struct den_image_limits *limits,
                        struct den_err *err)
{
    const struct den_image_info *info = &s->answer.info;
    if (!den_jail_check_info(info, s->request.file_bytes, limits))
        return end_session(s, SENSELESS, err);
    s->page_bytes = s->request.page_bytes = den_image_page_bytes(info);
    return true;
}

/* Memory for one page.  It can be neither shrunk nor grown: a page that shrinks would
 * kill who looks at it.  The decoder maps it, which counts as addresses of its own. */
static bool share_page(struct session *s, struct den_err *err)
{
    if (s->memory >= 0 || s->pid == 0)
        return true;
    int fd = memfd_create("page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)s->page_bytes) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        den_err_sys(err, errno, "there is no memory for a page of the image");
        if (fd >= 0)
            close(fd);
        return false;
    }
    if (!DEN_JAIL_SANITIZED)
        raise_limit(s->pid, RLIMIT_AS,
                    den_jail_base_bytes() + den_jail_settings()->memory_bytes +
                        s->page_bytes);
    s->memory = fd;
    return true;
}

/* ---- the row: reading ------------------------------------------------------------- */

static bool jail_open(int fd, uint64_t bytes, const struct den_image_limits *limits,
                      struct den_image_info *ret_info, void **ret_state,
                      struct den_err *err)
{
    struct session *s = session_new(fd, -1, bytes, 0, limits, err);
    if (s == NULL)
        return false;
    if (!ask(s, DEN_JAIL_OPEN, err) || !accept_info(s, limits, err)) {
        session_free(s);
        return false;
    }
    *ret_info = s->answer.info;
    *ret_state = s;
    return true;
}

/* Copied out by the kernel: the daemon never looks at memory that a decoder can write. */
static bool fetch_page(const struct session *s, void *pixels, struct den_err *err)
{
    for (uint64_t at = 0; at < s->page_bytes;) {
        ssize_t got = pread(s->memory, (char *)pixels + at, (size_t)(s->page_bytes - at),
                            (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return den_err_sys(err, got < 0 ? errno : EIO, "the image cannot be read");
        at += (uint64_t)got;
    }
    return true;
}

static bool jail_read(void *state, uint32_t page, void *pixels, struct den_err *err)
{
    struct session *s = state;
    s->request.page = page;
    return share_page(s, err) && ask(s, DEN_JAIL_READ, err) && fetch_page(s, pixels, err);
}

static void jail_close(void *state)
{
    session_free(state);
}

/* ---- the row: rewriting ----------------------------------------------------------- */

/* A copy is at most the source, all pixels encoded anew beside the old ones (noise grows
 * a little when it is packed), and what the format adds. */
static uint64_t copy_limit(uint64_t file_bytes, uint64_t pixel_bytes)
{
    return file_bytes + pixel_bytes + pixel_bytes / 4 + file_bytes / 4 +
           ((uint64_t)64 << 20);
}

static bool jail_rewrite(int source, uint64_t bytes, int fd,
                         const struct den_image_limits *limits, const char *provenance,
                         struct den_image_info *ret_info, void **ret_state,
                         struct den_err *err)
{
    struct session *s = session_new(source, fd, bytes, copy_limit(bytes, 0), limits, err);
    if (s == NULL)
        return false;
    if (!den_str_copy(s->request.provenance, sizeof s->request.provenance, provenance)) {
        den_err_set(err, DEN_E_INVALID, "the record of an image's origin is too long");
        session_free(s);
        return false;
    }
    if (!ask(s, DEN_JAIL_REWRITE, err) || !accept_info(s, limits, err)) {
        session_free(s);
        return false;
    }
    raise_limit(s->pid, RLIMIT_FSIZE,
                copy_limit(bytes, s->page_bytes * s->answer.info.pages));
    *ret_info = s->answer.info;
    *ret_state = s;
    return true;
}

static bool hand_page(const struct session *s, const void *pixels, struct den_err *err)
{
    for (uint64_t at = 0; s->memory >= 0 && at < s->page_bytes;) {
        ssize_t put = pwrite(s->memory, (const char *)pixels + at,
                             (size_t)(s->page_bytes - at), (off_t)at);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return den_err_sys(err, put < 0 ? errno : EIO,
                               "there is no memory for a page of the image");
        at += (uint64_t)put;
    }
    return true;
}

static bool jail_replace(void *state, uint32_t page, const void *pixels,
                         struct den_err *err)
{
    struct session *s = state;
    s->request.page = page;
    return share_page(s, err) && hand_page(s, pixels, err) &&
           ask(s, DEN_JAIL_REPLACE, err);
}

static bool jail_complete(void *state, struct den_err *err)
{
    struct session *s = state;
    bool done = ask(s, DEN_JAIL_COMPLETE, err);
    session_free(s);
    return done;
}

const struct den_format den_jail_row = {
    .name = "jail",
    .media_type = "application/octet-stream",
    .suffix = "",
    .open = jail_open,
    .read = jail_read,
    .close = jail_close,
    .rewrite = jail_rewrite,
    .replace = jail_replace,
    .complete = jail_complete,
    .discard = jail_close,
};
