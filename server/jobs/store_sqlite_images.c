/* Images and data sets. */

#include "store_sqlite.h"

#include <string.h>

#include "mem.h"
#include "str.h"

enum { NAMES_SIZE = DEN_AXIS_NAMES * DEN_AXIS_NAME_SIZE };

#define IMAGE_COLUMNS                                                                   \
    "id, owner, sha256, name, format, width, height, pages, channels, dtype, "          \
    "pixel_size_um, "                                                                   \
    "bytes, created_ms, bits, alpha, axes_source, axes_order, axes_t, axes_z, axes_c, " \
    "z_step_um, channel_names"

/* A line for each channel; a name cannot break one, for what is not printable was
 * refused. */
static void join_names(const struct den_axes *axes, char *to, size_t size)
{
    size_t used = 0, count = DEN_AXIS_NAMES;
    while (count > 0 && axes->channel_names[count - 1][0] == '\0')
        count--;
    to[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            den_str_copy(to + used, size - used, "\n");
        used = strlen(to);
        if (den_utf8_printable(axes->channel_names[i]))
            den_str_copy(to + used, size - used, axes->channel_names[i]);
        used = strlen(to);
    }
}

static void split_names(const char *lines, struct den_axes *axes)
{
    for (size_t i = 0; i < DEN_AXIS_NAMES; i++) {
        size_t length = strcspn(lines, "\n");
        den_str_format(axes->channel_names[i], DEN_AXIS_NAME_SIZE, "%.*s", (int)length,
                       lines);
        lines += length + (lines[length] == '\n');
    }
}

static void read_axes(struct den_tx *tx, struct den_axes *axes)
{
    char names[NAMES_SIZE];
    den_tx_get_text(tx, axes->source, sizeof axes->source);
    den_tx_get_text(tx, axes->order, sizeof axes->order);
    axes->t = (uint32_t)den_tx_get_int(tx);
    axes->z = (uint32_t)den_tx_get_int(tx);
    axes->c = (uint32_t)den_tx_get_int(tx);
    axes->z_step_um = den_tx_get_real(tx);
    den_tx_get_text(tx, names, sizeof names);
    split_names(names, axes);
}

/* names [NAMES_SIZE]: filled here, must live until the query has run. */
static void bind_axes(struct den_tx *tx, const struct den_axes *axes, char *names)
{
    join_names(axes, names, NAMES_SIZE);
    den_tx_text(tx, axes->source);
    den_tx_text(tx, axes->order);
    den_tx_int(tx, axes->t > 0 ? axes->t : 1);
    den_tx_int(tx, axes->z > 0 ? axes->z : 1);
    den_tx_int(tx, axes->c > 0 ? axes->c : 1);
    den_tx_real(tx, axes->z_step_um);
    den_tx_text(tx, names);
}

static void read_image(struct den_tx *tx, struct den_image_row *row)
{
    char dtype[16];
    *row = (struct den_image_row){0};
    den_tx_get_text(tx, row->id, sizeof row->id);
    den_tx_get_text(tx, row->owner, sizeof row->owner);
    den_tx_get_text(tx, row->sha256, sizeof row->sha256);
    den_tx_get_text(tx, row->name, sizeof row->name);
    den_tx_get_text(tx, row->info.format, sizeof row->info.format);
    row->info.width = (uint32_t)den_tx_get_int(tx);
    row->info.height = (uint32_t)den_tx_get_int(tx);
    row->info.pages = (uint32_t)den_tx_get_int(tx);
    row->info.channels = (uint32_t)den_tx_get_int(tx);
    den_tx_get_text(tx, dtype, sizeof dtype);
    for (unsigned i = 0; i < DEN_DTYPES; i++)
        if (strcmp(den_dtype_name((enum den_dtype)i), dtype) == 0)
            row->info.dtype = (enum den_dtype)i;
    row->info.pixel_size_um = den_tx_get_real(tx);
    row->bytes = den_tx_get_uint(tx);
    row->created_ms = den_tx_get_int(tx);
    row->info.bits = (uint32_t)den_tx_get_int(tx);
    row->info.alpha = den_tx_get_int(tx) != 0;
    read_axes(tx, &row->info.axes);
}

