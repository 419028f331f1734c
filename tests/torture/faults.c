/* Its own definitions of what the checked headers make inline. */
#undef _FORTIFY_SOURCE
#define DEN_FAULTS

#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "str.h"

enum call { OPEN, WRITE, FSYNC, RENAME, MKDIR, UNLINK, TRUNCATE, MMAP, FALLOCATE, CALLS };

const char *const fault_calls[] = {"open",   "write",    "fsync", "rename",    "mkdir",
                                   "unlink", "truncate", "mmap",  "fallocate", NULL};

const char *const fault_points[] = {
#include "fault_points.inc"
    NULL};

/* ---- rules ---- */

static struct {
    atomic_bool armed;
    enum call call;
    size_t nth; /* 0: count only */
    int error;
    bool on;
    char under[256];
    atomic_size_t seen;
    atomic_bool fired;
} rule;

static struct {
    char name[64];
    long nth;
    int number;
    atomic_long seen;
} point;

static void disarm(void)
{
    atomic_store(&rule.armed, false);
    point.name[0] = '\0';
}

/* "a:b:c" at ':' into parts; how many there were. */
static size_t split(char *text, char *parts[4])
{
    size_t n = 0;
    for (char *rest = text; rest != NULL && n < 4;)
        parts[n++] = strsep(&rest, ":");
    return n;
}

static void bad(const char *what)
{
    (void)dprintf(STDERR_FILENO, "faults: cannot use '%s'\n", what);
    abort();
}

static long number(const char *text)
{
    int64_t value = 0;
    if (!den_parse_int(text, 0, INT32_MAX, &value, NULL))
        bad(text);
    return (long)value;
}

void fault_arm(const char *text, const char *under)
{
    char copy[128], *parts[4];
    atomic_store(&rule.armed, false);
    if (text == NULL)
        return;
    atomic_store(&rule.seen, 0);
    atomic_store(&rule.fired, false);
    (void)snprintf(copy, sizeof copy, "%s", text);
    size_t n = split(copy, parts);
    if (n < 3)
        bad(text);
    rule.call = CALLS;
    for (int i = 0; i < CALLS; i++)
        if (strcmp(parts[0], fault_calls[i]) == 0)
            rule.call = (enum call)i;
    if (rule.call == CALLS)
        bad(text);
    rule.nth = (size_t)number(parts[1]);
    rule.error = (int)number(parts[2]);
    rule.on = n == 4 && strcmp(parts[3], "on") == 0;
    (void)snprintf(rule.under, sizeof rule.under, "%s", under != NULL ? under : "");
    atomic_store(&rule.armed, true);
}

bool fault_fired(void)
{
    return atomic_load(&rule.fired);
}

size_t fault_count(void)
{
    return atomic_load(&rule.seen);
}

static void arm_point(const char *text)
{
    char copy[96], *parts[4];
    (void)snprintf(copy, sizeof copy, "%s", text);
    size_t n = split(copy, parts);
    bool known = false;
    for (size_t i = 0; fault_points[i] != NULL; i++)
        known = known || strcmp(fault_points[i], parts[0]) == 0;
    if (!known)
        bad(text);
    point.nth = n > 1 ? number(parts[1]) : 1;
    point.number = n > 2 ? (int)number(parts[2]) : SIGKILL;
    (void)snprintf(point.name, sizeof point.name, "%s", parts[0]);
}

static unsigned slow_sync_us; /* what a slow disk takes for an fsync */

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("DEN_FAULT");
    (void)pthread_atfork(NULL, NULL, disarm);
    if (text != NULL)
        fault_arm(text, getenv("DEN_FAULT_UNDER"));
    text = getenv("DEN_SLOW_SYNC_US");
    if (text != NULL)
        slow_sync_us = (unsigned)number(text);
    text = getenv("DEN_FAIL");
    if (text != NULL)
        arm_point(text);
}

void den_failpoint(const char *name)
{
    if (point.name[0] == '\0' || strcmp(point.name, name) != 0 ||
        atomic_fetch_add(&point.seen, 1) + 1 != point.nth)
        return;
    (void)kill(getpid(), point.number);
    while (point.number == SIGKILL || point.number == 0)
        (void)pause(); /* not one more step */
}

/* What a call that fails gives back; with errno 0 it lies: it says that it is done. */
static int lies_or_fails(void)
{
    return rule.error == 0 ? 0 : -1;
}

static bool hit(enum call call)
{
    size_t seen = atomic_fetch_add(&rule.seen, 1) + 1;
    if (rule.nth == 0 || seen < rule.nth || (seen > rule.nth && !rule.on))
        return false;
    (void)call;
    atomic_store(&rule.fired, true);
    errno = rule.error;
    return true;
}

static bool fails_path(enum call call, const char *path)
{
    return atomic_load(&rule.armed) && rule.call == call &&
           strstr(path, rule.under) != NULL && hit(call);
}

/* Sockets and pipes have other names. */
static bool fails_fd(enum call call, int fd)
{
    char link[40], path[512];
    if (!atomic_load(&rule.armed) || rule.call != call)
        return false;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0 || path[0] != '/')
        return false;
    path[n] = '\0';
    return strstr(path, rule.under) != NULL && hit(call);
}

/* ---- in front of libc ---- */

/* The third argument of open(), which is there when a file may be made. */
static mode_t mode_of(int flags, va_list args)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? (mode_t)va_arg(args, unsigned) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    if (fails_path(OPEN, path))
        return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = mode_of(flags, args);
    va_end(args);
    return open(path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t length)
{
    return fails_fd(WRITE, fd) ? -1 : syscall(SYS_write, fd, data, length);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
    return fails_fd(WRITE, fd) ? -1 : syscall(SYS_pwrite64, fd, data, length, at);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at)
{
    return pwrite(fd, data, length, at);
}

static int sync_fd(long call, int fd)
{
    if (fails_fd(FSYNC, fd))
        return lies_or_fails();
    if (slow_sync_us > 0)
        (void)usleep(slow_sync_us);
    return (int)syscall(call, fd);
}

int fsync(int fd)
{
    return sync_fd(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_fd(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to)
{
    return fails_path(RENAME, to) ? -1 : (int)syscall(SYS_rename, from, to);
}

int mkdir(const char *path, mode_t mode)
{
    return fails_path(MKDIR, path) ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

int unlink(const char *path)
{
    return fails_path(UNLINK, path) ? -1 : (int)syscall(SYS_unlink, path);
}

int ftruncate(int fd, off_t length)
{
    return fails_fd(TRUNCATE, fd) ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

int ftruncate64(int fd, off64_t length)
{
    return ftruncate(fd, length);
}

int fallocate(int fd, int mode, off_t from, off_t length)
{
    return fails_fd(FALLOCATE, fd) ? -1
                                   : (int)syscall(SYS_fallocate, fd, mode, from, length);
}

int fallocate64(int fd, int mode, off64_t from, off64_t length)
{
    return fallocate(fd, mode, from, length);
}

void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t from)
{
    if (fd >= 0 && fails_fd(MMAP, fd))
        return MAP_FAILED;
    long got = syscall(SYS_mmap, at, length, protection, flags, fd, from);
    void *mapped;
    memcpy(&mapped, &got, sizeof mapped);
    return mapped;
}

void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t from)
{
    return mmap(at, length, protection, flags, fd, from);
}
