#include <math.h>

#include "loss_vectors.h"

START_TEST(dssim_agrees_with_kornia)
{
    check_dssim_vector(1e-5);
}
END_TEST

START_TEST(tv_and_l1_agree_with_pytorch)
{
    check_tv_and_l1_vector(1e-5);
}
END_TEST

/* ---- what holds for every pixel loss ---- */

/* Three images of two channels, numbers of the net from -3 to 7. */
static const struct den_shape shape = {3, 9, 7, 2};
enum { N = 3 * 9 * 7 * 2 };

static void random_images(den_real *x, den_real *y)
{
    struct lcg g = {31};
    lcg_fill_about(&g, x, N, 2, 5);
    lcg_fill_about(&g, y, N, 2, 5);
}

START_TEST(a_loss_means_the_same_in_other_units)
{
    /* v in units with lo = -3, hi = 7 is (v - 2) / 5 in those of the paper; gradients
     * shrink by that factor */
    const struct den_pixel_loss_options here = {-3, 7, 5, false},
                                        paper = {-1, 1, 5, false};
    den_real x[N], y[N], xp[N], yp[N];
    random_images(x, y);
    for (size_t i = 0; i < N; i++) {
        xp[i] = (x[i] - 2) / 5;
        yp[i] = (y[i] - 2) / 5;
    }
    for (size_t k = 0; den_losses[k] != NULL; k++) {
        den_real dx[N] = {0}, dxp[N] = {0};
        double a = loss_value(den_losses[k], shape, x, y, &here, 1, dx);
        double b = loss_value(den_losses[k], shape, xp, yp, &paper, 1, dxp);
        ck_assert_msg(a > 1e-3, "%s is %g", den_losses[k]->name, a);
        close_to(a / b, 1, 1e-5);
        for (size_t i = 0; i < N; i++)
            close_to(5 * (double)dx[i], (double)dxp[i], 1e-5);
    }
}
END_TEST

START_TEST(the_value_is_unweighted_and_the_gradient_weighted_and_added)
{
    const struct den_pixel_loss_options o = {-3, 7, 5, false};
    den_real x[N], y[N];
    random_images(x, y);
    for (size_t k = 0; den_losses[k] != NULL; k++) {
        den_real once[N] = {0}, weighted[N];
        for (size_t i = 0; i < N; i++)
            weighted[i] = 1;
        double a = loss_value(den_losses[k], shape, x, y, &o, 1, once);
        double b = loss_value(den_losses[k], shape, x, y, &o, 8, weighted);
        double c = loss_value(den_losses[k], shape, x, y, &o, 8, NULL);
        close_to(b, a, 0);
        close_to(c, a, 0);
        ck_assert_msg(sumsq_of(once, N) > 0, "%s has no gradient", den_losses[k]->name);
        for (size_t i = 0; i < N; i++)
            close_to((double)weighted[i], 1 + 8 * (double)once[i], 1e-5);
    }
}
END_TEST

START_TEST(a_loss_is_the_mean_over_images)
{
    const struct den_pixel_loss_options o = {-3, 7, 5, false};
    const struct den_shape one = {1, 9, 7, 2};
    den_real x[N], y[N];
    random_images(x, y);
    for (size_t k = 0; den_losses[k] != NULL; k++) {
        double sum = 0;
        for (size_t i = 0; i < 3; i++)
            sum +=
                loss_value(den_losses[k], one, x + i * N / 3, y + i * N / 3, &o, 1, NULL);
        close_to(loss_value(den_losses[k], shape, x, y, &o, 1, NULL) / (sum / 3), 1,
                 1e-9);
    }
}
END_TEST

START_TEST(equal_images_cost_nothing)
{
    const struct den_pixel_loss_options o = {-3, 7, 5, false};
    den_real x[N], y[N];
    random_images(x, y);
    close_to(loss_value(den_loss_find("l1"), shape, x, x, &o, 1, NULL), 0, 0);
    close_to(loss_value(den_loss_find("dssim"), shape, x, x, &o, 1, NULL), 0, 1e-12);
    for (size_t i = 0; i < N; i++)
        y[i] = 3;
    close_to(loss_value(den_loss_find("tv"), shape, y, x, &o, 1, NULL), 0, 0);
}
END_TEST

START_TEST(images_smaller_than_the_window_are_handled)
{
    const struct den_pixel_loss_options reflect = {-1, 1, 11, false},
                                        valid = {-1, 1, 11, true};
    static const struct den_shape shapes[] = {{1, 1, 1, 1}, {1, 2, 3, 1}, {2, 5, 1, 2}};
    struct lcg g = {5};
    den_real x[32], y[32];
    lcg_fill(&g, x, 32, 1);
    lcg_fill(&g, y, 32, 1);
    for (size_t i = 0; i < 3; i++) {
        den_real dx[32] = {0};
        double value =
            loss_value(den_loss_find("dssim"), shapes[i], x, y, &reflect, 1, dx);
        ck_assert(value > 0 && value <= 1);
        ck_assert(isfinite(sumsq_of(dx, 32)));
        close_to(loss_value(den_loss_find("dssim"), shapes[i], x, y, &valid, 1, NULL), 0,
                 0);
    }
}
END_TEST

