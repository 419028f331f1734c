#include <string.h>

#include "step_cgan.h"
#include "str.h"

const struct den_method *const den_methods[] = {
    &den_method_cgan,
    &den_method_mid3a,
    &den_method_care,
    NULL,
};

const struct den_method *den_method_find(const char *name)
{
    for (size_t i = 0; den_methods[i] != NULL; i++)
        if (strcmp(den_methods[i]->name, name) == 0)
            return den_methods[i];
    return NULL;
}

bool den_method_choose(const char *name, const struct den_method **ret,
                       struct den_err *err)
{
    char names[100] = "";
    const struct den_method *found = den_method_find(name);
    if (found != NULL) {
        *ret = found;
        return true;
    }
    for (size_t i = 0, at = 0; den_methods[i] != NULL; i++, at = strlen(names))
        den_str_format(names + at, sizeof names - at, " %s", den_methods[i]->name);
    return den_err_field(err, DEN_E_INVALID, "method",
                         "the training method is not known; there are:%s", names);
}
