#ifndef DEN_STATE_COMMAND_H
#define DEN_STATE_COMMAND_H

/* Commands about a state folder, as words: "backup FOLDER", "check", "check gc", "check
 * dry-run [DAYS]" (upkeep.h), "token ..." (service_accounts.h) and "audit ..."
 * (service_audit.h). */

#include "upkeep.h"

/* What the words say, with lines for the standard output; *ret_wrong: how much was found
 * to be wrong. */
bool den_state_do(struct den_service *service, const char *words, den_say *say,
                  void *context, size_t *ret_wrong, struct den_err *err) DEN_CHECKED;
/* The same for a program of its own: asks the daemon that has the folder, or opens it
 * itself when there is none. */
bool den_state_command(const struct den_service_config *config, const char *words,
                       FILE *out, size_t *ret_wrong, struct den_err *err) DEN_CHECKED;

#endif
