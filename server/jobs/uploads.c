#include "uploads.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fault.h"
#include "fs.h"
#include "log.h"
#include "mem.h"
#include "service_private.h"
#include "str.h"

/* Parts on their way, of all services of the process (there is one). */
static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static struct den_upload_part *open_parts;

enum { PATH_SIZE = DEN_STATE_PATH + 64, MIB = 1 << 20 };

static void path_of(const struct den_service *s, const char *id, char *to)
{
    den_str_format(to, PATH_SIZE, "%s/uploads/%s", s->state, id);
}

static int64_t expiry(void)
{
    return den_wall_ms() + INT64_C(3600000) * DEN_UPLOAD_HOURS;
}

/* ---- beginning ---- */

static bool has_room(struct den_service *s, uint64_t length, struct den_err *err)
{
    uint64_t room = 0;
    if (!den_fs_free_bytes(s->state, &room, err))
        return false;
    return (room >= length && room - length >= s->config.min_free) ||
           den_err_set(err, DEN_E_DISK_FULL,
                       "the disk of the server has %llu MiB free; an upload of %llu MiB "
                       "must leave %llu MiB",
                       (unsigned long long)(room / MIB),
                       (unsigned long long)(length / MIB),
                       (unsigned long long)(s->config.min_free / MIB));
}

/* The file with its room on the disk: better refused now than at 99 %. */
static bool make_file(struct den_service *s, const char *path, uint64_t length,
                      struct den_err *err)
{
    char folder[PATH_SIZE];
    den_str_format(folder, sizeof folder, "%s/uploads", s->state);
    if (!den_fs_mkdirs(folder, 0700, err))
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return den_err_sys(err, errno, "the upload cannot be stored");
    bool done = true;
    if (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)length) != 0 &&
        (errno == ENOSPC || errno == EDQUOT))
        done = den_err_sys(err, errno, "%llu bytes cannot be stored",
                           (unsigned long long)length);
    close(fd);
    if (!done || !den_fs_sync_folder(folder, err)) {
        unlink(path);
        return false;
    }
    return true;
}

bool den_service_add_upload(struct den_service *service, const char *owner,
                            const char *name, uint64_t length, uint64_t most,
                            struct den_upload_row *ret, struct den_err *err)
{
    struct den_upload_row row = {.length = length, .created_ms = den_wall_ms()};
    char path[PATH_SIZE];
    if (length == 0)
        return den_err_field(err, DEN_E_INVALID, "Upload-Length",
                             "an upload has at least 1 byte");
    if (length > most)
        return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)most, (int64_t)length,
                             "the upload has more than the allowed %llu bytes",
                             (unsigned long long)most);
    if (!den_service_check_name(name, "an image", err) || !has_room(service, length, err))
        return false;
    den_id_new("upl_", row.id);
    den_str_copy(row.owner, sizeof row.owner, owner);
    den_str_copy(row.name, sizeof row.name, name);
    row.expires_ms = expiry();
    path_of(service, row.id, path);
    if (!make_file(service, path, length, err))
        return false;
    if (!service->kind->upload_add(service->store, &row, DEN_UPLOADS_PER_OWNER, err)) {
        unlink(path);
        return false;
    }
    DEN_FAILPOINT("upload_added");
    *ret = row;
    return true;
}

/* ---- looking ---- */

bool den_service_upload_offset(struct den_service *service,
                               const struct den_upload_row *row, uint64_t *ret,
                               struct den_err *err)
{
    char path[PATH_SIZE];
    if (row->image[0] != '\0') {
        *ret = row->length;
        return true;
    }
    path_of(service, row->id, path);
    return den_fs_size(path, ret, err);
}

/* ---- the end of those that nobody goes on with ---- */

/* Under open_lock. */
static bool find_open(const char *id)
{
    const struct den_upload_part *part = open_parts;
    while (part != NULL && strcmp(part->row.id, id) != 0)
        part = part->next;
    return part != NULL;
}

static bool on_its_way(const char *id)
{
    pthread_mutex_lock(&open_lock);
    bool found = find_open(id);
    pthread_mutex_unlock(&open_lock);
    return found;
}

static bool enter(struct den_upload_part *part, const char *owner, const char *id,
                  struct den_err *err);
