#include "verify_gaps.h"

#include <inttypes.h>
#include <stdlib.h>

#include "mem.h"
#include "str.h"

/* 256 MiB of ranges; strips that follow each other are one range. */
enum { MOST_RANGES = 1 << 24, ROUND = 16 };

struct range {
    uint64_t from, end;
};

struct den_gaps {
    struct range *ranges;
    size_t count, room;
    bool given_up, no_memory;
};

struct den_gaps *den_gaps_new(struct den_err *err)
{
    return den_new(1, sizeof(struct den_gaps), err);
}

void den_gaps_free(struct den_gaps *gaps)
{
    if (gaps == NULL)
        return;
    den_free(gaps->ranges);
    den_free(gaps);
}

void den_gaps_give_up(struct den_gaps *gaps)
{
    gaps->given_up = true;
}

/* Where the next range goes; NULL without memory. */
static struct range *next_range(struct den_gaps *gaps)
{
    if (gaps->ranges == NULL || gaps->count == gaps->room) {
        size_t room = gaps->room == 0 ? 64 : gaps->room * 2;
        struct range *grown = den_realloc(gaps->ranges, room, sizeof *grown);
        if (grown == NULL)
            return NULL;
        gaps->ranges = grown;
        gaps->room = room;
    }
    return &gaps->ranges[gaps->count++];
}

void den_gaps_claim(struct den_gaps *gaps, uint64_t offset, uint64_t length)
{
    uint64_t end = length < UINT64_MAX - offset ? offset + length : UINT64_MAX;
    struct range *last = gaps->count > 0 ? &gaps->ranges[gaps->count - 1] : NULL;
    if (gaps->given_up || gaps->no_memory || length == 0)
        return;
    if (last != NULL && last->end == offset) {
        last->end = end;
        return;
    }
    gaps->given_up = gaps->count == MOST_RANGES;
    struct range *range = gaps->given_up ? NULL : next_range(gaps);
    if (range != NULL)
        *range = (struct range){offset, end};
    else
        gaps->no_memory = !gaps->given_up;
}

static int by_start(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* A few zeros only make the next thing begin at a round offset. */
static bool is_padding(const struct den_walk *walk, uint64_t from, uint64_t end)
{
    for (uint64_t i = from; i < end; i++)
        if (walk->source.data[i] != 0)
            return false;
    return end - from < ROUND;
}

static void compare_gap(struct den_walk *walk, uint64_t from, uint64_t end)
{
    char what[64];
    if (is_padding(walk, from, end))
        return;
    (void)den_str_format(what, sizeof what, "bytes %" PRIu64 " to %" PRIu64, from,
                         end - 1);
    if (end > walk->copy.length)
        den_walk_differs(walk, "file", what,
                         "the copy ends before these bytes, which no tag speaks of");
    else
        (void)den_walk_bytes(walk, "file", what, walk->source.data + from,
                             walk->copy.data + from, end - from);
}

bool den_gaps_compare(struct den_gaps *gaps, struct den_walk *walk, struct den_err *err)
{
    uint64_t known = 0, length = walk->source.length;
    if (gaps->no_memory)
        return den_err_set(err, DEN_E_NO_MEMORY,
                           "no memory is left for %zu ranges of bytes", gaps->count);
    if (gaps->given_up)
        return true;
    if (gaps->count > 0)
        qsort(gaps->ranges, gaps->count, sizeof *gaps->ranges, by_start);
    for (size_t i = 0; i < gaps->count && known < length; i++) {
        const struct range *r = &gaps->ranges[i];
        uint64_t from = r->from < length ? r->from : length;
        if (from > known)
            compare_gap(walk, known, from);
        if (r->end > known)
            known = r->end;
    }
    if (known < length)
        compare_gap(walk, known, length);
    return true;
}
