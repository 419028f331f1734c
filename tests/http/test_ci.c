/* The workflows of deploy/ci: their own commands, step by step, against a real daemon.  A
 * better model is promoted, a worse one refused, and a second run of a pipeline is the
 * first. */

#include <string.h>

#include "buf.h"
#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "mem.h"
#include "program.h"
#include "str.h"
#include "tokens.h"

#define STEPS 8

static struct daemon d;
static char bearer[BEARER_SIZE];
static char folder[64]; /* the repository that is checked out */

static void denoise_here(const char *const *args, char *line, size_t size)
{
    struct outcome o = run_denoise(folder, d.url, args);
    must_end(&o, 0, "");
    (void)den_str_copy(line, size, first_line(&o));
    outcome_free(&o);
}

#define HERE(line, ...) \
    denoise_here((const char *const[]){__VA_ARGS__, NULL}, line, sizeof line)

static void setup(void)
{
    char path[256], line[64],
        *build = realpath(built("denoise", path, sizeof path), NULL);
    ck_assert_ptr_nonnull(build);
    *strrchr(build, '/') = '\0';
    static const char *const args[] = {"--auth", "required", NULL};
    daemon_start(&d, args);
    make_token(&d, "ci", "ci", "read,submit,train", bearer);
    ck_assert_int_eq(setenv("DENOISE_TOKEN", strstr(bearer, "Bearer ") + 7, 1), 0);
    folder_make(folder);
    (void)snprintf(path, sizeof path, "%s:%s", build, getenv("PATH"));
    ck_assert_int_eq(setenv("PATH", path, 1), 0);
    free(build);
    HERE(line, "simulate", "images", "--scenes=4", "--frames=2", "--size=64x64");
    HERE(line, "simulate", "golden", "--scenes=5", "--frames=2", "--size=64x64",
         "--seed=9");
    HERE(line, "dataset", "golden", "--pairs", "golden/pairs.csv");
    ck_assert_int_eq(setenv("DENOISE_GOLDEN", line, 1), 0);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(folder);
}

/* ---- the steps of a workflow ---------------------------------------------------------
 */

struct step {
    char name[64];
    char script[2048];
    bool always; /* also after a failure */
};

static struct step steps[STEPS];
static size_t step_count;

static struct step *new_step(const char *name, size_t length)
{
    ck_assert_uint_lt(step_count, STEPS);
    struct step *step = &steps[step_count++];
    memset(step, 0, sizeof *step);
    (void)snprintf(step->name, sizeof step->name, "%.*s", (int)length, name);
    return step;
}

static void add_line(struct step *step, const char *line, size_t length)
{
    ck_assert_ptr_nonnull(step);
    size_t used = strlen(step->script);
    ck_assert_uint_lt(used + length + 2, sizeof step->script);
    (void)snprintf(step->script + used, sizeof step->script - used, "%.*s\n", (int)length,
                   line);
}

static bool is_line(const char *line, size_t length, const char *what)
{
    return length >= strlen(what) && memcmp(line, what, strlen(what)) == 0;
}

/* Items of `steps`, at column 6; the lines of a `run: |` are indented by 10. */
static void take_github_line(const char *line, size_t length, bool *in_script)
{
    static const char name[] = "      - name: ", run[] = "        run: |",
                      always[] = "        if: always()", body[] = "          ";
    struct step *step = step_count > 0 ? &steps[step_count - 1] : NULL;
    if (*in_script && is_line(line, length, body))
        add_line(step, line + strlen(body), length - strlen(body));
    else if (is_line(line, length, name))
        (void)new_step(line + strlen(name), length - strlen(name));
    else if (is_line(line, length, always) && step != NULL && step->script[0] == '\0')
        step->always = true;
    *in_script =
        is_line(line, length, run) || (*in_script && is_line(line, length, body));
}

/* Jobs at column 0; the items of `script`, at column 4. */
static void take_gitlab_line(const char *line, size_t length, bool *in_script)
{
    static const char item[] = "    - ";
    if (length > 1 && line[0] >= 'a' && line[0] <= 'z' && line[length - 1] == ':' &&
        !is_line(line, length, "workflow"))
        (void)new_step(line, length - 1);
    bool mine = *in_script && is_line(line, length, item);
    if (mine)
        add_line(&steps[step_count - 1], line + strlen(item), length - strlen(item));
    *in_script = mine || is_line(line, length, "  script:");
}

static void read_steps(const char *file,
                       void (*take)(const char *line, size_t length, bool *in_script))
{
    struct den_err err = DEN_ERR_INIT;
    char *text = NULL;
    size_t length = 0;
    bool in_script = false;
    step_count = 0;
    must(den_fs_read(file, 1 << 16, &text, &length, &err));
    for (const char *at = text; *at != '\0';) {
        size_t line = strcspn(at, "\n");
        take(at, line, &in_script);
        at += line + (at[line] == '\n');
    }
    den_free(text);
}

/* ---- the runner ----------------------------------------------------------------------
 */

/* What a runner hands from step to step: $GITHUB_ENV, or GitLab's dotenv report. */
static const char prologue[] = "for f in env train.env; do if [ -f $f ]; then set -a; "
                               ". ./$f; set +a; fi; done\n";

