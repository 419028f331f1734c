#ifndef DEN_ONCE_H
#define DEN_ONCE_H

#include "actor.h"
#include "handlers.h"

/* Runs the handler of a request that has an Idempotency-Key, or answers as it was
 * answered before.  den_actor() is set, and may be cleared. */
bool den_api_once(struct den_api *api, const struct den_route *route,
                  struct den_request *request, struct den_reply *reply,
                  struct den_err *err) DEN_CHECKED;

#endif
