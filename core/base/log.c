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

/* Below PIPE_BUF, so that lines of threads never mix in a pipe. */
enum { TEXT = 2048, LINE = 4000 };

static atomic_int lowest = DEN_INFO, style = DEN_LOGFMT;
static const char *const level_names[] = {"debug", "info", "warn", "error"};
static _Thread_local struct {
    const char *key, *value;
} context;

void den_log_set_level(enum den_level level)
{
    atomic_store(&lowest, (int)level);
}

bool den_log_shows(enum den_level level)
{
    return (int)level >= atomic_load(&lowest);
}

void den_log_set_format(enum den_log_format format)
{
    atomic_store(&style, (int)format);
}

void den_log_context(const char *key, const char *value)
{
    context.key = key;
    context.value = value;
}

/* ---- pairs -------------------------------------------------------------------------
 */

struct pair {
    const char *key, *value; /* value: between its quotes, if it has any */
    size_t key_length, length;
    bool quoted;
};

/* The first pair of *text; moves *text behind it. */
static bool next_pair(const char **text, struct pair *ret)
{
    const char *at = *text + strspn(*text, " ");
    struct pair pair = {.key = at, .key_length = strcspn(at, "= ")};
    if (at[0] == '\0')
        return false;
    at += pair.key_length;
    at += *at == '=';
    pair.quoted = *at == '"';
    pair.value = at += pair.quoted;
    if (!pair.quoted)
        at += strcspn(at, " ");
    else
        while (*at != '\0' && *at != '"')
            at += *at == '\\' && at[1] != '\0' ? 2 : 1;
    pair.length = (size_t)(at - pair.value);
    *text = at + (pair.quoted && *at == '"');
    *ret = pair;
    return true;
}

static bool key_is(const struct pair *pair, const char *key)
{
    return strlen(key) == pair->key_length &&
           memcmp(pair->key, key, pair->key_length) == 0;
}

static bool names(const char *text, const char *key)
{
    struct pair pair;
    while (next_pair(&text, &pair))
        if (key_is(&pair, key))
            return true;
    return false;
}

/* ---- JSON (RFC 8259) ----------------------------------------------------------------
 */

struct line {
    char text[LINE];
    size_t used;
    bool full;
};

static void put(struct line *line, const char *bytes, size_t length)
{
    enum { END = 4 }; /* room for what closes the line */
    line->full = line->full || length > LINE - END - line->used;
    if (line->full)
        return;
    memcpy(line->text + line->used, bytes, length);
    line->used += length;
}

/* number = [ minus ] int [ frac ] [ exp ] */
static bool is_number(const char *text, size_t length)
{
    static const char digits[] = "0123456789";
    size_t at = text[0] == '-', whole = strspn(text + at, digits), more;
    if (whole == 0 || (whole > 1 && text[at] == '0'))
        return false;
    at += whole;
    if (text[at] == '.') {
        more = strspn(text + at + 1, digits);
        at += more > 0 ? 1 + more : 0;
    }
    if (text[at] == 'e' || text[at] == 'E') {
        size_t sign = text[at + 1] == '-' || text[at + 1] == '+';
        more = strspn(text + at + 1 + sign, digits);
        at += more > 0 ? 1 + sign + more : 0;
    }
    return at == length;
}

/* A value that came unquoted may hold anything but control characters. */
static void put_bare(struct line *line, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t bytes = den_utf8_size(text + i);
        if (text[i] == '"' || text[i] == '\\')
            put(line, "\\", 1);
        put(line, bytes > 0 ? text + i : "?", bytes > 0 ? bytes : 1);
        i += bytes > 0 ? bytes : 1;
    }
}

/* What den_log_quote wrote; a line that was cut may end within an escape. */
static void put_quoted(struct line *line, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t plain = i;
        while (plain < length && text[plain] != '\\')
            plain++;
        put(line, text + i, plain - i);
        size_t escape = text[plain + (plain < length)] == 'x' ? 4 : 2;
        if (plain + escape > length)
            return;
        if (escape == 4)
            put(line, "\\u00", 4);
        put(line, escape == 4 ? text + plain + 2 : text + plain, 2);
        i = plain + escape;
    }
}

/* A pair that does not fit is left out, and so is all behind it. */
static void put_pair(struct line *line, const struct pair *pair)
{
    size_t before = line->used;
    bool id = key_is(pair, "request") || key_is(pair, "job") || key_is(pair, "sha256");
    bool number = !pair->quoted && !id && is_number(pair->value, pair->length);
    put(line, ",\"", 2);
    put_bare(line, pair->key, pair->key_length);
    put(line, "\":\"", number ? 2 : 3);
    if (pair->quoted)
        put_quoted(line, pair->value, pair->length);
    else
        put_bare(line, pair->value, pair->length);
    put(line, "\"", number ? 0 : 1);
    if (line->full)
        line->used = before;
}

static void put_json(struct line *line, const char *text)
{
    struct pair pair;
    while (next_pair(&text, &pair))
        put_pair(line, &pair);
    line->text[0] = '{'; /* where the first comma is */
    memcpy(line->text + line->used, "}", 1);
    line->used++;
}

/* ---- a line --------------------------------------------------------------------------
 */

/* One event is one line, even if a value came in unquoted. */
static void flatten(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/* time, level, event and what the thread works on. */
static void lead(enum den_level level, const char *event, const char *rest, char *to,
                 size_t size)
{
    char time[DEN_TIME_SIZE];
    den_time_format(den_wall_ms(), time);
    den_str_format(to, size, "time=%s level=%s event=%s", time, level_names[level],
                   event);
    size_t used = strlen(to);
    if (context.value != NULL && context.value[0] != '\0' && !names(rest, context.key))
        den_str_format(to + used, size - used, " %s=%s", context.key, context.value);
}

void den_log(enum den_level level, const char *event, const char *format, ...)
{
    if ((int)level < atomic_load(&lowest))
        return;
    int saved = errno;
    char rest[TEXT], first[256];
    struct line line = {.used = 0};
    va_list args;
    va_start(args, format);
    vsnprintf(rest, sizeof rest, format, args);
    va_end(args);
    den_utf8_trim(rest);
    flatten(rest);
    lead(level, event, rest, first, sizeof first);
    if (atomic_load(&style) == DEN_LOG_JSON) {
        const char *at = first;
        struct pair pair;
        while (next_pair(&at, &pair))
            put_pair(&line, &pair);
        put_json(&line, rest);
    } else {
        put(&line, first, strlen(first));
        put(&line, " ", rest[0] == ' ' || rest[0] == '\0' ? 0 : 1);
        put(&line, rest, strlen(rest));
    }
    line.text[line.used++] = '\n';
    ssize_t done;
    do
        done = write(STDERR_FILENO, line.text, line.used);
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
