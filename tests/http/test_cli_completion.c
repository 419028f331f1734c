/* Shell completion, asked as the shells ask it. */

#include <string.h>

#include "buf.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "front.h"
#include "fs.h"
#include "program.h"

static char folder[64];

static void setup(void)
{
    folder_make(folder);
}

static void teardown(void)
{
    folder_remove(folder);
}

/* The script of a shell, as a file in the folder. */
static void put_script(const char *shell)
{
    struct den_err err = DEN_ERR_INIT;
    char path[128];
    struct outcome o = DENOISE(folder, NULL, "completion", shell);
    must_end(&o, 0, "");
    (void)snprintf(path, sizeof path, "%s/script", folder);
    must(den_fs_write(path, o.out, o.out_length, &err));
    (void)snprintf(path, sizeof path, "%s/some images.tif", folder);
    must(den_fs_write(path, "x", 1, &err));
    (void)snprintf(path, sizeof path, "%s/some place", folder);
    must(den_fs_mkdirs(path, 0700, &err));
    outcome_free(&o);
}

/* Words with | between them, the last is completed; what is proposed, likewise. */
static const struct {
    const char *line, *want;
} lines[] = {
    {"denoise|wa", "wait|watch"},
    {"denoise|--server|http://x|subm", "submit"},
    {"denoise|--tok", "--token|--token-file"},
    {"denoise|submit|--mo", "--model"},
    {"denoise|submit|a.tif|--rec", "--recursive"},
    {"denoise|submit|a.tif|--jso", "--json"},
    {"denoise|submit|so", "some images.tif|some place"},
    {"denoise|watch|so", "some place"},
    {"denoise|submit|-o|so", "some place"},
    {"denoise|train|--pairs|so", "some images.tif|some place"},
    {"denoise|status|--state|c", "cancelled|cancelling"},
    {"denoise|status|--state|=", "cancelled|cancelling|failed|queued|running|succeeded"},
    {"denoise|status|--state|=|f", "failed"},
    {"denoise|completion|", "bash|fish|zsh"},
    {"denoise|simulate|--kind|fi", "fibres|filaments"},
    {"denoise|simulate|--size|so", ""},
    {"denoise|frobnicate|so", ""},
};

START_TEST(bash_proposes_what_the_tables_say)
{
    static const char script[] =
        ". ./script; IFS='|' read -r -a COMP_WORDS <<<\"$1|end\"\n"
        "unset 'COMP_WORDS[-1]'; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _denoise\n"
        "printf '%s\\n' \"${COMPREPLY[@]}\" | sort | paste -sd'|'\n";
    put_script("bash");
    struct outcome o = run_program(
        folder, NULL,
        (const char *const[]){"bash", "-c", script, "bash", lines[_i].line, NULL});
    must_end(&o, 0, "");
    ck_assert_str_eq(o.err, "");
    ck_assert_str_eq(first_line(&o), lines[_i].want);
    outcome_free(&o);
}
END_TEST

static bool shell_is_there(const char *shell, const char *test)
{
    if (program_exists(shell))
        return true;
    printf("skipped: %s (no %s)\n", test, shell);
    return false;
}

START_TEST(fish_proposes_what_the_tables_say)
{
    static const struct {
        const char *line, *want;
    } asked[] = {
        {"denoise wa", "wait\tWait until jobs have ended\nwatch\tDenoise each image"},
        {"denoise submit --mo", "--model\ta model of the server"},
        {"denoise status --state fa", "failed"},
        {"denoise completion z", "zsh"},
    };
    if (!shell_is_there("fish", __func__))
        return;
    put_script("fish");
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char script[256];
        (void)snprintf(script, sizeof script, "source script; complete -C '%s'",
                       asked[i].line);
        struct outcome o =
            run_program(folder, NULL, (const char *const[]){"fish", "-c", script, NULL});
        ck_assert_int_eq(o.status, 0);
        ck_assert_msg(strncmp(o.out, asked[i].want, strlen(asked[i].want)) == 0, "%s",
                      o.out);
        outcome_free(&o);
    }
}
END_TEST

/* Asked in earnest: a terminal, a line, a tab. */
START_TEST(zsh_proposes_what_the_tables_say)
{
    static const char script[] =
        "zmodload zsh/zpty; mkdir f; cp script f/_denoise; zpty z 'zsh -f -i'\n"
        "zpty -w z 'fpath=($PWD/f $fpath); autoload -Uz compinit; compinit -u -D; PS1=;"
        " PROMPT_SP=; bindkey \"^I\" complete-word; echo rea''dy'\n"
        "zpty -r -m z out '*ready*'\n"
        "zpty -w -n z $'denoise status --state succ\\t'\n"
        "zpty -r -m z out '*succeeded*' && echo good\n"
        "zpty -d z\n";
    if (!shell_is_there("zsh", __func__))
        return;
    put_script("zsh");
    struct outcome o = run_program(
        folder, NULL, (const char *const[]){"timeout", "20", "zsh", "-c", script, NULL});
    must_end(&o, 0, "");
    ck_assert_msg(strstr(o.out, "good") != NULL, "%s", o.out);
    outcome_free(&o);
}
END_TEST

/* Asked of zsh itself, since Debian's looks into another folder of /usr than of
 * /usr/local. */
START_TEST(make_install_puts_the_zsh_script_where_zsh_looks)
{
    static const char *const prefixes[] = {"/usr/local", "/usr"};
    char script[1024], program[256], *build;
    if (!shell_is_there("zsh", __func__))
        return;
    build = realpath(built("", program, sizeof program), NULL);
    ck_assert_ptr_nonnull(build);
    (void)snprintf(
        script, sizeof script,
        "unset MAKEFLAGS MFLAGS MAKELEVEL; D=%s/inst; R='make -s BUILD=%s PREFIX=%s'\n"
        "$R install DESTDIR=$D >/dev/null || exit 1\n"
        "for f in $(zsh -fc 'print -l $fpath'); do\n"
        "    [ ! -s $D$f/_denoise ] || echo found; done\n"
        "$R uninstall DESTDIR=$D; find $D -name '*denoise*' ! -type d\n",
        folder, build, prefixes[_i]);
    struct outcome o =
        run_program(NULL, NULL, (const char *const[]){"sh", "-c", script, NULL});
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "found\n");
    outcome_free(&o);
    free(build);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_completion");
    TCase *all = tcase_create("shells");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, bash_proposes_what_the_tables_say, 0,
                        (int)(sizeof lines / sizeof lines[0]));
    tcase_add_test(all, fish_proposes_what_the_tables_say);
    tcase_add_test(all, zsh_proposes_what_the_tables_say);
    tcase_add_loop_test(all, make_install_puts_the_zsh_script_where_zsh_looks, 0, 2);
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
