/* Random numbers: reproducible, keyed, and of the right distribution. */

#include <math.h>
#include <string.h>

#include "den_check.h"
#include "rng.h"

START_TEST(the_generator_is_xoshiro256_plus_plus)
{
    /* From s = {1, 2, 3, 4}, as the authors' C program prints them. */
    static const uint64_t want[] = {UINT64_C(41943041), UINT64_C(58720359),
                                    UINT64_C(3588806011781223),
                                    UINT64_C(3591011842654386)};
    struct den_rng rng = {{1, 2, 3, 4}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++)
        ck_assert_uint_eq(den_rng_u64(&rng), want[i]);
}
END_TEST

START_TEST(the_same_key_gives_the_same_numbers)
{
    struct den_rng a, b;
    den_rng_seed(&a, 7, DEN_STREAM_CROP, 3);
    den_rng_seed(&b, 7, DEN_STREAM_CROP, 3);
    for (int i = 0; i < 100; i++)
        ck_assert_uint_eq(den_rng_u64(&a), den_rng_u64(&b));
}
END_TEST

START_TEST(a_seed_means_the_same_numbers_in_every_version)
{
    /* Computed by an independent program; a change would break recorded runs. */
    struct den_rng rng;
    den_rng_seed(&rng, 0, 0, 0);
    ck_assert_uint_eq(den_rng_u64(&rng), UINT64_C(0x239b273c9643bedb));
    den_rng_seed(&rng, 42, DEN_STREAM_ORDER, 7);
    ck_assert_uint_eq(den_rng_u64(&rng), UINT64_C(0x060358529ca01990));
    ck_assert_uint_eq(den_hash64(1, 2), UINT64_C(0x0b95f66d327e8d78));
}
END_TEST

START_TEST(neighbouring_keys_have_nothing_in_common)
{
    enum { SIDE = 8, N = SIDE * SIDE * SIDE };
    static uint64_t first[N];
    size_t n = 0;
    for (uint64_t seed = 0; seed < SIDE; seed++)
        for (uint64_t stream = 0; stream < SIDE; stream++)
            for (uint64_t index = 0; index < SIDE; index++) {
                struct den_rng rng;
                den_rng_seed(&rng, seed, stream, index);
                first[n++] = den_rng_u64(&rng);
            }
    for (size_t a = 0; a < N; a++)
        for (size_t b = 0; b < a; b++) {
            /* 64 fair bits: 5 standard deviations of 4 below 32, for 130 816 pairs. */
            int differ = __builtin_popcountll(first[a] ^ first[b]);
            ck_assert_int_ge(differ, 10);
        }
}
END_TEST

START_TEST(a_hash_changes_half_its_bits_with_any_input_bit)
{
    double flips = 0;
    for (int bit = 0; bit < 64; bit++) {
        uint64_t one = UINT64_C(1) << bit;
        uint64_t by_key = den_hash64(5, 9) ^ den_hash64(5 ^ one, 9);
        uint64_t by_index = den_hash64(5, 9) ^ den_hash64(5, 9 ^ one);
        flips += __builtin_popcountll(by_key) + __builtin_popcountll(by_index);
    }
    close_to(flips / 128, 32, 0.1); /* standard error 4 / sqrt(128) = 0.35 */
}
END_TEST

enum { DRAWS = 200000 };

struct moments {
    double mean, variance, skewness, low, high;
};

static struct moments moments_of(double (*draw)(struct den_rng *, double),
                                 double parameter)
{
    static double x[DRAWS];
    struct den_rng rng;
    struct moments m = {.low = INFINITY, .high = -INFINITY};
    den_rng_seed(&rng, 1, DEN_STREAM_SYNTH, 1);
    for (size_t i = 0; i < DRAWS; i++) {
        x[i] = draw(&rng, parameter);
        m.mean += x[i] / DRAWS;
        m.low = fmin(m.low, x[i]);
        m.high = fmax(m.high, x[i]);
    }
    for (size_t i = 0; i < DRAWS; i++) {
        double d = x[i] - m.mean;
        m.variance += d * d / DRAWS;
        m.skewness += d * d * d / DRAWS;
    }
    m.skewness /= m.variance * sqrt(m.variance);
    return m;
}

