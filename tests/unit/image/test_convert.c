/* Pixel types, quantiles and previews. */

#include <math.h>

#include "convert.h"
#include "image_files.h"

START_TEST(every_integer_survives_the_way_to_float_and_back)
{
    static uint16_t from[65536], back[65536];
    static uint8_t from8[256], back8[256];
    static float floats[65536];
    for (size_t i = 0; i < 65536; i++)
        from[i] = (uint16_t)i;
    for (size_t i = 0; i < 256; i++)
        from8[i] = (uint8_t)i;
    den_to_float(DEN_U16, from, floats, 65536);
    ck_assert(floats[4711] == 4711.0f);
    ck_assert_uint_eq(den_from_float(DEN_U16, floats, back, 65536), 0);
    ck_assert_mem_eq(from, back, sizeof from);
    den_to_float(DEN_U8, from8, floats, 256);
    ck_assert_uint_eq(den_from_float(DEN_U8, floats, back8, 256), 0);
    ck_assert_mem_eq(from8, back8, sizeof from8);
}
END_TEST

START_TEST(values_are_rounded_to_the_nearest_and_clipped)
{
    static const struct {
        float from;
        uint8_t u8;
        uint16_t u16;
        bool clips8, clips16;
    } cases[] = {
        {0.0f, 0, 0, false, false},
        {0.49999997f, 0, 0, false, false},
        {0.5f, 1, 1, false, false},
        {1.4999999f, 1, 1, false, false},
        {-0.4f, 0, 0, false, false},
        {-0.6f, 0, 0, true, true},
        {255.4f, 255, 255, false, false},
        {255.6f, 255, 256, true, false},
        {65535.4f, 255, 65535, true, false},
        {65536.0f, 255, 65535, true, true},
        {1e30f, 255, 65535, true, true},
        {-1e30f, 0, 0, true, true},
        {INFINITY, 255, 65535, true, true},
        {-INFINITY, 0, 0, true, true},
        {NAN, 0, 0, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t u8 = 99;
        uint16_t u16 = 99;
        ck_assert_uint_eq(den_from_float(DEN_U8, &cases[i].from, &u8, 1),
                          cases[i].clips8);
        ck_assert_uint_eq(den_from_float(DEN_U16, &cases[i].from, &u16, 1),
                          cases[i].clips16);
        ck_assert_msg(u8 == cases[i].u8 && u16 == cases[i].u16, "%g became %u and %u",
                      (double)cases[i].from, u8, u16);
    }
}
END_TEST

/* The plain rule, in double: what the fast loops must give. */
static uint16_t plain_u16(float value, uint64_t *clipped)
{
    double up = floor((double)value + 0.5);
    *clipped += !(up >= 0 && up <= 65535);
    return (uint16_t)fmin(fmax(up, 0), 65535);
}

START_TEST(rounding_agrees_with_the_plain_rule)
{
    enum { N = 200003 };
    static float from[N];
    static uint16_t got[N];
    struct den_rng rng;
    den_rng_seed(&rng, 5, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < N; i++) {
        /* Just below, at and just above halves, and anywhere. */
        float half = (float)den_rng_below(&rng, 65540) - 1.5f;
        float all[] = {half, nextafterf(half, -1e9f), nextafterf(half, 1e9f),
                       (float)(80000 * den_rng_unit(&rng) - 8000)};
        from[i] = all[i % 4];
    }
    uint64_t want_clipped = 0, clipped = den_from_float(DEN_U16, from, got, N);
    for (size_t i = 0; i < N; i++) {
        uint16_t want = plain_u16(from[i], &want_clipped);
        ck_assert_msg(got[i] == want, "%.9g became %u, not %u", (double)from[i], got[i],
                      want);
    }
    ck_assert_uint_eq(clipped, want_clipped);
}
END_TEST

START_TEST(floats_stay_what_they_are)
{
    float from[3] = {-1.5f, 1e30f, 0.1f}, to[3];
    ck_assert_uint_eq(den_from_float(DEN_F32, from, to, 3), 0);
    ck_assert_mem_eq(from, to, sizeof from);
    den_to_float(DEN_F32, from, to, 3);
    ck_assert_mem_eq(from, to, sizeof from);
}
END_TEST

START_TEST(the_first_number_that_is_none_is_found)
{
    static const size_t places[] = {0, 1, 1023, 1024, 2047, 2999};
    static float pixels[3000];
    for (size_t i = 0; i < 3000; i++)
        pixels[i] = i % 2 ? 3.402823466e38f : -3.402823466e38f;
    ck_assert_uint_eq(den_find_nonfinite(pixels, 3000), 3000);
    ck_assert_uint_eq(den_find_nonfinite(pixels, 0), 0);
    for (size_t i = 6; i-- > 0;) { /* from behind: the first one counts */
        pixels[places[i]] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
        ck_assert_uint_eq(den_find_nonfinite(pixels, 3000), places[i]);
    }
}
END_TEST

START_TEST(quantiles_are_those_of_r_type_7)
{
    /* quantile(c(-2, 7, 0.5, 100, -30), c(0, .1, .25, .5, .9, 1)) in R. */
    static const float pixels[] = {-2.0f, 7.0f, 0.5f, 100.0f, -30.0f};
    static const double q[] = {0.0, 0.1, 0.25, 0.5, 0.9, 1.0};
    static const double want[] = {-30.0, -18.8, -2.0, 0.5, 62.8, 100.0};
    struct den_err err = DEN_ERR_INIT;
    double got[6];
    must(den_quantiles(pixels, 5, q, 6, got, &err));
    for (size_t i = 0; i < 6; i++)
        close_to(got[i], want[i], 1e-12);
    must(den_quantiles(pixels, 1, q, 6, got, &err));
    for (size_t i = 0; i < 6; i++)
        close_to(got[i], -2.0, 1e-12);
}
END_TEST

static int by_value(const void *a, const void *b)
{
    const float *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

START_TEST(quantiles_agree_with_a_plain_sort)
{
    enum { N = 5001 };
    static float pixels[N];
    static double q[N], got[N];
    struct den_err err = DEN_ERR_INIT;
    struct den_rng rng;
    den_rng_seed(&rng, 5, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < N; i++) {
        double scale = pow(10.0, (double)den_rng_below(&rng, 60) - 30.0);
        pixels[i] = (float)(scale * den_rng_normal(&rng));
        q[i] = (double)i / (N - 1);
    }
    must(den_quantiles(pixels, N, q, N, got, &err));
    qsort(pixels, N, sizeof *pixels, by_value);
    for (size_t i = 0; i < N; i++)
        ck_assert_msg(fabs(got[i] - (double)pixels[i]) <= 1e-9 * fabs(got[i]),
                      "order statistic %zu is %g, want %g", i, got[i], (double)pixels[i]);
}
END_TEST

START_TEST(a_preview_spans_the_quantiles)
{
    static const float pixels[] = {0.0f, 100.0f, 200.0f, 300.0f, 400.0f};
    static const float flat[] = {7.0f, 7.0f};
    static const unsigned char want[] = {0, 0, 128, 255, 255};
    struct den_err err = DEN_ERR_INIT;
    unsigned char got[5];
    must(den_preview(pixels, 5, 0.25, 0.75, got, &err));
    ck_assert_mem_eq(got, want, 5);
    must(den_preview(flat, 2, 0.0, 1.0, got, &err));
    ck_assert_uint_eq(got[0], 0);
    ck_assert_uint_eq(got[1], 0);
}
END_TEST

START_TEST(no_memory_is_told)
{
    static const float pixels[] = {1.0f, 2.0f};
    struct den_err err = DEN_ERR_INIT;
    double q = 0.5, got = -1.0;
    unsigned char preview[2];
    den_mem_fail_at(1);
    must_fail(den_quantiles(pixels, 2, &q, 1, &got, &err), DEN_E_NO_MEMORY, "");
    den_mem_fail_at(1);
    must_fail(den_preview(pixels, 2, 0.0, 1.0, preview, &err), DEN_E_NO_MEMORY, "");
    ck_assert(got < 0.0);
    ck_assert_uint_eq(den_mem_live(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("convert");
    TCase *convert = tcase_create("convert");
    tcase_add_test(convert, every_integer_survives_the_way_to_float_and_back);
    tcase_add_test(convert, values_are_rounded_to_the_nearest_and_clipped);
    tcase_add_test(convert, rounding_agrees_with_the_plain_rule);
    tcase_add_test(convert, floats_stay_what_they_are);
    tcase_add_test(convert, the_first_number_that_is_none_is_found);
    tcase_add_test(convert, quantiles_are_those_of_r_type_7);
    tcase_add_test(convert, quantiles_agree_with_a_plain_sort);
    tcase_add_test(convert, a_preview_spans_the_quantiles);
    tcase_add_test(convert, no_memory_is_told);
    suite_add_tcase(suite, convert);
    return den_check_main(suite);
}
