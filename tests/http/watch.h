#ifndef TEST_WATCH_H
#define TEST_WATCH_H

/* What a daemon and its processes cost: memory, looked at each millisecond. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct family { /* a process with all its descendants, at one moment */
    size_t processes, zombies;
    long rss_kib;     /* of the process alone */
    long private_kib; /* of all: anonymous and shared memory, files not counted */
    double cpu_s;     /* of all, and of those that have ended */
};
struct family family_look(pid_t pid);

/* A request that the family worked on in `seconds` was answered within `limit`?  Where
 * other programs had the machine, what counts is how long the family computed. */
bool family_was_quick(const struct family *before, pid_t pid, double seconds,
                      double limit);

struct watch {
    pid_t pid;
    pthread_t thread;
    atomic_bool stop;
    atomic_long peak_kib; /* most private_kib */
    long first_kib;
};
void watch_start(struct watch *w, pid_t pid);
long watch_end(struct watch *w); /* growth of private_kib up to its peak */

#endif
