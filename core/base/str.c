#include "str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

bool den_str_copy(char *to, size_t size, const char *from)
{
    if (size == 0)
        return false;
    size_t length = strnlen(from, size);
    bool fits = length < size;
    if (!fits)
        length = size - 1;
    memmove(to, from, length);
    to[length] = '\0';
    if (!fits)
        den_utf8_trim(to);
    return fits;
}

bool den_str_format(char *to, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(to, size, format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < size)
        return true;
    if (size > 0)
        den_utf8_trim(to);
    return false;
}

bool den_str_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool den_str_ends(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && memcmp(text + length - tail, suffix, tail) == 0;
}

const char *den_str_file_name(const char *text)
{
    const char *last = text;
    for (const char *p = text; *p != '\0'; p++)
        if (*p == '/' || *p == '\\')
            last = p + 1;
    return last;
}

/* ---- numbers -------------------------------------------------------------------- */

enum { SHOWN = 64 }; /* as much of a refused value is repeated in the error text */

static bool bad_int(const char *text, int64_t min, int64_t max, struct den_err *err)
{
    char shown[SHOWN];
    return den_err_set(err, DEN_E_INVALID, "%s is not a whole number from %lld to %lld",
                       den_log_quote(text, shown, sizeof shown), (long long)min,
                       (long long)max);
}

bool den_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret,
                   struct den_err *err)
{
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (digits[0] == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return bad_int(text, min, max, err);
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    if (errno != 0 || value < min || value > max)
        return bad_int(text, min, max, err);
    *ret = value;
    return true;
}

/* strtod in the C locale, whatever the process has set.  glibc hands out a static object
 * for "C", so newlocale neither allocates nor fails. */
static double strtod_c(const char *text, char **end)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    double value = strtod_l(text, end, c);
    freelocale(c);
    return value;
}

bool den_parse_double(const char *text, double min, double max, double *ret,
                      struct den_err *err)
{
    char shown[SHOWN];
    /* The character set keeps out white space, hexadecimal, "nan" and "inf"; the first
     * character keeps out "+1". */
    bool plain = text[0] != '\0' && text[0] != '+' &&
                 text[strspn(text, "0123456789.eE+-")] == '\0';
    char *end = NULL;
    double value = plain ? strtod_c(text, &end) : 0;
    if (!plain || end == text || *end != '\0' || !isfinite(value) || value < min ||
        value > max)
        return den_err_set(err, DEN_E_INVALID, "%s is not a number from %g to %g",
                           den_log_quote(text, shown, sizeof shown), min, max);
    *ret = value;
    return true;
}

bool den_parse_bool(const char *text, bool *ret, struct den_err *err)
{
    char shown[SHOWN];
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return den_err_set(err, DEN_E_INVALID, "%s is neither true nor false",
                           den_log_quote(text, shown, sizeof shown));
    *ret = yes;
    return true;
}

/* ---- UTF-8 [RFC 3629, section 4] ------------------------------------------------- */

/* Length that the lead byte promises, and the allowed range of the second byte: that
 * range is what keeps out overlong forms, surrogates and values above U+10FFFF. */
static size_t lead(unsigned char byte, unsigned char *ret_low, unsigned char *ret_high)
{
    *ret_low = 0x80;
    *ret_high = 0xbf;
    if (byte < 0x80)
        return 1;
    if (byte < 0xc2 || byte > 0xf4)
        return 0;
    if (byte < 0xe0)
        return 2;
    if (byte == 0xe0)
        *ret_low = 0xa0;
    if (byte == 0xed)
        *ret_high = 0x9f;
    if (byte < 0xf0)
        return 3;
    if (byte == 0xf0)
        *ret_low = 0x90;
    if (byte == 0xf4)
        *ret_high = 0x8f;
    return 4;
}

size_t den_utf8_size(const char *text)
{
    unsigned char low, high;
    size_t size = lead((unsigned char)text[0], &low, &high);
    if (text[0] == '\0')
        return 0;
    for (size_t i = 1; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < low || byte > high) /* the final NUL fails here too */
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return size;
}

void den_utf8_trim(char *text)
{
    size_t length = strlen(text), back = 0;
    unsigned char low, high;
    while (back < 3 && back < length &&
           ((unsigned char)text[length - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back == length)
        return; /* no lead byte: not cut, but never valid */
    size_t start = length - 1 - back;
    if (lead((unsigned char)text[start], &low, &high) > back + 1)
        text[start] = '\0';
}

bool den_utf8_printable(const char *text)
{
    while (*text != '\0') {
        size_t size = den_utf8_size(text);
        unsigned char first = (unsigned char)text[0];
        if (size == 0 || first < 0x20 || first == 0x7f)
            return false;
        if (first == 0xc2 && (unsigned char)text[1] < 0xa0) /* C1: U+0080 to U+009F */
            return false;
        text += size;
    }
    return true;
}
