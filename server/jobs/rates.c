#include "rates.h"

#include <string.h>

#include "str.h"

void den_rates_init(struct den_rates *rates)
{
    *rates = (struct den_rates){.calls = 0};
    pthread_mutex_init(&rates->lock, NULL);
}

void den_rates_release(struct den_rates *rates)
{
    pthread_mutex_destroy(&rates->lock);
}

/* The place of `what`, or DEN_RATES. */
static size_t find(const struct den_rates *rates, const char *what)
{
    size_t i = 0;
    while (i < DEN_RATES && strcmp(rates->items[i].what, what) != 0)
        i++;
    return i;
}

static size_t oldest(const struct den_rates *rates)
{
    size_t best = 0;
    for (size_t i = 1; i < DEN_RATES; i++)
        if (rates->items[i].used < rates->items[best].used)
            best = i;
    return best;
}

void den_rates_add(struct den_rates *rates, const char *what, double seconds,
                   double pixels)
{
    if (what[0] == '\0' || !(seconds > 0) || !(pixels > 0))
        return;
    pthread_mutex_lock(&rates->lock);
    size_t i = find(rates, what);
    if (i == DEN_RATES) {
        i = oldest(rates);
        den_str_copy(rates->items[i].what, sizeof rates->items[i].what, what);
        rates->items[i].seconds = rates->items[i].pixels = 0;
    }
    rates->items[i].seconds = rates->items[i].seconds / 2 + seconds;
    rates->items[i].pixels = rates->items[i].pixels / 2 + pixels;
    rates->items[i].used = ++rates->calls;
    pthread_mutex_unlock(&rates->lock);
}

bool den_rates_get(struct den_rates *rates, const char *what, double *ret)
{
    pthread_mutex_lock(&rates->lock);
    size_t i = what[0] == '\0' ? DEN_RATES : find(rates, what);
    bool found = i < DEN_RATES;
    if (found) {
        *ret = rates->items[i].seconds / rates->items[i].pixels;
        rates->items[i].used = ++rates->calls;
    }
    pthread_mutex_unlock(&rates->lock);
    return found;
}
