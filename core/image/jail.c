#include "jail.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format.h"
#include "jail_private.h"

/* All but `mutex` and what it guards is written before there are threads. */
static struct {
    pthread_mutex_t mutex; /* guards control: one order and its report at a time */
    int control;
    pid_t nursery; /* 0 while there is no jail */
    struct den_jail_options options;
    uint64_t base_bytes;
} jail = {.mutex = PTHREAD_MUTEX_INITIALIZER, .control = -1};

const struct den_jail_options *den_jail_settings(void)
{
    return &jail.options;
}

uint64_t den_jail_base_bytes(void)
{
    return jail.base_bytes;
}

pid_t den_jail_nursery_pid(void)
{
    return jail.nursery;
}

bool den_jail_stands(void)
{
    struct pollfd one = {.fd = jail.control, .events = 0};
    return jail.nursery == 0 || poll(&one, 1, 0) == 0; /* 1: hung up */
}

const struct den_format *den_jail_format(int fd, struct den_err *err)
{
    return jail.nursery != 0 ? &den_jail_row : den_format_of_file(fd, err);
}

/* ---- orders ----------------------------------------------------------------------- */

static int ask(const struct den_jail_order *order, const int *fds, size_t count,
               struct den_jail_report *ret)
{
    pthread_mutex_lock(&jail.mutex);
    int sys = den_jail_send(jail.control, order, sizeof *order, fds, count);
    if (sys == 0)
        sys = den_jail_receive(jail.control, ret, sizeof *ret, NULL, 0, NULL);
    pthread_mutex_unlock(&jail.mutex);
    return sys;
}

bool den_jail_spawn(const struct den_jail_order *order, const int *fds, size_t count,
                    pid_t *ret, struct den_err *err)
{
    struct den_jail_report report;
    int sys = ask(order, fds, count, &report);
    if (sys == EPIPE)
        return den_err_set(err, DEN_E_INTERNAL,
                           "the process that starts image decoders has ended; denoised "
                           "has to be started again");
    if (sys == 0)
        sys = report.sys;
    if (sys != 0)
        return den_err_sys(err, sys, "a decoder for the image cannot be started");
    *ret = report.pid;
    return true;
}

int den_jail_end(pid_t pid)
{
    const struct den_jail_order order = {.end = true, .pid = pid};
    struct den_jail_report report;
    return ask(&order, NULL, 0, &report) == 0 && report.sys == 0 ? report.status : -1;
}

bool den_jail_try(den_jail_probe probe, int input, uint32_t cpu_seconds, int *ret_status,
                  struct den_err *err)
{
    const struct den_jail_order order = {
        .memory = jail.options.memory_bytes, .cpu_seconds = cpu_seconds, .probe = probe};
    int ends[2];
    pid_t pid = 0;
    bool started = false;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return den_err_sys(err, errno, "a decoder for the image cannot be started");
    const int fds[] = {ends[1], input};
    started = den_jail_spawn(&order, fds, 2, &pid, err);
    close(ends[1]);
    char none;
    if (started) { /* until the probe's end closes its socket */
        while (recv(ends[0], &none, 1, 0) < 0 && errno == EINTR)
            ;
        *ret_status = den_jail_end(pid);
    }
    close(ends[0]);
    return started;
}

/* ---- starting --------------------------------------------------------------------- */

/* A PNG of one gray pixel, 77. */
static const unsigned char tiny[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
    0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00,
    0x00, 0x3a, 0x7e, 0x9b, 0x55, 0x00, 0x00, 0x00, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78,
    0xda, 0x63, 0xf0, 0x05, 0x00, 0x00, 0x4f, 0x00, 0x4e, 0xc4, 0x03, 0x7b, 0xe1, 0x00,
    0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
};
enum { TINY_PIXEL = 77 };

static bool decode_tiny(int fd, struct den_err *err)
{
    struct den_image_limits limits = den_image_limits_default();
    struct den_image_info info;
    void *state = NULL;
    unsigned char pixel = 0;
    if (!den_jail_row.open(fd, sizeof tiny, &limits, &info, &state, err))
        return false;
    bool done = info.width == 1 && info.height == 1 && info.dtype == DEN_U8 &&
                den_jail_row.read(state, 0, &pixel, err) && pixel == TINY_PIXEL;
    den_jail_row.close(state);
    return done || den_err_set(err, DEN_E_UNSUPPORTED, "a tiny image is read wrongly");
}

static int open_folder(int input)
{
    (void)input;
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0;
}

static bool prove(struct den_err *err)
{
    int status = 0, fd = memfd_create("image", MFD_CLOEXEC);
    bool done = fd >= 0 && write(fd, tiny, sizeof tiny) == (ssize_t)sizeof tiny &&
                lseek(fd, 0, SEEK_SET) == 0;
    if (!done)
        den_err_sys(err, errno, "memory that processes share cannot be had");
    done = done && decode_tiny(fd, err) &&
           den_jail_try(open_folder, fd, jail.options.seconds, &status, err);
    if (fd >= 0)
        close(fd);
    if (done && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS))
        return den_err_set(err, DEN_E_UNSUPPORTED,
                           "a decoder that opens a folder is not stopped");
    return done;
}

static bool fork_nursery(struct den_err *err)
{
    int ends[2];
    struct den_jail_report report;
    pid_t daemon = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return den_err_sys(err, errno, "a socket cannot be made");
    jail.nursery = fork();
    if (jail.nursery == 0)
        den_jail_nursery(ends[1], daemon);
    close(ends[1]);
    jail.control = ends[0];
    if (jail.nursery < 0) {
        jail.nursery = 0;
        return den_err_sys(err, errno, "a process cannot be started");
    }
    int sys = den_jail_receive(jail.control, &report, sizeof report, NULL, 0, NULL);
    if (sys != 0)
        return den_err_sys(err, sys, "its first process ended");
    jail.base_bytes = report.base_bytes;
    if (report.why.code != DEN_OK && err != NULL)
        *err = report.why;
    return report.why.code == DEN_OK;
}

bool den_jail_start(const struct den_jail_options *options, struct den_err *err)
{
    enum { SECONDS = 60, MEMORY_MIB = 512 };
    struct den_err why = DEN_ERR_INIT;
    assert(jail.nursery == 0);
    jail.options = *options;
    if (jail.options.seconds == 0)
        jail.options.seconds = SECONDS;
    if (jail.options.memory_bytes == 0)
        jail.options.memory_bytes = (uint64_t)MEMORY_MIB << 20;
    if (fork_nursery(&why) && prove(&why))
        return true;
    den_jail_stop();
    return den_err_field(err, why.code, "jail",
                         "the jail for image decoders cannot be set up: %s; with jail = "
                         "off files are decoded without it",
                         why.text);
}

void den_jail_stop(void)
{
    if (jail.control >= 0)
        close(jail.control); /* the nursery ends, and with it all that it forked */
    if (jail.nursery > 0)
        while (waitpid(jail.nursery, NULL, 0) < 0 && errno == EINTR)
            ;
    jail.control = -1;
    jail.nursery = 0;
}
