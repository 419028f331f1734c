#ifndef DEN_WATCH_WORK_H
#define DEN_WATCH_WORK_H

/* The way of one file of a watched folder: stand still, be complete, be sent, be fetched.
 * Each step is small, so that one loop serves all files. */

#include <jansson.h>
#include <sys/stat.h>

#include "cli.h"
#include "watch_journal.h"

struct den_watch {
    struct den_cli *cli;
    const char *folder; /* watched */
    const char *mirror; /* where results go; NULL = beside their sources */
    const char *shown;  /* the same as it was typed, for what is told */
    const char *suffix; /* of the names of results */
    bool recursive, once, force;
    double settle, rescan; /* s */
    int64_t most;          /* jobs at a time */
    json_t *request;       /* but for the image */
    char *request_text;
    struct den_journal journal;
    size_t in_flight, open;   /* jobs; files that are not at their end */
    size_t done, bad;         /* ends in this run */
    double away_until, pause; /* no request before; how long it was put off last */
    bool away_said;
    char away_why[200];
};

/* What stat says of a path, about an entry that may have changed. */
void den_watch_saw(struct den_watch *w, struct den_watched *e, const struct stat *st,
                   double now);

/* One step, if it is time for one (e->next).  false: the watch has to end.  Prints a line
 * when the file has come to its end. */
bool den_watch_step(struct den_watch *w, struct den_watched *e, double now,
                    struct den_err *err) DEN_CHECKED;

/* What must be right before any file is: the model or the filter.  *ret_known stays false
 * while the server is away. */
bool den_watch_check(struct den_watch *w, bool *ret_known,
                     struct den_err *err) DEN_CHECKED;

#endif
