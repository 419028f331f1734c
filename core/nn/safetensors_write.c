#include "safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "mem.h"
#include "str.h"

#define ALIGN 8 /* the header is padded with spaces, so that the data begins aligned */

/* Tensors are kept as they will be written; the header is made when saving, because it
 * needs every offset. */
struct item {
    struct den_tensor tensor; /* data is ours */
    void *data;
    size_t bytes;
};

struct den_tensor_writer {
    struct item *items;
    size_t size, capacity;
    struct den_meta meta[DEN_META_MAX];
    size_t metas;
};

bool den_tensor_writer_new(struct den_tensor_writer **ret, struct den_err *err)
{
    struct den_tensor_writer *writer = den_new(1, sizeof *writer, err);
    if (writer == NULL)
        return false;
    *ret = writer;
    return true;
}

void den_tensor_writer_free(struct den_tensor_writer *writer)
{
    if (writer == NULL)
        return;
    for (size_t i = 0; i < writer->size; i++)
        den_free(writer->items[i].data);
    den_free(writer->items);
    den_free(writer);
}

bool den_tensor_writer_meta(struct den_tensor_writer *writer, const char *key,
                            const char *value, struct den_err *err)
{
    struct den_meta meta;
    for (size_t i = 0; i < writer->metas; i++)
        if (strcmp(writer->meta[i].key, key) == 0)
            return den_err_set(err, DEN_E_INVALID, "Metadata '%s' is given twice.",
                               writer->meta[i].key);
    if (writer->metas == DEN_META_MAX)
        return den_err_set(err, DEN_E_INVALID, "More than %d metadata entries.",
                           DEN_META_MAX);
    if (!den_str_copy(meta.key, sizeof meta.key, key) || !den_utf8_printable(key) ||
        !den_str_copy(meta.value, sizeof meta.value, value) || !den_utf8_valid(value))
        return den_err_set(err, DEN_E_INVALID,
                           "A metadata entry is too long or is not text; keys may have "
                           "%zu bytes, values %zu.",
                           sizeof meta.key - 1, sizeof meta.value - 1);
    writer->meta[writer->metas++] = meta;
    return true;
}

static bool make_room(struct den_tensor_writer *writer, struct den_err *err)
{
    if (writer->size < writer->capacity)
        return true;
    size_t capacity = writer->capacity == 0 ? 64 : 2 * writer->capacity;
    struct item *items = den_realloc(writer->items, capacity, sizeof *items);
    if (items == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "Not enough memory to write weights.");
    writer->items = items;
    writer->capacity = capacity;
    return true;
}

/* What the reader would refuse is refused here. */
static bool check_name(const struct den_tensor_writer *writer, const char *name,
                       struct den_err *err)
{
    for (size_t i = 0; i < writer->size; i++)
        if (strcmp(writer->items[i].tensor.name, name) == 0)
            return den_err_set(err, DEN_E_INVALID, "Tensor '%s' is given twice.",
                               writer->items[i].tensor.name);
    if (name[0] == '\0' || !den_utf8_printable(name) || strcmp(name, DEN_METADATA) == 0)
        return den_err_set(err, DEN_E_INVALID, "A tensor cannot have that name.");
    return true;
}

static bool fill_item(struct item *item, const char *name, enum den_tensor_type type,
                      const size_t *dims, size_t ndim, struct den_err *err)
{
    struct den_tensor *t = &item->tensor;
    if (!den_str_copy(t->name, sizeof t->name, name))
        return den_err_set(err, DEN_E_INVALID, "The tensor name '%s...' is too long.",
                           t->name);
    t->type = type;
    t->ndim = ndim;
    t->count = 1;
    for (size_t i = 0; i < ndim; i++) {
        t->dims[i] = dims[i];
        if (!den_mul_size(t->count, dims[i], &t->count))
            return den_err_set(err, DEN_E_INVALID, "Tensor '%s' is too large.", name);
    }
    size_t each = type == DEN_TENSOR_F32 ? sizeof(float) : sizeof(int64_t);
    return den_mul_size(t->count, each, &item->bytes) ||
           den_err_set(err, DEN_E_INVALID, "Tensor '%s' is too large.", name);
}

