#include "program.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon.h"

#define NOBODY "http://127.0.0.1:9" /* the discard port */

static void run_child(const char *folder, const char *server, const char *const *args,
                      int out, int err)
{
    char *argv[64] = {NULL};
    for (size_t i = 0; i < 63 && args[i] != NULL; i++)
        argv[i] = strdup(args[i]);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(out, STDOUT_FILENO);
    (void)dup2(err, STDERR_FILENO);
    (void)setenv("DENOISE_SERVER", server != NULL ? server : NOBODY, 1);
    if (folder == NULL || chdir(folder) == 0)
        (void)execvp(argv[0], argv);
    _exit(127);
}

static char *contents(int fd, size_t *ret_length)
{
    off_t end = lseek(fd, 0, SEEK_END);
    ck_assert_int_ge(end, 0);
    char *text = calloc(1, (size_t)end + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pread(fd, text, (size_t)end, 0), end);
    *ret_length = (size_t)end;
    (void)close(fd);
    return text;
}

struct outcome run_program(const char *folder, const char *server,
                           const char *const *argv)
{
    struct outcome o = {0};
    size_t length;
    int status = 0;
    int out = memfd_create("stdout", MFD_CLOEXEC),
        err = memfd_create("stderr", MFD_CLOEXEC);
    ck_assert(out >= 0 && err >= 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        run_child(folder, server, argv, out, err);
    while (waitpid(pid, &status, 0) != pid)
        ;
    o.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    o.out = contents(out, &o.out_length);
    o.err = contents(err, &length);
    return o;
}

struct outcome run_denoise(const char *folder, const char *server,
                           const char *const *args)
{
    char path[256];
    char *program = realpath(built("denoise", path, sizeof path), NULL);
    ck_assert_msg(program != NULL, "%s is not there", path);
    const char *argv[64] = {program};
    for (size_t i = 0; i < 62 && args[i] != NULL; i++)
        argv[i + 1] = args[i];
    struct outcome o = run_program(folder, server, argv);
    free(program);
    return o;
}

void outcome_free(struct outcome *outcome)
{
    free(outcome->out);
    free(outcome->err);
    *outcome = (struct outcome){0};
}

const char *first_line(struct outcome *outcome)
{
    outcome->out[strcspn(outcome->out, "\n")] = '\0';
    return outcome->out;
}

void must_end(const struct outcome *outcome, int status, const char *words)
{
    ck_assert_msg(outcome->status == status, "status %d, want %d: %s", outcome->status,
                  status, outcome->err);
    ck_assert_msg(strstr(outcome->err, words) != NULL, "'%s' lacks '%s'", outcome->err,
                  words);
}
