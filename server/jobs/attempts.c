#include "attempts.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>

#include "mem.h"
#include "rng.h"

bool den_budget_take(atomic_int_least64_t *full_at, int64_t now_ms, int64_t interval_ms,
                     int64_t burst, int64_t *ret_wait_ms)
{
    int64_t seen = atomic_load(full_at);
    for (;;) {
        int64_t full = (seen > now_ms ? seen : now_ms) + interval_ms;
        if (full > now_ms + burst * interval_ms) {
            *ret_wait_ms = full - now_ms - burst * interval_ms;
            return false;
        }
        if (atomic_compare_exchange_weak(full_at, &seen, full))
            return true;
    }
}

/* A place belongs to a set by the address' hash, which is keyed: nobody can aim at the
 * set of another. */
enum { SETS = 512, WAYS = 8, INTERVAL_MS = 5000, BURST = 10 };

struct place {
    uint64_t address; /* hash; 0 = free */
    int64_t seen_ms;
    atomic_int_least64_t full_at;
};

struct den_attempts {
    pthread_mutex_t lock; /* guards places */
    uint64_t key;
    struct place places[SETS][WAYS];
};

bool den_attempts_new(struct den_attempts **ret, struct den_err *err)
{
    struct den_attempts *attempts = den_new(1, sizeof *attempts, err);
    if (attempts == NULL)
        return false;
    pthread_mutex_init(&attempts->lock, NULL);
    den_random_bytes(&attempts->key, sizeof attempts->key);
    *ret = attempts;
    return true;
}

void den_attempts_free(struct den_attempts *attempts)
{
    if (attempts == NULL)
        return;
    pthread_mutex_destroy(&attempts->lock);
    den_free(attempts);
}

static uint64_t hash_address(uint64_t key, const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    uint64_t number = 0;
    if (inet_pton(AF_INET, address, &v4) == 1)
        number = v4.s_addr;
    else if (inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_V4MAPPED(&v6))
        memcpy(&number, v6.s6_addr + 12, 4);
    else if (inet_pton(AF_INET6, address, &v6) == 1)
        memcpy(&number, v6.s6_addr, sizeof number);
    uint64_t hash = den_hash64(key, number);
    return hash != 0 ? hash : 1;
}

/* The place of an address, or the one that is given up for it. */
static struct place *find(struct den_attempts *attempts, uint64_t address)
{
    struct place *set = attempts->places[address % SETS], *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].address == address)
            return &set[i];
        if (set[i].seen_ms < oldest->seen_ms)
            oldest = &set[i];
    }
    *oldest = (struct place){.address = address};
    return oldest;
}

bool den_attempts_failed(struct den_attempts *attempts, const char *address,
                         int64_t now_ms, int *ret_wait_s)
{
    int64_t wait_ms = 0;
    uint64_t hash = hash_address(attempts->key, address);
    pthread_mutex_lock(&attempts->lock);
    struct place *place = find(attempts, hash);
    place->seen_ms = now_ms;
    bool done = den_budget_take(&place->full_at, now_ms, INTERVAL_MS, BURST, &wait_ms);
    pthread_mutex_unlock(&attempts->lock);
    if (!done)
        *ret_wait_s = (int)((wait_ms + 999) / 1000);
    return done;
}
