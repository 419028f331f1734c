#include "actor.h"

static _Thread_local const struct den_actor *current;

void den_actor_set(const struct den_actor *actor)
{
    current = actor;
}

const struct den_actor *den_actor(void)
{
    return current;
}
