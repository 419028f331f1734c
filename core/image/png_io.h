#ifndef DEN_PNG_IO_H
#define DEN_PNG_IO_H

/* What reading (png_read.c), writing (png_write.c) and copying (png_rewrite.c) of PNG
 * share.
 *
 * libpng reports errors by longjmp.  Every call of it therefore lies in a step function
 * that keeps all it knows in a struct, and den_png_guarded is the only place with a
 * setjmp: no local variable ever lives across a jump.
 *
 * Only read, write and pread are called on descriptors, and no memory is asked for but by
 * base/mem. */

#include <png.h>
#include <setjmp.h>

#include "image.h"

enum { DEN_PNG_BUFFER = 65536, DEN_PNG_COLORS = 256, DEN_PNG_TEXT = 1000 };

/* IHDR, and what more is needed to pack and unpack pixels. */
struct den_png_head {
    uint32_t width, height;
    int depth; /* 1, 2, 4, 8 or 16 */
    int color; /* PNG_COLOR_TYPE_... */
    int interlace;
    uint32_t colors; /* entries of the palette; 0 without one */
    bool gray;       /* all of them are gray */
    double pixel_size_um;
    png_color palette[DEN_PNG_COLORS];
    unsigned char alpha[DEN_PNG_COLORS]; /* of its entries; 255 where tRNS says nothing */
};

/* Where the chunks of a file lie: offsets of their length fields. */
struct den_png_layout {
    uint64_t pixels;     /* the first IDAT; the others follow it */
    uint64_t pixels_end; /* what follows the last one */
    uint64_t end;        /* IEND; any bytes may follow it */
};

struct den_png {
    int fd;
    uint64_t at;           /* offset of the next byte that is read into the buffer */
    unsigned char *buffer; /* [DEN_PNG_BUFFER], of bytes read or to be written */
    size_t next, filled;   /* within the buffer */
    bool muted;            /* what is written goes nowhere */
    png_structp png;
    png_infop info;
    jmp_buf jump;
    int sys;           /* errno of a failed read or write, 0 if none */
    bool no_memory;    /* an allocation failed */
    char message[160]; /* libpng's */
    struct den_png_head head;
    struct den_png_layout layout; /* of a file that was opened for reading */
    unsigned char *row; /* one row as libpng has it: samples of a pixel side by side, one
                           or two bytes each, NULL until needed */
    /* All rows, for the step that reads or writes them: [samples][height][width]. */
    unsigned char *to;
    const unsigned char *from;
    bool indices; /* `to` takes entries of the palette, not their colors */
};

/* fd is borrowed.  DEN_E_NO_MEMORY. */
struct den_png *den_png_new(int fd, struct den_err *err);
/* Ends libpng's part, which may be begun again. */
void den_png_stop_read(struct den_png *f);
void den_png_stop_write(struct den_png *f);
void den_png_free(struct den_png *f); /* after one of these; NULL is fine */

/* Runs a step; false after an error of libpng. */
bool den_png_guarded(struct den_png *f, void (*step)(struct den_png *));
/* Within a step: libpng's structs, with reading from the start of the descriptor, or with
 * writing where it stands. */
void den_png_start_read(struct den_png *f);
void den_png_start_write(struct den_png *f);
/* Whether the file has pixels otherwise than planes; then `row` is made. */
bool den_png_needs_row(const struct den_png_head *head);
void den_png_make_row(struct den_png *f);
/* Tells why a step failed; false. */
bool den_png_read_failed(const struct den_png *f, struct den_err *err);
bool den_png_write_failed(const struct den_png *f, struct den_err *err);

/* Bytes to the descriptor, by the buffer.  Within a step, too. */
bool den_png_put(struct den_png *f, const void *data, size_t length);
bool den_png_flush(struct den_png *f);

/* Samples of a pixel in the file: 1 for a palette. */
uint32_t den_png_samples(const struct den_png_head *head);
/* 16-bit samples are swapped to the machine's order, smaller than 8 bits get a byte. */
void den_png_set_samples(struct den_png *f);

/* An interlaced image is seven images, each with every dx-th pixel of every dy-th row;
 * any other is one with all.  `rows` is 0 where such an image is empty. */
struct den_png_pass {
    size_t x0, dx, y0, dy, columns, rows;
};
enum { DEN_PNG_PASSES = 7 };
int den_png_passes(const struct den_png_head *head);
struct den_png_pass den_png_pass(const struct den_png_head *head, int pass);

/* Walks over all chunks and reads their heads.  Refused: files that end early, IDAT
 * chunks with others in between, animations, Apple's variant, more than limits->tags
 * chunks beside IDAT. */
bool den_png_walk(int fd, uint64_t bytes, const struct den_image_limits *limits,
                  struct den_png_layout *ret, struct den_err *err) DEN_CHECKED;

/* Reading.  The state of a reader is a struct den_png. */
bool den_png_open(int fd, uint64_t bytes, const struct den_image_limits *limits,
                  struct den_image_info *ret_info, void **ret_state,
                  struct den_err *err) DEN_CHECKED;
bool den_png_read(void *state, uint32_t page, void *pixels,
                  struct den_err *err) DEN_CHECKED;
/* Of a palette image: to[height][width], entries of the palette. */
bool den_png_read_indices(struct den_png *f, unsigned char *to,
                          struct den_err *err) DEN_CHECKED;
void den_png_close(void *state);

/* The writing half of the row in den_formats[]. */
bool den_png_create(int fd, const struct den_image_info *info, void **ret_state,
                    struct den_err *err) DEN_CHECKED;
bool den_png_write(void *state, const void *pixels, struct den_err *err) DEN_CHECKED;
bool den_png_finish(void *state, struct den_err *err) DEN_CHECKED;
void den_png_abandon(void *state);

/* Encoding: all of f->head but the size of pixels, up to the first row. */
void den_png_step_encode_header(struct den_png *f);
/* All rows, from pixels[samples][height][width]. */
bool den_png_encode_rows(struct den_png *f, const void *pixels,
                         struct den_err *err) DEN_CHECKED;

/* The copying part of it. */
bool den_png_rewrite(int source, uint64_t bytes, int fd,
                     const struct den_image_limits *limits, const char *provenance,
                     struct den_image_info *ret_info, void **ret_state,
                     struct den_err *err) DEN_CHECKED;
bool den_png_replace(void *state, uint32_t page, const void *pixels,
                     struct den_err *err) DEN_CHECKED;
bool den_png_complete(void *state, struct den_err *err) DEN_CHECKED;
void den_png_discard(void *state);

/* indices[n]: entries of the palette that the pixels of the source have.  Each is changed
 * to the entry nearest to pixels[1 or 3][n] among those of the same opacity; one that has
 * just the new color stays, so that copies of a color in a palette keep their pixels. */
void den_png_recolor(const struct den_png_head *head, const unsigned char *pixels,
                     size_t n, unsigned char *indices);

#endif