static double unit(struct den_rng *rng, double unused)
{
    (void)unused;
    return den_rng_unit(rng);
}

static double normal(struct den_rng *rng, double unused)
{
    (void)unused;
    return den_rng_normal(rng);
}

/* Tolerances below are about 5 standard errors of each moment. */

START_TEST(unit_numbers_are_uniform_in_0_to_1)
{
    struct moments m = moments_of(unit, 0);
    close_to(m.mean, 0.5, 0.0033);
    close_to(m.variance, 1.0 / 12, 0.001);
    close_to(m.skewness, 0, 0.02);
    ck_assert(m.low >= 0 && m.low < 1e-4 && m.high < 1 && m.high > 1 - 1e-4);
}
END_TEST

START_TEST(normal_numbers_have_normal_moments)
{
    struct moments m = moments_of(normal, 0);
    close_to(m.mean, 0, 0.012);
    close_to(m.variance, 1, 0.016);
    close_to(m.skewness, 0, 0.028);
    /* Expected extremes of 200 000 draws are near 4.4. */
    ck_assert(m.high > 3.8 && m.high < 6 && m.low < -3.8 && m.low > -6);
}
END_TEST

static const double means[] = {0.01, 0.5, 5, 29.9, 30, 31, 100, 1e4, 1e9};

START_TEST(counts_have_poisson_moments)
{
    double mean = means[_i];
    struct moments m = moments_of(den_rng_poisson, mean);
    /* Mean and variance are both `mean`; skewness is 1 / sqrt(mean). */
    double error = 5 * sqrt(mean / DRAWS);
    double error2 = 5 * sqrt((2 * mean * mean + mean) / DRAWS);
    ck_assert_msg(fabs(m.mean - mean) < error, "mean %g of %g", m.mean, mean);
    ck_assert_msg(fabs(m.variance - mean) < error2, "variance %g of %g", m.variance,
                  mean);
    if (mean >= 5)
        close_to(m.skewness, 1 / sqrt(mean), 0.04);
    ck_assert(m.low >= 0 && m.low == floor(m.low) && m.high == floor(m.high));
}
END_TEST

START_TEST(counts_have_poisson_frequencies)
{
    static const double some[] = {3, 40}; /* one for each algorithm */
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        static double seen[200];
        memset(seen, 0, sizeof seen);
        struct den_rng rng;
        den_rng_seed(&rng, 2, DEN_STREAM_SYNTH, i);
        for (size_t n = 0; n < DRAWS; n++)
            seen[(int)fmin(den_rng_poisson(&rng, some[i]), 199)]++;
        double chi2 = 0, cells = 0;
        for (int k = 0; k < 200; k++) {
            double want = DRAWS * exp(k * log(some[i]) - some[i] - lgamma(k + 1.0));
            if (want < 10)
                continue;
            chi2 += (seen[k] - want) * (seen[k] - want) / want;
            cells++;
        }
        ck_assert_msg(chi2 < cells + 5 * sqrt(2 * cells), "chi^2 %g in %g cells", chi2,
                      cells);
    }
}
END_TEST

START_TEST(odd_means_give_an_answer)
{
    struct den_rng rng;
    den_rng_seed(&rng, 1, 1, 1);
    ck_assert_double_eq(den_rng_poisson(&rng, 0), 0);
    ck_assert_double_eq(den_rng_poisson(&rng, -1), 0);
    ck_assert_double_eq(den_rng_poisson(&rng, 1e-300), 0);
    ck_assert_double_eq(den_rng_poisson(&rng, 1e300), 1e300);
    ck_assert(isinf(den_rng_poisson(&rng, INFINITY)));
    ck_assert(isnan(den_rng_poisson(&rng, NAN)));
}
END_TEST

