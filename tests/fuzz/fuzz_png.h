#ifndef FUZZ_PNG_H
#define FUZZ_PNG_H

/* Every chunk of a PNG ends with a checksum, which no mutation hits by chance: it is put
 * right after each, else all inputs would end there. */

#include "fuzz_image.h"

/* libFuzzer's; the replay of the corpus mutates nothing and brings one of its own. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* CRC-32 [PNG specification, annex D]. */
static inline uint32_t fuzz_crc(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static inline void fuzz_png_repair(uint8_t *data, size_t size)
{
    size_t at = 8;
    while (at + 12 <= size) {
        size_t length = (size_t)data[at] << 24 | (size_t)data[at + 1] << 16 |
                        (size_t)data[at + 2] << 8 | data[at + 3];
        if (length > size - at - 12)
            return;
        uint32_t crc = fuzz_crc(data + at + 4, length + 4);
        for (size_t i = 0; i < 4; i++)
            data[at + 8 + length + i] = (uint8_t)(crc >> (24 - 8 * i));
        at += length + 12;
    }
}

#endif