static void insert_image(struct den_tx *tx, const struct den_image_row *row)
{
    char names[NAMES_SIZE];
    den_tx_query(tx, "INSERT INTO images (" IMAGE_COLUMNS ") VALUES "
                     "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                     "?16, ?17, ?18, ?19, ?20, ?21, ?22)");
    den_tx_text(tx, row->id);
    den_tx_text(tx, row->owner);
    den_tx_text(tx, row->sha256);
    den_tx_text(tx, row->name);
    den_tx_text(tx, row->info.format);
    den_tx_int(tx, row->info.width);
    den_tx_int(tx, row->info.height);
    den_tx_int(tx, row->info.pages);
    den_tx_int(tx, row->info.channels);
    den_tx_text(tx, den_dtype_name(row->info.dtype));
    den_tx_real(tx, row->info.pixel_size_um);
    den_tx_uint(tx, row->bytes);
    den_tx_int(tx, row->created_ms);
    den_tx_int(tx, row->info.bits);
    den_tx_int(tx, row->info.alpha);
    bind_axes(tx, &row->info.axes, names);
    den_tx_run(tx);
}

/* A file that was taken in by a version that did not look at axes is here once more. */
static void learn_axes(struct den_tx *tx, const struct den_image_row *row,
                       struct den_image_row *there)
{
    char names[NAMES_SIZE];
    if (there->info.axes.source[0] != '\0' || row->info.axes.source[0] == '\0')
        return;
    den_tx_query(tx, "UPDATE images SET axes_source = ?1, axes_order = ?2, axes_t = ?3, "
                     "axes_z = ?4, axes_c = ?5, z_step_um = ?6, channel_names = ?7 "
                     "WHERE sha256 = ?8 AND owner = ?9");
    bind_axes(tx, &row->info.axes, names);
    den_tx_text(tx, row->sha256);
    den_tx_text(tx, row->owner);
    den_tx_run(tx);
    there->info.axes = row->info.axes;
}

bool den_sqlite_image_add(struct den_store *s, const char *owner,
                          const struct den_image_row *row, struct den_image_row *ret,
                          bool *ret_new, struct den_err *err)
{
    struct den_tx tx;
    struct den_image_row own = *row, there;
    den_str_copy(own.owner, sizeof own.owner, owner);
    den_tx_write(&tx, s, err);
    den_tx_query(&tx,
                 "SELECT " IMAGE_COLUMNS " FROM images WHERE sha256 = ?1 AND owner = ?2");
    den_tx_text(&tx, own.sha256);
    den_tx_text(&tx, owner);
    bool found = den_tx_row(&tx);
    if (found) {
        read_image(&tx, &there);
        learn_axes(&tx, &own, &there);
    } else {
        den_tx_admit_bytes(&tx, owner, own.bytes);
        insert_image(&tx, &own);
        den_tx_audit(&tx, "image.create", own.id, "done");
    }
    if (!den_tx_end(&tx))
        return false;
    *ret = found ? there : own;
    *ret_new = !found;
    return true;
}

bool den_sqlite_image_get(struct den_store *s, const char *owner, const char *id,
                          struct den_image_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_image_row row;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx,
                 "SELECT " IMAGE_COLUMNS " FROM images WHERE id = ?1 AND owner = ?2");
    den_tx_text(&tx, id);
    den_tx_text(&tx, owner);
    if (den_tx_row(&tx))
        read_image(&tx, &row);
    else
        den_tx_fail(&tx, DEN_E_NOT_FOUND, "there is no image '%.40s'", id);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

bool den_sqlite_image_list(struct den_store *s, const char *owner, const char *after,
                           size_t limit, struct den_image_row *ret, size_t *ret_count,
                           struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT " IMAGE_COLUMNS " FROM images WHERE owner = ?1 AND "
                      "(?2 = '' OR id < ?2) ORDER BY id DESC LIMIT ?3");
    den_tx_text(&tx, owner);
    den_tx_text(&tx, after);
    den_tx_uint(&tx, limit);
    while (count < limit && den_tx_row(&tx))
        read_image(&tx, &ret[count++]);
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