struct run {
    int status;      /* of the first step that failed */
    char failed[64]; /* its name */
};

static struct run run_pipeline(const char *commit, const char *train)
{
    struct run run = {0};
    char script[sizeof prologue + sizeof steps[0].script];
    (void)setenv("GITHUB_SHA", commit, 1);
    (void)setenv("CI_COMMIT_SHA", commit, 1);
    (void)setenv("GITHUB_ENV", "env", 1);
    (void)setenv("GITHUB_STEP_SUMMARY", "summary.md", 1);
    (void)setenv("DENOISE_TRAIN", train, 1);
    struct outcome o =
        run_program(folder, NULL,
                    (const char *const[]){"rm", "-f", "env", "train.env", "summary.md",
                                          "gate.md", "gate.xml", NULL});
    outcome_free(&o);
    for (size_t i = 0; i < step_count; i++) {
        if (run.status != 0 && !steps[i].always)
            continue;
        (void)snprintf(script, sizeof script, "%s%s", prologue, steps[i].script);
        o = run_program(folder, d.url,
                        (const char *const[]){"bash", "-e", "-c", script, NULL});
        if (o.status != 0 && o.status != 3)
            printf("%s: exit status %d\n%s%s", steps[i].name, o.status, o.out, o.err);
        if (o.status != 0 && run.status == 0) {
            run.status = o.status;
            (void)den_str_copy(run.failed, sizeof run.failed, steps[i].name);
        }
        outcome_free(&o);
    }
    return run;
}

static struct answer get_known(const char *path)
{
    return ask("GET", d.url, path, NULL, NULL, 0, bearer);
}

static void champion_is(int version)
{
    struct answer a = get_known("/v1/models/cells/aliases/champion");
    ck_assert_int_eq(a.status, 200);
    close_to(number_at(a.json, "version"), version, 0);
    answer_free(&a);
}

static void report_says(const char *file, const char *words)
{
    struct den_err err = DEN_ERR_INIT;
    char path[128], *text = NULL;
    size_t length = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, file);
    must(den_fs_read(path, 1 << 20, &text, &length, &err));
    ck_assert_msg(strstr(text, words) != NULL, "no '%s' in %s", words, text);
    den_free(text);
}

/* The smallest net that there is. */
#define TINY "--preset cpu --set downs=5 ngf=4 crop=32 batch=2 "

static const struct {
    const char *file;
    void (*take)(const char *line, size_t length, bool *in_script);
    size_t steps;
    const char *gate;   /* the step that may refuse */
    const char *report; /* what people look at */
} workflows[] = {
    {"deploy/ci/github.yml", take_github_line, 3, "Promote if better", "summary.md"},
    {"deploy/ci/gitlab.yml", take_gitlab_line, 2, "promote", "gate.md"},
};

START_TEST(a_better_model_is_promoted_and_a_worse_one_refused)
{
    char line[128];
    read_steps(workflows[_i].file, workflows[_i].take);
    ck_assert_uint_eq(step_count, workflows[_i].steps);
    struct run run = run_pipeline("c1", TINY "iterations=3");
    ck_assert_int_eq(run.status, 0);
    report_says(workflows[_i].report, "## cells@1: promoted");
    report_says(workflows[_i].report, "holds (no champion yet)");
    run = run_pipeline("c2", TINY "iterations=300");
    ck_assert_int_eq(run.status, 0);
    report_says(workflows[_i].report, "## cells@2: promoted");
    champion_is(2);
    run = run_pipeline("c3", TINY "iterations=4");
    ck_assert_int_eq(run.status, 3);
    ck_assert_str_eq(run.failed, workflows[_i].gate);
    report_says(workflows[_i].report, "## cells@3: refused");
    report_says(workflows[_i].report, "cells@3 is not promoted; nothing was changed.");
    report_says("gate.xml", "tests=\"1\" failures=\"1\"");
    champion_is(2);
    /* The same commit again: the same model, the same verdict, nothing is trained. */
    run = run_pipeline("c3", TINY "iterations=4");
    ck_assert_int_eq(run.status, 3);
    report_says(workflows[_i].report, "## cells@3: refused");
    struct answer a = get_known("/v1/models/cells");
    ck_assert_uint_eq(json_array_size(at(a.json, "models")), 3);
    answer_free(&a);
    struct outcome o = DENOISE(folder, d.url, "models", "cells");
    must_end(&o, 0, "");
    ck_assert_msg(strstr(o.out, "\ncells        2  champion  ") != NULL, "%s", o.out);
    ck_assert_msg(strstr(o.out, "\ncells        1  -         ") != NULL, "%s", o.out);
    outcome_free(&o);
    HERE(line, "rollback", "cells");
    ck_assert_str_eq(line, "cells@champion is cells@1 again");
    champion_is(1);
    printf("%s: two models promoted, one refused with exit status 3, twice\n",
           workflows[_i].file);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ci");
    TCase *all = tcase_create("workflows");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 200);
    tcase_add_loop_test(all, a_better_model_is_promoted_and_a_worse_one_refused, 0,
                        (int)(sizeof workflows / sizeof workflows[0]));
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
