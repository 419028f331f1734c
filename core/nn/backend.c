#include "backend.h"

#include <string.h>

const struct den_backend *const den_backends[] = {&den_backend_cpu, &den_backend_blas,
                                                  &den_backend_ref, NULL};

const struct den_backend *den_backend_find(const char *name)
{
    for (size_t i = 0; den_backends[i] != NULL; i++)
        if (strcmp(den_backends[i]->name, name) == 0)
            return den_backends[i];
    return NULL;
}
