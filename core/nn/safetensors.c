#include "safetensors.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fs.h"
#include "mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the file's numbers are little-endian and are copied as they are");
_Static_assert(sizeof(float) == 4, "F32");

#define LENGTH_SIZE 8 /* bytes before the header */

struct den_tensor_file {
    char *bytes; /* the whole file */
    size_t length;
    bool mapped; /* den_fs_map, else den_calloc */
    struct den_header header;
    const struct den_header_tensor **by_name; /* [header.size], sorted */
};

static void release_bytes(char *bytes, size_t length, bool mapped)
{
    if (mapped)
        den_fs_unmap(bytes, length);
    else
        den_free(bytes);
}

void den_tensor_file_free(struct den_tensor_file *file)
{
    if (file == NULL)
        return;
    den_free(file->by_name);
    den_header_release(&file->header);
    release_bytes(file->bytes, file->length, file->mapped);
    den_free(file);
}

static size_t type_size(enum den_tensor_type type)
{
    return type == DEN_TENSOR_F32 ? sizeof(float) : sizeof(int64_t);
}

/* For qsort and for finding equal names. */
static int compare_names(const void *a, const void *b)
{
    const struct den_header_tensor *x = *(const struct den_header_tensor *const *)a;
    const struct den_header_tensor *y = *(const struct den_header_tensor *const *)b;
    return strcmp(x->tensor.name, y->tensor.name);
}

