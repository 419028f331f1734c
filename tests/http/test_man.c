/* Manual pages: made from the programs' tables, and without fault. */

#include <string.h>

#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "front.h"
#include "fs.h"
#include "program.h"

static char folder[64];
static char build[256]; /* absolute */

static void setup(void)
{
    char path[256], *real;
    folder_make(folder);
    real = realpath(built("denoise", path, sizeof path), NULL);
    ck_assert_ptr_nonnull(real);
    *strrchr(real, '/') = '\0';
    (void)snprintf(build, sizeof build, "%s", real);
    free(real);
}

static void teardown(void)
{
    folder_remove(folder);
}

static const struct {
    const char *page, *words[6]; /* that people find in it */
} pages[] = {
    {"denoise.1",
     {"denoise watch", "\\fB\\-\\-token\\-file\\fR \\fIFILE\\fR", "denoise completion",
      "NO_COLOR", "\\fB\\-m\\fR, \\fB\\-\\-model\\fR"}},
    {"denoised.8", {"denoised token create NAME", "\n.BR SIGTERM", "backup DIR"}},
    {"denoised.conf.5",
     {".B max_upload_mib", "Default 127.0.0.1:8080.", "One of debug info warn error"}},
};

START_TEST(a_manual_page_has_what_the_tables_have)
{
    struct den_err err = DEN_ERR_INIT;
    char page[64], path[160];
    (void)snprintf(page, sizeof page, "docs/man/%s", pages[_i].page);
    struct outcome o = run_program(
        NULL, NULL,
        (const char *const[]){"docs/man/make.sh", build, "1.2.3", page, NULL});
    must_end(&o, 0, "");
    ck_assert_ptr_nonnull(strstr(o.out, "denoised 1.2.3"));
    static const char *const marks[] = {"@COMMANDS@", "@USAGE@", "@SETTINGS@",
                                        "@VERSION@"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        ck_assert_msg(strstr(o.out, marks[i]) == NULL, "%s is left", marks[i]);
    for (size_t i = 0; pages[_i].words[i] != NULL; i++)
        ck_assert_msg(strstr(o.out, pages[_i].words[i]) != NULL, "no '%s' in %s",
                      pages[_i].words[i], o.out);
    (void)snprintf(path, sizeof path, "%s/page", folder);
    must(den_fs_write(path, o.out, o.out_length, &err));
    outcome_free(&o);
    if (program_exists("groff")) {
        o = run_program(
            folder, NULL,
            (const char *const[]){"groff", "-man", "-ww", "-z", "page", NULL});
        must_end(&o, 0, "");
        ck_assert_str_eq(o.err, "");
        outcome_free(&o);
    } else {
        printf("skipped: %s with groff (it is not there)\n", __func__);
    }
    if (program_exists("mandoc")) {
        o = run_program(
            folder, NULL,
            (const char *const[]){"mandoc", "-Tlint", "-Wwarning", "page", NULL});
        must_end(&o, 0, "");
        ck_assert_str_eq(o.out, "");
        outcome_free(&o);
    } else {
        printf("skipped: %s with mandoc (it is not there)\n", __func__);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("man");
    TCase *all = tcase_create("pages");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_manual_page_has_what_the_tables_have, 0,
                        (int)(sizeof pages / sizeof pages[0]));
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
