#ifndef DEN_TLS_H
#define DEN_TLS_H

/* Certificate and key of the server, read once at the start. */

#include "err.h"

struct den_tls {
    char *cert, *key; /* PEM texts, NUL-terminated; both NULL = plain HTTP */
};
/* Reads both files and checks what can be known before anybody connects: that they are
 * PEM, belong together, that the key is nobody else's to read, and that the certificate
 * has not ended.  "" or NULL for both is plain HTTP; one without the other is an error.
 * Errors: DEN_E_INVALID with tls_cert or tls_key as field. */
bool den_tls_load(const char *cert_path, const char *key_path, struct den_tls *ret,
                  struct den_err *err) DEN_CHECKED;
void den_tls_release(struct den_tls *tls); /* wipes the key */

/* TLS 1.2 and 1.3 with what GnuTLS counts as secure [RFC 9325]. */
#define DEN_TLS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

#endif
