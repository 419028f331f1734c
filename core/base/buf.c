#include "buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mem.h"

/* What data points to while nothing is held (capacity 0).  Never written. */
static char empty[1];

void den_buf_init(struct den_buf *buf, size_t maximum)
{
    /* Sizes stay far from SIZE_MAX, so that sums of two below cannot overflow. */
    if (maximum > SIZE_MAX / 4)
        maximum = SIZE_MAX / 4;
    *buf = (struct den_buf){.data = empty, .maximum = maximum};
}

void den_buf_release(struct den_buf *buf)
{
    if (buf == NULL)
        return;
    if (buf->capacity != 0)
        den_free(buf->data);
    den_buf_init(buf, buf->maximum);
}

void den_buf_clear(struct den_buf *buf)
{
    buf->length = 0;
    buf->failed = buf->no_memory = false;
    if (buf->capacity != 0)
        buf->data[0] = '\0';
}

/* Room for `more` bytes and the NUL; capacity counts the NUL. */
static bool make_room(struct den_buf *buf, size_t more)
{
    if (buf->failed)
        return false;
    if (more > buf->maximum - buf->length) {
        buf->failed = true;
        return false;
    }
    size_t need = buf->length + more + 1;
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity * 2 > 64 ? buf->capacity * 2 : 64;
    if (capacity > buf->maximum + 1)
        capacity = buf->maximum + 1;
    if (capacity < need)
        capacity = need;
    char *data = den_realloc(buf->capacity == 0 ? NULL : buf->data, capacity, 1);
    if (data == NULL) {
        buf->failed = buf->no_memory = true;
        return false;
    }
    if (buf->capacity == 0)
        data[0] = '\0';
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

void den_buf_add(struct den_buf *buf, const void *data, size_t length)
{
    if (length == 0 || !make_room(buf, length))
        return;
    memcpy(buf->data + buf->length, data, length);
    buf->length += length;
    buf->data[buf->length] = '\0';
}

void den_buf_puts(struct den_buf *buf, const char *text)
{
    den_buf_add(buf, text, strlen(text));
}

void den_buf_printf(struct den_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        buf->failed = true;
        return;
    }
    if (length == 0 || !make_room(buf, (size_t)length))
        return;
    va_start(args, format);
    vsnprintf(buf->data + buf->length, (size_t)length + 1, format, args);
    va_end(args);
    buf->length += (size_t)length;
}

bool den_buf_ok(const struct den_buf *buf, struct den_err *err)
{
    if (!buf->failed)
        return true;
    if (buf->no_memory)
        return den_err_set(err, DEN_E_NO_MEMORY,
                           "there is not enough memory for a text of more than %zu bytes",
                           buf->length);
    return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)buf->maximum, -1,
                         "the text is longer than the allowed %zu bytes", buf->maximum);
}

char *den_buf_take(struct den_buf *buf)
{
    char *data = NULL;
    if (buf->failed)
        den_buf_release(buf);
    else
        data = buf->capacity != 0 ? buf->data : den_strdup("");
    den_buf_init(buf, buf->maximum);
    return data;
}
