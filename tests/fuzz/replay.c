/* Feeds every file of corpus/<name> to the harness this program is linked with; the
 * program is called <name>.  Without libFuzzer, so that plain `make test` can do it. */

#include <dirent.h>
#include <errno.h>
#include <string.h>

#include "den_check.h"
#include "fs.h"
#include "fuzz.h"
#include "str.h"

enum { FILES_MAX = 512, SEED_MAX = 1 << 20 };

/* The mutators of some harnesses call it; nothing is mutated here. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most)
{
    (void)data, (void)most;
    return size;
}

static char folder[256], names[FILES_MAX][128];
static int files;

START_TEST(former_findings_and_seeds_are_harmless)
{
    char path[512], *data = NULL;
    size_t size = 0;
    struct den_err err = DEN_ERR_INIT;
    ck_assert(den_str_format(path, sizeof path, "%s/%s", folder, names[_i]));
    must(den_fs_read(path, SEED_MAX, &data, &size, &err));
    /* A copy of exactly that size: reading on would be seen by a sanitizer. */
    uint8_t *copy = malloc(size > 0 ? size : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, size);
    den_free(data);
    ck_assert_msg(LLVMFuzzerTestOneInput(copy, size) == 0, "%s", names[_i]);
    free(copy);
}
END_TEST

START_TEST(an_empty_input_is_harmless)
{
    uint8_t nothing[1] = {0};
    ck_assert_int_eq(LLVMFuzzerTestOneInput(nothing, 0), 0);
}
END_TEST

START_TEST(there_is_a_corpus)
{
    ck_assert_msg(files > 0 && files < FILES_MAX, "%d files in %s", files, folder);
}
END_TEST

static void find_files(const char *name)
{
    const char *root = getenv("DENOISED_FUZZ_CORPUS");
    bool fits = den_str_format(folder, sizeof folder, "%s/%s",
                               root != NULL ? root : "tests/fuzz/corpus", name);
    DIR *dir = fits ? opendir(folder) : NULL;
    struct dirent *entry;
    while (dir != NULL && files < FILES_MAX && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.' &&
            den_str_copy(names[files], sizeof names[files], entry->d_name))
            files++;
    if (dir != NULL)
        closedir(dir);
}

int main(void)
{
    find_files(program_invocation_short_name);
    Suite *suite = suite_create(program_invocation_short_name);
    TCase *tests = tcase_create("replay");
    tcase_add_test(tests, there_is_a_corpus);
    tcase_add_test(tests, an_empty_input_is_harmless);
    tcase_add_loop_test(tests, former_findings_and_seeds_are_harmless, 0, files);
    suite_add_tcase(suite, tests);
    return den_check_main(suite);
}
