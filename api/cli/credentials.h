#ifndef DEN_CREDENTIALS_H
#define DEN_CREDENTIALS_H

/* Who asks.  The token is never part of a sentence, nor is a password in an address. */

#include "args.h"

/* --token or --token-file, else DENOISE_TOKEN, else the file DENOISE_TOKEN_FILE, else "".
 * DEN_E_INVALID for what cannot be a token (RFC 6750 allows letters, digits and
 * -._~+/=). */
bool den_token_read(const struct den_args *args, char *to, size_t size,
                    struct den_err *err) DEN_CHECKED;

/* "https://me:secret@host" as "https://host", cut to fit. */
void den_server_show(const char *server, char *to, size_t size);

#endif
