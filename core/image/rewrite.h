#ifndef DEN_REWRITE_H
#define DEN_REWRITE_H

/* A copy of an image file in which only pixels change.  Everything else of the source -
 * format, pixel type, byte order, compression, strips or tiles, order of pages, every
 * known and unknown tag or chunk, texts - is in the copy as it was, by construction: the
 * copy is the source with its encoded pixels exchanged, not a new file.  Only one record
 * of where the copy comes from is added. */

#include "image.h"

/* Where the record is: an ASCII tag of the first directory of a TIFF, from the range of
 * numbers that is free for everybody; a text chunk of a PNG.  A TIFF that has the tag
 * gets another line in it.  A classic TIFF of more than 4 GiB, which ImageJ writes, has
 * no place left that its offsets could name: it is copied without the record. */
#define DEN_PROVENANCE_TIFF_TAG 65180
#define DEN_PROVENANCE_PNG_KEYWORD "Denoised"

struct den_rewriter;

/* provenance: one line of UTF-8, up to 1000 bytes, for example the program, its version
 * and the job.  path is created or truncated.  Errors as of den_reader_open; a file that
 * can be read and not rewritten (pages that share their pixels) is DEN_E_UNPROCESSABLE.
 */
bool den_rewriter_open(const char *source, const char *path,
                       const struct den_image_limits *limits, const char *provenance,
                       struct den_rewriter **ret, struct den_err *err) DEN_CHECKED;
const struct den_image_info *den_rewriter_info(const struct den_rewriter *rewriter);
/* pixels: [channels][height][width] of info.dtype, integers within info.bits.  Pages in
 * any order, each at most once; a page that is left out keeps its pixels. */
bool den_rewriter_page(struct den_rewriter *rewriter, uint32_t page, const void *pixels,
                       struct den_err *err) DEN_CHECKED;
/* Completes the file; the rewriter is freed in any case.  Who needs the bytes on the disk
 * calls fsync. */
bool den_rewriter_finish(struct den_rewriter *rewriter, struct den_err *err) DEN_CHECKED;
void den_rewriter_abandon(struct den_rewriter *rewriter); /* NULL is fine */

#endif
