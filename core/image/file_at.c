#include "file_at.h"

#include <errno.h>
#include <unistd.h>

#include "mem.h"

enum { BLOCK = 1 << 20 }; /* bytes */

bool den_file_read_at(int fd, uint64_t offset, void *to, size_t bytes,
                      struct den_err *err)
{
    unsigned char *at = to;
    for (size_t done = 0; done < bytes;) {
        ssize_t got = pread(fd, at + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return den_err_sys(err, errno, "the image cannot be read");
        if (got == 0)
            return den_err_set(
                err, DEN_E_UNPROCESSABLE,
                "the image file is cut short, or shrank while it was read");
        done += (size_t)got;
    }
    return true;
}

bool den_file_write_at(int fd, uint64_t offset, const void *from, size_t bytes,
                       struct den_err *err)
{
    const unsigned char *at = from;
    for (size_t done = 0; done < bytes;) {
        ssize_t put = pwrite(fd, at + done, bytes - done, (off_t)(offset + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return den_err_sys(err, errno, "the image cannot be written");
        done += (size_t)put;
    }
    return true;
}

bool den_file_zero_at(int fd, uint64_t offset, uint64_t bytes, struct den_err *err)
{
    static const unsigned char zeros[4096];
    while (bytes > 0) {
        size_t step = bytes < sizeof zeros ? (size_t)bytes : sizeof zeros;
        if (!den_file_write_at(fd, offset, zeros, step, err))
            return false;
        offset += step;
        bytes -= step;
    }
    return true;
}

static bool copy_by_blocks(int from, int to, uint64_t offset, uint64_t bytes,
                           struct den_err *err)
{
    bool done = false;
    void *block = den_new(1, bytes < BLOCK ? (size_t)bytes : BLOCK, err);
    if (block == NULL)
        return false;
    while (bytes > 0) {
        size_t step = bytes < BLOCK ? (size_t)bytes : BLOCK;
        if (!den_file_read_at(from, offset, block, step, err) ||
            !den_file_write_at(to, offset, block, step, err))
            goto out;
        offset += step;
        bytes -= step;
    }
    done = true;
out:
    den_free(block);
    return done;
}

bool den_file_copy_at(int from, int to, uint64_t offset, uint64_t bytes,
                      struct den_err *err)
{
    while (bytes > 0) {
        off_t in = (off_t)offset, out = (off_t)offset;
        size_t step = bytes < (size_t)1 << 30 ? (size_t)bytes : (size_t)1 << 30;
        ssize_t put = copy_file_range(from, &in, to, &out, step, 0);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) /* other file systems, devices, old kernels, or a real error, which
                         will be met again */
            return copy_by_blocks(from, to, offset, bytes, err);
        offset += (uint64_t)put;
        bytes -= (uint64_t)put;
    }
    return true;
}
