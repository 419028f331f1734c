/* TIFF 6.0 section 2 and the BigTIFF design note: header, chain of directories (IFDs),
 * entries of 12 or 20 bytes.  Only sizes are looked at here, libtiff reads the values. */
#include "tiff_io.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "mem.h"

/* libtiff itself refuses directories of more entries. */
enum { MAX_ENTRIES = 4096, MAX_ENTRY_BYTES = 20, MAX_HEAD = 16 };

/* Pages may share tag data, but not without end. */
static const uint64_t SHARED_TIMES = 8, SHARED_SLACK = (uint64_t)1 << 20;

struct scan {
    int fd;
    uint64_t file_bytes;
    bool big_endian, big_tiff;
    uint32_t most;      /* entries of a page */
    uint64_t tag_bytes; /* of all pages so far */
    unsigned char *entries;
};

static uint64_t number(const struct scan *s, const unsigned char *from, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | from[s->big_endian ? i : bytes - 1 - i];
    return value;
}

/* false with err when the bytes are not there. */
static bool fetch(const struct scan *s, uint64_t offset, void *to, size_t bytes,
                  struct den_err *err)
{
    unsigned char *at = to;
    if (offset > s->file_bytes || bytes > s->file_bytes - offset)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the TIFF is cut short: %zu bytes at offset %" PRIu64
                           " are not in the file of %" PRIu64 " bytes",
                           bytes, offset, s->file_bytes);
    for (size_t done = 0; done < bytes;) {
        ssize_t got = pread(s->fd, at + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return den_err_sys(err, errno, "the TIFF cannot be read");
        if (got == 0)
            return den_err_set(err, DEN_E_UNPROCESSABLE,
                               "the TIFF shrank while it was read");
        done += (size_t)got;
    }
    return true;
}

/* Bytes of one value by TIFF type number; 0 for an unknown type, which libtiff skips. */
static uint64_t type_bytes(uint64_t type)
{
    static const unsigned char bytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4,
                                          8, 4, 8, 4, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

/* Bytes that the entry holds outside itself, if they lie inside the file; those that do
 * not are never read. */
static uint64_t entry_bytes(const struct scan *s, const unsigned char *entry)
{
    unsigned word = s->big_tiff ? 8 : 4;
    uint64_t each = type_bytes(number(s, entry + 2, 2));
    uint64_t count = number(s, entry + 4, word);
    uint64_t at = number(s, entry + 4 + word, word);
    if (each == 0 || count > s->file_bytes / each || count * each <= word ||
        at > s->file_bytes - count * each)
        return 0;
    return count * each;
}

static bool check_entries(struct scan *s, size_t count, uint32_t page,
                          struct den_err *err)
{
    size_t size = s->big_tiff ? 20 : 12;
    uint64_t sum = 0, shared = s->file_bytes * SHARED_TIMES + SHARED_SLACK;
    for (size_t i = 0; i < count; i++)
        sum += entry_bytes(s, s->entries + i * size);
    s->tag_bytes += sum;
    if (sum > s->file_bytes || s->tag_bytes > shared)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the tags of the TIFF up to page %" PRIu32 " claim %" PRIu64
                           " bytes, more than the file of %" PRIu64 " bytes can hold",
                           page, s->tag_bytes, s->file_bytes);
    return true;
}

/* NewSubfileType (254) has bit 0 set, or the old SubfileType (255) is 2: a smaller copy
 * of another page. */
static bool is_reduced(const struct scan *s, size_t count)
{
    enum { SHORT = 3, NEW_SUBFILE_TYPE = 254, SUBFILE_TYPE = 255 };
    size_t size = s->big_tiff ? 20 : 12;
    for (size_t i = 0; i < count; i++) {
        const unsigned char *entry = s->entries + i * size;
        uint64_t tag = number(s, entry, 2), type = number(s, entry + 2, 2);
        uint64_t value = number(s, entry + (s->big_tiff ? 12 : 8), type == SHORT ? 2 : 4);
        if ((tag == NEW_SUBFILE_TYPE && (value & 1) != 0) ||
            (tag == SUBFILE_TYPE && value == 2))
            return true;
    }
    return false;
}

/* Reads the directory at *offset and leaves the offset of the next one there, 0 if none.
 */
