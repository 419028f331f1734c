/* What somebody who runs the server sees of it: metrics, readiness, the log, and what
 * SIGHUP does. */

#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "exposition.h"
#include "folder.h"
#include "fs.h"
#include "mem.h"
#include "notified.h"
#include "story.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

/* ---- metrics ------------------------------------------------------------------------
 */

#define HEAD(name, type) "# HELP " name " Text.\n# TYPE " name " " type "\n"
#define ENDS "_sum 1\nh_count 2\n"

/* The checker finds what it is there for. */
static const struct {
    const char *text, *fault; /* NULL: none */
} expositions[] = {
    {HEAD("a_total", "counter") "a_total 1\n", NULL},
    {HEAD("a", "gauge") "a{b=\"c\",d=\"e f\"} NaN\na{b=\"d\",d=\"\"} -1.5e3\n", NULL},
    {HEAD("h", "histogram") "h_bucket{le=\"1\"} 0\nh_bucket{le=\"+Inf\"} 2\nh" ENDS,
     NULL},
    {"", "does not end"},
    {HEAD("a", "gauge") "a 1", "does not end"},
    {"a 1\n", "before its HELP"},
    {"# TYPE a gauge\na 1\n", "before its HELP"},
    {"# text\n", "neither"},
    {HEAD("a", "gauge") HEAD("a", "gauge") "a 1\n", "twice"},
    {HEAD("a", "gauges") "a 1\n", "a type that is none"},
    {HEAD("a", "gauge") "a 1\n" HEAD("b", "gauge") "b 1\na{c=\"1\"} 1\n", "two places"},
    {HEAD("a", "gauge") "a 1\na 2\n", "a series twice"},
    {HEAD("a", "gauge") "a{b=\"c\"} 1\na{b=\"c\"} 1\n", "a series twice"},
    {HEAD("a", "gauge"), "without samples"},
    {HEAD("a", "gauge") "a one\n", "without a value"},
    {HEAD("a", "gauge") "a{b=\"c\" 1\n", "without an end"},
    {HEAD("a", "gauge") "a{b=c} 1\n", "a label that is none"},
    {HEAD("a", "gauge") "a{b=\"c\"d=\"e\"} 1\n", "commas"},
    {HEAD("a", "gauge") "a-b 1\n", "without a name"},
    {HEAD("a", "counter") "a 1\n", "_total and counter"},
    {HEAD("a_total", "gauge") "a_total 1\n", "_total and counter"},
    {HEAD("a_total", "counter") "a_total -1\n", "below zero"},
    {HEAD("h", "histogram") "h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh" ENDS,
     "do not ascend"},
    {HEAD("h", "histogram") "h_bucket{le=\"1\"} 1\nh_bucket{le=\"1\"} 1\n", "twice"},
    {HEAD("h", "histogram") "h_bucket{le=\"1\"} 1\nh" ENDS, "without +Inf"},
    {HEAD("h", "histogram") "h_bucket{le=\"+Inf\"} 3\nh" ENDS, "not its last bucket"},
    {HEAD("h", "histogram") "h_bucket 3\nh" ENDS, "without a bound"},
};

START_TEST(the_checker_of_metrics_finds_faults)
{
    char text[256] = "";
    size_t series = 0;
    const char *found =
        exposition_fault(expositions[_i].text, &series, text, sizeof text);
    if (expositions[_i].fault == NULL)
        ck_assert_msg(found == NULL, "%s", text);
    else
        ck_assert_msg(found != NULL && strstr(found, expositions[_i].fault) != NULL, "%s",
                      text);
}
END_TEST

START_TEST(the_checker_of_metrics_bounds_labels)
{
    static char text[64 * 1024] = HEAD("a", "gauge");
    char why[256];
    size_t series = 0;
    for (int i = 0; i <= EXPOSITION_VALUES; i++) {
        size_t used = strlen(text);
        ck_assert_ptr_null(i == 0 ? NULL
                                  : exposition_fault(text, &series, why, sizeof why));
        (void)snprintf(text + used, sizeof text - used, "a{b=\"%d\"} 1\n", i);
    }
    ck_assert_ptr_nonnull(exposition_fault(text, &series, why, sizeof why));
    ck_assert_ptr_nonnull(strstr(why, "too many series"));
}
END_TEST

static struct answer good_metrics(const char *url, size_t *ret_series)
{
    char why[256];
    struct answer a = get(url, "/metrics");
    ck_assert_int_eq(a.status, 200);
    ck_assert_msg(exposition_fault(a.body, ret_series, why, sizeof why) == NULL, "%s",
                  why);
    return a;
}

/* Values that a client chooses become no label.  12 have no route: 10 of the second path,
 * and 2 that would delete a list. */
