#ifndef TEST_PROGRAM_H
#define TEST_PROGRAM_H

/* Running programs as people do: arguments in; exit status, stdout and stderr out. */

#include <stddef.h>

struct outcome {
    int status;      /* exit status, 128 + signal */
    char *out, *err; /* NUL-terminated */
    size_t out_length;
};

/* argv: NULL-terminated, the first is the program (a path, or a name in PATH).  folder:
 * where it runs (NULL = here).  server: DENOISE_SERVER (NULL = a port where nobody
 * listens). */
struct outcome run_program(const char *folder, const char *server,
                           const char *const *argv);
/* The same for the client.  args: what follows the program's name, NULL-terminated. */
struct outcome run_denoise(const char *folder, const char *server,
                           const char *const *args);
void outcome_free(struct outcome *outcome);

/* DENOISE(folder, server, "submit", "a.tif") */
#define DENOISE(folder, server, ...) \
    run_denoise(folder, server, (const char *const[]){__VA_ARGS__, NULL})

/* The program must have ended with this status; words must be part of stderr. */
void must_end(const struct outcome *outcome, int status, const char *words);

/* The first line of stdout, cut off in place. */
const char *first_line(struct outcome *outcome);

#endif
