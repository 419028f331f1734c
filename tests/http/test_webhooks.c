/* Webhooks: the real daemon tells a real HTTPS server of the ends of its jobs. */

#include <arpa/inet.h>
#include <microhttpd.h>
#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "den_certificate.h"
#include "folder.h"
#include "fs.h"
#include "program.h"
#include "story.h"
#include "str.h"
#include "wire.h"

#define KEY "a key of more than twenty-four bytes"

enum { MESSAGES = 16 };

/* ---- the other side ------------------------------------------------------------------
 */

struct heard {
    char body[8192], id[128], timestamp[32], signature[128];
    size_t length;
};

static struct {
    pthread_mutex_t lock;
    struct heard heard[MESSAGES];
    int count, refuse; /* answer 500 so often */
    struct MHD_Daemon *server;
    unsigned port;
    char crt[CERTIFICATE_PEM], key[CERTIFICATE_PEM];
} other = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char folder[64], file[96];
static struct daemon d;

static void header(struct MHD_Connection *c, const char *name, char *to, size_t size)
{
    const char *value = MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
    den_str_copy(to, size, value != NULL ? value : "");
}

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (status == 302)
        MHD_add_response_header(r, "Location", "https://localhost:1/");
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result take(void *cls, struct MHD_Connection *c, const char *url,
                            const char *method, const char *version, const char *data,
                            size_t *size, void **context)
{
    (void)cls, (void)version;
    struct heard *now = *context;
    if (now == NULL) {
        *context = calloc(1, sizeof *now);
        return MHD_YES;
    }
    if (*size > 0) {
        size_t room = sizeof now->body - 1 - now->length;
        size_t n = *size < room ? *size : room;
        memcpy(now->body + now->length, data, n);
        now->length += n;
        *size = 0;
        return MHD_YES;
    }
    header(c, "webhook-id", now->id, sizeof now->id);
    header(c, "webhook-timestamp", now->timestamp, sizeof now->timestamp);
    header(c, "webhook-signature", now->signature, sizeof now->signature);
    pthread_mutex_lock(&other.lock);
    bool refuse = other.refuse > 0;
    other.refuse -= refuse;
    if (other.count < MESSAGES && strcmp(method, "POST") == 0)
        other.heard[other.count++] = *now;
    pthread_mutex_unlock(&other.lock);
    free(now);
    *context = NULL;
    return answer(c, strcmp(url, "/moved") == 0 ? 302 : refuse ? 500 : 200);
}

static void listen_there(void)
{
    const struct sockaddr_in at = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    certificate_make(30, other.crt, other.key);
    other.count = other.refuse = 0;
    other.server =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_TLS, 0, NULL, NULL,
                         take, NULL, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_HTTPS_MEM_CERT,
                         other.crt, MHD_OPTION_HTTPS_MEM_KEY, other.key, MHD_OPTION_END);
    ck_assert_ptr_nonnull(other.server);
    other.port = MHD_get_daemon_info(other.server, MHD_DAEMON_INFO_BIND_PORT)->port;
}

/* ---- the daemon ----------------------------------------------------------------------
 */

static void save(const char *name, const char *text, char *path, size_t size)
{
    struct den_err err = DEN_ERR_INIT;
    (void)snprintf(path, size, "%s/%s", folder, name);
    must(den_fs_write(path, text, strlen(text), &err));
}

/* key_line: of the file with the key. */
static void start_with_key(const char *networks, const char *key_line)
{
    char key[96], ca[96], hosts[64];
    save("key", key_line, key, sizeof key);
    save("ca.crt", other.crt, ca, sizeof ca);
    (void)snprintf(hosts, sizeof hosts, "localhost:%u", other.port);
    const char *args[] = {"--webhook_hosts",
                          hosts,
                          "--webhook_networks",
                          networks,
                          "--webhook_key",
                          key,
                          "--webhook_ca",
                          ca,
                          NULL};
    daemon_start(&d, args);
}

static void start(const char *networks)
{
    start_with_key(networks, KEY "\n");
}

static void setup(void)
{
    listen_there();
    folder_make(folder);
    scene_write(folder, 1, 64, 2);
    (void)snprintf(file, sizeof file, "%s/noisy1_0.tif", folder);
}

static void teardown(void)
{
    daemon_remove(&d);
    MHD_stop_daemon(other.server);
    folder_remove(folder);
}

/* A job that is told of at this path; its id into id[32]. */
static void submit(const char *path, char *id)
{
    char by[300], image[32];
    upload(d.url, file, image);
    (void)snprintf(by, sizeof by,
                   "\"method\":\"median\",\"webhook\":\"https://localhost:%u%s\"",
                   other.port, path);
    submit_denoise(d.url, image, by, id);
    json_decref(wait_job(d.url, id, 30));
}

