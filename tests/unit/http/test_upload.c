/* Uploads: raw and as a form, hashed on the way, refused early, broken off, disk full. */

#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <signal.h>
#include <sys/resource.h>

#include "http_toy.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))
#define HOST "Host: localhost\r\n"
#define FORM "Content-Type: multipart/form-data; boundary=xyz\r\n"

/* Bytes that no header or boundary looks like, different in every place. */
static char *make_bytes(size_t length)
{
    char *bytes = malloc(length + 1);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)((i * 2654435761U) >> 13);
    return bytes;
}

static void hash_of(const char *bytes, size_t length, char *to, size_t size)
{
    uint8_t hash[SHA256_DIGEST_SIZE];
    struct sha256_ctx state;
    sha256_init(&state);
    sha256_update(&state, length, (const uint8_t *)bytes);
    sha256_digest(&state, sizeof hash, hash);
    ck_assert_uint_gt(size, BASE16_ENCODE_LENGTH(sizeof hash));
    base16_encode_update(to, sizeof hash, hash);
    to[BASE16_ENCODE_LENGTH(sizeof hash)] = '\0';
}

static char *send_upload(const char *target, const char *headers, const char *bytes,
                         size_t length)
{
    char head[600];
    int fd = toy_connect();
    den_str_format(head, sizeof head,
                   "POST %s HTTP/1.1\r\n" HOST "Connection: close\r\n%s\r\n", target,
                   headers);
    (void)(toy_say(fd, head) && toy_send(fd, bytes, length));
    char *reply = toy_read_all(fd, NULL);
    close(fd);
    return reply;
}

static char *send_sized(const char *target, const char *bytes, size_t length)
{
    char header[64];
    den_str_format(header, sizeof header, "Content-Length: %zu\r\n", length);
    return send_upload(target, header, bytes, length);
}

static struct den_buf between(const char *head, const char *bytes, size_t length,
                              const char *tail)
{
    struct den_buf all;
    den_buf_init(&all, 1 << 24);
    den_buf_puts(&all, head);
    den_buf_add(&all, bytes, length);
    den_buf_puts(&all, tail);
    ck_assert(!all.failed);
    return all;
}

START_TEST(bytes_arrive_with_their_hash)
{
    static const size_t sizes[] = {1, 17, 4096, 65535, 65536, 1000003, TOY_UPLOAD_MAX};
    for (int i = 0; i < COUNT(sizes); i++) {
        char hash[65], want[200];
        char *bytes = make_bytes(sizes[i]);
        hash_of(bytes, sizes[i], hash, sizeof hash);
        den_str_format(want, sizeof want, "upload[%s][%zu][-]", hash, sizes[i]);
        char *reply = send_sized("/files", bytes, sizes[i]);
        expect_status(reply, 201);
        expect_text(reply, want);
        ck_assert_int_eq(toy_files(), 0); /* the handler did not take it */
        free(reply);
        free(bytes);
    }
}
END_TEST

START_TEST(chunks_arrive_with_their_hash)
{
    enum { SIZE = 300000, CHUNK = 7000 };
    char hash[65], line[32];
    char *bytes = make_bytes(SIZE);
    hash_of(bytes, SIZE, hash, sizeof hash);
    int fd = toy_connect();
    toy_say(fd, "POST /files HTTP/1.1\r\n" HOST "Connection: close\r\n"
                "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0; at < SIZE; at += CHUNK) {
        size_t count = SIZE - at < CHUNK ? SIZE - at : CHUNK;
        den_str_format(line, sizeof line, "%zx\r\n", count);
        ck_assert(toy_say(fd, line) && toy_send(fd, bytes + at, count) &&
                  toy_say(fd, "\r\n"));
    }
    toy_say(fd, "0\r\n\r\n");
    char *reply = toy_read_all(fd, NULL);
    expect_status(reply, 201);
    expect_text(reply, hash);
    close(fd);
    free(reply);
    free(bytes);
}
END_TEST

