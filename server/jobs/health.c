/* How the job machine is, for those who watch over it. */

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "clock.h"
#include "fs.h"
#include "service_private.h"
#include "str.h"

struct den_histogram *den_service_seconds(struct den_service *service, size_t kind)
{
    return &service->seconds[kind];
}

bool den_service_store_answers(struct den_service *service, struct den_err *err)
{
    return service->kind->ping(service->store, err);
}

/* The longest silence of a worker that was started. */
static double silence(struct den_service *s)
{
    double longest = 0, now = den_monotonic_s();
    pthread_mutex_lock(&s->lock);
    for (int i = 0; i < s->worker_count; i++) {
        struct den_worker *worker = &s->workers[i];
        double silent = now - atomic_load_explicit(&worker->seen, memory_order_relaxed);
        if (worker->started && silent > longest)
            longest = silent;
    }
    pthread_mutex_unlock(&s->lock);
    return longest;
}

bool den_service_workers_live(struct den_service *service, double silent_s,
                              struct den_err *err)
{
    double silent = silence(service);
    return silent_s <= 0 || silent <= silent_s ||
           den_err_set(err, DEN_E_INTERNAL,
                       "a worker gave no sign of life for %.0f seconds; %.0f are allowed",
                       silent, silent_s);
}

/* ---- the age of checkpoints ---- */

static int64_t changed_ms(int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

/* Seconds since the newest checkpoint in a job's folder was written; when it has none,
 * since the folder was made. */
static double age_of(const char *folder, int64_t now_ms)
{
    int64_t newest = 0;
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return -1;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        bool one = den_str_ends(entry->d_name, "checkpoint");
        int64_t ms = one ? changed_ms(dirfd(dir), entry->d_name) : 0;
        if (ms > newest)
            newest = ms;
    }
    if (newest == 0)
        newest = changed_ms(dirfd(dir), ".");
    closedir(dir);
    return now_ms > newest ? 1e-3 * (double)(now_ms - newest) : 0;
}

/* Of the running trainings the one whose checkpoint is oldest; < 0: none runs. */
static double checkpoint_age(struct den_service *s)
{
    double oldest = -1;
    int64_t now = den_wall_ms();
    for (int i = 0; i < s->worker_count; i++) {
        char folder[DEN_STATE_PATH + 64];
        struct den_lease lease = {.gen = 0};
        pthread_mutex_lock(&s->lock);
        for (struct den_task *t = s->workers[i].task; t != NULL; t = t->outer)
            if (den_class_trains(t->class))
                lease = t->lease;
        pthread_mutex_unlock(&s->lock);
        if (lease.job[0] == '\0')
            continue;
        den_service_work_path(s, &lease, folder, sizeof folder);
        double age = age_of(folder, now);
        if (age > oldest)
            oldest = age;
    }
    return oldest;
}

bool den_service_vitals(struct den_service *service, struct den_service_vitals *ret,
                        struct den_err *err)
{
    const char *names[DEN_JOB_KINDS];
    struct den_service_vitals vitals = {.disk_least = service->config.min_free};
    for (size_t i = 0; i < DEN_JOB_KINDS; i++)
        names[i] = den_job_kinds[i]->name;
    if (!service->kind->job_depths(service->store, names, DEN_JOB_KINDS, vitals.queued,
                                   err) ||
        !den_fs_free_bytes(service->state, &vitals.disk_free, err))
        return false;
    vitals.checkpoint_age = checkpoint_age(service);
    vitals.silent = silence(service);
    *ret = vitals;
    return true;
}
