/* safetensors files: the header, and every number behind it. */

#include <string.h>

#include "fuzz.h"
#include "weights.h"

static void read_tensor(const struct den_tensor_file *file, size_t i, size_t size)
{
    const struct den_tensor *t = den_tensor_file_at(file, i);
    size_t count = 1, width = t->type == DEN_TENSOR_F32 ? sizeof(float) : sizeof(int64_t);
    promise(t->ndim <= 4 && strlen(t->name) < sizeof t->name);
    for (size_t k = 0; k < t->ndim; k++)
        promise(den_mul_size(count, t->dims[k], &count));
    promise(count == t->count && count <= size / width);
    promise(den_tensor_file_find(file, t->name) == t);
    void *copy = den_calloc(count, width);
    if (copy == NULL)
        return;
    if (t->type == DEN_TENSOR_F32)
        den_tensor_floats(t, copy);
    else
        den_tensor_ints(t, copy);
    den_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct den_tensor_file *file = NULL;
    struct den_err err = DEN_ERR_INIT;
    den_mem_set_limit(FUZZ_MEMORY);
    if (den_tensor_file_parse(data, size, &file, &err)) {
        for (size_t i = 0; i < den_tensor_file_size(file); i++)
            read_tensor(file, i, size);
        const char *net = den_tensor_file_meta(file, "net");
        promise(net == NULL || strlen(net) < 512);
    } else {
        promise(err.code != DEN_OK && err.text[0] != '\0');
    }
    den_tensor_file_free(file);
    promise(den_mem_live() == 0);
    return 0;
}
