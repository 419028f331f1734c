#include "tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs.h"
#include "mem.h"

enum { PEM_MAX = 1 << 20, CHAIN_MAX = 16 };

static bool given(const char *path)
{
    return path != NULL && path[0] != '\0';
}

/* Whoever can read the key can be this server. */
static bool check_mode(const char *path, struct den_err *err)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return den_err_field(err, DEN_E_INVALID, "tls_key",
                             "tls_key: the file cannot be read");
    if ((info.st_mode & (S_IWGRP | S_IRWXO)) != 0)
        return den_err_field(err, DEN_E_INVALID, "tls_key",
                             "tls_key: others can read or change the file (its mode is "
                             "%03o), allowed are 600 and 640",
                             (unsigned)(info.st_mode & 0777));
    return true;
}

static bool read_pem(const char *path, const char *field, char **ret, struct den_err *err)
{
    struct den_err why = DEN_ERR_INIT;
    size_t length = 0;
    char *text = NULL;
    if (!den_fs_read(path, PEM_MAX, &text, &length, &why))
        return den_err_field(err, DEN_E_INVALID, field, "%s: %s", field, why.text);
    if (strlen(text) != length || strstr(text, "-----BEGIN ") == NULL) {
        explicit_bzero(text, length);
        den_free(text);
        return den_err_field(err, DEN_E_INVALID, field, "%s: the file is not PEM text",
                             field);
    }
    *ret = text;
    return true;
}

static gnutls_datum_t datum(char *text)
{
    return (gnutls_datum_t){.data = (unsigned char *)text,
                            .size = (unsigned)strlen(text)};
}

/* The first certificate of the file is the server's own. */
static bool check_time(char *cert, struct den_err *err)
{
    gnutls_x509_crt_t chain[CHAIN_MAX];
    unsigned count = CHAIN_MAX;
    const gnutls_datum_t text = datum(cert);
    int code = gnutls_x509_crt_list_import(chain, &count, &text, GNUTLS_X509_FMT_PEM, 0);
    if (code < 1)
        return den_err_field(err, DEN_E_INVALID, "tls_cert", "tls_cert: %s",
                             gnutls_strerror(code));
    time_t end = gnutls_x509_crt_get_expiration_time(chain[0]);
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(chain[i]);
    return end == (time_t)-1 || end > time(NULL) ||
           den_err_field(err, DEN_E_INVALID, "tls_cert",
                         "tls_cert: the certificate is not valid any more");
}

static bool check_pair(const struct den_tls *tls, struct den_err *err)
{
    gnutls_certificate_credentials_t pair = NULL;
    const gnutls_datum_t cert = datum(tls->cert), key = datum(tls->key);
    int code = gnutls_certificate_allocate_credentials(&pair);
    if (code == GNUTLS_E_SUCCESS)
        code =
            gnutls_certificate_set_x509_key_mem(pair, &cert, &key, GNUTLS_X509_FMT_PEM);
    if (pair != NULL)
        gnutls_certificate_free_credentials(pair);
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return den_err_field(err, DEN_E_INVALID, "tls_key",
                             "tls_key: the key does not belong to the certificate");
    return code >= 0 || den_err_field(err, DEN_E_INVALID, "tls_key",
                                      "tls_key: certificate and key cannot be used: %s",
                                      gnutls_strerror(code));
}

bool den_tls_load(const char *cert_path, const char *key_path, struct den_tls *ret,
                  struct den_err *err)
{
    struct den_tls tls = {NULL, NULL};
    *ret = tls;
    if (!given(cert_path) && !given(key_path))
        return true;
    if (!given(cert_path) || !given(key_path))
        return den_err_field(err, DEN_E_INVALID, given(key_path) ? "tls_cert" : "tls_key",
                             "tls_cert and tls_key are given together or not at all");
    bool good = read_pem(cert_path, "tls_cert", &tls.cert, err) &&
                check_mode(key_path, err) &&
                read_pem(key_path, "tls_key", &tls.key, err) &&
                check_time(tls.cert, err) && check_pair(&tls, err);
    if (good)
        *ret = tls;
    else
        den_tls_release(&tls);
    return good;
}

void den_tls_release(struct den_tls *tls)
{
    if (tls->key != NULL)
        explicit_bzero(tls->key, strlen(tls->key));
    den_free(tls->key);
    den_free(tls->cert);
    *tls = (struct den_tls){NULL, NULL};
}
