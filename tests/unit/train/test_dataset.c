#include <math.h>
#include <string.h>

#include "dataset_help.h"

START_TEST(a_pair_gives_its_clean_image_cropped_and_gain_matched)
{
    struct den_err err = DEN_ERR_INIT;
    char noisy[PATH], clean[PATH];
    write_tiff("noisy.tif", 6, 5, 1, 10, 2);
    write_tiff("clean.tif", 6, 5, 1, 0, 1);
    struct den_source source = {
        "one", path_of("noisy.tif", noisy), 0, path_of("clean.tif", clean), 0, NULL};
    struct den_dataset *set = NULL;
    must(open_set(DEN_PAIRS, &source, 1, 1 << 20, &set, &err));
    const struct den_sample *sample = den_dataset_at(set, 0);
    ck_assert_str_eq(sample->name, "one");
    ck_assert_uint_eq(sample->width, 6);
    ck_assert_uint_eq(sample->height, 5);
    close_to((double)sample->noisy[29], 10 + 2 * 29, 0);
    float crop[6];
    den_dataset_target(set, 0, 1, 2, 3, 2, false, crop); /* x 1..3, y 2..3 */
    static const float want[6] = {13, 14, 15, 19, 20, 21};
    ck_assert_mem_eq(crop, want, sizeof want);
    den_dataset_target(set, 0, 1, 2, 3, 2, true, crop); /* noisy = 2 clean + 10 */
    for (size_t i = 0; i < 6; i++)
        close_to((double)crop[i], 10 + 2 * (double)want[i], 1e-6);
    den_dataset_free(set);
}
END_TEST

START_TEST(a_pair_that_has_nothing_in_common_is_not_turned_upside_down)
{
    struct den_err err = DEN_ERR_INIT;
    char noisy[PATH], clean[PATH];
    write_tiff("noisy.tif", 4, 4, 1, 100, -1);
    write_tiff("clean.tif", 4, 4, 1, 0, 1);
    struct den_source source = {
        "one", path_of("noisy.tif", noisy), 0, path_of("clean.tif", clean), 0, NULL};
    struct den_dataset *set = NULL;
    must(open_set(DEN_PAIRS, &source, 1, 1 << 20, &set, &err));
    float target[16];
    den_dataset_target(set, 0, 0, 0, 4, 4, true, target);
    close_to((double)target[15], 15, 0);
    den_dataset_free(set);
}
END_TEST

START_TEST(frames_that_share_a_clean_page_share_its_memory)
{
    struct den_err err = DEN_ERR_INIT;
    char noisy[PATH], clean[PATH];
    write_tiff("noisy.tif", 8, 8, 3, 10, 2);
    write_tiff("clean.tif", 8, 8, 2, 0, 1);
    path_of("noisy.tif", noisy);
    path_of("clean.tif", clean);
    struct den_source sources[] = {{"a", noisy, 0, clean, 1, NULL},
                                   {"b", noisy, 1, clean, 0, NULL},
                                   {"c", noisy, 2, clean, 1, NULL}};
    struct den_dataset *set = NULL;
    size_t plane = 8 * 8 * sizeof(float);
    must_fail(open_set(DEN_PAIRS, sources, 3, 5 * plane - 1, &set, &err), DEN_E_TOO_LARGE,
              "more than 1279 bytes");
    must(open_set(DEN_PAIRS, sources, 3, 5 * plane, &set, &err)); /* 3 noisy, 2 clean */
    float pixel;
    static const float want[3] = {1, 0, 1};
    for (size_t i = 0; i < 3; i++) {
        den_dataset_target(set, i, 0, 0, 1, 1, false, &pixel);
        close_to((double)pixel, (double)want[i], 0);
        close_to((double)den_dataset_at(set, i)->noisy[0], 10.0 + (double)i, 0);
    }
    den_dataset_free(set);
}
END_TEST

START_TEST(the_target_of_a_repeat_is_the_mean_of_the_other_frames)
{
    struct den_err err = DEN_ERR_INIT;
    char stack[PATH], other[PATH];
    write_tiff("stack.tif", 5, 4, 3, 10, 1); /* frames 10, 11, 12 + ramp */
    write_tiff("other.tif", 3, 3, 2, 50, 0); /* a second scene of another size */
    path_of("stack.tif", stack);
    path_of("other.tif", other);
    struct den_source sources[] = {{"f0", stack, 0, NULL, 0, "s"},
                                   {"g0", other, 0, NULL, 0, "t"},
                                   {"f1", stack, 1, NULL, 0, "s"},
                                   {"f2", stack, 2, NULL, 0, "s"},
                                   {"g1", other, 1, NULL, 0, "t"}};
    static const double want[5] = {11.5, 51, 11, 10.5, 50};
    struct den_dataset *set = NULL;
    must(open_set(DEN_REPEATS, sources, 5, 1 << 20, &set, &err));
    ck_assert_uint_eq(den_dataset_scenes(set), 2);
    for (size_t i = 0; i < 5; i++)
        for (int match = 0; match < 2; match++) {
            float target[2];
            den_dataset_target(set, i, 0, 1, 2, 1, match == 1, target);
            double ramp = i == 1 || i == 4 ? 0 : 5; /* row 1 */
            close_to((double)target[0], want[i] + ramp, 1e-6);
        }
    den_dataset_free(set);
}
END_TEST

