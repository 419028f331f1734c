/* PNG files: header, chunks and all rows. */

#include "fuzz_png.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        fuzz_read_all(data, size);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    (void)seed;
    size = LLVMFuzzerMutate(data, size, most);
    fuzz_png_repair(data, size);
    return size;
}
