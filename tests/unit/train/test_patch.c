#include <math.h>
#include <string.h>

#include "dataset_help.h"
#include "patch.h"
#include "rng.h"

/* Crops, their batches, and twins: the same crops of other frames. */

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

/* ---- twins ----------------------------------------------------------------------- */

enum { WIDE = 9, HIGH = 7, SIX = 6, CUT = 4, SLOTS = 5, BATCH = SLOTS * CUT * CUT };

/* Six frames of 9 x 7, frame k = 10 (9 y + x) + k + 3, in as many scenes as there are
 * clean pages; `narrow` is put instead of frame 5, 7 x 9 pixels. */
static struct den_dataset *open_frames(enum den_dataset_kind kind, uint32_t scenes,
                                       bool narrow)
{
    struct den_err err = DEN_ERR_INIT;
    static const char *const words[] = {"a", "b", "c", "d", "e", "f"};
    struct den_dataset *set = NULL;
    struct den_source sources[SIX];
    char noisy[PATH], turned[PATH];
    write_tiff("noisy.tif", WIDE, HIGH, SIX, 3, 10);
    write_tiff("turned.tif", HIGH, WIDE, SIX, 3, 10);
    path_of("noisy.tif", noisy);
    path_of("turned.tif", turned);
    for (uint32_t k = 0; k < SIX; k++) {
        const char *path = narrow && k == 5 ? turned : noisy;
        sources[k] = (struct den_source){"f", path, k, NULL, 0, words[k % scenes]};
        if (kind == DEN_PAIRS) {
            sources[k].clean_path = path;
            sources[k].clean_page = 0;
        }
    }
    must(open_set(kind, sources, SIX, 1 << 20, &set, &err));
    return set;
}

static const size_t six[SIX] = {0, 1, 2, 3, 4, 5};

static struct den_patches grey_plan(const struct den_dataset *set, size_t count,
                                    size_t *order)
{
    return (struct den_patches){
        set, six, count, SLOTS, CUT, true, true, 3, {"mean_std", 0, 1}, order, false};
}

static size_t frame_in(const float *patch)
{
    return (size_t)fmod((double)patch[0], 10) - 3;
}

static const struct {
    enum den_dataset_kind kind;
    uint32_t scenes;
    size_t count; /* of the six that are trained on */
    bool match_gain, narrow;
} twins[] = {
    {DEN_REPEATS, 1, 6, false, false}, {DEN_REPEATS, 1, 2, true, false},
    {DEN_REPEATS, 3, 6, true, false},  {DEN_PAIRS, 1, 6, true, false},
    {DEN_PAIRS, 2, 6, false, false},   {DEN_PAIRS, 2, 4, true, false},
    {DEN_PAIRS, 1, 6, true, true},     {DEN_PAIRS, 3, 6, true, true},
};

static bool may_be_twins(size_t row, size_t a, size_t b)
{
    bool odd = twins[row].narrow && (a == 5 || b == 5);
    return a != b && !odd && a % twins[row].scenes == b % twins[row].scenes;
}

/* seen[a][b]: how often frame b was the twin of a. */
static void count_twins(const struct den_patches *patches, size_t seen[SIX][SIX])
{
    float noisy[BATCH], clean[BATCH], twin[BATCH];
    for (size_t step = 0; step < 300; step++) {
        den_patches_fill_twin(patches, step, noisy, clean, twin);
        for (size_t slot = 0; slot < SLOTS; slot++) {
            const float *n = noisy + slot * CUT * CUT, *t = twin + slot * CUT * CUT;
            size_t a = frame_in(n), b = frame_in(t);
            for (size_t i = 0; i < (size_t)CUT * CUT; i++) /* one window, one turn */
                close_to((double)t[i] - (double)n[i], (double)b - (double)a, 0);
            seen[a][b]++;
        }
    }
}

START_TEST(a_twin_is_another_frame_of_the_scene_in_the_same_window)
{
    struct den_dataset *set =
        open_frames(twins[_i].kind, twins[_i].scenes, twins[_i].narrow);
    size_t order[SIX], seen[SIX][SIX] = {{0}}, count = twins[_i].count;
    struct den_patches patches = grey_plan(set, count, order);
    patches.match_gain = twins[_i].match_gain;
    count_twins(&patches, seen);
    for (size_t a = 0; a < count; a++) {
        size_t choices = 0;
        for (size_t b = 0; b < count; b++)
            choices += may_be_twins((size_t)_i, a, b);
        for (size_t b = 0; b < SIX; b++) {
            bool may = b < count && may_be_twins((size_t)_i, a, b);
            if (choices == 0) /* alone: itself */
                ck_assert_uint_eq(seen[a][b], a == b ? 1500 / count : 0);
            else if (may) /* as often as the others */
                close_to((double)seen[a][b], 1500.0 / (double)(count * choices),
                         4 * sqrt(1500.0 / (double)(count * choices)));
            else
                ck_assert_uint_eq(seen[a][b], 0);
        }
    }
    den_dataset_free(set);
}
END_TEST

