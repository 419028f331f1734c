#include "contrastive_vectors.h"

START_TEST(contrastive_losses_agree_with_pytorch)
{
    check_pair_vector(&pair_vectors[_i], 3e-5);
}
END_TEST

/* What cannot be told apart costs the logarithm of how many there are to choose from. */
START_TEST(rows_that_are_all_alike_cost_the_logarithm_of_their_number)
{
    const struct den_pair_loss_options plain = {0.1, false}, unit = {0.1, true};
    den_real q[PAIR_N];
    for (size_t i = 0; i < PAIR_N; i++)
        q[i] = (den_real)(i % PAIR_DIM) - 3;
    for (size_t n = 1; n <= PAIRS_MOST; n++) {
        double keys = log((double)n), all = log((double)(2 * n - 1));
        close_to(pair_value(&den_loss_info_nce, n, q, q, &plain, 1, NULL, NULL), keys,
                 1e-12);
        close_to(pair_value(&den_loss_info_nce, n, q, q, &unit, 1, NULL, NULL), keys,
                 1e-12);
        close_to(pair_value(&den_loss_nt_xent, n, q, q, &plain, 1, NULL, NULL), all,
                 1e-12);
        close_to(pair_value(&den_loss_nt_xent, n, q, q, &unit, 1, NULL, NULL), all,
                 1e-12);
        close_to(pair_value(&den_loss_patch_nce, n, q, q, &unit, 1, NULL, NULL), keys,
                 1e-12);
    }
}
END_TEST

START_TEST(partners_far_from_all_others_cost_nothing)
{
    const struct den_pair_loss_options options = {0.1, true};
    den_real q[PAIR_N] = {0};
    for (size_t i = 0; i < PAIR_DIM; i++)
        q[i * PAIR_DIM + i] = 2; /* orthogonal rows: exp(10) against 1 */
    for (size_t l = 0; den_pair_losses[l] != NULL; l++) {
        double value =
            pair_value(den_pair_losses[l], PAIR_DIM, q, q, &options, 1, NULL, NULL);
        ck_assert_msg(value > 0 && value < 1e-3, "%s is %g", den_pair_losses[l]->name,
                      value);
    }
}
END_TEST

START_TEST(a_length_means_nothing_under_l2norm)
{
    const struct den_pair_loss_options options = {0.1, true};
    struct lcg g = {3};
    den_real q[PAIR_N], k[PAIR_N], longer[PAIR_N];
    lcg_fill(&g, q, PAIR_N, 1);
    lcg_fill(&g, k, PAIR_N, 1);
    for (size_t i = 0; i < PAIR_N; i++) {
        size_t row = i / PAIR_DIM;
        longer[i] = q[i] * 8 * (den_real)(1 + row);
    }
    for (size_t l = 0; den_pair_losses[l] != NULL; l++)
        close_to(
            pair_value(den_pair_losses[l], PAIRS_MOST, q, k, &options, 1, NULL, NULL),
            pair_value(den_pair_losses[l], PAIRS_MOST, longer, k, &options, 1, NULL,
                       NULL),
            1e-5);
}
END_TEST

START_TEST(huge_similarities_and_rows_of_zeros_stay_finite)
{
    struct lcg g = {4};
    den_real q[PAIR_N], k[PAIR_N];
    lcg_fill(&g, q, PAIR_N, 1e6);
    lcg_fill(&g, k, PAIR_N, 1e6);
    memset(q, 0, PAIR_DIM * sizeof *q);
    for (size_t l = 0; den_pair_losses[l] != NULL; l++)
        for (int unit = 0; unit < 2; unit++) {
            const struct den_pair_loss_options options = {0.01, unit == 1};
            den_real dq[PAIR_N] = {0}, dk[PAIR_N] = {0};
            double value =
                pair_value(den_pair_losses[l], PAIRS_MOST, q, k, &options, 1, dq, dk);
            ck_assert_msg(isfinite(value), "%s is %g", den_pair_losses[l]->name, value);
            ck_assert(unit == 1 || isfinite(sumsq_of(dq, PAIR_N)));
            ck_assert(isfinite(sumsq_of(dk, PAIR_N)));
        }
}
END_TEST

START_TEST(the_value_is_unweighted_and_the_gradients_weighted_and_added)
{
    const struct den_pair_loss_options options = {0.5, true};
    struct lcg g = {5};
    den_real q[PAIR_N], k[PAIR_N];
    lcg_fill(&g, q, PAIR_N, 1);
    lcg_fill(&g, k, PAIR_N, 1);
    for (size_t l = 0; den_pair_losses[l] != NULL; l++) {
        const struct den_pair_loss *loss = den_pair_losses[l];
        den_real dq[PAIR_N] = {0}, dk[PAIR_N] = {0}, dq8[PAIR_N], dk8[PAIR_N];
        for (size_t i = 0; i < PAIR_N; i++)
            dq8[i] = dk8[i] = 1;
        double once = pair_value(loss, PAIRS_MOST, q, k, &options, 1, dq, dk);
        close_to(pair_value(loss, PAIRS_MOST, q, k, &options, 8, dq8, dk8), once, 0);
        close_to(pair_value(loss, PAIRS_MOST, q, k, &options, 8, NULL, NULL), once, 0);
        ck_assert(sumsq_of(dq, PAIR_N) > 1e-3);
        for (size_t i = 0; i < PAIR_N; i++) {
            close_to((double)dq8[i], 1 + 8 * (double)dq[i], 1e-6);
            close_to((double)dk8[i], 1 + 8 * (double)dk[i], 1e-6);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss_contrastive");
    TCase *t = tcase_create("losses");
    tcase_add_loop_test(t, contrastive_losses_agree_with_pytorch, 0, PAIR_VECTORS);
    tcase_add_test(t, rows_that_are_all_alike_cost_the_logarithm_of_their_number);
    tcase_add_test(t, partners_far_from_all_others_cost_nothing);
    tcase_add_test(t, a_length_means_nothing_under_l2norm);
    tcase_add_test(t, huge_similarities_and_rows_of_zeros_stay_finite);
    tcase_add_test(t, the_value_is_unweighted_and_the_gradients_weighted_and_added);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
