#ifndef DEN_BLOB_H
#define DEN_BLOB_H

/* Content-addressed files: <state>/blobs/<first two>/<sha256>.  A blob never changes. */

#include "rows.h"

struct den_blobs;

/* folder: of the state; makes blobs/ and an empty tmp/ in it. */
bool den_blobs_open(const char *folder, struct den_blobs **ret,
                    struct den_err *err) DEN_CHECKED;
void den_blobs_close(struct den_blobs *blobs);
/* A fresh file name on the blobs' file system, for uploads and results, into
 * to[PATH_MAX]. */
void den_blobs_temporary(struct den_blobs *blobs, char *to, size_t size);
/* Takes the file into the store under its hash; durable when true.  The
 * temporary file is gone afterwards in any case.  sha256 may be NULL: then the file is
 * read and hashed here. */
bool den_blobs_take(struct den_blobs *blobs, const char *temporary, const char *sha256,
                    char ret_sha256[DEN_SHA256_SIZE], uint64_t *ret_bytes,
                    struct den_err *err) DEN_CHECKED;
/* SHA-256 of a file, as 64 digits. */
bool den_blobs_hash(const char *path, char ret_sha256[DEN_SHA256_SIZE],
                    struct den_err *err) DEN_CHECKED;
void den_blobs_path(const struct den_blobs *blobs, const char *sha256, char *to,
                    size_t size);
bool den_blobs_remove(struct den_blobs *blobs, const char *sha256,
                      struct den_err *err) DEN_CHECKED;
/* Between the two nothing is removed; what is to go is left to the next collection.  May
 * be nested. */
void den_blobs_hold(struct den_blobs *blobs);
void den_blobs_release(struct den_blobs *blobs);
/* A blob that no row names yet: from pin to unpin den_blobs_remove leaves this one alone,
 * as above.  The pin is the caller's, and stays where it is; sha256 is kept in it.  One
 * that was never set may be taken out, too. */
struct den_blob_pin {
    char sha256[DEN_SHA256_SIZE];
    struct den_blob_pin *next;
};
void den_blobs_pin(struct den_blobs *blobs, struct den_blob_pin *pin, const char *sha256);
void den_blobs_unpin(struct den_blobs *blobs, struct den_blob_pin *pin);
/* Reads it all: *ret true when its content has its name as hash. */
bool den_blobs_same(const struct den_blobs *blobs, const char *sha256, bool *ret,
                    struct den_err *err) DEN_CHECKED;
/* Calls visit for every blob until it answers false; visit may remove the blob. */
bool den_blobs_each(struct den_blobs *blobs,
                    bool (*visit)(void *context, const char *sha256, struct den_err *err),
                    void *context, struct den_err *err) DEN_CHECKED;

#endif
