/* Verdicts on two files: the bytes, compared with themselves and with some of them
 * changed. */

#include "fuzz_png.h"
#include "verify.h"

static struct den_verdict verdict;

static bool verify(const char *source, const char *copy)
{
    struct den_err err = DEN_ERR_INIT;
    bool done = den_verify(source, copy, &fuzz_limits, &verdict, &err);
    if (!done) {
        promise(err.code != DEN_OK && err.text[0] != '\0');
        return false;
    }
    promise(verdict.kept <= verdict.differences && verdict.kept <= DEN_DIFFERENCES_KEPT);
    promise(verdict.values_changed <= verdict.values);
    promise(verdict.pages_changed <= verdict.info.pages);
    for (size_t i = 0; i < verdict.kept; i++)
        promise(verdict.list[i].where[0] != '\0' && verdict.list[i].how[0] != '\0');
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    den_mem_set_limit(FUZZ_MEMORY);
    if (size < 2)
        return 0;
    const char *source = fuzz_file(0, data, size), *copy = fuzz_file(1, data, size);
    if (verify(source, copy))
        promise(verdict.differences == 0 && verdict.values_changed == 0);
    /* Where and how is up to the input; lengths change, too. */
    size_t at = (data[size - 1] * 256u + data[size - 2]) % size;
    uint8_t *other = malloc(size);
    promise(other != NULL);
    memcpy(other, data, size);
    other[at] = (uint8_t)(other[at] + 1 + (data[size / 2] & 7));
    copy = fuzz_file(1, other, data[size / 3] % 4 == 0 ? at + 1 : size);
    (void)verify(source, copy);
    free(other);
    promise(den_mem_live() == 0);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    (void)seed;
    size = LLVMFuzzerMutate(data, size, most);
    if (size > 8 && data[0] == 0x89)
        fuzz_png_repair(data, size);
    return size;
}
