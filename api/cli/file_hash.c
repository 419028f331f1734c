#include "file_hash.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <string.h>
#include <unistd.h>

#include "mem.h"

#define PIECE ((size_t)1 << 20) /* bytes */

static void to_hex(struct sha256_ctx *context, char to[DEN_SHA256_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t bytes[SHA256_DIGEST_SIZE];
    sha256_digest(context, sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        to[2 * i] = digits[bytes[i] >> 4];
        to[2 * i + 1] = digits[bytes[i] & 15];
    }
    to[DEN_SHA256_SIZE - 1] = '\0';
}

bool den_file_sha256(const char *path, char ret[DEN_SHA256_SIZE], struct den_err *err)
{
    struct sha256_ctx context;
    uint8_t *piece = NULL;
    ssize_t got = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return den_err_sys(err, errno, "%.160s cannot be read", path);
    piece = den_new(PIECE, 1, err);
    if (piece == NULL)
        goto out;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    sha256_init(&context);
    while ((got = read(fd, piece, PIECE)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0)
            sha256_update(&context, (size_t)got, piece);
    if (got < 0)
        (void)den_err_sys(err, errno, "%.160s cannot be read", path);
    else
        to_hex(&context, ret);
out:
    den_free(piece);
    (void)close(fd);
    return got == 0;
}

void den_text_sha256(const char *text, char ret[DEN_SHA256_SIZE])
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, strlen(text), (const uint8_t *)text);
    to_hex(&context, ret);
}
