#ifndef DEN_IMAGE_FILES_H
#define DEN_IMAGE_FILES_H

/* Image files of a folder, told by their names, and how their results are called. */

#include <stddef.h>
#include <sys/stat.h>

#include "err.h"

#define DEN_PATH_SIZE 4096

/* Has the name the ending of an image, and does it not begin with a dot?  *ret_stem:
 * bytes before the ending, which is ".ome.tif" of a.ome.tif; may be NULL. */
bool den_image_name(const char *name, size_t *ret_stem);
/* As the server calls results: a/cell.ome.tif with "_denoised" becomes
 * a/cell_denoised.ome.tif.  false when it does not fit or path is no image's. */
bool den_image_result(const char *path, const char *suffix, char *to, size_t size);
/* Whether this path is what den_image_result makes of another. */
bool den_image_is_result(const char *path, const char *suffix);

/* What den_image_walk finds.  Paths are seen from the folder; "" is the folder itself. */
struct den_image_visitor {
    void *context;
    /* Asked before a folder is read; false leaves it out.  NULL: none is left out. */
    bool (*folder)(void *context, const char *path);
    bool (*file)(void *context, const char *path, const struct stat *st,
                 struct den_err *err);
};
/* Calls visitor->file for each image in `start` (seen from the folder, "" = all of it),
 * by name with numbers in their order; with `below` then for those in its folders.  Links
 * are not followed.  A folder that vanishes meanwhile holds nothing. */
bool den_image_walk(const char *folder, const char *start, bool below,
                    const struct den_image_visitor *visitor,
                    struct den_err *err) DEN_CHECKED;

#endif
