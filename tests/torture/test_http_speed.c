/* Small requests beside nginx, which answers the same bytes without doing anything, turn
 * by turn in the same minute: what the machine gives at the time is the same for both.
 * And what clients ask for most often, the state of a job, with a token. */

#include <string.h>

#include "front.h"
#include "program.h"
#include "story.h"
#include "str.h"
#include "tokens.h"
#include "watch.h"

static struct story s;
static struct front nginx;

static const char *const usual[] = {"--queue_limit", "10000", "--log_level", "warn",
                                    NULL};

static void setup(void)
{
    story_start(&s, usual);
}

static void teardown(void)
{
    front_stop(&nginx);
    story_end(&s);
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

static struct speed measure(const char *base, const char *path, const char *header,
                            pid_t pid)
{
    char url[160];
    (void)snprintf(url, sizeof url, "%s%s", base, path);
    double cpu = family_look(pid).cpu_s;
    struct outcome run = run_program(
        NULL, NULL,
        (const char *const[]){"wrk", "-t1", "-c64", test_full() ? "-d5" : "-d1", "-H",
                              header, "--latency", url, NULL});
    ck_assert_msg(run.status == 0, "%s", run.err);
    ck_assert_msg(strstr(run.out, "Non-2xx") == NULL, "%s", run.out);
    struct speed speed = {.per_s = number_behind(run.out, "Requests/sec:"),
                          .p99_ms = number_behind(run.out, "     99%")};
    double seconds = test_full() ? 5 : 1;
    speed.cpu_us = 1e6 * (family_look(pid).cpu_s - cpu) / (speed.per_s * seconds);
    outcome_free(&run);
    return speed;
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
        struct speed a = measure(base, "/healthz", "X-A: b", nginx.pid),
                     b = measure(s.daemon.url, "/healthz", "X-A: b", s.daemon.pid);
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

/* ---- the state of a job ---- */

static void end_job(char *id)
{
    submit_denoise(s.daemon.url, s.noisy[0], "\"method\":\"median\"", id);
    json_decref(wait_job(s.daemon.url, id, 60));
}

/* Trainings behind one whose worker stands still for ever: none of them takes a core. */
static void fill_queue(size_t count, const char *header, char *id)
{
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"train\",\"dataset\":\"%s\",\"model\":\"m\","
                   "\"config\":{" TINY ",\"iterations\":10}}",
                   s.training);
    for (size_t i = 0; i <= count; i++) {
        struct answer a = ask("POST", s.daemon.url, "/v1/jobs", "application/json", body,
                              strlen(body), header);
        ck_assert_msg(a.status == 202, "%ld %s", a.status, a.body);
        (void)snprintf(id, 32, "%s", text_at(a.json, "id"));
        answer_free(&a);
    }
}

static void is_quick(const char *what, const char *id, const char *header)
{
    char path[64];
    struct speed best = {0, 1e9, 1e9}, beside = {0, 1e9, 1e9};
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    for (int i = 0; i < (test_full() ? 3 : 1); i++) {
        struct speed now = measure(s.daemon.url, path, header, s.daemon.pid);
        best = now.per_s > best.per_s ? now : best;
        now = measure(s.daemon.url, "/healthz", header, s.daemon.pid);
        beside = now.per_s > beside.per_s ? now : beside;
    }
    printf("GET /v1/jobs/{id} with a token, 64 connections, %s: %.0f/s, p99 %.1f ms, CPU "
           "%.1f us (GET /healthz: p99 %.1f ms)\n",
           what, best.per_s, best.p99_ms, best.cpu_us, beside.p99_ms);
    (void)fflush(stdout);
    /* The full form is for a quiet machine.  In the short one other programs decide. */
    ck_assert_msg(best.per_s >= (test_full() ? 10000 : 500), "%.0f/s", best.per_s);
    ck_assert_msg(!test_full() || best.p99_ms <= 20 || best.p99_ms <= 2 * beside.p99_ms,
                  "p99 %.1f ms", best.p99_ms);
}

START_TEST(the_state_of_a_job_is_told_quickly)
{
    need_slow();
    if (!program_exists("wrk")) {
        printf("skipped: %s (wrk is not installed)\n", __func__);
        return;
    }
    static const char *const required[] = {
        "--queue_limit", "10000", "--log_level", "warn", "--auth", "required", NULL};
    char ended[32], last[32], header[BEARER_SIZE], what[40];
    size_t count = test_full() ? 2000 : 200;
    end_job(ended);
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
    (void)setenv("DENOISED_TEST_DAEMON", "faults/denoised", 1);
    (void)setenv("DEN_FAIL", "job_claimed:1:0", 1);
    daemon_restart(&s.daemon, required);
    (void)unsetenv("DEN_FAIL");
    make_token(&s.daemon, "wrk", "local", "read,submit,train", header);
    fill_queue(count, header, last);
    is_quick("one that has ended", ended, header);
    (void)snprintf(what, sizeof what, "the last of %zu that wait", count);
    is_quick(what, last, header);
    daemon_kill(&s.daemon);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http speed");
    TCase *tc = tcase_create("speed");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, small_requests_keep_up_with_nginx);
    tcase_add_test(tc, the_state_of_a_job_is_told_quickly);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
