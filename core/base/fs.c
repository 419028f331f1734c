#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "mem.h"
#include "rng.h"
#include "str.h"

/* No texts here name a path: they reach users, who know their file by another name. */

static bool make_folder(const char *path, mode_t mode, struct den_err *err)
{
    struct stat info;
    if (mkdir(path, mode) == 0)
        return true;
    int sys = errno;
    /* A read-only parent may answer EROFS or EACCES for a folder that is there. */
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return true;
    return den_err_sys(err, sys, "a folder cannot be made");
}

bool den_fs_mkdirs(const char *path, mode_t mode, struct den_err *err)
{
    char *part = den_strdup(path);
    if (part == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
    bool done = true;
    for (char *p = part + 1; done && part[0] != '\0' && *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        done = make_folder(part, mode, err);
        *p = '/';
    }
    done = done && make_folder(part, mode, err);
    den_free(part);
    return done;
}

/* close(2) is where some file systems report a failed write; EINTR still closes. */
static bool close_checked(int fd, struct den_err *err)
{
    if (close(fd) == 0 || errno == EINTR)
        return true;
    return den_err_sys(err, errno, "a file cannot be closed");
}

static bool too_large(uint64_t size, size_t maximum, struct den_err *err)
{
    return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)maximum, (int64_t)size,
                         "the file has more than the allowed %zu bytes", maximum);
}

/* Reads to the end of fd.  *data has *capacity bytes, one of them for the NUL, and grows
 * when the file turns out longer than it said (it may be written to, or be in /proc). */
static bool read_all(int fd, size_t maximum, char **data, size_t *capacity,
                     size_t *ret_length, struct den_err *err)
{
    size_t length = 0;
    for (;;) {
        if (length + 1 == *capacity) {
            size_t more = *capacity > 2048 ? *capacity * 2 : 4096;
            char *grown = den_realloc(*data, more, 1);
            if (grown == NULL)
                return den_err_set(err, DEN_E_NO_MEMORY,
                                   "there is not enough memory for %zu bytes", more);
            *data = grown;
            *capacity = more;
        }
        ssize_t got = read(fd, *data + length, *capacity - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return den_err_sys(err, errno, "a file cannot be read");
        if (got == 0)
            break;
        length += (size_t)got;
        if (length > maximum)
            return too_large(length, maximum, err);
    }
    (*data)[length] = '\0';
    *ret_length = length;
    return true;
}

static bool open_regular(const char *path, int *ret_fd, uint64_t *ret_size,
                         struct den_err *err)
{
    /* O_NONBLOCK: without it a named pipe would hold the caller in open(2). */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return den_err_sys(err, errno, "a file cannot be opened");
    struct stat info;
    if (fstat(fd, &info) != 0)
        den_err_sys(err, errno, "a file cannot be read");
    else if (!S_ISREG(info.st_mode))
        den_err_set(err, DEN_E_INVALID, "this is not a regular file");
    else {
        *ret_fd = fd;
        *ret_size = (uint64_t)info.st_size;
        return true;
    }
    close(fd);
    return false;
}

bool den_fs_read(const char *path, size_t maximum, char **ret_data, size_t *ret_length,
                 struct den_err *err)
{
    bool done = false;
    char *data = NULL;
    int fd = -1;
    uint64_t size = 0;
    if (!open_regular(path, &fd, &size, err))
        return false;
    if (size > maximum) {
        too_large(size, maximum, err);
        goto out;
    }
    /* One byte for the NUL, and one to meet the end in one go. */
    size_t length = 0, capacity = (size_t)size + 2;
    data = den_new(capacity, 1, err);
    if (data == NULL || !read_all(fd, maximum, &data, &capacity, &length, err))
        goto out;
    *ret_data = data;
    *ret_length = length;
    data = NULL;
    done = true;
out:
    den_free(data);
    close(fd);
    return done;
}

bool den_fs_map(const char *path, size_t maximum, char **ret_data, size_t *ret_length,
                struct den_err *err)
{
    int fd = -1;
    uint64_t size = 0;
    void *data = NULL; /* of an empty file, which cannot be mapped */
    if (!open_regular(path, &fd, &size, err))
        return false;
    bool fits = size <= maximum;
    if (fits && size > 0)
        data = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
    int error = errno;
    close(fd);
    if (!fits)
        return too_large(size, maximum, err);
    if (data == MAP_FAILED)
        return den_err_sys(err, error, "a file cannot be read");
    *ret_data = data;
    *ret_length = (size_t)size;
    return true;
}

void den_fs_unmap(char *data, size_t length)
{
    if (data != NULL)
        munmap(data, length);
}

void den_fs_unload(const char *data, size_t length)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)data;
    uintptr_t past = from % page;
    if (length > 0) /* a hint: if it fails, the bytes merely stay */
        madvise((void *)(from - past), length + past, MADV_DONTNEED);
}

