/* Commands about a state folder, among flags. */

#include <string.h>

#include "command.h"
#include "den_check.h"
#include "str.h"

static const struct {
    const char *argv[12], *words, *left;
} cases[] = {
    {{"denoised", "--state", "s"}, "", " --state s"},
    {{"denoised"}, "", ""},
    {{"denoised", "config", "show"}, "", " config show"},
    {{"denoised", "backup", "/b", "--state", "s"}, "backup /b", " --state s"},
    {{"denoised", "check"}, "check", ""},
    {{"denoised", "check", "--state=s"}, "check", " --state=s"},
    {{"denoised", "check", "--state", "s", "--gc"}, "check gc", " --state s"},
    {{"denoised", "check", "--dry-run", "--gc", "--state=s"},
     "check dry-run",
     " --state=s"},
    {{"denoised", "check", "--gc", "--dry_run"}, "check dry-run", ""},
    {{"denoised", "token", "create", "scope-2", "--owner", "ann", "--scope=read,submit"},
     "token create scope-2 ann read,submit 0",
     ""},
    {{"denoised", "token", "create", "n", "--state", "s", "--scope", "read", "--expires",
      "90", "--owner=o"},
     "token create n o read 90",
     " --state s"},
    {{"denoised", "token", "list", "--state=s", "--json"},
     "token list json",
     " --state=s"},
    {{"denoised", "token", "list"}, "token list", ""},
    {{"denoised", "audit", "verify", "--state=s"}, "audit verify", " --state=s"},
    {{"denoised", "audit", "show"}, "audit show 0", ""},
    {{"denoised", "audit", "show", "--json", "--since", "2026-11-23", "--state=s"},
     "audit show 1795392000000 json",
     " --state=s"},
    {{"denoised", "audit", "show", "--since=2026-11-23T00:00:01Z"},
     "audit show 1795392001000",
     ""},
    {{"denoised", "token", "revoke", "n", "--state=s"}, "token revoke n", " --state=s"},
};

enum { WORDS = 13 };

/* What is a command's own is taken out of argv; `all` keeps every word for free(). */
static void copy_words(const char *const *words, size_t most, char *argv[WORDS],
                       char *all[WORDS])
{
    for (size_t i = 0; i < most && words[i] != NULL; i++)
        argv[i] = all[i] = strdup(words[i]);
}

static void free_words(char *all[WORDS])
{
    for (size_t i = 0; i < WORDS; i++)
        free(all[i]);
}

START_TEST(a_command_is_taken_out_of_the_flags)
{
    struct den_err err = DEN_ERR_INIT;
    char *argv[WORDS] = {NULL}, *all[WORDS] = {NULL}, words[4200], left[100] = "";
    copy_words(cases[_i].argv, 12, argv, all);
    must(den_command_take(argv, words, sizeof words, &err));
    ck_assert_str_eq(words, cases[_i].words);
    for (size_t i = 1; argv[i] != NULL; i++) {
        size_t used = strlen(left);
        (void)den_str_format(left + used, sizeof left - used, " %s", argv[i]);
    }
    ck_assert_str_eq(left, cases[_i].left);
    free_words(all);
}
END_TEST

static const struct {
    const char *argv[8], *says;
} bad[] = {
    {{"denoised", "backup"}, "needs a folder"},
    {{"denoised", "backup", "--state"}, "needs a folder"},
    {{"denoised", "backup", "/a\nb"}, "more than one line"},
    {{"denoised", "check", "--dry-run"}, "goes with --gc"},
    {{"denoised", "token"}, "create, list or revoke"},
    {{"denoised", "token", "make"}, "create, list or revoke"},
    {{"denoised", "token", "create", "n", "--owner", "o"}, "needs a name, an owner"},
    {{"denoised", "token", "create", "n", "--owner", "o", "--scope"}, "needs a name"},
    {{"denoised", "token", "create", "--owner", "o", "--scope", "read"}, "needs a name"},
    {{"denoised", "token", "create", "a b", "--owner", "o", "--scope=read"}, "a name"},
    {{"denoised", "token", "create", "n", "--owner=o", "--scope=read", "--expires", "0"},
     "1 or more, not '0'"},
    {{"denoised", "token", "create", "n", "--owner=o", "--scope=read", "--expires=1y"},
     "1 or more, not '1y'"},
    {{"denoised", "token", "revoke"}, "which token"},
    {{"denoised", "audit"}, "show or verify"},
    {{"denoised", "audit", "delete"}, "show or verify"},
    {{"denoised", "audit", "show", "--since", "yesterday"}, "needs a day"},
    {{"denoised", "audit", "show", "--since", "2026-11-23T09:30"}, "needs a day"},
};

START_TEST(what_is_no_command_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    char *argv[WORDS] = {NULL}, *all[WORDS] = {NULL}, words[4200];
    copy_words(bad[_i].argv, 8, argv, all);
    must_fail(den_command_take(argv, words, sizeof words, &err), DEN_E_INVALID,
              bad[_i].says);
    free_words(all);
}
END_TEST

START_TEST(a_folder_gets_its_whole_name)
{
    struct den_err err = DEN_ERR_INIT;
    static const char *const backup[] = {"denoised", "backup", "copy"};
    char *argv[WORDS] = {NULL}, *all[WORDS] = {NULL};
    char words[4200], here[4000], want[4200];
    copy_words(backup, 3, argv, all);
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    must(den_command_take(argv, words, sizeof words, &err));
    (void)snprintf(want, sizeof want, "backup %s/copy", here);
    ck_assert_str_eq(words, want);
    free_words(all);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command");
    TCase *tc = tcase_create("command");
    tcase_add_loop_test(tc, a_command_is_taken_out_of_the_flags, 0,
                        sizeof cases / sizeof cases[0]);
    tcase_add_loop_test(tc, what_is_no_command_is_refused, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(tc, a_folder_gets_its_whole_name);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
