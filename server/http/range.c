#include "range.h"

#include <ctype.h>
#include <string.h>

#include "str.h"

/* Decimal digits at *p, without overflow; false when there are none. */
static bool digits(const char **p, uint64_t *ret)
{
    uint64_t value = 0;
    const char *start = *p;
    for (; isdigit((unsigned char)**p); (*p)++) {
        unsigned digit = (unsigned)(**p - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    *ret = value;
    return *p != start;
}

enum den_span den_range_read(const char *text, uint64_t size, uint64_t *ret_from,
                             uint64_t *ret_count)
{
    uint64_t from = 0, to = 0;
    if (!den_str_starts(text, "bytes="))
        return DEN_SPAN_ALL;
    const char *p = text + strlen("bytes=");
    bool has_from = digits(&p, &from);
    if (*p++ != '-')
        return DEN_SPAN_ALL;
    bool has_to = digits(&p, &to);
    if (*p != '\0' || (!has_from && !has_to) || (has_from && has_to && to < from))
        return DEN_SPAN_ALL;
    if (!has_from) { /* the last `to` bytes */
        from = to < size ? size - to : 0;
        if (to == 0 || size == 0)
            return DEN_SPAN_NONE;
        to = size - 1;
    }
    if (from >= size)
        return DEN_SPAN_NONE;
    if (!has_to || to >= size)
        to = size - 1;
    *ret_from = from;
    *ret_count = to - from + 1;
    return DEN_SPAN_PART;
}

bool den_etag_listed(const char *list, const char *quoted)
{
    size_t length = strlen(quoted);
    if (strcmp(list, "*") == 0)
        return true;
    for (const char *p = list; *p != '\0';) {
        p += strspn(p, " \t,");
        if (den_str_starts(p, "W/"))
            p += 2;
        if (strncmp(p, quoted, length) == 0 && strchr(", \t", p[length]) != NULL)
            return true;
        const char *end = *p == '"' ? strchr(p + 1, '"') : NULL;
        p = end != NULL ? end + 1 : p + strcspn(p, ",");
    }
    return false;
}
