#include "inputs.h"

#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>

#include "image_files.h"
#include "mem.h"
#include "str.h"

#define INPUTS_MAX ((size_t)1000000)
#define OURS "_denoised"

struct finder {
    struct den_inputs *inputs;
    const char *folder;
};

static bool make_room(struct den_inputs *inputs, struct den_err *err)
{
    if (inputs->count >= INPUTS_MAX)
        return den_err_set(err, DEN_E_TOO_LARGE, "more than %zu images are named",
                           INPUTS_MAX);
    if (inputs->count < inputs->capacity)
        return true;
    size_t capacity = inputs->capacity > 0 ? 2 * inputs->capacity : 64;
    struct den_input *list = den_realloc(inputs->list, capacity, sizeof *list);
    if (list == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a list");
    inputs->list = list;
    inputs->capacity = capacity;
    return true;
}

/* below: length bytes. */
static bool add(struct den_inputs *inputs, const char *path, const char *below,
                size_t length, struct den_err *err)
{
    char folder[DEN_PATH_SIZE];
    if (!make_room(inputs, err))
        return false;
    (void)den_str_format(folder, sizeof folder, "%.*s", (int)length, below);
    struct den_input input = {den_strdup(path), den_strdup(folder)};
    if (input.path == NULL || input.below == NULL) {
        den_free(input.path);
        den_free(input.below);
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a list");
    }
    inputs->list[inputs->count++] = input;
    return true;
}

static bool on_file(void *context, const char *path, const struct stat *st,
                    struct den_err *err)
{
    struct finder *f = context;
    char whole[DEN_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    (void)st;
    if (den_image_is_result(path, OURS) ||
        !den_str_format(whole, sizeof whole, "%s%s%s", f->folder,
                        den_str_ends(f->folder, "/") ? "" : "/", path))
        return true;
    return add(f->inputs, whole, path, slash != NULL ? (size_t)(slash - path) : 0, err);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool add_folder(struct den_inputs *inputs, const char *folder, bool below,
                       struct den_err *err)
{
    struct finder f = {inputs, folder};
    const struct den_image_visitor visitor = {.context = &f, .file = on_file};
    size_t before = inputs->count;
    if (!den_image_walk(folder, "", below, &visitor, err))
        return false;
    return inputs->count > before ||
           den_err_set(err, DEN_E_NOT_FOUND, "%.160s: no image lies in this folder%s",
                       folder, below ? "" : "; --recursive looks below it, too");
}

static bool add_pattern(struct den_inputs *inputs, const char *pattern, bool below,
                        struct den_err *err)
{
    glob_t found = {0};
    int fault = glob(pattern, 0, NULL, &found);
    bool good = fault == 0;
    if (fault == GLOB_NOMATCH)
        (void)den_err_set(err, DEN_E_NOT_FOUND, "%.160s: no file has such a name",
                          pattern);
    else if (fault != 0)
        (void)den_err_set(err, DEN_E_IO, "%.160s: the folder cannot be read", pattern);
    for (size_t i = 0; good && i < found.gl_pathc; i++)
        good = is_folder(found.gl_pathv[i])
                   ? add_folder(inputs, found.gl_pathv[i], below, err)
                   : add(inputs, found.gl_pathv[i], "", 0, err);
    globfree(&found);
    return good;
}

bool den_inputs_find(struct den_inputs *inputs, const char *const *words, size_t count,
                     bool below, struct den_err *err)
{
    *inputs = (struct den_inputs){0};
    for (size_t i = 0; i < count; i++) {
        struct stat st;
        bool there = lstat(words[i], &st) == 0;
        bool good = is_folder(words[i]) ? add_folder(inputs, words[i], below, err)
                    : !there && strpbrk(words[i], "*?[") != NULL
                        ? add_pattern(inputs, words[i], below, err)
                        : add(inputs, words[i], "", 0, err);
        if (!good)
            return false;
    }
    return true;
}

void den_inputs_release(struct den_inputs *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        den_free(inputs->list[i].path);
        den_free(inputs->list[i].below);
    }
    den_free(inputs->list);
    *inputs = (struct den_inputs){0};
}
