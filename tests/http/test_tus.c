/* Resumable uploads by the tus protocol: parts, checksums, broken connections, a killed
 * server, and an end as an image. */

#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "folder.h"
#include "fs.h"
#include "story.h"
#include "wire.h"

#define TUS "Tus-Resumable: 1.0.0\r\n"
#define PART "application/offset+octet-stream"

static struct daemon d;
static char files[64], *data;
static size_t length;

static void setup(void)
{
    struct den_err err = DEN_ERR_INIT;
    char path[128];
    daemon_start(&d, NULL);
    folder_make(files);
    scene_write(files, 1, 96, 1);
    (void)snprintf(path, sizeof path, "%s/noisy1_0.tif", files);
    must(den_fs_read(path, 1 << 24, &data, &length, &err));
}

static void teardown(void)
{
    den_free(data);
    daemon_remove(&d);
    folder_remove(files);
}

/* POST with this length; the path of the upload into to[80]. */
static void begin(size_t bytes, char *to)
{
    char header[160];
    (void)snprintf(header, sizeof header,
                   TUS "Upload-Length: %zu\r\nUpload-Metadata: filetype dGlm, name "
                       "Y2VsbC50aWY=",
                   bytes);
    struct answer a = ask("POST", d.url, "/v1/uploads", NULL, NULL, 0, header);
    ck_assert_msg(a.status == 201, "%ld %s", a.status, a.body);
    answer_header(&a, "Location", to, 80);
    ck_assert_str_eq(text_at(a.json, "name"), "cell.tif");
    answer_free(&a);
}

static struct answer patch(const char *path, size_t from, size_t to, const char *more)
{
    char header[256];
    (void)snprintf(header, sizeof header, TUS "Upload-Offset: %zu%s%s", from,
                   more != NULL ? "\r\n" : "", more != NULL ? more : "");
    return ask("PATCH", d.url, path, PART, data + from, to - from, header);
}

static size_t offset_of(const char *path)
{
    char value[32], want[32];
    struct answer a = ask("GET", d.url, path, NULL, NULL, 0, "Tus-Resumable: 1.0.0");
    ck_assert_msg(a.status == 200, "%ld %s", a.status, a.body);
    double offset = number_at(a.json, "offset");
    answer_header(&a, "Upload-Offset", value, sizeof value);
    (void)snprintf(want, sizeof want, "%.0f", offset);
    ck_assert_str_eq(value, want);
    answer_free(&a);
    return (size_t)offset;
}

static void patch_ok(const char *path, size_t from, size_t to)
{
    struct answer a = patch(path, from, to, NULL);
    ck_assert_msg(a.status == 204, "%ld %s", a.status, a.body);
    answer_free(&a);
}

/* The last part of `data`; the image must be it, byte for byte. */
static void end_as_image(const char *path, size_t from)
{
    char location[80], content[120];
    struct answer a = patch(path, from, length, NULL);
    ck_assert_msg(a.status == 204, "%ld %s", a.status, a.body);
    answer_header(&a, "Location", location, sizeof location);
    answer_free(&a);
    (void)snprintf(content, sizeof content, "%s/content", location);
    a = get(d.url, content);
    ck_assert_uint_eq(a.length, length);
    ck_assert_mem_eq(a.body, data, length);
    answer_free(&a);
    a = get(d.url, location);
    ck_assert_str_eq(text_at(a.json, "name"), "cell.tif");
    answer_free(&a);
    a = get(d.url, path);
    ck_assert_ptr_nonnull(strstr(location, text_at(a.json, "image")));
    ck_assert_uint_eq((size_t)number_at(a.json, "offset"), length);
    answer_free(&a);
}

START_TEST(a_file_in_three_parts_becomes_an_image)
{
    char path[80];
    begin(length, path);
    ck_assert_uint_eq(offset_of(path), 0);
    patch_ok(path, 0, 100);
    ck_assert_uint_eq(offset_of(path), 100);
    patch_ok(path, 100, 5000);
    end_as_image(path, 5000);
    struct answer a = patch(path, length, length, NULL);
    ck_assert_int_eq(a.status, 409); /* complete already */
    answer_free(&a);
}
END_TEST

/* The header as an HTTP date [RFC 9110, 5.6.7], written again from the time in the body;
 * the same to the second. */
static void expires_as_promised(const char *path, const char *header)
{
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t = {.tm_year = 0};
    char want[80];
    struct answer a = get(d.url, path);
    const char *text = text_at(a.json, "expires_at"),
               *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
    ck_assert_msg(end != NULL && *end == '.', "%s", text);
    (void)snprintf(want, sizeof want, "%.3s, %02d %.3s %04d %.8s GMT",
                   days + (size_t)t.tm_wday * 3, t.tm_mday, months + (size_t)t.tm_mon * 3,
                   t.tm_year + 1900, text + strlen("2000-01-01T"));
    ck_assert_str_eq(header, want);
    answer_free(&a);
}

