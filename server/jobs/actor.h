#ifndef DEN_ACTOR_H
#define DEN_ACTOR_H

/* On whose behalf a thread changes things: the store writes it into the audit table with
 * each change, and no function in between has to know of it. */

#include <stddef.h>

struct den_actor {
    const char *owner, *token, *request; /* "" = none */
    /* Of a request with an Idempotency-Key: the key, and the SHA-256 of what it asks for;
     * NULL = it has none. */
    const char *key, *key_sha256;
};

/* Until the next call, in this thread; the caller's.  NULL, as at first: the daemon by
 * itself. */
void den_actor_set(const struct den_actor *actor);
const struct den_actor *den_actor(void);

#endif
