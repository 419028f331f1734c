/* Small requests beside nginx, which answers the same bytes without doing anything, turn
 * by turn in the same minute: what the machine gives at the time is the same for both. */

#include <string.h>

#include "daemon.h"
#include "den_check.h"
#include "front.h"
#include "program.h"
#include "str.h"
#include "watch.h"

static struct daemon d;
static struct front nginx;

static void setup(void)
{
    daemon_start(&d, NULL);
}

static void teardown(void)
{
    front_stop(&nginx);
    daemon_remove(&d);
}

struct speed {
    double per_s, p99_ms, cpu_us; /* of a request */
};

/* "  99%    5.10ms" or "us" or "s" of wrk. */
static double milliseconds(const char *text)
{
    char number[24] = "";
    double value = 0;
    text += strspn(text, " ");
    size_t length = strspn(text, "0123456789.");
    ck_assert_uint_lt(length, sizeof number);
    memcpy(number, text, length);
    ck_assert(den_parse_double(number, 0, 1e9, &value, NULL));
    return text[length] == 'u' ? value / 1e3 : text[length] == 's' ? value * 1e3 : value;
}

static double number_behind(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    ck_assert_msg(at != NULL, "%s: %s", word, text);
    return milliseconds(at + strlen(word));
}

static struct speed measure(const char *base, pid_t pid)
{
    char url[96];
    (void)snprintf(url, sizeof url, "%s/healthz", base);
    double cpu = family_look(pid).cpu_s;
    struct outcome run = run_program(NULL, NULL,
                                     (const char *const[]){"wrk", "-t1", "-c64",
                                                           test_full() ? "-d5" : "-d1",
                                                           "--latency", url, NULL});
    ck_assert_msg(run.status == 0, "%s", run.err);
    ck_assert_msg(strstr(run.out, "Non-2xx") == NULL, "%s", run.out);
    struct speed s = {.per_s = number_behind(run.out, "Requests/sec:"),
                      .p99_ms = number_behind(run.out, "     99%")};
    double seconds = test_full() ? 5 : 1;
    s.cpu_us = 1e6 * (family_look(pid).cpu_s - cpu) / (s.per_s * seconds);
    outcome_free(&run);
    return s;
}

START_TEST(small_requests_keep_up_with_nginx)
{
    need_slow();
    char base[64];
    struct speed ours = {0, 1e9, 1e9}, theirs = {0, 1e9, 1e9};
    double ratio = 0;
    if (!program_exists("wrk") || !front_start_alone(&nginx, "{\"status\":\"ok\"}")) {
        printf("skipped: %s (nginx or wrk is not installed)\n", __func__);
        return;
    }
    (void)snprintf(base, sizeof base, "http://127.0.0.1:%u", nginx.port);
    for (int i = 0; i < (test_full() ? 5 : 2); i++) {
        struct speed a = measure(base, nginx.pid), b = measure(d.url, d.pid);
        printf("round %d: nginx %.0f/s p99 %.1f ms %.1f us; denoised %.0f/s p99 %.1f ms "
               "%.1f us\n",
               i, a.per_s, a.p99_ms, a.cpu_us, b.per_s, b.p99_ms, b.cpu_us);
        ratio = b.per_s / a.per_s > ratio ? b.per_s / a.per_s : ratio;
        theirs.p99_ms = a.p99_ms < theirs.p99_ms ? a.p99_ms : theirs.p99_ms;
        ours.p99_ms = b.p99_ms < ours.p99_ms ? b.p99_ms : ours.p99_ms;
        theirs.cpu_us = a.cpu_us < theirs.cpu_us ? a.cpu_us : theirs.cpu_us;
        ours.cpu_us = b.cpu_us < ours.cpu_us ? b.cpu_us : ours.cpu_us;
    }
    printf("GET /healthz: %.0f %% of nginx in the best round, CPU of a request %.1f us "
           "beside %.1f, p99 %.1f ms beside %.1f\n",
           100 * ratio, ours.cpu_us, theirs.cpu_us, ours.p99_ms, theirs.p99_ms);
    /* The full form is for a quiet machine.  In the short one other programs decide. */
    ck_assert_msg(ratio >= (test_full() ? 0.7 : 0.3), "%.2f", ratio);
    ck_assert_msg(!test_full() || ours.p99_ms <= 10 || ours.p99_ms <= 2 * theirs.p99_ms,
                  "p99 %.1f ms", ours.p99_ms);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http speed");
    TCase *tc = tcase_create("speed");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, small_requests_keep_up_with_nginx);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