static void leave(struct den_upload_part *part);

bool den_service_delete_upload(struct den_service *service, const char *owner,
                               const char *id, struct den_err *err)
{
    struct den_upload_part all = {.service = service, .fd = -1}; /* nobody else's turn */
    char path[PATH_SIZE];
    if (!enter(&all, owner, id, err))
        return false;
    path_of(service, id, path);
    bool done = service->kind->upload_delete(service->store, owner, id, err) &&
                den_fs_remove(path, err);
    leave(&all);
    return done;
}

/* Whose parts are on their way is not over. */
static void touch_open(struct den_service *s)
{
    char ids[DEN_UPLOADS_PER_OWNER][DEN_ID_SIZE];
    size_t count = 0;
    pthread_mutex_lock(&open_lock);
    for (const struct den_upload_part *part = open_parts;
         part != NULL && count < DEN_UPLOADS_PER_OWNER; part = part->next)
        den_str_copy(ids[count++], DEN_ID_SIZE, part->row.id);
    pthread_mutex_unlock(&open_lock);
    for (size_t i = 0; i < count; i++)
        if (!s->kind->upload_touch(s->store, ids[i], expiry(), NULL))
            den_log(DEN_DEBUG, "upload_not_touched", " upload=%s", ids[i]);
}

/* A file is there before its row, and may be for as long as it takes to add that. */
static bool sweep_file(struct den_service *s, const char *id, struct den_err *err)
{
    const int grace_s = 600;
    char path[PATH_SIZE];
    struct stat info;
    bool live = true;
    path_of(s, id, path);
    if (!den_id_valid(id, "upl_") || on_its_way(id) || stat(path, &info) != 0 ||
        den_wall_ms() / 1000 - info.st_mtime < grace_s)
        return true;
    if (!s->kind->upload_live(s->store, id, &live, err))
        return false;
    if (live)
        return true;
    den_log(DEN_INFO, "upload_removed", " upload=%s bytes=%lld", id,
            (long long)info.st_size);
    return den_fs_remove(path, err);
}

bool den_service_sweep_uploads(struct den_service *service, struct den_err *err)
{
    char folder[PATH_SIZE];
    den_str_format(folder, sizeof folder, "%s/uploads", service->state);
    touch_open(service);
    if (!service->kind->upload_expire(service->store, den_wall_ms(), err))
        return false;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return errno == ENOENT || den_err_sys(err, errno, "a folder cannot be read");
    bool done = true;
    for (struct dirent *e; done && (e = readdir(dir)) != NULL;)
        done = sweep_file(service, e->d_name, err);
    closedir(dir);
    return done;
}

/* ---- a part ---- */

/* One at a time for an upload; its row is read when nobody else can change it.  What is
 * not the owner's is told as such before anything else. */
static bool enter(struct den_upload_part *part, const char *owner, const char *id,
                  struct den_err *err)
{
    struct den_service *s = part->service;
    struct den_upload_row row;
    if (!s->kind->upload_get(s->store, owner, id, &part->row, err))
        return false;
    pthread_mutex_lock(&open_lock);
    bool taken = find_open(part->row.id);
    if (!taken) {
        part->next = open_parts;
        open_parts = part;
    }
    pthread_mutex_unlock(&open_lock);
    if (taken)
        return den_err_set(err, DEN_E_CONFLICT,
                           "another part of this upload is on its way; ask for the "
                           "offset and try again");
    if (!s->kind->upload_get(s->store, owner, id, &row, err)) {
        leave(part);
        return false;
    }
    pthread_mutex_lock(&open_lock); /* find_open reads the rows of all */
    part->row = row;
    pthread_mutex_unlock(&open_lock);
    return true;
}

static void leave(struct den_upload_part *part)
{
    pthread_mutex_lock(&open_lock);
    for (struct den_upload_part **at = &open_parts; *at != NULL; at = &(*at)->next)
        if (*at == part) {
            *at = part->next;
            break;
        }
    pthread_mutex_unlock(&open_lock);
}

