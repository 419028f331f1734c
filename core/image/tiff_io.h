#ifndef DEN_TIFF_IO_H
#define DEN_TIFF_IO_H

/* What reading (fmt_tiff.c) and writing (tiff_write.c) of TIFF share.
 *
 * libtiff's messages go into a struct of the file they belong to and never to stderr.
 * Files are opened by descriptor, so that no message can hold a path. */

#include <stdint.h>
#include <tiffio.h>

#include "err.h"
#include "image.h"

struct den_tiff_talk {
    bool failed;       /* libtiff reported an error since the last clear */
    int sys;           /* errno at that moment */
    char message[160]; /* the first one */
};

void den_tiff_talk_clear(struct den_tiff_talk *talk);
/* mode as of TIFFOpen; single_bytes is the most libtiff may allocate at once.  The
 * descriptor stays the caller's: free with TIFFCleanup, then close. */
TIFF *den_tiff_open_fd(int fd, const char *mode, int64_t single_bytes,
                       struct den_tiff_talk *talk);

/* Walks the chain of directories without libtiff, which keeps every tag in memory and
 * believes what it reads.  Refused: a chain that loops, that leaves the file, that is
 * longer than limits->pages, pages of more than limits->tags, and tags that hold more
 * bytes than the file.
 * *ret_offsets[*ret_pages]: file offset of each page's directory, freed with den_free. */
bool den_tiff_scan(int fd, uint64_t file_bytes, const struct den_image_limits *limits,
                   uint64_t **ret_offsets, uint32_t *ret_pages,
                   struct den_err *err) DEN_CHECKED;

/* The writing half of the row in den_formats[]. */
bool den_tiff_create(int fd, const struct den_image_info *info, void **ret_state,
                     struct den_err *err) DEN_CHECKED;
bool den_tiff_write(void *state, const void *pixels, struct den_err *err) DEN_CHECKED;
bool den_tiff_finish(void *state, struct den_err *err) DEN_CHECKED;
void den_tiff_abandon(void *state);

#endif