void den_tx_need_image(struct den_tx *tx, const char *owner, const char *id)
{
    if (den_tx_owned(tx, "SELECT 1 FROM images WHERE owner = ?1 AND id = ?2", owner,
                     id) == 0)
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no image '%.40s'", id);
}

bool den_sqlite_image_delete(struct den_store *s, const char *owner, const char *id,
                             struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    /* first, so that nothing is said about what is another's */
    den_tx_need_image(&tx, owner, id);
    if (den_tx_number(&tx,
                      "SELECT count(*) FROM dataset_items WHERE noisy = ?1 OR clean = ?1",
                      id) > 0)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "the image '%.40s' is part of a data set; delete the data set first",
                    id);
    if (den_tx_number(&tx,
                      "SELECT count(*) FROM jobs WHERE image = ?1 AND state IN "
                      "('queued', 'running', 'cancelling')",
                      id) > 0)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "a job that has not ended needs the image '%.40s'", id);
    den_tx_query(&tx, "DELETE FROM images WHERE id = ?1 AND owner = ?2");
    den_tx_text(&tx, id);
    den_tx_text(&tx, owner);
    den_tx_run(&tx);
    den_tx_audit(&tx, "image.delete", id, "done");
    return den_tx_end(&tx);
}

/* ---- data sets ---- */

#define DATASET_COLUMNS "id, owner, name, kind, samples, scenes, created_ms"

static void read_dataset(struct den_tx *tx, struct den_dataset_row *row)
{
    *row = (struct den_dataset_row){0};
    den_tx_get_text(tx, row->id, sizeof row->id);
    den_tx_get_text(tx, row->owner, sizeof row->owner);
    den_tx_get_text(tx, row->name, sizeof row->name);
    den_tx_get_text(tx, row->kind, sizeof row->kind);
    row->samples = den_tx_get_uint(tx);
    row->scenes = den_tx_get_uint(tx);
    row->created_ms = den_tx_get_int(tx);
}

/* Foreign keys would refuse an unknown image, too, but not say which one. */
static void add_item(struct den_tx *tx, const char *owner, const char *dataset,
                     size_t place, const struct den_dataset_item *item)
{
    const char *const ids[] = {item->noisy, item->clean};
    for (size_t i = 0; i < 2; i++)
        if (tx->ok && ids[i][0] != '\0')
            den_tx_need_image(tx, owner, ids[i]);
    den_tx_query(tx, "INSERT INTO dataset_items (dataset, place, noisy, clean) "
                     "VALUES (?1, ?2, ?3, ?4)");
    den_tx_text(tx, dataset);
    den_tx_uint(tx, place);
    den_tx_text(tx, item->noisy);
    den_tx_text_or_null(tx, item->clean);
    den_tx_run(tx);
}

bool den_sqlite_dataset_add(struct den_store *s, const char *owner,
                            const struct den_dataset_row *row,
                            const struct den_dataset_item *items, size_t count,
                            struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_query(&tx, "INSERT INTO datasets (" DATASET_COLUMNS ") VALUES "
                      "(?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    den_tx_text(&tx, row->id);
    den_tx_text(&tx, owner);
    den_tx_text(&tx, row->name);
    den_tx_text(&tx, row->kind);
    den_tx_uint(&tx, row->samples);
    den_tx_uint(&tx, row->scenes);
    den_tx_int(&tx, row->created_ms);
    den_tx_run(&tx);
    for (size_t i = 0; tx.ok && i < count; i++)
        add_item(&tx, owner, row->id, i, &items[i]);
    den_tx_audit(&tx, "dataset.create", row->id, "done");
    return den_tx_end(&tx);
}

bool den_sqlite_dataset_get(struct den_store *s, const char *owner, const char *id,
                            struct den_dataset_row *ret, struct den_err *err)
{
    struct den_tx tx;
    struct den_dataset_row row;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx,
                 "SELECT " DATASET_COLUMNS " FROM datasets WHERE id = ?1 AND owner = ?2");
    den_tx_text(&tx, id);
    den_tx_text(&tx, owner);
    if (den_tx_row(&tx))
        read_dataset(&tx, &row);
    else
        den_tx_fail(&tx, DEN_E_NOT_FOUND, "there is no data set '%.40s'", id);
    if (!den_tx_end(&tx))
        return false;
    *ret = row;
    return true;
}

