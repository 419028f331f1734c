#ifndef PROCESSES_H
#define PROCESSES_H

/* Who is whose child, for tests of what a program starts and leaves behind. */

#include <dirent.h>
#include <string.h>
#include <sys/types.h>

#include "den_check.h"
#include "str.h"

/* Processes whose parent is pid, living or not; the last of them in *ret. */
static inline size_t children_of(pid_t pid, pid_t *ret)
{
    size_t count = 0;
    DIR *folder = opendir("/proc");
    ck_assert_ptr_nonnull(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char path[300], line[512], *after;
        int64_t number = 0, parent = 0;
        if (!den_parse_int(entry->d_name, 1, INT32_MAX, &number, NULL))
            continue;
        (void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        bool read = fgets(line, sizeof line, file) != NULL;
        (void)fclose(file);
        after = read ? strrchr(line, ')') : NULL; /* "pid (name) S ppid ..." */
        if (after == NULL || strlen(after) < 5)
            continue;
        after += 4;
        after[strcspn(after, " ")] = '\0';
        if (den_parse_int(after, 0, INT32_MAX, &parent, NULL) && parent == pid) {
            count++;
            *ret = (pid_t)number;
        }
    }
    (void)closedir(folder);
    return count;
}

#endif
