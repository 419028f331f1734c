#include "tokens.h"

#include <nettle/memops.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "attempts.h"
#include "mem.h"
#include "str.h"

struct entry {
    struct den_token_row row;
    atomic_int_least64_t used_ms; /* wall clock */
    atomic_int_least64_t full_at; /* budget of requests, steady clock */
};

struct den_tokens {
    int64_t per_s;
    struct den_attempts *attempts;
    pthread_rwlock_t lock; /* guards all below, but not what is atomic in entries */
    struct entry *entries;
    size_t *places; /* open addressing: index of an entry + 1, 0 = free */
    size_t count, size;
};

bool den_tokens_new(int64_t per_s, struct den_tokens **ret, struct den_err *err)
{
    struct den_tokens *tokens = den_new(1, sizeof *tokens, err);
    if (tokens == NULL)
        return false;
    tokens->per_s = per_s;
    pthread_rwlock_init(&tokens->lock, NULL);
    if (!den_attempts_new(&tokens->attempts, err) ||
        !den_tokens_load(tokens, NULL, 0, err)) {
        den_tokens_free(tokens);
        return false;
    }
    *ret = tokens;
    return true;
}

void den_tokens_free(struct den_tokens *tokens)
{
    if (tokens == NULL)
        return;
    den_attempts_free(tokens->attempts);
    pthread_rwlock_destroy(&tokens->lock);
    den_free(tokens->entries);
    den_free(tokens->places);
    den_free(tokens);
}

/* Ids are random bytes of ours, so their own digits are hash enough; FNV-1a. */
static size_t hash_id(const char *id)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *id != '\0'; id++)
        hash = (hash ^ (unsigned char)*id) * 0x100000001b3u;
    return (size_t)hash;
}

/* The place of an id, or the free one where it would be. */
static size_t *place_of(const struct entry *entries, size_t *places, size_t size,
                        const char *id)
{
    size_t at = hash_id(id) & (size - 1);
    while (places[at] != 0 && strcmp(entries[places[at] - 1].row.id, id) != 0)
        at = (at + 1) & (size - 1);
    return &places[at];
}

static struct entry *find(const struct den_tokens *tokens, const char *id)
{
    size_t place = *place_of(tokens->entries, tokens->places, tokens->size, id);
    return place == 0 ? NULL : &tokens->entries[place - 1];
}

/* What is known of the use of a token goes on. */
static void carry_over(const struct den_tokens *tokens, struct entry *fresh)
{
    const struct entry *old = tokens->count > 0 ? find(tokens, fresh->row.id) : NULL;
    int64_t used = old != NULL ? atomic_load(&old->used_ms) : 0;
    atomic_store(&fresh->used_ms, used > fresh->row.used_ms ? used : fresh->row.used_ms);
    atomic_store(&fresh->full_at, old != NULL ? atomic_load(&old->full_at) : 0);
}

bool den_tokens_load(struct den_tokens *tokens, const struct den_token_row *rows,
                     size_t count, struct den_err *err)
{
    size_t size = 8, used = 0;
    while (size < 2 * count)
        size *= 2;
    struct entry *entries = den_new(count, sizeof *entries, err);
    size_t *places = den_new(size, sizeof *places, err);
    if (entries == NULL || places == NULL) {
        den_free(entries);
        den_free(places);
        return false;
    }
    pthread_rwlock_wrlock(&tokens->lock);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].revoked_ms != 0)
            continue;
        entries[used].row = rows[i];
        carry_over(tokens, &entries[used]);
        *place_of(entries, places, size, rows[i].id) = used + 1;
        used++;
    }
    struct entry *old_entries = tokens->entries;
    size_t *old_places = tokens->places;
    tokens->entries = entries;
    tokens->places = places;
    tokens->count = used;
    tokens->size = size;
    pthread_rwlock_unlock(&tokens->lock);
    den_free(old_entries);
    den_free(old_places);
    return true;
}

/* Its place stays until the next load: whom it pushed aside must still be found. */
void den_tokens_drop(struct den_tokens *tokens, const char *id)
{
    pthread_rwlock_wrlock(&tokens->lock);
    struct entry *entry = find(tokens, id);
    if (entry != NULL)
        entry->row.revoked_ms = 1;
    pthread_rwlock_unlock(&tokens->lock);
}

/* ---- a request ---- */

static bool holds(const struct den_token_row *row, int64_t wall_ms)
{
    if (row->revoked_ms != 0)
        return false;
    return row->expires_ms == 0 || wall_ms < row->expires_ms;
}

static bool retry_after(struct den_err *err, int seconds)
{
    if (err != NULL)
        err->retry_s = seconds;
    return false;
}