void den_tx_need_dataset(struct den_tx *tx, const char *owner, const char *id)
{
    if (den_tx_owned(tx, "SELECT 1 FROM datasets WHERE owner = ?1 AND id = ?2", owner,
                     id) == 0)
        den_tx_fail(tx, DEN_E_NOT_FOUND, "there is no data set '%.40s'", id);
}

static struct den_dataset_item *read_items(struct den_tx *tx, const char *id,
                                           size_t *ret_count)
{
    size_t count = (size_t)den_tx_number(
        tx, "SELECT count(*) FROM dataset_items WHERE dataset = ?1", id);
    struct den_dataset_item *items = den_new(count, sizeof *items, tx->err);
    if (items == NULL) {
        tx->ok = false;
        return NULL;
    }
    den_tx_query(tx, "SELECT noisy, clean FROM dataset_items WHERE dataset = ?1 "
                     "ORDER BY place");
    den_tx_text(tx, id);
    for (size_t i = 0; i < count && den_tx_row(tx); i++) {
        den_tx_get_text(tx, items[i].noisy, sizeof items[i].noisy);
        den_tx_get_text(tx, items[i].clean, sizeof items[i].clean);
    }
    *ret_count = count;
    return items;
}

bool den_sqlite_dataset_items(struct den_store *s, const char *owner, const char *id,
                              struct den_dataset_item **ret, size_t *ret_count,
                              struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_need_dataset(&tx, owner, id);
    struct den_dataset_item *items = tx.ok ? read_items(&tx, id, &count) : NULL;
    if (!den_tx_end(&tx)) {
        den_free(items);
        return false;
    }
    *ret = items;
    *ret_count = count;
    return true;
}

bool den_sqlite_dataset_list(struct den_store *s, const char *owner, const char *after,
                             size_t limit, struct den_dataset_row *ret, size_t *ret_count,
                             struct den_err *err)
{
    struct den_tx tx;
    size_t count = 0;
    den_tx_read(&tx, s, err);
    den_tx_query(&tx, "SELECT " DATASET_COLUMNS " FROM datasets WHERE owner = ?1 "
                      "AND (?2 = '' OR id < ?2) ORDER BY id DESC LIMIT ?3");
    den_tx_text(&tx, owner);
    den_tx_text(&tx, after);
    den_tx_uint(&tx, limit);
    while (count < limit && den_tx_row(&tx))
        read_dataset(&tx, &ret[count++]);
    if (!den_tx_end(&tx))
        return false;
    *ret_count = count;
    return true;
}

bool den_sqlite_dataset_delete(struct den_store *s, const char *owner, const char *id,
                               struct den_err *err)
{
    struct den_tx tx;
    den_tx_write(&tx, s, err);
    den_tx_need_dataset(&tx, owner, id);
    if (den_tx_number(&tx,
                      "SELECT count(*) FROM jobs WHERE dataset = ?1 AND state IN "
                      "('queued', 'running', 'cancelling')",
                      id) > 0)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "a job that has not ended needs the data set '%.40s'", id);
    if (den_tx_number(&tx,
                      "SELECT count(*) FROM experiments JOIN jobs ON jobs.id = job WHERE "
                      "test_dataset = ?1 AND state IN ('queued', 'running', "
                      "'cancelling')",
                      id) > 0)
        den_tx_fail(&tx, DEN_E_CONFLICT,
                    "an experiment that has not ended tests on the data set '%.40s'", id);
    den_tx_query(&tx, "DELETE FROM datasets WHERE id = ?1 AND owner = ?2");
    den_tx_text(&tx, id);
    den_tx_text(&tx, owner);
    den_tx_run(&tx);
    den_tx_audit(&tx, "dataset.delete", id, "done");
    return den_tx_end(&tx);
}
