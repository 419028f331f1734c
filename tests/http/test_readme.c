/* The commands of README.md work: every shell block behind `<!-- tested -->` is run, in
 * order, by one shell against a real daemon, with a few simulated images at hand. */

#include <string.h>

#include "buf.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "mem.h"
#include "program.h"
#include "story.h"

static char *readme;
static size_t readme_length;

/* Appends the marked blocks to the script; how many there were. */
static size_t collect_blocks(struct den_buf *script)
{
    static const char mark[] = "<!-- tested -->\n```sh\n";
    size_t blocks = 0;
    for (const char *at = readme; (at = strstr(at, mark)) != NULL; blocks++) {
        at += strlen(mark);
        const char *end = strstr(at, "```");
        ck_assert_ptr_nonnull(end);
        den_buf_add(script, at, (size_t)(end - at));
        at = end;
    }
    return blocks;
}

START_TEST(the_commands_of_the_readme_work)
{
    struct den_err err = DEN_ERR_INIT;
    struct daemon d;
    char folder[64], path[160];
    must(den_fs_read("README.md", 1 << 20, &readme, &readme_length, &err));
    daemon_start(&d, NULL);
    folder_make(folder);
    scene_write(folder, 1, 128, 2);
    scene_write(folder, 2, 128, 2);
    char *build = realpath(built("denoise", path, sizeof path), NULL);
    ck_assert_ptr_nonnull(build);
    *strrchr(build, '/') = '\0';
    struct den_buf script;
    den_buf_init(&script, 1 << 20);
    den_buf_printf(&script,
                   "set -eu\ncd '%s'\nPATH='%s':$PATH\nSERVER='%s'\n"
                   "mv noisy1_0.tif noisy1.tif; mv noisy2_0.tif noisy2.tif\n"
                   "mv noisy2_1.tif new.tif\n",
                   folder, build, d.url);
    ck_assert_uint_ge(collect_blocks(&script), 2);
    must(den_buf_ok(&script, &err));
    (void)snprintf(path, sizeof path, "%s/script.sh", folder);
    must(den_fs_write(path, script.data, script.length, &err));
    struct outcome shell =
        run_program(folder, d.url, (const char *const[]){"sh", path, NULL});
    ck_assert_msg(shell.status == 0, "exit %d:\n%s%s", shell.status, shell.out,
                  shell.err);
    (void)snprintf(path, sizeof path, "%s/denoised.tif", folder);
    ck_assert_msg(den_fs_exists(path), "no denoised.tif:\n%s", shell.out);
    outcome_free(&shell);
    free(build);
    den_free(readme);
    den_buf_release(&script);
    daemon_remove(&d);
    folder_remove(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("readme");
    TCase *tc = tcase_create("readme");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, the_commands_of_the_readme_work);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