START_TEST(numbers_below_n_are_equally_likely)
{
    enum { SIDES = 7 };
    double seen[SIDES] = {0};
    struct den_rng rng;
    den_rng_seed(&rng, 3, 1, 1);
    for (size_t i = 0; i < DRAWS; i++) {
        uint64_t x = den_rng_below(&rng, SIDES);
        ck_assert_uint_lt(x, SIDES);
        seen[x]++;
    }
    for (int i = 0; i < SIDES; i++)
        close_to(seen[i] / DRAWS, 1.0 / SIDES, 0.004);
    /* With n = 3 * 2^62 a plain modulo would give the lower third twice as often. */
    double low = 0;
    for (size_t i = 0; i < DRAWS; i++)
        low += den_rng_below(&rng, UINT64_C(3) << 62) < UINT64_C(1) << 62;
    close_to(low / DRAWS, 1.0 / 3, 0.006);
    ck_assert_uint_eq(den_rng_below(&rng, 1), 0);
}
END_TEST

START_TEST(a_permutation_holds_every_index_once)
{
    static const size_t sizes[] = {0, 1, 2, 3, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t order[1000], seen[1000] = {0};
        struct den_rng rng;
        den_rng_seed(&rng, 4, DEN_STREAM_ORDER, s);
        den_rng_permutation(&rng, sizes[s], order);
        for (size_t i = 0; i < sizes[s]; i++) {
            ck_assert_uint_lt(order[i], sizes[s]);
            ck_assert_uint_eq(seen[order[i]]++, 0);
        }
    }
}
END_TEST

START_TEST(all_permutations_are_equally_likely)
{
    enum { TIMES = 60000 };
    double seen[27] = {0};
    for (uint64_t i = 0; i < TIMES; i++) {
        size_t order[3];
        struct den_rng rng;
        den_rng_seed(&rng, 5, DEN_STREAM_ORDER, i);
        den_rng_permutation(&rng, 3, order);
        seen[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    int kinds = 0;
    for (int i = 0; i < 27; i++)
        if (seen[i] > 0) {
            close_to(seen[i] / TIMES, 1.0 / 6, 0.008);
            kinds++;
        }
    ck_assert_int_eq(kinds, 6);
}
END_TEST

START_TEST(bytes_of_the_kernel_differ_each_time)
{
    static unsigned char a[1000], b[1000];
    den_random_bytes(a, sizeof a);
    den_random_bytes(b, sizeof b);
    ck_assert_mem_ne(a, b, sizeof a);
    int zeros = 0;
    for (size_t i = 0; i < sizeof a; i++)
        zeros += a[i] == 0;
    ck_assert_int_lt(zeros, 30); /* 4 expected: all of the buffer is filled */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rng");
    TCase *keys = tcase_create("keys");
    tcase_add_test(keys, the_generator_is_xoshiro256_plus_plus);
    tcase_add_test(keys, the_same_key_gives_the_same_numbers);
    tcase_add_test(keys, a_seed_means_the_same_numbers_in_every_version);
    tcase_add_test(keys, neighbouring_keys_have_nothing_in_common);
    tcase_add_test(keys, a_hash_changes_half_its_bits_with_any_input_bit);
    tcase_add_test(keys, bytes_of_the_kernel_differ_each_time);
    suite_add_tcase(suite, keys);

    TCase *shapes = tcase_create("distributions");
    tcase_set_timeout(shapes, 60);
    tcase_add_test(shapes, unit_numbers_are_uniform_in_0_to_1);
    tcase_add_test(shapes, normal_numbers_have_normal_moments);
    tcase_add_loop_test(shapes, counts_have_poisson_moments, 0,
                        (int)(sizeof means / sizeof *means));
    tcase_add_test(shapes, counts_have_poisson_frequencies);
    tcase_add_test(shapes, odd_means_give_an_answer);
    tcase_add_test(shapes, numbers_below_n_are_equally_likely);
    tcase_add_test(shapes, a_permutation_holds_every_index_once);
    tcase_add_test(shapes, all_permutations_are_equally_likely);
    suite_add_tcase(suite, shapes);
    return den_check_main(suite);
}