START_TEST(repeats_that_name_no_scene_are_of_one_scene)
{
    struct den_err err = DEN_ERR_INIT;
    char stack[PATH];
    write_tiff("stack.tif", 4, 4, 2, 10, 1);
    path_of("stack.tif", stack);
    struct den_source sources[] = {{"f0", stack, 0, NULL, 0, NULL},
                                   {"f1", stack, 1, NULL, 0, NULL}};
    struct den_dataset *set = NULL;
    must(open_set(DEN_REPEATS, sources, 2, 1 << 20, &set, &err));
    ck_assert_uint_eq(den_dataset_scenes(set), 1);
    den_dataset_free(set);
}
END_TEST

/* ---- errors ---------------------------------------------------------------------- */

enum fault { SIZES, NO_CLEAN, NO_PAGE, LONE, ALIEN, NAN_PIXEL, MISSING, ODD_REPEAT };
static const struct {
    enum fault fault;
    enum den_dataset_kind kind;
    size_t count;
    enum den_code code;
    const char *words;
} faults[] = {
    {SIZES, DEN_PAIRS, 2, DEN_E_UNPROCESSABLE,
     "second: the noisy image is 8 x 6 pixels, its clean one 6 x 8"},
    {NO_CLEAN, DEN_PAIRS, 2, DEN_E_UNPROCESSABLE, "second has no clean image"},
    {NO_PAGE, DEN_PAIRS, 2, DEN_E_UNPROCESSABLE,
     "second: there is no page 8, the last one is 1"},
    {LONE, DEN_REPEATS, 1, DEN_E_UNPROCESSABLE, "at least two"},
    {ALIEN, DEN_PAIRS, 2, DEN_E_UNSUPPORTED, "second: "},
    {NAN_PIXEL, DEN_PAIRS, 2, DEN_E_UNPROCESSABLE, "second: "},
    {MISSING, DEN_PAIRS, 2, DEN_E_NOT_FOUND, "second: "},
    {ODD_REPEAT, DEN_REPEATS, 2, DEN_E_UNPROCESSABLE,
     "second is 6 x 8 pixels, but first of the same scene 8 x 6"},
};

static void spoil(enum fault fault, struct den_source *second, char *path)
{
    struct den_err err = DEN_ERR_INIT;
    if (fault == SIZES || fault == ODD_REPEAT)
        write_tiff("bad.tif", 6, 8, 1, 0, 1);
    if (fault == NAN_PIXEL)
        write_tiff("bad.tif", 8, 6, 1, (float)NAN, 1);
    path_of("bad.tif", path);
    if (fault == ALIEN)
        must(den_fs_write(path, "GIF89a", 6, &err));
    if (fault == NO_CLEAN)
        second->clean_path = NULL;
    else if (fault == NO_PAGE)
        second->noisy_page = 7;
    else if (fault == SIZES)
        second->clean_path = path;
    else
        second->noisy_path = path;
}

START_TEST(what_is_wrong_with_an_image_is_told_with_its_name_and_leaks_nothing)
{
    struct den_err err = DEN_ERR_INIT;
    char good[PATH], bad[PATH];
    write_tiff("good.tif", 8, 6, 1, 0, 1);
    path_of("good.tif", good);
    struct den_source sources[] = {{"first", good, 0, good, 0, NULL},
                                   {"second", good, 0, good, 0, NULL}};
    spoil(faults[_i].fault, &sources[1], bad);
    struct den_dataset *set = NULL;
    size_t live = den_mem_live();
    must_fail(open_set(faults[_i].kind, sources, faults[_i].count, 1 << 20, &set, &err),
              faults[_i].code, faults[_i].words);
    ck_assert_ptr_null(set);
    ck_assert_uint_eq(den_mem_live(), live);
}
END_TEST

START_TEST(no_images_at_all_are_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset *set = NULL;
    must_fail(open_set(DEN_PAIRS, NULL, 0, 1 << 20, &set, &err), DEN_E_UNPROCESSABLE,
              "no training images");
}
END_TEST

