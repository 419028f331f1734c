#ifndef TEST_FRONT_H
#define TEST_FRONT_H

#include <stdbool.h>
#include <sys/types.h>

/* nginx with deploy/nginx.conf in front of the port, without its TLS lines. */
struct front {
    pid_t pid;
    unsigned port;
    char folder[64];
};
bool front_start(struct front *front, unsigned behind); /* false: no nginx here */
/* nginx that answers every request by itself with the body: what a server can do here. */
bool front_start_alone(struct front *front, const char *body);
void front_stop(struct front *front);
bool program_exists(const char *name); /* in PATH, /usr/sbin or /usr/local/sbin */

#endif
