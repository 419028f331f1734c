#include <math.h>
#include <string.h>

#include "contrast_view.h"
#include "den_check.h"
#include "mem.h"

enum { SIDE = 32, COUNT = SIDE * SIDE * 2 };

/* Channel 0: a tilted plane, on which bilinear interpolation is exact. */
static float plane(double y, double x)
{
    return (float)(x + 3 * y - 20);
}

static void fill_plane(float *to)
{
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++, to += 2) {
            to[0] = plane((double)y, (double)x);
            to[1] = 1 - 2 * to[0];
        }
}

START_TEST(the_whole_image_unflipped_is_itself)
{
    const struct den_contrast_view whole = {false, 0, 0, SIDE, SIDE};
    static float from[COUNT], to[COUNT];
    fill_plane(from);
    den_contrast_view_sample(&whole, SIDE, 2, from, to);
    ck_assert_mem_eq(from, to, sizeof from);
}
END_TEST

static const struct den_contrast_view crops[] = {
    {false, 0, 0, SIDE, SIDE}, {true, 0, 0, SIDE, SIDE}, {false, 3, 5, 17, 11},
    {true, 3, 5, 17, 11},      {false, 31, 31, 1, 1},    {true, 20, 0, 12, 32},
};

START_TEST(corners_of_the_crop_lie_on_corners_of_the_view_in_both_channels)
{
    const struct den_contrast_view *v = &crops[_i];
    static float from[COUNT], to[COUNT];
    fill_plane(from);
    den_contrast_view_sample(v, SIDE, 2, from, to);
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++) {
            double sy = (double)v->y + (double)(y * (v->h - 1)) / (SIDE - 1);
            double sx = (double)v->x + (double)(x * (v->w - 1)) / (SIDE - 1);
            const float *at = to + (y * SIDE + x) * 2;
            close_to((double)at[0], (double)plane(sy, v->flip ? SIDE - 1 - sx : sx),
                     1e-6);
            close_to((double)at[1], 1 - 2 * (double)at[0], 1e-6);
        }
}
END_TEST

START_TEST(draws_have_the_ranges_and_chances_of_the_method)
{
    enum { BATCHES = 1000, N = 8 };
    size_t flips = 0, blurs = 0, whole = 0;
    double area = 0;
    for (uint64_t b = 0; b < BATCHES; b++) {
        blurs += den_contrast_view_blurs(7, b, N);
        for (size_t i = 0; i < N; i++) {
            struct den_contrast_view v = den_contrast_view_draw(7, b, N, i, 100);
            ck_assert(v.w >= 1 && v.h >= 1 && v.x + v.w <= 100 && v.y + v.h <= 100);
            double share = (double)(v.w * v.h) / 1e4, aspect = (double)v.w / (double)v.h;
            ck_assert_msg(share > 0.07, "area %g", share);
            ck_assert_msg(aspect > 0.72 && aspect < 1.39, "aspect %g", aspect);
            flips += v.flip;
            area += share;
            whole += v.x == 0 && v.y == 0 && v.w == 100;
        }
    }
    /* U(0.08, 1), less what is too wide or too high near 1 */
    area /= BATCHES * N;
    printf("flips %.3f blurs %.3f area %.3f\n", (double)flips / (BATCHES * N),
           (double)blurs / BATCHES, area);
    close_to((double)flips / (BATCHES * N), 0.5, 0.02);
    close_to((double)blurs / BATCHES, 0.1, 0.03);
    ck_assert(area > 0.45 && area < 0.54);
    ck_assert_uint_lt(whole, BATCHES * N / 10);
}
END_TEST

static bool same_draw(const struct den_contrast_view *a,
                      const struct den_contrast_view *b)
{
    return a->flip == b->flip && a->x == b->x && a->y == b->y && a->w == b->w &&
           a->h == b->h;
}

START_TEST(a_draw_is_a_function_of_seed_batch_and_place)
{
    struct den_contrast_view v = den_contrast_view_draw(1, 2, 4, 3, 64), other;
    other = den_contrast_view_draw(1, 2, 4, 3, 64);
    ck_assert(same_draw(&v, &other));
    other = den_contrast_view_draw(2, 2, 4, 3, 64);
    ck_assert(!same_draw(&v, &other));
    other = den_contrast_view_draw(1, 3, 4, 3, 64);
    ck_assert(!same_draw(&v, &other));
    other = den_contrast_view_draw(1, 2, 4, 2, 64);
    ck_assert(!same_draw(&v, &other));
}
END_TEST

