#include "contrastive_vectors.h"

/* The contrastive losses in double: against values from elsewhere, and every derivative
 * against central differences. */

START_TEST(contrastive_losses_agree_with_pytorch_to_ten_digits)
{
    check_pair_vector(&pair_vectors[_i], 1e-10);
}
END_TEST

static const struct {
    size_t n;
    double tau, scale, weight;
    bool l2norm;
} cases[] = {
    {1, 0.1, 1, 1, false},  {2, 0.1, 1, 3, true},   {7, 0.1, 1, 1, false},
    {7, 0.1, 1, 0.5, true}, {7, 1, 0.01, 1, false}, {16, 0.07, 2, 1, true},
    {16, 5, 4, 2, false},
};

static double value_at(size_t row, const struct den_pair_loss *loss, const den_real *q,
                       const den_real *k)
{
    const struct den_pair_loss_options options = {cases[row].tau, cases[row].l2norm};
    return cases[row].weight *
           pair_value(loss, cases[row].n, q, k, &options, 1, NULL, NULL);
}

/* Numbers of q when `moved` is q, of k when it is k. */
static void check_slopes(size_t row, const struct den_pair_loss *loss, const den_real *q,
                         const den_real *k, den_real *moved, const den_real *gradient)
{
    const double step = 1e-5;
    double scale = 1e-3;
    for (size_t i = 0; i < cases[row].n * PAIR_DIM; i++)
        scale = fmax(scale, fabs((double)gradient[i]));
    for (size_t i = 0; i < cases[row].n * PAIR_DIM; i++) {
        den_real old = moved[i];
        moved[i] = old + (den_real)step;
        double above = value_at(row, loss, q, k);
        moved[i] = old - (den_real)step;
        double below = value_at(row, loss, q, k);
        moved[i] = old;
        double slope = (above - below) / (2 * step);
        ck_assert_msg(fabs(slope - (double)gradient[i]) <= 1e-6 * scale,
                      "%s[%zu]: %.12g, by differences %.12g", loss->name, i,
                      (double)gradient[i], slope);
    }
}

START_TEST(contrastive_losses_have_the_right_derivatives)
{
    struct lcg g = {77};
    size_t n = cases[_i].n, count = n * PAIR_DIM;
    const struct den_pair_loss_options options = {cases[_i].tau, cases[_i].l2norm};
    den_real q[PAIR_N], k[PAIR_N];
    lcg_fill(&g, q, count, cases[_i].scale);
    lcg_fill(&g, k, count, cases[_i].scale);
    for (size_t l = 0; den_pair_losses[l] != NULL; l++) {
        const struct den_pair_loss *loss = den_pair_losses[l];
        den_real dq[PAIR_N] = {0}, dk[PAIR_N] = {0};
        pair_value(loss, n, q, k, &options, cases[_i].weight, dq, dk);
        check_slopes((size_t)_i, loss, q, k, q, dq);
        if (loss != &den_loss_patch_nce)
            check_slopes((size_t)_i, loss, q, k, k, dk);
        else
            close_to(sumsq_of(dk, count), 0, 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contrastive_gradients");
    TCase *t = tcase_create("losses");
    tcase_add_loop_test(t, contrastive_losses_agree_with_pytorch_to_ten_digits, 0,
                        PAIR_VECTORS);
    tcase_add_loop_test(t, contrastive_losses_have_the_right_derivatives, 0,
                        (int)(sizeof cases / sizeof cases[0]));
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
