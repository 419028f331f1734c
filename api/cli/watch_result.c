#include "watch_result.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "http_client.h"
#include "image_files.h"
#include "json_get.h"
#include "str.h"

static const char *root_of(const struct den_watch *w)
{
    return w->mirror != NULL ? w->mirror : w->folder;
}

static bool place_of(const struct den_watch *w, const struct den_watched *e,
                     const char *root, char *to, struct den_err *err)
{
    char inner[DEN_PATH_SIZE];
    return (den_image_result(e->path, w->suffix, inner, sizeof inner) &&
            den_str_format(to, DEN_PATH_SIZE, "%s%s%s", root,
                           den_str_ends(root, "/") ? "" : "/", inner)) ||
           den_err_set(err, DEN_E_INVALID, "the name of the result is too long");
}

bool den_watch_result_exists(const struct den_watch *w, const struct den_watched *e)
{
    char path[DEN_PATH_SIZE];
    struct den_err none = DEN_ERR_INIT;
    struct stat st;
    return place_of(w, e, root_of(w), path, &none) && lstat(path, &st) == 0;
}

/* ".a_denoised.tif.part": the same name at each try, so that none is left behind. */
static bool part_of(const char *path, char *to, struct den_err *err)
{
    const char *slash = strrchr(path, '/');
    return den_str_format(to, DEN_PATH_SIZE, "%.*s.%s.part", (int)(slash + 1 - path),
                          path, slash + 1) ||
           den_err_set(err, DEN_E_INVALID, "the name of the result is too long");
}

static bool make_folder(const struct den_watch *w, const char *path, struct den_err *err)
{
    char folder[DEN_PATH_SIZE];
    if (w->mirror == NULL) /* the source's own folder */
        return true;
    (void)den_str_format(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path),
                         path);
    return den_fs_mkdirs(folder, 0777, err);
}

static bool is_whole(const char *path, const json_t *job)
{
    char sha256[DEN_SHA256_SIZE];
    struct den_err none = DEN_ERR_INIT;
    const char *want = den_get_text(json_object_get(job, "result"), "sha256");
    return want[0] != '\0' && den_file_sha256(path, sha256, &none) &&
           strcmp(sha256, want) == 0;
}

static bool download(const struct den_watch *w, const char *part, const char *job,
                     struct den_err *err)
{
    char href[256];
    if (!den_client_path(href, sizeof href, "/v1/jobs", job, "/result", err))
        return false;
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return den_err_sys(err, errno, "%.160s cannot be written", part);
    bool done = den_client_download(w->cli, href, NULL, fd, err);
    if (done && fsync(fd) != 0)
        done = den_err_sys(err, errno, "%.160s cannot be written", part);
    if (close(fd) != 0 && done)
        done = den_err_sys(err, errno, "%.160s cannot be written", part);
    return done;
}

bool den_watch_result_fetch(const struct den_watch *w, const struct den_watched *e,
                            const json_t *job, char *ret_path, struct den_err *err)
{
    char path[DEN_PATH_SIZE], part[DEN_PATH_SIZE];
    if (!place_of(w, e, root_of(w), path, err) ||
        !place_of(w, e, w->shown, ret_path, err) || !part_of(path, part, err) ||
        !make_folder(w, path, err))
        return false;
    /* It may lie there since before a crash. */
    bool there = den_watch_result_exists(w, e), whole = there && is_whole(path, job);
    if (there && !whole && !e->written && !w->force)
        return den_err_set(err, DEN_E_CONFLICT,
                           "%.160s is somebody else's; --force replaces it", ret_path);
    bool done = whole || download(w, part, e->job, err);
    if (done && !whole && !is_whole(part, job))
        done = den_err_set(err, DEN_E_IO, "a result came broken over the network");
    done = done && (whole || den_fs_rename_durable(part, path, err));
    if (!done || whole)
        (void)unlink(part);
    return done;
}