static int heard(void)
{
    pthread_mutex_lock(&other.lock);
    int count = other.count;
    pthread_mutex_unlock(&other.lock);
    return count;
}

static void wait_for(int count, int seconds)
{
    for (int i = 0; i < seconds * 20 && heard() < count; i++)
        (void)usleep(50000);
    ck_assert_int_eq(heard(), count);
}

static void wait_for_log(const char *words)
{
    struct den_err err = DEN_ERR_INIT;
    bool found = false;
    for (int i = 0; i < 300 && !found; i++) {
        char *text = NULL;
        size_t length;
        must(den_fs_read(d.log, 1 << 24, &text, &length, &err));
        found = strstr(text, words) != NULL;
        den_free(text);
        (void)usleep(50000);
    }
    ck_assert_msg(found, "'%s' was never logged", words);
}

/* As a receiver does it, by the specification. */
static void signature_fits(const struct heard *m)
{
    char all[9000], want[128] = "v1,";
    uint8_t hash[SHA256_DIGEST_SIZE];
    struct hmac_sha256_ctx state;
    int n = snprintf(all, sizeof all, "%s.%s.%s", m->id, m->timestamp, m->body);
    hmac_sha256_set_key(&state, strlen(KEY), (const uint8_t *)KEY);
    hmac_sha256_update(&state, (size_t)n, (const uint8_t *)all);
    hmac_sha256_digest(&state, sizeof hash, hash);
    base64_encode_raw(want + 3, sizeof hash, hash);
    want[3 + BASE64_ENCODE_RAW_LENGTH(sizeof hash)] = '\0';
    ck_assert_str_eq(m->signature, want);
}

START_TEST(the_end_of_a_job_is_told_once_and_signed)
{
    char id[32];
    start("127.0.0.0/8 ::1/128");
    submit("/hook", id);
    wait_for(1, 20);
    json_t *body = json_loads(other.heard[0].body, 0, NULL);
    ck_assert_str_eq(text_at(body, "type"), "job.succeeded");
    ck_assert_str_eq(text_at(body, "data.id"), id);
    ck_assert_str_eq(text_at(body, "data.state"), "succeeded");
    json_decref(body);
    signature_fits(&other.heard[0]);
    ck_assert(den_str_starts(other.heard[0].id, id));
    (void)sleep(3);
    ck_assert_int_eq(heard(), 1);
}
END_TEST

START_TEST(a_key_in_base64_signs_as_the_same_key_in_plain_text)
{
    char id[32], line[128] = "whsec_";
    base64_encode_raw(line + strlen(line), strlen(KEY), (const uint8_t *)KEY);
    start_with_key("127.0.0.0/8 ::1/128", line);
    submit("/hook", id);
    wait_for(1, 20);
    signature_fits(&other.heard[0]);
}
END_TEST

/* 10 seconds lie between the first two attempts, which is long for a short test; the
 * restart is in between. */
START_TEST(who_fails_is_told_again_also_by_the_next_daemon)
{
    char id[32];
    start("127.0.0.0/8 ::1/128");
    other.refuse = 1;
    submit("/hook", id);
    wait_for(1, 20);
    wait_for_log("webhook_not_taken");
    daemon_kill(&d);
    char key[96], ca[96], hosts[64];
    (void)snprintf(key, sizeof key, "%s/key", folder);
    (void)snprintf(ca, sizeof ca, "%s/ca.crt", folder);
    (void)snprintf(hosts, sizeof hosts, "localhost:%u", other.port);
    const char *args[] = {"--webhook_hosts",
                          hosts,
                          "--webhook_networks",
                          "127.0.0.0/8",
                          "--webhook_key",
                          key,
                          "--webhook_ca",
                          ca,
                          NULL};
    daemon_restart(&d, args);
    wait_for(2, 30);
    ck_assert_str_eq(other.heard[0].id, other.heard[1].id);
    ck_assert_str_eq(other.heard[0].body, other.heard[1].body);
}
END_TEST

static void call(const char *id, const char *what)
{
    char path[80];
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/%s", id, what);
    struct answer a = ask("POST", d.url, path, NULL, NULL, 0, NULL);
    ck_assert_msg(a.status == 200, "%ld %s", a.status, a.body);
    answer_free(&a);
}

