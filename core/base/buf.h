#ifndef DEN_BUF_H
#define DEN_BUF_H

/* A growing byte buffer with a maximum.  After a failed append the buffer is `failed`:
 * further appends do nothing, and den_buf_ok reports once at the end.  data is always
 * NUL-terminated (the NUL is not counted in length).  */

#include <stddef.h>

#include "err.h"

struct den_buf {
    char *data;
    size_t length, capacity, maximum;
    bool failed, no_memory; /* no_memory says why it failed */
};

void den_buf_init(struct den_buf *buf, size_t maximum);
void den_buf_release(struct den_buf *buf);
void den_buf_clear(struct den_buf *buf);
void den_buf_add(struct den_buf *buf, const void *data, size_t length);
void den_buf_puts(struct den_buf *buf, const char *text);
void den_buf_printf(struct den_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* false with DEN_E_TOO_LARGE or DEN_E_NO_MEMORY when an append failed. */
bool den_buf_ok(const struct den_buf *buf, struct den_err *err) DEN_CHECKED;
/* Hands the bytes over; the caller frees with den_free.  The buffer is empty afterwards.
 */
char *den_buf_take(struct den_buf *buf);

#endif
