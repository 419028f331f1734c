#ifndef DEN_FORMAT_H
#define DEN_FORMAT_H

/* What the file formats (fmt_*.c) share: opening files, and the limits that are checked
 * before any memory is asked for. */

#include "image.h"

extern const struct den_format den_format_png, den_format_tiff;

/* A file may unpack to limits->unpack_ratio times its own size, plus this: deflate
 * reaches 1000, images of a camera stay far below the default of 200. */
#define DEN_UNPACK_SLACK ((uint64_t)16 << 20)

/* Opens a regular, non-empty file for reading; *ret_bytes is its size. */
bool den_format_open(const char *path, int *ret_fd, uint64_t *ret_bytes,
                     struct den_err *err) DEN_CHECKED;
/* Creates or truncates a file for reading and writing. */
bool den_format_create(const char *path, int *ret_fd, struct den_err *err) DEN_CHECKED;
/* Removes a file that was only just created there; a device is no such thing. */
void den_format_remove(const char *path, int fd);

/* The row of den_formats[] for an open file, NULL if there is none; the descriptor stays
 * at the start. */
const struct den_format *den_format_of_file(int fd, struct den_err *err);
/* Defaults in place of zeros; NULL has defaults only. */
struct den_image_limits den_format_limits(const struct den_image_limits *limits);

/* Width and height against limits->side and limits->page_pixels. */
bool den_format_admit_page(const struct den_image_info *info,
                           const struct den_image_limits *limits,
                           struct den_err *err) DEN_CHECKED;
/* Page count and unpacked bytes of the whole file (`unpacked` of them) against the limits
 * and against the file's own size. */
bool den_format_admit_file(const struct den_image_info *info, uint64_t unpacked,
                           uint64_t file_bytes, const struct den_image_limits *limits,
                           struct den_err *err) DEN_CHECKED;

/* Pixel sizes from here on are taken as not given: 72 to 300 dpi (353 to 85 um) and 1 per
 * cm are what programs write that know none. */
#define DEN_PIXEL_SIZE_END_UM 80.0

/* Copies a library's message in place of to: one line, printable ASCII, no full stop. */
void den_format_message(char *to, size_t size, const char *from);

#endif
