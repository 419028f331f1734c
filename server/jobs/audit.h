#ifndef DEN_AUDIT_H
#define DEN_AUDIT_H

/* The audit table: a row for each change, written in the transaction of the change.  It
 * says who did what to which object in which request; never a body, a file's name or a
 * token's text.  Rows are chained: each has a hash over itself and the hash of the row
 * before, so that nobody changes, adds or removes one in between unseen.  Whoever can
 * write the whole database can also make a new chain; noting the newest hash elsewhere
 * now and then tells that, too. */

#include "accounts.h"

/* Texts have room for one byte more than they may have: one that was made longer is seen
 * to be another. */
struct den_audit_row {
    int64_t seq, time_ms; /* seq: from 1, without gaps */
    char owner[DEN_OWNER_SIZE + 1], token[DEN_TOKEN_ID_SIZE + 1]; /* owner "system": the
                                                                     daemon by itself */
    char action[32];                                              /* "image.create" */
    char object[176]; /* its id; of models name@version, or model@alias */
    char result[16];  /* "done", of jobs the state they are in then */
    char request[80]; /* X-Request-Id */
    char prev[DEN_SHA256_SIZE + 1], hash[DEN_SHA256_SIZE + 1]; /* hexadecimal */
    bool odd; /* when read: a field was not of the form in which it is written */
};
#define DEN_AUDIT_SYSTEM "system"

/* SHA-256 over prev and all the fields but hash, each with its length in front, into
 * hash[DEN_SHA256_SIZE]. */
void den_audit_hash(const struct den_audit_row *row, char *hash);

/* Follows a chain row by row. */
struct den_audit_walk {
    int64_t seq; /* of the last row that was right */
    char hash[DEN_SHA256_SIZE + 1];
};
/* false: this row is not what followed. */
bool den_audit_follows(struct den_audit_walk *walk,
                       const struct den_audit_row *row) DEN_CHECKED;

#endif
