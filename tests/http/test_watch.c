/* `denoise watch` on a folder that fills while the server and the watcher are killed. */

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "clock.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "mem.h"
#include "program.h"
#include "scene.h"
#include "str.h"
#include "verify.h"

#define PATH 256

static struct daemon d;
static char made_folder[80];
static char folder[64]; /* holds made/, in/ (watched), and what the watcher remembers */

static void setup(void)
{
    folder_make(folder);
    (void)snprintf(made_folder, sizeof made_folder, "%s/made", folder);
    ck_assert_int_eq(setenv("XDG_STATE_HOME", folder, 1), 0);
    daemon_start(&d, NULL);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(folder);
}

static const char *in_folder(char *to, const char *name)
{
    (void)den_str_format(to, PATH, "%s/%s", folder, name);
    return to;
}

static void make_folder(const char *name)
{
    char path[PATH];
    ck_assert_int_eq(mkdir(in_folder(path, name), 0700), 0);
}

/* ---- a watcher that runs beside the test --------------------------------------------
 */

static pid_t watcher;

/* Its stdout is appended to lines, its stderr to talk. */
static void watch_in_child(const char *const *extra)
{
    char program[PATH], out[PATH], err[PATH], in[PATH];
    char *argv[24] = {NULL};
    const char *const words[] = {program,    "watch", in,         "--recursive",
                                 "--settle", "0.2",   "--rescan", "0.5"};
    (void)in_folder(in, "in");
    (void)built("denoise", program, sizeof program);
    int n = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        argv[n++] = strdup(words[i]);
    for (size_t i = 0; extra[i] != NULL && n < 23; i++)
        argv[n++] = strdup(extra[i]);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setenv("DENOISE_SERVER", d.url, 1);
    (void)dup2(open(in_folder(out, "lines"), O_WRONLY | O_CREAT | O_APPEND, 0600), 1);
    (void)dup2(open(in_folder(err, "talk"), O_WRONLY | O_CREAT | O_APPEND, 0600), 2);
    (void)execv(program, argv);
    _exit(127);
}

static void watch_start_with(const char *const *extra)
{
    watcher = fork();
    ck_assert_int_ge(watcher, 0);
    if (watcher == 0)
        watch_in_child(extra);
}

#define WATCH(...) watch_start_with((const char *const[]){__VA_ARGS__, NULL})

/* Its exit status, or 128 + signal. */
static int watch_stop(int signal_number)
{
    int status = 0;
    (void)kill(watcher, signal_number);
    while (waitpid(watcher, &status, 0) != watcher)
        ;
    watcher = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The text stays until the next one is asked for. */
static char *text_of(const char *name)
{
    static char none[1], *text;
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    size_t length = 0;
    den_free(text);
    text = NULL;
    if (!den_fs_exists(in_folder(path, name)))
        return none;
    must(den_fs_read(path, 1 << 24, &text, &length, &err));
    return text;
}

static bool is_said(const char *name, const char *words)
{
    return strstr(text_of(name), words) != NULL;
}

static void wait_until_said(const char *name, const char *words)
{
    double end = den_monotonic_s() + 60;
    while (!is_said(name, words)) {
        ck_assert_msg(den_monotonic_s() < end, "%s never says '%s': %s", name, words,
                      text_of(name));
        (void)usleep(20000);
    }
}

/* ---- files ---------------------------------------------------------------------------
 */

static size_t sources, results, others;

static int count_file(const char *path, const struct stat *st, int type,
                      struct FTW *where)
{
    (void)st;
    const char *name = path + where->base;
    if (type != FTW_F)
        return 0;
    if (den_str_ends(name, "_denoised.tif"))
        results++;
    else if (den_str_ends(name, ".tif") && name[0] != '.')
        sources++;
    else
        others++;
    return 0;
}

static void count_files(void)
{
    char path[PATH];
    sources = results = others = 0;
    (void)nftw(in_folder(path, "in"), count_file, 16, FTW_PHYS);
}

static void wait_for_results(size_t n, double seconds)
{
    double end = den_monotonic_s() + seconds;
    for (count_files(); results < n; count_files()) {
        ck_assert_msg(den_monotonic_s() < end, "%zu of %zu results; %s", results, n,
                      text_of("talk"));
        (void)usleep(20000);
    }
}

static void read_all(const char *name, char **ret, size_t *ret_length)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    must(den_fs_read(in_folder(path, name), 1 << 24, ret, ret_length, &err));
}

