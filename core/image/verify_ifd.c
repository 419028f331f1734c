#include "verify_ifd.h"

enum { MOST_ENTRIES = 65535 };

uint64_t den_ifd_number(const struct den_ifd_form *form, const unsigned char *from,
                        unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | from[form->big_endian ? i : bytes - 1 - i];
    return value;
}

unsigned den_ifd_word(const struct den_ifd_form *form)
{
    return form->big_tiff ? 8 : 4;
}

size_t den_ifd_entry_size(const struct den_ifd_form *form)
{
    return form->big_tiff ? 20 : 12;
}

unsigned den_ifd_type_bytes(unsigned type)
{
    static const unsigned char bytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4,
                                          8, 4, 8, 4, 0, 0, 8, 8, 8};
    return type < sizeof bytes ? bytes[type] : 0;
}

bool den_ifd_get(const struct den_ifd_form *form, const struct den_bytes *file,
                 uint64_t offset, struct den_ifd *ret)
{
    unsigned count_bytes = form->big_tiff ? 8 : 2;
    if (!den_bytes_hold(file, offset, count_bytes))
        return false;
    uint64_t count = den_ifd_number(form, file->data + offset, count_bytes);
    uint64_t at = offset + count_bytes;
    if (count > MOST_ENTRIES ||
        !den_bytes_hold(file, at, count * den_ifd_entry_size(form) + den_ifd_word(form)))
        return false;
    ret->entries = file->data + at;
    ret->count = (size_t)count;
    ret->next = den_ifd_number(form, ret->entries + count * den_ifd_entry_size(form),
                               den_ifd_word(form));
    return true;
}

struct den_ifd_entry den_ifd_entry_at(const struct den_ifd_form *form,
                                      const struct den_bytes *file,
                                      const struct den_ifd *directory, size_t i)
{
    const unsigned char *from = directory->entries + i * den_ifd_entry_size(form);
    struct den_ifd_entry e = {.tag = (unsigned)den_ifd_number(form, from, 2),
                              .type = (unsigned)den_ifd_number(form, from + 2, 2),
                              .count = den_ifd_number(form, from + 4, den_ifd_word(form)),
                              .raw = from + 4 + den_ifd_word(form)};
    unsigned each = den_ifd_type_bytes(e.type);
    if (each == 0 || e.count > file->length / each + den_ifd_word(form))
        return e;
    e.bytes = e.count * each;
    bool inside = e.bytes <= den_ifd_word(form);
    e.at = inside ? (uint64_t)(e.raw - file->data)
                  : den_ifd_number(form, e.raw, den_ifd_word(form));
    e.known = den_bytes_hold(file, e.at, e.bytes);
    return e;
}

bool den_ifd_find(const struct den_ifd_form *form, const struct den_bytes *file,
                  const struct den_ifd *directory, unsigned tag,
                  struct den_ifd_entry *ret)
{
    for (size_t i = 0; i < directory->count; i++) {
        struct den_ifd_entry e = den_ifd_entry_at(form, file, directory, i);
        if (e.tag == tag && e.known) {
            *ret = e;
            return true;
        }
    }
    return false;
}

uint64_t den_ifd_value(const struct den_ifd_form *form, const struct den_bytes *file,
                       const struct den_ifd_entry *e, uint64_t i)
{
    unsigned each = den_ifd_type_bytes(e->type);
    return den_ifd_number(form, file->data + e->at + i * each, each);
}

bool den_ifd_is_whole(unsigned type)
{
    return type == 1 || type == 3 || type == 4 || type == 13 || type == 16 || type == 18;
}