bool den_tensor_writer_add(struct den_tensor_writer *writer, const char *name,
                           enum den_tensor_type type, const size_t *dims, size_t ndim,
                           const void *data, struct den_err *err)
{
    struct item item = {0};
    if (ndim > 4)
        return den_err_set(err, DEN_E_INVALID, "A tensor has at most 4 dimensions.");
    if (!check_name(writer, name, err) || !make_room(writer, err) ||
        !fill_item(&item, name, type, dims, ndim, err))
        return false;
    item.data = den_new(item.bytes, 1, err);
    if (item.data == NULL)
        return false;
    memcpy(item.data, data, item.bytes);
    item.tensor.data = item.data;
    writer->items[writer->size++] = item;
    return true;
}

const struct den_tensor *den_tensor_writer_at(const struct den_tensor_writer *writer,
                                              size_t index)
{
    return index < writer->size ? &writer->items[index].tensor : NULL;
}

/* ---- the file ---- */

static void write_meta(const struct den_tensor_writer *writer, struct den_buf *to)
{
    den_json_string(to, DEN_METADATA);
    den_buf_puts(to, ":{");
    for (size_t i = 0; i < writer->metas; i++) {
        den_buf_puts(to, i == 0 ? "" : ",");
        den_json_string(to, writer->meta[i].key);
        den_buf_puts(to, ":");
        den_json_string(to, writer->meta[i].value);
    }
    den_buf_puts(to, "}");
}

static void write_tensor(const struct item *item, size_t offset, struct den_buf *to)
{
    const struct den_tensor *t = &item->tensor;
    den_json_string(to, t->name);
    den_buf_printf(to, ":{\"dtype\":\"%s\",\"shape\":[",
                   t->type == DEN_TENSOR_F32 ? "F32" : "I64");
    for (size_t i = 0; i < t->ndim; i++)
        den_buf_printf(to, "%s%zu", i == 0 ? "" : ",", t->dims[i]);
    den_buf_printf(to, "],\"data_offsets\":[%zu,%zu]}", offset, offset + item->bytes);
}

/* Length, JSON and padding. */
static void write_header(const struct den_tensor_writer *writer, struct den_buf *to)
{
    uint64_t length = 0;
    size_t offset = 0;
    den_buf_add(to, &length, sizeof length);
    den_buf_puts(to, "{");
    if (writer->metas > 0)
        write_meta(writer, to);
    for (size_t i = 0; i < writer->size; i++) {
        den_buf_puts(to, i == 0 && writer->metas == 0 ? "" : ",");
        write_tensor(&writer->items[i], offset, to);
        offset += writer->items[i].bytes;
    }
    den_buf_puts(to, "}");
    while (!to->failed && to->length % ALIGN != 0)
        den_buf_puts(to, " ");
    if (!to->failed) {
        length = to->length - sizeof length;
        memcpy(to->data, &length, sizeof length);
    }
}

/* Tensor by tensor: a large net is not copied once more. */
static bool write_items(const struct den_tensor_writer *writer, int fd,
                        const struct den_buf *header, struct den_err *err)
{
    if (!den_fs_write_fd(fd, header->data, header->length, err))
        return false;
    for (size_t i = 0; i < writer->size; i++)
        if (!den_fs_write_fd(fd, writer->items[i].data, writer->items[i].bytes, err))
            return false;
    return fsync(fd) == 0 || den_err_sys(err, errno, "Cannot write the weights");
}

bool den_tensor_writer_save(struct den_tensor_writer *writer, const char *path,
                            struct den_err *err)
{
    bool done = false;
    int fd = -1;
    char part[PATH_MAX];
    struct den_buf header;
    den_buf_init(&header, DEN_HEADER_MAX);
    write_header(writer, &header);
    if (!den_buf_ok(&header, err))
        goto out;
    if (!den_str_format(part, sizeof part, "%s.part", path)) {
        den_err_set(err, DEN_E_INVALID, "The name of the weights file is too long.");
        goto out;
    }
    fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        den_err_sys(err, errno, "Cannot write the weights");
        goto out;
    }
    done = write_items(writer, fd, &header, err);
    if (close(fd) != 0 && done)
        done = den_err_sys(err, errno, "Cannot write the weights");
    done = done && den_fs_rename_durable(part, path, err);
    if (!done)
        unlink(part); /* a half-written file helps nobody */
out:
    den_buf_release(&header);
    return done;
}
