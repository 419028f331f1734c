/* Parts: bytes for a file that the application names, which stay when a connection
 * breaks. */

#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <unistd.h>

#include "http_toy.h"

static uint64_t part_bytes(void)
{
    struct den_err err = DEN_ERR_INIT;
    char path[200];
    uint64_t bytes = 0;
    toy_part_path(path, sizeof path);
    if (den_fs_exists(path))
        must(den_fs_size(path, &bytes, &err));
    return bytes;
}

static char *patch(const char *headers, const char *body)
{
    char all[400];
    den_str_format(all, sizeof all, "%sContent-Length: %zu\r\n", headers, strlen(body));
    return toy_ask("PATCH /part", all, body);
}

START_TEST(parts_go_to_the_end_of_the_file_and_have_a_hash_each)
{
    /* SHA-256 of "abc" is the standard's own example. */
    char *reply = patch("", "abc");
    expect_status(reply, 200);
    expect_text(reply, "part[ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f200"
                       "15ad][3]");
    free(reply);
    reply = patch("", "defg");
    expect_text(reply, "][4]");
    free(reply);
    char *text = NULL, path[200];
    size_t length = 0;
    struct den_err err = DEN_ERR_INIT;
    toy_part_path(path, sizeof path);
    must(den_fs_read(path, 100, &text, &length, &err));
    ck_assert_uint_eq(length, 7);
    ck_assert_mem_eq(text, "abcdefg", 7);
    den_free(text);
}
END_TEST

START_TEST(a_chunked_part_is_taken)
{
    char *reply = toy_ask("PATCH /part", "Transfer-Encoding: chunked\r\n",
                          "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    expect_text(reply, "][5]");
    free(reply);
    ck_assert_uint_eq(part_bytes(), 5);
}
END_TEST

START_TEST(what_came_before_a_connection_broke_stays)
{
    int fd = toy_connect();
    toy_say(fd, "PATCH /part HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
                "0123456789");
    for (int i = 0; i < 500 && part_bytes() < 10; i++)
        toy_sleep(10);
    close(fd);
    toy_wait(&toy.parts_ended, 1);
    ck_assert_uint_eq(part_bytes(), 10);
    char *reply = patch("", "abc");
    expect_status(reply, 200);
    free(reply);
    ck_assert_uint_eq(part_bytes(), 13);
}
END_TEST

static const struct {
    const char *headers, *body;
    int status;
} refused[] = {
    {"X-Refuse: yes\r\nContent-Length: 3\r\n", "abc", 409},
    {"Content-Length: 99999999\r\n", "", 413},
    {"", "", 411},
    {"Content-Encoding: gzip\r\nContent-Length: 3\r\n", "abc", 415},
};

START_TEST(a_part_is_refused_before_its_first_byte)
{
    char *reply = toy_ask("PATCH /part", refused[_i].headers, refused[_i].body);
    expect_status(reply, refused[_i].status);
    free(reply);
    ck_assert_uint_eq(part_bytes(), 0);
}
END_TEST

START_TEST(a_chunked_part_ends_where_the_file_may_not_grow)
{
    static char body[120200];
    int head = snprintf(body, sizeof body, "%x\r\n", 120000);
    memset(body + head, 'x', 120000);
    (void)snprintf(body + head + 120000, 20, "\r\n0\r\n\r\n");
    int fd = toy_connect();
    toy_say(fd, "PATCH /part HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                "Transfer-Encoding: chunked\r\n\r\n");
    (void)toy_say(fd, body);
    char *reply = toy_read_all(fd, NULL);
    close(fd);
    expect_status(reply, 413);
    free(reply);
    ck_assert_uint_le(part_bytes(), TOY_PART_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("part");
    TCase *tc = tcase_create("part");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, toy_setup, toy_teardown);
    tcase_add_test(tc, parts_go_to_the_end_of_the_file_and_have_a_hash_each);
    tcase_add_test(tc, a_chunked_part_is_taken);
    tcase_add_test(tc, what_came_before_a_connection_broke_stays);
    tcase_add_loop_test(tc, a_part_is_refused_before_its_first_byte, 0,
                        sizeof refused / sizeof refused[0]);
    tcase_add_test(tc, a_chunked_part_ends_where_the_file_may_not_grow);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
