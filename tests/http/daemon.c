#include "daemon.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "den_check.h"
#include "fs.h"
#include "str.h"

const char *built(const char *program, char *to, size_t size)
{
    const char *build = getenv("DENOISED_BUILD");
    (void)snprintf(to, size, "%s/%s", build != NULL ? build : "build", program);
    return to;
}

static void run_child(const struct daemon *d, const char *const *extra, int out)
{
    char program[256];
    const char *argv[32];
    int n = 0;
    const char *other = getenv("DENOISED_TEST_DAEMON"); /* one with seams for faults */
    argv[n++] = built(other != NULL ? other : "denoised", program, sizeof program);
    argv[n++] = "--listen";
    argv[n++] = "127.0.0.1:0";
    argv[n++] = "--state";
    argv[n++] = d->state;
    for (int i = 0; extra != NULL && extra[i] != NULL && n < 31; i++)
        argv[n++] = extra[i];
    argv[n] = NULL;
    int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no daemon behind */
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    char *args[32];
    memcpy(args, argv, sizeof args);
    execv(program, args);
    _exit(127);
}

/* The line that it says when it listens, or "". */
static void launch_to(struct daemon *d, const char *const *extra, char *line, size_t size)
{
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    d->pid = fork();
    ck_assert_int_ge(d->pid, 0);
    if (d->pid == 0)
        run_child(d, extra, ends[1]);
    (void)close(ends[1]);
    size_t length = 0;
    line[0] = '\0';
    while (length < size - 1 && strchr(line, '\n') == NULL) {
        ssize_t got = read(ends[0], line + length, size - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
        line[length] = '\0';
    }
    (void)close(ends[0]);
    (void)den_str_copy(d->said, sizeof d->said, line);
    line[strcspn(line, "\n")] = '\0';
}

static void launch(struct daemon *d, const char *const *extra)
{
    static const char lead[] = "listening on ";
    char line[600];
    launch_to(d, extra, line, sizeof line);
    ck_assert_msg(strncmp(line, lead, strlen(lead)) == 0, "the daemon said '%s'", line);
    ck_assert(den_str_copy(d->url, sizeof d->url, line + strlen(lead)));
}

int daemon_try(struct daemon *d, const char *const *extra_args)
{
    static const char lead[] = "listening on ";
    char line[600];
    ck_assert_int_eq(d->pid, 0);
    launch_to(d, extra_args, line, sizeof line);
    if (strncmp(line, lead, strlen(lead)) != 0)
        return daemon_wait(d);
    ck_assert(den_str_copy(d->url, sizeof d->url, line + strlen(lead)));
    return 0;
}

void daemon_start(struct daemon *d, const char *const *extra_args)
{
    (void)snprintf(d->state, sizeof d->state, "/tmp/denoised-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(d->state));
    (void)snprintf(d->log, sizeof d->log, "%s/log", d->state);
    launch(d, extra_args);
}

void daemon_restart(struct daemon *d, const char *const *extra_args)
{
    ck_assert_int_eq(d->pid, 0);
    launch(d, extra_args);
}

static int reap(struct daemon *d, int signal_number)
{
    int status = 0;
    if (d->pid == 0)
        return 0;
    (void)kill(d->pid, signal_number);
    while (waitpid(d->pid, &status, 0) != d->pid)
        ;
    d->pid = 0;
    return status;
}

void daemon_kill(struct daemon *d)
{
    (void)reap(d, SIGKILL);
}

int daemon_wait(struct daemon *d)
{
    int status = reap(d, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int daemon_stop(struct daemon *d)
{
    int status = reap(d, SIGTERM);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What a sanitizer found in the daemon stands in its log: it is told from the first
 * report on, and how many lines name one is the answer. */
static size_t tell_reports(const struct daemon *d)
{
    FILE *log = fopen(d->log, "re");
    char line[1000];
    size_t reports = 0;
    while (log != NULL && fgets(line, sizeof line, log) != NULL) {
        reports += strstr(line, "Sanitizer: ") != NULL ||
                   strstr(line, "Sanitizer:D") != NULL ||
                   strstr(line, ": runtime error: ") != NULL;
        if (reports > 0)
            (void)fputs(line, stderr);
    }
    if (log != NULL)
        (void)fclose(log);
    return reports;
}

/* Leaks are looked for at an ordinary end only.  A daemon that hangs does not come to it.
 */
static void end_if_it_can(struct daemon *d)
{
    if (d->pid == 0)
        return;
    (void)kill(d->pid, SIGTERM);
    for (int i = 0; i < 200; i++) {
        if (waitpid(d->pid, NULL, WNOHANG) == d->pid) {
            d->pid = 0;
            return;
        }
        (void)usleep(100000);
    }
}

void daemon_remove(struct daemon *d)
{
    if (test_sanitized())
        end_if_it_can(d);
    (void)reap(d, SIGKILL);
    struct den_err err = DEN_ERR_INIT;
    size_t reports = tell_reports(d);
    ck_assert_msg(den_fs_remove_tree(d->state, &err), "%s", err.text);
    ck_assert_msg(reports == 0, "a sanitizer found something in the daemon");
}

static size_t files;

static int count_file(const char *path, const struct stat *st, int type,
                      struct FTW *where)
{
    (void)path;
    (void)st;
    (void)where;
    files += type == FTW_F;
    return 0;
}

size_t daemon_files(const struct daemon *d)
{
    static const char *const folders[] = {"blobs", "tmp"};
    files = 0;
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s/%s", d->state, folders[i]);
        (void)nftw(path, count_file, 16, FTW_PHYS);
    }
    return files;
}
