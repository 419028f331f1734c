#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "str.h"

enum { LINE = 2048 }; /* below PIPE_BUF, so that lines of threads never mix in a pipe */

static atomic_int lowest = DEN_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void den_log_set_level(enum den_level level)
{
    atomic_store(&lowest, (int)level);
}

bool den_log_shows(enum den_level level)
{
    return (int)level >= atomic_load(&lowest);
}

/* One event is one line, even if a value came in unquoted. */
static void flatten(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

void den_log(enum den_level level, const char *event, const char *format, ...)
{
    if ((int)level < atomic_load(&lowest))
        return;
    int saved = errno;
    char time[DEN_TIME_SIZE], line[LINE];
    den_time_format(den_wall_ms(), time);
    const char *gap = format[0] == ' ' || format[0] == '\0' ? "" : " ";
    den_str_format(line, sizeof line, "time=%s level=%s event=%s%s", time,
                   level_names[level], event, gap);
    size_t used = strlen(line);
    va_list args;
    va_start(args, format);
    vsnprintf(line + used, sizeof line - used - 1, format, args); /* 1 for the newline */
    va_end(args);
    den_utf8_trim(line);
    flatten(line);
    size_t length = strlen(line);
    line[length++] = '\n';
    ssize_t done;
    do
        done = write(STDERR_FILENO, line, length);
    while (done < 0 && errno == EINTR);
    errno = saved;
}

/* Writes the escaped form of the character at text to `to` (up to 5 bytes and NUL), and
 * returns how many bytes of text it stands for. */
static size_t escape(const char *text, char *to, size_t size)
{
    static const char plain[] = "\n\t\r\"\\", letters[] = "ntr\"\\";
    const char *found = strchr(plain, text[0]);
    size_t bytes = den_utf8_size(text);
    unsigned char first = (unsigned char)text[0];
    bool c1 = bytes == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0;
    if (found != NULL)
        den_str_format(to, size, "\\%c", letters[found - plain]);
    else if (bytes == 0 || first < 0x20 || first == 0x7f || c1)
        den_str_format(to, size, "\\x%02x", first);
    else
        den_str_copy(to, bytes + 1, text);
    return bytes == 0 || c1 ? 1 : bytes;
}

const char *den_log_quote(const char *text, char *to, size_t size)
{
    if (size < 3) { /* no room for the two quotes */
        if (size > 0)
            to[0] = '\0';
        return to;
    }
    size_t used = 0;
    to[used++] = '"';
    while (*text != '\0') {
        char piece[8];
        text += escape(text, piece, sizeof piece);
        size_t length = strlen(piece);
        if (used + length + 2 > size)
            break;
        memcpy(to + used, piece, length);
        used += length;
    }
    to[used++] = '"';
    to[used] = '\0';
    return to;
}
