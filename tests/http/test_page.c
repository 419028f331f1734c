/* The web page: its modules, and all of it in a browser (tests/web). */

#include <string.h>

#include "den_check.h"
#include "program.h"

#define MISSING 77 /* the exit status of run.sh where something is not installed */

static void run(const char *form)
{
    const char *build = getenv("DENOISED_BUILD");
    const char *const argv[] = {"tests/web/run.sh", build != NULL ? build : "build", form,
                                NULL};
    struct outcome o = run_program(NULL, NULL, argv);
    printf("%s", o.out);
    ck_assert_msg(o.status == 0 || o.status == MISSING, "exit %d\n%s%s", o.status, o.out,
                  o.err);
    ck_assert_msg(o.status == 0 || strncmp(o.out, "skipped: ", 9) == 0, "%s", o.out);
    outcome_free(&o);
}

START_TEST(its_modules_do_what_they_say)
{
    run("modules");
}
END_TEST

START_TEST(people_find_their_way_through_it)
{
    run(test_full() ? "full" : "smoke");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("page");
    TCase *tc = tcase_create("page");
    tcase_set_timeout(tc, test_full() ? 1800 : 240);
    tcase_add_test(tc, its_modules_do_what_they_say);
    tcase_add_test(tc, people_find_their_way_through_it);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
