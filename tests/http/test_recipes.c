/* deploy/recipes: an acquisition PC with nothing to install. */

#include <string.h>
#include <sys/stat.h>

#include "den_check.h"
#include "folder.h"
#include "front.h"
#include "fs.h"
#include "mem.h"
#include "program.h"
#include "story.h"
#include "tokens.h"
#include "verify.h"

static struct daemon d;
static char folder[64];
static char recipe[256]; /* absolute */

static void setup(void)
{
    static const char *const args[] = {"--auth", "required", NULL};
    char bearer[BEARER_SIZE];
    char *path = realpath("deploy/recipes/denoise.sh", NULL);
    ck_assert_ptr_nonnull(path);
    (void)snprintf(recipe, sizeof recipe, "%s", path);
    free(path);
    daemon_start(&d, args);
    make_token(&d, "pc", "microscope", "read,submit", bearer);
    ck_assert_int_eq(setenv("SERVER", d.url, 1), 0);
    ck_assert_int_eq(setenv("TOKEN", strstr(bearer, "Bearer ") + 7, 1), 0);
    folder_make(folder);
    scene_write(folder, 1, 64, 2);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(folder);
}

static void rename_in_folder(const char *from, const char *to)
{
    char a[160], b[160];
    (void)snprintf(a, sizeof a, "%s/%s", folder, from);
    (void)snprintf(b, sizeof b, "%s/%s", folder, to);
    ck_assert_int_eq(rename(a, b), 0);
}

static void only_pixels_differ(const char *source, const char *copy)
{
    static const struct den_image_limits none = {0};
    struct den_verdict *v = den_calloc(1, sizeof *v);
    struct den_err err = DEN_ERR_INIT;
    char a[160], b[160];
    (void)snprintf(a, sizeof a, "%s/%s", folder, source);
    (void)snprintf(b, sizeof b, "%s/%s", folder, copy);
    must(den_verify(a, b, &none, v, &err));
    ck_assert_msg(v->differences == 0 && v->values_changed > 0, "%s", copy);
    den_free(v);
}

static const char *const names[][2] = {
    {"cell.ome.tif", "cell_denoised.ome.tif\n"},
    {"a.b.OME.TIFF", "a.b_denoised.OME.TIFF\n"},
    {"day.1/cell", "day.1/cell_denoised\n"},
    {"./day.1/z.3.tif", "./day.1/z.3_denoised.tif\n"},
};

START_TEST(a_result_keeps_the_ending_of_its_image)
{
    char path[160];
    struct den_err err = DEN_ERR_INIT;
    (void)snprintf(path, sizeof path, "%s/day.1", folder);
    must(den_fs_mkdirs(path, 0700, &err));
    rename_in_folder("noisy1_0.tif", names[_i][0]);
    struct outcome o = run_program(
        folder, NULL, (const char *const[]){recipe, "method:median", names[_i][0], NULL});
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, names[_i][1]);
    outcome_free(&o);
}
END_TEST

START_TEST(curl_and_a_shell_denoise_files)
{
    rename_in_folder("noisy1_0.tif", "a cell, gr\xc3\xbcn.tif");
    struct outcome o = run_program(folder, NULL,
                                   (const char *const[]){recipe, "method:median",
                                                         "a cell, gr\xc3\xbcn.tif",
                                                         "noisy1_1.tif", NULL});
    must_end(&o, 0, "");
    ck_assert_str_eq(o.err, "");
    ck_assert_str_eq(o.out, "a cell, gr\xc3\xbcn_denoised.tif\nnoisy1_1_denoised.tif\n");
    only_pixels_differ("a cell, gr\xc3\xbcn.tif", "a cell, gr\xc3\xbcn_denoised.tif");
    only_pixels_differ("noisy1_1.tif", "noisy1_1_denoised.tif");
    outcome_free(&o);
}
END_TEST

static const struct {
    const char *model, *file, *token; /* token NULL: the good one */
    int status;
    const char *words;
} wrong[] = {
    {"cats", "noisy1_0.tif", NULL, 1, "denoise.sh: there is no model 'cats'"},
    {"method:cats", "noisy1_0.tif", NULL, 1, "denoise.sh: "},
    {"method:median", "nowhere.tif", NULL, 1, "nowhere.tif: there is no"},
    {"method:median", "noisy1_0.tif", "den_wrong", 1, "denoise.sh: "},
    {"method:median", "noisy1_0.tif", "", 1, "denoise.sh: "},
    {"method:median", NULL, NULL, 2, "denoise.sh MODEL FILE..."},
};

START_TEST(a_refusal_is_told_and_leaves_no_file)
{
    if (wrong[_i].token != NULL)
        ck_assert_int_eq(setenv("TOKEN", wrong[_i].token, 1), 0);
    struct outcome o =
        run_program(folder, NULL,
                    (const char *const[]){recipe, wrong[_i].model, wrong[_i].file, NULL});
    must_end(&o, wrong[_i].status, wrong[_i].words);
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
    o = run_program(folder, NULL,
                    (const char *const[]){"sh", "-c", "ls | grep -c _denoised", NULL});
    ck_assert_str_eq(first_line(&o), "0");
    outcome_free(&o);
}
END_TEST

/* The script for Windows cannot run here; where PowerShell is, it is at least read. */
START_TEST(powershell_reads_its_script)
{
    static const char parse[] =
        "$e = $null; [void][System.Management.Automation.Language.Parser]::ParseFile("
        "(Resolve-Path deploy/recipes/denoise.ps1), [ref]$null, [ref]$e); "
        "$e | ForEach-Object { $_.Message }; exit @($e).Count";
    if (!program_exists("pwsh")) {
        printf("skipped: %s (no pwsh)\n", __func__);
        return;
    }
    struct outcome o = run_program(
        NULL, NULL, (const char *const[]){"pwsh", "-NoProfile", "-Command", parse, NULL});
    ck_assert_msg(o.status == 0, "%s%s", o.out, o.err);
    outcome_free(&o);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recipes");
    TCase *all = tcase_create("recipes");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_test(all, curl_and_a_shell_denoise_files);
    tcase_add_loop_test(all, a_result_keeps_the_ending_of_its_image, 0,
                        (int)(sizeof names / sizeof names[0]));
    tcase_add_loop_test(all, a_refusal_is_told_and_leaves_no_file, 0,
                        (int)(sizeof wrong / sizeof wrong[0]));
    tcase_add_test(all, powershell_reads_its_script);
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
