#ifndef DEN_TIFF_CLAIMS_H
#define DEN_TIFF_CLAIMS_H

#include "claims.h"
#include "tiff_io.h"
#include "tiff_raw.h"

/* 16 MiB of ranges.  A page of a sane file has two to five pieces. */
enum { DEN_TIFF_PIECES = 1 << 20 };

/* Claims every byte that means something: header, directories of the chain, values of
 * tags, strips and tiles.  Closed when done; `directory` is used up.
 * Directories that only a tag points to (SubIFD, Exif) and their images are not
 * followed; no program lets them share bytes with the pixels of a page. */
bool den_tiff_claims_read(struct den_tiff_in *in, const struct den_tiff_raw *raw,
                          struct den_tiff_directory *directory, struct den_claims *ret,
                          struct den_err *err) DEN_CHECKED;

#endif
