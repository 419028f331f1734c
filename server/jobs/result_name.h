#ifndef DEN_RESULT_NAME_H
#define DEN_RESULT_NAME_H

/* How a denoised file is called.  What follows "_denoised" is the ending that the user
 * had, for programs look at it: cell.ome.tif becomes cell_denoised.ome.tif, which readers
 * of OME still take for what it is. */

#include "rows.h"

/* ret_name [DEN_NAME_SIZE]; ret_media [32] of the image's format. */
void den_result_name(const char *name, const struct den_image_info *info, char *ret_name,
                     char *ret_media);

#endif
