/* TLS: what is served, what is refused at the start, and what a client may speak. */

#include <gnutls/gnutls.h>
#include <sys/stat.h>

#include "den_certificate.h"
#include "http_toy.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))
#define HOST "Host: localhost\r\n"

static char folder[64];

/* ---- certificates ---------------------------------------------------------------------
 */

static const char *in_folder(const char *name)
{
    static char paths[4][128];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    ck_assert(den_str_format(path, sizeof paths[0], "%s/%s", folder, name));
    return path;
}

static void save(const char *name, const char *text, size_t length)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_write(in_folder(name), text, length, &err));
    ck_assert_int_eq(chmod(in_folder(name), 0600), 0);
}

/* NAME.crt and NAME.key: a certificate that signs itself and ends `days` from now. */
static void make_pair(const char *name, int days)
{
    char crt[CERTIFICATE_PEM], key[CERTIFICATE_PEM], file[32];
    certificate_make(days, crt, key);
    den_str_format(file, sizeof file, "%s.crt", name);
    save(file, crt, strlen(crt));
    den_str_format(file, sizeof file, "%s.key", name);
    save(file, key, strlen(key));
}

static void setup(void)
{
    den_str_copy(folder, sizeof folder, "/tmp/den_tls_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    make_pair("good", 30);
}

static void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(folder, &err));
}

/* ---- a client -------------------------------------------------------------------------
 */

/* One request by TLS as `priorities` allow; the answer, free() it; NULL: no handshake. */
static char *ask_tls(const char *priorities, const char *text)
{
    gnutls_certificate_credentials_t trust;
    gnutls_session_t session;
    int fd = toy_connect();
    char *reply = NULL;
    ck_assert_int_eq(gnutls_certificate_allocate_credentials(&trust), 0);
    ck_assert_int_gt(gnutls_certificate_set_x509_trust_file(trust, in_folder("good.crt"),
                                                            GNUTLS_X509_FMT_PEM),
                     0);
    ck_assert_int_eq(gnutls_init(&session, GNUTLS_CLIENT), 0);
    ck_assert_int_eq(gnutls_priority_set_direct(session, priorities, NULL), 0);
    ck_assert_int_eq(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, trust), 0);
    gnutls_session_set_verify_cert(session, "localhost", 0);
    gnutls_transport_set_int(session, fd);
    if (gnutls_handshake(session) == 0) {
        ssize_t got = 1;
        size_t length = 0;
        enum { ROOM = 2 << 20 };
        reply = calloc(1, ROOM);
        ck_assert_ptr_nonnull(reply);
        ck_assert_int_gt(gnutls_record_send(session, text, strlen(text)), 0);
        while (got > 0 && length + 1 < ROOM) {
            got = gnutls_record_recv(session, reply + length, ROOM - 1 - length);
            length += got > 0 ? (size_t)got : 0;
        }
    }
    close(fd);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(trust);
    return reply;
}

static struct den_http_config secure_config(void)
{
    struct den_http_config config = toy_config();
    config.tls_cert = in_folder("good.crt");
    config.tls_key = in_folder("good.key");
    config.header_s = 1;
    return config;
}

/* ---- tests
 * ------------------------------------------------------------------------------
 */

static const struct {
    const char *priorities;
    bool served;
} versions[] = {
    {"NORMAL:-VERS-ALL:+VERS-TLS1.3", true},
    {"NORMAL:-VERS-ALL:+VERS-TLS1.2", true},
    {"LEGACY:-VERS-ALL:+VERS-TLS1.1", false},
    {"LEGACY:-VERS-ALL:+VERS-TLS1.0", false},
};

