/* The client against servers that are not what they should be: canned answers on a
 * loopback port. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "program.h"

#define ANSWERS 8
#define REQUEST_SIZE 4096

static struct {
    int fd;
    char url[64];
    pthread_t thread;
    const char *answers[ANSWERS];         /* one per connection; NULL ends */
    char requests[ANSWERS][REQUEST_SIZE]; /* head of each request */
} canned;

static char folder[64];

static void send_all(int fd, const char *text)
{
    size_t length = strlen(text), sent = 0;
    while (sent < length) {
        ssize_t n = send(fd, text + sent, length - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        sent += (size_t)n;
    }
}

static void *serve(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < ANSWERS && canned.answers[i] != NULL; i++) {
        int fd = accept4(canned.fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        char *head = canned.requests[i];
        size_t length = 0;
        while (length < REQUEST_SIZE - 1 && strstr(head, "\r\n\r\n") == NULL) {
            ssize_t n = recv(fd, head + length, REQUEST_SIZE - 1 - length, 0);
            if (n <= 0)
                break;
            length += (size_t)n;
        }
        send_all(fd, canned.answers[i]);
        (void)close(fd);
    }
    return NULL;
}

/* Answers in this order, one connection each. */
static void serve_these(const char *const *answers)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    memset(&canned, 0, sizeof canned);
    for (size_t i = 0; answers[i] != NULL; i++)
        canned.answers[i] = answers[i];
    canned.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(canned.fd, 0);
    ck_assert_int_eq(bind(canned.fd, (struct sockaddr *)&at, sizeof at), 0);
    ck_assert_int_eq(listen(canned.fd, 8), 0);
    ck_assert_int_eq(getsockname(canned.fd, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(canned.url, sizeof canned.url, "http://127.0.0.1:%u",
                   (unsigned)ntohs(at.sin_port));
    ck_assert_int_eq(pthread_create(&canned.thread, NULL, serve, NULL), 0);
}

/* The server has ended; only now its requests may be read. */
static void stop_serving(void)
{
    if (canned.fd < 0)
        return;
    (void)shutdown(canned.fd, SHUT_RDWR); /* wakes an accept that nobody came for */
    (void)pthread_join(canned.thread, NULL);
    (void)close(canned.fd);
    canned.fd = -1;
}

#define SERVE(...) serve_these((const char *const[]){__VA_ARGS__, NULL})

static void setup(void)
{
    folder_make(folder);
}

static void teardown(void)
{
    stop_serving();
    folder_remove(folder);
}

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\n"
#define JSON OK "Content-Type: application/json\r\n\r\n"
#define STREAM OK "Content-Type: text/event-stream\r\n\r\n"
#define PROBLEM(status)                            \
    "HTTP/1.1 " status "\r\nConnection: close\r\n" \
    "Content-Type: application/problem+json\r\n\r\n"
#define RUNNING \
    "{\"id\":\"job_1\",\"kind\":\"train\",\"state\":\"running\",\"finished_at\":null}"
#define ENDED(state)                                          \
    "{\"id\":\"job_1\",\"kind\":\"train\",\"state\":\"" state \
    "\",\"finished_at\":\"x\","                               \
    "\"error\":{\"code\":\"diverged\",\"detail\":\"the loss is NaN\"}}"

/* ---- strange answers -----------------------------------------------------------------
 */

static const struct {
    const char *answer;
    int status;
    const char *words;
} strange[] = {
    {OK "Content-Type: text/html\r\n\r\n<html>hello</html>", 5, "is not denoised"},
    {JSON "{\"models\":[", 5, "is not denoised"},
    {JSON, 5, "is not denoised"},
    {"SSH-2.0-OpenSSH_9.2\r\n", 5, "is not denoised"},
    {"", 5, "the connection to http://127.0.0.1:"},
    {"HTTP/1.1 500 Oh\r\nConnection: close\r\n\r\n", 5, "answers HTTP 500 without"},
    {"HTTP/1.1 502 Oh\r\nConnection: close\r\n\r\n<html>bad gateway</html>", 5,
     "answers HTTP 502 without a reason; is it denoised?"},
    {PROBLEM("401 Who") "{\"detail\":\"a token is needed\",\"code\":\"unauthorized\"}", 4,
     "denoise: a token is needed (unauthorized, HTTP 401)\n"},
    {PROBLEM("422 No") "{\"detail\":\"bad pairs\",\"code\":\"invalid\",\"errors\":["
                       "{\"pointer\":\"/pairs/3/clean\",\"detail\":\"bad pairs\"},"
                       "{\"pointer\":\"/pairs/4/clean\",\"detail\":\"too small\"}]}",
     5,
     "denoise: bad pairs (invalid, HTTP 422)\n  at /pairs/3/clean\n"
     "  at /pairs/4/clean: too small\n"},
    {PROBLEM("429 Busy") "{\"detail\":7,\"code\":{}}", 5, "HTTP 429 without a reason"},
};

START_TEST(a_strange_answer_ends_with_a_sentence)
{
    SERVE(strange[_i].answer);
    struct outcome o = DENOISE(folder, canned.url, "models");
    must_end(&o, strange[_i].status, strange[_i].words);
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
}
END_TEST

START_TEST(an_empty_or_odd_list_is_printed_without_harm)
{
    SERVE(JSON
          "{\"models\":[{\"name\":\"a\\u001b[2J\\u0007b\",\"version\":\"x\"},7,null]}");
    struct outcome o = DENOISE(folder, canned.url, "models");
    must_end(&o, 0, "");
    ck_assert_ptr_nonnull(strstr(o.out, "\na?[2J?b "));
    ck_assert_ptr_null(strchr(o.out, '\x1b'));
    outcome_free(&o);
}
END_TEST

/* ---- waiting -------------------------------------------------------------------------
 */

START_TEST(a_cut_stream_is_resumed_behind_its_last_event)
{
    SERVE(STREAM "id: 6\nevent: state\ndata: {\"state\":\"running\"}\n\n: beat\n\n"
                 "id: 7\nevent: progress\ndata: {\"step\":1,\"steps\":2,"
                 "\"fraction\":0.5}\n\nid: 8\nevent: prog",
          JSON RUNNING,
          STREAM "id: 9\r\nevent: done\r\ndata: {\"state\":\"succeeded\"}\r\n\r\n",
          JSON ENDED("succeeded"));
    struct outcome o = DENOISE(folder, canned.url, "wait", "job_1");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "job_1 succeeded\n");
    stop_serving();
    ck_assert_ptr_null(strstr(canned.requests[0], "Last-Event-ID"));
    ck_assert_msg(strstr(canned.requests[2], "Last-Event-ID: 8\r\n") != NULL, "%s",
                  canned.requests[2]);
    outcome_free(&o);
}
END_TEST

START_TEST(without_events_the_job_is_asked_for)
{
    SERVE("HTTP/1.1 503 Full\r\nConnection: close\r\n\r\n", JSON RUNNING,
          "HTTP/1.1 503 Full\r\nConnection: close\r\n\r\n", JSON ENDED("succeeded"));
    struct outcome o = DENOISE(folder, canned.url, "wait", "job_1");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "job_1 succeeded\n");
    outcome_free(&o);
}
END_TEST

