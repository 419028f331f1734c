#ifndef TEST_DAEMON_H
#define TEST_DAEMON_H

/* The real daemon, on a free loopback port, in a fresh state folder. */

#include <stdbool.h>
#include <sys/types.h>

struct daemon {
    pid_t pid;      /* 0 when it does not run */
    char url[64];   /* http://127.0.0.1:PORT */
    char state[64]; /* folder; removed by daemon_remove */
    char log[80];   /* what it wrote to stderr */
    char said[600]; /* and to stdout, when it listened */
};

/* Makes the folder and starts; aborts the test when the daemon does not say that it
 * listens. */
void daemon_start(struct daemon *d,
                  const char *const *extra_args /* NULL-terminated or NULL */);
/* The same state again, after daemon_kill or daemon_stop. */
void daemon_restart(struct daemon *d, const char *const *extra_args);
/* The same where it may end before it listens: 0, or its status then. */
int daemon_try(struct daemon *d, const char *const *extra_args);
void daemon_kill(struct daemon *d); /* SIGKILL, and waits */
int daemon_stop(struct daemon *d);  /* SIGTERM, and waits: its exit status */
int daemon_wait(struct daemon *d);  /* for its end, of whatever cause: the status */
/* Stops it if it still runs, and removes the folder; fails when a sanitizer said
 * something in its log. */
void daemon_remove(struct daemon *d);
/* How many files lie in the blob and tmp folders. */
size_t daemon_files(const struct daemon *d);
/* A program of the build folder ("denoised", "denoise"). */
const char *built(const char *program, char *to, size_t size);

#endif
