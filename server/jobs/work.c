/* The folders in which jobs work: work/<job>.<gen>. */

#include "service_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "str.h"

enum { GEN_DIGITS = 20 };

void den_service_work_path(const struct den_service *service,
                           const struct den_lease *lease, char *to, size_t size)
{
    den_str_format(to, size, "%s/work/%s.%lld", service->state, lease->job,
                   (long long)lease->gen);
}

/* The job that a name in work/ is of, into to[DEN_ID_SIZE], and the lease; those from
 * before there were leases have none. */
static bool read_name(const char *name, char *to, int64_t *ret_gen)
{
    char copy[DEN_ID_SIZE + GEN_DIGITS + 2];
    int64_t gen = 0;
    if (!den_str_copy(copy, sizeof copy, name))
        return false;
    char *dot = strchr(copy, '.');
    if (dot != NULL) {
        *dot = '\0';
        if (!den_parse_int(dot + 1, 1, INT64_MAX, &gen, NULL))
            return false;
    }
    *ret_gen = gen;
    return den_str_copy(to, DEN_ID_SIZE, copy);
}

static DIR *open_work(struct den_service *s, char *path, size_t size, struct den_err *err)
{
    den_str_format(path, size, "%s/work", s->state);
    if (!den_fs_mkdirs(path, 0700, err))
        return NULL;
    DIR *dir = opendir(path);
    if (dir == NULL)
        den_err_sys(err, errno, "a folder cannot be read");
    return dir;
}

/* Half a file may still be written to by who had the folder. */
static bool remove_parts(const char *folder, struct den_err *err)
{
    char path[PATH_MAX];
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return den_err_sys(err, errno, "a folder cannot be read");
    bool done = true;
    for (struct dirent *e; done && (e = readdir(dir)) != NULL;)
        if (den_str_ends(e->d_name, ".part") || den_str_ends(e->d_name, ".tmp")) {
            den_str_format(path, sizeof path, "%s/%s", folder, e->d_name);
            done = den_fs_remove(path, err);
        }
    closedir(dir);
    return done;
}

/* The newest folder that the job has, before this lease; "" when it has none. */
static bool find_earlier(struct den_service *s, const struct den_lease *lease, char *to,
                         size_t size, struct den_err *err)
{
    char work[DEN_STATE_PATH + 8], job[DEN_ID_SIZE];
    int64_t newest = -1, gen;
    DIR *dir = open_work(s, work, sizeof work, err);
    if (dir == NULL)
        return false;
    to[0] = '\0';
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (read_name(e->d_name, job, &gen) && strcmp(job, lease->job) == 0 &&
            gen > newest && gen < lease->gen) {
            newest = gen;
            den_str_format(to, size, "%s/%s", work, e->d_name);
        }
    closedir(dir);
    return true;
}

bool den_service_take_work(struct den_service *s, const struct den_lease *lease,
                           struct den_err *err)
{
    char path[DEN_STATE_PATH + 64], earlier[PATH_MAX];
    den_service_work_path(s, lease, path, sizeof path);
    if (!find_earlier(s, lease, earlier, sizeof earlier, err))
        return false;
    if (earlier[0] == '\0')
        return den_fs_mkdirs(path, 0700, err);
    if (rename(earlier, path) != 0)
        return den_err_sys(err, errno, "a folder cannot be renamed");
    return remove_parts(path, err);
}

/* ---- at start, and now and then: a job that waits can be cancelled or deleted ---- */

static bool sweep_one(struct den_service *s, const char *folder, const char *name,
                      struct den_err *err)
{
    struct den_job_row row;
    char path[PATH_MAX], job[DEN_ID_SIZE];
    int64_t gen;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    if (read_name(name, job, &gen)) {
        struct den_err why = DEN_ERR_INIT;
        bool known = s->kind->job_any(s->store, job, &row, &why);
        if (known ? row.state == DEN_JOB_QUEUED || row.state == DEN_JOB_RUNNING ||
                        row.state == DEN_JOB_CANCELLING
                  : why.code != DEN_E_NOT_FOUND)
            return true; /* it is at work, or goes on from its checkpoint */
    }
    den_str_format(path, sizeof path, "%s/%s", folder, name);
    return den_fs_remove_tree(path, err);
}

bool den_service_sweep_work(struct den_service *s, struct den_err *err)
{
    char work[DEN_STATE_PATH + 8];
    DIR *dir = open_work(s, work, sizeof work, err);
    bool done = dir != NULL;
    for (struct dirent *e; done && (e = readdir(dir)) != NULL;)
        done = sweep_one(s, work, e->d_name, err);
    if (dir != NULL)
        closedir(dir);
    return done;
}