START_TEST(every_failing_allocation_is_an_error_and_leaks_nothing)
{
    struct den_err err = DEN_ERR_INIT;
    char stack[PATH];
    write_tiff("stack.tif", 4, 4, 2, 10, 1);
    path_of("stack.tif", stack);
    struct den_source sources[] = {{"f0", stack, 0, stack, 1, "s"},
                                   {"f1", stack, 1, stack, 1, "s"}};
    size_t live = den_mem_live();
    for (int kind = DEN_PAIRS; kind <= DEN_REPEATS; kind++) {
        bool done = false;
        for (size_t n = 1; !done && n < 200; n++) {
            struct den_dataset *set = NULL;
            den_mem_fail_at(n);
            err = DEN_ERR_INIT;
            done = open_set((enum den_dataset_kind)kind, sources, 2, 1 << 20, &set, &err);
            den_mem_fail_at(0);
            ck_assert(done || err.code == DEN_E_NO_MEMORY);
            ck_assert(done == (set != NULL));
            den_dataset_free(set);
            ck_assert_uint_eq(den_mem_live(), live);
        }
        ck_assert(done);
    }
}
END_TEST

/* ---- split ----------------------------------------------------------------------- */

static const struct {
    size_t scenes;
    double fraction;
    size_t valid; /* images expected in validation */
} splits[] = {
    {0, 0, 0},     {0, 0.125, 2},               /* round(1.5) of 12 */
    {0, 0.01, 1},  {0, 0.9, 11},  {1, 0.25, 3}, /* one scene: by image */
    {3, 0.125, 4}, {3, 0.5, 8}, /* round(0.375) = 0 becomes 1, round(1.5) = 2 scenes */
    {4, 0.25, 3},  {12, 0.5, 6},
};

START_TEST(validation_gets_whole_scenes_and_training_the_rest)
{
    struct den_dataset *set = frames_of(splits[_i].scenes);
    size_t train[FRAMES], valid[FRAMES], trains, valids, seen[FRAMES] = {0};
    den_dataset_split(set, splits[_i].fraction, 7, train, &trains, valid, &valids);
    ck_assert_uint_eq(valids, splits[_i].valid);
    ck_assert_uint_eq(trains, FRAMES - valids);
    for (size_t i = 0; i < trains; i++)
        seen[train[i]]++;
    for (size_t i = 0; i < valids; i++)
        seen[valid[i]]++;
    for (size_t i = 0; i < FRAMES; i++)
        ck_assert_uint_eq(seen[i], 1);
    for (size_t i = 0; splits[_i].scenes > 1 && i < trains; i++)
        for (size_t j = 0; j < valids; j++)
            ck_assert_uint_ne(den_dataset_at(set, train[i])->scene,
                              den_dataset_at(set, valid[j])->scene);
    den_dataset_free(set);
}
END_TEST

START_TEST(the_split_depends_on_the_seed_alone)
{
    struct den_dataset *set = frames_of(0);
    size_t train[FRAMES], valid[FRAMES], again[FRAMES], n, m;
    size_t distinct = 0;
    den_dataset_split(set, 0.25, 1, train, &n, again, &m);
    for (uint64_t seed = 1; seed < 10; seed++) {
        den_dataset_split(set, 0.25, seed, train, &n, valid, &m);
        distinct += memcmp(valid, again, m * sizeof *valid) != 0;
    }
    ck_assert_uint_ge(distinct, 6); /* one in 220 draws is the same */
    den_dataset_split(set, 0.25, 1, train, &n, valid, &m);
    ck_assert_mem_eq(valid, again, m * sizeof *valid);
    den_dataset_free(set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dataset");
    TCase *t = tcase_create("open");
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_add_test(t, a_pair_gives_its_clean_image_cropped_and_gain_matched);
    tcase_add_test(t, a_pair_that_has_nothing_in_common_is_not_turned_upside_down);
    tcase_add_test(t, frames_that_share_a_clean_page_share_its_memory);
    tcase_add_test(t, the_target_of_a_repeat_is_the_mean_of_the_other_frames);
    tcase_add_test(t, repeats_that_name_no_scene_are_of_one_scene);
    tcase_add_loop_test(
        t, what_is_wrong_with_an_image_is_told_with_its_name_and_leaks_nothing, 0,
        (int)(sizeof faults / sizeof faults[0]));
    tcase_add_test(t, no_images_at_all_are_refused);
    tcase_add_test(t, every_failing_allocation_is_an_error_and_leaks_nothing);
    tcase_add_loop_test(t, validation_gets_whole_scenes_and_training_the_rest, 0,
                        (int)(sizeof splits / sizeof splits[0]));
    tcase_add_test(t, the_split_depends_on_the_seed_alone);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
