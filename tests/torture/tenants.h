#ifndef TEST_TENANTS_H
#define TEST_TENANTS_H

/* Questions about what is another's, and whether the answer tells anything: it must be
 * the very answer to a question about what does not exist. */

#include <stdbool.h>
#include <stddef.h>

/* An answer as one text: the status, the header lines and the body, without what differs
 * from one answer to the next by itself (time, request id). */
struct told {
    long status;
    char *text;    /* free() */
    char *etag;    /* "" = none; in text */
    double second; /* that it took */
};

/* One question.  header: lines joined by "\r\n", or NULL. */
struct question {
    const char *method, *path;
    const char *header, *type;
    const char *body; /* or NULL */
    size_t length;    /* of body */
};

/* Over connections that stay open.  `asked`, when not NULL, becomes ASKED wherever it
 * stands in the answer. */
struct told tenant_ask(const char *base, const struct question *q, const char *asked);
void told_free(struct told *told);

/* Texts that nobody else may read in any answer: ids, hashes, names. */
void tenant_secret(const char *text);
/* The secret that is in the text, or NULL. */
const char *tenant_leak(const char *text);

/* text with every `from` replaced by `to`; free() */
char *text_replace(const char *text, const char *from, const char *to);
/* A header line with a client address, to be believed from a proxy, that was not used
 * before: else wrong tokens are soon told to wait. */
const char *fresh_address(char *to, size_t size);
/* prefix ("img_") and a random id that nothing has, into to[32]. */
void guess_id(const char *prefix, char *to);

#endif
