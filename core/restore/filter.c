#include "filter.h"

#include <math.h>
#include <string.h>

/* A new filter is its own file and one row here. */
const struct den_filter *const den_filters[] = {
    &den_filter_gaussian,
    &den_filter_median,
    NULL,
};

const struct den_filter *den_filter_find(const char *name)
{
    for (size_t i = 0; den_filters[i] != NULL; i++)
        if (strcmp(den_filters[i]->name, name) == 0)
            return den_filters[i];
    return NULL;
}

void den_filter_defaults(const struct den_filter *filter, double *values)
{
    for (size_t i = 0; i < DEN_FILTER_OPTIONS; i++)
        values[i] = filter->options[i].standard;
}

/* Written so that NaN fails too. */
bool den_filter_check(const struct den_filter *filter, const double *values,
                      struct den_err *err)
{
    for (size_t i = 0; i < DEN_FILTER_OPTIONS && filter->options[i].name != NULL; i++) {
        const struct den_filter_option *o = &filter->options[i];
        if (!(values[i] >= o->minimum && values[i] <= o->maximum))
            return den_err_field(err, DEN_E_INVALID, o->name,
                                 "%s %g of the %s filter is not from %g to %g", o->name,
                                 values[i], filter->name, o->minimum, o->maximum);
        if (o->whole && values[i] != floor(values[i]))
            return den_err_field(err, DEN_E_INVALID, o->name,
                                 "%s %g of the %s filter is not a whole number from %g "
                                 "to %g",
                                 o->name, values[i], filter->name, o->minimum,
                                 o->maximum);
    }
    return true;
}