static void make_noise(const char *url)
{
    static const char *const paths[] = {"/v1/jobs/job_",   "/",
                                        "/v1/models/m",    "/v1/jobs?limit=",
                                        "/v1/jobs?state=", "/v1/images/img_"};
    for (int i = 0; i < 60; i++) {
        char path[96], header[64];
        (void)snprintf(path, sizeof path, "%s%d", paths[i % COUNT(paths)], i);
        (void)snprintf(header, sizeof header, "X-Request-Id: noise-%d", i);
        struct answer a =
            ask(i % 7 == 0 ? "DELETE" : "GET", url, path, NULL, NULL, 0, header);
        answer_free(&a);
    }
}

START_TEST(metrics_are_well_formed_and_bounded)
{
    struct daemon d;
    char folder[64], file[96], image[32], job[32];
    size_t before = 0, after = 0;
    folder_make(folder);
    scene_write(folder, 1, 64, 1);
    daemon_start(&d, NULL);
    struct answer a = good_metrics(d.url, &before);
    ck_assert(isnan(exposition_value(a.body, "denoised_checkpoint_age_seconds")));
    ck_assert_double_gt(exposition_value(a.body, "denoised_disk_free_bytes"), 0);
    answer_free(&a);
    make_noise(d.url);
    (void)snprintf(file, sizeof file, "%s/noisy1_0.tif", folder);
    upload(d.url, file, image);
    submit_denoise(d.url, image, "\"method\":\"median\"", job);
    json_decref(wait_job(d.url, job, 30));
    a = good_metrics(d.url, &after);
    printf("metrics: %zu series, before and after %d different requests\n", after, 60);
    ck_assert_uint_eq(after, before);
    ck_assert_uint_le(after, 1000);
    static const struct {
        const char *series;
        double least, most;
    } values[] = {
        {"denoised_job_seconds_count{kind=\"denoise\"}", 1, 1},
        {"denoised_job_seconds_count{kind=\"train\"}", 0, 0},
        {"denoised_jobs{state=\"succeeded\"}", 1, 1},
        {"denoised_queue_depth{kind=\"denoise\"}", 0, 0},
        {"denoised_jail_refusals_total{reason=\"call\"}", 0, 0},
        {"denoised_worker_silent_seconds", 0, 5},
        {"denoised_draining", 0, 0},
        {"denoised_http_request_seconds_count{method=\"POST\",route=\"/v1/images\"}", 1,
         1},
        {"denoised_http_request_seconds_count{method=\"any\",route=\"none\"}", 12, 12},
        {"denoised_http_request_seconds_count{method=\"GET\",route=\"/metrics\"}", 1, 1},
    };
    for (int i = 0; i < COUNT(values); i++) {
        double value = exposition_value(a.body, values[i].series);
        ck_assert_msg(value >= values[i].least && value <= values[i].most, "%s %g",
                      values[i].series, value);
    }
    answer_free(&a);
    daemon_remove(&d);
    folder_remove(folder);
}
END_TEST

/* ---- readiness ------------------------------------------------------------------------
 */

START_TEST(readiness_says_that_the_disk_is_too_full)
{
    static const char *const args[] = {"--min_free_mib", "1073741824", NULL};
    struct daemon d;
    char retry[16];
    daemon_start(&d, args);
    struct answer a = get(d.url, "/readyz");
    ck_assert_int_eq(a.status, 503);
    ck_assert_str_eq(text_at(a.json, "code"), "disk_full");
    ck_assert_str_eq(text_at(a.json, "errors.0.pointer"), "/disk");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "errors")), 1);
    ck_assert_str_eq(answer_header(&a, "Retry-After", retry, sizeof retry), "10");
    ck_assert_ptr_nonnull(strstr(a.headers, "application/problem+json"));
    answer_free(&a);
    a = get(d.url, "/healthz"); /* it lives, nevertheless */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    daemon_remove(&d);
}
END_TEST

/* ---- the log --------------------------------------------------------------------------
 */

/* Every line is an object; how many of this event have this text under the key. */
static size_t lines_with(const char *log, const char *event, const char *key,
                         const char *text)
{
    struct den_err err = DEN_ERR_INIT;
    char *all = NULL, *line;
    size_t length = 0, count = 0;
    must(den_fs_read(log, 1 << 20, &all, &length, &err));
    for (char *rest = all; (line = strsep(&rest, "\n")) != NULL;) {
        if (line[0] == '\0')
            continue;
        json_error_t why;
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &why);
        ck_assert_msg(json_is_object(object), "%s in %s", why.text, line);
        ck_assert_msg(text_at(object, "time")[0] == '2' &&
                          text_at(object, "level")[0] != '\0',
                      "%s", line);
        count += strcmp(text_at(object, "event"), event) == 0 &&
                 strcmp(text_at(object, key), text) == 0;
        json_decref(object);
    }
    den_free(all);
    return count;
}

