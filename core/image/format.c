#include "format.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "str.h"

bool den_format_open(const char *path, int *ret_fd, uint64_t *ret_bytes,
                     struct den_err *err)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO must be refused, not waited for. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return den_err_sys(err, errno, "the image cannot be opened");
    if (fstat(fd, &st) != 0) {
        den_err_sys(err, errno, "the image cannot be opened");
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        den_err_set(err, DEN_E_UNPROCESSABLE, "the image is not a regular file");
        goto out;
    }
    if (st.st_size == 0) {
        den_err_set(err, DEN_E_UNPROCESSABLE, "the image file is empty");
        goto out;
    }
    *ret_fd = fd;
    *ret_bytes = (uint64_t)st.st_size;
    return true;
out:
    close(fd);
    return false;
}

bool den_format_create(const char *path, int *ret_fd, struct den_err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return den_err_sys(err, errno, "the image cannot be created");
    *ret_fd = fd;
    return true;
}

bool den_format_admit_page(const struct den_image_info *info,
                           const struct den_image_limits *limits, struct den_err *err)
{
    uint32_t side = info->width > info->height ? info->width : info->height;
    uint64_t pixels = (uint64_t)info->width * info->height;
    if (info->width == 0 || info->height == 0)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the image is %" PRIu32 " x %" PRIu32
                           " pixels; both sides must be at least 1",
                           info->width, info->height);
    if (side > limits->side)
        return den_err_limit(err, DEN_E_TOO_LARGE, limits->side, side,
                             "the image is %" PRIu32 " x %" PRIu32
                             " pixels; a side may have at most %" PRIu32,
                             info->width, info->height, limits->side);
    if (pixels > limits->page_pixels)
        return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)limits->page_pixels,
                             (int64_t)pixels,
                             "the image is %" PRIu32 " x %" PRIu32
                             " pixels; a page may have at most %" PRIu64 " pixels",
                             info->width, info->height, limits->page_pixels);
    return true;
}

static uint64_t ratio_limit(uint64_t file_bytes, uint64_t ratio)
{
    if (file_bytes > (UINT64_MAX - DEN_UNPACK_SLACK) / ratio)
        return UINT64_MAX;
    return file_bytes * ratio + DEN_UNPACK_SLACK;
}

bool den_format_admit_file(const struct den_image_info *info, uint64_t unpacked,
                           uint64_t file_bytes, const struct den_image_limits *limits,
                           struct den_err *err)
{
    uint64_t ratio = ratio_limit(file_bytes, limits->unpack_ratio);
    uint64_t allowed = ratio < limits->decoded_bytes ? ratio : limits->decoded_bytes;
    if (info->pages > limits->pages)
        return den_err_limit(err, DEN_E_TOO_LARGE, limits->pages, info->pages,
                             "the image has %" PRIu32 " pages; at most %" PRIu32
                             " are allowed",
                             info->pages, limits->pages);
    if (unpacked > allowed)
        return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)allowed, (int64_t)unpacked,
                             "the image of %" PRIu64 " bytes unpacks to %" PRIu64
                             " bytes; at most %" PRIu64 " are allowed",
                             file_bytes, unpacked, allowed);
    return true;
}

void den_format_message(char *to, size_t size, const char *from)
{
    (void)den_str_copy(to, size, from);
    for (char *c = to; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    size_t length = strlen(to);
    while (length > 0 && (to[length - 1] == '.' || to[length - 1] == ' '))
        to[--length] = '\0';
}
