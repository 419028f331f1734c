#ifndef DEN_TOKENS_H
#define DEN_TOKENS_H

/* All tokens that hold, in memory: a request costs a hash and a look-up, and no query.
 * The store has them, and the daemon is the only process that has the store, so that what
 * is here is true as long as den_tokens_load or den_tokens_drop follows each change. */

#include "accounts.h"

/* Who asks. */
struct den_caller {
    char owner[DEN_OWNER_SIZE], token[DEN_TOKEN_ID_SIZE]; /* token "": none was needed */
    unsigned scopes;
};
struct den_clocks {
    int64_t wall_ms, steady_ms;
};

struct den_tokens;
/* per_s: requests a second of one token, in the long run; 0 = no limit. */
bool den_tokens_new(int64_t per_s, struct den_tokens **ret,
                    struct den_err *err) DEN_CHECKED;
void den_tokens_free(struct den_tokens *tokens); /* NULL is fine */
/* These take the place of all before; what is known of the use of those that were there
 * stays.  Revoked ones are passed over.  On failure all is as it was. */
bool den_tokens_load(struct den_tokens *tokens, const struct den_token_row *rows,
                     size_t count, struct den_err *err) DEN_CHECKED;
/* This one holds no longer; cannot fail.  An unknown id is fine. */
void den_tokens_drop(struct den_tokens *tokens, const char *id);

/* May whoever shows this text (NULL = nothing) have the scopes of `needs`?
 * DEN_E_UNAUTHORIZED: there is no such token, or not any more.  DEN_E_FORBIDDEN: it has
 * not all scopes.  DEN_E_BUSY: too many wrong ones came from this address, or too many
 * requests with this token.  A token that holds is never refused for what others of its
 * address do: many people share one, and no number of guesses finds 256 bits.  Does the
 * same work whatever is wrong.  Any thread. */
bool den_tokens_check(struct den_tokens *tokens, const char *text, const char *address,
                      unsigned needs, struct den_clocks now, struct den_caller *ret,
                      struct den_err *err) DEN_CHECKED;
/* By id; false: it does not hold (any more). */
bool den_tokens_get(struct den_tokens *tokens, const char *id, int64_t wall_ms,
                    struct den_token_row *ret) DEN_CHECKED;

/* Ids and times of tokens whose last use the store is to learn, an hour or more after
 * what it knows: at most `most`, into rows (id and used_ms). */
size_t den_tokens_used(struct den_tokens *tokens, struct den_token_row *rows,
                       size_t most);

#endif
