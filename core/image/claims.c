#include "claims.h"

#include <stdlib.h>

#include "mem.h"

void den_claims_init(struct den_claims *claims, size_t most, uint64_t gap)
{
    *claims = (struct den_claims){.most = most, .gap = gap};
}

void den_claims_release(struct den_claims *claims)
{
    den_free(claims->ranges);
    *claims = (struct den_claims){.ranges = NULL};
}

static uint64_t end_of(uint64_t from, uint64_t bytes)
{
    return bytes > UINT64_MAX - from ? UINT64_MAX : from + bytes;
}

static bool continues(const struct den_claims *claims, const struct den_range *last,
                      uint64_t from)
{
    return from >= last->to && from - last->to <= claims->gap;
}

static bool make_room(struct den_claims *claims, struct den_err *err)
{
    if (claims->ranges != NULL && claims->count < claims->room)
        return true;
    if (claims->count == claims->most)
        return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)claims->most,
                             (int64_t)claims->count + 1,
                             "the image lies in more than %zu separate pieces of its "
                             "file; it can be read, but not rewritten",
                             claims->most);
    size_t more = claims->room == 0 ? 64 : claims->room * 2;
    if (more > claims->most)
        more = claims->most;
    struct den_range *grown = den_realloc(claims->ranges, more, sizeof *grown);
    if (grown == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY,
                           "no memory is left for the %zu pieces of the image", more);
    claims->ranges = grown;
    claims->room = more;
    return true;
}

bool den_claims_add(struct den_claims *claims, uint64_t from, uint64_t bytes,
                    struct den_err *err)
{
    if (bytes == 0)
        return true;
    struct den_range *last =
        claims->count == 0 ? NULL : &claims->ranges[claims->count - 1];
    if (last != NULL && continues(claims, last, from)) {
        last->to = end_of(from, bytes);
        return true;
    }
    if (!make_room(claims, err))
        return false;
    claims->ranges[claims->count++] = (struct den_range){from, end_of(from, bytes)};
    return true;
}

static int by_start(const void *a, const void *b)
{
    const struct den_range *left = a, *right = b;
    return (left->from > right->from) - (left->from < right->from);
}

void den_claims_sort(struct den_claims *claims)
{
    if (claims->count > 0)
        qsort(claims->ranges, claims->count, sizeof *claims->ranges, by_start);
}

/* Sweeps from left to right; `reach` is how far the claims so far go.  What a claim has
 * before it is contested.  Contested ranges overlap or touch: they are merged, so that
 * they stay sorted, and there are never more of them than claims looked at. */
void den_claims_close(struct den_claims *claims)
{
    struct den_range *ranges = claims->ranges;
    size_t contested = 0;
    uint64_t reach = 0;
    den_claims_sort(claims);
    for (size_t i = 0; i < claims->count; i++) {
        struct den_range claim = ranges[i];
        uint64_t to = claim.to < reach ? claim.to : reach;
        if (claim.from < to) {
            struct den_range *last = contested == 0 ? NULL : &ranges[contested - 1];
            if (last == NULL || claim.from > last->to)
                ranges[contested++] = (struct den_range){claim.from, to};
            else if (to > last->to)
                last->to = to;
        }
        if (claim.to > reach)
            reach = claim.to;
    }
    claims->count = contested;
    if (contested == 0) {
        den_free(claims->ranges);
        claims->ranges = NULL;
        claims->room = 0;
    }
}

bool den_claims_alone(const struct den_claims *claims, uint64_t from, uint64_t bytes)
{
    size_t low = 0, high = claims->count; /* the first range that ends behind `from` */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (claims->ranges[middle].to > from)
            high = middle;
        else
            low = middle + 1;
    }
    return low == claims->count || claims->ranges[low].from >= end_of(from, bytes);
}
