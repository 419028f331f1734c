#ifndef DEN_TIFF_REWRITE_H
#define DEN_TIFF_REWRITE_H

/* The rewriting quarter of the TIFF row in den_formats[], see rewrite.h. */

#include "image.h"

bool den_tiff_rewrite(int source, uint64_t bytes, int fd,
                      const struct den_image_limits *limits, const char *provenance,
                      struct den_image_info *ret_info, void **ret_state,
                      struct den_err *err) DEN_CHECKED;
bool den_tiff_replace(void *state, uint32_t page, const void *pixels,
                      struct den_err *err) DEN_CHECKED;
bool den_tiff_complete(void *state, struct den_err *err) DEN_CHECKED;
void den_tiff_discard(void *state); /* NULL is fine */

#endif
