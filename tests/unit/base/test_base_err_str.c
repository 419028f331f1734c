/* Errors, text, numbers, growing buffers, times and the log line. */

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "den_check.h"
#include "log.h"
#include "mem.h"
#include "str.h"

START_TEST(the_first_error_wins)
{
    struct den_err err = DEN_ERR_INIT;
    ck_assert(!den_err_field(&err, DEN_E_INVALID, "/lr", "lr %d is too big", 7));
    ck_assert(!den_err_set(&err, DEN_E_INTERNAL, "later"));
    ck_assert(!den_err_sys(&err, EIO, "later"));
    ck_assert(!den_err_limit(&err, DEN_E_TOO_LARGE, 1, 2, "later"));
    ck_assert_int_eq(err.code, DEN_E_INVALID);
    ck_assert_str_eq(err.text, "lr 7 is too big");
    ck_assert_str_eq(err.field, "/lr");
    ck_assert_int_eq(err.sys, 0);
    ck_assert_int_eq(err.limit, -1);
}
END_TEST

START_TEST(nobody_has_to_listen_to_an_error)
{
    ck_assert(!den_err_set(NULL, DEN_E_BUSY, "x"));
    ck_assert(!den_err_field(NULL, DEN_E_BUSY, "f", "x"));
    ck_assert(!den_err_limit(NULL, DEN_E_BUSY, 1, 2, "x"));
    ck_assert(!den_err_sys(NULL, EIO, "x"));
}
END_TEST

static const struct {
    int sys;
    enum den_code want;
} sys_cases[] = {
    {ENOSPC, DEN_E_DISK_FULL}, {EDQUOT, DEN_E_DISK_FULL}, {ENOMEM, DEN_E_NO_MEMORY},
    {ENOENT, DEN_E_NOT_FOUND}, {EACCES, DEN_E_IO},
};

START_TEST(an_errno_becomes_a_code_and_a_reason)
{
    struct den_err err = DEN_ERR_INIT;
    int sys = sys_cases[_i].sys;
    must_fail(den_err_sys(&err, sys, "file %d", 3), sys_cases[_i].want, "file 3: ");
    den_err_sys(&err, sys, "file");
    ck_assert_int_eq(err.sys, sys);
    ck_assert_ptr_nonnull(strstr(err.text, strerror(sys)));
}
END_TEST

START_TEST(every_code_has_its_own_name)
{
    for (int a = 0; a < DEN_CODES; a++)
        for (int b = 0; b < a; b++)
            ck_assert_str_ne(den_code_name((enum den_code)a),
                             den_code_name((enum den_code)b));
    ck_assert_str_eq(den_code_name(DEN_E_TOO_LARGE), "too_large");
    ck_assert_str_eq(den_code_name((enum den_code)999), "unknown");
}
END_TEST

START_TEST(a_long_error_text_is_cut_at_a_whole_character)
{
    char text[sizeof((struct den_err *)NULL)->text + 8];
    memset(text, 'x', sizeof text);
    /* A three-byte character across the cut, at each of its offsets. */
    for (size_t back = 1; back <= 3; back++) {
        size_t at = sizeof((struct den_err *)NULL)->text - 1 - back;
        memset(text, 'x', sizeof text);
        memcpy(text + at, "\xe2\x82\xac!", 5);
        struct den_err err = DEN_ERR_INIT;
        den_err_set(&err, DEN_E_INVALID, "%s", text);
        ck_assert(den_utf8_printable(err.text));
        ck_assert_uint_eq(strlen(err.text), back == 3 ? at + 3 : at);
    }
}
END_TEST

