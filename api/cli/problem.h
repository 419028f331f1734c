#ifndef DEN_PROBLEM_H
#define DEN_PROBLEM_H

/* What went wrong between client and server, as a sentence.  All return false and set
 * cli->failure. */

#include <stddef.h>

#include "cli.h"

/* code: a CURLcode other than CURLE_OK. */
bool den_problem_network(struct den_cli *cli, int code, struct den_err *err);
/* A status of 400 or above; body is a problem document [RFC 9457] if denoised sent it. */
bool den_problem_http(struct den_cli *cli, long status, const char *body, size_t length,
                      struct den_err *err);
/* A good status with an answer that is none of ours. */
bool den_problem_stranger(struct den_cli *cli, struct den_err *err);

/* A request about one of many files has failed: is it the others' fault, too?  So it is
 * when the server does not know us, or not the model, filter or option. */
bool den_problem_for_all(const struct den_cli *cli, const struct den_err *err);

#endif
