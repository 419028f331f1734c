#include "upload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/base16.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "http_private.h"
#include "mem.h"
#include "str.h"

/* Uploaded files go straight to a temporary file and through SHA-256; no more than the
 * connection's buffer is ever in memory. */

enum { MULTIPART_BUFFER = 64 * 1024 };

/* Room on the disk is taken before the first byte: better refused now than at 99 %. */
static bool take_room(struct den_upload_state *upload, uint64_t announced,
                      struct den_err *err)
{
    if (announced == 0 || announced == UINT64_MAX)
        return true;
    if (fallocate(upload->fd, 0, 0, (off_t)announced) == 0) {
        upload->reserved = announced;
        return true;
    }
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
        return den_err_sys(err, errno == EFBIG ? ENOSPC : errno,
                           "%llu bytes cannot be stored", (unsigned long long)announced);
    return true; /* this file system cannot reserve */
}

/* And some is left to others: a disk that is full to the last block stops everything. */
static bool reserve(struct den_upload_state *upload, uint64_t announced, uint64_t spare,
                    struct den_err *err)
{
    uint64_t room = UINT64_MAX;
    if (!take_room(upload, announced, err))
        return false;
    if (spare > 0 && !den_fs_free_bytes(upload->path, &room, err))
        return false;
    return room >= spare ||
           den_err_set(err, DEN_E_DISK_FULL,
                       "the disk of the server is nearly full: an upload must leave "
                       "%llu MiB free",
                       (unsigned long long)(spare >> 20));
}

static enum MHD_Result take_part(void *cls, enum MHD_ValueKind kind, const char *key,
                                 const char *filename, const char *type,
                                 const char *coding, const char *data, uint64_t offset,
                                 size_t size);

