/* Names, paths and headers that mean something else to a file system, a browser or a
 * reader of HTTP: thousands of them, in every place where a client can put text. */

#include <ftw.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "mem.h"
#include "scene.h"
#include "wire.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))
#define MARK "pwn7f3a" /* in every payload that could become a file or a header */

static struct daemon d;
static char files[64], image[32];
static struct {
    unsigned sent, answers, refused, accepted;
} counts;

static void setup(void)
{
    char file[128];
    memset(&counts, 0, sizeof counts);
    folder_make(files);
    scene_write(files, 1, 32, 1);
    daemon_start(&d, NULL);
    (void)snprintf(file, sizeof file, "%s/noisy1_0.tif", files);
    upload(d.url, file, image);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(files);
}

/* ---- payloads -------------------------------------------------------------------------
 */

static const char *const payloads[] = {
    /* files */
    "../../../../../../etc/passwd",
    "..%2f..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "....//....//....//etc/passwd",
    "..%252f..%252fetc%252fpasswd",
    "..%c0%af..%c0%afetc/passwd",
    "..%ef%bc%8f..%ef%bc%8fetc/passwd",
    "..\\..\\..\\windows\\win.ini",
    "..%5c..%5c..%5cetc%5cpasswd",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "//etc/passwd",
    "file:///etc/passwd",
    "/proc/self/environ",
    "/dev/zero",
    "~root/.ssh/id_rsa",
    "../" MARK,
    "..%2f" MARK,
    "/tmp/" MARK,
    "%2ftmp%2f" MARK,
    "../../tmp/" MARK ".tif",
    MARK "%00.tif",
    MARK "\x00.tif",
    "./" MARK,
    ".",
    "..",
    "...",
    "%2e",
    "%2e%2e",
    "C:\\" MARK,
    "\\\\host\\share\\" MARK,
    "CON",
    "nul.tif",
    "-rf",
    "--help",
    "|id>" MARK,
    ";touch%20" MARK,
    "$(touch%20" MARK ")",
    "`touch%20" MARK "`",
    "%s%s%s%n",
    "%25n%25n",
    "{{7*7}}",
    "${jndi:ldap://x/" MARK "}",
    "'%20OR%20'1'='1",
    "';DROP%20TABLE%20images;--",
    "%22%20OR%201=1--",
    "1;SELECT%201",
    /* headers */
    "a%0d%0aX-" MARK ":%201",
    "a%0aX-" MARK ":%201",
    "a%0dX-" MARK ":%201",
    "a%0d%0a%0d%0a<script>" MARK "</script>",
    "a%e5%98%8a%e5%98%8dX-" MARK ":%201",
    "a%c4%8d%c4%8aX-" MARK ":%201",
    "a%23%0aX-" MARK ":1",
    "a;%20filename=" MARK,
    "a\";%20X-" MARK "=\"1",
    "a%22;%20filename*=UTF-8''" MARK,
    /* markup */
    "<script>alert('" MARK "')</script>",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "\"><img%20src=x%20onerror=alert(1)>",
    "%22%3E%3Csvg/onload=alert(1)%3E",
    "javascript:alert(1)",
    "'-alert(1)-'",
    "</title><script>alert(1)</script>",
    "<!--<script>alert(1)-->",
    "<a%20href=javascript:alert(1)>",
    "&lt;script&gt;",
    "%EF%BC%9Cscript%EF%BC%9E",
    "<scr<script>ipt>",
    "\\u003cscript\\u003e",
    "data:text/html,<script>alert(1)</script>",
    "<iframe%20src=/>",
    "]]><b>",
    "<b/id=x>",
};

