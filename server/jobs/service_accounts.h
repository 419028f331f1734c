#ifndef DEN_SERVICE_ACCOUNTS_H
#define DEN_SERVICE_ACCOUNTS_H

/* Who may ask: tokens of a service, in its store and in memory at once. */

#include "service.h"
#include "tokens.h"
#include "upkeep.h"

/* Is anybody asked who they are?  If not, all are DEN_OWNER_LOCAL and may do all. */
bool den_service_auth_required(const struct den_service *service);
/* As den_tokens_check, at this moment; text: of the token, NULL = none was shown. */
bool den_service_admit(struct den_service *service, const char *text, const char *address,
                       unsigned needs, struct den_caller *ret,
                       struct den_err *err) DEN_CHECKED;
/* The token of a request that was admitted; false: it has ended since. */
bool den_service_token_get(struct den_service *service, const char *id,
                           struct den_token_row *ret) DEN_CHECKED;

/* days: until it expires, 0 = never.  text[DEN_TOKEN_TEXT_SIZE] is told this once. */
#define DEN_TOKEN_DAYS_MAX 36500
bool den_service_token_add(struct den_service *service, const char *name,
                           const char *owner, unsigned scopes, int64_t days, char *text,
                           struct den_token_row *ret, struct den_err *err) DEN_CHECKED;
/* Holds from the moment on when it returns. */
bool den_service_token_revoke(struct den_service *service, const char *which,
                              struct den_token_row *ret, struct den_err *err) DEN_CHECKED;
/* Reads them all from the store. */
bool den_service_tokens_load(struct den_service *service,
                             struct den_err *err) DEN_CHECKED;
/* Writes to the store which were used lately; an upkeep's. */
bool den_service_tokens_note(struct den_service *service,
                             struct den_err *err) DEN_CHECKED;
/* Where there was never any token: one with all scopes, of the owner "admin"; else text
 * is "". */
bool den_service_first_token(struct den_service *service, char *text,
                             struct den_err *err) DEN_CHECKED;
/* DEN_E_FORBIDDEN when others than the user of this process can read the state. */
bool den_service_private(const struct den_service *service,
                         struct den_err *err) DEN_CHECKED;

/* The words "token create NAME OWNER SCOPES DAYS", "token list", "token list json" and
 * "token revoke ID|NAME": what a command says on its standard output. */
bool den_service_accounts_do(struct den_service *service, const char *words, den_say *say,
                             void *context, struct den_err *err) DEN_CHECKED;

#endif
