/* The clock of the wall jumps by hours and years, while jobs are at work: no lease ends
 * early, none lasts for ever.  Needs libfaketime, which is put between the daemon and its
 * clock; without it this says "skipped". */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "job_load.h"
#include "str.h"

enum { JUMPS = 10, DAEMONS_FULL = 10 };

static const char *const libraries[] = {
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
};
/* An hour is also what a change to summer time does to a clock that is set by hand. */
static const char *const jumps[JUMPS] = {"+1h",  "-1h", "+0",  "+10y", "-10y",
                                         "+10y", "+0",  "-1h", "+1h",  "+0"};

static const char *const args[] = {"--threads",
                                   "1",
                                   "--lease_seconds",
                                   "1",
                                   "--stall_seconds",
                                   "1",
                                   "--workers",
                                   "3",
                                   "--retry_seconds",
                                   "0.1",
                                   "--jail",
                                   "off",
                                   "--log_level",
                                   "warn",
                                   NULL};
static struct job_load load;
static char rule[64]; /* file that says how far the clock is off */

static const char *find_library(void)
{
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++)
        if (access(libraries[i], R_OK) == 0)
            return libraries[i];
    return NULL;
}

static void jump(const char *by)
{
    FILE *file = fopen(rule, "we");
    ck_assert_ptr_nonnull(file);
    (void)fprintf(file, "%s\n", by);
    ck_assert_int_eq(fclose(file), 0);
}

/* The third job that has run hangs: the first two are the control.  What the loader reads
 * is for the daemon alone. */
static void start(const char *library)
{
    (void)snprintf(rule, sizeof rule, "/tmp/denoised-clock-XXXXXX");
    int fd = mkstemp(rule);
    ck_assert_int_ge(fd, 0);
    close(fd);
    jump("+0");
    (void)setenv("LD_PRELOAD", library, 1);
    (void)setenv("FAKETIME_TIMESTAMP_FILE", rule, 1);
    (void)setenv("FAKETIME_NO_CACHE", "1", 1);
    (void)setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1);
    (void)setenv("DONT_FAKE_MONOTONIC", "1", 1);
    (void)setenv("DEN_FAIL", "job_ran:3:0", 1);
    (void)setenv("DENOISED_TEST_DAEMON", "faults/denoised", 1);
    load_start(&load, args);
    (void)unsetenv("LD_PRELOAD");
    (void)unsetenv("DEN_FAIL");
}

static void denoise(char *id)
{
    submit_denoise(load.story.daemon.url, load.image, "\"method\":\"median\"", id);
}

static double attempts_of(const char *id, const char *state)
{
    json_t *job = wait_job(load.story.daemon.url, id, 30);
    double attempts = number_at(job, "attempts");
    ck_assert_str_eq(text_at(job, "state"), state);
    json_decref(job);
    return attempts;
}

/* What the daemon thinks that the year is. */
static int64_t year_of(const char *id)
{
    char path[64], year[5] = "";
    int64_t number = 0;
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    struct answer a = get(load.story.daemon.url, path);
    (void)snprintf(year, sizeof year, "%.4s", text_at(a.json, "finished_at"));
    answer_free(&a);
    ck_assert(den_parse_int(year, 1970, 9999, &number, NULL));
    return number;
}

static void one_daemon(const char *library, size_t *jumped, size_t *far)
{
    char hangs[32], trains[32], id[32], path[80];
    start(library);
    story_train(&load.story, "clock", 1000000, trains);
    denoise(hangs);
    double since = den_monotonic_s();
    for (size_t i = 0; i < JUMPS; i++) {
        jump(jumps[i]);
        denoise(id);
        ck_assert(attempts_of(id, "succeeded") == 1); /* none ends early */
        int64_t year = year_of(id);
        *far += year < 2020 || year > 2032;
        *jumped += 1;
        (void)usleep(150000);
    }
    ck_assert(attempts_of(hangs, "succeeded") == 2); /* none lasts for ever */
    ck_assert_double_le(den_monotonic_s() - since, 30);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", trains);
    struct answer a = get(load.story.daemon.url, path);
    ck_assert_str_eq(text_at(a.json, "state"), "running");
    ck_assert(number_at(a.json, "attempts") == 1);
    answer_free(&a);
    load_end(&load);
    ck_assert_int_eq(unlink(rule), 0);
}

START_TEST(jumps_of_the_clock_end_no_lease_early_and_make_none_last)
{
    need_slow();
    const char *library = find_library();
    size_t jumped = 0, far = 0;
    if (library == NULL) {
        printf("skipped: libfaketime is not installed\n");
        return;
    }
    int daemons = test_full() ? DAEMONS_FULL : 1;
    for (int i = 0; i < daemons; i++)
        one_daemon(library, &jumped, &far);
    printf("%zu jumps of the clock, %zu of them by years: 0 leases ended early, the %d "
           "that were left by a worker that hung were taken over\n",
           jumped, far, daemons);
    ck_assert_uint_ge(far, (size_t)daemons * 3); /* else there was no jump at all */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("clock");
    TCase *tc = tcase_create("clock");
    tcase_set_timeout(tc, test_full() ? 1800 : 300);
    tcase_add_test(tc, jumps_of_the_clock_end_no_lease_early_and_make_none_last);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