static bool step(struct scan *s, uint64_t *offset, uint32_t page, bool *ret_reduced,
                 struct den_err *err)
{
    unsigned count_bytes = s->big_tiff ? 8 : 2, word = s->big_tiff ? 8 : 4;
    unsigned char head[8], next[8];
    if (!fetch(s, *offset, head, count_bytes, err))
        return false;
    uint64_t count = number(s, head, count_bytes);
    if (count == 0 || count > s->most)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "page %" PRIu32 " of the TIFF has %" PRIu64
                           " tags; 1 to %" PRIu32 " are allowed",
                           page, count, s->most);
    size_t bytes = (size_t)count * (s->big_tiff ? 20 : 12);
    uint64_t at = *offset + count_bytes;
    if (!fetch(s, at, s->entries, bytes, err) || !fetch(s, at + bytes, next, word, err) ||
        !check_entries(s, (size_t)count, page, err))
        return false;
    *ret_reduced = is_reduced(s, (size_t)count);
    *offset = number(s, next, word);
    return true;
}

static bool read_head(struct scan *s, uint64_t *ret_first, struct den_err *err)
{
    unsigned char head[MAX_HEAD];
    if (!fetch(s, 0, head, 8, err))
        return false;
    s->big_endian = head[0] == 'M';
    s->big_tiff = number(s, head + 2, 2) == 43;
    if (s->big_tiff && !fetch(s, 0, head, 16, err))
        return false;
    *ret_first = s->big_tiff ? number(s, head + 8, 8) : number(s, head + 4, 4);
    if (*ret_first == 0)
        return den_err_set(err, DEN_E_UNPROCESSABLE, "the TIFF has no page");
    return true;
}

struct list {
    uint64_t *offsets;
    uint32_t count, room;
};

static bool append(struct list *list, uint64_t offset, struct den_err *err)
{
    if (list->count == list->room) {
        uint32_t more = list->room == 0 ? 16 : list->room * 2;
        uint64_t *grown = den_realloc(list->offsets, more, sizeof *grown);
        if (grown == NULL)
            return den_err_set(err, DEN_E_NO_MEMORY,
                               "no memory is left for %" PRIu32 " pages", more);
        list->offsets = grown;
        list->room = more;
    }
    list->offsets[list->count++] = offset;
    return true;
}

/* Follows the chain from `next` on. */
static bool walk(struct scan *s, uint64_t next, uint32_t most, struct list *pages,
                 struct list *reduced, struct den_err *err)
{
    uint64_t mark = 0;
    uint32_t walked = 0, power = 1;
    while (next != 0) {
        uint64_t at = next;
        bool small = false;
        if (walked == most)
            return den_err_limit(err, DEN_E_TOO_LARGE, most, (int64_t)walked + 1,
                                 "the TIFF has more than %" PRIu32 " pages", most);
        if (!step(s, &next, walked, &small, err) ||
            !append(small ? reduced : pages, at, err))
            return false;
        walked++;
        /* Loops are found by comparing with a mark that moves at powers of two [Brent,
         * BIT 20 (1980)]. */
        if (next != 0 && next == mark)
            return den_err_set(err, DEN_E_UNPROCESSABLE,
                               "the TIFF is damaged: its pages repeat in a loop");
        if (walked == power) {
            mark = next;
            power *= 2;
        }
    }
    return true;
}

bool den_tiff_scan(int fd, uint64_t file_bytes, const struct den_image_limits *limits,
                   uint64_t **ret_offsets, uint32_t *ret_pages, struct den_err *err)
{
    bool done = false;
    uint32_t most = limits->tags < MAX_ENTRIES ? limits->tags : MAX_ENTRIES;
    struct scan s = {.fd = fd, .file_bytes = file_bytes, .most = most};
    struct list pages = {.offsets = NULL}, reduced = {.offsets = NULL};
    uint64_t first = 0;
    s.entries = den_new(MAX_ENTRIES, MAX_ENTRY_BYTES, err);
    if (s.entries == NULL || !read_head(&s, &first, err) ||
        !walk(&s, first, limits->pages, &pages, &reduced, err))
        goto out;
    struct list *found = pages.count != 0 ? &pages : &reduced;
    *ret_offsets = found->offsets;
    *ret_pages = found->count;
    found->offsets = NULL;
    done = true;
out:
    den_free(pages.offsets);
    den_free(reduced.offsets);
    den_free(s.entries);
    return done;
}
