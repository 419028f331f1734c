#include "blob.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "fs.h"
#include "mem.h"
#include "rng.h"
#include "str.h"

struct den_blobs {
    atomic_uint held;
    pthread_mutex_t lock; /* guards pins */
    struct den_blob_pin *pins;
    char folder[PATH_MAX / 2]; /* of the state */
};

enum { FANOUT = 256 };

/* All 256 folders at the start: a blob's folder then never has to be made durable at the
 * moment when somebody waits for an upload. */
static bool make_folders(const struct den_blobs *blobs, struct den_err *err)
{
    char path[PATH_MAX];
    for (unsigned i = 0; i < FANOUT; i++) {
        den_str_format(path, sizeof path, "%s/blobs/%02x", blobs->folder, i);
        if (!den_fs_mkdirs(path, 0700, err))
            return false;
    }
    den_str_format(path, sizeof path, "%s/blobs", blobs->folder);
    return den_fs_sync_folder(path, err) && den_fs_sync_folder(blobs->folder, err);
}

/* What lies in tmp/ at the start was left by a process that died. */
static bool clean_temporary(const struct den_blobs *blobs, struct den_err *err)
{
    char path[PATH_MAX];
    den_str_format(path, sizeof path, "%s/tmp", blobs->folder);
    return den_fs_remove_tree(path, err) && den_fs_mkdirs(path, 0700, err);
}

bool den_blobs_open(const char *folder, struct den_blobs **ret, struct den_err *err)
{
    struct den_blobs *blobs = NULL;
    blobs = den_new(1, sizeof *blobs, err);
    if (blobs == NULL)
        return false;
    if (!den_str_copy(blobs->folder, sizeof blobs->folder, folder)) {
        den_err_set(err, DEN_E_INVALID, "the name of the state folder is too long");
        goto fail;
    }
    if (!make_folders(blobs, err) || !clean_temporary(blobs, err))
        goto fail;
    pthread_mutex_init(&blobs->lock, NULL);
    *ret = blobs;
    return true;
fail:
    den_free(blobs);
    return false;
}

void den_blobs_close(struct den_blobs *blobs)
{
    if (blobs != NULL)
        pthread_mutex_destroy(&blobs->lock);
    den_free(blobs);
}

void den_blobs_temporary(struct den_blobs *blobs, char *to, size_t size)
{
    uint64_t number[2];
    den_random_bytes(number, sizeof number);
    den_str_format(to, size, "%s/tmp/%016llx%016llx", blobs->folder,
                   (unsigned long long)number[0], (unsigned long long)number[1]);
}

void den_blobs_path(const struct den_blobs *blobs, const char *sha256, char *to,
                    size_t size)
{
    den_str_format(to, size, "%s/blobs/%.2s/%s", blobs->folder, sha256, sha256);
}