static void put(const char *name, const char *data, size_t length, bool more)
{
    char path[PATH];
    int fd = open(in_folder(path, name), O_WRONLY | O_CREAT | (more ? O_APPEND : O_TRUNC),
                  0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, length), (ssize_t)length);
    (void)close(fd);
}

/* Image number i of the story, as it was made and as it is watched. */
static void names_of(size_t i, char made[PATH], char watched[PATH])
{
    (void)snprintf(made, PATH, "made/noisy%zu_%zu.tif", i / 50 + 1, i % 50);
    (void)snprintf(watched, PATH, "in/%snoisy%zu_%zu.tif", i % 3 == 0 ? "sub/" : "",
                   i / 50 + 1, i % 50);
}

/* Every seventh comes in two pieces, like from a slow camera. */
static void bring(size_t i)
{
    char made[PATH], watched[PATH], *data = NULL;
    size_t length = 0, half;
    names_of(i, made, watched);
    read_all(made, &data, &length);
    half = i % 7 == 0 ? length / 2 : length;
    put(watched, data, half, false);
    if (half < length) {
        (void)usleep(10000);
        put(watched, data + half, length - half, true);
    }
    den_free(data);
}

struct stamp {
    struct timespec mtime;
    mode_t mode;
};

static struct stamp stamp_of(size_t i)
{
    char made[PATH], watched[PATH], path[PATH];
    struct stat st;
    names_of(i, made, watched);
    ck_assert_int_eq(stat(in_folder(path, watched), &st), 0);
    return (struct stamp){st.st_mtim, st.st_mode};
}

static void is_untouched(size_t i, const struct stamp *before)
{
    char made[PATH], watched[PATH], *want = NULL, *got = NULL;
    size_t wants = 0, gots = 0;
    struct stamp now = stamp_of(i);
    names_of(i, made, watched);
    ck_assert_msg(memcmp(&now.mtime, &before->mtime, sizeof now.mtime) == 0 &&
                      now.mode == before->mode,
                  "%s was touched", watched);
    read_all(made, &want, &wants);
    read_all(watched, &got, &gots);
    ck_assert_msg(wants == gots && memcmp(want, got, wants) == 0, "%s has changed",
                  watched);
    den_free(want);
    den_free(got);
}

static void has_its_result(size_t i)
{
    static const struct den_image_limits none = {0};
    struct den_verdict *v = den_calloc(1, sizeof *v);
    struct den_err err = DEN_ERR_INIT;
    char made[PATH], watched[PATH], source[PATH], result[PATH];
    names_of(i, made, watched);
    (void)in_folder(source, watched);
    (void)den_str_format(result, sizeof result, "%.*s_denoised.tif",
                         (int)strlen(source) - 4, source);
    must(den_verify(source, result, &none, v, &err));
    ck_assert_msg(v->differences == 0 && v->values_changed > 0, "%s", result);
    den_free(v);
}

/* ---- the story -----------------------------------------------------------------------
 */

static size_t jobs_of_server(void)
{
    size_t n = 0;
    char path[PATH] = "/v1/jobs?limit=500";
    for (;;) {
        struct answer a = get(d.url, path);
        ck_assert_int_eq(a.status, 200);
        n += json_array_size(at(a.json, "jobs"));
        const char *cursor = text_at(a.json, "next_cursor");
        (void)snprintf(path, sizeof path, "/v1/jobs?limit=500&cursor=%s", cursor);
        bool more = cursor[0] != '\0';
        answer_free(&a);
        if (!more)
            return n;
    }
}

static void restart_daemon(void)
{
    char address[64];
    const char *const same[] = {"--listen", address, NULL};
    (void)den_str_copy(address, sizeof address, strstr(d.url, "127."));
    daemon_restart(&d, same);
}

static void bring_half(size_t from, size_t to, struct stamp *stamps)
{
    for (size_t i = from; i < to; i++) {
        bring(i);
        stamps[i] = stamp_of(i);
    }
}