/* Sum of the bits of batches 0 to 19. */
static uint64_t sum_of_batches(const struct den_patches *patches, float *twin)
{
    float both[2 * BATCH];
    uint64_t sum = 0;
    for (size_t step = 0; step < 20; step++) {
        if (twin != NULL)
            den_patches_fill_twin(patches, step, both, both + BATCH, twin);
        else
            den_patches_fill(patches, step, both, both + BATCH);
        for (size_t i = 0; i < 2 * (size_t)BATCH; i++) {
            uint32_t bits;
            memcpy(&bits, &both[i], sizeof bits);
            sum = den_hash64(sum, bits);
        }
    }
    return sum;
}

/* Sums of what was made before there were twins: runs of other methods stay as they were
 * to the last bit. */
START_TEST(batches_are_the_same_bits_with_twins_and_without_and_as_ever)
{
    static const uint64_t sums[] = {0xca1ba26475544455, 0x7c6ee6dc100d147f,
                                    0x144d06ec437067a5, 0x53726f06b4762cf6};
    struct den_dataset *set = open_frames(DEN_PAIRS, 2, false);
    size_t order[SIX];
    float twin[BATCH];
    struct den_patches patches = grey_plan(set, SIX, order);
    for (int way = 0; way < 4; way++) {
        patches.augment = (way & 1) != 0;
        patches.per_batch = (way & 2) != 0;
        ck_assert_uint_eq(sum_of_batches(&patches, NULL), sums[way]);
        ck_assert_uint_eq(sum_of_batches(&patches, twin), sums[way]);
    }
    den_dataset_free(set);
}
END_TEST

START_TEST(twins_are_a_function_of_seed_and_step_and_normalised_as_their_batch)
{
    struct den_dataset *set = open_frames(DEN_PAIRS, 1, false);
    size_t order[SIX];
    float noisy[BATCH], clean[BATCH], twin[BATCH], again[BATCH];
    struct den_patches patches = grey_plan(set, SIX, order);
    den_patches_fill_twin(&patches, 7, noisy, clean, again);
    den_patches_fill_twin(&patches, 8, noisy, clean, twin);
    ck_assert_mem_ne(twin, again, sizeof twin);
    den_patches_fill_twin(&patches, 7, noisy, clean, twin);
    ck_assert_mem_eq(twin, again, sizeof twin);
    float small[BATCH];
    patches.per_batch = true;
    den_patches_fill_twin(&patches, 7, small, clean, twin);
    double factor =
        ((double)small[1] - (double)small[0]) / ((double)noisy[1] - (double)noisy[0]);
    for (size_t i = 0; i < BATCH; i++)
        close_to((double)twin[i] - (double)small[i],
                 factor * ((double)again[i] - (double)noisy[i]), 1e-5);
    patches.per_batch = false;
    patches.seed++;
    den_patches_fill_twin(&patches, 7, noisy, clean, twin);
    ck_assert_mem_ne(twin, again, sizeof twin);
    den_dataset_free(set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("patch");
    TCase *t = tcase_create("patches");
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_add_test(t, four_quarter_turns_and_two_flips_change_nothing);
    tcase_add_test(t, every_epoch_shows_each_image_once_in_a_new_order);
    tcase_add_test(t, a_batch_is_normalised_and_turns_both_images_alike);
    tcase_add_test(t, a_batch_may_be_normalised_by_its_own_extremes);
    tcase_add_test(t, without_augmentation_crops_keep_their_orientation);
    tcase_add_loop_test(t, a_twin_is_another_frame_of_the_scene_in_the_same_window, 0,
                        (int)(sizeof twins / sizeof twins[0]));
    tcase_add_test(t, batches_are_the_same_bits_with_twins_and_without_and_as_ever);
    tcase_add_test(t,
                   twins_are_a_function_of_seed_and_step_and_normalised_as_their_batch);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