START_TEST(a_server_that_restarts_is_waited_for)
{
    SERVE(STREAM "id: 6\nevent: state\ndata: {\"state\":\"running\"}\n\n", JSON RUNNING,
          "", "", PROBLEM("503 Down") "{\"detail\":\"going down\",\"code\":\"draining\"}",
          PROBLEM("503 Down") "{\"detail\":\"going down\",\"code\":\"draining\"}", STREAM,
          JSON ENDED("succeeded"));
    struct outcome o = DENOISE(folder, canned.url, "wait", "job_1");
    must_end(&o, 0, "");
    outcome_free(&o);
}
END_TEST

START_TEST(a_failed_job_tells_its_reason_and_gives_exit_status_1)
{
    SERVE(STREAM "event: done\ndata: {\"state\":\"failed\"}\n\n", JSON ENDED("failed"));
    struct outcome o = DENOISE(folder, canned.url, "wait", "job_1");
    must_end(&o, 1, "denoise: job_1 failed: the loss is NaN (diverged)\n");
    ck_assert_str_eq(o.out, "job_1 failed\n");
    outcome_free(&o);
}
END_TEST

/* ---- tokens --------------------------------------------------------------------------
 */

#define NAY(status) \
    PROBLEM(status) "{\"detail\":\"who are you?\",\"code\":\"unauthorized\"}"

/* Each way gives the same token, T0ken. */
static const struct {
    const char *option, *value, *variable, *content; /* NULL: not given */
    const char *answer, *words;
} tokens[] = {
    {NULL, NULL, NULL, NULL, NAY("401 Who"), "\n  give your token with --token-file"},
    {NULL, NULL, NULL, NULL, NAY("403 No"), "\n  give your token with --token-file"},
    {"--token", "T0ken", NULL, NULL, NAY("401 Who"), "is wrong, expired or revoked"},
    {"--token", "T0ken", NULL, NULL, NAY("403 No"), "your token does not allow this"},
    {"--token", "T0ken", "DENOISE_TOKEN", "other", NAY("403 No"), "does not allow"},
    {"--token-file", "t", NULL, NULL, "HTTP/1.1 401 Who\r\nConnection: close\r\n\r\n",
     "is wrong, expired"},
    {NULL, NULL, "DENOISE_TOKEN", "T0ken", NAY("401 Who"), "is wrong, expired"},
    {NULL, NULL, "DENOISE_TOKEN_FILE", "t", NAY("401 Who"), "is wrong, expired"},
};

