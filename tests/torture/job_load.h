#ifndef TEST_JOB_LOAD_H
#define TEST_JOB_LOAD_H

/* People who submit small jobs to a daemon that comes and goes, and remember what it
 * accepted; and a look at what became of it. */

#include <pthread.h>
#include <stdatomic.h>

#include "story.h"

enum { LOAD_THREADS_MOST = 16 };

struct job_load {
    struct story story; /* with the daemon */
    char image[32];     /* small, so that a job is short */
    atomic_bool stop;
    atomic_size_t allowed;                /* how many jobs may be accepted by now */
    atomic_size_t accepted, refused, cut; /* 202; 429 and 503; no answer */
    pthread_mutex_t lock;                 /* guards all below */
    char url[64];                         /* "" while there is no daemon */
    char (*ids)[32];
    size_t count, capacity;
    pthread_t threads[LOAD_THREADS_MOST];
    size_t thread_count;
};

/* Starts the daemon with data and one job of each kind, whose results are the control. */
void load_start(struct job_load *load, const char *const *args);
void load_end(struct job_load *load);
/* Does so around each test of the case; load and args live as long as that. */
void load_around(TCase *tcase, struct job_load *load, const char *const *args);
/* threads that submit one job after the other; each by itself until load_rest. */
void load_begin(struct job_load *load, size_t threads);
void load_rest(struct job_load *load);
/* Where the daemon is; NULL: nowhere. */
void load_point(struct job_load *load, const char *url);

/* One training at a time that must end with the weights of the first, whatever happens to
 * the daemon: starts the next when the last one has ended. */
struct trainings {
    size_t submitted, ended;
    double begun;     /* attempts of those that have ended */
    char id[32];      /* the last one submitted */
    char weights[80]; /* SHA-256, of the first */
    unsigned iterations;
};
void trainings_start(struct job_load *load, struct trainings *t, unsigned iterations);
void trainings_look(struct job_load *load, struct trainings *t);
void trainings_end(struct job_load *load, struct trainings *t);

/* With the daemon stopped: every accepted job has succeeded, has one end, was started as
 * often as it says, and has the pixels of the control.  Attempts beyond the first. */
size_t load_verify(struct job_load *load);
/* Until nothing waits and nothing is at work. */
void load_drain(struct job_load *load, double seconds);

#endif
