#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "border.h"
#include "den_check.h"
#include "filter.h"
#include "mem.h"
#include "vectors.h"

enum { MOST = 64 * 64 };

static float in[MOST], out[MOST], again[MOST];

static const struct {
    size_t width, height;
} sizes[] = {{1, 1}, {1, 7}, {5, 1}, {3, 2}, {17, 33}, {16, 16}, {40, 21}, {63, 5}};
static const size_t size_count = sizeof sizes / sizeof *sizes;

static void apply(const char *name, double value, size_t width, size_t height)
{
    struct den_err err = DEN_ERR_INIT;
    double values[DEN_FILTER_OPTIONS] = {value};
    must(den_filter_find(name)->apply(NULL, width, height, in, out, values, &err));
}

START_TEST(borders_reflect_as_often_as_needed)
{
    static const struct {
        ptrdiff_t i;
        size_t n, mirror, repeat;
    } rows[] = {{-1, 4, 1, 0}, {-4, 4, 2, 3}, {4, 4, 2, 3},   {7, 4, 1, 0},
                {0, 4, 0, 0},  {3, 4, 3, 3},  {-50, 1, 0, 0}, {9, 1, 0, 0},
                {-3, 2, 1, 1}, {5, 2, 1, 1},  {2, 2, 0, 1},   {-7, 3, 1, 0}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        ck_assert_uint_eq(den_border_mirror(rows[k].i, rows[k].n), rows[k].mirror);
        ck_assert_uint_eq(den_border_repeat(rows[k].i, rows[k].n), rows[k].repeat);
    }
}
END_TEST

START_TEST(the_table_is_complete)
{
    size_t count = 0;
    for (; den_filters[count] != NULL; count++) {
        const struct den_filter *f = den_filters[count];
        ck_assert_ptr_eq(den_filter_find(f->name), f);
        ck_assert(f->doc[0] != '\0' && f->apply != NULL);
        struct den_err err = DEN_ERR_INIT;
        double values[DEN_FILTER_OPTIONS];
        den_filter_defaults(f, values);
        must(den_filter_check(f, values, &err));
    }
    ck_assert_uint_eq(count, 2);
    ck_assert_ptr_null(den_filter_find("sharpen"));
    double values[DEN_FILTER_OPTIONS];
    den_filter_defaults(&den_filter_gaussian, values);
    ck_assert(values[0] == 1.5);
    den_filter_defaults(&den_filter_median, values);
    ck_assert(values[0] == 2);
}
END_TEST

START_TEST(values_out_of_range_are_refused_and_nothing_is_written)
{
    static const struct {
        const char *filter;
        double value;
        const char *words;
    } rows[] = {{"gaussian", 0, "sigma 0 of the gaussian filter is not from 0.1 to 50"},
                {"gaussian", 50.5, "from 0.1 to 50"},
                {"gaussian", NAN, "sigma nan"},
                {"median", 0, "radius 0 of the median filter is not from 1 to 5"},
                {"median", 6, "from 1 to 5"},
                {"median", 2.5, "not a whole number"}};
    struct den_err err = DEN_ERR_INIT;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double values[DEN_FILTER_OPTIONS] = {rows[i].value};
        out[0] = 42;
        const struct den_filter *f = den_filter_find(rows[i].filter);
        must_fail(f->apply(NULL, 1, 1, in, out, values, &err), DEN_E_INVALID,
                  rows[i].words);
        ck_assert(out[0] == 42);
    }
}
END_TEST

/* A job is admitted by these numbers. */
START_TEST(filters_allocate_what_they_say)
{
    static const size_t shapes[][2] = {{8, 8}, {5000, 1}, {1, 300}};
    struct den_err err = DEN_ERR_INIT;
    float *pages = den_calloc(2 * 5000, sizeof *pages);
    for (size_t i = 0; den_filters[i] != NULL; i++)
        for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
            for (int threads = 1; threads <= 3; threads += 2) {
                double values[DEN_FILTER_OPTIONS];
                struct den_pool *pool = NULL;
                den_filter_defaults(den_filters[i], values);
                must(den_pool_new(threads, &pool, &err));
                size_t live = den_mem_live();
                den_mem_reset_peak();
                must(den_filters[i]->apply(pool, shapes[k][0], shapes[k][1], pages,
                                           pages + 5000, values, &err));
                size_t held = den_mem_peak() - live;
                size_t said = den_filters[i]->bytes(shapes[k][0], values, threads);
                ck_assert_uint_ge(held, said);
                ck_assert_uint_le(held, said + 4200); /* malloc rounds to a page */
                den_pool_free(pool);
            }
    den_free(pages);
}
END_TEST

START_TEST(filters_say_when_memory_runs_out)
{
    struct den_err err = DEN_ERR_INIT;
    double values[DEN_FILTER_OPTIONS];
    size_t live = den_mem_live();
    for (size_t i = 0; den_filters[i] != NULL; i++) {
        den_filter_defaults(den_filters[i], values);
        den_mem_fail_at(1);
        must_fail(den_filters[i]->apply(NULL, 8, 8, in, out, values, &err),
                  DEN_E_NO_MEMORY, "not enough memory");
    }
    ck_assert_uint_eq(den_mem_live(), live);
}
END_TEST

