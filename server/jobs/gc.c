/* An end to what nobody needs: mark and sweep over the files, and age. */

#include "upkeep.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "clock.h"
#include "fs.h"
#include "log.h"
#include "service_private.h"
#include "str.h"

enum { GRACE_S = 24 * 60 * 60, MIB = 1 << 20 };

struct sweep {
    struct den_service *service;
    bool dry_run;
    den_say *say;
    void *context;
    size_t removed;
    uint64_t bytes;
};

/* An upload names its blob before its row is there; a day is longer than any of them. */
static bool is_old(const char *path, uint64_t *ret_bytes)
{
    struct stat info;
    if (stat(path, &info) != 0 || time(NULL) - info.st_mtime < GRACE_S)
        return false;
    *ret_bytes = (uint64_t)info.st_size;
    return true;
}

static void tell(struct sweep *sweep, const char *sha256, uint64_t bytes)
{
    char line[200];
    sweep->removed++;
    sweep->bytes += bytes;
    den_str_format(line, sizeof line, "gc: %s %s, %llu bytes",
                   sweep->dry_run ? "would remove" : "removed", sha256,
                   (unsigned long long)bytes);
    (void)sweep->say(sweep->context, line);
    if (!sweep->dry_run)
        den_log(DEN_INFO, "blob_removed", " sha256=%s bytes=%llu reason=no_row", sha256,
                (unsigned long long)bytes);
}

/* A walk over all files may take minutes, for which the end of the service does not
 * wait. */
static bool leaving(struct den_service *s, struct den_err *err)
{
    return atomic_load(&s->stopping) &&
           !den_err_set(err, DEN_E_DRAINING, "the server is going down");
}

static bool sweep_one(void *context, const char *sha256, struct den_err *err)
{
    struct sweep *sweep = context;
    struct den_service *s = sweep->service;
    char path[PATH_MAX];
    uint64_t bytes = 0;
    bool used = true;
    if (leaving(s, err))
        return false;
    den_blobs_path(s->blobs, sha256, path, sizeof path);
    if (!is_old(path, &bytes))
        return true;
    pthread_mutex_lock(&s->blob_lock); /* no upload of the same bytes is under way */
    bool done = s->kind->blob_used(s->store, sha256, &used, err) &&
                (used || sweep->dry_run || den_blobs_remove(s->blobs, sha256, err));
    pthread_mutex_unlock(&s->blob_lock);
    /* While a backup holds them, nothing is removed. */
    if (done && !used && (sweep->dry_run || !den_fs_exists(path)))
        tell(sweep, sha256, bytes);
    return done;
}

bool den_service_collect(struct den_service *service, bool dry_run, den_say *say,
                         void *context, size_t *ret_removed, struct den_err *err)
{
    struct sweep sweep = {
        .service = service, .dry_run = dry_run, .say = say, .context = context};
    char line[200];
    if (!den_blobs_each(service->blobs, sweep_one, &sweep, err))
        return false;
    den_str_format(line, sizeof line, "gc: %zu files, %llu bytes %s", sweep.removed,
                   (unsigned long long)sweep.bytes, dry_run ? "to remove" : "removed");
    (void)say(context, line);
    *ret_removed = sweep.removed;
    return true;
}

/* ---- age ---- */

static int64_t days_ago(int64_t days)
{
    return den_wall_ms() - days * INT64_C(24) * 60 * 60 * 1000;
}

struct trial {
    struct den_service *service;
    den_say *say;
    void *context;
    int64_t before_ms;
    uint64_t bytes;
    bool over; /* nobody listens any more */
};

static void tell_old(struct trial *trial, bool image, const struct den_old_row *row)
{
    char path[PATH_MAX], line[200], day[32] = "";
    struct stat info;
    struct tm tm;
    const time_t since = (time_t)(row->since_ms / 1000);
    den_blobs_path(trial->service->blobs, row->sha256, path, sizeof path);
    uint64_t bytes = stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
    if (gmtime_r(&since, &tm) != NULL)
        (void)strftime(day, sizeof day, "%Y-%m-%d", &tm);
    trial->bytes += bytes;
    den_str_format(line, sizeof line, "retention: would delete %s, %s %s, %llu bytes",
                   row->id, image ? "uploaded" : "ended", day, (unsigned long long)bytes);
    trial->over = !trial->say(trial->context, line);
}

static bool try_all(struct trial *trial, bool images, size_t *ret_count,
                    struct den_err *err)
{
    enum { ROWS = 64 };
    struct den_service *s = trial->service;
    struct den_old_row rows[ROWS];
    char after[DEN_ID_SIZE] = "";
    size_t count = ROWS, all = 0;
    while (count == ROWS && !trial->over) {
        if (leaving(s, err) || !s->kind->old(s->store, images, trial->before_ms, after,
                                             ROWS, rows, &count, err))
            return false;
        for (size_t i = 0; i < count && !trial->over; i++)
            tell_old(trial, images, &rows[i]);
        if (count > 0)
            den_str_copy(after, sizeof after, rows[count - 1].id);
        all += count;
    }
    *ret_count = all;
    return true;
}

bool den_service_expire_try(struct den_service *service, int64_t days, den_say *say,
                            void *context, struct den_err *err)
{
    char line[200];
    size_t jobs = 0, images = 0;
    if (days < 0)
        days = service->config.retention_days;
    struct trial trial = {
        .service = service, .say = say, .context = context, .before_ms = days_ago(days)};
    if (days == 0) {
        (void)say(context, "retention: retention_days is 0, nothing is deleted by age");
        return true;
    }
    if (!try_all(&trial, false, &jobs, err) || !try_all(&trial, true, &images, err))
        return false;
    den_str_format(line, sizeof line,
                   "retention: %zu jobs and %zu images, %llu bytes to delete "
                   "(retention_days = %lld)",
                   jobs, images, (unsigned long long)trial.bytes, (long long)days);
    (void)say(context, line);
    return true;
}

bool den_service_expire(struct den_service *service, struct den_err *err)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000000L}; /* others want the store */
    size_t jobs = 0, images = 0, some_jobs = 1, some_images = 0;
    bool done = true;
    if (service->config.retention_days == 0)
        return true;
    int64_t before = days_ago(service->config.retention_days);
    while (done && some_jobs + some_images > 0) {
        if (jobs + images > 0)
            (void)nanosleep(&pause, NULL);
        some_jobs = some_images = 0;
        done =
            !leaving(service, err) &&
            service->kind->expire(service->store, before, &some_jobs, &some_images, err);
        jobs += some_jobs;
        images += some_images;
    }
    if (jobs + images > 0)
        den_log(DEN_INFO, "expired", " jobs=%zu images=%zu", jobs, images);
    return done;
}

bool den_service_room(struct den_service *service, struct den_err *err)
{
    uint64_t room = 0, least = service->config.min_free;
    if (least == 0)
        return true;
    if (!den_fs_free_bytes(service->state, &room, err))
        return false;
    if (room >= least)
        return true;
    return den_err_set(err, DEN_E_DISK_FULL,
                       "the disk of the server is nearly full: %llu MiB are free and "
                       "%llu MiB must be",
                       (unsigned long long)(room / MIB),
                       (unsigned long long)(least / MIB));
}