static bool open_file(struct den_upload_part *part, uint64_t offset, struct den_err *err)
{
    char path[PATH_SIZE];
    if (part->row.image[0] != '\0')
        return den_err_set(err, DEN_E_CONFLICT, "the upload is complete already");
    path_of(part->service, part->row.id, path);
    part->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (part->fd < 0)
        return den_err_sys(err, errno, "the upload cannot be gone on with");
    off_t end = lseek(part->fd, 0, SEEK_END);
    if (end < 0)
        return den_err_sys(err, errno, "the upload cannot be gone on with");
    part->start = (uint64_t)end;
    return part->start == offset ||
           den_err_set(err, DEN_E_CONFLICT,
                       "the upload stands at %llu bytes, and this part begins at %llu",
                       (unsigned long long)part->start, (unsigned long long)offset);
}

bool den_upload_part_open(struct den_service *service, const char *owner, const char *id,
                          uint64_t offset, struct den_upload_part **ret,
                          struct den_err *err)
{
    struct den_upload_part *part = den_new(1, sizeof *part, err);
    if (part == NULL)
        return false;
    part->service = service;
    part->fd = -1;
    if (!enter(part, owner, id, err)) {
        den_free(part);
        return false;
    }
    if (!open_file(part, offset, err)) {
        den_upload_part_close(part);
        return false;
    }
    *ret = part;
    return true;
}

/* The upload is over, file and row.  What cannot be removed now, the sweep removes. */
static void give_up(const struct den_upload_part *part)
{
    struct den_service *s = part->service;
    char path[PATH_SIZE];
    path_of(s, part->row.id, path);
    unlink(path);
    if (!s->kind->upload_delete(s->store, part->row.owner, part->row.id, NULL))
        den_log(DEN_WARN, "upload_not_removed", " upload=%s", part->row.id);
}

/* After a failed sync nobody knows what the disk has, and a second one may not tell
 * [PostgreSQL's lesson of 2018]. */
static bool sync_part(struct den_upload_part *part, struct den_err *err)
{
    if (fsync(part->fd) == 0)
        return true;
    den_err_sys(err, errno, "the upload cannot be written to disk; begin it again");
    give_up(part);
    return false;
}

bool den_upload_part_keep(struct den_upload_part *part, struct den_err *err)
{
    struct den_service *s = part->service;
    if (!sync_part(part, err))
        return false;
    DEN_FAILPOINT("upload_kept");
    return s->kind->upload_touch(s->store, part->row.id, expiry(), err);
}

bool den_upload_part_drop(struct den_upload_part *part, struct den_err *err)
{
    if (ftruncate(part->fd, (off_t)part->start) != 0)
        return den_err_sys(err, errno,
                           "the damaged part of the upload cannot be removed");
    /* Its room went as well; without it later parts may find the disk full. */
    (void)fallocate(part->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)part->row.length);
    return true;
}

/* Under a second name, because the service takes or removes what it is given: should the
 * server end in between, the bytes are still there and the same image comes out. */
bool den_upload_part_finish(struct den_upload_part *part, struct den_image_row *ret,
                            bool *ret_new, struct den_err *err)
{
    struct den_service *s = part->service;
    char path[PATH_SIZE], temporary[PATH_MAX], sha256[DEN_SHA256_SIZE];
    path_of(s, part->row.id, path);
    if (!sync_part(part, err) || !den_blobs_hash(path, sha256, err))
        return false;
    den_blobs_temporary(s->blobs, temporary, sizeof temporary);
    if (link(path, temporary) != 0)
        return den_err_sys(err, errno, "the upload cannot become an image");
    struct den_err why = DEN_ERR_INIT;
    if (!den_service_add_image(s, part->row.owner, temporary, part->row.name, sha256, ret,
                               ret_new, &why)) {
        bool bad = why.code == DEN_E_MALFORMED || why.code == DEN_E_UNPROCESSABLE ||
                   why.code == DEN_E_UNSUPPORTED || why.code == DEN_E_INVALID;
        if (err != NULL)
            *err = why;
        if (bad) /* it does not become better by being sent on */
            give_up(part);
        return false;
    }
    DEN_FAILPOINT("upload_taken");
    if (!s->kind->upload_done(s->store, part->row.id, ret->id, err))
        return false;
    unlink(path);
    return true;
}

void den_upload_part_close(struct den_upload_part *part)
{
    if (part == NULL)
        return;
    leave(part);
    if (part->fd >= 0)
        close(part->fd);
    den_free(part);
}
