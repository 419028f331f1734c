#include "tiff_splice.h"

#include <inttypes.h>
#include <string.h>

#include "file_at.h"
#include "mem.h"

enum { STRIP_OFFSETS = 273, STRIP_COUNTS = 279, TILE_OFFSETS = 324, TILE_COUNTS = 325 };

uint64_t den_tiff_copy_limit(const struct den_tiff_copy *copy)
{
    return copy->raw.big_tiff ? INT64_MAX : UINT32_MAX;
}

bool den_tiff_copy_append(struct den_tiff_copy *copy, const void *data, size_t bytes,
                          uint64_t *ret_offset, struct den_err *err)
{
    uint64_t limit = den_tiff_copy_limit(copy), at = copy->end + copy->end % 2;
    if (at > limit || bytes > limit - at)
        return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)limit, (int64_t)(at + bytes),
                             "the rewritten TIFF would have %" PRIu64
                             " bytes; at most %" PRIu64
                             " are allowed without BigTIFF, because its pixels compress "
                             "less than before",
                             at + bytes, limit);
    if (!den_file_zero_at(copy->fd, copy->end, at - copy->end, err) ||
        !den_file_write_at(copy->fd, at, data, bytes, err))
        return false;
    copy->end = at + bytes;
    *ret_offset = at;
    return true;
}

/* ---- tables ----------------------------------------------------------------------- */

static bool bad_table(struct den_err *err, uint32_t page, const char *what,
                      const char *why)
{
    return den_err_set(err, DEN_E_UNPROCESSABLE,
                       "page %" PRIu32
                       " of the TIFF can be read, but not rewritten: its table of %s %s",
                       page, what, why);
}

static bool table_read(const struct den_tiff_raw *raw, uint32_t page, const char *what,
                       uint32_t parts, struct den_tiff_table *table, struct den_err *err)
{
    const struct den_tiff_entry *entry = &table->entry;
    bool known = entry->type == DEN_TIFF_SHORT || entry->type == DEN_TIFF_LONG ||
                 entry->type == DEN_TIFF_LONG8;
    if (!known)
        return bad_table(err, page, what, "has another type than SHORT, LONG or LONG8");
    if (entry->count != parts)
        return bad_table(err, page, what, "has another length than its strips or tiles");
    if (!entry->inside && den_tiff_outside_bytes(raw, entry) == 0)
        return bad_table(err, page, what, "is not all in the file");
    bool done = false;
    size_t bytes = parts * entry->each;
    unsigned char *stored = den_new(parts, entry->each, err);
    table->values = stored == NULL ? NULL : den_new(parts, sizeof *table->values, err);
    if (table->values == NULL ||
        !den_file_read_at(raw->fd, entry->value, stored, bytes, err))
        goto out;
    for (uint32_t i = 0; i < parts; i++)
        table->values[i] = den_tiff_get(raw, stored + i * entry->each, entry->each);
    done = true;
out:
    den_free(stored);
    return done;
}

bool den_tiff_tables_read(const struct den_tiff_raw *raw,
                          const struct den_tiff_directory *directory, uint32_t page,
                          uint32_t parts, struct den_tiff_tables *ret,
                          struct den_err *err)
{
    struct den_tiff_tables tables = {.directory = directory->offset,
                                     .directory_bytes = directory->bytes,
                                     .parts = parts};
    size_t offsets = den_tiff_entry_find(raw, directory, STRIP_OFFSETS, TILE_OFFSETS,
                                         &tables.offsets.entry);
    size_t counts = den_tiff_entry_find(raw, directory, STRIP_COUNTS, TILE_COUNTS,
                                        &tables.counts.entry);
    tables.offsets.found = offsets == 1;
    tables.counts.found = counts == 1;
    if (offsets != 1)
        return bad_table(err, page, "offsets", "is missing or there twice");
    if (counts > 1)
        return bad_table(err, page, "byte counts", "is there twice");
    if (!table_read(raw, page, "offsets", parts, &tables.offsets, err) ||
        (counts == 1 &&
         !table_read(raw, page, "byte counts", parts, &tables.counts, err))) {
        den_tiff_tables_release(&tables);
        return false;
    }
    *ret = tables;
    return true;
}

void den_tiff_tables_release(struct den_tiff_tables *tables)
{
    den_free(tables->offsets.values);
    den_free(tables->counts.values);
    *tables = (struct den_tiff_tables){.parts = 0};
}

static void table_set(struct den_tiff_table *table, uint32_t part, uint64_t value)
{
    if (!table->found || table->values[part] == value)
        return;
    table->values[part] = value;
    table->changed = true;
}

void den_tiff_tables_set(struct den_tiff_tables *tables, uint32_t part, uint64_t offset,
                         uint64_t count)
{
    table_set(&tables->offsets, part, offset);
    table_set(&tables->counts, part, count);
}

static uint64_t largest(const uint64_t *values, uint32_t parts)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < parts; i++)
        if (values[i] > most)
            most = values[i];
    return most;
}

/* The same number of values of type LONG, or LONG8 in a BigTIFF, and a new place. */
static void table_widen(const struct den_tiff_raw *raw, struct den_tiff_entry *entry)
{
    entry->each = den_tiff_word_bytes(raw);
    entry->type = raw->big_tiff ? DEN_TIFF_LONG8 : DEN_TIFF_LONG;
    entry->inside = entry->count == 1;
}

/* Type and place of the values, in the entry where it is. */
static bool entry_write(struct den_tiff_copy *copy, const struct den_tiff_entry *entry,
                        struct den_err *err)
{
    size_t word = den_tiff_word_bytes(&copy->raw);
    unsigned char type[2], value[8];
    den_tiff_put(&copy->raw, type, 2, entry->type);
    den_tiff_put(&copy->raw, value, word, entry->value);
    return den_file_write_at(copy->fd, entry->at + 2, type, sizeof type, err) &&
           (entry->inside ||
            den_file_write_at(copy->fd, entry->at + 4 + word, value, word, err));
}

static bool table_write(struct den_tiff_copy *copy, struct den_tiff_table *table,
                        uint32_t parts, struct den_err *err)
{
    struct den_tiff_entry *entry = &table->entry;
    bool done = false;
    if (!table->changed) /* or not there at all */
        return true;
    bool fits =
        entry->each == 8 || largest(table->values, parts) >> (8 * entry->each) == 0;
    if (!fits)
        table_widen(&copy->raw, entry);
    unsigned char *stored = den_new(parts, entry->each, err);
    if (stored == NULL)
        return false;
    for (uint32_t i = 0; i < parts; i++)
        den_tiff_put(&copy->raw, stored + i * entry->each, entry->each, table->values[i]);
    size_t bytes = parts * entry->each;
    if (!fits && !entry->inside) /* appended with its values */
        done = den_tiff_copy_append(copy, stored, bytes, &entry->value, err);
    else
        done = den_file_write_at(copy->fd, entry->value, stored, bytes, err);
    if (done && !fits)
        done = entry_write(copy, entry, err);
    table->changed = !done;
    den_free(stored);
    return done;
}

bool den_tiff_tables_write(struct den_tiff_copy *copy, struct den_tiff_tables *tables,
                           struct den_err *err)
{
    return table_write(copy, &tables->offsets, tables->parts, err) &&
           table_write(copy, &tables->counts, tables->parts, err);
}
