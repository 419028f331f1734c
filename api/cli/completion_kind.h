#ifndef DEN_COMPLETION_KIND_H
#define DEN_COMPLETION_KIND_H

/* What a shell can propose for a value, told by what the help calls it. */

#include "cli.h"

enum den_kind {
    DEN_KIND_NONE,
    DEN_KIND_FILES,   /* FILE, CSV, PNG */
    DEN_KIND_FOLDERS, /* DIR */
    DEN_KIND_JOBS,    /* JOB: the server's newest */
    DEN_KIND_MODELS,  /* MODEL, NAME[@VERSION]: the server's */
    DEN_KIND_WORDS,   /* this|or|that */
};

const char *den_kind_name(enum den_kind kind); /* "files" */
enum den_kind den_kind_of(const char *value);
/* Of the arguments of a command that are not options; value[size]: what they are called.
 */
enum den_kind den_kind_of_words(const struct den_command *command, char *value,
                                size_t size);
/* "this|or|that" as "this or that". */
const char *den_kind_words(const char *value, char *to, size_t size);

#endif