/* Where text can be put; %s is the payload. */
static const char *const places[] = {
    "GET /%s HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/%s HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/images/%s HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/images/%s/content HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/images/%s/preview HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/jobs/%s HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/jobs/%s/result HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/jobs/%s/events HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/models/%s HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/models/%s/versions/1/weights HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/models/a/aliases/%s HTTP/1.1\r\nHost: localhost\r\n",
    "DELETE /v1/models/%s HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/images?limit=%s HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/images?cursor=%s HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/images?%s=1 HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/jobs?state=%s HTTP/1.1\r\nHost: localhost\r\n",
    "POST /v1/images?name=%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n",
    "POST /v1/jobs?dry_run=%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n",
    "GET / HTTP/1.1\r\nHost: %s\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: %s\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: %s\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nReferer: %s\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: %s\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n",
    "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: a=%s\r\n",
    "POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\nContent-Length: 0\r\n",
    ("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\n"
     "Content-Length: 2\r\n\r\n{}"),
    ("POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nIdempotency-Key: %s\r\n"
     "Content-Length: 2\r\n\r\n{}"),
    "%s / HTTP/1.1\r\nHost: localhost\r\n",
    "GET / %s\r\nHost: localhost\r\n",
    /* behind these the existing image */
    "GET /v1/images/IMAGE/content HTTP/1.1\r\nHost: localhost\r\nRange: %s\r\n",
    "GET /v1/images/IMAGE/content HTTP/1.1\r\nHost: localhost\r\nRange: bytes=%s\r\n",
    "GET /v1/images/IMAGE/content HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: %s\r\n",
    "GET /v1/images/IMAGE/content HTTP/1.1\r\nHost: localhost\r\nIf-Range: %s\r\n",
    "GET /v1/images/IMAGE/preview?size=%s HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/images/IMAGE/%s HTTP/1.1\r\nHost: localhost\r\n",
};

/* ---- what an answer must not be ------------------------------------------------------
 */

static void no_line_starts_with(const char *what, const char *data)
{
    const char *end = strstr(data, "\r\n\r\n");
    for (const char *line = data; line != NULL && line < end;
         line = strchr(line + 1, '\n'))
        ck_assert_msg(strncasecmp(line + 1, "X-" MARK, strlen("X-" MARK)) != 0,
                      "%s\nbrought a header: %s", what, data);
}

/* A page of HTML is only ever the one that is part of the program. */
static void check_answer(const char *what, const struct wire *w)
{
    counts.answers += w->count;
    if (w->count == 0)
        return;
    counts.refused += w->status[0] >= 400;
    counts.accepted += w->status[0] < 400;
    ck_assert_msg(w->status[0] < 500 || w->status[0] == 505, "%s\n%s", what, w->data);
    ck_assert_msg(strstr(w->data, "root:x:0:") == NULL, "%s\n%s", what, w->data);
    no_line_starts_with(what, w->data);
    bool own = strcasestr(w->data, "\r\nX-Request-Id: ") != NULL;
    if (!own) { /* the library's own refusals say nothing of what was asked */
        ck_assert_msg(strstr(w->data, MARK) == NULL && strstr(w->data, "alert") == NULL,
                      "%s\n%s", what, w->data);
        return;
    }
    ck_assert_msg(strstr(w->data, "\r\nX-Content-Type-Options: nosniff\r\n") != NULL,
                  "%s\n%s", what, w->data);
    ck_assert_msg(strstr(w->data, "\r\nContent-Security-Policy: default-src 'none'") !=
                      NULL,
                  "%s\n%s", what, w->data);
    const char *body = strstr(w->data, "\r\n\r\n");
    if (strcasestr(w->data, "\r\nContent-Type: text/html") != NULL)
        ck_assert_msg(strstr(body, MARK) == NULL && strstr(body, "alert") == NULL,
                      "%s\nis reflected: %s", what, w->data);
}