/* exp(-1 / 4.5) / (1 + 2 exp(-1 / 4.5)) and 1 / (...): what PyTorch's float64 gives. */
#define EDGE 0.30780132912346997
#define MIDDLE 0.38439734175306006

START_TEST(the_blur_is_a_gaussian_with_reflected_border)
{
    static float from[COUNT], to[COUNT];
    memset(from, 0, sizeof from);
    from[(5 * SIDE + 7) * 2] = 1; /* within */
    from[1] = 1;                  /* in the corner, other channel */
    den_contrast_view_blur(DEN_CONTRAST_BLUR, SIDE, 2, from, to);
    close_to((double)to[(5 * SIDE + 7) * 2], MIDDLE * MIDDLE, 1e-7);
    close_to((double)to[(5 * SIDE + 8) * 2], MIDDLE * EDGE, 1e-7);
    close_to((double)to[(4 * SIDE + 6) * 2], EDGE * EDGE, 1e-7);
    close_to((double)to[(5 * SIDE + 9) * 2], 0, 0);
    close_to((double)to[1], MIDDLE * MIDDLE, 1e-7);
    close_to((double)to[3], MIDDLE * EDGE, 1e-7); /* reflection reaches pixel 1 only */
    memset(from, 0, sizeof from);
    from[3] = 1;
    den_contrast_view_blur(DEN_CONTRAST_BLUR, SIDE, 2, from, to);
    close_to((double)to[1], 2 * MIDDLE * EDGE, 1e-7); /* seen from both sides */
    from[3] = 0;
    from[(SIDE * SIDE - 2) * 2] = 1;
    den_contrast_view_blur(DEN_CONTRAST_BLUR, SIDE, 2, from, to);
    close_to((double)to[(SIDE * SIDE - 1) * 2], 2 * MIDDLE * EDGE, 1e-7);
}
END_TEST

START_TEST(a_constant_stays_constant)
{
    static float from[COUNT], to[COUNT];
    for (size_t side = 1; side <= 5; side++) {
        for (size_t i = 0; i < COUNT; i++)
            from[i] = 3;
        den_contrast_view_blur(DEN_CONTRAST_BLUR, side, 2, from, to);
        for (size_t i = 0; i < side * side * 2; i++)
            close_to((double)to[i], 3, 1e-6);
    }
}
END_TEST

START_TEST(a_batch_is_filled_image_by_image_on_any_number_of_threads)
{
    enum { N = 3 };
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must(den_pool_new(2, &pool, &err));
    static float from[N * COUNT], one[N * COUNT], two[N * COUNT], blurred[2 * COUNT];
    for (size_t i = 0; i < N * COUNT; i++)
        from[i] = (float)sin((double)i);
    size_t seen = 0;
    for (uint64_t b = 0; b < 40; b++) {
        bool blurs = den_contrast_view_blurs(3, b, N);
        den_contrast_views_fill(3, b, N, SIDE, from, one, blurred, NULL);
        den_contrast_views_fill(3, b, N, SIDE, from, two, blurred, pool);
        ck_assert_mem_eq(one, two, sizeof one);
        struct den_contrast_view v = den_contrast_view_draw(3, b, N, N - 1, SIDE);
        const float *last = from + (N - 1) * COUNT;
        if (blurs)
            den_contrast_view_blur(DEN_CONTRAST_BLUR, SIDE, 2, last, blurred);
        den_contrast_view_sample(&v, SIDE, 2, blurs ? blurred : last, two);
        ck_assert_mem_eq(two, one + (N - 1) * COUNT, COUNT * sizeof *two);
        seen += blurs;
    }
    ck_assert_uint_gt(seen, 0);
    den_pool_free(pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contrast_view");
    TCase *t = tcase_create("views");
    tcase_add_test(t, the_whole_image_unflipped_is_itself);
    tcase_add_loop_test(t,
                        corners_of_the_crop_lie_on_corners_of_the_view_in_both_channels,
                        0, (int)(sizeof crops / sizeof crops[0]));
    tcase_add_test(t, draws_have_the_ranges_and_chances_of_the_method);
    tcase_add_test(t, a_draw_is_a_function_of_seed_batch_and_place);
    tcase_add_test(t, the_blur_is_a_gaussian_with_reflected_border);
    tcase_add_test(t, a_constant_stays_constant);
    tcase_add_test(t, a_batch_is_filled_image_by_image_on_any_number_of_threads);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
