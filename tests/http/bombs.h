#ifndef TEST_BOMBS_H
#define TEST_BOMBS_H

/* Small files that ask for much: memory, time, or both. */

#include <stdbool.h>

#include "buf.h"

struct bomb {
    const char *name;
    bool refused; /* must be; others may be read, if that is cheap */
    void (*make)(struct den_buf *to);
};
extern const struct bomb bombs[]; /* ends with name NULL */

/* A gzip stream of `bytes` zeros. */
void bomb_gzip(struct den_buf *to, size_t bytes);
/* No bomb: a TIFF of side x side 8-bit pixels in one strip. */
void bomb_large_page(struct den_buf *to, uint32_t side);

#endif
