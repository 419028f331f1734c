/* Files under their hash. */

#include <limits.h>
#include <string.h>

#include "blob.h"
#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "str.h"

static char folder[64];
static struct den_blobs *blobs;

static void setup(void)
{
    struct den_err err = DEN_ERR_INIT;
    den_str_copy(folder, sizeof folder, "/tmp/denoised_blob_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    must(den_blobs_open(folder, &blobs, &err));
}

static void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    den_blobs_close(blobs);
    must(den_fs_remove_tree(folder, &err));
}

/* FIPS 180-4 test vectors. */
static const struct {
    const char *text, *sha256;
} cases[] = {
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
};

static void put(const char *text, const char *sha256, char *ret)
{
    struct den_err err = DEN_ERR_INIT;
    char temporary[PATH_MAX];
    uint64_t bytes = 99;
    den_blobs_temporary(blobs, temporary, sizeof temporary);
    must(den_fs_write(temporary, text, strlen(text), &err));
    must(den_blobs_take(blobs, temporary, sha256, ret, &bytes, &err));
    ck_assert_uint_eq(bytes, strlen(text));
    ck_assert(!den_fs_exists(temporary));
}

static void expect(const char *sha256, const char *text)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH_MAX], *data = NULL;
    size_t length = 0;
    den_blobs_path(blobs, sha256, path, sizeof path);
    must(den_fs_read(path, 1000, &data, &length, &err));
    ck_assert_str_eq(data, text);
    den_free(data);
}

START_TEST(a_file_is_found_under_its_sha256)
{
    char sha256[DEN_SHA256_SIZE];
    put(cases[_i].text, NULL, sha256);
    ck_assert_str_eq(sha256, cases[_i].sha256);
    expect(sha256, cases[_i].text);
    put(cases[_i].text, NULL, sha256); /* again: the same file */
    expect(sha256, cases[_i].text);
    put(cases[_i].text, cases[_i].sha256, sha256);
    ck_assert_str_eq(sha256, cases[_i].sha256);
}
END_TEST

START_TEST(a_hash_that_is_none_is_refused_and_the_file_is_gone)
{
    static const char *const bad[] = {
        "", "../../../etc/passwd",
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"};
    struct den_err err = DEN_ERR_INIT;
    char temporary[PATH_MAX], sha256[DEN_SHA256_SIZE];
    uint64_t bytes;
    den_blobs_temporary(blobs, temporary, sizeof temporary);
    must(den_fs_write(temporary, "x", 1, &err));
    must_fail(den_blobs_take(blobs, temporary, bad[_i], sha256, &bytes, &err),
              DEN_E_INTERNAL, "SHA-256");
    ck_assert(!den_fs_exists(temporary));
    must_fail(den_blobs_remove(blobs, bad[_i], &err), DEN_E_INTERNAL, "SHA-256");
}
END_TEST

START_TEST(a_missing_temporary_file_is_an_error)
{
    struct den_err err = DEN_ERR_INIT;
    char temporary[PATH_MAX], sha256[DEN_SHA256_SIZE];
    uint64_t bytes;
    den_blobs_temporary(blobs, temporary, sizeof temporary);
    must_fail(den_blobs_take(blobs, temporary, NULL, sha256, &bytes, &err),
              DEN_E_NOT_FOUND, "cannot be opened");
}
END_TEST

static bool count_one(void *context, const char *sha256, struct den_err *err)
{
    ++*(int *)context;
    return den_blobs_remove(blobs, sha256, err);
}

START_TEST(each_visits_every_blob_and_remove_removes_it)
{
    struct den_err err = DEN_ERR_INIT;
    char sha256[DEN_SHA256_SIZE];
    int count = 0;
    put("one", NULL, sha256);
    put("two", NULL, sha256);
    must(den_blobs_each(blobs, count_one, &count, &err));
    ck_assert_int_eq(count, 2);
    must(den_blobs_each(blobs, count_one, &count, &err));
    ck_assert_int_eq(count, 2);
    must(den_blobs_remove(blobs, sha256, &err)); /* again: no error */
}
END_TEST

START_TEST(opening_again_keeps_blobs_and_drops_temporary_files)
{
    struct den_err err = DEN_ERR_INIT;
    char sha256[DEN_SHA256_SIZE], temporary[PATH_MAX];
    put("kept", NULL, sha256);
    den_blobs_temporary(blobs, temporary, sizeof temporary);
    must(den_fs_write(temporary, "x", 1, &err));
    den_blobs_close(blobs);
    must(den_blobs_open(folder, &blobs, &err));
    expect(sha256, "kept");
    ck_assert(!den_fs_exists(temporary));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("blob");
    TCase *tcase = tcase_create("blob");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_file_is_found_under_its_sha256, 0, 2);
    tcase_add_loop_test(tcase, a_hash_that_is_none_is_refused_and_the_file_is_gone, 0, 3);
    tcase_add_test(tcase, a_missing_temporary_file_is_an_error);
    tcase_add_test(tcase, each_visits_every_blob_and_remove_removes_it);
    tcase_add_test(tcase, opening_again_keeps_blobs_and_drops_temporary_files);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
