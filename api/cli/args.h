#ifndef DEN_ARGS_H
#define DEN_ARGS_H

/* Options and arguments of one command line, parsed by the tables of the command.
 * Understood: --name VALUE, --name=VALUE, -x VALUE, flags, and "--" before arguments that
 * begin with "-".  Options may stand before and behind arguments. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct den_command;

enum den_option_kind {
    DEN_OPTION_FLAG,
    DEN_OPTION_VALUE,  /* one value, at most once */
    DEN_OPTION_REPEAT, /* one value, as often as one likes */
    DEN_OPTION_LIST,   /* all words up to the next option */
};

struct den_option {
    const char *name; /* without "--" */
    char letter;      /* 0 if it has none */
    enum den_option_kind kind;
    const char *value; /* what the help calls the value; NULL for a flag */
    const char *doc;
};

struct den_given { /* one value of one option */
    const struct den_option *option;
    const char *value; /* "" for a flag; borrowed from argv */
};

struct den_args {
    const struct den_command *command; /* NULL if there is none on the line */
    const char **words;                /* arguments that are not options */
    size_t count;
    struct den_given *given;
    size_t given_count;
};

/* DEN_E_INVALID names the word that is wrong.  The number of arguments is checked by
 * den_args_check, so that --help needs none.  Release in any case. */
bool den_args_parse(struct den_args *args, int argc, char *const *argv,
                    struct den_err *err) DEN_CHECKED;
bool den_args_check(const struct den_args *args, struct den_err *err) DEN_CHECKED;
void den_args_release(struct den_args *args);

bool den_args_has(const struct den_args *args, const char *name);
/* The (last) value of an option, or NULL. */
const char *den_args_text(const struct den_args *args, const char *name);
/* Value number i of an option, or NULL behind the last one. */
const char *den_args_at(const struct den_args *args, const char *name, size_t i);
size_t den_args_count(const struct den_args *args, const char *name);
/* *ret keeps its value when the option is not given; DEN_E_INVALID names option and
 * range. */
bool den_args_int(const struct den_args *args, const char *name, int64_t min, int64_t max,
                  int64_t *ret, struct den_err *err) DEN_CHECKED;
bool den_args_double(const struct den_args *args, const char *name, double min,
                     double max, double *ret, struct den_err *err) DEN_CHECKED;

#endif
