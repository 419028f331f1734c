#ifndef TEST_TOKENS_H
#define TEST_TOKENS_H

/* Access tokens of a daemon that needs them, made by the command. */

#include "daemon.h"

#define BEARER_SIZE 96

/* "Authorization: Bearer den_..." of a fresh token, into header[BEARER_SIZE]. */
void make_token(const struct daemon *d, const char *name, const char *owner,
                const char *scopes, char *header);
void revoke_token(const struct daemon *d, const char *name);

#endif
