#ifndef DEN_WATCH_JOURNAL_H
#define DEN_WATCH_JOURNAL_H

/* What a watched folder remembers of its files, also over restarts: a file of JSON lines,
 * one for each step of a file, flushed to the disk before the next step is taken.  It is
 * rewritten, as one atomic replacement, when most lines are of the past. */

#include <jansson.h>
#include <stdint.h>

#include "err.h"
#include "file_hash.h"

enum den_watched_state {
    DEN_WATCHED_SEEN,    /* its size and time may still change */
    DEN_WATCHED_READY,   /* complete, not yet sent */
    DEN_WATCHED_SENT,    /* `job` works on it */
    DEN_WATCHED_DONE,    /* the result lies where it should */
    DEN_WATCHED_REFUSED, /* the server does not want this file */
    DEN_WATCHED_FAILED,  /* its job failed, or the result could not be kept */
    DEN_WATCHED_GONE,
};

struct den_watched {
    char *path; /* seen from the watched folder, UTF-8 */
    enum den_watched_state state;
    uint64_t size; /* bytes */
    int64_t mtime_ns;
    char sha256[DEN_SHA256_SIZE]; /* of what was last sent; "" = nothing was */
    char job[64];
    int64_t attempt; /* counts when the same content is to be a new job */
    bool written;    /* the result is our own work */
    /* Of this run alone; times as den_monotonic_s. */
    enum den_watched_state before; /* how it had ended before it changed, else SEEN */
    double still_since, next, pause;
    unsigned troubles;
    bool told;
};

struct den_journal {
    char *path;
    int fd, lock; /* -1 = closed */
    struct den_watched **entries;
    size_t count, capacity, lines;
    json_t *index; /* {path: place in entries} */
};

/* Makes the file and its folder if they are not there.  DEN_E_CONFLICT when another
 * process has it; DEN_E_MALFORMED names the line that is no line of a journal.  A last
 * line without its end was never acted upon, and is dropped. */
bool den_journal_open(struct den_journal *journal, const char *path,
                      struct den_err *err) DEN_CHECKED;
void den_journal_close(struct den_journal *journal);

/* NULL when the path is not known. */
struct den_watched *den_journal_find(const struct den_journal *journal, const char *path);
/* A new entry in state SEEN, in memory alone.  DEN_E_TOO_LARGE after a million. */
struct den_watched *den_journal_add(struct den_journal *journal, const char *path,
                                    struct den_err *err);
/* The entry as it is now, on the disk. */
bool den_journal_note(struct den_journal *journal, const struct den_watched *entry,
                      struct den_err *err) DEN_CHECKED;

#endif
