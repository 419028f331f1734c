#ifndef DEN_COMMAND_H
#define DEN_COMMAND_H

/* Commands about a state folder: `denoised backup DIR`, `denoised check [--gc
 * [--dry-run]]`, `denoised token create NAME --owner O --scope S,S [--expires DAYS]`,
 * `token list [--json]`, `token revoke ID|NAME`, `audit verify`, `audit show [--since
 * TIME] [--json]`, each with flags for settings around them. */

#include <stddef.h>

#include "err.h"

/* Takes a command out of argv, so that only flags for settings are left.  words[size]:
 * what is to be done, as of den_state_do, a folder as an absolute name; "" when there is
 * no such command. */
bool den_command_take(char **argv, char *words, size_t size,
                      struct den_err *err) DEN_CHECKED;

#endif
