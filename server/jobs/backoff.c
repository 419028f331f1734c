#include "backoff.h"

#include "rng.h"

int64_t den_backoff_ms(const struct den_backoff *backoff, int64_t failures, double chance)
{
    int64_t ms = backoff->first_ms;
    for (int64_t i = 1; i < failures && ms < DEN_BACKOFF_MOST_MS; i++)
        ms *= 2;
    if (ms > DEN_BACKOFF_MOST_MS)
        ms = DEN_BACKOFF_MOST_MS;
    return ms + (int64_t)(0.2 * chance * (double)ms);
}

int64_t den_backoff_draw(const struct den_backoff *backoff, int64_t failures)
{
    uint32_t number = 0;
    den_random_bytes(&number, sizeof number);
    return den_backoff_ms(backoff, failures, (double)number / (double)UINT32_MAX);
}

bool den_backoff_helps(enum den_code code)
{
    return code == DEN_E_IO || code == DEN_E_DISK_FULL || code == DEN_E_NO_MEMORY;
}