START_TEST(a_handler_may_keep_the_file)
{
    struct den_err err = DEN_ERR_INIT;
    char *bytes = make_bytes(5000), *stored = NULL;
    size_t length = 0;
    char *reply = send_sized("/files?keep=1", bytes, 5000);
    expect_status(reply, 201);
    must(den_fs_read(toy.kept, 1 << 20, &stored, &length, &err));
    ck_assert_uint_eq(length, 5000);
    ck_assert_mem_eq(stored, bytes, 5000);
    must(den_fs_remove(toy.kept, &err));
    den_free(stored);
    free(reply);
    free(bytes);
}
END_TEST

static const struct {
    const char *name, *headers, *body;
    int status;
    const char *words;
} small[] = {
    {"no bytes at all", "Content-Length: 0\r\n", "", 422, "the file has 0 bytes"},
    {"no bytes in chunks", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", 422, "0 bytes"},
    {"neither length nor chunks", "", "", 411, "length_required"},
    {"compressed", "Content-Encoding: gzip\r\nContent-Length: 2\r\n", "ab", 415,
     "Encoding"},
    {"too large by its length", "Content-Length: 3145729\r\n", "", 413, "limit 3145728"},
    {"as curl sends --data-binary",
     "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n", "a=1",
     201, "[3][-]"},
    {"a form", FORM,
     "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.tif\"\r\n\r\n"
     "hello\r\n--xyz--\r\n",
     201, "[5][a.tif]"},
    {"a form without a file name", FORM,
     "--xyz\r\nContent-Disposition: form-data; "
     "name=\"file\"\r\n\r\nhello\r\n\r\n--xyz--\r\n",
     201, "[7][-]"},
    {"a form with a path for a name", FORM,
     "--xyz\r\nContent-Disposition: form-data; name=\"file\"; "
     "filename=\"C:\\x/a.tif\"\r\n\r\n"
     "hello\r\n--xyz--\r\n",
     201, "[5][a.tif]"},
    {"a form with another field", FORM,
     "--xyz\r\nContent-Disposition: form-data; "
     "name=\"name\"\r\n\r\nhello!\r\n--xyz--\r\n",
     400, "is 'file'"},
    {"a form with two files", FORM,
     "--xyz\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\na\r\n"
     "--xyz\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nb\r\n--xyz--\r\n",
     400, "more than one 'file'"},
    {"a form that ends too early", FORM,
     "--xyz\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nhello!!!", 400,
     "ends too early"},
    {"a form with nothing in it", FORM, "--xyz--\r\n", 400, "problem"},
    {"a form that is none", FORM, "hello", 400, "problem"},
    {"a form without a boundary",
     "Content-Type: multipart/form-data\r\nContent-Length: 5\r\n", "hello", 400,
     "boundary"},
    {"a form with an empty file", FORM,
     "--xyz\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n--xyz--\r\n", 422,
     "0 bytes"},
};

START_TEST(small_uploads_are_taken_or_refused)
{
    size_t length = strlen(small[_i].body);
    char headers[300];
    if (strcmp(small[_i].headers, FORM) == 0)
        den_str_format(headers, sizeof headers, FORM "Content-Length: %zu\r\n", length);
    else
        den_str_copy(headers, sizeof headers, small[_i].headers);
    char *reply = send_upload("/files", headers, small[_i].body, length);
    ck_assert_msg(toy_status(reply) == small[_i].status, "%s: %s", small[_i].name, reply);
    expect_text(reply, small[_i].words);
    ck_assert_int_eq(toy_files(), 0);
    free(reply);
}
END_TEST

/* The form's file holds pieces that look like boundaries, and pieces of the body arrive
 * cut at every place. */
START_TEST(a_form_arrives_whole_however_it_is_cut)
{
    static const char content[] = "a\r\n--xy\r\n-xyz\r\n--\r\n\r\r\n--xy";
    const size_t length = sizeof content - 1;
    char body[400], hash[65], head[200];
    hash_of(content, length, hash, sizeof hash);
    den_str_format(body, sizeof body,
                   "--xyz\r\nContent-Disposition: form-data; name=\"file\"; "
                   "filename=\"b\"\r\nContent-Type: image/tiff\r\n\r\n%s\r\n--xyz--\r\n",
                   content);
    size_t total = strlen(body);
    den_str_format(head, sizeof head,
                   "POST /files HTTP/1.1\r\n" HOST "Connection: close\r\n" FORM
                   "Content-Length: %zu\r\n\r\n",
                   total);
    const int yes = 1;
    for (size_t cut = 1; cut < total; cut++) {
        int fd = toy_connect();
        setsockopt(fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &yes, sizeof yes);
        toy_say(fd, head);
        toy_send(fd, body, cut);
        toy_sleep(1);
        toy_send(fd, body + cut, total - cut);
        char *reply = toy_read_all(fd, NULL);
        ck_assert_msg(toy_status(reply) == 201 && strstr(reply, hash) != NULL,
                      "cut at %zu: %s", cut, reply);
        free(reply);
        close(fd);
    }
}
END_TEST

START_TEST(a_large_form_arrives_with_the_hash_of_its_file)
{
    const char *head = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; "
                       "filename=\"\xc3\xa4.tif\"\r\n\r\n";
    const char *tail = "\r\n--xyz--\r\n";
    static const struct {
        size_t size;
        int status;
    } files[] = {{2000000, 201}, {TOY_UPLOAD_MAX, 201}, {TOY_UPLOAD_MAX + 1, 413}};
    for (int i = 0; i < COUNT(files); i++) {
        char hash[65], headers[200];
        char *file = make_bytes(files[i].size);
        struct den_buf body = between(head, file, files[i].size, tail);
        hash_of(file, files[i].size, hash, sizeof hash);
        den_str_format(headers, sizeof headers, FORM "Content-Length: %zu\r\n",
                       body.length);
        char *reply = send_upload("/files", headers, body.data, body.length);
        expect_status(reply, files[i].status);
        if (files[i].status == 201) {
            expect_text(reply, hash);
            expect_text(reply, "[\xc3\xa4.tif]");
        }
        free(reply);
        den_buf_release(&body);
        free(file);
    }
}
END_TEST

START_TEST(a_client_that_breaks_off_leaves_nothing_behind)
{
    char *bytes = make_bytes(200000);
    static const char *const heads[] = {
        "POST /files HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n",
        "POST /files HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffff\r\n",
        "POST /files HTTP/1.1\r\n" HOST FORM "Content-Length: 2000000\r\n\r\n--xyz\r\n"
        "Content-Disposition: form-data; name=\"file\"\r\n\r\n",
    };
    for (int i = 0; i < COUNT(heads) * 2; i++) {
        int fd = toy_connect();
        ck_assert(toy_say(fd, heads[i / 2]) && toy_send(fd, bytes, 200000));
        for (int k = 0; k < 200 && toy_files() == 0; k++)
            toy_sleep(10);
        ck_assert_int_eq(toy_files(), 1); /* it was being written */
        const struct linger reset = {.l_onoff = 1};
        if (i % 2 == 1)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        for (int k = 0; k < 200 && toy_files() != 0; k++)
            toy_sleep(10);
        ck_assert_msg(toy_files() == 0, "break-off %d", i);
    }
    free(bytes);
}
END_TEST

START_TEST(stopping_in_the_middle_of_an_upload_leaves_nothing_behind)
{
    char *bytes = make_bytes(100000);
    int fd = toy_connect();
    toy_say(fd, "POST /files HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n");
    toy_send(fd, bytes, 100000);
    for (int k = 0; k < 200 && toy_files() == 0; k++)
        toy_sleep(10);
    toy_close(0);
    ck_assert_int_eq(toy_files(), 0);
    close(fd);
    free(bytes);
}
END_TEST

/* Expect: 100-continue: who asks first never sends what is refused. */
START_TEST(a_refusal_comes_before_the_first_byte)
{
    int fd = toy_connect();
    toy_say(fd, "POST /files HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
                "Content-Length: 99999999\r\n\r\n");
    char *reply = toy_read_all(fd, NULL);
    expect_status(reply, 413);
    expect_no_text(reply, "100 Continue");
    free(reply);
    close(fd);
    fd = toy_connect();
    toy_say(fd, "POST /files HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
                "Connection: close\r\nContent-Length: 3\r\n\r\n");
    char head[64] = "";
    ck_assert_int_gt(recv(fd, head, sizeof head - 1, 0), 0);
    expect_text(head, "100 Continue");
    toy_say(fd, "abc");
    reply = toy_read_all(fd, NULL);
    expect_text(reply, "201 Created");
    free(reply);
    close(fd);
}
END_TEST

/* The limit on file size stands in for a full disk: fallocate fails, write fails. */
START_TEST(a_disk_without_room_is_told_and_nothing_stays)
{
    struct rlimit limit = {.rlim_cur = 100000, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    char *bytes = make_bytes(200000);
    char *reply = send_sized("/files", bytes, 200000);
    expect_status(reply, 507);
    ck_assert_int_eq(toy_files(), 0);
    free(reply);
    reply = send_sized("/files", bytes, 50000);
    expect_status(reply, 201);
    free(reply);
    struct den_buf chunked = between("30d40\r\n", bytes, 200000, "\r\n0\r\n\r\n");
    reply = send_upload("/files", "Transfer-Encoding: chunked\r\n", chunked.data,
                        chunked.length);
    expect_status(reply, 500); /* EFBIG; a disk that is really full gives ENOSPC */
    ck_assert_int_eq(toy_files(), 0);
    free(reply);
    den_buf_release(&chunked);
    free(bytes);
}
END_TEST

static void *upload_many(void *context)
{
    const char *bytes = context;
    for (size_t i = 0; i < 5; i++) {
        char hash[65];
        size_t length = 50000 + i * 12345;
        hash_of(bytes, length, hash, sizeof hash);
        char *reply = send_sized("/files", bytes, length);
        expect_status(reply, 201);
        expect_text(reply, hash);
        free(reply);
    }
    return NULL;
}

START_TEST(uploads_at_the_same_time_do_not_mix)
{
    enum { CLIENTS = 16 };
    pthread_t threads[CLIENTS];
    char *bytes = make_bytes(200000);
    for (int i = 0; i < CLIENTS; i++)
        ck_assert_int_eq(
            pthread_create(&threads[i], NULL, upload_many, bytes + (size_t)i * 100), 0);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    free(bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("upload");
    TCase *tc = tcase_create("upload");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, toy_setup, toy_teardown);
    tcase_add_test(tc, bytes_arrive_with_their_hash);
    tcase_add_test(tc, chunks_arrive_with_their_hash);
    tcase_add_test(tc, a_handler_may_keep_the_file);
    tcase_add_loop_test(tc, small_uploads_are_taken_or_refused, 0, COUNT(small));
    tcase_add_test(tc, a_form_arrives_whole_however_it_is_cut);
    tcase_add_test(tc, a_large_form_arrives_with_the_hash_of_its_file);
    tcase_add_test(tc, a_client_that_breaks_off_leaves_nothing_behind);
    tcase_add_test(tc, stopping_in_the_middle_of_an_upload_leaves_nothing_behind);
    tcase_add_test(tc, a_refusal_comes_before_the_first_byte);
    tcase_add_test(tc, a_disk_without_room_is_told_and_nothing_stays);
    tcase_add_test(tc, uploads_at_the_same_time_do_not_mix);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
