#include <string.h>

#include "step_cgan.h"

const struct den_method *const den_methods[] = {
    &den_method_cgan,
    NULL,
};

const struct den_method *den_method_find(const char *name)
{
    for (size_t i = 0; den_methods[i] != NULL; i++)
        if (strcmp(den_methods[i]->name, name) == 0)
            return den_methods[i];
    return NULL;
}
