#include <math.h>
#include <string.h>

#include "dataset.h"
#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "patch.h"
#include "str.h"

enum { PATH = 96 };

static char folder[32];

static void make_folder(void)
{
    ck_assert(den_str_copy(folder, sizeof folder, "/tmp/den_dataset_XXXXXX"));
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(folder, &err));
}

static const char *path_of(const char *name, char *to)
{
    ck_assert(den_str_format(to, PATH, "%s/%s", folder, name));
    return to;
}

/* Page p, pixel i of the file `name` holds base + p + a ramp of step * i. */
static void write_tiff(const char *name, uint32_t w, uint32_t h, uint32_t pages,
                       float base, float step)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    size_t plane = (size_t)w * h;
    struct den_image image = {{.format = "tiff",
                               .width = w,
                               .height = h,
                               .pages = pages,
                               .channels = 1,
                               .dtype = DEN_F32},
                              NULL};
    image.pixels = den_calloc(plane * pages, sizeof(float));
    for (size_t i = 0; i < plane * pages; i++)
        image.pixels[i] = base + (float)(i / plane) + step * (float)(i % plane);
    must(den_image_save(path_of(name, path), &image, &err));
    den_image_release(&image);
}

static bool open_set(enum den_dataset_kind kind, const struct den_source *sources,
                     size_t count, size_t max_bytes, struct den_dataset **ret,
                     struct den_err *err)
{
    struct den_image_limits limits = den_image_limits_default();
    return den_dataset_open(kind, sources, count, &limits, max_bytes, ret, err);
}

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

enum { FRAMES = 12 };

/* FRAMES frames in `scenes` scenes, frame i in scene i % scenes; 0 = each its own. */
static struct den_dataset *frames_of(size_t scenes)
{
    struct den_err err = DEN_ERR_INIT;
    static char path[PATH], names[FRAMES][8];
    write_tiff("flat.tif", 4, 4, 1, 3, 1);
    path_of("flat.tif", path);
    struct den_source sources[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        den_str_format(names[i], sizeof names[i], "s%zu", scenes > 0 ? i % scenes : 0);
        sources[i] =
            (struct den_source){"f", path, 0, path, 0, scenes > 0 ? names[i] : NULL};
    }
    struct den_dataset *set = NULL;
    must(open_set(DEN_PAIRS, sources, FRAMES, 1 << 20, &set, &err));
    return set;
}

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

/* ---- patches --------------------------------------------------------------------- */

START_TEST(four_quarter_turns_and_two_flips_change_nothing)
{
    float patch[25], before[25];
    for (size_t side = 1; side <= 5; side++) {
        for (size_t i = 0; i < side * side; i++)
            before[i] = patch[i] = (float)i;
        for (int k = 0; k < 4; k++) {
            den_patch_turn(patch, side);
            if (side > 1)
                ck_assert((memcmp(patch, before, side * side * sizeof *patch) == 0) ==
                          (k == 3));
        }
        den_patch_flip(patch, side);
        ck_assert(side == 1 || patch[0] == before[side - 1]);
        den_patch_flip(patch, side);
        ck_assert_mem_eq(patch, before, side * side * sizeof *patch);
    }
    float square[4] = {1, 2, 3, 4};
    static const float turned[4] = {2, 4, 1, 3};
    den_patch_turn(square, 2);
    ck_assert_mem_eq(square, turned, sizeof turned);
}
END_TEST

static struct den_patches plan(const struct den_dataset *set, const size_t *images,
                               size_t count, size_t *order)
{
    return (struct den_patches){
        set, images, count, 5, 2, true, false, 3, {"mean_std", 3, 2}, order, false};
}

START_TEST(every_epoch_shows_each_image_once_in_a_new_order)
{
    static const size_t images[7] = {0};
    size_t order[7], first[7];
    struct den_patches patches = plan(NULL, images, 7, order);
    size_t epoch = SIZE_MAX, moved = 0;
    for (size_t e = 0; e < 5; e++) {
        size_t seen[7] = {0};
        for (size_t i = 0; i < 7; i++) {
            size_t image = den_patches_pick(&patches, e * 7 + i, &epoch);
            seen[image]++;
            if (e == 0)
                first[i] = image;
            moved += first[i] != image;
        }
        for (size_t i = 0; i < 7; i++)
            ck_assert_uint_eq(seen[i], 1);
    }
    ck_assert_uint_gt(moved, 7);
}
END_TEST

