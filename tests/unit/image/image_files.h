#ifndef IMAGE_FILES_H
#define IMAGE_FILES_H

/* A scratch folder and made images for the tests of image files. */

#include <string.h>
#include <sys/stat.h>

#include "den_check.h"
#include "fs.h"
#include "image.h"
#include "mem.h"
#include "rng.h"
#include "str.h"

static char scratch_folder[64];

static inline void make_scratch(void)
{
    den_str_copy(scratch_folder, sizeof scratch_folder, "/tmp/den_test_image_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch_folder));
}

/* A plain file without the fsync of den_fs_write, for tests that write hundreds. */
static inline void write_bytes(const char *path, const void *data, size_t length)
{
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

/* Removes the folder; everything allocated must have been freed by then. */
static inline void remove_scratch(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(scratch_folder, &err));
    ck_assert_uint_eq(den_mem_live(), 0);
}

/* A path in the folder, good until the next eight calls. */
static inline const char *scratch(const char *name)
{
    static char paths[8][512];
    static size_t next;
    char *path = paths[next++ % 8];
    ck_assert(den_str_format(path, sizeof paths[0], "%s/%s", scratch_folder, name));
    return path;
}

static inline struct den_image_info image_info(const char *format, enum den_dtype dtype,
                                               uint32_t width, uint32_t height,
                                               uint32_t pages)
{
    struct den_image_info info = {
        .width = width, .height = height, .pages = pages, .channels = 1, .dtype = dtype};
    ck_assert(den_str_copy(info.format, sizeof info.format, format));
    return info;
}

static inline size_t image_pixels(const struct den_image_info *info)
{
    return (size_t)info->width * info->height * info->pages;
}

/* Random pixels of the info's type, all pages; den_free. */
static inline void *random_pixels(const struct den_image_info *info)
{
    struct den_rng rng;
    size_t n = image_pixels(info);
    unsigned char *pixels = den_calloc(n, den_dtype_bytes(info->dtype));
    float *floats = (void *)pixels;
    ck_assert_ptr_nonnull(pixels);
    den_rng_seed(&rng, 7, DEN_STREAM_SYNTH, n);
    if (info->dtype == DEN_F32)
        for (size_t i = 0; i < n; i++)
            floats[i] = (float)(1e3 * den_rng_normal(&rng));
    else
        for (size_t i = 0; i < n * den_dtype_bytes(info->dtype); i++)
            pixels[i] = (unsigned char)den_rng_below(&rng, 256);
    return pixels;
}

static inline void write_image(const char *path, const struct den_image_info *info,
                               const void *pixels)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_writer *writer = NULL;
    size_t page = (size_t)info->width * info->height * den_dtype_bytes(info->dtype);
    must(den_writer_open(path, info, &writer, &err));
    for (uint32_t i = 0; i < info->pages; i++)
        must(den_writer_page(writer, (const unsigned char *)pixels + page * i, &err));
    must(den_writer_finish(writer, &err));
}

/* A random image in a file. */
static inline void write_random(const char *path, const struct den_image_info *info)
{
    void *pixels = random_pixels(info);
    write_image(path, info, pixels);
    den_free(pixels);
}

/* Every page of the file equals pixels, byte for byte. */
static inline void check_image(const char *path, const struct den_image_info *want,
                               const void *pixels)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reader *reader = NULL;
    size_t page = (size_t)want->width * want->height * den_dtype_bytes(want->dtype);
    void *got = den_calloc(1, page);
    must(den_reader_open(path, NULL, &reader, &err));
    const struct den_image_info *info = den_reader_info(reader);
    ck_assert_str_eq(info->format, want->format);
    ck_assert_uint_eq(info->width, want->width);
    ck_assert_uint_eq(info->height, want->height);
    ck_assert_uint_eq(info->pages, want->pages);
    ck_assert_uint_eq(info->channels, 1);
    ck_assert_int_eq((int)info->dtype, (int)want->dtype);
    for (uint32_t i = info->pages; i-- > 0;) { /* backwards: pages are found by number */
        must(den_reader_page(reader, i, got, &err));
        ck_assert_mem_eq(got, (const unsigned char *)pixels + page * i, page);
    }
    den_reader_close(reader);
    den_free(got);
}

#endif
