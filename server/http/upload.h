#ifndef DEN_UPLOAD_H
#define DEN_UPLOAD_H

/* An uploaded file on its way to the disk; see struct den_upload in http.h. */

#include <microhttpd.h>
#include <nettle/sha2.h>

#include "http.h"

struct den_upload_state {
    char *path; /* "" when there is no file */
    int fd;
    uint64_t bytes, maximum, reserved;
    uint64_t started; /* bytes on their way to the disk */
    struct sha256_ctx hash;
    struct MHD_PostProcessor *multipart;
    bool in_file, has_file, taken;
    struct den_http *http; /* whose part it is; NULL = none */
    struct den_part part;
    char sha256[2 * SHA256_DIGEST_SIZE + 1];
    char filename[256];
    struct den_upload view;
    struct den_err err; /* first trouble inside the multipart parser */
};
/* announced: Content-Length, or UINT64_MAX.  multipart: the body is form data. */
bool den_upload_begin(struct den_upload_state *upload, struct den_http *http,
                      struct MHD_Connection *connection, uint64_t announced,
                      bool multipart, struct den_err *err) DEN_CHECKED;
/* The same for bytes that go to a file of the application's. */
bool den_upload_begin_part(struct den_upload_state *upload, struct den_http *http,
                           const struct den_request *request,
                           struct den_err *err) DEN_CHECKED;
bool den_upload_feed(struct den_upload_state *upload, const char *data, size_t length,
                     struct den_err *err) DEN_CHECKED;
/* Fills view. */
bool den_upload_finish(struct den_upload_state *upload, struct den_err *err) DEN_CHECKED;
/* Closes, and removes the file unless it was taken.  May be called again. */
void den_upload_drop(struct den_upload_state *upload);

#endif