static const struct {
    const char *text;
    int64_t min, max;
    bool ok;
    int64_t want;
} int_cases[] = {
    {"0", -9, 9, true, 0},
    {"-9", -9, 9, true, -9},
    {"9", -9, 9, true, 9},
    {"007", 0, 9, true, 7},
    {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
    {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
    {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
    {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
    {"10", -9, 9, false, 0},
    {"-10", -9, 9, false, 0},
    {"", -9, 9, false, 0},
    {"-", -9, 9, false, 0},
    {"+1", -9, 9, false, 0},
    {" 1", -9, 9, false, 0},
    {"1 ", -9, 9, false, 0},
    {"1\n", -9, 9, false, 0},
    {"0x1", -9, 9, false, 0},
    {"1e0", -9, 9, false, 0},
    {"--1", -9, 9, false, 0},
    {"1.0", -9, 9, false, 0},
};

START_TEST(a_whole_number_is_parsed_strictly)
{
    struct den_err err = DEN_ERR_INIT;
    int64_t got = 12345;
    if (int_cases[_i].ok) {
        must(den_parse_int(int_cases[_i].text, int_cases[_i].min, int_cases[_i].max, &got,
                           &err));
        ck_assert_int_eq(got, int_cases[_i].want);
        return;
    }
    must_fail(den_parse_int(int_cases[_i].text, int_cases[_i].min, int_cases[_i].max,
                            &got, &err),
              DEN_E_INVALID, "is not a whole number from -9");
    ck_assert_int_eq(got, 12345);
}
END_TEST

static const struct {
    const char *text;
    bool ok;
    double want;
} double_cases[] = {
    {"0", true, 0},        {"-2.5", true, -2.5}, {"1e-3", true, 1e-3},
    {"1E+2", true, 100},   {".5", true, 0.5},    {"5.", true, 5},
    {"1e-400", true, 0},   {"100", true, 100},   {"-100", true, -100},
    {"100.001", false, 0}, {"-101", false, 0},   {"1e999", false, 0},
    {"nan", false, 0},     {"inf", false, 0},    {"-inf", false, 0},
    {"0x1p3", false, 0},   {"1,5", false, 0},    {" 1", false, 0},
    {"1 ", false, 0},      {"", false, 0},       {"-", false, 0},
    {".", false, 0},       {"+1", false, 0},     {"1e", false, 0},
    {"1.2.3", false, 0},   {"1-2", false, 0},    {"e5", false, 0},
    {"--1", false, 0},     {"-+1", false, 0},    {"NAN(1)", false, 0},
};

static void check_double(int i)
{
    struct den_err err = DEN_ERR_INIT;
    double got = 12345;
    if (double_cases[i].ok) {
        must(den_parse_double(double_cases[i].text, -100, 100, &got, &err));
        ck_assert_double_eq(got, double_cases[i].want);
        return;
    }
    must_fail(den_parse_double(double_cases[i].text, -100, 100, &got, &err),
              DEN_E_INVALID, "is not a number from -100 to 100");
    ck_assert_double_eq(got, 12345);
}

START_TEST(a_number_is_parsed_strictly)
{
    check_double(_i);
}
END_TEST

START_TEST(a_number_is_parsed_alike_in_every_locale)
{
    static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"};
    for (size_t i = 0; i < sizeof commas / sizeof *commas; i++)
        if (setlocale(LC_ALL, commas[i]) != NULL)
            break;
    for (int i = 0; i < (int)(sizeof double_cases / sizeof *double_cases); i++)
        check_double(i);
}
END_TEST

START_TEST(a_switch_is_true_or_false)
{
    struct den_err err = DEN_ERR_INIT;
    bool got = false;
    must(den_parse_bool("true", &got, &err));
    ck_assert(got);
    must(den_parse_bool("false", &got, &err));
    ck_assert(!got);
    static const char *const bad[] = {"", "1", "True", "yes", "true ", "falsey"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        must_fail(den_parse_bool(bad[i], &got, &err), DEN_E_INVALID, "true nor false");
}
END_TEST

START_TEST(a_refused_value_is_shown_harmless_and_short)
{
    struct den_err err = DEN_ERR_INIT;
    char text[5000];
    int64_t got;
    memset(text, '\x1b', sizeof text);
    text[sizeof text - 1] = '\0';
    ck_assert(!den_parse_int(text, 1, 5, &got, &err));
    ck_assert_uint_lt(strlen(err.text), 150);
    ck_assert_ptr_nonnull(strstr(err.text, "\\x1b"));
    ck_assert_ptr_nonnull(strstr(err.text, "from 1 to 5"));
    ck_assert(den_utf8_printable(err.text));
}
END_TEST

START_TEST(a_copy_is_bounded_and_terminated)
{
    char to[6];
    ck_assert(den_str_copy(to, sizeof to, "12345"));
    ck_assert_str_eq(to, "12345");
    ck_assert(!den_str_copy(to, sizeof to, "123456"));
    ck_assert_str_eq(to, "12345");
    ck_assert(!den_str_copy(to, sizeof to, "1234\xc3\xa4"));
    ck_assert_str_eq(to, "1234");
    ck_assert(!den_str_copy(to, 0, "x"));
    ck_assert(den_str_format(to, sizeof to, "%d", 99999));
    ck_assert(!den_str_format(to, sizeof to, "%d", 999999));
    ck_assert_str_eq(to, "99999");
}
END_TEST

START_TEST(beginnings_and_ends_are_found)
{
    ck_assert(den_str_starts("image/png", "image/"));
    ck_assert(den_str_starts("x", ""));
    ck_assert(!den_str_starts("im", "image/"));
    ck_assert(den_str_ends("a.tif", ".tif"));
    ck_assert(den_str_ends("a", ""));
    ck_assert(!den_str_ends("f", ".tif"));
    ck_assert(!den_str_ends("a.tif ", ".tif"));
}
END_TEST

static const struct {
    const char *path, *want;
} path_cases[] = {
    {"a.tif", "a.tif"},
    {"/home/a.tif", "a.tif"},
    {"C:\\images\\a.tif", "a.tif"},
    {"a\\b/c", "c"},
    {"a/b\\c", "c"},
    {"../..", ".."},
    {"//a b", "a b"},
    {"a/", ""},
    {"a\\", ""},
    {"/", ""},
    {"", ""},
};

START_TEST(a_file_name_is_the_last_part_of_a_path)
{
    const char *path = path_cases[_i].path, *name = den_str_file_name(path);
    ck_assert_str_eq(name, path_cases[_i].want);
    ck_assert_ptr_eq(name, path + strlen(path) - strlen(name)); /* its end, no copy */
}
END_TEST

static const struct {
    const char *text;
    bool printable;
} utf8_cases[] = {
    {"", true},
    {"plain ~", true},
    {"\xc3\xa4", true},         /* U+00E4 */
    {"\xe2\x82\xac", true},     /* U+20AC */
    {"\xed\x9f\xbf", true},     /* U+D7FF */
    {"\xee\x80\x80", true},     /* U+E000 */
    {"\xf0\x9f\x98\x80", true}, /* U+1F600 */
    {"\xf4\x8f\xbf\xbf", true}, /* U+10FFFF */
    {"\xc2\xa0", true},         /* U+00A0 */
    {"\n", false},
    {"a\x1f", false},
    {"\x7f", false},
    {"\xc2\x80", false},         /* C1 */
    {"\xc2\x9f", false},         /* C1 */
    {"\x80", false},             /* lone continuation */
    {"\xc0\xaf", false},         /* overlong '/' */
    {"\xc1\xbf", false},         /* overlong */
    {"\xe0\x80\xaf", false},     /* overlong '/' */
    {"\xe0\x9f\xbf", false},     /* overlong */
    {"\xf0\x8f\xbf\xbf", false}, /* overlong */
    {"\xed\xa0\x80", false},     /* surrogate */
    {"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
    {"\xf5\x80\x80\x80", false},
    {"\xff", false},
    {"\xe2\x82", false}, /* cut */
    {"\xc3", false},     /* cut */
    {"\xe2\x28\xa1", false},
};

START_TEST(printable_utf8_is_told_from_the_rest)
{
    ck_assert_int_eq(den_utf8_printable(utf8_cases[_i].text), utf8_cases[_i].printable);
}
END_TEST

START_TEST(a_quoted_log_value_stays_on_its_line)
{
    char to[64], tiny[8];
    ck_assert_str_eq(den_log_quote("a\"b\\c\nd\x01\xff", to, sizeof to),
                     "\"a\\\"b\\\\c\\nd\\x01\\xff\"");
    ck_assert_str_eq(den_log_quote("\xc3\xa4\xc2\x85", to, sizeof to),
                     "\"\xc3\xa4\\xc2\\x85\"");
    ck_assert_str_eq(den_log_quote("", to, sizeof to), "\"\"");
    ck_assert_str_eq(den_log_quote("abcdefgh", tiny, sizeof tiny), "\"abcde\"");
    /* An escape or a character is dropped whole where it does not fit. */
    ck_assert_str_eq(den_log_quote("abc\x01", tiny, sizeof tiny), "\"abc\"");
    ck_assert_str_eq(den_log_quote("abc\xe2\x82\xac", tiny, sizeof tiny), "\"abc\"");
    ck_assert_str_eq(den_log_quote("abc", tiny, 2), "");
}
END_TEST

/* What den_log writes to stderr meanwhile. */
static void captured(char *to, size_t size, const char *value, enum den_level level)
{
    int ends[2], saved = dup(STDERR_FILENO);
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    den_log(level, "test_event", "value=%s", value);
    ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
    ssize_t got = read(ends[0], to, size - 1);
    to[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    close(ends[1]);
    close(saved);
}

START_TEST(an_event_is_one_line_of_pairs)
{
    char line[8192], huge[5000];
    captured(line, sizeof line, "1\nlevel=error", DEN_WARN);
    ck_assert(den_str_starts(line, "time=2"));
    ck_assert(den_str_ends(line, "Z level=warn event=test_event value=1?level=error\n"));
    captured(line, sizeof line, "1", DEN_DEBUG);
    ck_assert_str_eq(line, ""); /* below the default level */
    den_log_set_level(DEN_DEBUG);
    captured(line, sizeof line, "1", DEN_DEBUG);
    ck_assert_str_ne(line, "");
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    captured(line, sizeof line, huge, DEN_INFO);
    ck_assert(den_str_ends(line, "xx\n"));
    ck_assert_uint_lt(strlen(line), 4096);
}
END_TEST

START_TEST(a_time_is_written_as_rfc_3339)
{
    char to[DEN_TIME_SIZE];
    den_time_format(0, to);
    ck_assert_str_eq(to, "1970-01-01T00:00:00.000Z");
    den_time_format(INT64_C(1709210096789), to);
    ck_assert_str_eq(to, "2024-02-29T12:34:56.789Z");
    den_time_format(INT64_MAX, to);
    ck_assert_str_eq(to, "9999-12-31T23:59:59.999Z");
    den_time_format(-1, to);
    ck_assert_str_eq(to, "1970-01-01T00:00:00.000Z");
}
END_TEST

START_TEST(the_monotonic_clock_does_not_go_back)
{
    double before = den_monotonic_s();
    usleep(2000);
    double passed = den_monotonic_s() - before;
    ck_assert_double_ge(passed, 0.002);
    ck_assert_int_gt(den_wall_ms(), INT64_C(1700000000000));
}
END_TEST

START_TEST(a_buffer_grows_to_its_maximum_and_not_beyond)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_buf buf;
    den_buf_init(&buf, 1000);
    ck_assert_str_eq(buf.data, "");
    for (int i = 0; i < 100; i++)
        den_buf_printf(&buf, "%04d", i);
    for (int i = 0; i < 600; i++)
        den_buf_puts(&buf, "x");
    must(den_buf_ok(&buf, &err));
    ck_assert_uint_eq(buf.length, 1000);
    ck_assert_uint_eq(strlen(buf.data), 1000);
    ck_assert(den_str_starts(buf.data, "000000010002"));
    den_buf_puts(&buf, "y");
    ck_assert_uint_eq(buf.length, 1000);
    must_fail(den_buf_ok(&buf, &err), DEN_E_TOO_LARGE, "1000 bytes");
    den_buf_clear(&buf);
    ck_assert_str_eq(buf.data, "");
    den_buf_add(&buf, "a\0b", 3);
    must(den_buf_ok(&buf, &err));
    ck_assert_mem_eq(buf.data, "a\0b", 4);
    den_buf_release(&buf);
    ck_assert_str_eq(buf.data, "");
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(a_failed_buffer_stays_failed)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_buf buf;
    den_buf_init(&buf, 10000);
    den_buf_puts(&buf, "begin");
    den_mem_fail_at(1);
    den_buf_printf(&buf, "%1000d", 1);
    den_buf_puts(&buf, "end");
    ck_assert_str_eq(buf.data, "begin");
    must_fail(den_buf_ok(&buf, &err), DEN_E_NO_MEMORY, "memory");
    ck_assert_ptr_null(den_buf_take(&buf));
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

START_TEST(a_buffer_hands_its_bytes_over)
{
    struct den_buf buf;
    den_buf_init(&buf, 100);
    char *text = den_buf_take(&buf);
    ck_assert_str_eq(text, "");
    den_free(text);
    den_buf_puts(&buf, "text");
    text = den_buf_take(&buf);
    ck_assert_str_eq(text, "text");
    ck_assert_uint_eq(buf.length, 0);
    ck_assert_str_eq(buf.data, "");
    den_free(text);
    den_buf_release(&buf);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

#define COUNT(table) (int)(sizeof(table) / sizeof *(table))

int main(void)
{
    Suite *suite = suite_create("err, str, buf, clock, log");
    TCase *errors = tcase_create("errors");
    tcase_add_test(errors, the_first_error_wins);
    tcase_add_test(errors, nobody_has_to_listen_to_an_error);
    tcase_add_loop_test(errors, an_errno_becomes_a_code_and_a_reason, 0,
                        COUNT(sys_cases));
    tcase_add_test(errors, every_code_has_its_own_name);
    tcase_add_test(errors, a_long_error_text_is_cut_at_a_whole_character);
    suite_add_tcase(suite, errors);

    TCase *text = tcase_create("text");
    tcase_add_loop_test(text, a_whole_number_is_parsed_strictly, 0, COUNT(int_cases));
    tcase_add_loop_test(text, a_number_is_parsed_strictly, 0, COUNT(double_cases));
    tcase_add_test(text, a_number_is_parsed_alike_in_every_locale);
    tcase_add_test(text, a_switch_is_true_or_false);
    tcase_add_test(text, a_refused_value_is_shown_harmless_and_short);
    tcase_add_test(text, a_copy_is_bounded_and_terminated);
    tcase_add_test(text, beginnings_and_ends_are_found);
    tcase_add_loop_test(text, a_file_name_is_the_last_part_of_a_path, 0,
                        COUNT(path_cases));
    tcase_add_loop_test(text, printable_utf8_is_told_from_the_rest, 0, COUNT(utf8_cases));
    suite_add_tcase(suite, text);

    TCase *output = tcase_create("output");
    tcase_add_test(output, a_quoted_log_value_stays_on_its_line);
    tcase_add_test(output, an_event_is_one_line_of_pairs);
    tcase_add_test(output, a_time_is_written_as_rfc_3339);
    tcase_add_test(output, the_monotonic_clock_does_not_go_back);
    tcase_add_test(output, a_buffer_grows_to_its_maximum_and_not_beyond);
    tcase_add_test(output, a_failed_buffer_stays_failed);
    tcase_add_test(output, a_buffer_hands_its_bytes_over);
    suite_add_tcase(suite, output);
    return den_check_main(suite);
}
