#ifndef DEN_WEIGHTS_H
#define DEN_WEIGHTS_H

/* safetensors files: 8 bytes little-endian header length, a JSON header, raw tensors.
 * Format: huggingface/safetensors, README "Format".  A file is hostile until checked:
 * header size, JSON subset (one object of tensors and a string map), offsets without gaps
 * or overlap, shapes against byte counts, finite values. */

#include "params.h"

#define DEN_META_MAX 64 /* entries in __metadata__ */

struct den_meta {
    char key[64];
    char value[512];
};

enum den_tensor_type { DEN_TENSOR_F32, DEN_TENSOR_I64 };

/* ---- writing: tensors are added one by one, file order is the order of adding ---- */
struct den_tensor_writer;
bool den_tensor_writer_new(struct den_tensor_writer **ret,
                           struct den_err *err) DEN_CHECKED;
bool den_tensor_writer_meta(struct den_tensor_writer *writer, const char *key,
                            const char *value, struct den_err *err) DEN_CHECKED;
/* data is copied. */
bool den_tensor_writer_add(struct den_tensor_writer *writer, const char *name,
                           enum den_tensor_type type, const size_t *dims, size_t ndim,
                           const void *data, struct den_err *err) DEN_CHECKED;
/* In the order of adding; NULL behind the last. */
const struct den_tensor *den_tensor_writer_at(const struct den_tensor_writer *writer,
                                              size_t index);
/* Atomic and durable. */
bool den_tensor_writer_save(struct den_tensor_writer *writer, const char *path,
                            struct den_err *err) DEN_CHECKED;
void den_tensor_writer_free(struct den_tensor_writer *writer);

/* ---- reading ---- */
struct den_tensor {
    char name[160];
    enum den_tensor_type type;
    size_t dims[4], ndim, count;
    const void *data; /* in the file's memory; float or int64_t, any alignment handled by
                         accessors */
};
struct den_tensor_file;
/* maximum: bytes; larger is DEN_E_TOO_LARGE.  The file is mapped, not read into memory:
 * it may be replaced or removed meanwhile, but not written to. */
bool den_tensor_file_open(const char *path, size_t maximum, struct den_tensor_file **ret,
                          struct den_err *err) DEN_CHECKED;
/* The same from bytes in memory (copied); for tests and fuzzing. */
bool den_tensor_file_parse(const void *data, size_t length, struct den_tensor_file **ret,
                           struct den_err *err) DEN_CHECKED;
void den_tensor_file_free(struct den_tensor_file *file);
size_t den_tensor_file_size(const struct den_tensor_file *file);
const struct den_tensor *den_tensor_file_at(const struct den_tensor_file *file,
                                            size_t index);
const struct den_tensor *den_tensor_file_find(const struct den_tensor_file *file,
                                              const char *name);
/* NULL when there is no such key. */
const char *den_tensor_file_meta(const struct den_tensor_file *file, const char *key);
/* Copies [count]; the tensor must have that type. */
void den_tensor_floats(const struct den_tensor *tensor, float *to);
void den_tensor_ints(const struct den_tensor *tensor, int64_t *to);
/* Its numbers are not needed for now; they need no memory until they are asked for again.
 */
void den_tensor_unload(const struct den_tensor_file *file,
                       const struct den_tensor *tensor);

/* ---- parameter sets ---- */
/* Adds every parameter's value as prefix + name; with `moments` also prefix + "adam_m." +
 * name and "adam_v." of those that learn. */
bool den_params_save(struct den_params *params, const char *prefix, bool moments,
                     struct den_tensor_writer *writer, struct den_err *err) DEN_CHECKED;
/* Every parameter of the set must be in the file with the right type, shape and finite
 * values; nothing is changed otherwise. */
bool den_params_load(struct den_params *params, const char *prefix, bool moments,
                     const struct den_tensor_file *file, struct den_err *err) DEN_CHECKED;

#endif