START_TEST(log_lines_name_their_request_and_job)
{
    static const char *const args[] = {"--log_format", "json", "--log_level", "debug",
                                       NULL};
    static const char id[] = "X-Request-Id: microscope-7";
    struct daemon d;
    char folder[64], file[96], image[32], body[160];
    folder_make(folder);
    scene_write(folder, 1, 64, 1);
    daemon_start(&d, args);
    (void)snprintf(file, sizeof file, "%s/noisy1_0.tif", folder);
    upload(d.url, file, image);
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\"}",
                   image);
    struct answer a =
        ask("POST", d.url, "/v1/jobs", "application/json", body, strlen(body), id);
    ck_assert_int_eq(a.status, 202);
    const char *job = text_at(a.json, "id");
    json_decref(wait_job(d.url, job, 30));
    struct answer odd = get(d.url, "/v1/%22%5c%c3%28\xc3?a=b"); /* a path to be quoted */
    answer_free(&odd);
    ck_assert_int_eq(daemon_stop(&d), 0);
    ck_assert_uint_eq(lines_with(d.log, "request", "request", "microscope-7"), 1);
    ck_assert_uint_eq(lines_with(d.log, "job_queued", "request", "microscope-7"), 1);
    static const char *const events[] = {"job_queued", "job_started", "job_ended"};
    for (int i = 0; i < COUNT(events); i++)
        ck_assert_uint_eq(lines_with(d.log, events[i], "job", job), 1);
    answer_free(&a);
    daemon_remove(&d);
    folder_remove(folder);
}
END_TEST

/* ---- SIGHUP ---------------------------------------------------------------------------
 */

static void hang_up(const struct daemon *d, const struct notified *n, const char *file,
                    const char *text)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_write(file, text, strlen(text), &err));
    ck_assert_int_eq(kill(d->pid, SIGHUP), 0);
    ck_assert(notified_wait(n, "RELOADING=1\nMONOTONIC_USEC=", 5));
    ck_assert(notified_wait(n, "READY=1", 5));
}

START_TEST(sighup_changes_the_log_and_nothing_else)
{
    char file[] = "/tmp/denoised-conf-XXXXXX", *log = NULL;
    const char *const args[] = {"--config", file, NULL};
    struct den_err err = DEN_ERR_INIT;
    struct notified n;
    struct daemon d;
    size_t length = 0;
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    close(fd);
    notified_open(&n, true, NULL);
    daemon_start(&d, args);
    ck_assert(notified_wait(&n, "READY=1", 5));
    hang_up(&d, &n, file, "log_level = debug\nqueue_limit = 7\ntile = 64\n");
    struct answer a = get(d.url, "/healthz");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    hang_up(&d, &n, file, "log_level = loud\n");
    hang_up(&d, &n, file, "log_format = json\n");
    ck_assert_int_eq(daemon_stop(&d), 0);
    ck_assert(notified_wait(&n, "STOPPING=1", 5));
    must(den_fs_read(d.log, 1 << 20, &log, &length, &err));
    static const char *const words[] = {
        "event=reloaded after_a_restart=\"queue_limit,tile\"\n",
        "path=\"/healthz\"", /* at debug only */
        "level=error event=not_reloaded error=\"line 1 of the configuration file: ",
        "\"event\":\"reloaded\",\"after_a_restart\":\"\"}\n",
        "\"event\":\"stopping\",\"signal\":15}\n",
    };
    const char *at = log;
    for (int i = 0; i < COUNT(words); i++) {
        at = strstr(at, words[i]);
        ck_assert_msg(at != NULL, "%s in %s", words[i], log);
    }
    den_free(log);
    daemon_remove(&d);
    notified_close(&n);
    (void)unlink(file);
}
END_TEST

/* ---- MemoryDenyWriteExecute=
 * ------------------------------------------------------------
 */

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* The kernel's own form of it, which children inherit: neither decoders nor OpenBLAS want
 * memory that is written to and executed. */
START_TEST(no_memory_has_to_be_writable_and_executable)
{
    struct story s;
    if (prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0) {
        printf("skipped: %s (this kernel has no PR_SET_MDWE)\n", __func__);
        return;
    }
    void *both =
        mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(both == MAP_FAILED);
    story_start(&s, NULL);
    story_train_and_denoise(&s);
    story_end(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("operations");
    TCase *tc = tcase_create("operations");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, the_checker_of_metrics_finds_faults, 0, COUNT(expositions));
    tcase_add_test(tc, the_checker_of_metrics_bounds_labels);
    tcase_add_test(tc, metrics_are_well_formed_and_bounded);
    tcase_add_test(tc, readiness_says_that_the_disk_is_too_full);
    tcase_add_test(tc, log_lines_name_their_request_and_job);
    tcase_add_test(tc, sighup_changes_the_log_and_nothing_else);
    tcase_add_test(tc, no_memory_has_to_be_writable_and_executable);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
