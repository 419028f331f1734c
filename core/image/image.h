#ifndef DEN_IMAGE_H
#define DEN_IMAGE_H

/* Image files page by page: a stack never lies in memory whole.
 * A page holds one plane per channel (sample), one after the other, whatever the file's
 * own order: pixels[channels][height][width], rows top to bottom, native byte order.
 * Larger values are brighter.  Pages are in file order.  Pages, channels, x and y are
 * counted from 0, in calls and in sentences. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

enum den_dtype {
    DEN_U8,
    DEN_I8,
    DEN_U16,
    DEN_I16,
    DEN_U32,
    DEN_I32,
    DEN_F16,
    DEN_F32,
    DEN_F64,
    DEN_DTYPES
};

const char *den_dtype_name(enum den_dtype dtype); /* "uint8", "float32", as numpy */
size_t den_dtype_bytes(enum den_dtype dtype);
bool den_dtype_is_float(enum den_dtype dtype);

enum { DEN_CHANNELS_MAX = 4, DEN_AXIS_NAMES = 8, DEN_AXIS_NAME_SIZE = 32 };

/* What the pages of a series are: time points, depths, channels of the microscope. */
struct den_axes {
    char source[8];   /* "ome", "imagej"; "" = the file does not say, and 1 x 1 x 1 */
    uint32_t t, z, c; /* t * z * c == pages, if the file says */
    char order[4];    /* fastest first: "CZT" = channels of a plane follow each other */
    double z_step_um; /* 0 = not said */
    char channel_names[DEN_AXIS_NAMES][DEN_AXIS_NAME_SIZE]; /* UTF-8, "" = none */
};

struct den_image_info {
    char format[8]; /* "png", "tiff" */
    uint32_t width, height, pages;
    uint32_t channels; /* samples of a pixel, 1 to DEN_CHANNELS_MAX */
    bool alpha;        /* the last channel is opacity: no light, never to be changed */
    enum den_dtype dtype;
    uint32_t bits; /* an integer sample's own: 12 of a packed uint16, 1 to 8 of a PNG; the
                      dtype's otherwise */
    double pixel_size_um; /* 0 when the file does not say, or has 80 um (a print
                             resolution) or more */
    struct den_axes axes;
};

/* Bytes of a page in memory: all its planes. */
size_t den_image_page_bytes(const struct den_image_info *info);
/* Which time point, depth and channel a page is; all 0 where the file does not say. */
void den_image_place(const struct den_image_info *info, uint32_t page, uint32_t *ret_t,
                     uint32_t *ret_z, uint32_t *ret_c);

/* Limits on what a file may ask for.  0 means the default of den_image_limits_default. */
struct den_image_limits {
    uint32_t side;        /* width and height, pixels */
    uint64_t page_pixels; /* width * height */
    uint32_t pages;
    uint64_t decoded_bytes; /* all pages */
    uint32_t unpack_ratio;  /* decoded bytes over bytes of the file, beside 16 MiB */
    uint64_t part_bytes;    /* a strip or tile */
    uint32_t tags;          /* of a page */
};
struct den_image_limits den_image_limits_default(void);

struct den_reader;
struct den_writer;

/* One row per file format in den_formats[].  `state` belongs to the format; descriptors
 * are borrowed until the state is closed, and stand at the start of the file. */
struct den_format {
    const char *name;       /* "png" */
    const char *media_type; /* "image/png" */
    const char *suffix;     /* ".png" */
    bool (*sniff)(const unsigned char *head, size_t length);
    bool (*open)(int fd, uint64_t bytes, const struct den_image_limits *limits,
                 struct den_image_info *ret_info, void **ret_state, struct den_err *err);
    /* Page `page` into pixels[channels][height][width] of the info's dtype. */
    bool (*read)(void *state, uint32_t page, void *pixels, struct den_err *err);
    void (*close)(void *state);
    bool (*create)(int fd, const struct den_image_info *info, void **ret_state,
                   struct den_err *err);
    bool (*write)(void *state, const void *pixels, struct den_err *err); /* next page */
    bool (*finish)(void *state,
                   struct den_err *err); /* flush, close, free; also on failure */
    void (*abandon)(void *state);        /* close and free without finishing */
    /* Copying with other pixels, see rewrite.h.  source and fd are borrowed until finish
     * or discard; fd is empty, open for reading and writing. */
    bool (*rewrite)(int source, uint64_t bytes, int fd,
                    const struct den_image_limits *limits, const char *provenance,
                    struct den_image_info *ret_info, void **ret_state,
                    struct den_err *err);
    bool (*replace)(void *state, uint32_t page, const void *pixels, struct den_err *err);
    bool (*complete)(void *state, struct den_err *err); /* and free, also on failure */
    void (*discard)(void *state);
};
extern const struct den_format *const den_formats[]; /* ends with NULL */

/* DEN_E_UNSUPPORTED for a file of no known format, DEN_E_UNPROCESSABLE for one that is
 * damaged or has a type that is not read (the sentence says page and property),
 * DEN_E_TOO_LARGE with limit and actual.  An empty file is DEN_E_UNPROCESSABLE. */
bool den_reader_open(const char *path, const struct den_image_limits *limits,
                     struct den_reader **ret, struct den_err *err) DEN_CHECKED;
const struct den_image_info *den_reader_info(const struct den_reader *reader);
/* pixels: [channels][height][width] of info.dtype. */
bool den_reader_page(struct den_reader *reader, uint32_t page, void *pixels,
                     struct den_err *err) DEN_CHECKED;
/* The same as float; refuses NaN and infinity with DEN_E_UNPROCESSABLE naming page, x and
 * y. */
bool den_reader_page_float(struct den_reader *reader, uint32_t page, float *pixels,
                           struct den_err *err) DEN_CHECKED;
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
/* Completes the file; fails when pages are missing.  The writer is freed in any case.
 * Its bytes are on their way to the disk: who needs them there calls fsync. */
bool den_writer_finish(struct den_writer *writer, struct den_err *err) DEN_CHECKED;
void den_writer_abandon(struct den_writer *writer); /* NULL is fine */

/* Decodes every page once: what den_reader_page_float would refuse is refused here. */
bool den_image_verify(const char *path, const struct den_image_limits *limits,
                      struct den_image_info *ret_info, struct den_err *err) DEN_CHECKED;

/* A whole small file in memory, for training images and tools:
 * pixels[pages][channels][height][width]. */
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
