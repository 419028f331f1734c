/* Two TIFF files side by side, directory by directory and entry by entry (TIFF 6.0,
 * section 2, and the BigTIFF design note), without libtiff. */
#include "verify_tiff.h"

#include <inttypes.h>
#include <string.h>

#include "mem.h"
#include "rewrite.h"
#include "str.h"

enum {
    DEEPEST = 8,               /* directories inside directories */
    SPARE_DIRECTORIES = 65536, /* besides two per page */
    TAG_SUBIFDS = 330,
    TAG_EXIF = 34665,
    TAG_GPS = 34853,
    TAG_INTEROP = 40965
};

/* Directories that follow each other, from these offsets on. */
struct den_tiff_chain {
    uint64_t source, copy;
    unsigned depth;  /* 0 = the pages */
    char parent[80]; /* "page 2" */
    char name[56];   /* "SubIFD 1" */
};

/* ---- directories ------------------------------------------------------------------ */

static bool grow_chains(struct den_tiff_pair *t)
{
    size_t room = t->chain_room == 0 ? 16 : t->chain_room * 2;
    struct den_tiff_chain *grown = den_realloc(t->chains, room, sizeof *grown);
    t->no_memory = grown == NULL;
    if (grown == NULL)
        return false;
    t->chains = grown;
    t->chain_room = room;
    return true;
}

/* To be compared later: no recursion, however deep a hostile file goes. */
static bool add_chain(struct den_tiff_pair *t, const struct den_tiff_chain *chain)
{
    if (!den_tiff_spend(&t->directories_left, 1) ||
        (t->chain_count == t->chain_room && !grow_chains(t)))
        return false;
    t->chains[t->chain_count++] = *chain;
    return true;
}

static const char *pointer_name(const struct den_ifd_entry *e)
{
    bool type = e->type == 4 || e->type == 13 || e->type == 16 || e->type == 18;
    if (!type || !e->known)
        return NULL;
    switch (e->tag) {
    case TAG_SUBIFDS:
        return "SubIFD";
    case TAG_EXIF:
        return "ExifIFD";
    case TAG_GPS:
        return "GPSIFD";
    case TAG_INTEROP:
        return "InteropIFD";
    default:
        return e->type == 13 || e->type == 18 ? "directory" : NULL;
    }
}

static bool add_pointers(struct den_tiff_pair *t, const char *where, const char *name,
                         const struct den_ifd_entry *a, const struct den_ifd_entry *b,
                         unsigned depth)
{
    for (uint64_t i = 0; i < a->count; i++) {
        struct den_tiff_chain chain = {
            .source = den_ifd_value(&t->form, &t->walk->source, a, i),
            .copy = den_ifd_value(&t->form, &t->walk->copy, b, i),
            .depth = depth + 1};
        (void)den_str_copy(chain.parent, sizeof chain.parent, where);
        (void)den_str_format(chain.name, sizeof chain.name, "%s %" PRIu64, name, i);
        if (!add_chain(t, &chain))
            return false;
    }
    return true;
}

static void compare_values(struct den_tiff_pair *t, const char *where, const char *what,
                           const struct den_ifd_entry *a, const struct den_ifd_entry *b)
{
    struct den_walk *walk = t->walk;
    /* Values that would lie behind the end of the source: the copy is longer, and may
     * have something there, but must point at the same place. */
    if (!a->known) {
        (void)den_walk_bytes(walk, where, what, a->raw, b->raw, den_ifd_word(&t->form));
        return;
    }
    if (!b->known) {
        den_walk_differs(walk, where, what, "its values are not in the copy");
        return;
    }
    if (a->count != 1 || !den_ifd_is_whole(a->type)) {
        (void)den_walk_bytes(walk, where, what, walk->source.data + a->at,
                             walk->copy.data + b->at, a->bytes);
        return;
    }
    uint64_t before = den_ifd_value(&t->form, &walk->source, a, 0);
    uint64_t after = den_ifd_value(&t->form, &walk->copy, b, 0);
    if (before != after)
        den_walk_differs(walk, where, what, "%" PRIu64 " became %" PRIu64, before, after);
}

/* False when the files point in circles. */
static bool compare_entry(struct den_tiff_pair *t, const char *where,
                          const struct den_ifd_entry *a, const struct den_ifd_entry *b,
                          unsigned depth)
{
    char what[64];
    const char *name = pointer_name(a);
    den_tiff_tag_label(what, sizeof what, a->tag);
    if (a->known && a->bytes > den_ifd_word(&t->form))
        den_gaps_claim(t->gaps, a->at, a->bytes);
    if (!den_tiff_spend(&t->bytes_left, a->bytes))
        return false;
    if (a->count != b->count) {
        den_walk_differs(t->walk, where, what, "%" PRIu64 " %s%s became %" PRIu64,
                         a->count, den_ifd_type_bytes(a->type) == 1 ? "byte" : "value",
                         a->count == 1 ? "" : "s", b->count);
        return true;
    }
    if (den_tiff_is_part_array(a->tag) && a->known && b->known)
        return true;
    if (a->type != b->type) {
        den_walk_differs(t->walk, where, what, "its type was %u and became %u", a->type,
                         b->type);
        return true;
    }
    if (name != NULL && b->known && depth < DEEPEST)
        return add_pointers(t, where, name, a, b, depth);
    compare_values(t, where, what, a, b);
    return true;
}

