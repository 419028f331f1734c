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
};
struct family family_look(pid_t pid);

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
