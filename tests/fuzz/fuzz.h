#ifndef FUZZ_H
#define FUZZ_H

/* What the harnesses share.  Each parser has one file fuzz_<name>.c with a
 * LLVMFuzzerTestOneInput, seeds and former findings in corpus/<name>, and is run two
 * ways: under libFuzzer (`make fuzz`), and over its corpus by plain `make test`. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A broken promise is a finding, as a bad access is.  Not assert: it must not vanish. */
#define promise(condition)                                                          \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* Memory of the project's own at most, as a server would set it. */
enum { FUZZ_MEMORY = 256 << 20 };

/* The bytes as a file, by path: parsers of files open them.  `slot` 0 or 1; a slot is one
 * file in memory that is filled anew. */
static inline const char *fuzz_file(unsigned slot, const uint8_t *data, size_t size)
{
    static int fds[2] = {-1, -1};
    static char paths[2][32];
    promise(slot < 2);
    if (fds[slot] < 0) {
        fds[slot] = memfd_create("fuzz", MFD_CLOEXEC);
        promise(fds[slot] >= 0);
        snprintf(paths[slot], sizeof paths[slot], "/proc/self/fd/%d", fds[slot]);
    }
    promise(ftruncate(fds[slot], 0) == 0);
    promise(pwrite(fds[slot], data, size, 0) == (ssize_t)size);
    return paths[slot];
}

#endif
