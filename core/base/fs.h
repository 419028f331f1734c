#ifndef DEN_FS_H
#define DEN_FS_H

/* Files that survive a power cut: temporary name, write, fsync, rename, fsync of the
 * folder. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

bool den_fs_mkdirs(const char *path, mode_t mode, struct den_err *err) DEN_CHECKED;
/* Whole file into fresh memory (den_free), NUL appended and not counted; DEN_E_TOO_LARGE
 * above maximum. */
bool den_fs_read(const char *path, size_t maximum, char **ret_data, size_t *ret_length,
                 struct den_err *err) DEN_CHECKED;
/* Whole file, read only, page by page when it is looked at; den_fs_unmap.  Meanwhile it
 * may be replaced or removed, but not written to. */
bool den_fs_map(const char *path, size_t maximum, char **ret_data, size_t *ret_length,
                struct den_err *err) DEN_CHECKED;
void den_fs_unmap(char *data, size_t length);
/* These bytes may leave memory until they are looked at again. */
void den_fs_unload(const char *data, size_t length);
/* All bytes to fd, short writes continued. */
bool den_fs_write_fd(int fd, const void *data, size_t length,
                     struct den_err *err) DEN_CHECKED;
/* Bytes of fd go on their way to the disk, so that a later fsync finds little to do; a
 * hint.  `from` of 0 bytes: to the end of the file. */
void den_fs_write_behind(int fd, uint64_t from, uint64_t bytes);
/* The same for a file that is written from front to end: after a write, for all but the
 * newest MiB or so.  *started: 0 at first. */
void den_fs_write_along(int fd, uint64_t written, uint64_t *started);
/* Atomic replacement: the file at path is the old or the new content, whatever happens.
 */
bool den_fs_write(const char *path, const void *data, size_t length,
                  struct den_err *err) DEN_CHECKED;
/* fsync of fd done by the caller; renames and makes the rename durable. */
bool den_fs_rename_durable(const char *from, const char *to,
                           struct den_err *err) DEN_CHECKED;
/* The names in a folder become durable; or those in the folder that holds a file. */
bool den_fs_sync_folder(const char *path, struct den_err *err) DEN_CHECKED;
bool den_fs_sync_folder_of(const char *file, struct den_err *err) DEN_CHECKED;
bool den_fs_size(const char *path, uint64_t *ret, struct den_err *err) DEN_CHECKED;
bool den_fs_exists(const char *path);
/* Removes a file; a missing one is not an error. */
bool den_fs_remove(const char *path, struct den_err *err) DEN_CHECKED;
/* Removes a folder with everything in it (for tests and temporary folders). */
bool den_fs_remove_tree(const char *path, struct den_err *err) DEN_CHECKED;
bool den_fs_free_bytes(const char *path, uint64_t *ret, struct den_err *err) DEN_CHECKED;

#endif
