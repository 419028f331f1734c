#ifndef DEN_FILE_AT_H
#define DEN_FILE_AT_H

/* Reading and writing files at offsets, for copies in which ranges are exchanged.  All
 * bytes or an error: short reads and writes are continued, a file that ends early is
 * DEN_E_UNPROCESSABLE.  The position of a descriptor plays no part and is not moved. */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

bool den_file_read_at(int fd, uint64_t offset, void *to, size_t bytes,
                      struct den_err *err) DEN_CHECKED;
bool den_file_write_at(int fd, uint64_t offset, const void *from, size_t bytes,
                       struct den_err *err) DEN_CHECKED;
bool den_file_zero_at(int fd, uint64_t offset, uint64_t bytes,
                      struct den_err *err) DEN_CHECKED;
/* The same range of one file into another; by the kernel where it can. */
bool den_file_copy_at(int from, int to, uint64_t offset, uint64_t bytes,
                      struct den_err *err) DEN_CHECKED;

#endif