START_TEST(a_token_is_sent_and_never_shown)
{
    struct den_err err = DEN_ERR_INIT;
    char path[160];
    bool given = tokens[_i].option != NULL || tokens[_i].variable != NULL;
    (void)snprintf(path, sizeof path, "%s/t", folder);
    must(den_fs_write(path, "T0ken\n", 6, &err));
    if (tokens[_i].variable != NULL)
        ck_assert_int_eq(setenv(tokens[_i].variable, tokens[_i].content, 1), 0);
    SERVE(tokens[_i].answer);
    struct outcome o =
        DENOISE(folder, canned.url, "models", tokens[_i].option, tokens[_i].value);
    must_end(&o, 4, tokens[_i].words);
    ck_assert_msg(strstr(o.err, "T0ken") == NULL, "%s", o.err);
    stop_serving();
    bool sent = strstr(canned.requests[0], "\r\nAuthorization: Bearer T0ken\r\n") != NULL;
    ck_assert_msg(sent == given, "%s", canned.requests[0]);
    outcome_free(&o);
}
END_TEST

START_TEST(a_token_that_others_can_read_is_told)
{
    struct den_err err = DEN_ERR_INIT;
    char path[160];
    (void)snprintf(path, sizeof path, "%s/t", folder);
    must(den_fs_write(path, "T0ken\n", 6, &err));
    ck_assert_int_eq(chmod(path, 0644), 0);
    SERVE(JSON "{\"models\":[]}", JSON "{\"models\":[]}");
    struct outcome o = DENOISE(folder, canned.url, "models", "--token-file", "t");
    must_end(&o, 0, "t: others can read this token; `chmod 600` ends that");
    outcome_free(&o);
    ck_assert_int_eq(chmod(path, 0600), 0);
    o = DENOISE(folder, canned.url, "models", "--token-file", "t");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.err, "");
    outcome_free(&o);
}
END_TEST

START_TEST(a_password_in_the_address_is_never_shown)
{
    static const char *const servers[] = {"http://me:s3cret@127.0.0.1:9",
                                          "gopher://me:s3cret@127.0.0.1:9",
                                          "http://me:s3cret@@127.0.0.1:9/x@y"};
    for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
        struct outcome o = DENOISE(folder, servers[i], "models");
        ck_assert_int_ne(o.status, 0);
        ck_assert_msg(strstr(o.err, "s3cret") == NULL, "%s", o.err);
        ck_assert_msg(strstr(o.err, "127.0.0.1:9") != NULL, "%s", o.err);
        outcome_free(&o);
    }
}
END_TEST

/* ---- files ---------------------------------------------------------------------------
 */

#define RESULT(name)                                                       \
    JSON "{\"id\":\"job_1\",\"kind\":\"denoise\",\"state\":\"succeeded\"," \
         "\"finished_at\":\"x\",\"result\":{\"name\":\"" name "\"}}"

START_TEST(the_server_does_not_choose_the_folder)
{
    static const char *const names[] = {RESULT("../evil.tif"),
                                        RESULT("/tmp/evil.tif"),
                                        RESULT(".."),
                                        RESULT(".bashrc"),
                                        RESULT(""),
                                        RESULT("a\\nb")};
    SERVE(names[_i], OK "\r\nbytes");
    struct outcome o = DENOISE(folder, canned.url, "fetch", "job_1");
    must_end(&o, 2, "the server proposes no usable file name; name one with -o");
    outcome_free(&o);
}
END_TEST

START_TEST(a_download_that_breaks_off_leaves_no_file)
{
    char path[160];
    SERVE(RESULT("a.tif"), OK "Content-Length: 100\r\n\r\nonly some");
    struct outcome o = DENOISE(folder, canned.url, "fetch", "job_1", "-o", "new/");
    must_end(&o, 5, "the connection to http://127.0.0.1:");
    outcome_free(&o);
    (void)snprintf(path, sizeof path, "%s/new", folder);
    ck_assert_int_eq(rmdir(path), 0); /* it is empty */
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
    Suite *suite = suite_create("cli_network");
    TCase *all = tcase_create("canned");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_strange_answer_ends_with_a_sentence, 0, COUNT(strange));
    tcase_add_test(all, an_empty_or_odd_list_is_printed_without_harm);
    tcase_add_test(all, a_cut_stream_is_resumed_behind_its_last_event);
    tcase_add_test(all, without_events_the_job_is_asked_for);
    tcase_add_test(all, a_server_that_restarts_is_waited_for);
    tcase_add_test(all, a_failed_job_tells_its_reason_and_gives_exit_status_1);
    tcase_add_loop_test(all, a_token_is_sent_and_never_shown, 0, COUNT(tokens));
    tcase_add_test(all, a_token_that_others_can_read_is_told);
    tcase_add_test(all, a_password_in_the_address_is_never_shown);
    tcase_add_loop_test(all, the_server_does_not_choose_the_folder, 0, 6);
    tcase_add_test(all, a_download_that_breaks_off_leaves_no_file);
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
