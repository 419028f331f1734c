#include "image_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mem.h"
#include "str.h"

#define FOLDERS_MAX ((size_t)100000)

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
    const struct den_image_visitor *visitor;
    bool below;
    char **paths; /* folders, read in this order */
    size_t count, capacity;
};

static bool join(char *to, const char *a, const char *b)
{
    const char *slash = a[0] == '\0' || b[0] == '\0' || den_str_ends(a, "/") ? "" : "/";
    return den_str_format(to, DEN_PATH_SIZE, "%s%s%s", a, slash, b);
}

/* The folder will be read, unless the visitor does not want it. */
static bool add_folder(struct walk *walk, const char *path, struct den_err *err)
{
    const struct den_image_visitor *v = walk->visitor;
    if (v->folder != NULL && !v->folder(v->context, path))
        return true;
    if (walk->count >= FOLDERS_MAX)
        return den_err_set(err, DEN_E_TOO_LARGE,
                           "more than %zu folders lie in each other; name some of them",
                           FOLDERS_MAX);
    if (walk->count == walk->capacity) {
        size_t capacity = walk->capacity > 0 ? 2 * walk->capacity : 64;
        char **paths = den_realloc(walk->paths, capacity, sizeof *paths);
        if (paths == NULL)
            return den_err_set(err, DEN_E_NO_MEMORY,
                               "there is no memory left for a list");
        walk->paths = paths;
        walk->capacity = capacity;
    }
    char *copy = den_strdup(path);
    if (copy == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a list");
    walk->paths[walk->count++] = copy;
    return true;
}

static bool visit(struct walk *walk, const char *path, const char *name,
                  struct den_err *err)
{
    char inner[DEN_PATH_SIZE], whole[DEN_PATH_SIZE];
    struct stat st;
    if (name[0] == '.' || !join(inner, path, name) || !join(whole, walk->folder, inner) ||
        lstat(whole, &st) != 0)
        return true;
    if (S_ISDIR(st.st_mode))
        return !walk->below || add_folder(walk, inner, err);
    if (!S_ISREG(st.st_mode) || !den_image_name(name, NULL))
        return true;
    return walk->visitor->file(walk->visitor->context, inner, &st, err);
}

static bool read_folder(struct walk *walk, const char *path, bool may_be_gone,
                        struct den_err *err)
{
    char whole[DEN_PATH_SIZE];
    struct dirent **names = NULL;
    bool good = true;
    if (!join(whole, walk->folder, path))
        return den_err_set(err, DEN_E_INVALID, "%.160s: the name is too long", path);
    int count = scandir(whole, &names, NULL, versionsort);
    if (count < 0)
        return (may_be_gone && errno == ENOENT) ||
               den_err_sys(err, errno, "%.160s cannot be read", whole);
    for (int i = 0; i < count; i++) {
        good = good && visit(walk, path, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    return good;
}

bool den_image_walk(const char *folder, const char *start, bool below,
                    const struct den_image_visitor *visitor, struct den_err *err)
{
    struct walk walk = {.folder = folder, .visitor = visitor, .below = below};
    bool good = add_folder(&walk, start, err);
    for (size_t i = 0; i < walk.count; i++) { /* count grows meanwhile */
        bool may_be_gone = i > 0 || start[0] != '\0';
        good = good && read_folder(&walk, walk.paths[i], may_be_gone, err);
        den_free(walk.paths[i]);
    }
    den_free(walk.paths);
    return good;
}