START_TEST(the_gaussian_agrees_with_scipy)
{
    /* From the examples of scipy.ndimage.gaussian_filter1d; an image of one row. */
    static const double sigma_1[] = {1.42704095, 2.06782203, 3.0, 3.93217797, 4.57295905};
    static const double sigma_4[] = {2.91948343, 2.95023502, 3.0, 3.04976498, 3.08051657};
    for (size_t i = 0; i < 5; i++)
        in[i] = (float)(i + 1);
    apply("gaussian", 1, 5, 1);
    for (size_t i = 0; i < 5; i++)
        close_to((double)out[i], sigma_1[i], 1e-7);
    apply("gaussian", 4, 1, 5); /* and of one column */
    for (size_t i = 0; i < 5; i++)
        close_to((double)out[i], sigma_4[i], 1e-7);
}
END_TEST

static double slow_gaussian(size_t width, size_t height, size_t x, size_t y, double sigma)
{
    ptrdiff_t r = (ptrdiff_t)(4 * sigma + 0.5);
    double sum = 0, total = 0;
    for (ptrdiff_t v = -r; v <= r; v++)
        for (ptrdiff_t u = -r; u <= r; u++) {
            double w = exp(-(double)(u * u + v * v) / (2 * sigma * sigma));
            size_t row = den_border_repeat((ptrdiff_t)y + v, height);
            total += w;
            sum +=
                w * (double)in[row * width + den_border_repeat((ptrdiff_t)x + u, width)];
        }
    return sum / total;
}

START_TEST(the_gaussian_is_its_definition_for_any_size)
{
    static const double sigmas[] = {0.2, 0.5, 1.2, 3};
    struct lcg g = {5};
    for (size_t i = 0; i < size_count * 4; i++) {
        size_t width = sizes[i / 4].width, height = sizes[i / 4].height;
        lcg_fill_about(&g, in, width * height, 1000, 500);
        apply("gaussian", sigmas[i % 4], width, height);
        for (size_t k = 0; k < width * height; k += 3)
            close_to((double)out[k],
                     slow_gaussian(width, height, k % width, k / width, sigmas[i % 4]),
                     2e-7);
    }
}
END_TEST

static int by_value(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static float slow_median(size_t width, size_t height, size_t x, size_t y, ptrdiff_t r)
{
    float window[121];
    size_t n = 0;
    for (ptrdiff_t v = -r; v <= r; v++)
        for (ptrdiff_t u = -r; u <= r; u++) {
            size_t row = den_border_repeat((ptrdiff_t)y + v, height);
            window[n++] = in[row * width + den_border_repeat((ptrdiff_t)x + u, width)];
        }
    qsort(window, n, sizeof *window, by_value);
    return window[n / 2];
}

START_TEST(the_median_is_exact_for_every_radius_and_size)
{
    struct lcg g = {6};
    for (size_t i = 0; i < size_count * 5; i++) {
        size_t width = sizes[i / 5].width, height = sizes[i / 5].height;
        ptrdiff_t r = (ptrdiff_t)(i % 5) + 1;
        for (size_t k = 0; k < width * height; k++) /* many ties, both signs */
            in[k] = (float)(floor(lcg_u(&g) * 40) - 20);
        apply("median", (double)r, width, height);
        for (size_t k = 0; k < width * height; k++)
            ck_assert_msg(out[k] == slow_median(width, height, k % width, k / width, r),
                          "%zu x %zu, radius %td, pixel %zu", width, height, r, k);
    }
}
END_TEST

START_TEST(threads_do_not_change_a_bit)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_pool *pool = NULL;
    must(den_pool_new(3, &pool, &err));
    struct lcg g = {7};
    lcg_fill(&g, in, MOST, 100);
    for (size_t i = 0; den_filters[i] != NULL; i++) {
        double values[DEN_FILTER_OPTIONS];
        den_filter_defaults(den_filters[i], values);
        must(den_filters[i]->apply(NULL, 64, 64, in, out, values, &err));
        must(den_filters[i]->apply(pool, 64, 64, in, again, values, &err));
        for (size_t k = 0; k < MOST; k++)
            ck_assert(out[k] == again[k]);
    }
    den_pool_free(pool);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("filters");
    TCase *filters = tcase_create("filters");
    tcase_add_test(filters, borders_reflect_as_often_as_needed);
    tcase_add_test(filters, the_table_is_complete);
    tcase_add_test(filters, values_out_of_range_are_refused_and_nothing_is_written);
    tcase_add_test(filters, filters_allocate_what_they_say);
    tcase_add_test(filters, filters_say_when_memory_runs_out);
    tcase_add_test(filters, the_gaussian_agrees_with_scipy);
    tcase_add_test(filters, the_gaussian_is_its_definition_for_any_size);
    tcase_add_test(filters, the_median_is_exact_for_every_radius_and_size);
    tcase_add_test(filters, threads_do_not_change_a_bit);
    suite_add_tcase(suite, filters);
    return den_check_main(suite);
}