static void put(const char *place, const char *payload)
{
    char text[2048], filled[600];
    const char *at = strstr(place, "%s"), *mark = strstr(place, "IMAGE");
    if (mark != NULL)
        (void)snprintf(filled, sizeof filled, "%.*s%s%.*s", (int)(mark - place), place,
                       image, (int)(at - mark - 5), mark + 5);
    else
        (void)snprintf(filled, sizeof filled, "%.*s", (int)(at - place), place);
    bool body = strstr(at, "\r\n\r\n") != NULL;
    (void)snprintf(text, sizeof text, "%s%s%s%s", filled, payload, at + 2,
                   body ? "" : "Connection: close\r\n\r\n");
    struct wire w = wire_exchange(wire_port(d.url), text, strlen(text), 10);
    counts.sent++;
    check_answer(text, &w);
    wire_free(&w);
}

/* Real uploads: the name is kept and told, as text. */
static void upload_named(const char *payload, bool form)
{
    static const char end[] = "\r\n--B--\r\n";
    struct den_err err = DEN_ERR_INIT;
    char path[300], *data = NULL, body[8192];
    size_t length = 0;
    struct answer a;
    (void)snprintf(path, sizeof path, "%s/noisy1_0.tif", files);
    must(den_fs_read(path, 4096, &data, &length, &err));
    if (form) {
        int head = snprintf(body, sizeof body,
                            "--B\r\nContent-Disposition: form-data; name=\"file\"; "
                            "filename=\"%s\"\r\n\r\n",
                            payload);
        memcpy(body + head, data, length);
        memcpy(body + head + length, end, sizeof end);
        a = ask("POST", d.url, "/v1/images", "multipart/form-data; boundary=B", body,
                (size_t)head + length + sizeof end - 1, NULL);
    } else {
        (void)snprintf(path, sizeof path, "/v1/images?name=%s", payload);
        a = ask("POST", d.url, path, "image/tiff", data, length, NULL);
    }
    counts.sent++;
    counts.answers++;
    char type[80];
    ck_assert_msg(a.status < 500, "%s: %ld", payload, a.status);
    ck_assert_msg(strstr(answer_header(&a, "Content-Type", type, sizeof type), "json"),
                  "%s: %s", payload, type);
    no_line_starts_with(payload, a.headers);
    answer_free(&a);
    den_free(data);
}

/* ---- what is on the disk afterwards
 * ----------------------------------------------------
 */

static size_t strays;

static int look(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    strays += strstr(path + where->base, MARK) != NULL;
    return 0;
}

START_TEST(payloads_reach_no_file_no_header_and_no_page)
{
    size_t before = daemon_files(&d);
    int step = test_full() ? 1 : 5;
    unsigned turn = 0;
    for (int i = 0; i < COUNT(places); i++)
        for (int j = 0; j < COUNT(payloads); j++)
            if (turn++ % (unsigned)step == 0)
                put(places[i], payloads[j]);
    for (int j = 0; j < COUNT(payloads); j++) {
        if (strpbrk(payloads[j], "<>\"\\`{}|") == NULL) /* else no URL for libcurl */
            upload_named(payloads[j], false);
        upload_named(payloads[j], true);
    }
    strays = 0;
    (void)nftw(d.state, look, 16, FTW_PHYS);
    (void)nftw(files, look, 16, FTW_PHYS);
    ck_assert_int_ne(access("/tmp/" MARK, F_OK), 0);
    ck_assert_int_ne(access("/tmp/" MARK ".tif", F_OK), 0);
    ck_assert_int_ne(access(MARK, F_OK), 0);
    printf(
        "payloads: %u requests, %u answers (%u refused, %u others); 0 files outside, 0 "
        "headers, 0 pages\n",
        counts.sent, counts.answers, counts.refused, counts.accepted);
    ck_assert_uint_eq(strays, 0);
    ck_assert_uint_eq(daemon_files(&d), before); /* it was the same image all the time */
    ck_assert_uint_ge(counts.sent, test_full() ? 2000 : 200);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http payloads");
    TCase *tc = tcase_create("payloads");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, payloads_reach_no_file_no_header_and_no_page);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