START_TEST(dssim_is_clamped_to_one)
{
    /* opposite images: SSIM near -1, loss near 1 but never beyond */
    const struct den_pixel_loss_options o = {0, 1, 5, false};
    den_real x[LOSS_N], y[LOSS_N];
    for (size_t i = 0; i < LOSS_N; i++) {
        x[i] = (den_real)(i % 2);
        y[i] = 1 - x[i];
    }
    double value = loss_value(den_loss_find("dssim"), loss_shape, x, y, &o, 1, NULL);
    ck_assert(value > 0.9 && value <= 1);
}
END_TEST

/* ---- GAN ---- */

static const struct {
    const char *mode;
    den_real logit;
    double label, value, slope;
} gan_rows[] = {
    {"vanilla", 0, 1, 0.69314718056, -0.5},
    {"vanilla", 0, 0, 0.69314718056, 0.5},
    {"vanilla", 2, 1, 0.126928011043, -0.119202922022},
    {"vanilla", 2, 0, 2.12692801104, 0.880797077978},
    {"vanilla", 1000, 1, 0, 0},
    {"vanilla", 1000, 0, 1000, 1},
    {"vanilla", -1000, 1, 1000, -1},
    {"lsgan", 2, 1, 1, 2},
    {"lsgan", 2, 0, 4, 4},
    {"lsgan", 1, 1, 0, 0},
};

START_TEST(gan_losses_have_their_textbook_values)
{
    const struct den_gan_mode *mode = den_gan_find(gan_rows[_i].mode);
    den_real logits[2] = {gan_rows[_i].logit, gan_rows[_i].logit}, d[2] = {1, 1};
    close_to(mode->value(2, logits, gan_rows[_i].label, 4, d), gan_rows[_i].value, 1e-7);
    /* added, weight 4, mean over 2 */
    close_to((double)d[0], 1 + 4 * gan_rows[_i].slope / 2, 1e-6);
    close_to((double)d[1], (double)d[0], 0);
}
END_TEST

/* ---- schedule and tables ---- */

static const struct {
    size_t step, constant, decay;
    double factor;
} steps[] = {
    {0, 500, 500, 1},
    {500, 500, 500, 1},
    {501, 500, 500, 500. / 501},
    {750, 500, 500, 251. / 501},
    {999, 500, 500, 2. / 501},
    {1000, 500, 500, 1. / 501},
    {1001, 500, 500, 0},
    {5000, 500, 500, 0},
    {7, 0, 0, 0},
    {0, 0, 0, 1},
};

START_TEST(the_learning_rate_decays_linearly_to_zero)
{
    close_to(den_linear_decay(steps[_i].step, steps[_i].constant, steps[_i].decay),
             steps[_i].factor, 1e-15);
}
END_TEST

START_TEST(losses_are_found_by_name)
{
    for (size_t i = 0; den_losses[i] != NULL; i++)
        ck_assert_ptr_eq(den_loss_find(den_losses[i]->name), den_losses[i]);
    for (size_t i = 0; den_gan_modes[i] != NULL; i++)
        ck_assert_ptr_eq(den_gan_find(den_gan_modes[i]->name), den_gan_modes[i]);
    ck_assert_ptr_null(den_loss_find("l3"));
    ck_assert_ptr_null(den_gan_find("wgangp"));
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
    Suite *suite = suite_create("losses");
    TCase *tcase = tcase_create("losses");
    tcase_add_test(tcase, dssim_agrees_with_kornia);
    tcase_add_test(tcase, tv_and_l1_agree_with_pytorch);
    tcase_add_test(tcase, a_loss_means_the_same_in_other_units);
    tcase_add_test(tcase, the_value_is_unweighted_and_the_gradient_weighted_and_added);
    tcase_add_test(tcase, a_loss_is_the_mean_over_images);
    tcase_add_test(tcase, equal_images_cost_nothing);
    tcase_add_test(tcase, images_smaller_than_the_window_are_handled);
    tcase_add_test(tcase, dssim_is_clamped_to_one);
    tcase_add_loop_test(tcase, gan_losses_have_their_textbook_values, 0, ROWS(gan_rows));
    tcase_add_loop_test(tcase, the_learning_rate_decays_linearly_to_zero, 0, ROWS(steps));
    tcase_add_test(tcase, losses_are_found_by_name);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
