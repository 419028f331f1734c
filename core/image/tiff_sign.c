/* The record of where a rewritten TIFF comes from: one more entry in the first directory.
 * Directories have no room to grow, so that it is written again at the end of the copy,
 * and the header points there. */
#include <inttypes.h>
#include <string.h>

#include "file_at.h"
#include "mem.h"
#include "tiff_splice.h"

enum { TEXT_MOST = 1 << 15 }; /* bytes of all lines that were there before */

static bool is_text(const struct den_tiff_raw *raw, const struct den_tiff_entry *entry)
{
    return entry->type == DEN_TIFF_ASCII && entry->count <= TEXT_MOST &&
           (entry->inside || den_tiff_outside_bytes(raw, entry) > 0);
}

bool den_tiff_copy_can_sign(const struct den_tiff_copy *copy, uint16_t tag, size_t most,
                            struct den_err *err)
{
    struct den_tiff_directory directory = {.raw = NULL};
    struct den_tiff_entry entry;
    if (!den_tiff_directory_read(&copy->raw, copy->raw.fd, copy->raw.first, &directory,
                                 err))
        return false;
    size_t found = den_tiff_entry_find(&copy->raw, &directory, tag, tag, &entry);
    bool full = found == 0 && directory.count >= most;
    bool strange = found > 1 || (found == 1 && !is_text(&copy->raw, &entry));
    den_tiff_directory_release(&directory);
    if (full)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "page 0 of the TIFF has %zu tags; there is no room for one "
                           "more, which a rewritten image needs",
                           most);
    if (strange)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "page 0 of the TIFF has a tag %u that is no text of up to %d "
                           "bytes, in the place of the record of a rewritten image",
                           tag, TEXT_MOST);
    return true;
}

/* The old text, a line feed and the new one, with its NUL; den_free. */
static bool join_text(const struct den_tiff_copy *copy, const struct den_tiff_entry *old,
                      const char *text, char **ret, size_t *ret_bytes,
                      struct den_err *err)
{
    size_t more = strlen(text) + 1, have = old == NULL ? 0 : (size_t)old->count;
    char *joined = den_new(have + 1 + more, 1, err);
    if (joined == NULL)
        return false;
    if (have > 0 && !den_file_read_at(copy->fd, old->value, joined, have, err)) {
        den_free(joined);
        return false;
    }
    while (have > 0 && joined[have - 1] == '\0')
        have--;
    if (have > 0)
        joined[have++] = '\n';
    memcpy(joined + have, text, more);
    *ret = joined;
    *ret_bytes = have + more;
    return true;
}

/* The directory with the entry in the place of the old one, or before the first of a
 * higher number, as TIFF wants it.  to: bytes of the directory and of an entry more. */
static size_t with_entry(const struct den_tiff_raw *raw,
                         const struct den_tiff_directory *from,
                         const unsigned char *entry, uint16_t tag, bool replaces,
                         unsigned char *to)
{
    size_t each = den_tiff_entry_bytes(raw), head = den_tiff_count_bytes(raw), i = 0;
    while (i < from->count) {
        uint16_t at = den_tiff_entry_at(raw, from, i).tag;
        if (replaces ? at == tag : at > tag)
            break;
        i++;
    }
    size_t before = i * each, after = (from->count - i - replaces) * each;
    const unsigned char *entries = from->raw + head;
    den_tiff_put(raw, to, head, from->count + !replaces);
    memcpy(to + head, entries, before);
    memcpy(to + head + before, entry, each);
    memcpy(to + head + before + each, entries + before + replaces * each, after);
    den_tiff_put(raw, to + head + before + each + after, den_tiff_word_bytes(raw),
                 from->next);
    return head + before + each + after + den_tiff_word_bytes(raw);
}

static bool point_to(const struct den_tiff_copy *copy, uint64_t first,
                     struct den_err *err)
{
    unsigned char link[8];
    size_t word = den_tiff_word_bytes(&copy->raw);
    den_tiff_put(&copy->raw, link, word, first);
    return den_file_write_at(copy->fd, copy->raw.big_tiff ? 8 : 4, link, word, err);
}

/* text [bytes] is behind the directory when it does not fit into the entry. */
static bool append_signed(struct den_tiff_copy *copy,
                          const struct den_tiff_directory *directory, uint16_t tag,
                          bool replaces, const char *text, size_t bytes,
                          struct den_err *err)
{
    const struct den_tiff_raw *raw = &copy->raw;
    size_t word = den_tiff_word_bytes(raw), each = den_tiff_entry_bytes(raw);
    size_t room = directory->bytes + each;
    unsigned char entry[20] = {0}, *all = NULL;
    uint64_t at = 0;
    bool done = false;
    den_tiff_put(raw, entry, 2, tag);
    den_tiff_put(raw, entry + 2, 2, DEN_TIFF_ASCII);
    den_tiff_put(raw, entry + 4, word, bytes);
    all = den_new(room, 1, err);
    if (all == NULL)
        goto out;
    if (bytes <= word)
        memcpy(entry + 4 + word, text, bytes);
    else if (den_tiff_copy_append(copy, text, bytes, &at, err))
        den_tiff_put(raw, entry + 4 + word, word, at);
    else
        goto out;
    size_t size = with_entry(raw, directory, entry, tag, replaces, all);
    done = den_tiff_copy_append(copy, all, size, &at, err) && point_to(copy, at, err);
out:
    den_free(all);
    return done;
}

bool den_tiff_copy_sign(struct den_tiff_copy *copy, uint16_t tag, const char *text,
                        struct den_err *err)
{
    bool done = false;
    struct den_tiff_directory directory = {.raw = NULL};
    struct den_tiff_entry old;
    char *joined = NULL;
    size_t bytes = 0;
    if (!den_tiff_directory_read(&copy->raw, copy->fd, copy->raw.first, &directory, err))
        goto out;
    bool replaces = den_tiff_entry_find(&copy->raw, &directory, tag, tag, &old) == 1;
    if (!join_text(copy, replaces ? &old : NULL, text, &joined, &bytes, err))
        goto out;
    uint64_t need = bytes + directory.bytes + den_tiff_entry_bytes(&copy->raw) + 2;
    done = copy->end > den_tiff_copy_limit(copy) - need ||
           append_signed(copy, &directory, tag, replaces, joined, bytes, err);
out:
    den_free(joined);
    den_tiff_directory_release(&directory);
    return done;
}
