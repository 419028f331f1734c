/* The log as machines read it, and histograms. */

#include <fcntl.h>
#include <math.h>
#include <string.h>

#include "den_check.h"
#include "histogram.h"
#include "log.h"
#include "str.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

/* The line that den_log writes to stderr, without its time, which is checked here. */
static const char *line_of(const char *event, const char *text)
{
    static char line[8192];
    int ends[2], saved = dup(STDERR_FILENO);
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    ck_assert_int_ge(dup2(ends[1], STDERR_FILENO), 0);
    den_log(DEN_INFO, event, "%s", text);
    ck_assert_int_ge(dup2(saved, STDERR_FILENO), 0);
    ssize_t got = read(ends[0], line, sizeof line - 1);
    line[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    close(ends[1]);
    close(saved);
    const char *time = strstr(line, "2"),
               *rest = time + strlen("2026-01-31T23:59:59.123Z");
    ck_assert_ptr_nonnull(time);
    ck_assert_msg(rest[-1] == 'Z', "%s", line);
    ck_assert_int_eq(line[strlen(line) - 1], '\n');
    line[strlen(line) - 1] = '\0';
    return rest;
}

static const struct {
    const char *text, *json; /* behind the event */
} cases[] = {
    {"", "}"},
    {" a=1 b=-2.50 c=1e-3 d=0", ",\"a\":1,\"b\":-2.50,\"c\":1e-3,\"d\":0}"},
    {" a=01 b=1. c=+1 d=nan e=0x1 f=1e g=-",
     ",\"a\":\"01\",\"b\":\"1.\",\"c\":\"+1\",\"d\":"
     "\"nan\",\"e\":\"0x1\",\"f\":\"1e\",\"g\":\"-\"}"},
    {" a=\"1\" b=\"\" c=\"x y=2\"", ",\"a\":\"1\",\"b\":\"\",\"c\":\"x y=2\"}"},
    {" a=\"q\\\"b\\\\c\\nd\\x01\\xff\" b=2",
     ",\"a\":\"q\\\"b\\\\c\\nd\\u0001\\u00ff\",\"b\":2}"},
    {" a=x\"y\\z b=\xff|", ",\"a\":\"x\\\"y\\\\z\",\"b\":\"?|\"}"},
    {" a=\"open", ",\"a\":\"open\"}"},
    {" a=\"open\\", ",\"a\":\"open\"}"},
    {" a=\"open\\x0", ",\"a\":\"open\"}"},
    {" word a= b=\n", ",\"word\":\"\",\"a\":\"\",\"b\":\"?\"}"},
    {" job=12 request=1e5 sha256=007 n=12",
     ",\"job\":\"12\",\"request\":\"1e5\",\"sha256\":\"007\",\"n\":12}"},
};

START_TEST(a_line_as_json_holds_the_same_pairs)
{
    char want[512];
    den_log_set_format(DEN_LOG_JSON);
    (void)snprintf(want, sizeof want, "\",\"level\":\"info\",\"event\":\"e\"%s",
                   cases[_i].json);
    ck_assert_str_eq(line_of("e", cases[_i].text), want);
    den_log_set_format(DEN_LOGFMT);
}
END_TEST

START_TEST(a_json_line_that_grows_too_long_loses_whole_pairs)
{
    static char text[2000];
    memset(text, '\\', sizeof text - 1); /* each takes two */
    memcpy(text, " a=1 b=", 7);
    den_log_set_format(DEN_LOG_JSON);
    ck_assert_str_eq(line_of("e", text),
                     "\",\"level\":\"info\",\"event\":\"e\",\"a\":1}");
    den_log_set_format(DEN_LOGFMT);
}
END_TEST

START_TEST(lines_name_what_the_thread_works_on)
{
    char id[16] = "";
    den_log_context("request", id);
    ck_assert_str_eq(line_of("e", " a=1"), " level=info event=e a=1");
    den_str_copy(id, sizeof id, "r7"); /* known only now */
    ck_assert_str_eq(line_of("e", " a=1"), " level=info event=e request=r7 a=1");
    ck_assert_str_eq(line_of("e", ""), " level=info event=e request=r7");
    ck_assert_str_eq(line_of("e", " request=x a=1"), " level=info event=e request=x a=1");
    ck_assert_str_eq(line_of("e", " a=\"request=x\""),
                     " level=info event=e request=r7 a=\"request=x\"");
    den_log_set_format(DEN_LOG_JSON);
    ck_assert_str_eq(line_of("e", " a=1"),
                     "\",\"level\":\"info\",\"event\":\"e\",\"request\":"
                     "\"r7\",\"a\":1}");
    den_log_set_format(DEN_LOGFMT);
    den_log_context(NULL, NULL);
    ck_assert_str_eq(line_of("e", " a=1"), " level=info event=e a=1");
}
END_TEST

START_TEST(a_histogram_counts_each_duration_once)
{
    static const double seconds[] = {0, -1, (double)NAN, 0.1, 0.10001, 1, 86400, 1e300};
    struct den_histogram histogram = {.micros = 0};
    for (int i = 0; i < COUNT(seconds); i++)
        den_histogram_add(&histogram, &den_job_bounds, seconds[i]);
    struct den_histogram_view view = den_histogram_look(&histogram, &den_job_bounds);
    ck_assert_uint_eq(view.upto[0], 4); /* a bound belongs to its own bucket */
    ck_assert_uint_eq(view.upto[1], 5);
    ck_assert_uint_eq(view.upto[2], 6);
    ck_assert_uint_eq(view.upto[den_job_bounds.count - 1], 7);
    ck_assert_uint_eq(view.upto[den_job_bounds.count], COUNT(seconds));
    close_to(view.sum, 1e9 + 86401.20001, 1e-9);
}
END_TEST

START_TEST(bounds_ascend)
{
    const struct den_histogram_bounds *all[] = {&den_request_bounds, &den_job_bounds};
    for (int i = 0; i < COUNT(all); i++) {
        ck_assert_uint_le(all[i]->count, DEN_HISTOGRAM_BOUNDS);
        for (size_t b = 1; b < all[i]->count; b++)
            ck_assert_double_gt(all[i]->at[b], all[i]->at[b - 1]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tc = tcase_create("log");
    tcase_add_loop_test(tc, a_line_as_json_holds_the_same_pairs, 0, COUNT(cases));
    tcase_add_test(tc, a_json_line_that_grows_too_long_loses_whole_pairs);
    tcase_add_test(tc, lines_name_what_the_thread_works_on);
    tcase_add_test(tc, a_histogram_counts_each_duration_once);
    tcase_add_test(tc, bounds_ascend);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
