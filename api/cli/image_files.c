#include "image_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "str.h"

#define DEPTH_MAX 64

/* Longer ones first. */
static const char *const endings[] = {
    ".ome.tiff", ".ome.tif", ".ome.btf", ".ome.tf2", ".ome.tf8", ".tiff", ".tif",
    ".btf",      ".tf2",     ".tf8",     ".stk",     ".lsm",     ".png",
};

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

bool den_image_name(const char *name, size_t *ret_stem)
{
    size_t length = strlen(name);
    for (size_t i = 0; name[0] != '.' && i < sizeof endings / sizeof *endings; i++) {
        size_t size = strlen(endings[i]);
        if (length <= size || strcasecmp(name + length - size, endings[i]) != 0)
            continue;
        if (ret_stem != NULL)
            *ret_stem = length - size;
        return true;
    }
    return false;
}

bool den_image_result(const char *path, const char *suffix, char *to, size_t size)
{
    const char *name = base_of(path);
    size_t stem = 0;
    if (!den_image_name(name, &stem))
        return false;
    stem += (size_t)(name - path);
    return den_str_format(to, size, "%.*s%s%s", (int)stem, path, suffix, path + stem);
}

bool den_image_is_result(const char *path, const char *suffix)
{
    const char *name = base_of(path);
    size_t stem = 0, size = strlen(suffix);
    return size > 0 && den_image_name(name, &stem) && stem > size &&
           memcmp(name + stem - size, suffix, size) == 0;
}

/* ---- walking ------------------------------------------------------------------------
 */

struct walk {
    const char *folder;
    bool below;
    const struct den_image_visitor *visitor;
    struct den_err *err;
};

static bool join(char *to, const char *a, const char *b)
{
    const char *slash = a[0] == '\0' || b[0] == '\0' || den_str_ends(a, "/") ? "" : "/";
    return den_str_format(to, DEN_PATH_SIZE, "%s%s%s", a, slash, b);
}

static bool read_folder(const struct walk *walk, const char *path, int depth);

/* NOLINTBEGIN(misc-no-recursion): DEPTH_MAX bounds it */
static bool enter(const struct walk *walk, const char *path, int depth)
{
    if (depth > DEPTH_MAX)
        return den_err_set(walk->err, DEN_E_TOO_LARGE,
                           "%.160s: folders lie more than %d deep in each other", path,
                           DEPTH_MAX);
    if (walk->visitor->folder != NULL &&
        !walk->visitor->folder(walk->visitor->context, path))
        return true;
    return read_folder(walk, path, depth);
}

static bool visit(const struct walk *walk, const char *path, const char *name, int depth)
{
    char inner[DEN_PATH_SIZE], whole[DEN_PATH_SIZE];
    struct stat st;
    if (name[0] == '.' || !join(inner, path, name) || !join(whole, walk->folder, inner) ||
        lstat(whole, &st) != 0)
        return true;
    if (S_ISDIR(st.st_mode))
        return !walk->below || enter(walk, inner, depth + 1);
    if (!S_ISREG(st.st_mode) || !den_image_name(name, NULL))
        return true;
    return walk->visitor->file(walk->visitor->context, inner, &st, walk->err);
}

static bool read_folder(const struct walk *walk, const char *path, int depth)
{
    char whole[DEN_PATH_SIZE];
    struct dirent **names = NULL;
    bool good = true;
    if (!join(whole, walk->folder, path))
        return den_err_set(walk->err, DEN_E_INVALID, "%.160s: the name is too long",
                           path);
    int count = scandir(whole, &names, NULL, versionsort);
    if (count < 0)
        return (depth > 0 && errno == ENOENT) ||
               den_err_sys(walk->err, errno, "%.160s cannot be read", whole);
    for (int i = 0; i < count; i++) {
        good = good && visit(walk, path, names[i]->d_name, depth);
        free(names[i]);
    }
    free(names);
    return good;
}
/* NOLINTEND(misc-no-recursion) */

bool den_image_walk(const char *folder, const char *start, bool below,
                    const struct den_image_visitor *visitor, struct den_err *err)
{
    struct walk walk = {folder, below, visitor, err};
    return enter(&walk, start, start[0] != '\0');
}