START_TEST(each_file_has_one_result_though_server_and_watcher_are_killed)
{
    size_t n = test_full() ? 500 : 20;
    struct stamp stamps[500];
    make_folder("made");
    make_folder("in");
    make_folder("in/sub");
    for (size_t seed = 1; seed <= (n + 49) / 50; seed++)
        scene_write(made_folder, seed, 48, 50);
    double begun = den_monotonic_s();
    bring_half(0, n / 2, stamps);
    WATCH("--method", "median");
    wait_for_results(n / 4, 100);
    daemon_kill(&d);
    bring_half(n / 2, n, stamps);
    wait_until_said("talk", "; waiting"); /* it is missed before it is back */
    restart_daemon();
    wait_for_results(n * 3 / 5, 100);
    ck_assert_int_eq(watch_stop(SIGKILL), 128 + SIGKILL);
    WATCH("--method", "median");
    wait_for_results(n, 300);
    wait_until_said("talk", "going on");
    ck_assert_int_eq(watch_stop(SIGTERM), 0);
    count_files();
    ck_assert_uint_eq(sources, n);
    ck_assert_uint_eq(results, n);
    ck_assert_uint_eq(others, 0); /* nothing temporary */
    for (size_t i = 0; i < n; i++) {
        is_untouched(i, &stamps[i]);
        has_its_result(i);
    }
    ck_assert_uint_eq(jobs_of_server(), n);
    printf("watch: %zu of %zu images have one result and one job, in %.1f s, with a "
           "kill of the server and one of the watcher\n",
           n, n, den_monotonic_s() - begun);
}
END_TEST

/* ---- single files --------------------------------------------------------------------
 */

static void one_image(const char *name)
{
    char *data = NULL;
    size_t length = 0;
    make_folder("in");
    make_folder("made");
    scene_write(made_folder, 1, 48, 2);
    read_all("made/noisy1_0.tif", &data, &length);
    put(name, data, length, false);
    den_free(data);
}

static struct outcome once(const char *a, const char *b, const char *c)
{
    return DENOISE(folder, d.url, "watch", "in", "--once", "--settle=0.1", "--method",
                   "median", a, b, c);
}

START_TEST(an_image_is_sent_again_only_when_its_content_changes)
{
    char path[PATH], *data = NULL;
    size_t length = 0;
    struct timespec times[2] = {{1600000000, 0}, {1600000000, 0}};
    one_image("in/a.tif");
    struct outcome o = once(NULL, NULL, NULL);
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "done a.tif -> in/a_denoised.tif\n");
    outcome_free(&o);
    ck_assert_int_eq(utimensat(AT_FDCWD, in_folder(path, "in/a.tif"), times, 0), 0);
    for (int i = 0; i < 2; i++) { /* touched, then as it was */
        o = once(NULL, NULL, NULL);
        must_end(&o, 0, "");
        ck_assert_str_eq(o.out, "");
        outcome_free(&o);
    }
    ck_assert_uint_eq(jobs_of_server(), 1);
    read_all("made/noisy1_1.tif", &data, &length);
    put("in/a.tif", data, length, false);
    den_free(data);
    o = once("--json", NULL, NULL);
    must_end(&o, 0, "");
    json_t *line = json_loads(o.out, 0, NULL);
    ck_assert_str_eq(text_at(line, "state"), "done");
    ck_assert_str_eq(text_at(line, "file"), "a.tif");
    ck_assert_uint_eq(strlen(text_at(line, "sha256")), 64);
    json_decref(line);
    outcome_free(&o);
    ck_assert_uint_eq(jobs_of_server(), 2);
}
END_TEST

START_TEST(results_of_others_are_kept_unless_forced)
{
    char *data = NULL;
    size_t length = 0;
    one_image("in/a.tif");
    put("in/a_denoised.tif", "mine", 4, false);
    struct outcome o = once(NULL, NULL, NULL);
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out,
                     "kept a.tif: there is a result already; --force replaces it\n");
    outcome_free(&o);
    read_all("in/a_denoised.tif", &data, &length);
    ck_assert_str_eq(data, "mine");
    den_free(data);
    o = once("--force", "--state", "other.jsonl");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "done a.tif -> in/a_denoised.tif\n");
    outcome_free(&o);
}
END_TEST

START_TEST(results_go_into_a_mirror_that_is_never_input)
{
    char path[PATH], *data = NULL;
    size_t length = 0;
    one_image("in/a.tif");
    make_folder("in/deep");
    make_folder("in/deep/er");
    make_folder("in/.hidden");
    read_all("made/noisy1_1.tif", &data, &length);
    put("in/deep/er/b.OME.tiff", data, length, false);
    put("in/.hidden/c.tif", data, length, false);
    put("in/.d.tif", data, length, false);
    put("in/e.txt", data, length, false);
    den_free(data);
    ck_assert_int_eq(symlink("a.tif", in_folder(path, "in/link.tif")), 0);
    struct outcome o = once("--recursive", "-o", "in/mirror");
    must_end(&o, 0, "");
    static const char *const lines[] = {
        "done a.tif -> in/mirror/a_denoised.tif\n",
        "done deep/er/b.OME.tiff -> in/mirror/deep/er/b_denoised.OME.tiff\n"};
    ck_assert_uint_eq(o.out_length, strlen(lines[0]) + strlen(lines[1]));
    for (size_t i = 0; i < 2; i++) /* in the order in which their jobs ended */
        ck_assert_msg(strstr(o.out, lines[i]) != NULL, "%s", o.out);
    outcome_free(&o);
    o = once("--recursive", "-o", "in/mirror");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
    ck_assert(den_fs_exists(in_folder(path, "in/mirror/deep/er/b_denoised.OME.tiff")));
    o = once("-o", "in/mirror2", "--suffix=");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "done a.tif -> in/mirror2/a.tif\n");
    outcome_free(&o);
}
END_TEST

