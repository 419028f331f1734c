#include "rates.h"

#include <string.h>

#include "rng.h"
#include "str.h"

static uint64_t hash_text(uint64_t hash, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        hash = den_hash64(hash, (unsigned char)text[i]);
    return hash;
}

void den_rates_key(const struct den_job_row *row, char *to)
{
    uint64_t hash = hash_text(0, row->preset, strlen(row->preset));
    for (const char *at = row->config; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        if (!den_str_starts(at, "iterations=") && !den_str_starts(at, "epochs="))
            hash = hash_text(hash, at, length);
        at += length + (at[length] == '\n');
    }
    bool uses = row->version > 0; /* a model, not the name of one to make */
    den_str_format(to, DEN_NAME_SIZE, "%s %s %.64s@%lld %016llx", row->kind, row->method,
                   uses ? row->model : "", (long long)row->version,
                   (unsigned long long)hash);
}

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