static bool is_text(const struct den_bytes *file, const struct den_ifd_entry *e)
{
    return e->known && e->type == 2 && e->bytes > 0 &&
           file->data[e->at + e->bytes - 1] == '\0';
}

/* A source that was itself denoised: its text must go on with another line. */
static bool is_continued(struct den_tiff_pair *t, const char *where,
                         const struct den_ifd_entry *a, const struct den_ifd_entry *b)
{
    const struct den_bytes *source = &t->walk->source, *copy = &t->walk->copy;
    if (!is_text(source, a) || !is_text(copy, b) || b->bytes <= a->bytes + 1)
        return false;
    const unsigned char *text = copy->data + b->at;
    size_t old = (size_t)a->bytes - 1;
    if (memcmp(source->data + a->at, text, old) != 0 || text[old] != '\n')
        return false;
    den_gaps_claim(t->gaps, a->at, a->bytes);
    den_walk_provenance(t->walk, where, text + old + 1, b->bytes - a->bytes - 1);
    return true;
}

/* An entry that only the copy has. */
static void meet_added(struct den_tiff_pair *t, const char *where,
                       const struct den_ifd_entry *e, bool *may_add)
{
    char what[64];
    if (*may_add && e->tag == DEN_PROVENANCE_TIFF_TAG) {
        *may_add = false;
        if (is_text(&t->walk->copy, e))
            den_walk_provenance(t->walk, where, t->walk->copy.data + e->at, e->bytes - 1);
        else
            den_walk_differs(t->walk, where, "provenance", "it is not a text");
        return;
    }
    den_tiff_tag_label(what, sizeof what, e->tag);
    den_walk_differs(t->walk, where, what, "it was added");
}

static bool has_tag(const struct den_tiff_pair *t, const struct den_ifd *directory,
                    size_t from, unsigned tag)
{
    for (size_t i = from; i < directory->count; i++)
        if (den_ifd_number(&t->form,
                           directory->entries + i * den_ifd_entry_size(&t->form),
                           2) == tag)
            return true;
    return false;
}

static bool compare_entries(struct den_tiff_pair *t, const char *where,
                            const struct den_ifd *a, const struct den_ifd *b, bool first,
                            unsigned depth)
{
    const struct den_walk *walk = t->walk;
    size_t j = 0;
    bool may_add = first;
    for (size_t i = 0; i < a->count; i++) {
        struct den_ifd_entry from = den_ifd_entry_at(&t->form, &walk->source, a, i), to;
        if (!has_tag(t, b, j, from.tag)) {
            char what[64];
            den_tiff_tag_label(what, sizeof what, from.tag);
            den_walk_differs(t->walk, where, what, "it was removed");
            if (!den_tiff_spend(&t->bytes_left, b->count * den_ifd_entry_size(&t->form)))
                return false;
            continue;
        }
        for (to = den_ifd_entry_at(&t->form, &walk->copy, b, j++); to.tag != from.tag;
             to = den_ifd_entry_at(&t->form, &walk->copy, b, j++))
            meet_added(t, where, &to, &may_add);
        if (may_add && from.tag == DEN_PROVENANCE_TIFF_TAG &&
            is_continued(t, where, &from, &to)) {
            may_add = false;
            continue;
        }
        if (!compare_entry(t, where, &from, &to, depth))
            return false;
    }
    for (; j < b->count; j++) {
        struct den_ifd_entry to = den_ifd_entry_at(&t->form, &walk->copy, b, j);
        meet_added(t, where, &to, &may_add);
    }
    return true;
}

static bool compare_directory(struct den_tiff_pair *t, const char *where, uint64_t source,
                              const struct den_ifd *a, const struct den_ifd *b,
                              bool first, unsigned depth)
{
    bool page = depth == 0 && den_tiff_is_page(t, a);
    size_t frame = (t->form.big_tiff ? 8 : 2) + den_ifd_word(&t->form);
    den_gaps_claim(t->gaps, source, a->count * den_ifd_entry_size(&t->form) + frame);
    if (!compare_entries(t, where, a, b, first, depth))
        return false;
    den_tiff_claim_parts(t, a, page);
    if (!page)
        return den_tiff_compare_parts(t, where, a, b);
    den_tiff_check_parts(t, where, a, b);
    return true;
}