/* By begin, and empty tensors before the one that begins at the same byte. */
static int compare_offsets(const void *a, const void *b)
{
    const struct den_header_tensor *x = *(const struct den_header_tensor *const *)a;
    const struct den_header_tensor *y = *(const struct den_header_tensor *const *)b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

/* The bytes of a tensor are those its shape asks for. */
static bool check_size(struct den_header_tensor *t, struct den_err *err)
{
    size_t count = 1, bytes;
    for (size_t i = 0; i < t->tensor.ndim; i++)
        if (!den_mul_size(count, t->tensor.dims[i], &count))
            return den_err_set(err, DEN_E_MALFORMED, "Tensor '%s' is too large.",
                               t->tensor.name);
    for (size_t i = t->tensor.ndim; i < 4; i++)
        t->tensor.dims[i] = 1;
    if (!den_mul_size(count, type_size(t->tensor.type), &bytes) || t->end < t->begin ||
        t->end - t->begin != bytes)
        return den_err_set(err, DEN_E_MALFORMED,
                           "Tensor '%s' has another number of bytes than its shape says.",
                           t->tensor.name);
    t->tensor.count = count;
    return true;
}

/* The tensors cover the data without gap or overlap. */
static bool check_offsets(const struct den_tensor_file *file, size_t data_length,
                          struct den_err *err)
{
    size_t at = 0;
    qsort(file->by_name, file->header.size, sizeof(struct den_header_tensor *),
          compare_offsets);
    for (size_t i = 0; i < file->header.size; i++) {
        const struct den_header_tensor *t = file->by_name[i];
        if (t->begin != at)
            return den_err_set(err, DEN_E_MALFORMED,
                               "Tensor '%s' begins at byte %zu of the data, not at %zu "
                               "where the one before it ends.",
                               t->tensor.name, t->begin, at);
        at = t->end;
    }
    if (at != data_length)
        return den_err_set(err, DEN_E_MALFORMED,
                           "The weights file holds %zu bytes of data, but its header "
                           "describes %zu.",
                           data_length, at);
    return true;
}

/* Leaves by_name sorted for den_tensor_file_find. */
static bool check_names(const struct den_tensor_file *file, struct den_err *err)
{
    qsort(file->by_name, file->header.size, sizeof(struct den_header_tensor *),
          compare_names);
    for (size_t i = 1; i < file->header.size; i++)
        if (compare_names(&file->by_name[i - 1], &file->by_name[i]) == 0)
            return den_err_set(err, DEN_E_MALFORMED, "Tensor '%s' appears twice.",
                               file->by_name[i]->tensor.name);
    return true;
}

enum { BLOCK = 1024 };

/* Elements of the block before the first that is not a finite number. */
static size_t count_finite(const float *block, size_t count)
{
    unsigned bad = 0;
    for (size_t i = 0; i < count; i++) /* no early exit: a loop of vectors */
        bad |= !(fabsf(block[i]) <= FLT_MAX);
    size_t good = bad == 0 ? count : 0;
    while (good < count && isfinite(block[good]))
        good++;
    return good;
}

/* The data may lie at any alignment: a header need not be padded. */
static bool check_finite(const struct den_tensor *tensor, struct den_err *err)
{
    const char *data = tensor->data;
    float block[BLOCK];
    for (size_t at = 0; tensor->type == DEN_TENSOR_F32 && at < tensor->count;
         at += BLOCK) {
        size_t count = tensor->count - at < BLOCK ? tensor->count - at : BLOCK;
        memcpy(block, data + at * sizeof *block, count * sizeof *block);
        size_t good = count_finite(block, count);
        if (good < count)
            return den_err_set(err, DEN_E_UNPROCESSABLE,
                               "Tensor '%s' holds a value that is not a finite number "
                               "(element %zu).",
                               tensor->name, at + good);
    }
    return true;
}

/* Sizes before offsets, so that offsets can be trusted; both before any data is touched.
 */
static bool check_tensors(struct den_tensor_file *file, size_t data_at,
                          struct den_err *err)
{
    struct den_header *header = &file->header;
    file->by_name = den_new(header->size, sizeof(struct den_header_tensor *), err);
    if (file->by_name == NULL)
        return false;
    for (size_t i = 0; i < header->size; i++) {
        file->by_name[i] = &header->tensors[i];
        if (!check_size(&header->tensors[i], err))
            return false;
    }
    if (!check_offsets(file, file->length - data_at, err) || !check_names(file, err))
        return false;
    for (size_t i = 0; i < header->size; i++) {
        header->tensors[i].tensor.data = file->bytes + data_at + header->tensors[i].begin;
        if (!check_finite(&header->tensors[i].tensor, err))
            return false;
        den_tensor_unload(file, &header->tensors[i].tensor);
    }
    return true;
}

/* The length is checked against the file, never used to allocate. */
static bool parse(struct den_tensor_file *file, struct den_err *err)
{
    uint64_t header_length;
    if (file->length < LENGTH_SIZE)
        return den_err_set(err, DEN_E_MALFORMED,
                           "A weights file has at least %d bytes; this one has %zu.",
                           LENGTH_SIZE, file->length);
    memcpy(&header_length, file->bytes, LENGTH_SIZE);
    if (header_length > DEN_HEADER_MAX || header_length > file->length - LENGTH_SIZE)
        return den_err_set(err, DEN_E_MALFORMED,
                           "The weights file is cut short or is not a safetensors file.");
    return den_header_parse(file->bytes + LENGTH_SIZE, (size_t)header_length,
                            &file->header, err) &&
           check_tensors(file, LENGTH_SIZE + (size_t)header_length, err);
}

/* Takes bytes, also on failure. */
static bool parse_take(char *bytes, size_t length, bool mapped,
                       struct den_tensor_file **ret, struct den_err *err)
{
    struct den_tensor_file *file = den_new(1, sizeof *file, err);
    if (file == NULL) {
        release_bytes(bytes, length, mapped);
        return false;
    }
    file->bytes = bytes;
    file->length = length;
    file->mapped = mapped;
    if (!parse(file, err)) {
        den_tensor_file_free(file);
        return false;
    }
    *ret = file;
    return true;
}

bool den_tensor_file_open(const char *path, size_t maximum, struct den_tensor_file **ret,
                          struct den_err *err)
{
    char *bytes = NULL;
    size_t length = 0;
    return den_fs_map(path, maximum, &bytes, &length, err) &&
           parse_take(bytes, length, true, ret, err);
}

bool den_tensor_file_parse(const void *data, size_t length, struct den_tensor_file **ret,
                           struct den_err *err)
{
    char *bytes = den_new(length, 1, err);
    if (bytes == NULL)
        return false;
    memcpy(bytes, data, length);
    return parse_take(bytes, length, false, ret, err);
}

size_t den_tensor_file_size(const struct den_tensor_file *file)
{
    return file->header.size;
}

const struct den_tensor *den_tensor_file_at(const struct den_tensor_file *file,
                                            size_t index)
{
    return index < file->header.size ? &file->header.tensors[index].tensor : NULL;
}

const struct den_tensor *den_tensor_file_find(const struct den_tensor_file *file,
                                              const char *name)
{
    size_t low = 0, high = file->header.size;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(file->by_name[middle]->tensor.name, name);
        if (order == 0)
            return &file->by_name[middle]->tensor;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *den_tensor_file_meta(const struct den_tensor_file *file, const char *key)
{
    for (size_t i = 0; i < file->header.metas; i++)
        if (strcmp(file->header.meta[i].key, key) == 0)
            return file->header.meta[i].value;
    return NULL;
}

void den_tensor_unload(const struct den_tensor_file *file,
                       const struct den_tensor *tensor)
{
    if (file->mapped)
        den_fs_unload(tensor->data, tensor->count * type_size(tensor->type));
}

void den_tensor_floats(const struct den_tensor *tensor, float *to)
{
    memcpy(to, tensor->data, tensor->count * sizeof *to);
}

void den_tensor_ints(const struct den_tensor *tensor, int64_t *to)
{
    memcpy(to, tensor->data, tensor->count * sizeof *to);
}
