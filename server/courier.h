#ifndef DEN_COURIER_H
#define DEN_COURIER_H

/* A process of its own that takes messages to webhooks: it has no file open, may read
 * what name resolution and TLS need and nothing else (Landlock), and cannot write at all.
 * What is at the other end of a webhook talks to it, not to the process that has the
 * database. */

#include "webhook_url.h"

#define DEN_MESSAGE_SIZE 32768

struct den_message {
    char url[DEN_WEBHOOK_SIZE];
    char id[64], timestamp[24], signature[96]; /* headers of the same names */
    size_t length;
    char body[DEN_MESSAGE_SIZE]; /* JSON */
};

struct den_courier;
/* Before the first thread.  networks: beside the public ones; ca: PEM file of authorities
 * that are trusted in place of the system's, or "". */
bool den_courier_start(const struct den_networks *networks, const char *ca,
                       struct den_courier **ret, struct den_err *err) DEN_CHECKED;
/* One at a time; at most 5 s for the other side, and as long for its name.  True: it
 * answered with a status of 2xx; else why says in words what happened. */
bool den_courier_send(struct den_courier *courier, const struct den_message *message,
                      char *why, size_t size);
/* false: its process is gone, and nothing can be sent until the daemon starts anew. */
bool den_courier_stands(const struct den_courier *courier);
void den_courier_stop(struct den_courier *courier); /* NULL is fine */

#endif
