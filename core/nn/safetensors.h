#ifndef DEN_SAFETENSORS_H
#define DEN_SAFETENSORS_H

/* Private to core/nn: the JSON header of a safetensors file. */

#include "buf.h"
#include "weights.h"

#define DEN_HEADER_MAX ((size_t)16 << 20) /* bytes of JSON */
#define DEN_TENSORS_MAX 65536
#define DEN_METADATA "__metadata__"

struct den_header_tensor {
    struct den_tensor tensor; /* count and data not yet set */
    size_t begin, end;        /* bytes from the start of the data */
};

struct den_header {
    struct den_header_tensor *tensors;
    size_t size, capacity;
    struct den_meta *meta; /* [DEN_META_MAX] or NULL */
    size_t metas;
};

/* Reads the subset of JSON that such a header is: an object of tensors
 * {"dtype", "shape", "data_offsets"} and at most one "__metadata__" object of strings.
 * Strict: no unknown keys, no key twice, whole numbers only, nothing after it but spaces.
 * DEN_E_MALFORMED with the byte, DEN_E_UNSUPPORTED for another type than F32 and I64. */
bool den_header_parse(const char *text, size_t length, struct den_header *ret,
                      struct den_err *err) DEN_CHECKED;
void den_header_release(struct den_header *header);

/* The text as a JSON string with its quotes. */
void den_json_string(struct den_buf *to, const char *text);
/* Well-formed UTF-8 [RFC 3629], control characters allowed? */
bool den_utf8_valid(const char *text);

#endif
