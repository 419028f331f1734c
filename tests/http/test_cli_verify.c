/* `denoise verify` as people and scripts use it; no server is asked. */
#include <string.h>

#include "client.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "program.h"
#include "scene.h"

static char files[64];

static void setup(void)
{
    struct den_err err = DEN_ERR_INIT;
    char from[128], to[128], *data = NULL;
    size_t length;
    folder_make(files);
    scene_write(files, 1, 32, 1);
    (void)snprintf(from, sizeof from, "%s/clean1.tif", files);
    (void)snprintf(to, sizeof to, "%s/cut.tif", files);
    must(den_fs_read(from, 1 << 20, &data, &length, &err));
    must(den_fs_write(to, data, length / 2, &err));
    den_free(data);
}

static void teardown(void)
{
    folder_remove(files);
}

START_TEST(exit_status_and_words_tell_what_differs)
{
    static const struct {
        const char *source, *copy;
        int status;
        const char *out, *err;
    } cases[] = {
        {"clean1.tif", "clean1.tif", 0, "everything else is the same", ""},
        /* Written by the same program: other pixels, the same tags. */
        {"clean1.tif", "noisy1_0.tif", 0, "of 1024 values changed, on 1 of 1 pages", ""},
        {"clean1.tif", "cut.tif", 1, "the copy cannot be decoded", "more than pixels"},
        {"cut.tif", "clean1.tif", 2, "", "cut.tif: "},
        {"clean1.tif", "no.tif", 2, "", "no.tif: "},
        {"no.tif", "clean1.tif", 2, "", "no.tif: "},
        {"clean1.tif", NULL, 2, "", "too few arguments"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = DENOISE(files, NULL, "verify", cases[i].source, cases[i].copy);
        must_end(&o, cases[i].status, cases[i].err);
        ck_assert_msg(strstr(o.out, cases[i].out) != NULL, "'%s' lacks '%s'", o.out,
                      cases[i].out);
        outcome_free(&o);
    }
}
END_TEST

START_TEST(json_holds_every_difference)
{
    struct outcome o =
        DENOISE(files, NULL, "verify", "--json", "clean1.tif", "noisy1_0.tif");
    must_end(&o, 0, "");
    json_t *answer = json_loads(o.out, 0, NULL);
    ck_assert(json_is_true(at(answer, "same")));
    close_to(number_at(answer, "width"), 32, 0);
    close_to(number_at(answer, "changed.values_compared"), 1024, 0);
    ck_assert(number_at(answer, "changed.largest") > 0);
    ck_assert_uint_eq(json_array_size(at(answer, "differences")), 0);
    json_decref(answer);
    outcome_free(&o);
    o = DENOISE(files, NULL, "verify", "--json", "clean1.tif", "cut.tif");
    must_end(&o, 1, "more than pixels");
    answer = json_loads(o.out, 0, NULL);
    ck_assert(json_is_false(at(answer, "same")));
    close_to(number_at(answer, "difference_count"),
             (double)json_array_size(at(answer, "differences")), 0);
    ck_assert(strlen(text_at(answer, "differences.0.how")) > 0);
    json_decref(answer);
    outcome_free(&o);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_verify");
    TCase *tc = tcase_create("verify");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, exit_status_and_words_tell_what_differs);
    tcase_add_test(tc, json_holds_every_difference);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