START_TEST(the_server_says_what_it_can)
{
    char value[80];
    struct answer a = ask("OPTIONS", d.url, "/v1/uploads", NULL, NULL, 0, NULL);
    ck_assert_int_eq(a.status, 204);
    ck_assert_str_eq(answer_header(&a, "Tus-Version", value, sizeof value), "1.0.0");
    ck_assert_str_eq(answer_header(&a, "Tus-Extension", value, sizeof value),
                     "creation,checksum,expiration,termination");
    ck_assert_str_eq(answer_header(&a, "Tus-Checksum-Algorithm", value, sizeof value),
                     "sha256");
    answer_free(&a);
    char path[80];
    begin(10, path);
    a = ask("HEAD", d.url, path, NULL, NULL, 0, "Tus-Resumable: 1.0.0");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(answer_header(&a, "Upload-Offset", value, sizeof value), "0");
    ck_assert_str_eq(answer_header(&a, "Upload-Length", value, sizeof value), "10");
    ck_assert_str_eq(answer_header(&a, "Cache-Control", value, sizeof value), "no-store");
    answer_header(&a, "Upload-Expires", value, sizeof value);
    ck_assert_msg(strstr(value, " GMT") != NULL, "%s", value);
    answer_free(&a);
    expires_as_promised(path, value);
}
END_TEST

/* What a client does when the line breaks: it asks, and goes on. */
START_TEST(an_upload_goes_on_after_the_line_broke_and_after_the_server_was_killed)
{
    char path[80], head[400];
    begin(length, path);
    int fd = wire_connect(wire_port(d.url));
    (void)snprintf(head, sizeof head,
                   "PATCH %s HTTP/1.1\r\nHost: localhost\r\n" TUS "Content-Type: " PART
                   "\r\nUpload-Offset: 0\r\nContent-Length: %zu\r\n\r\n",
                   path, length);
    ck_assert_int_eq(write(fd, head, strlen(head)), (ssize_t)strlen(head));
    ck_assert_int_eq(write(fd, data, 3000), 3000);
    for (int i = 0; i < 200 && offset_of(path) < 3000; i++)
        (void)usleep(10000);
    struct answer a = patch(path, 3000, 4000, NULL); /* while the first is on its way */
    ck_assert_int_eq(a.status, 409);
    answer_free(&a);
    close(fd);
    for (int i = 0; i < 200; i++) { /* the server has to see that it is gone */
        a = patch(path, 3000, 4000, NULL);
        long status = a.status;
        answer_free(&a);
        if (status == 204)
            break;
        (void)usleep(10000);
    }
    ck_assert_uint_eq(offset_of(path), 4000);
    daemon_kill(&d);
    daemon_restart(&d, NULL);
    ck_assert_uint_eq(offset_of(path), 4000);
    end_as_image(path, 4000);
}
END_TEST

static void checksum_of(size_t from, size_t to, char *header, size_t size)
{
    struct sha256_ctx state;
    uint8_t hash[SHA256_DIGEST_SIZE];
    char text[BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1];
    sha256_init(&state);
    sha256_update(&state, to - from, (const uint8_t *)data + from);
    sha256_digest(&state, sizeof hash, hash);
    base64_encode_raw(text, sizeof hash, hash);
    text[sizeof text - 1] = '\0';
    (void)snprintf(header, size, "Upload-Checksum: sha256 %s", text);
}

START_TEST(a_damaged_part_is_told_and_does_not_stay)
{
    char path[80], right[100], wrong[100];
    begin(length, path);
    checksum_of(0, 2000, right, sizeof right);
    checksum_of(1, 2001, wrong, sizeof wrong);
    struct answer a = patch(path, 0, 2000, wrong);
    ck_assert_msg(a.status == 460, "%ld %s", a.status, a.body);
    ck_assert_str_eq(text_at(a.json, "code"), "checksum_mismatch");
    answer_free(&a);
    ck_assert_uint_eq(offset_of(path), 0);
    a = patch(path, 0, 2000, right);
    ck_assert_int_eq(a.status, 204);
    answer_free(&a);
    end_as_image(path, 2000);
}
END_TEST

static const struct {
    const char *method, *headers, *type;
    int status;
} refused[] = {
    {"POST", "Tus-Resumable: 0.2.2\r\nUpload-Length: 10", NULL, 412},
    {"POST", TUS "Upload-Length: -1", NULL, 400},
    {"POST", TUS "Upload-Length: 0", NULL, 422},
    {"POST", TUS "Upload-Length: 99999999999999", NULL, 413},
    {"POST", TUS "Upload-Defer-Length: 1", NULL, 400},
    {"POST", TUS "Upload-Length: 9\r\nUpload-Metadata: name ***", NULL, 400},
    {"POST", TUS "Upload-Length: 9\r\nUpload-Metadata: name AAAA", NULL, 400},
    {"PATCH", TUS "Upload-Offset: 0", "image/tiff", 415},
    {"PATCH", TUS "Upload-Offset: 5", PART, 409},
    {"PATCH", TUS "Upload-Offset: x", PART, 400},
    {"PATCH", "Tus-Resumable: 1.0.0", PART, 400},
    {"PATCH", "Tus-Resumable: 2.0.0\r\nUpload-Offset: 0", PART, 412},
    {"PATCH", TUS "Upload-Offset: 0\r\nUpload-Checksum: md5 AAAA", PART, 400},
    {"PATCH", TUS "Upload-Offset: 0\r\nUpload-Checksum: sha256 AAAA", PART, 400},
};