START_TEST(a_job_that_is_tried_again_is_told_of_again)
{
    char id[32], body[400], first[32], second[32], set[32];
    start("127.0.0.0/8 ::1/128");
    upload(d.url, file, first);
    file[strlen(file) - strlen("0.tif")] = '1';
    upload(d.url, file, second);
    (void)snprintf(body, sizeof body,
                   "{\"name\":\"s\",\"kind\":\"repeats\",\"images\":[\"%s\",\"%s\"]}",
                   first, second);
    struct answer a = post_json(d.url, "/v1/datasets", body);
    (void)snprintf(set, sizeof set, "%s", text_at(a.json, "id"));
    answer_free(&a);
    (void)snprintf(
        body, sizeof body,
        "{\"kind\":\"train\",\"dataset\":\"%s\",\"preset\":\"cpu\",\"config\":{" TINY
        ",\"iterations\":1000000,\"validation_fraction\":0},"
        "\"webhook\":\"https://localhost:%u/\"}",
        set, other.port);
    submit_job(d.url, body, id);
    for (int end = 1; end <= 2; end++) {
        call(id, "cancel");
        json_decref(wait_job(d.url, id, 30));
        wait_for(end, 20);
        if (end == 1)
            call(id, "retry");
    }
    ck_assert_str_ne(other.heard[0].id, other.heard[1].id);
}
END_TEST

/* By its name, before a daemon is started with it. */
START_TEST(the_check_of_settings_finds_what_is_wrong_with_webhooks)
{
    char key[96], small[96], gone[96], program[256];
    save("key", KEY "\n", key, sizeof key);
    save("small", "too short\n", small, sizeof small);
    (void)snprintf(gone, sizeof gone, "%s/none", folder);
    (void)built("denoised", program, sizeof program);
    const struct {
        const char *networks, *key, *words;
        int status;
    } cases[] = {
        {"127.0.0.0/8", key, "", 0},
        {"127.0.0.0/8", "", "webhook_hosts needs webhook_key", 2},
        {"127.0.0.0/33", key, "webhook_networks: '127.0.0.0/33' is not a network", 2},
        {"127.0.0.0/8", gone, "webhook_key: a file cannot be opened", 2},
        {"127.0.0.0/8", small, "webhook_key: the file must hold a line of 24", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *argv[] = {program,           "config",
                              "check",           "--webhook_hosts",
                              "localhost",       "--webhook_networks",
                              cases[i].networks, "--webhook_key",
                              cases[i].key,      NULL};
        struct outcome o = run_program(NULL, NULL, argv);
        must_end(&o, cases[i].status, cases[i].words);
        outcome_free(&o);
    }
}
END_TEST

START_TEST(an_address_inside_is_not_called)
{
    char id[32];
    start("10.0.0.0/8");
    submit("/hook", id);
    wait_for_log("has no address that may be called");
    ck_assert_int_eq(heard(), 0);
}
END_TEST

START_TEST(a_redirection_is_not_followed)
{
    char id[32];
    start("127.0.0.0/8 ::1/128");
    submit("/moved", id);
    wait_for(1, 20);
    wait_for_log("status 302");
}
END_TEST

static const char *const refused[] = {
    "http://localhost/",
    "https://localhost/",
    "https://127.0.0.1/",
    "https://x@localhost/",
    "x",
};

START_TEST(other_places_are_refused_with_the_job)
{
    char body[300], image[32];
    start("127.0.0.0/8 ::1/128");
    upload(d.url, file, image);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\","
                       "\"webhook\":\"%s\"}",
                       image, refused[i]);
        struct answer a = post_json(d.url, "/v1/jobs", body);
        ck_assert_msg(a.status == 422, "%s: %ld %s", refused[i], a.status, a.body);
        ck_assert_str_eq(text_at(a.json, "errors.0.pointer"), "/webhook");
        answer_free(&a);
    }
}
END_TEST

START_TEST(webhooks_are_off_at_first)
{
    char body[300], image[32];
    daemon_start(&d, NULL);
    upload(d.url, file, image);
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\","
                   "\"webhook\":\"https://localhost/\"}",
                   image);
    struct answer a = post_json(d.url, "/v1/jobs", body);
    ck_assert_int_eq(a.status, 422);
    ck_assert_ptr_nonnull(strstr(a.body, "webhook_hosts"));
    answer_free(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("webhooks");
    TCase *tc = tcase_create("webhooks");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 90);
    tcase_add_test(tc, the_end_of_a_job_is_told_once_and_signed);
    tcase_add_test(tc, a_key_in_base64_signs_as_the_same_key_in_plain_text);
    if (test_full())
        tcase_add_test(tc, who_fails_is_told_again_also_by_the_next_daemon);
    tcase_add_test(tc, a_job_that_is_tried_again_is_told_of_again);
    tcase_add_test(tc, the_check_of_settings_finds_what_is_wrong_with_webhooks);
    tcase_add_test(tc, an_address_inside_is_not_called);
    tcase_add_test(tc, a_redirection_is_not_followed);
    tcase_add_test(tc, other_places_are_refused_with_the_job);
    tcase_add_test(tc, webhooks_are_off_at_first);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
