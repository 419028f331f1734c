#include "machine.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "mem.h"
#include "str.h"

static void lower(uint64_t *bytes, uint64_t limit)
{
    if (*bytes == 0 || limit < *bytes)
        *bytes = limit;
}

/* memory.max of the group at `path` ("/a/b"): a number, or the word "max". */
static void lower_to_group(const char *root, const char *path, uint64_t *bytes)
{
    char file[PATH_MAX], *text = NULL;
    size_t length = 0;
    int64_t limit = 0;
    if (!den_str_format(file, sizeof file, "%s/sys/fs/cgroup%s/memory.max", root, path) ||
        !den_fs_read(file, 64, &text, &length, NULL))
        return;
    text[strcspn(text, "\n")] = '\0';
    if (den_parse_int(text, 1, INT64_MAX, &limit, NULL))
        lower(bytes, (uint64_t)limit);
    den_free(text);
}

/* The line "0::/path" of /proc/self/cgroup; lines with other numbers are of version 1. In
 * a namespace of its own a process sees its group as "/". */
static void read_own_group(const char *root, char *path, size_t size)
{
    enum { LONGEST = 1 << 16 };
    char file[PATH_MAX], *text = NULL, *line;
    size_t length = 0;
    path[0] = '\0';
    if (!den_str_format(file, sizeof file, "%s/proc/self/cgroup", root) ||
        !den_fs_read(file, LONGEST, &text, &length, NULL))
        return;
    for (char *rest = text; (line = strsep(&rest, "\n")) != NULL;)
        if (den_str_starts(line, "0::/") && strstr(line, "/..") == NULL)
            (void)den_str_copy(path, size, line + strlen("0::"));
    den_free(text);
}

uint64_t den_machine_memory(const char *root)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    char path[PATH_MAX], *end;
    read_own_group(root, path, sizeof path);
    while ((end = strrchr(path, '/')) != NULL) {
        lower_to_group(root, strcmp(path, "/") == 0 ? "" : path, &bytes);
        *end = '\0'; /* a limit of a group holds for all below it */
    }
    lower_to_group(root, "", &bytes);
    return bytes;
}
