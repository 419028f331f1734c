/* Hundreds of damaged and hostile files for one daemon: each is answered soon, in words,
 * and the daemon is afterwards what it was before. */
#include <dirent.h>
#include <signal.h>
#include <string.h>

#include "client.h"
#include "clock.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "scene.h"
#include "str.h"
#include "watch.h"

enum { SETTLED = 50, MOST_FILES = 2000, GROWTH_KIB = 8 * 1024 };
static const double SLOWEST_S = 2.0;

static struct daemon d;
static struct family before; /* the file that is sent */
static char files[64];
static bool sanitized; /* everything is slower and larger */

static struct counts {
    unsigned sent, accepted, refused, previews, jobs, succeeded, failed;
    double slowest;
    char slowest_name[128];
} counts;

static char jobs[MOST_FILES][32];

static void setup(void)
{
    sanitized = test_sanitized();
    folder_make(files);
    scene_write(files, 1, 64, 1);
    daemon_start(&d, NULL);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(files);
}

/* Refusals say why, in a sentence, as a problem document. */
static void check_refusal(const char *name, const struct answer *a)
{
    char media[64];
    ck_assert_msg(a->status >= 400 && a->status < 500, "%s: %ld %s", name, a->status,
                  a->body);
    ck_assert_str_eq(answer_header(a, "Content-Type", media, sizeof media),
                     "application/problem+json");
    ck_assert_msg(strlen(text_at(a->json, "detail")) > 15, "%s: %s", name, a->body);
    ck_assert_msg(strstr(a->body, "/tmp/") == NULL, "%s: %s", name, a->body);
}

static void note_time(const char *name, double seconds)
{
    if (seconds > counts.slowest) {
        counts.slowest = seconds;
        (void)den_str_copy(counts.slowest_name, sizeof counts.slowest_name, name);
    }
    ck_assert_msg(sanitized || family_was_quick(&before, d.pid, seconds, SLOWEST_S),
                  "%s took %.2f s", name, seconds);
}

/* What a page that can be read allows: a preview, and a job. */
static void use_image(const char *name, const char *id)
{
    char path[96], body[160];
    (void)snprintf(path, sizeof path, "/v1/images/%s/preview?size=32", id);
    double start = den_monotonic_s();
    struct answer a = get(d.url, path);
    note_time(name, den_monotonic_s() - start);
    if (a.status == 200)
        counts.previews++;
    else
        check_refusal(name, &a);
    answer_free(&a);
    (void)snprintf(
        body, sizeof body,
        "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\",\"config\":{"
        "\"radius\":1}}",
        id);
    start = den_monotonic_s();
    a = post_json(d.url, "/v1/jobs", body);
    note_time(name, den_monotonic_s() - start);
    if (a.status == 202)
        (void)snprintf(jobs[counts.jobs++], 32, "%s", text_at(a.json, "id"));
    else
        check_refusal(name, &a);
    answer_free(&a);
}

static void send_file(const char *folder, const char *name)
{
    struct den_err err = DEN_ERR_INIT;
    char path[512], *data = NULL, id[32] = "";
    size_t length = 0;
    ck_assert(den_str_format(path, sizeof path, "%s/%s", folder, name));
    must(den_fs_read(path, (size_t)1 << 28, &data, &length, &err));
    ck_assert(den_str_format(path, sizeof path, "/v1/images?name=%s", name));
    before = family_look(d.pid);
    double start = den_monotonic_s();
    struct answer a =
        ask("POST", d.url, path, "application/octet-stream", data, length, NULL);
    note_time(name, den_monotonic_s() - start);
    counts.sent++;
    if (a.status == 201 || a.status == 200) {
        counts.accepted++;
        (void)snprintf(id, sizeof id, "%s", text_at(a.json, "id"));
    } else {
        counts.refused++;
        check_refusal(name, &a);
    }
    answer_free(&a);
    den_free(data);
    if (id[0] != '\0')
        use_image(name, id);
}

/* Sends all of a folder; *settled_kib is set after the first files. */
static void send_folder(const char *root, const char *sub, long *settled_kib)
{
    char folder[400];
    ck_assert(den_str_format(folder, sizeof folder, "%s/hostile/%s", root, sub));
    DIR *list = opendir(folder);
    ck_assert_ptr_nonnull(list);
    const struct dirent *entry;
    while ((entry = readdir(list)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        ck_assert_uint_lt(counts.jobs, MOST_FILES);
        send_file(folder, entry->d_name);
        if (counts.sent == SETTLED)
            *settled_kib = family_look(d.pid).rss_kib;
    }
    (void)closedir(list);
}

static void wait_for_jobs(void)
{
    for (unsigned i = 0; i < counts.jobs; i++) {
        json_t *job = wait_job(d.url, jobs[i], 60);
        const char *state = text_at(job, "state");
        bool failed = strcmp(state, "failed") == 0;
        ck_assert_msg(failed || strcmp(state, "succeeded") == 0, "%s is %s", jobs[i],
                      state);
        if (failed)
            ck_assert_msg(strlen(text_at(job, "error.detail")) > 15, "%s: '%s'", jobs[i],
                          text_at(job, "error.detail"));
        counts.failed += failed;
        counts.succeeded += !failed;
        json_decref(job);
    }
}

static void must_be_well(size_t processes)
{
    char good[128], id[32];
    struct family family = family_look(d.pid);
    ck_assert_int_eq(kill(d.pid, 0), 0);
    for (int i = 0; i < 100 && (family.processes > processes || family.zombies > 0);
         i++) {
        (void)usleep(20000); /* a decoder may just be going home */
        family = family_look(d.pid);
    }
    ck_assert_uint_eq(family.zombies, 0);
    ck_assert_uint_le(family.processes, processes);
    (void)snprintf(good, sizeof good, "%s/clean1.tif", files);
    upload(d.url, good, id);
    struct answer a = get(d.url, "/healthz");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

START_TEST(hostile_files_are_answered_and_leave_no_trace)
{
    need_test_data(root);
    char good[128], id[32];
    (void)snprintf(good, sizeof good, "%s/noisy1_0.tif", files);
    upload(d.url, good, id);
    size_t processes = family_look(d.pid).processes;
    long settled_kib = 0;
    double start = den_monotonic_s();
    send_folder(root, "png", &settled_kib);
    send_folder(root, "tif", &settled_kib);
    double sent = den_monotonic_s();
    wait_for_jobs();
    long end_kib = family_look(d.pid).rss_kib;
    must_be_well(processes);
    printf("%u files: %u accepted, %u refused; %u previews; %u jobs: %u succeeded, %u "
           "failed; slowest answer %.3f s (%s); %.1f + %.1f s; RSS %ld then %ld KiB; %zu "
           "processes\n",
           counts.sent, counts.accepted, counts.refused, counts.previews, counts.jobs,
           counts.succeeded, counts.failed, counts.slowest, counts.slowest_name,
           sent - start, den_monotonic_s() - sent, settled_kib, end_kib, processes);
    ck_assert_uint_ge(counts.sent, 685);
    ck_assert_uint_ge(counts.accepted, 100);
    ck_assert_uint_ge(counts.refused, 100);
    ck_assert_msg(sanitized || end_kib < settled_kib + GROWTH_KIB,
                  "the daemon grew from %ld to %ld KiB", settled_kib, end_kib);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile");
    TCase *tc = tcase_create("files");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 180);
    tcase_add_test(tc, hostile_files_are_answered_and_leave_no_trace);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
