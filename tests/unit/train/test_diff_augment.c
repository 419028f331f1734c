#include <math.h>
#include <string.h>

#include "diff_augment.h"
#include "train_help.h"

enum { EDGE = 16, COUNT = EDGE * EDGE * 2, DRAWN = 4000 };

START_TEST(shifts_reach_an_eighth_and_squares_half_of_the_side)
{
    const struct den_diff_augment *policy = den_diff_augments[_i];
    size_t shifted[2][5] = {{0}}, cut = 0, whole = 0;
    for (uint64_t k = 0; k < DRAWN; k++) {
        struct den_diff_draw d = den_diff_augment_draw(policy, 3, k, EDGE);
        ck_assert(d.dy >= -2 && d.dy <= 2 && d.dx >= -2 && d.dx <= 2);
        shifted[0][d.dy + 2]++;
        shifted[1][d.dx + 2]++;
        ck_assert(d.top <= d.bottom && d.bottom <= EDGE);
        ck_assert(d.left <= d.right && d.right <= EDGE);
        size_t area = (d.bottom - d.top) * (d.right - d.left);
        ck_assert_uint_le(area, EDGE * EDGE / 4);
        cut += area > 0;
        whole += area == EDGE * EDGE / 4;
    }
    for (size_t k = 0; k < 5; k++)
        for (size_t axis = 0; axis < 2; axis++)
            close_to((double)shifted[axis][k] / DRAWN,
                     policy->translation ? 0.2 : (k == 2 ? 1 : 0), 0.03);
    ck_assert_uint_eq(cut, policy->cutout ? DRAWN : 0);
    /* 9 of 17 places on each axis have room for all of it */
    close_to((double)whole / DRAWN, policy->cutout ? 81.0 / 289 : 0, 0.03);
}
END_TEST

START_TEST(pixels_move_together_and_zeros_come_in)
{
    const struct den_diff_draw draw = {2, -1, 4, 6, 3, 5};
    static float from[COUNT], to[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        from[i] = (float)(i + 1);
    den_diff_augment_apply(&draw, EDGE, from, to);
    for (size_t y = 0; y < EDGE; y++)
        for (size_t x = 0; x < EDGE; x++)
            for (size_t c = 0; c < 2; c++) {
                bool zero =
                    y + 2 >= EDGE || x < 1 || (y >= 4 && y < 6 && x >= 3 && x < 5);
                double want = zero ? 0 : (double)(((y + 2) * EDGE + x - 1) * 2 + c + 1);
                close_to((double)to[(y * EDGE + x) * 2 + c], want, 0);
            }
}
END_TEST

START_TEST(the_gradient_goes_back_by_the_adjoint)
{
    static float x[COUNT], y[COUNT], ax[COUNT], aty[COUNT];
    for (uint64_t k = 0; k < 50; k++) {
        struct den_diff_draw d = den_diff_augment_draw(den_diff_augments[_i], 5, k, EDGE);
        double left = 0, right = 0;
        for (size_t i = 0; i < COUNT; i++) {
            x[i] = (float)sin((double)i + (double)k);
            y[i] = (float)cos(1.7 * (double)i);
        }
        den_diff_augment_apply(&d, EDGE, x, ax);
        den_diff_augment_adjoint(&d, EDGE, y, aty);
        for (size_t i = 0; i < COUNT; i++) {
            left += (double)ax[i] * (double)y[i];
            right += (double)x[i] * (double)aty[i];
        }
        close_to(left, right, 1e-6);
    }
}
END_TEST

/* ---- the method ------------------------------------------------------------------ */

static size_t train_as(const char *method, const char *policy, char **ret)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct den_train_config config = tiny(5);
    gan(&config);
    den_str_copy(config.diff_augment, DEN_WORD, policy);
    struct den_train_job job = job_of(config, NULL);
    job.method = method;
    job.hooks.progress.tick = never_stop;
    train(&job);
    struct den_model *model = NULL;
    must(den_model_load(backend(), path_of("last.model", path), &model, &err));
    struct den_param *p = den_params_at(model->params, 0);
    size_t size = p->count * sizeof(float);
    *ret = den_calloc(size, 1);
    memcpy(*ret, p->value, size);
    den_model_free(model);
    return size;
}

START_TEST(mid3a_is_the_gan_with_augmented_pairs)
{
    char *mid3a, *plain, *augmented_gan, *shifts;
    size_t size = train_as("mid3a", "none", &mid3a);
    train_as("cgan", "none", &plain);
    train_as("cgan", "translation-cutout", &augmented_gan);
    train_as("mid3a", "translation", &shifts);
    ck_assert_mem_eq(mid3a, augmented_gan, size);
    ck_assert_mem_ne(mid3a, plain, size);
    ck_assert_mem_ne(mid3a, shifts, size);
    den_free(mid3a);
    den_free(plain);
    den_free(augmented_gan);
    den_free(shifts);
}
END_TEST

static const struct {
    const char *key, *value, *words;
} refused[] = {
    {"lambda_gan", "0", "method mid3a needs lambda_gan above 0"},
    {"lambda_ssim", "0", "method mid3a needs lambda_ssim above 0"},
    {"lambda_tv", "0", "method mid3a needs lambda_tv above 0"},
    {"contrastive", "disc-infonce", "contrastive must be none, not disc-infonce"},
};

START_TEST(mid3a_says_which_terms_it_needs)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = tiny(5);
    struct den_train_result result;
    size_t steps, bytes, plain, live = den_mem_live();
    gan(&config);
    must(den_train_estimate("mid3a", &config, SCENES, SIDE, 1, &steps, &bytes, &err));
    must(den_train_estimate("cgan", &config, SCENES, SIDE, 1, &steps, &plain, &err));
    ck_assert_uint_eq(bytes - plain, 4 * 32 * 32 * 2 * sizeof(float));
    must(den_train_config_set(&config, refused[_i].key, refused[_i].value, &err));
    struct den_train_job job = job_of(config, NULL);
    job.method = "mid3a";
    must_fail(den_train_estimate("mid3a", &config, SCENES, SIDE, 1, &steps, &bytes, &err),
              DEN_E_INVALID, refused[_i].words);
    must_fail(den_train(&job, &result, &err), DEN_E_INVALID, refused[_i].words);
    ck_assert_uint_eq(den_mem_live(), live);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("diff_augment");
    size_t rows = 0;
    while (den_diff_augments[rows] != NULL)
        rows++;
    TCase *t = tcase_create("draws");
    tcase_add_loop_test(t, shifts_reach_an_eighth_and_squares_half_of_the_side, 0,
                        (int)rows);
    tcase_add_test(t, pixels_move_together_and_zeros_come_in);
    tcase_add_loop_test(t, the_gradient_goes_back_by_the_adjoint, 0, (int)rows);
    suite_add_tcase(suite, t);
    t = tcase_create("mid3a");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, mid3a_is_the_gan_with_augmented_pairs);
    tcase_add_loop_test(t, mid3a_says_which_terms_it_needs, 0,
                        (int)(sizeof refused / sizeof refused[0]));
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
