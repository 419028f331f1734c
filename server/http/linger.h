#ifndef DEN_LINGER_H
#define DEN_LINGER_H

/* Connections that were answered before their body was read: they are closed for
 * sending only, and for some seconds what still comes in is read and thrown away, until
 * the client has seen the answer and closes its side. */

#include <pthread.h>
#include <stdbool.h>

#include "err.h"

enum { DEN_LINGERING = 64 }; /* sockets at a time; more are closed without waiting */

struct den_linger {
    int pipe[2];    /* socket numbers on their way to the thread; non-blocking */
    double seconds; /* that a socket is kept at most */
    pthread_t thread;
    bool runs;
};
bool den_linger_start(struct den_linger *linger, double seconds,
                      struct den_err *err) DEN_CHECKED;
/* fd stays the caller's, who may close it.  Called by any thread. */
void den_linger_take(struct den_linger *linger, int fd);
void den_linger_stop(struct den_linger *linger); /* closes what is left */

#endif
