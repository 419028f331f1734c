#ifndef JAIL_CASE_H
#define JAIL_CASE_H

/* What the tests of the jail share. */

#include <dirent.h>

#include "image_files.h"
#include "jail_private.h"

static inline void start_jail(uint32_t seconds, uint64_t memory_mib)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_jail_options options = {.seconds = seconds,
                                             .memory_bytes = memory_mib << 20};
    must(den_jail_start(&options, &err));
}

static inline size_t open_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(folder);
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

#endif
