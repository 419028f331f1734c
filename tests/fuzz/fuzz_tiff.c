/* TIFF files: directories, descriptions and all pages. */

#include "fuzz_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 4 && (memcmp(data, "II", 2) == 0 || memcmp(data, "MM", 2) == 0))
        fuzz_read_all(data, size);
    return 0;
}
