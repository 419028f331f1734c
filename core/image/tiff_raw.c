#include "tiff_raw.h"

#include <inttypes.h>

#include "file_at.h"
#include "mem.h"

enum { MAX_ENTRIES = 4096, BIG_ENTRY = 20, BIG_WORD = 8 };

uint64_t den_tiff_get(const struct den_tiff_raw *raw, const void *from, size_t bytes)
{
    const unsigned char *at = from;
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | at[raw->big_endian ? i : bytes - 1 - i];
    return value;
}

void den_tiff_put(const struct den_tiff_raw *raw, void *to, size_t bytes, uint64_t value)
{
    unsigned char *at = to;
    for (size_t i = 0; i < bytes; i++, value >>= 8)
        at[raw->big_endian ? bytes - 1 - i : i] = (unsigned char)(value & 255);
}

size_t den_tiff_entry_bytes(const struct den_tiff_raw *raw)
{
    return raw->big_tiff ? BIG_ENTRY : 12;
}

size_t den_tiff_word_bytes(const struct den_tiff_raw *raw)
{
    return raw->big_tiff ? BIG_WORD : 4;
}

size_t den_tiff_count_bytes(const struct den_tiff_raw *raw)
{
    return raw->big_tiff ? 8 : 2;
}

bool den_tiff_raw_open(int fd, uint64_t bytes, struct den_tiff_raw *ret,
                       struct den_err *err)
{
    unsigned char head[16] = {0};
    struct den_tiff_raw raw = {.fd = fd, .bytes = bytes};
    if (!den_file_read_at(fd, 0, head, 8, err))
        return false;
    raw.big_endian = head[0] == 'M';
    raw.big_tiff = den_tiff_get(&raw, head + 2, 2) == 43;
    if (raw.big_tiff && !den_file_read_at(fd, 0, head, 16, err))
        return false;
    raw.first =
        raw.big_tiff ? den_tiff_get(&raw, head + 8, 8) : den_tiff_get(&raw, head + 4, 4);
    *ret = raw;
    return true;
}

/* Values by TIFF type number. */
static size_t type_bytes(uint16_t type)
{
    static const unsigned char bytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4,
                                          8, 4, 8, 4, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

static bool directory_room(struct den_tiff_directory *directory, struct den_err *err)
{
    if (directory->raw == NULL)
        directory->raw = den_new(1, 8 + MAX_ENTRIES * BIG_ENTRY + BIG_WORD, err);
    return directory->raw != NULL;
}

bool den_tiff_directory_read(const struct den_tiff_raw *raw, int fd, uint64_t offset,
                             struct den_tiff_directory *directory, struct den_err *err)
{
    size_t head = den_tiff_count_bytes(raw), word = den_tiff_word_bytes(raw);
    if (!directory_room(directory, err) ||
        !den_file_read_at(fd, offset, directory->raw, head, err))
        return false;
    uint64_t count = den_tiff_get(raw, directory->raw, head);
    if (count > MAX_ENTRIES)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "a page of the TIFF has %" PRIu64
                           " tags; at most %d are allowed",
                           count, MAX_ENTRIES);
    size_t entries = (size_t)count * den_tiff_entry_bytes(raw);
    if (!den_file_read_at(fd, offset + head, directory->raw + head, entries + word, err))
        return false;
    directory->offset = offset;
    directory->bytes = head + entries + word;
    directory->count = (size_t)count;
    directory->next = den_tiff_get(raw, directory->raw + head + entries, word);
    return true;
}

void den_tiff_directory_release(struct den_tiff_directory *directory)
{
    den_free(directory->raw);
    *directory = (struct den_tiff_directory){.raw = NULL};
}

struct den_tiff_entry den_tiff_entry_at(const struct den_tiff_raw *raw,
                                        const struct den_tiff_directory *directory,
                                        size_t index)
{
    size_t word = den_tiff_word_bytes(raw);
    size_t start = den_tiff_count_bytes(raw) + index * den_tiff_entry_bytes(raw);
    const unsigned char *from = directory->raw + start;
    struct den_tiff_entry entry = {
        .tag = (uint16_t)den_tiff_get(raw, from, 2),
        .type = (uint16_t)den_tiff_get(raw, from + 2, 2),
        .count = den_tiff_get(raw, from + 4, word),
        .at = directory->offset + start,
    };
    entry.each = type_bytes(entry.type);
    entry.inside = entry.each == 0 || entry.count <= word / entry.each;
    entry.value =
        entry.inside ? entry.at + 4 + word : den_tiff_get(raw, from + 4 + word, word);
    return entry;
}

size_t den_tiff_entry_find(const struct den_tiff_raw *raw,
                           const struct den_tiff_directory *directory, uint16_t tag,
                           uint16_t other, struct den_tiff_entry *ret)
{
    size_t found = 0;
    for (size_t i = 0; i < directory->count; i++) {
        struct den_tiff_entry entry = den_tiff_entry_at(raw, directory, i);
        if (entry.tag != tag && entry.tag != other)
            continue;
        *ret = entry;
        found++;
    }
    return found;
}

uint64_t den_tiff_outside_bytes(const struct den_tiff_raw *raw,
                                const struct den_tiff_entry *entry)
{
    if (entry->inside || entry->count > raw->bytes / entry->each)
        return 0;
    uint64_t bytes = entry->count * entry->each;
    return entry->value > raw->bytes || bytes > raw->bytes - entry->value ? 0 : bytes;
}