START_TEST(what_is_not_the_protocol_is_refused)
{
    char path[80];
    begin(1000, path);
    bool post = strcmp(refused[_i].method, "POST") == 0;
    struct answer a =
        ask(refused[_i].method, d.url, post ? "/v1/uploads" : path, refused[_i].type,
            post ? NULL : data, post ? 0 : 10, refused[_i].headers);
    char value[16];
    ck_assert_msg(a.status == refused[_i].status, "%s: %ld %s", refused[_i].headers,
                  a.status, a.body);
    ck_assert_str_eq(answer_header(&a, "Tus-Resumable", value, sizeof value), "1.0.0");
    answer_free(&a);
    ck_assert_uint_eq(offset_of(path), 0);
}
END_TEST

START_TEST(more_than_was_announced_is_refused)
{
    char path[80];
    begin(50, path);
    struct answer a = patch(path, 0, 60, NULL);
    ck_assert_int_eq(a.status, 413);
    answer_free(&a);
    ck_assert_uint_eq(offset_of(path), 0);
}
END_TEST

START_TEST(a_file_that_is_no_image_is_refused_at_its_end_and_goes)
{
    char path[80];
    begin(200, path);
    struct answer a = patch(path, 100, 300, NULL);
    ck_assert_int_eq(a.status, 409);
    answer_free(&a);
    a = ask("PATCH", d.url, path, PART, data + 300, 200, TUS "Upload-Offset: 0");
    ck_assert_msg(a.status >= 400 && a.status < 500, "%ld %s", a.status, a.body);
    answer_free(&a);
    a = get(d.url, path);
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
}
END_TEST

START_TEST(an_upload_can_be_given_up)
{
    char path[80], file[200];
    begin(length, path);
    patch_ok(path, 0, 100);
    (void)snprintf(file, sizeof file, "%s%s", d.state, path + strlen("/v1"));
    ck_assert_int_eq(access(file, F_OK), 0);
    struct answer a = ask("DELETE", d.url, path, NULL, NULL, 0, "Tus-Resumable: 1.0.0");
    ck_assert_int_eq(a.status, 204);
    answer_free(&a);
    a = get(d.url, path);
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
    ck_assert_int_ne(access(file, F_OK), 0);
}
END_TEST

/* What is on its way counts as stored. */
START_TEST(a_quota_counts_what_was_only_announced)
{
    char path[80];
    ck_assert_int_eq(daemon_stop(&d), 0);
    daemon_restart(&d, (const char *const[]){"--quota_stored_mib", "1", NULL});
    begin(600000, path);
    struct answer a =
        ask("POST", d.url, "/v1/uploads", NULL, NULL, 0, TUS "Upload-Length: 600000");
    ck_assert_msg(a.status == 429, "%ld %s", a.status, a.body);
    answer_free(&a);
    a = ask("DELETE", d.url, path, NULL, NULL, 0, "Tus-Resumable: 1.0.0");
    ck_assert_int_eq(a.status, 204);
    answer_free(&a);
    begin(600000, path);
}
END_TEST

START_TEST(nobody_begins_uploads_without_end)
{
    char path[80], text[80];
    for (int i = 0; i < 64; i++)
        begin(100, path);
    struct answer a =
        ask("POST", d.url, "/v1/uploads", NULL, NULL, 0, TUS "Upload-Length: 100");
    ck_assert_msg(a.status == 429, "%ld %s", a.status, a.body);
    ck_assert_str_ne(answer_header(&a, "Retry-After", text, sizeof text), "");
    close_to(number_at(a.json, "limit"), 64, 1e-12);
    answer_free(&a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resumable uploads");
    TCase *tc = tcase_create("tus");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_file_in_three_parts_becomes_an_image);
    tcase_add_test(tc, the_server_says_what_it_can);
    tcase_add_test(
        tc, an_upload_goes_on_after_the_line_broke_and_after_the_server_was_killed);
    tcase_add_test(tc, a_damaged_part_is_told_and_does_not_stay);
    tcase_add_loop_test(tc, what_is_not_the_protocol_is_refused, 0,
                        sizeof refused / sizeof refused[0]);
    tcase_add_test(tc, more_than_was_announced_is_refused);
    tcase_add_test(tc, a_file_that_is_no_image_is_refused_at_its_end_and_goes);
    tcase_add_test(tc, an_upload_can_be_given_up);
    tcase_add_test(tc, a_quota_counts_what_was_only_announced);
    tcase_add_test(tc, nobody_begins_uploads_without_end);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
