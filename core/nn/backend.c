#include "backend.h"

#include <string.h>

const struct den_backend *const den_backends[] = {&den_backend_cpu, &den_backend_blas,
                                                  &den_backend_ref, NULL};

static const char *const winograd_names[] = {
    [DEN_WINOGRAD_AUTO] = "auto", [DEN_WINOGRAD_F22] = "f22", [DEN_WINOGRAD_OFF] = "off"};

const char *den_winograd_name(enum den_winograd winograd)
{
    return winograd_names[winograd];
}

bool den_winograd_find(const char *name, enum den_winograd *ret)
{
    for (size_t i = 0; i < sizeof winograd_names / sizeof winograd_names[0]; i++)
        if (strcmp(winograd_names[i], name) == 0) {
            *ret = (enum den_winograd)i;
            return true;
        }
    return false;
}

const struct den_backend *den_backend_find(const char *name)
{
    for (size_t i = 0; den_backends[i] != NULL; i++)
        if (strcmp(den_backends[i]->name, name) == 0)
            return den_backends[i];
    return NULL;
}
