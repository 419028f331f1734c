#ifndef DEN_ACCOUNTS_H
#define DEN_ACCOUNTS_H

/* What the store keeps of those who ask: their access tokens.  A token stands for an
 * owner, under whose name everything is that is made with it, and for scopes, what may be
 * done with it.  Its text is
 *     den_ + base64url(8 bytes of public id + 32 random bytes + CRC-32 of these 40)
 * of which only the SHA-256 is kept: 256 random bits need no slow hash.  The CRC tells a
 * token that was cut or mistyped from one that is wrong, also to a scanner for secrets.
 */

#include "rows.h"

enum {
    DEN_SCOPE_READ = 1,   /* look at what is one's own */
    DEN_SCOPE_SUBMIT = 2, /* upload, denoise, evaluate; cancel and delete */
    DEN_SCOPE_TRAIN = 4,  /* train, experiment; delete models */
    DEN_SCOPE_ADMIN = 8,  /* tokens and the audit table, and nobody's images */
    DEN_SCOPE_ALL = 15,
};
#define DEN_SCOPES_SIZE 32 /* "read,submit,train,admin" */

#define DEN_TOKEN_ID_SIZE 21   /* "tok_" and 16 hexadecimal digits */
#define DEN_TOKEN_TEXT_SIZE 64 /* "den_" and 59 characters */
#define DEN_TOKEN_NAME_SIZE 65
#define DEN_TOKENS_MAX 10000 /* that are not revoked */

struct den_token_row {
    char id[DEN_TOKEN_ID_SIZE], name[DEN_TOKEN_NAME_SIZE], owner[DEN_OWNER_SIZE];
    unsigned scopes;                            /* DEN_SCOPE_... */
    char hash[DEN_SHA256_SIZE];                 /* of its text */
    int64_t created_ms, expires_ms, revoked_ms; /* 0 = never */
    int64_t used_ms; /* last use, to the hour or so; 0 = never */
};

/* What was answered to a request with an Idempotency-Key. */
#define DEN_ANSWERS_MAX 10000 /* of an owner, that had no effect */
struct den_answer_row {
    char request_sha256[DEN_SHA256_SIZE]; /* of what was asked for */
    char object[176];              /* what it changed, as in audit.h; "" = nothing */
    unsigned status;               /* 0: it took effect, and no answer is known */
    char media[64], location[128]; /* "" = none */
    char *body;                    /* text */
    int64_t created_ms;
};

/* A fresh token: text[DEN_TOKEN_TEXT_SIZE]; row gets id and hash. */
void den_token_new(char *text, struct den_token_row *row);
/* Its id[DEN_TOKEN_ID_SIZE]; false: it is none.  hash[DEN_SHA256_SIZE] is always written,
 * so that a text that is no token costs the same. */
bool den_token_read(const char *text, char *id, char *hash) DEN_CHECKED;
bool den_token_id_valid(const char *text);

/* 1 to 64 of a-z 0-9 . _ - (names of tokens: and A-Z); else a sentence about field. */
bool den_owner_check(const char *text, const char *field,
                     struct den_err *err) DEN_CHECKED;
bool den_token_name_check(const char *text, const char *field,
                          struct den_err *err) DEN_CHECKED;

/* "read", "submit", "train", "admin"; 0 = none of these. */
unsigned den_scope_find(const char *name);
/* "read,submit": at least one, in any order. */
bool den_scopes_read(const char *text, const char *field, unsigned *ret,
                     struct den_err *err) DEN_CHECKED;
/* Into to[DEN_SCOPES_SIZE], in the order above. */
void den_scopes_write(unsigned scopes, char *to);

#endif