static void name_directory(const struct den_tiff_chain *chain, uint64_t i, char *to,
                           size_t size)
{
    if (chain->depth == 0)
        (void)den_str_format(to, size, "page %" PRIu64, i);
    else if (i == 0)
        (void)den_str_format(to, size, "%s, %s", chain->parent, chain->name);
    else
        (void)den_str_format(to, size, "%s, %s.%" PRIu64, chain->parent, chain->name, i);
}

/* Directory i of the chain; goes on to the next one. */
static bool compare_next(struct den_tiff_pair *t, struct den_tiff_chain *chain,
                         uint64_t i)
{
    struct den_walk *walk = t->walk;
    struct den_ifd a, b;
    char where[80];
    uint64_t source = chain->source, copy = chain->copy;
    name_directory(chain, i, where, sizeof where);
    chain->source = chain->copy = 0; /* the end, if one cannot be read */
    if (!den_ifd_get(&t->form, &walk->source, source, &a)) {
        /* Damaged already: nothing can be said but that it stays. */
        if (source != copy)
            den_walk_differs(walk, where, "directory",
                             "it cannot be read, and its offset changed");
        return true;
    }
    if (!den_ifd_get(&t->form, &walk->copy, copy, &b)) {
        den_walk_differs(walk, where, "directory", "it lies outside the copy");
        return true;
    }
    chain->source = a.next;
    chain->copy = b.next;
    return den_tiff_spend(&t->directories_left, 1) &&
           compare_directory(t, where, source, &a, &b, chain->depth == 0 && i == 0,
                             chain->depth);
}

static bool compare_chain(struct den_tiff_pair *t, struct den_tiff_chain chain)
{
    for (uint64_t i = 0; chain.source != 0 && chain.copy != 0; i++)
        if (!compare_next(t, &chain, i))
            return false;
    if (chain.source != chain.copy)
        den_walk_differs(t->walk, chain.depth == 0 ? "file" : chain.parent,
                         chain.depth == 0 ? "pages" : chain.name, "%s",
                         chain.source == 0 ? "more directories follow in the copy"
                                           : "directories are missing in the copy");
    return true;
}

static bool compare_all(struct den_tiff_pair *t, struct den_err *err)
{
    while (t->next < t->chain_count)
        if (!compare_chain(t, t->chains[t->next++])) {
            if (t->no_memory)
                return den_err_set(err, DEN_E_NO_MEMORY,
                                   "no memory is left for %zu directories",
                                   t->chain_room);
            return den_err_set(err, DEN_E_TOO_LARGE,
                               "the directories of the TIFF point in circles, or to more "
                               "than they can hold");
        }
    return true;
}

/* ---- the file --------------------------------------------------------------------- */

static uint64_t count_chain(const struct den_tiff_pair *t, uint64_t offset)
{
    struct den_ifd d;
    uint64_t count = 0;
    for (; offset != 0 && count < t->directories_left; count++) {
        if (!den_ifd_get(&t->form, &t->walk->source, offset, &d))
            break;
        offset = d.next;
    }
    return count;
}

bool den_walk_tiff(struct den_walk *walk, struct den_err *err)
{
    const struct den_bytes *a = &walk->source, *b = &walk->copy;
    struct den_tiff_pair t = {
        .walk = walk,
        .directories_left = SPARE_DIRECTORIES + 2 * (uint64_t)walk->limits->pages,
        .bytes_left = 16 * (uint64_t)a->length + ((uint64_t)64 << 20)};
    bool done = false;
    t.form.big_endian = a->data[0] == 'M';
    t.form.big_tiff = a->length >= 16 && den_ifd_number(&t.form, a->data + 2, 2) == 43;
    /* Byte order, version, and of BigTIFF the size of offsets. */
    size_t fixed = t.form.big_tiff ? 8 : 4, head = t.form.big_tiff ? 16 : 8;
    if (!den_bytes_hold(a, 0, head) || !den_bytes_hold(b, 0, head)) {
        den_walk_differs(walk, "file", "header", "the file is cut short");
        return true;
    }
    if (!den_walk_bytes(walk, "file", "header", a->data, b->data, fixed))
        return true;
    struct den_tiff_chain pages = {
        .source = den_ifd_number(&t.form, a->data + fixed, den_ifd_word(&t.form)),
        .copy = den_ifd_number(&t.form, b->data + fixed, den_ifd_word(&t.form))};
    t.chain = count_chain(&t, pages.source);
    t.gaps = den_gaps_new(err);
    if (t.gaps == NULL)
        return false;
    den_gaps_claim(t.gaps, 0, head);
    if (!add_chain(&t, &pages))
        den_err_set(err, DEN_E_NO_MEMORY, "no memory is left for the directories");
    else
        done = compare_all(&t, err) && den_gaps_compare(t.gaps, walk, err);
    den_free(t.chains);
    den_gaps_free(t.gaps);
    return done;
}
