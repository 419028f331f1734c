#include "ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "fs.h"
#include "str.h"

static bool name_of(const char *database, const char *ending, char *to,
                    struct den_err *err)
{
    return den_str_format(to, PATH_MAX, "%s.ballast%s", database, ending) ||
           den_err_set(err, DEN_E_INVALID, "the name of the state folder is too long");
}

/* Blocks are set aside, not written.  Under another name until they are all there: a
 * failed try must not count as ballast, nor keep the blocks that it got. */
static bool fill(const char *part, const char *path, uint64_t bytes, struct den_err *err)
{
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return den_err_sys(err, errno, "the ballast file cannot be made");
    bool done = fallocate(fd, 0, 0, (off_t)bytes) == 0 ||
                den_err_sys(err, errno, "the ballast file cannot be made");
    done = close(fd) == 0 && done;
    if (done && rename(part, path) != 0)
        done = den_err_sys(err, errno, "the ballast file cannot be made");
    if (!done)
        unlink(part);
    return done;
}

bool den_ballast_keep(const char *database, uint64_t bytes, uint64_t spare,
                      struct den_err *err)
{
    char path[PATH_MAX], part[PATH_MAX];
    uint64_t room = 0;
    struct den_err why = DEN_ERR_INIT;
    if (!name_of(database, "", path, err) || !name_of(database, ".part", part, err))
        return false;
    if (bytes == 0 || den_fs_exists(path))
        return true;
    if (!den_fs_free_bytes(database, &room, err))
        return false;
    if (room < spare || room - spare < bytes)
        return true;
    if (fill(part, path, bytes, &why) || why.code == DEN_E_DISK_FULL ||
        why.sys == EOPNOTSUPP)
        return true;
    return den_err_set(err, why.code, "%s", why.text);
}

bool den_ballast_drop(const char *database)
{
    char path[PATH_MAX];
    return name_of(database, "", path, NULL) && unlink(path) == 0;
}
