#ifndef DEN_IMAGE_H
#define DEN_IMAGE_H

/* Image files page by page: a stack never lies in memory whole.
 * Pixels are gray (one channel), rows top to bottom, pages in file order, native byte
 * order.  Pages, x and y are counted from 0, in calls and in sentences. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum den_dtype { DEN_U8, DEN_U16, DEN_F32, DEN_DTYPES };

const char *den_dtype_name(enum den_dtype dtype); /* "uint8", "uint16", "float32" */
size_t den_dtype_bytes(enum den_dtype dtype);

struct den_image_info {
    char format[8]; /* "png", "tiff" */
    uint32_t width, height, pages, channels;
    enum den_dtype dtype;
    double pixel_size_um; /* 0 when the file does not say, or has 80 um (a print
                             resolution) or more */
};

/* Limits on what a file may ask for.  0 means the default of den_image_limits_default. */
struct den_image_limits {
    uint32_t side;        /* width and height, pixels */
    uint64_t page_pixels; /* width * height */
    uint32_t pages;
    uint64_t decoded_bytes; /* all pages */
};
struct den_image_limits den_image_limits_default(void);

struct den_reader;
struct den_writer;

/* One row per file format in den_formats[].  `state` belongs to the format. */
struct den_format {
    const char *name;       /* "png" */
    const char *media_type; /* "image/png" */
    const char *suffix;     /* ".png" */
    bool (*sniff)(const unsigned char *head, size_t length);
    bool (*open)(const char *path, const struct den_image_limits *limits,
                 struct den_image_info *ret_info, void **ret_state, struct den_err *err);
    /* Page `page` into pixels[height * width] of the info's dtype. */
    bool (*read)(void *state, uint32_t page, void *pixels, struct den_err *err);
    void (*close)(void *state);
    bool (*create)(const char *path, const struct den_image_info *info, void **ret_state,
                   struct den_err *err);
    bool (*write)(void *state, const void *pixels, struct den_err *err); /* next page */
    bool (*finish)(void *state,
                   struct den_err *err); /* flush, close, free; also on failure */
    void (*abandon)(void *state);        /* close and free without finishing */
};
extern const struct den_format *const den_formats[]; /* ends with NULL */

/* DEN_E_UNSUPPORTED for a file of no known format, DEN_E_UNPROCESSABLE for one that is
 * damaged or has a type that is not read (the sentence says page and property),
 * DEN_E_TOO_LARGE with limit and actual.  An empty file is DEN_E_UNPROCESSABLE. */
bool den_reader_open(const char *path, const struct den_image_limits *limits,
                     struct den_reader **ret, struct den_err *err) DEN_CHECKED;
const struct den_image_info *den_reader_info(const struct den_reader *reader);
/* pixels: [height][width] of info.dtype. */
bool den_reader_page(struct den_reader *reader, uint32_t page, void *pixels,
                     struct den_err *err) DEN_CHECKED;
/* The same as float; refuses NaN and infinity with DEN_E_UNPROCESSABLE naming page, x and
 * y. */
bool den_reader_page_float(struct den_reader *reader, uint32_t page, float *pixels,
                           struct den_err *err) DEN_CHECKED;
/* den_reader_page_float unpacks into raw, instead of a page of its own: height * width
 * pixels of info.dtype, borrowed until the reader is closed, and free for other use
 * between two calls. */
void den_reader_lend(struct den_reader *reader, void *raw);
void den_reader_close(struct den_reader *reader);

/* info.format chooses the writer; info.pages pages must follow. */
bool den_writer_open(const char *path, const struct den_image_info *info,
                     struct den_writer **ret, struct den_err *err) DEN_CHECKED;
bool den_writer_page(struct den_writer *writer, const void *pixels,
                     struct den_err *err) DEN_CHECKED;
/* Converts with den_from_float first; clipped pixels are added to *clipped (may be NULL).
 */
bool den_writer_page_float(struct den_writer *writer, const float *pixels,
                           uint64_t *clipped, struct den_err *err) DEN_CHECKED;
/* As den_reader_lend, for den_writer_page_float. */
void den_writer_lend(struct den_writer *writer, void *raw);
/* Completes the file; fails when pages are missing.  The writer is freed in any case.
 * Its bytes are on their way to the disk: who needs them there calls fsync. */
bool den_writer_finish(struct den_writer *writer, struct den_err *err) DEN_CHECKED;
void den_writer_abandon(struct den_writer *writer); /* NULL is fine */

/* Decodes every page once: what den_reader_page_float would refuse is refused here. */
bool den_image_verify(const char *path, const struct den_image_limits *limits,
                      struct den_image_info *ret_info, struct den_err *err) DEN_CHECKED;

/* A whole small file in memory, for training images and tools:
 * pixels[pages][height][width]. */
struct den_image {
    struct den_image_info info;
    float *pixels;
};
bool den_image_load(const char *path, const struct den_image_limits *limits,
                    struct den_image *ret, struct den_err *err) DEN_CHECKED;
/* Writes with info's format and dtype (rounded and clipped). */
bool den_image_save(const char *path, const struct den_image *image,
                    struct den_err *err) DEN_CHECKED;
void den_image_release(struct den_image *image);

#endif