START_TEST(a_file_is_not_sent_before_it_is_whole)
{
    char *data = NULL;
    size_t length = 0;
    one_image("in/a.tif");
    read_all("made/noisy1_1.tif", &data, &length);
    put("in/b.tif", data, length / 2, false);
    WATCH("--method", "median");
    wait_until_said("lines", "done a.tif");
    (void)usleep(500000); /* more than it has to stand still */
    ck_assert_uint_eq(jobs_of_server(), 1);
    put("in/b.tif", data + length / 2, length - length / 2, true);
    wait_until_said("lines", "done b.tif");
    ck_assert_int_eq(watch_stop(SIGINT), 0);
    ck_assert_str_eq(text_of("talk"), "");
    put("in/c.tif", data, length / 2, false);
    struct outcome o = once(NULL, NULL, NULL);
    must_end(&o, 1, "1 of 1 images were not denoised");
    ck_assert_msg(strstr(o.out, "incomplete c.tif: the TIFF is cut short") == o.out, "%s",
                  o.out);
    outcome_free(&o);
    den_free(data);
}
END_TEST

START_TEST(a_refused_file_is_told_once_until_it_changes)
{
    one_image("in/a.tif");
    for (int i = 0; i < 2; i++) {
        struct outcome o = once("--pages", "0-3", NULL);
        must_end(&o, i == 0 ? 1 : 0, "");
        ck_assert_msg(i == 0 ? strstr(o.out, "refused a.tif: ") == o.out
                             : o.out[0] == '\0',
                      "%s", o.out);
        outcome_free(&o);
    }
    char *data = NULL;
    size_t length = 0;
    read_all("made/noisy1_1.tif", &data, &length);
    put("in/a.tif", data, length, false);
    den_free(data);
    struct outcome o = once("--pages", "0-3", NULL);
    must_end(&o, 1, "1 of 1 images were not denoised");
    outcome_free(&o);
}
END_TEST

START_TEST(a_server_that_comes_later_is_waited_for)
{
    one_image("in/a.tif");
    daemon_kill(&d);
    WATCH("--method", "median", "--once");
    wait_until_said("talk", "no server answers");
    restart_daemon();
    wait_until_said("lines", "done a.tif");
    ck_assert_int_eq(watch_stop(0), 0);
    char *talk = text_of("talk");
    char *first = strstr(talk, "no server answers");
    ck_assert_ptr_nonnull(first);
    ck_assert_msg(strstr(first + 1, "no server answers") == NULL, "%s", talk); /* once */
}
END_TEST

/* The journal says that the image was sent; the server never heard of that job. */
static void lose_job(void)
{
    static const char lost[] = "01JDA0000000000000000000AA";
    char *text = text_of("state.jsonl"), *line = strstr(text, "{\"path\"");
    ck_assert(line != NULL && strstr(line, "\"sent\"") != NULL);
    memcpy(strstr(line, "job_") + 4, lost, sizeof lost - 1);
    put("state.jsonl", line, strcspn(line, "\n") + 1, true);
}

START_TEST(a_job_that_is_gone_is_made_again)
{
    char path[PATH];
    one_image("in/a.tif");
    for (size_t i = 0; i < 2; i++) {
        struct outcome o = once("--state", "state.jsonl", NULL);
        must_end(&o, 0, "");
        ck_assert_str_eq(o.out, "done a.tif -> in/a_denoised.tif\n");
        outcome_free(&o);
        ck_assert_uint_eq(jobs_of_server(), i + 1);
        ck_assert_int_eq(unlink(in_folder(path, "in/a_denoised.tif")), 0);
        lose_job();
    }
}
END_TEST

