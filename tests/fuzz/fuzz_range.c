/* Range and If-None-Match: 8 bytes are the size of the file, a line of ETag, the header.
 */

#include <string.h>

#include "fuzz.h"
#include "range.h"
#include "str.h"

enum { TEXT = 4096 };

static void check_range(const char *header, uint64_t size)
{
    uint64_t from = UINT64_MAX, count = UINT64_MAX;
    enum den_span span = den_range_read(header, size, &from, &count);
    if (span == DEN_SPAN_PART) {
        promise(count >= 1 && from < size && count <= size - from);
        promise(den_str_starts(header, "bytes="));
        promise(strchr(header, ',') == NULL);
    } else {
        promise(from == UINT64_MAX && count == UINT64_MAX);
    }
    if (span == DEN_SPAN_NONE)
        promise(den_str_starts(header, "bytes="));
}

/* What the range says is what is given: write it down again and read that. */
static void check_again(const char *header, uint64_t size)
{
    uint64_t from = 0, count = 0, from_again = 0, count_again = 0;
    char text[64];
    if (den_range_read(header, size, &from, &count) != DEN_SPAN_PART)
        return;
    promise(den_str_format(text, sizeof text, "bytes=%llu-%llu", (unsigned long long)from,
                           (unsigned long long)(from + count - 1)));
    promise(den_range_read(text, size, &from_again, &count_again) == DEN_SPAN_PART);
    promise(from == from_again && count == count_again);
}

static void check_etag(const char *header, const char *tag)
{
    char quoted[128];
    if (strlen(tag) > 100 || strpbrk(tag, "\"\\") != NULL)
        return;
    promise(den_str_format(quoted, sizeof quoted, "\"%s\"", tag));
    if (den_etag_listed(header, quoted))
        promise(strcmp(header, "*") == 0 || strstr(header, quoted) != NULL);
    promise(den_etag_listed(quoted, quoted));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT];
    uint64_t bytes = 0;
    if (size < sizeof bytes || size >= TEXT)
        return 0;
    memcpy(&bytes, data, sizeof bytes);
    bytes &= INT64_MAX;
    memcpy(text, data + sizeof bytes, size - sizeof bytes);
    text[size - sizeof bytes] = '\0';
    char *header = strchr(text, '\n');
    if (header == NULL)
        return 0;
    *header++ = '\0';
    check_range(header, bytes);
    check_again(header, bytes);
    check_etag(header, text);
    return 0;
}
