#ifndef DEN_UPLOADS_H
#define DEN_UPLOADS_H

/* Uploads in parts, which outlive connections and the server.  The row says whose it is
 * and how long it gets, the file <state>/uploads/<id> holds what has come: its size is
 * the offset.  A part is counted when it has been written to disk. */

#include "service.h"

#define DEN_UPLOADS_PER_OWNER 64 /* unfinished ones at a time */
#define DEN_UPLOAD_HOURS 24      /* without a new part, before an upload is dropped */

/* length: bytes, 1 to most.  DEN_E_TOO_LARGE, DEN_E_BUSY, DEN_E_DISK_FULL when it would
 * leave less than min_free. */
bool den_service_add_upload(struct den_service *service, const char *owner,
                            const char *name, uint64_t length, uint64_t most,
                            struct den_upload_row *ret, struct den_err *err) DEN_CHECKED;
/* Bytes that are there; all of them once it has become an image. */
bool den_service_upload_offset(struct den_service *service,
                               const struct den_upload_row *row, uint64_t *ret,
                               struct den_err *err) DEN_CHECKED;
/* With what came so far.  DEN_E_CONFLICT while a part of it is on its way. */
bool den_service_delete_upload(struct den_service *service, const char *owner,
                               const char *id, struct den_err *err) DEN_CHECKED;
/* Files of uploads that are no more; at start and now and then. */
bool den_service_sweep_uploads(struct den_service *service,
                               struct den_err *err) DEN_CHECKED;

/* A part on its way: nobody else writes to the upload meanwhile. */
struct den_upload_part {
    struct den_upload_row row;
    uint64_t start; /* offset of its first byte */
    int fd;         /* at its end; appends */
    struct den_service *service;
    struct den_upload_part *next;
};
/* DEN_E_CONFLICT when the upload stands elsewhere than at offset, or has a part on its
 * way. */
bool den_upload_part_open(struct den_service *service, const char *owner, const char *id,
                          uint64_t offset, struct den_upload_part **ret,
                          struct den_err *err) DEN_CHECKED;
/* What came becomes durable, and the upload lives on from now. */
bool den_upload_part_keep(struct den_upload_part *part, struct den_err *err) DEN_CHECKED;
/* What came is forgotten: it was damaged on its way. */
bool den_upload_part_drop(struct den_upload_part *part, struct den_err *err) DEN_CHECKED;
/* All bytes are there: they become an image, as by den_service_add_image, and the file
 * goes.  An image that is refused takes its upload with it. */
bool den_upload_part_finish(struct den_upload_part *part, struct den_image_row *ret,
                            bool *ret_new, struct den_err *err) DEN_CHECKED;
void den_upload_part_close(struct den_upload_part *part); /* NULL is fine */

#endif
