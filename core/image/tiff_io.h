#ifndef DEN_TIFF_IO_H
#define DEN_TIFF_IO_H

/* What reading (fmt_tiff.c), writing (tiff_write.c) and rewriting of TIFF share.
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
/* For a TIFF that is not opened by descriptor: the same limit and messages, freed with
 * TIFFOpenOptionsFree; NULL without memory. */
TIFFOpenOptions *den_tiff_options(int64_t single_bytes, struct den_tiff_talk *talk);

/* Walks the chain of directories without libtiff, which keeps every tag in memory and
 * believes what it reads.  Refused: a chain that loops, that leaves the file, that is
 * longer than limits->pages, pages of more than limits->tags, and tags that hold more
 * bytes than the file.
 * *ret_offsets[*ret_pages]: file offset of each page's directory, freed with den_free.
 * Directories of reduced copies (NewSubfileType bit 0: thumbnails, which LSM files have
 * after every page) are no pages, unless the file has no others; nor are SubIFDs. */
bool den_tiff_scan(int fd, uint64_t file_bytes, const struct den_image_limits *limits,
                   uint64_t **ret_offsets, uint32_t *ret_pages,
                   struct den_err *err) DEN_CHECKED;

/* How the samples of a page lie in the file.  A part is a strip or a tile: of all samples
 * of its pixels, or, planar, of one sample.  Parts are numbered as libtiff does: rows of
 * parts, then planes. */
struct den_tiff_layout {
    uint32_t width, height;
    uint32_t samples; /* of a pixel, stored one by one (contig) or in planes */
    bool planar;      /* never true with 1 sample, whatever the tag says */
    bool alpha;       /* the last sample is opacity */
    bool white_is_0;  /* photometric min-is-white: stored are maximum - value */
    enum den_dtype dtype;
    uint32_t bits; /* of a stored sample; packed where the dtype has more, rows of a part
                      start at bytes */
    bool tiled;
    uint32_t part_width, part_rows; /* strips: the page's width, RowsPerStrip at most the
                                       height */
    uint32_t across, down, parts;   /* across * down * (planar ? samples : 1) */
    size_t row_bytes;               /* of a part, unpacked by libtiff */
    /* Values of the tags, with TIFF's defaults: */
    uint16_t compression, predictor, fill_order, photometric, sample_format,
        planar_config;
    bool big_endian;
    double pixel_size_um; /* by the resolution tags */
    double resolution;    /* pixels per unit; 0 = not said, or another one in y */
    /* ImageJ's stacks of more than 4 GiB have one directory: page k lies uncompressed at
     * data_offset = that of the first + k * page bytes, as one strip.  0 otherwise. */
    uint64_t data_offset;
};

/* An open file: what den_reader_open opens, for those who need more than the pixels. */
struct den_tiff_in {
    TIFF *tif; /* stands at any directory */
    int fd;    /* borrowed */
    uint64_t file_bytes;
    struct den_image_limits limits;
    struct den_tiff_talk talk;
    struct den_image_info info;
    uint64_t *directories; /* [info.pages] file offsets; of a stack only [0] */
    uint64_t stack_offset; /* of page 0 of a stack in one directory, 0 = not one */
    void *part;            /* grown to the largest part seen */
    size_t part_room;
};
/* Everything that den_reader_open says of the file is said here. */
bool den_tiff_in_open(int fd, uint64_t bytes, const struct den_image_limits *limits,
                      struct den_tiff_in **ret, struct den_err *err) DEN_CHECKED;
void den_tiff_in_close(struct den_tiff_in *in); /* NULL is fine */

/* Goes to the page's directory (tif stands there afterwards) and reads what it is, under
 * the limits of opening.  DEN_E_UNPROCESSABLE naming page, tag and value for what is not
 * read. */
bool den_tiff_layout_read(struct den_tiff_in *in, uint32_t page,
                          struct den_tiff_layout *ret, struct den_err *err) DEN_CHECKED;
/* Bytes of the part as libtiff's TIFFReadEncodedStrip and -Tile give and the Write
 * functions take them: only the last strip of a plane is smaller than the others. */
size_t den_tiff_part_bytes(const struct den_tiff_layout *layout, uint32_t part);
/* Between pixels[samples][height][width] of layout->dtype, and the bytes of one part:
 * native byte order, samples of `bits` bits, min-is-white inverted.  What a tile has
 * beyond the page is not unpacked; it is packed with the last column and row inside the
 * page, which compress well.  Values to pack must fit `bits`. */
void den_tiff_unpack_part(const struct den_tiff_layout *layout, uint32_t part,
                          const void *bytes, void *pixels);
/* Rows first to first + rows of the part; bytes hold those alone. */
void den_tiff_unpack_rows(const struct den_tiff_layout *layout, uint32_t part,
                          uint32_t first, uint32_t rows, const void *bytes, void *pixels);
void den_tiff_pack_part(const struct den_tiff_layout *layout, uint32_t part,
                        const void *pixels, void *bytes);
void den_tiff_pack_rows(const struct den_tiff_layout *layout, uint32_t part,
                        uint32_t first, uint32_t rows, const void *pixels, void *bytes);

/* The writing half of the row in den_formats[]. */
bool den_tiff_create(int fd, const struct den_image_info *info, void **ret_state,
                     struct den_err *err) DEN_CHECKED;
bool den_tiff_write(void *state, const void *pixels, struct den_err *err) DEN_CHECKED;
bool den_tiff_finish(void *state, struct den_err *err) DEN_CHECKED;
void den_tiff_abandon(void *state);

#endif
