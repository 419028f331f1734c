#ifndef TEST_FOLDER_H
#define TEST_FOLDER_H

/* A folder for the files of a test. */

#include <stdio.h>
#include <stdlib.h>

#include "den_check.h"
#include "fs.h"

/* Makes one, and tells its path. */
static inline void folder_make(char folder[static 64])
{
    (void)snprintf(folder, 64, "/tmp/denoised-files-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

/* With all that is in it. */
static inline void folder_remove(const char *folder)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(folder, &err));
}

#endif