static bool hash_fd(int fd, char *ret_sha256, struct den_err *err)
{
    enum { CHUNK = 65536 };
    uint8_t digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx state;
    uint8_t *chunk = den_new(CHUNK, 1, err);
    if (chunk == NULL)
        return false;
    sha256_init(&state);
    bool done = false;
    for (;;) {
        ssize_t got = read(fd, chunk, CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            den_err_sys(err, errno, "a file cannot be read");
        done = got == 0;
        if (got <= 0)
            break;
        sha256_update(&state, (size_t)got, chunk);
    }
    den_free(chunk);
    if (!done)
        return false;
    sha256_digest(&state, sizeof digest, digest);
    base16_encode_update(ret_sha256, sizeof digest, digest);
    ret_sha256[DEN_SHA256_SIZE - 1] = '\0';
    return true;
}

bool den_blobs_hash(const char *path, char ret_sha256[DEN_SHA256_SIZE],
                    struct den_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return den_err_sys(err, errno, "a file cannot be opened");
    bool done = hash_fd(fd, ret_sha256, err);
    close(fd);
    return done;
}

static bool is_sha256(const char *text)
{
    return strlen(text) == DEN_SHA256_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == DEN_SHA256_SIZE - 1;
}

/* Hash (when it is not known yet), size and fsync of the file at path. */
static bool settle(const char *path, const char *sha256, char *ret_sha256,
                   uint64_t *ret_bytes, struct den_err *err)
{
    bool done = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return den_err_sys(err, errno, "the uploaded file cannot be opened");
    off_t bytes = lseek(fd, 0, SEEK_END);
    if (bytes < 0 || lseek(fd, 0, SEEK_SET) != 0) {
        den_err_sys(err, errno, "the uploaded file cannot be read");
        goto out;
    }
    if (sha256 == NULL && !hash_fd(fd, ret_sha256, err))
        goto out;
    if (sha256 != NULL && !is_sha256(sha256)) {
        den_err_set(err, DEN_E_INTERNAL, "a SHA-256 has 64 hexadecimal digits");
        goto out;
    }
    if (sha256 != NULL)
        den_str_copy(ret_sha256, DEN_SHA256_SIZE, sha256);
    if (fsync(fd) != 0) {
        den_err_sys(err, errno, "the uploaded file cannot be written to disk");
        goto out;
    }
    *ret_bytes = (uint64_t)bytes;
    done = true;
out:
    if (close(fd) != 0 && errno != EINTR && done)
        done = den_err_sys(err, errno, "the uploaded file cannot be closed");
    return done;
}

bool den_blobs_take(struct den_blobs *blobs, const char *temporary, const char *sha256,
                    char ret_sha256[DEN_SHA256_SIZE], uint64_t *ret_bytes,
                    struct den_err *err)
{
    char path[PATH_MAX], name[DEN_SHA256_SIZE];
    uint64_t bytes = 0;
    if (!settle(temporary, sha256, name, &bytes, err)) {
        unlink(temporary);
        return false;
    }
    DEN_FAILPOINT("blob_synced");
    /* Over an old file of this name, too: its bytes are the same, and the folder is
     * written out even when whoever put it there died before that. */
    den_blobs_path(blobs, name, path, sizeof path);
    if (!den_fs_rename_durable(temporary, path, err)) {
        unlink(temporary);
        return false;
    }
    DEN_FAILPOINT("blob_named");
    memcpy(ret_sha256, name, sizeof name);
    *ret_bytes = bytes;
    return true;
}

void den_blobs_hold(struct den_blobs *blobs)
{
    atomic_fetch_add(&blobs->held, 1);
}

void den_blobs_release(struct den_blobs *blobs)
{
    atomic_fetch_sub(&blobs->held, 1);
}

void den_blobs_pin(struct den_blobs *blobs, struct den_blob_pin *pin, const char *sha256)
{
    pthread_mutex_lock(&blobs->lock);
    den_str_copy(pin->sha256, sizeof pin->sha256, sha256);
    pin->next = blobs->pins;
    blobs->pins = pin;
    pthread_mutex_unlock(&blobs->lock);
}

void den_blobs_unpin(struct den_blobs *blobs, struct den_blob_pin *pin)
{
    pthread_mutex_lock(&blobs->lock);
    struct den_blob_pin **at = &blobs->pins;
    while (*at != NULL && *at != pin)
        at = &(*at)->next;
    if (*at != NULL)
        *at = pin->next;
    pthread_mutex_unlock(&blobs->lock);
}

static bool is_pinned(struct den_blobs *blobs, const char *sha256)
{
    bool found = false;
    pthread_mutex_lock(&blobs->lock);
    for (const struct den_blob_pin *pin = blobs->pins; pin != NULL; pin = pin->next)
        found = found || strcmp(pin->sha256, sha256) == 0;
    pthread_mutex_unlock(&blobs->lock);
    return found;
}

bool den_blobs_same(const struct den_blobs *blobs, const char *sha256, bool *ret,
                    struct den_err *err)
{
    char path[PATH_MAX], have[DEN_SHA256_SIZE];
    den_blobs_path(blobs, sha256, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return den_err_sys(err, errno, "a stored file cannot be opened");
    bool done = hash_fd(fd, have, err);
    close(fd);
    if (done)
        *ret = strcmp(have, sha256) == 0;
    return done;
}

bool den_blobs_remove(struct den_blobs *blobs, const char *sha256, struct den_err *err)
{
    char path[PATH_MAX];
    if (!is_sha256(sha256))
        return den_err_set(err, DEN_E_INTERNAL, "a SHA-256 has 64 hexadecimal digits");
    if (atomic_load(&blobs->held) > 0 || is_pinned(blobs, sha256))
        return true;
    den_blobs_path(blobs, sha256, path, sizeof path);
    return den_fs_remove(path, err);
}

bool den_blobs_each(struct den_blobs *blobs,
                    bool (*visit)(void *context, const char *sha256, struct den_err *err),
                    void *context, struct den_err *err)
{
    char path[PATH_MAX];
    bool done = true;
    for (unsigned i = 0; done && i < FANOUT; i++) {
        den_str_format(path, sizeof path, "%s/blobs/%02x", blobs->folder, i);
        DIR *folder = opendir(path);
        if (folder == NULL)
            return den_err_sys(err, errno, "a folder cannot be read");
        for (struct dirent *e; done && (e = readdir(folder)) != NULL;)
            if (is_sha256(e->d_name))
                done = visit(context, e->d_name, err);
        closedir(folder);
    }
    return done;
}
