#ifndef FUZZ_IMAGE_H
#define FUZZ_IMAGE_H

/* Image files: limits that let a harness run fast, and reading all pages. */

#include <string.h>

#include "fuzz.h"
#include "image.h"

static const struct den_image_limits fuzz_limits = {
    .side = 2048,
    .page_pixels = 1 << 16,
    .pages = 16,
    .decoded_bytes = 1 << 20,
    .unpack_ratio = 200,
    .part_bytes = 1 << 18,
    .tags = 128,
};

static inline void fuzz_check_info(const struct den_image_info *info)
{
    promise(info->width > 0 && info->height > 0 && info->pages > 0);
    promise(info->width <= fuzz_limits.side && info->height <= fuzz_limits.side);
    promise((uint64_t)info->width * info->height <= fuzz_limits.page_pixels);
    promise(info->pages <= fuzz_limits.pages);
    promise(info->channels >= 1 && info->channels <= DEN_CHANNELS_MAX);
    promise(info->dtype < DEN_DTYPES);
    promise(info->bits >= 1 && info->bits <= 8 * den_dtype_bytes(info->dtype));
    promise(den_image_page_bytes(info) * info->pages <= fuzz_limits.decoded_bytes);
    promise(info->pixel_size_um >= 0.0 && info->pixel_size_um < 1e9);
    uint64_t planes = (uint64_t)info->axes.t * info->axes.z * info->axes.c;
    promise(info->axes.source[0] == '\0' || planes == info->pages);
}

/* Page `page` in memory, or NULL where it cannot be read; then err says why. */
static inline void *fuzz_read(struct den_reader *reader, uint32_t page)
{
    struct den_err err = DEN_ERR_INIT;
    size_t bytes = den_image_page_bytes(den_reader_info(reader));
    void *pixels = den_calloc(bytes, 1);
    promise(pixels != NULL);
    if (den_reader_page(reader, page, pixels, &err))
        return pixels;
    promise(err.code != DEN_OK && err.text[0] != '\0');
    den_free(pixels);
    return NULL;
}

/* Opens the bytes as a file and reads every page. */
static inline void fuzz_read_all(const uint8_t *data, size_t size)
{
    struct den_reader *reader = NULL;
    struct den_err err = DEN_ERR_INIT;
    den_mem_set_limit(FUZZ_MEMORY);
    if (!den_reader_open(fuzz_file(0, data, size), &fuzz_limits, &reader, &err)) {
        promise(err.code != DEN_OK && err.text[0] != '\0');
    } else {
        const struct den_image_info *info = den_reader_info(reader);
        fuzz_check_info(info);
        for (uint32_t page = 0; page < info->pages; page++)
            den_free(fuzz_read(reader, page));
    }
    den_reader_close(reader);
    promise(den_mem_live() == 0);
}

#endif
