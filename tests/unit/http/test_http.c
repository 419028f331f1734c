/* What goes over the wire, byte by byte: framing, statuses, headers, ranges, JSON bodies.
 */

#include "http_toy.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))
#define HOST "Host: localhost\r\n"
#define SMUGGLED "GET /hello HTTP/1.1\r\n" HOST "\r\n"

/* ---- framing: each of these reached a handler of plain libmicrohttpd 0.9.75, or hung
 * --- */

static const struct {
    const char *name, *request;
    size_t length; /* 0 = strlen */
} framing[] = {
    {"Content-Length with Transfer-Encoding",
     "POST /json HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
     "\r\n0\r\n\r\n" SMUGGLED,
     0},
    {"two Content-Length that differ",
     "POST /json HTTP/1.1\r\n" HOST
     "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" SMUGGLED,
     0},
    {"two Content-Length that agree",
     "POST /json HTTP/1.1\r\n" HOST "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
     0},
    {"gzip, chunked",
     "POST /json HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
     0},
    {"xchunked",
     "POST /json HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 0},
    {"Transfer-Encoding twice",
     "POST /json HTTP/1.1\r\n" HOST
     "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     0},
    {"chunked with HTTP/1.0",
     "POST /json HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
    {"a space before the colon",
     "POST /json HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n"
     "\r\n0\r\n",
     0},
    {"a folded header",
     "POST /json HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 0},
    {"a folded harmless header", "GET /hello HTTP/1.1\r\n" HOST "X-A: b\r\n c: d\r\n\r\n",
     0},
    {"a bare CR in a value", "GET /hello HTTP/1.1\r\n" HOST "X-Say: a\rb\r\n\r\n", 0},
    {"a control character in a value",
     "GET /hello HTTP/1.1\r\n" HOST "X-Say: a\x01z\r\n\r\n", 0},
    {"a control character in a name", "GET /hello HTTP/1.1\r\n" HOST "X\x02: a\r\n\r\n",
     0},
    {"NUL in the path", "GET /hello%00x HTTP/1.1\r\n" HOST "\r\n", 0},
    {"an escaped dot", "GET /%2e%2e/hello HTTP/1.1\r\n" HOST "\r\n", 0},
    {"a dot segment", "GET /x/../hello HTTP/1.1\r\n" HOST "\r\n", 0},
    {"an escaped slash", "GET /things/a%2fb HTTP/1.1\r\n" HOST "\r\n", 0},
    {"a space in the target", "GET /hello there HTTP/1.1\r\n" HOST "\r\n", 0},
    {"no Host", "GET /hello HTTP/1.1\r\n\r\n", 0},
    {"two Hosts", "GET /hello HTTP/1.1\r\n" HOST HOST "\r\n", 0},
    {"an absolute target", "GET http://localhost/hello HTTP/1.1\r\n" HOST "\r\n", 0},
    {"an asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 0},
};

START_TEST(ambiguous_framing_gets_one_400_and_the_end)
{
    const char *request = framing[_i].request;
    double start = den_monotonic_s();
    char *reply = toy_exchange(request, strlen(request));
    ck_assert_msg(toy_status(reply) == 400, "%s: %.200s", framing[_i].name, reply);
    ck_assert_msg(toy_count(reply, "\nHTTP/1.1 ") == 0, "%s: %s", framing[_i].name,
                  reply);
    expect_text(reply, "Connection: close");
    expect_text(reply, "problem: ");
    ck_assert_int_eq(atomic_load(&toy.handled), 0);
    ck_assert(den_monotonic_s() - start < 2);
    free(reply);
}
END_TEST

/* Malformed numbers are answered inside the library; what counts is that nothing behind
 * them is served. */
static const char *const lengths[] = {
    "-1", "+3", "3, 3", "0x3", "3 3", "", "99999999999999999999999"};

START_TEST(a_malformed_length_ends_the_connection)
{
    char text[300];
    den_str_format(text, sizeof text,
                   "POST /json HTTP/1.1\r\n" HOST
                   "Content-Length: %s\r\n\r\n{} " SMUGGLED,
                   lengths[_i]);
    char *reply = toy_exchange(text, strlen(text));
    ck_assert_msg(toy_status(reply) == 400 || toy_status(reply) == 413, "%s: %s",
                  lengths[_i], reply);
    ck_assert_int_eq(atomic_load(&toy.handled), 0);
    free(reply);
}
END_TEST

/* ---- statuses and headers -------------------------------------------------------------
 */

static const struct {
    const char *name, *line, *headers, *body;
    int status;
    const char *words;
} plain[] = {
    {"a route answers", "GET /hello", "X-Say: hi\r\n", "", 200, "hello[hi]"},
    {"an unknown path is 404", "GET /nothing", "", "", 404, "/nothing"},
    {"a wrong method is 405", "DELETE /hello", "", "", 405, "Allow: GET, HEAD\r\n"},
    {"405 is a problem", "PUT /things/1", "", "", 405, "\"code\":\"method_not_allowed\""},
    {"a method of any length", "ABCDEFGHIJKLMNOPQRSTUVWXYZ /hello", "", "", 405, "Allow"},
    {"a parameter is decoded", "GET /things/a%20b", "", "", 200, "thing[a b][-]"},
    {"two parameters", "GET /things/1/parts/2", "", "", 200, "thing[1][2]"},
    {"a parameter must be UTF-8", "GET /things/%ff", "", "", 400, "UTF-8"},
    {"POST without a body", "POST /things/7/undo", "", "", 200, "thing[7]"},
    {"an empty body is none", "POST /things/7/undo", "Content-Length: 0\r\n", "", 200,
     "[7]"},
    {"a body where none belongs", "POST /things/7/undo", "Content-Length: 2\r\n", "{}",
     400, "takes no body"},
    {"GET with a body", "GET /hello", "Content-Length: 2\r\n", "{}", 400,
     "takes no body"},
    {"a query is decoded", "GET /query?limit=3&name=a%2Fb+c", "", "", 200,
     "query[3][a/b c]"},
    {"a key without a value", "GET /query?name", "", "", 200, "query[-][]"},
    {"an empty query", "GET /query?", "", "", 200, "query[-][-]"},
    {"an unknown query key", "GET /query?limits=3", "", "", 400, "limit name"},
    {"a query where none is allowed", "GET /hello?a=1", "", "", 400, "allowed: none"},
    {"a doubled query key", "GET /query?name=a&name=b", "", "", 400, "given twice"},
    {"a query that is not UTF-8", "GET /query?name=%c3%28", "", "", 400, "UTF-8"},
    {"an unknown expectation", "GET /hello", "Expect: magic\r\n", "", 417,
     "100-continue"},
    {"an error of a handler", "GET /fail", "", "", 409, "it cannot be \"so\""},
    {"a page of another site", "POST /json", "Origin: http://evil.example\r\n", "", 403,
     "forbidden_origin"},
    {"the own page", "POST /json", "Origin: http://localhost\r\n", "", 200, "json[0]"},
    {"reading across sites is up to the browser", "GET /hello",
     "Origin: http://evil.example\r\n", "", 200, "hello"},
};

START_TEST(the_status_says_what_was_wrong)
{
    char *reply = toy_ask(plain[_i].line, plain[_i].headers, plain[_i].body);
    ck_assert_msg(toy_status(reply) == plain[_i].status, "%s: %.400s", plain[_i].name,
                  reply);
    expect_text(reply, plain[_i].words);
    expect_text(reply, "X-Content-Type-Options: nosniff");
    expect_text(reply, "Referrer-Policy: no-referrer");
    expect_text(reply, "Content-Security-Policy: default-src 'none'");
    expect_text(reply, "X-Request-Id: ");
    expect_no_text(reply, "X-Half");
    free(reply);
}
END_TEST

START_TEST(the_request_id_is_the_clients_or_a_fresh_one)
{
    static const struct {
        const char *given;
        bool taken;
    } ids[] = {
        {"abc-1._Z", true},
        {"has space", false},
        {"semi;colon", false},
        {"\"quoted\"", false},
        {"0123456789012345678901234567890123456789012345678901234567890123", true},
        {"01234567890123456789012345678901234567890123456789012345678901234", false}};
    for (int i = 0; i < COUNT(ids); i++) {
        char header[200], want[200];
        den_str_format(header, sizeof header, "X-Request-Id: %s\r\n", ids[i].given);
        den_str_format(want, sizeof want, "X-Request-Id: %s\r\n", ids[i].given);
        char *reply = toy_ask("GET /hello", header, "");
        expect_status(reply, 200);
        ck_assert_msg((strstr(reply, want) != NULL) == ids[i].taken, "%s: %s",
                      ids[i].given, reply);
        ck_assert_uint_eq(toy_count(reply, "X-Request-Id: "), 1);
        free(reply);
    }
}
END_TEST

START_TEST(headers_cannot_be_injected_and_defaults_can_be_replaced)
{
    size_t length = 0;
    int fd = toy_connect();
    toy_say(fd, "GET /big HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    char *reply = toy_read_all(fd, &length);
    close(fd);
    expect_status(reply, 200);
    expect_no_text(reply, "X-Injected");
    expect_text(reply, "Content-Security-Policy: default-src 'self'\r\n");
    ck_assert_uint_eq(toy_count(reply, "Content-Security-Policy"), 1);
    ck_assert_uint_eq(strlen(toy_body(reply)), 1 << 20);
    free(reply);
}
END_TEST

#define TEN_A "aaaaaaaaaa"
#define LONG_HOST TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A TEN_A

START_TEST(a_server_with_hosts_knows_only_those)
{
    struct den_http_config config = toy_config();
    config.hosts = "lab.example";
    toy_open(&config);
    static const struct {
        const char *host;
        int status;
        const char *says; /* NULL: nothing of it */
    } asked[] = {
        {"localhost", 200, NULL},
        {"lab.example:80", 200, NULL},
        {"evil.example", 421, "Host header, \\\"evil.example\\\"; its names are"},
        {"new.example:8080", 421, "new.example:8080\\\"; its names are in the "},
        {LONG_HOST, 421, "aaaa\\\"; its names are in the setting hosts"}};
    for (int i = 0; i < COUNT(asked); i++) {
        char text[200];
        den_str_format(text, sizeof text,
                       "GET /hello HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                       asked[i].host);
        char *reply = toy_exchange(text, strlen(text));
        expect_status(reply, asked[i].status);
        if (asked[i].says != NULL)
            ck_assert_msg(strstr(reply, asked[i].says) != NULL, "%s", reply);
        free(reply);
    }
    toy_teardown();
}
END_TEST

/* ---- HEAD, files ----------------------------------------------------------------------
 */

START_TEST(HEAD_tells_what_GET_would)
{
    static const char *const paths[] = {"/hello", "/big", "/file", "/slow"};
    for (int i = 0; i < COUNT(paths); i++) {
        char line[64];
        den_str_format(line, sizeof line, "HEAD %s", paths[i]);
        char *head = toy_ask(line, "", "");
        char *get = toy_ask(line + 1, "", ""); /* "EAD": not a method of ours */
        expect_status(get, 405);
        free(get);
        den_str_format(line, sizeof line, "GET %s", paths[i]);
        get = toy_ask(line, "", "");
        expect_status(head, 200);
        ck_assert_str_eq(toy_body(head), "");
        const char *length = strstr(get, "Content-Length: ");
        ck_assert_ptr_nonnull(length);
        char want[64] = "";
        memcpy(want, length, strcspn(length, "\r"));
        expect_text(head, want);
        free(get);
        free(head);
    }
}
END_TEST

static const struct {
    const char *name, *line, *headers;
    int status;
    const char *words, *body; /* of the answer; body NULL: not looked at */
} files[] = {
    {"the whole file", "GET /file", "", 200, "Accept-Ranges: bytes",
     "0123456789abcdefghij"},
    {"its tag is strong", "GET /file", "", 200, "ETag: \"abc\"\r\n", NULL},
    {"its type", "GET /file", "", 200, "Content-Type: image/tiff", NULL},
    {"the tag is known", "GET /file", "If-None-Match: \"abc\"\r\n", 304, "ETag: \"abc\"",
     ""},
    {"a weak tag is known", "GET /file", "If-None-Match: W/\"abc\"\r\n", 304, "", ""},
    {"one of several tags", "GET /file", "If-None-Match: \"x\", \"abc\"\r\n", 304, "",
     ""},
    {"any tag", "GET /file", "If-None-Match: *\r\n", 304, "", ""},
    {"another tag", "GET /file", "If-None-Match: \"abcd\"\r\n", 200, "", NULL},
    {"a tag within a tag", "GET /file", "If-None-Match: \"x\\\"abc\"\r\n", 200, "", NULL},
    {"the first bytes", "GET /file", "Range: bytes=0-3\r\n", 206,
     "Content-Range: bytes 0-3/20", "0123"},
    {"the rest", "GET /file", "Range: bytes=15-\r\n", 206,
     "Content-Range: bytes 15-19/20", "fghij"},
    {"the last bytes", "GET /file", "Range: bytes=-2\r\n", 206, "bytes 18-19/20", "ij"},
    {"more last bytes than there are", "GET /file", "Range: bytes=-99\r\n", 206,
     "bytes 0-19/20", NULL},
    {"an end beyond the end", "GET /file", "Range: bytes=18-99\r\n", 206,
     "bytes 18-19/20", "ij"},
    {"one byte", "GET /file", "Range: bytes=19-19\r\n", 206, "bytes 19-19/20", "j"},
    {"a start beyond the end", "GET /file", "Range: bytes=20-\r\n", 416,
     "Content-Range: bytes */20", NULL},
    {"no last bytes", "GET /file", "Range: bytes=-0\r\n", 416, "bytes */20", NULL},
    {"a number too large to hold", "GET /file",
     "Range: bytes=99999999999999999999999-\r\n", 416, "bytes */20", NULL},
    {"several ranges come as one", "GET /file", "Range: bytes=0-1,4-5\r\n", 200, "",
     "0123456789abcdefghij"},
    {"a range backwards is none", "GET /file", "Range: bytes=5-2\r\n", 200, "", NULL},
    {"a range of something else", "GET /file", "Range: lines=1-2\r\n", 200, "", NULL},
    {"a range that is none", "GET /file", "Range: bytes=-\r\n", 200, "", NULL},
    {"If-Range with the tag", "GET /file", "Range: bytes=0-3\r\nIf-Range: \"abc\"\r\n",
     206, "", "0123"},
    {"If-Range with another tag", "GET /file", "Range: bytes=0-3\r\nIf-Range: \"x\"\r\n",
     200, "", "0123456789abcdefghij"},
    {"HEAD takes no range", "HEAD /file", "Range: bytes=0-3\r\n", 200,
     "Content-Length: 20", ""},
    {"a file name", "GET /file?name=a%20%22b%22.tif", "", 200,
     "attachment; filename=\"a _b_.tif\"; filename*=UTF-8''a%20%22b%22.tif", NULL},
    {"a file name in UTF-8", "GET /file?name=%C3%A4", "", 200, "filename*=UTF-8''%C3%A4",
     NULL},
    {"a file that is gone", "GET /file?missing=1", "", 404, "problem", NULL},
};

START_TEST(files_come_whole_in_parts_or_not_at_all)
{
    char *reply = toy_ask(files[_i].line, files[_i].headers, "");
    ck_assert_msg(toy_status(reply) == files[_i].status, "%s: %s", files[_i].name, reply);
    expect_text(reply, files[_i].words);
    if (files[_i].body != NULL)
        ck_assert_msg(strcmp(toy_body(reply), files[_i].body) == 0, "%s: %s",
                      files[_i].name, reply);
    free(reply);
}
END_TEST

/* ---- JSON bodies
 * ----------------------------------------------------------------------- */

static const struct {
    const char *name, *path, *headers, *body;
    int status;
    const char *words;
} json[] = {
    {"a body by its length", "POST /json", "Content-Length: 2\r\n", "{}", 200,
     "json[2][{}]"},
    {"a body in chunks", "POST /json", "Transfer-Encoding: chunked\r\n",
     "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n", 200, "json[7][{\"a\":1}]"},
    {"on a slow route", "POST /slowjson", "Content-Length: 2\r\n", "{}", 200,
     "json[2][{}]"},
    {"with its type", "POST /json",
     "Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n", "{}", 200,
     "json[2]"},
    {"with a type in capitals", "POST /json",
     "Content-Type: Application/JSON\r\nContent-Length: 2\r\n", "{}", 200, "json[2]"},
    {"as a form", "POST /json",
     "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n", "a=1",
     415, "application/json"},
    {"with a type that only begins so", "POST /json",
     "Content-Type: application/jsonp\r\nContent-Length: 2\r\n", "{}", 415, "problem"},
    {"compressed", "POST /json", "Content-Encoding: gzip\r\nContent-Length: 2\r\n", "{}",
     415, "Content-Encoding"},
    {"too long by its length", "POST /json", "Content-Length: 4097\r\n", "", 413,
     "limit 4096"},
    {"far too long", "POST /json", "Content-Length: 99999999999\r\n", "", 413,
     "Connection: close"},
    {"too long, and asking first", "POST /json",
     "Expect: 100-continue\r\nContent-Length: 5000\r\n", "", 413, "limit 4096"},
    {"asking first", "POST /json", "Expect: 100-continue\r\nContent-Length: 2\r\n", "{}",
     100, "json[2][{}]"},
};

START_TEST(JSON_bodies_are_checked_and_capped)
{
    char body[5001] = "";
    den_str_copy(body, sizeof body, json[_i].body);
    if (strcmp(json[_i].headers, "Content-Length: 4097\r\n") == 0)
        memset(body, ' ', 4097);
    char *reply = toy_ask(json[_i].path, json[_i].headers, body);
    ck_assert_msg(toy_status(reply) == json[_i].status, "%s: %s", json[_i].name, reply);
    expect_text(reply, json[_i].words);
    if (json[_i].status == 413 && strstr(json[_i].headers, "Expect") != NULL)
        expect_no_text(reply, "100 Continue");
    free(reply);
}
END_TEST

START_TEST(chunks_beyond_the_cap_are_answered_with_the_cap)
{
    static const int bodies[] = {4, 5, 900, 9000}; /* chunks of 1000 bytes */
    char chunk[1008];
    den_str_format(chunk, sizeof chunk, "3e8\r\n%1000s\r\n", "");
    for (int i = 0; i < COUNT(bodies); i++) {
        int fd = toy_connect();
        toy_say(fd, "POST /json HTTP/1.1\r\n" HOST "Connection: close\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n");
        for (int k = 0; k < bodies[i]; k++)
            ck_assert(toy_send(fd, chunk, 1007));
        toy_say(fd, "0\r\n\r\n");
        char *reply = toy_read_all(fd, NULL);
        close(fd);
        ck_assert_msg(toy_status(reply) == (bodies[i] == 4 ? 200 : 413),
                      "%d chunks: %.200s", bodies[i], reply);
        free(reply);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http");
    TCase *tc = tcase_create("served");
    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, toy_setup, toy_teardown);
    tcase_add_loop_test(tc, ambiguous_framing_gets_one_400_and_the_end, 0,
                        COUNT(framing));
    tcase_add_loop_test(tc, a_malformed_length_ends_the_connection, 0, COUNT(lengths));
    tcase_add_loop_test(tc, the_status_says_what_was_wrong, 0, COUNT(plain));
    tcase_add_test(tc, the_request_id_is_the_clients_or_a_fresh_one);
    tcase_add_test(tc, headers_cannot_be_injected_and_defaults_can_be_replaced);
    tcase_add_test(tc, HEAD_tells_what_GET_would);
    tcase_add_loop_test(tc, files_come_whole_in_parts_or_not_at_all, 0, COUNT(files));
    tcase_add_loop_test(tc, JSON_bodies_are_checked_and_capped, 0, COUNT(json));
    tcase_add_test(tc, chunks_beyond_the_cap_are_answered_with_the_cap);
    suite_add_tcase(suite, tc);
    tc = tcase_create("own server");
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, a_server_with_hosts_knows_only_those);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
