#ifndef DEN_CERTIFICATE_H
#define DEN_CERTIFICATE_H

/* Certificates for tests of TLS. */

#include <check.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <time.h>

enum { CERTIFICATE_PEM = 8192 };

/* Of localhost, signed by itself, from ten days ago until `days` from now: its own
 * authority.  Both as PEM with its NUL. */
static inline void certificate_make(int days, char crt[CERTIFICATE_PEM],
                                    char key[CERTIFICATE_PEM])
{
    const time_t day = 86400;
    gnutls_x509_privkey_t secret;
    gnutls_x509_crt_t certificate;
    size_t length = CERTIFICATE_PEM;
    ck_assert_int_eq(gnutls_x509_privkey_init(&secret), 0);
    ck_assert_int_eq(gnutls_x509_crt_init(&certificate), 0);
    ck_assert_int_eq(
        gnutls_x509_privkey_generate(secret, GNUTLS_PK_ECDSA,
                                     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
        0);
    gnutls_x509_crt_set_version(certificate, 3);
    gnutls_x509_crt_set_serial(certificate, "\x01", 1);
    gnutls_x509_crt_set_activation_time(certificate, time(NULL) - 10 * day);
    gnutls_x509_crt_set_expiration_time(certificate, time(NULL) + days * day);
    gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0,
                                  "localhost", 9);
    gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_DNSNAME, "localhost", 9,
                                         GNUTLS_FSAN_SET);
    gnutls_x509_crt_set_basic_constraints(certificate, 1, -1);
    gnutls_x509_crt_set_key(certificate, secret);
    ck_assert_int_eq(
        gnutls_x509_crt_sign2(certificate, certificate, secret, GNUTLS_DIG_SHA256, 0), 0);
    ck_assert_int_eq(
        gnutls_x509_crt_export(certificate, GNUTLS_X509_FMT_PEM, crt, &length), 0);
    length = CERTIFICATE_PEM;
    ck_assert_int_eq(
        gnutls_x509_privkey_export(secret, GNUTLS_X509_FMT_PEM, key, &length), 0);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(secret);
}

#endif
