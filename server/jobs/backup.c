#include "upkeep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "mem.h"
#include "service_private.h"
#include "str.h"

struct copy {
    struct den_service *service;
    const char *folder;
    size_t linked, copied;
    uint64_t bytes;
};

static bool is_empty(const char *folder, struct den_err *err)
{
    DIR *dir = opendir(folder);
    bool empty = true;
    if (dir == NULL)
        return den_err_sys(err, errno, "the folder for the backup cannot be read");
    for (const struct dirent *e; empty && (e = readdir(dir)) != NULL;)
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    closedir(dir);
    return empty || den_err_set(err, DEN_E_CONFLICT,
                                "the folder for the backup is not empty; name a new one");
}

/* A backup inside what is backed up would grow for ever. */
static bool is_apart(const char *state, const char *folder, struct den_err *err)
{
    char inner[PATH_MAX], outer[PATH_MAX];
    if (realpath(state, outer) == NULL || realpath(folder, inner) == NULL)
        return den_err_sys(err, errno, "the folder for the backup cannot be read");
    size_t length = strlen(outer);
    if (strncmp(inner, outer, length) != 0 ||
        (inner[length] != '/' && inner[length] != '\0'))
        return true;
    return den_err_set(err, DEN_E_INVALID,
                       "the folder for the backup lies in the state folder");
}

static bool copy_bytes(int from, int to, uint64_t *bytes, struct den_err *err)
{
    enum { CHUNK = 1 << 18 };
    char *chunk = den_new(CHUNK, 1, err);
    bool done = false;
    uint64_t started = 0, written = 0;
    while (chunk != NULL) {
        ssize_t got = read(from, chunk, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            den_err_sys(err, errno, "a stored file cannot be read");
        done = got == 0;
        if (got <= 0 || !den_fs_write_fd(to, chunk, (size_t)got, err))
            break;
        written += (uint64_t)got;
        den_fs_write_along(to, written, &started);
    }
    den_free(chunk);
    *bytes += written;
    return done;
}

static bool copy_file(const char *path, const char *target, uint64_t *bytes,
                      struct den_err *err)
{
    bool done = false;
    int to = -1, from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from < 0)
        return den_err_sys(err, errno, "a stored file cannot be opened");
    to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0) {
        den_err_sys(err, errno, "a file of the backup cannot be made");
        goto out;
    }
    done = copy_bytes(from, to, bytes, err);
    if (done && fsync(to) != 0)
        done = den_err_sys(err, errno, "a file of the backup cannot be written to disk");
out:
    if (to >= 0 && close(to) != 0 && done)
        done = den_err_sys(err, errno, "a file of the backup cannot be closed");
    close(from);
    return done;
}

static bool copy_blob(void *context, const char *sha256, struct den_err *err)
{
    struct copy *copy = context;
    char path[PATH_MAX], target[PATH_MAX];
    den_blobs_path(copy->service->blobs, sha256, path, sizeof path);
    den_str_format(target, sizeof target, "%s/blobs/%.2s/%s", copy->folder, sha256,
                   sha256);
    if (link(path, target) == 0) {
        copy->linked++;
        return true;
    }
    if (errno != EXDEV && errno != EPERM && errno != EMLINK && errno != EOPNOTSUPP)
        return den_err_sys(err, errno, "a file of the backup cannot be made");
    copy->copied++;
    return copy_file(path, target, &copy->bytes, err);
}

/* Also of names that were made by link: those are durable only with their folder. */
static bool each_folder(const char *folder, bool (*act)(const char *, struct den_err *),
                        struct den_err *err)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < 256; i++) {
        den_str_format(path, sizeof path, "%s/blobs/%02x", folder, i);
        if (!act(path, err))
            return false;
    }
    den_str_format(path, sizeof path, "%s/blobs", folder);
    return act(path, err);
}

static bool make_one(const char *path, struct den_err *err)
{
    return den_fs_mkdirs(path, 0700, err);
}

static bool copy_all(struct copy *copy, const char *database, const char *part,
                     struct den_err *err)
{
    struct den_service *s = copy->service;
    /* First the database: what its rows name is there now, and stays while it is held. */
    return each_folder(copy->folder, make_one, err) &&
           s->kind->backup(s->store, part, err) &&
           den_blobs_each(s->blobs, copy_blob, copy, err) &&
           each_folder(copy->folder, den_fs_sync_folder, err) &&
           den_fs_rename_durable(part, database, err);
}

bool den_service_backup(struct den_service *service, const char *folder, den_say *say,
                        void *context, struct den_err *err)
{
    struct copy copy = {.service = service, .folder = folder};
    char database[PATH_MAX], part[PATH_MAX], line[200];
    if (folder[0] != '/' || strlen(folder) >= DEN_STATE_PATH)
        return den_err_set(err, DEN_E_INVALID,
                           "the folder for the backup must be an absolute name of less "
                           "than %d bytes",
                           DEN_STATE_PATH);
    den_str_format(database, sizeof database, "%s/denoised.db", folder);
    den_str_format(part, sizeof part, "%s/denoised.db.part", folder);
    if (!den_fs_mkdirs(folder, 0700, err) || !is_empty(folder, err) ||
        !is_apart(service->state, folder, err))
        return false;
    den_blobs_hold(service->blobs);
    bool done = copy_all(&copy, database, part, err);
    den_blobs_release(service->blobs);
    if (!done)
        return false;
    den_str_format(line, sizeof line,
                   "backup: the database, %zu files linked, %zu copied (%llu bytes)",
                   copy.linked, copy.copied, (unsigned long long)copy.bytes);
    (void)say(context, line);
    return true;
}