START_TEST(without_a_token_the_watch_ends)
{
    static const char *const args[] = {"--auth", "required", NULL};
    one_image("in/a.tif");
    daemon_kill(&d);
    daemon_restart(&d, args);
    struct outcome o = once(NULL, NULL, NULL);
    must_end(&o, 4, "give your token with --token-file FILE or DENOISE_TOKEN");
    outcome_free(&o);
    o = once("--token", "den_wrong", NULL);
    must_end(&o, 4, "is wrong, expired or revoked");
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
}
END_TEST

START_TEST(a_folder_has_one_watcher)
{
    one_image("in/a.tif");
    WATCH("--method", "median");
    wait_until_said("lines", "done a.tif");
    struct outcome o = DENOISE(folder, d.url, "watch", "in", "--method", "median");
    must_end(&o, 2, "another `denoise watch` looks after this folder already");
    outcome_free(&o);
    ck_assert_int_eq(watch_stop(SIGTERM), 0);
}
END_TEST

/* What follows the journal of one finished image. */
static const struct {
    const char *added;
    int status;
    const char *words;
} journals[] = {
    {"{\"path\":\"b.tif\",\"si", 0, ""}, /* the power went away */
    {"", 0, ""},
    {"{}\n", 2, "line 4 is not what `denoise watch` has written"},
    {"\n", 2, "line 4 is not what"},
    {"{\"path\":\"b.tif\",\"job\":\"0123456789012345678901234567890123456789"
     "0123456789012345678901234567890123456789\"}\n",
     2, "line 4 is not what"},
};

START_TEST(a_journal_that_was_cut_is_read_and_a_strange_one_is_not)
{
    one_image("in/a.tif");
    struct outcome o = once("--state", "j/state.jsonl", NULL);
    must_end(&o, 0, "");
    outcome_free(&o);
    put("j/state.jsonl", journals[_i].added, strlen(journals[_i].added), true);
    for (int i = 0; i < 2; i++) {
        o = once("--state", "j/state.jsonl", NULL);
        must_end(&o, journals[_i].status, journals[_i].words);
        ck_assert_str_eq(o.out, "");
        outcome_free(&o);
    }
    ck_assert_uint_eq(jobs_of_server(), 1);
}
END_TEST

static const struct {
    const char *args[7];
    int status;
    const char *words;
} wrong[] = {
    {{"in"}, 2, "give either --model NAME or --method FILTER"},
    {{"nowhere", "--method", "median"}, 2, "nowhere: No such file"},
    {{"made/noisy1_0.tif", "--method", "median"}, 2, "is no folder"},
    {{"in", "--method", "median", "--suffix="}, 2, "results need a folder of their own"},
    {{"in", "--method", "median", "--suffix=a/b"}, 2, "cannot be in a name"},
    {{"in", "--method", "cats", "--once"}, 2, "the server has no filter 'cats'"},
    {{"in", "--model", "cats", "--once"}, 5, "there is no model 'cats'"},
    {{"in", "--method", "median", "--set", "radius=-3", "--once"}, 5, "radius"},
};

START_TEST(what_is_wrong_for_all_files_ends_the_watch)
{
    const char *args[16] = {"watch", "--settle=0.1"};
    one_image("in/a.tif");
    for (size_t i = 0; wrong[_i].args[i] != NULL; i++)
        args[2 + i] = wrong[_i].args[i];
    struct outcome o = run_denoise(folder, d.url, args);
    must_end(&o, wrong[_i].status, wrong[_i].words);
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
    Suite *suite = suite_create("watch");
    TCase *all = tcase_create("watch");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 400);
    tcase_add_test(all, each_file_has_one_result_though_server_and_watcher_are_killed);
    tcase_add_test(all, an_image_is_sent_again_only_when_its_content_changes);
    tcase_add_test(all, results_of_others_are_kept_unless_forced);
    tcase_add_test(all, results_go_into_a_mirror_that_is_never_input);
    tcase_add_test(all, a_file_is_not_sent_before_it_is_whole);
    tcase_add_test(all, a_refused_file_is_told_once_until_it_changes);
    tcase_add_test(all, a_server_that_comes_later_is_waited_for);
    tcase_add_test(all, a_job_that_is_gone_is_made_again);
    tcase_add_test(all, without_a_token_the_watch_ends);
    tcase_add_test(all, a_folder_has_one_watcher);
    tcase_add_loop_test(all, a_journal_that_was_cut_is_read_and_a_strange_one_is_not, 0,
                        COUNT(journals));
    tcase_add_loop_test(all, what_is_wrong_for_all_files_ends_the_watch, 0, COUNT(wrong));
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