START_TEST(a_batch_is_normalised_and_turns_both_images_alike)
{
    struct den_dataset *set = frames_of(0); /* noisy equals clean: 3 + ramp on 4 x 4 */
    size_t images[FRAMES], order[FRAMES];
    for (size_t i = 0; i < FRAMES; i++)
        images[i] = i;
    struct den_patches patches = plan(set, images, FRAMES, order);
    float noisy[20], clean[20], again[20];
    bool seen[8] = {false};
    size_t corners = 0, ways = 0;
    for (size_t step = 0; step < 40; step++) {
        den_patches_fill(&patches, step, noisy, clean);
        ck_assert_mem_eq(noisy, clean, sizeof noisy);
        for (size_t slot = 0; slot < 5; slot++) {
            const float *p = noisy + 4 * slot;
            float low = p[0];
            size_t at = 0;
            for (size_t i = 1; i < 4; i++)
                if (p[i] < low)
                    low = p[at = i];
            /* (3 + 4 y + x - 3) / 2: the lowest pixel says where the crop lies. */
            corners |= (size_t)1 << (size_t)(2 * low);
            size_t way = 2 * at + (p[at ^ 1] - low > 1); /* one of 8 orientations */
            ways += !seen[way];
            seen[way] = true;
        }
    }
    ck_assert_uint_eq(ways, 8);
    ck_assert_uint_eq(corners, 0x777); /* offsets 0..2 in both directions */
    den_patches_fill(&patches, 39, again, clean);
    ck_assert_mem_eq(noisy, again, sizeof noisy);
    den_dataset_free(set);
}
END_TEST

START_TEST(a_batch_may_be_normalised_by_its_own_extremes)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset *set = NULL;
    char noisy_path[PATH], clean_path[PATH];
    write_tiff("noisy.tif", 4, 4, 1, 100, 1);
    write_tiff("clean.tif", 4, 4, 1, 97, 2); /* reaches further on both sides */
    path_of("noisy.tif", noisy_path);
    path_of("clean.tif", clean_path);
    struct den_source sources[FRAMES];
    for (size_t i = 0; i < FRAMES; i++)
        sources[i] = (struct den_source){"f", noisy_path, 0, clean_path, 0, NULL};
    must(open_set(DEN_PAIRS, sources, FRAMES, 1 << 20, &set, &err));
    size_t images[FRAMES], order[FRAMES];
    for (size_t i = 0; i < FRAMES; i++)
        images[i] = i;
    struct den_patches patches = plan(set, images, FRAMES, order);
    float noisy[20], clean[20], grey_noisy[20], grey_clean[20];
    for (size_t step = 0; step < 10; step++) {
        patches.per_batch = false;
        patches.norm = (struct den_norm){"mean_std", 0, 1};
        den_patches_fill(&patches, step, grey_noisy, grey_clean);
        patches.per_batch = true;
        patches.norm = (struct den_norm){"batch_joint", 1e6, 5};
        den_patches_fill(&patches, step, noisy, clean);
        float low = grey_noisy[0], high = grey_noisy[0];
        for (size_t i = 0; i < 20; i++) {
            low = fminf(low, fminf(grey_noisy[i], grey_clean[i]));
            high = fmaxf(high, fmaxf(grey_noisy[i], grey_clean[i]));
        }
        for (size_t i = 0; i < 20; i++) {
            double scale = 2 / ((double)high - (double)low);
            close_to((double)noisy[i], scale * ((double)grey_noisy[i] - (double)low) - 1,
                     1e-6);
            close_to((double)clean[i], scale * ((double)grey_clean[i] - (double)low) - 1,
                     1e-6);
        }
    }
    den_dataset_free(set);
}
END_TEST

START_TEST(without_augmentation_crops_keep_their_orientation)
{
    struct den_dataset *set = frames_of(0);
    size_t images[FRAMES] = {0}, order[FRAMES];
    struct den_patches patches = plan(set, images, FRAMES, order);
    patches.augment = false;
    float noisy[20], clean[20];
    for (size_t step = 0; step < 20; step++) {
        den_patches_fill(&patches, step, noisy, clean);
        for (size_t slot = 0; slot < 5; slot++) {
            close_to((double)(noisy[4 * slot + 1] - noisy[4 * slot]), 0.5, 1e-6);
            close_to((double)(noisy[4 * slot + 2] - noisy[4 * slot]), 2, 1e-6);
        }
    }
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
    t = tcase_create("patches");
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_add_test(t, four_quarter_turns_and_two_flips_change_nothing);
    tcase_add_test(t, every_epoch_shows_each_image_once_in_a_new_order);
    tcase_add_test(t, a_batch_is_normalised_and_turns_both_images_alike);
    tcase_add_test(t, a_batch_may_be_normalised_by_its_own_extremes);
    tcase_add_test(t, without_augmentation_crops_keep_their_orientation);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
