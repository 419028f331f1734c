#include "csv.h"

#include <string.h>

void den_csv_init(struct den_csv *csv, char *text)
{
    /* Spreadsheet programs write a byte order mark. */
    size_t mark = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    *csv = (struct den_csv){.at = text + mark, .next_line = 1};
}

static bool bad(const struct den_csv *csv, struct den_err *err, const char *what)
{
    return den_err_set(err, DEN_E_MALFORMED, "line %zu: %s", csv->line, what);
}

/* The field after an opening quote; *ret_end is what follows the closing one. */
static bool quoted(struct den_csv *csv, char *from, char **ret_end, struct den_err *err)
{
    char *to = from;
    for (char *p = from; *p != '\0'; p++) {
        if (*p == '\n')
            csv->next_line++;
        if (*p == '"' && p[1] != '"') {
            *to = '\0';
            *ret_end = p + 1;
            return true;
        }
        p += *p == '"';
        *to++ = *p;
    }
    return bad(csv, err, "a quote is opened and not closed");
}

static bool plain(struct den_csv *csv, char *from, char **ret_end, struct den_err *err)
{
    size_t length = strcspn(from, ",\r\n");
    if (memchr(from, '"', length) != NULL)
        return bad(csv, err,
                   "a quote stands inside a field that does not begin with one");
    *ret_end = from + length;
    return true;
}

/* What ends a field: a comma, a line end or the end of the text. */
static bool separator(struct den_csv *csv, char *end, bool *ret_more, struct den_err *err)
{
    char *next = end;
    *ret_more = *end == ',';
    if (*end == ',') {
        next++;
    } else if (*end != '\0') {
        next += *next == '\r';
        if (*next != '\n')
            return bad(csv, err, "something stands between a field and its separator");
        next++;
        csv->next_line++;
    }
    *end = '\0';
    csv->at = next;
    return true;
}

static void skip_blank_lines(struct den_csv *csv)
{
    for (;;) {
        size_t blank = csv->at[0] == '\r' && csv->at[1] == '\n' ? 2 : csv->at[0] == '\n';
        if (blank == 0)
            return;
        csv->at += blank;
        csv->next_line++;
    }
}

bool den_csv_next(struct den_csv *csv, char *ret[DEN_CSV_FIELDS], size_t *ret_count,
                  struct den_err *err)
{
    size_t count = 0;
    skip_blank_lines(csv);
    csv->line = csv->next_line;
    for (bool more = csv->at[0] != '\0'; more;) {
        char *from = csv->at, *end = from;
        bool is_quoted = from[0] == '"';
        if (count == DEN_CSV_FIELDS)
            return bad(csv, err, "there are too many fields, at most 64 are read");
        if (is_quoted ? !quoted(csv, ++from, &end, err) : !plain(csv, from, &end, err))
            return false;
        if (!separator(csv, end, &more, err))
            return false;
        ret[count++] = from;
    }
    *ret_count = count;
    return true;
}
