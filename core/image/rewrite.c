#include "rewrite.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format.h"
#include "fs.h"
#include "jail.h"
#include "mem.h"
#include "str.h"

enum { PROVENANCE_BYTES = 1000 };

struct den_rewriter {
    const struct den_format *format;
    int source, fd;
    void *state; /* the format's */
    struct den_image_info info;
    unsigned char *written; /* [pages], 1 = replaced */
    bool failed;            /* the copy is not complete, whatever follows */
};

/* 0, or errno of closing the copy: some file systems tell only then of a full disk. */
static int rewriter_free(struct den_rewriter *rewriter)
{
    int sys = 0;
    if (rewriter->source >= 0)
        close(rewriter->source);
    if (rewriter->fd >= 0 && close(rewriter->fd) != 0)
        sys = errno;
    den_free(rewriter->written);
    den_free(rewriter);
    return sys;
}

static bool check_provenance(const char *provenance, struct den_err *err)
{
    size_t length = strlen(provenance);
    if (length == 0 || length > PROVENANCE_BYTES)
        return den_err_limit(err, DEN_E_INVALID, PROVENANCE_BYTES, (int64_t)length,
                             "the record of an image's origin has %zu bytes; 1 to %d "
                             "are allowed",
                             length, PROVENANCE_BYTES);
    if (!den_utf8_printable(provenance))
        return den_err_set(err, DEN_E_INVALID,
                           "the record of an image's origin must be one line of UTF-8");
    return true;
}

/* Creating the copy empties the file at path, which must not be the source. */
static bool check_other_file(int source, const char *path, struct den_err *err)
{
    struct stat from, to;
    if (fstat(source, &from) == 0 && stat(path, &to) == 0 && from.st_dev == to.st_dev &&
        from.st_ino == to.st_ino)
        return den_err_set(err, DEN_E_INVALID,
                           "an image cannot be rewritten into its own file");
    return true;
}

static bool open_source(struct den_rewriter *rewriter, const char *path,
                        uint64_t *ret_bytes, struct den_err *err)
{
    if (!den_format_open(path, &rewriter->source, ret_bytes, err) ||
        (rewriter->format = den_jail_format(rewriter->source, err)) == NULL)
        return false;
    if (rewriter->format->rewrite == NULL)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "images of the format %s can be read, but not rewritten",
                           rewriter->format->name);
    return true;
}

bool den_rewriter_open(const char *source, const char *path,
                       const struct den_image_limits *limits, const char *provenance,
                       struct den_rewriter **ret, struct den_err *err)
{
    struct den_image_limits full = den_format_limits(limits);
    uint64_t bytes = 0;
    if (!check_provenance(provenance, err))
        return false;
    struct den_rewriter *rewriter = den_new(1, sizeof *rewriter, err);
    if (rewriter == NULL)
        return false;
    rewriter->source = rewriter->fd = -1;
    if (!open_source(rewriter, source, &bytes, err) ||
        !check_other_file(rewriter->source, path, err) ||
        !den_format_create(path, &rewriter->fd, err))
        goto fail;
    if (!rewriter->format->rewrite(rewriter->source, bytes, rewriter->fd, &full,
                                   provenance, &rewriter->info, &rewriter->state, err))
        goto fail;
    rewriter->written = den_new(rewriter->info.pages, 1, err);
    if (rewriter->written == NULL) {
        rewriter->format->discard(rewriter->state);
        goto fail;
    }
    *ret = rewriter;
    return true;
fail:
    den_format_remove(path, rewriter->fd);
    (void)rewriter_free(rewriter);
    return false;
}

const struct den_image_info *den_rewriter_info(const struct den_rewriter *rewriter)
{
    return &rewriter->info;
}

bool den_rewriter_page(struct den_rewriter *rewriter, uint32_t page, const void *pixels,
                       struct den_err *err)
{
    if (page >= rewriter->info.pages)
        return den_err_set(err, DEN_E_INVALID,
                           "page %" PRIu32
                           " does not exist; the image has pages 0 to %" PRIu32,
                           page, rewriter->info.pages - 1);
    if (rewriter->written[page])
        return den_err_set(err, DEN_E_INVALID,
                           "page %" PRIu32 " was rewritten before; once is allowed",
                           page);
    if (rewriter->failed ||
        !rewriter->format->replace(rewriter->state, page, pixels, err)) {
        rewriter->failed = true;
        return den_err_set(err, DEN_E_IO, "the image could not be rewritten");
    }
    rewriter->written[page] = 1;
    return true;
}

bool den_rewriter_finish(struct den_rewriter *rewriter, struct den_err *err)
{
    bool done = false;
    if (rewriter->failed) {
        rewriter->format->discard(rewriter->state);
        den_err_set(err, DEN_E_IO, "the image could not be rewritten");
    } else {
        done = rewriter->format->complete(rewriter->state, err);
    }
    if (done)
        den_fs_write_behind(rewriter->fd, 0, 0);
    int sys = rewriter_free(rewriter);
    if (done && sys != 0)
        return den_err_sys(err, sys, "the image cannot be written");
    return done;
}

void den_rewriter_abandon(struct den_rewriter *rewriter)
{
    if (rewriter == NULL)
        return;
    rewriter->format->discard(rewriter->state);
    (void)rewriter_free(rewriter);
}
