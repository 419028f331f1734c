#ifndef TEST_WIRE_H
#define TEST_WIRE_H

/* Bytes over a socket, for tests of what no well-behaved client sends. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

unsigned wire_port(const char *url); /* of http://127.0.0.1:PORT */
int wire_connect(unsigned port);     /* to 127.0.0.1, or -1 */
bool wire_send(int fd, const void *data, size_t length);

/* All that came back, and how a strict reader splits it into answers (1xx not counted).
 */
enum { WIRE_ANSWERS = 8 };
struct wire {
    char *data; /* NUL-terminated; free it with wire_free */
    size_t length;
    unsigned count; /* answers; those beyond WIRE_ANSWERS are only counted */
    int status[WIRE_ANSWERS];
    size_t start[WIRE_ANSWERS]; /* offset of its status line */
    size_t left_over;           /* bytes behind the last answer that are no answer */
    bool closed;                /* by the server; else it was silent for too long */
};
/* Sends and reads until the server closes, or has been silent for `seconds`, or for less
 * when there is an answer. */
struct wire wire_exchange(unsigned port, const void *data, size_t length, double seconds);
void wire_free(struct wire *wire);

/* A socket that listens on a port of 127.0.0.1 that was free. */
int wire_listen(unsigned *ret_port);
/* As many connections as the machine allows. */
bool wire_raise_files(size_t wanted);

#endif