bool den_fs_write_fd(int fd, const void *data, size_t length, struct den_err *err)
{
    const char *bytes = data;
    while (length > 0) {
        ssize_t put = write(fd, bytes, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return den_err_sys(err, errno, "a file cannot be written");
        if (put == 0) /* would loop for ever; no file system should do it */
            return den_err_sys(err, EIO, "a file cannot be written");
        bytes += put;
        length -= (size_t)put;
    }
    return true;
}

void den_fs_write_behind(int fd, uint64_t from, uint64_t bytes)
{
    sync_file_range(fd, (off_t)from, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
}

void den_fs_write_along(int fd, uint64_t written, uint64_t *started)
{
    const uint64_t step = 1 << 20;
    if (written - *started < step)
        return;
    den_fs_write_behind(fd, *started, written - *started);
    *started = written;
}

bool den_fs_sync_folder(const char *path, struct den_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return den_err_sys(err, errno, "a folder cannot be opened");
    bool done = true;
    if (fsync(fd) != 0 &&
        errno != EINVAL) /* EINVAL: this file system has no such thing */
        done = den_err_sys(err, errno, "a folder cannot be written to disk");
    close(fd);
    return done;
}

/* A rename lasts only when the folder that holds the name is on disk. */
bool den_fs_sync_folder_of(const char *file, struct den_err *err)
{
    char *folder = den_strdup(file);
    if (folder == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder ? 1 : 0] = '\0';
    bool done = den_fs_sync_folder(slash == NULL ? "." : folder, err);
    den_free(folder);
    return done;
}

bool den_fs_rename_durable(const char *from, const char *to, struct den_err *err)
{
    if (rename(from, to) != 0)
        return den_err_sys(err, errno, "a file cannot be renamed");
    return den_fs_sync_folder_of(to, err);
}

/* A new file beside path, under a name that nobody else uses; *ret_name by den_free. */
static bool open_temporary(const char *path, char **ret_name, int *ret_fd,
                           struct den_err *err)
{
    size_t size = strlen(path) + 32;
    char *name = den_new(size, 1, err);
    if (name == NULL)
        return false;
    int fd = -1;
    for (int attempt = 0; attempt < 8; attempt++) {
        uint64_t number;
        den_random_bytes(&number, sizeof number);
        den_str_format(name, size, "%s.%016llx.tmp", path, (unsigned long long)number);
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            break;
    }
    if (fd < 0) {
        den_err_sys(err, errno, "a file cannot be made");
        den_free(name);
        return false;
    }
    *ret_name = name;
    *ret_fd = fd;
    return true;
}

bool den_fs_write(const char *path, const void *data, size_t length, struct den_err *err)
{
    char *name = NULL;
    int fd = -1;
    if (!open_temporary(path, &name, &fd, err))
        return false;
    bool done = den_fs_write_fd(fd, data, length, err);
    if (done && fsync(fd) != 0)
        done = den_err_sys(err, errno, "a file cannot be written to disk");
    done = close_checked(fd, err) && done;
    done = done && den_fs_rename_durable(name, path, err);
    if (!done)
        unlink(name); /* after a successful rename there is nothing left to remove */
    den_free(name);
    return done;
}

bool den_fs_size(const char *path, uint64_t *ret, struct den_err *err)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return den_err_sys(err, errno, "the size of a file cannot be read");
    *ret = (uint64_t)info.st_size;
    return true;
}

bool den_fs_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

bool den_fs_remove(const char *path, struct den_err *err)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return true;
    return den_err_sys(err, errno, "a file cannot be removed");
}

/* nftw stops at a result other than 0, and hands it on: the errno. */
static int remove_one(const char *path, const struct stat *info, int type,
                      struct FTW *position)
{
    (void)info;
    (void)type;
    (void)position;
    return remove(path) == 0 || errno == ENOENT ? 0 : errno;
}

bool den_fs_remove_tree(const char *path, struct den_err *err)
{
    enum { OPEN_FOLDERS = 16 };
    /* FTW_PHYS: a symbolic link is removed, never followed. */
    int sys = nftw(path, remove_one, OPEN_FOLDERS, FTW_DEPTH | FTW_PHYS);
    if (sys == -1)
        sys = errno;
    if (sys == 0 || sys == ENOENT)
        return true;
    return den_err_sys(err, sys, "a folder cannot be removed");
}

bool den_fs_free_bytes(const char *path, uint64_t *ret, struct den_err *err)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return den_err_sys(err, errno, "the free space cannot be read");
    *ret = (uint64_t)info.f_bavail * info.f_frsize;
    return true;
}