/* The budget of a token: what comes in a second may come at once. */
static bool within_rate(const struct den_tokens *tokens, struct entry *entry,
                        int64_t steady_ms, struct den_err *err)
{
    /* In microseconds: 1000 requests a second and more can be told. */
    const int64_t ticks = 1000;
    int64_t wait = 0;
    if (tokens->per_s == 0 ||
        den_budget_take(&entry->full_at, steady_ms * ticks, ticks * ticks / tokens->per_s,
                        tokens->per_s, &wait))
        return true;
    den_err_limit(err, DEN_E_BUSY, tokens->per_s, tokens->per_s + 1,
                  "this token may make %lld requests a second; try later",
                  (long long)tokens->per_s);
    return retry_after(err, 1);
}

static bool has_scopes(const struct den_token_row *row, unsigned needs,
                       struct den_err *err)
{
    char has[DEN_SCOPES_SIZE], lacks[DEN_SCOPES_SIZE];
    if ((needs & ~row->scopes) == 0)
        return true;
    den_scopes_write(row->scopes, has);
    den_scopes_write(needs & ~row->scopes, lacks);
    return den_err_set(err, DEN_E_FORBIDDEN,
                       "this needs the scope %s, and the token has %s", lacks, has);
}

/* Under the read lock. */
static bool admit(struct den_tokens *tokens, struct entry *entry, unsigned needs,
                  struct den_clocks now, struct den_caller *ret, struct den_err *err)
{
    const struct den_token_row *row = &entry->row;
    if (!within_rate(tokens, entry, now.steady_ms, err) || !has_scopes(row, needs, err))
        return false;
    atomic_store(&entry->used_ms, now.wall_ms);
    memcpy(ret->owner, row->owner, sizeof ret->owner);
    memcpy(ret->token, row->id, sizeof ret->token);
    ret->scopes = row->scopes;
    return true;
}

static bool refuse(struct den_tokens *tokens, const char *address, int64_t steady_ms,
                   struct den_err *err)
{
    int wait_s = 0;
    if (den_attempts_failed(tokens->attempts, address, steady_ms, &wait_s))
        return den_err_set(err, DEN_E_UNAUTHORIZED,
                           "the access token is wrong, has expired or was revoked");
    den_err_set(err, DEN_E_BUSY,
                "too many wrong access tokens came from your address; try again in %d s",
                wait_s);
    return retry_after(err, wait_s);
}

bool den_tokens_check(struct den_tokens *tokens, const char *text, const char *address,
                      unsigned needs, struct den_clocks now, struct den_caller *ret,
                      struct den_err *err)
{
    static const char nobody[DEN_SHA256_SIZE] = "";
    char id[DEN_TOKEN_ID_SIZE] = "", hash[DEN_SHA256_SIZE];
    if (text == NULL)
        return den_err_set(err, DEN_E_UNAUTHORIZED,
                           "this server needs an access token: Authorization: Bearer "
                           "den_...");
    bool token = den_token_read(text, id, hash);
    pthread_rwlock_rdlock(&tokens->lock);
    struct entry *entry = find(tokens, id);
    bool same =
        memeql_sec(hash, entry != NULL ? entry->row.hash : nobody, DEN_SHA256_SIZE) != 0;
    bool known = same && token && entry != NULL && holds(&entry->row, now.wall_ms);
    bool done = known && admit(tokens, entry, needs, now, ret, err);
    pthread_rwlock_unlock(&tokens->lock);
    return known ? done : refuse(tokens, address, now.steady_ms, err);
}

bool den_tokens_get(struct den_tokens *tokens, const char *id, int64_t wall_ms,
                    struct den_token_row *ret)
{
    pthread_rwlock_rdlock(&tokens->lock);
    const struct entry *entry = find(tokens, id);
    bool found = entry != NULL && holds(&entry->row, wall_ms);
    if (found) {
        *ret = entry->row;
        ret->used_ms = atomic_load(&entry->used_ms);
    }
    pthread_rwlock_unlock(&tokens->lock);
    return found;
}

size_t den_tokens_used(struct den_tokens *tokens, struct den_token_row *rows, size_t most)
{
    const int64_t hour_ms = INT64_C(3600) * 1000;
    size_t count = 0;
    pthread_rwlock_wrlock(&tokens->lock);
    for (size_t i = 0; i < tokens->count && count < most; i++) {
        struct entry *entry = &tokens->entries[i];
        int64_t used = atomic_load(&entry->used_ms);
        if (used - entry->row.used_ms < hour_ms)
            continue;
        entry->row.used_ms = used;
        rows[count++] = entry->row;
    }
    pthread_rwlock_unlock(&tokens->lock);
    return count;
}
