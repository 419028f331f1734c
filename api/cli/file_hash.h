#ifndef DEN_FILE_HASH_H
#define DEN_FILE_HASH_H

/* SHA-256 [FIPS 180-4] as 64 hexadecimal digits. */

#include "err.h"

#define DEN_SHA256_SIZE 65

bool den_file_sha256(const char *path, char ret[DEN_SHA256_SIZE],
                     struct den_err *err) DEN_CHECKED;
void den_text_sha256(const char *text, char ret[DEN_SHA256_SIZE]);

#endif