bool den_upload_begin(struct den_upload_state *upload, struct den_http *http,
                      struct MHD_Connection *connection, uint64_t announced,
                      bool multipart, struct den_err *err)
{
    char path[PATH_MAX];
    http->config.temporary(http->config.app, path, sizeof path);
    *upload = (struct den_upload_state){
        .fd = -1, .maximum = http->config.upload_max, .err = DEN_ERR_INIT};
    sha256_init(&upload->hash);
    if (multipart) {
        upload->multipart =
            MHD_create_post_processor(connection, MULTIPART_BUFFER, take_part, upload);
        if (upload->multipart == NULL)
            return den_err_set(err, DEN_E_MALFORMED,
                               "multipart/form-data needs a boundary of 1 to 70 "
                               "characters");
    }
    upload->path = den_strdup(path);
    if (upload->path == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
    upload->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (upload->fd < 0) {
        int sys = errno;
        den_free(upload->path); /* not ours to remove */
        upload->path = NULL;
        return den_err_sys(err, sys, "the upload cannot be stored");
    }
    return reserve(upload, announced, http->config.upload_spare, err);
}

bool den_upload_begin_part(struct den_upload_state *upload, struct den_http *http,
                           const struct den_request *request, struct den_err *err)
{
    struct den_part part = {.fd = -1};
    *upload = (struct den_upload_state){.fd = -1, .err = DEN_ERR_INIT};
    sha256_init(&upload->hash);
    if (!http->config.part_begin(http->config.app, request, &part, err))
        return false;
    upload->http = http;
    upload->part = part;
    upload->fd = part.fd;
    upload->maximum = part.most;
    return true;
}

static bool store(struct den_upload_state *upload, const char *data, size_t length,
                  struct den_err *err)
{
    if (length > upload->maximum - upload->bytes)
        return den_err_limit(err, DEN_E_TOO_LARGE, (int64_t)upload->maximum,
                             (int64_t)(upload->bytes + length),
                             "the upload has more than the allowed %llu bytes",
                             (unsigned long long)upload->maximum);
    if (!den_fs_write_fd(upload->fd, data, length, err))
        return false;
    sha256_update(&upload->hash, length, (const uint8_t *)data);
    upload->bytes += length;
    if (upload->http == NULL) /* a part begins somewhere in its file */
        den_fs_write_along(upload->fd, upload->bytes, &upload->started);
    return true;
}

/* ---- multipart/form-data ---------------------------------------------------------- */

/* The last component of what the client calls the file. */
static bool keep_name(struct den_upload_state *upload, const char *filename)
{
    if (filename == NULL)
        return true;
    filename = den_str_file_name(filename);
    if (!den_utf8_printable(filename))
        return den_err_set(&upload->err, DEN_E_MALFORMED,
                           "the file name is not printable UTF-8");
    if (!den_str_copy(upload->filename, sizeof upload->filename, filename))
        return den_err_set(&upload->err, DEN_E_MALFORMED,
                           "the file name has more than 255 bytes");
    return true;
}

static bool begin_part(struct den_upload_state *upload, const char *key,
                       const char *filename)
{
    if (key == NULL || strcmp(key, "file") != 0)
        return den_err_set(&upload->err, DEN_E_MALFORMED,
                           "the only form field that is known is 'file'");
    if (upload->has_file && upload->bytes > 0)
        return den_err_set(&upload->err, DEN_E_MALFORMED,
                           "there is more than one 'file' in the form");
    upload->has_file = true;
    return keep_name(upload, filename);
}

/* Called by libmicrohttpd with each piece of a part.  Offset 0 starts a part, and may
 * come a second time: first without bytes, then with the first of them. */
static enum MHD_Result take_part(void *cls, enum MHD_ValueKind kind, const char *key,
                                 const char *filename, const char *type,
                                 const char *coding, const char *data, uint64_t offset,
                                 size_t size)
{
    (void)kind;
    (void)type;
    struct den_upload_state *upload = cls;
    if (upload->err.code != DEN_OK)
        return MHD_NO;
    if (coding != NULL && strcmp(coding, "binary") != 0 && strcmp(coding, "8bit") != 0)
        den_err_set(&upload->err, DEN_E_UNSUPPORTED,
                    "the form's file must be sent as it is, without an encoding");
    else if (offset != 0 || begin_part(upload, key, filename))
        (void)store(upload, data, size, &upload->err);
    return upload->err.code == DEN_OK ? MHD_YES : MHD_NO;
}

static bool feed_multipart(struct den_upload_state *upload, const char *data,
                           size_t length, struct den_err *err)
{
    bool good = MHD_post_process(upload->multipart, data, length) == MHD_YES;
    if (upload->err.code != DEN_OK) {
        if (err->code == DEN_OK)
            *err = upload->err;
        return false;
    }
    /* Form data that goes on after its final boundary is refused, too. */
    return good || den_err_set(err, DEN_E_MALFORMED, "the form data cannot be parsed");
}

bool den_upload_feed(struct den_upload_state *upload, const char *data, size_t length,
                     struct den_err *err)
{
    if (upload->multipart != NULL)
        return feed_multipart(upload, data, length, err);
    return store(upload, data, length, err);
}

/* ---- the end ---------------------------------------------------------------------- */

static bool end_multipart(struct den_upload_state *upload, struct den_err *err)
{
    if (upload->multipart == NULL)
        return true;
    bool whole = MHD_destroy_post_processor(upload->multipart) == MHD_YES;
    upload->multipart = NULL;
    if (!whole)
        return den_err_set(err, DEN_E_MALFORMED, "the form data ends too early");
    return upload->has_file ||
           den_err_set(err, DEN_E_MALFORMED, "the form has no field 'file'");
}

bool den_upload_finish(struct den_upload_state *upload, struct den_err *err)
{
    uint8_t hash[SHA256_DIGEST_SIZE];
    if (!end_multipart(upload, err))
        return false;
    /* A form's boundaries were reserved as well. */
    if (upload->reserved > upload->bytes &&
        ftruncate(upload->fd, (off_t)upload->bytes) != 0)
        return den_err_sys(err, errno, "the upload cannot be stored");
    if (upload->http == NULL) {
        den_fs_write_behind(upload->fd, upload->started, 0);
        int fd = upload->fd;
        upload->fd = -1;
        if (close(fd) != 0 && errno != EINTR)
            return den_err_sys(err, errno, "the upload cannot be written to disk");
    }
    sha256_digest(&upload->hash, sizeof hash, hash);
    base16_encode_update(upload->sha256, sizeof hash, hash);
    upload->sha256[sizeof upload->sha256 - 1] = '\0';
    upload->view =
        (struct den_upload){.path = upload->path,
                            .part = upload->part.context,
                            .filename = upload->filename[0] ? upload->filename : NULL,
                            .sha256 = upload->sha256,
                            .bytes = upload->bytes};
    return true;
}

void den_upload_drop(struct den_upload_state *upload)
{
    if (upload->multipart != NULL)
        MHD_destroy_post_processor(upload->multipart);
    upload->multipart = NULL;
    if (upload->http != NULL)
        upload->http->config.part_end(upload->http->config.app, &upload->part);
    else if (upload->fd >= 0)
        close(upload->fd);
    upload->http = NULL;
    upload->fd = -1;
    if (upload->path != NULL && !upload->taken)
        unlink(upload->path);
    den_free(upload->path);
    upload->path = NULL;
}