START_TEST(only_new_versions_are_spoken)
{
    struct den_http_config config = secure_config();
    toy_open(&config);
    char *reply = ask_tls(versions[_i].priorities,
                          "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    ck_assert_msg((reply != NULL) == versions[_i].served, "%s", versions[_i].priorities);
    if (reply != NULL)
        expect_status(reply, 200);
    free(reply);
    toy_teardown();
}
END_TEST

START_TEST(bodies_and_events_work_by_TLS)
{
    static const struct {
        const char *request, *words;
    } asks[] = {
        {"POST /json HTTP/1.1\r\n" HOST
         "Connection: close\r\nContent-Length: 2\r\n\r\n{}",
         "json[2]"},
        {"GET /file HTTP/1.1\r\n" HOST "Connection: close\r\nRange: bytes=-3\r\n\r\n",
         "hij"},
        {"GET /slow HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "slow"},
        {"GET /events HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "data: 3\n\n"},
        {"GET /big HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", "xxxxx"},
    };
    struct den_http_config config = secure_config();
    toy_open(&config);
    atomic_store(&toy.events, 3);
    atomic_store(&toy.finish, true);
    for (int i = 0; i < COUNT(asks); i++) {
        char *reply = ask_tls("NORMAL", asks[i].request);
        ck_assert_ptr_nonnull(reply);
        expect_text(reply, asks[i].words);
        free(reply);
    }
    toy_teardown();
}
END_TEST

/* Plain HTTP gets no answer, and neither does a handshake that never ends. */
START_TEST(who_does_not_speak_TLS_is_cut)
{
    static const char *const words[] = {"GET /hello HTTP/1.1\r\n" HOST "\r\n", "",
                                        "\x16\x03\x01\x02\x00"};
    struct den_http_config config = secure_config();
    toy_open(&config);
    for (int i = 0; i < COUNT(words); i++) {
        double start = den_monotonic_s();
        int fd = toy_connect();
        toy_say(fd, words[i]);
        char *reply = toy_read_all(fd, NULL);
        ck_assert_msg(strstr(reply, "hello") == NULL, "%s", reply);
        ck_assert_double_lt(den_monotonic_s() - start, 2.5);
        free(reply);
        close(fd);
    }
    ck_assert_int_eq(atomic_load(&toy.handled), 0);
    toy_teardown();
}
END_TEST

static const struct {
    const char *name, *cert, *key, *field, *words;
    unsigned mode;
} bad[] = {
    {"only a certificate", "good.crt", "", "tls_key", "together", 0600},
    {"only a key", "", "good.key", "tls_cert", "together", 0600},
    {"no such certificate", "none", "good.key", "tls_cert", "tls_cert", 0600},
    {"no such key", "good.crt", "none", "tls_key", "cannot be read", 0600},
    {"a key that all may read", "good.crt", "good.key", "tls_key", "644", 0644},
    {"a key that a group may write", "good.crt", "good.key", "tls_key", "660", 0660},
    {"another's key", "good.crt", "other.key", "tls_key", "belong", 0600},
    {"the two exchanged", "good.key", "good.crt", "tls_cert", "tls_cert", 0600},
    {"a certificate that has ended", "old.crt", "old.key", "tls_cert", "any more", 0600},
    {"no PEM", "noise", "good.key", "tls_cert", "PEM", 0600},
    {"a broken PEM", "broken", "good.key", "tls_cert", "tls_cert", 0600},
};

START_TEST(what_cannot_work_is_told_at_the_start)
{
    static const char broken[] =
        "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
    struct den_err err = DEN_ERR_INIT;
    struct den_http *http = NULL;
    struct den_http_config config = toy_config();
    make_pair("other", 30);
    make_pair("old", -1);
    save("noise", "noise", 5);
    save("broken", broken, sizeof broken - 1);
    config.started = NULL;
    config.tls_cert = bad[_i].cert[0] != '\0' ? in_folder(bad[_i].cert) : "";
    config.tls_key = bad[_i].key[0] != '\0' ? in_folder(bad[_i].key) : "";
    (void)chmod(in_folder("good.key"), bad[_i].mode);
    ck_assert_msg(!den_http_start(&config, &http, &err), "%s", bad[_i].name);
    ck_assert_int_eq(err.code, DEN_E_INVALID);
    ck_assert_str_eq(err.field, bad[_i].field);
    ck_assert_msg(strstr(err.text, bad[_i].words) != NULL, "%s: %s", bad[_i].name,
                  err.text);
    ck_assert_msg(strstr(err.text, folder) == NULL, "%s", err.text);
    ck_assert_ptr_null(http);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tls");
    TCase *tc = tcase_create("tls");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, only_new_versions_are_spoken, 0, COUNT(versions));
    tcase_add_test(tc, bodies_and_events_work_by_TLS);
    tcase_add_test(tc, who_does_not_speak_TLS_is_cut);
    tcase_add_loop_test(tc, what_cannot_work_is_told_at_the_start, 0, COUNT(bad));
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
