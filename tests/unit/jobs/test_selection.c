/* Which planes a job is about, what its result is called, how long it may take. */

#include <string.h>

#include "den_check.h"
#include "rates.h"
#include "result_name.h"
#include "selection.h"
#include "str.h"

/* 12 pages of gray: 2 time points, 2 depths, 3 channels that follow each other. */
static const struct den_image_info series = {
    .width = 4,
    .height = 4,
    .pages = 12,
    .channels = 1,
    .axes = {.source = "ome", .t = 2, .z = 2, .c = 3, .order = "CZT"}};
/* 5 pages of red, green, blue and opacity. */
static const struct den_image_info color = {
    .width = 4, .height = 4, .pages = 5, .channels = 4, .alpha = true};

START_TEST(a_selection_is_pages_times_channels)
{
    static const struct {
        const char *pages, *channels;
        const struct den_image_info *info;
        uint64_t planes;
        uint32_t has_page, has_sample, not_page, not_sample;
    } cases[] = {
        {"", "", &series, 12, 11, 0, 99, 0},   {"0-2,5", "", &series, 4, 5, 0, 4, 0},
        {"", "1", &series, 4, 4, 0, 5, 0},     {"", "0,2", &series, 8, 2, 0, 1, 0},
        {"3-11", "2", &series, 3, 5, 0, 2, 0}, {"5,5,4-6", "", &series, 3, 6, 0, 7, 0},
        {"", "", &color, 15, 4, 2, 0, 3},      {"4", "0-1", &color, 2, 4, 1, 4, 2},
        {"0-4", "2", &color, 5, 0, 2, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_selection s;
        must(den_selection_parse(cases[i].pages, cases[i].channels, cases[i].info, &s,
                                 &err));
        ck_assert_uint_eq(den_selection_planes(&s, cases[i].info), cases[i].planes);
        ck_assert(
            den_selection_has(&s, cases[i].info, cases[i].has_page, cases[i].has_sample));
        if (cases[i].not_page < cases[i].info->pages)
            ck_assert(!den_selection_has(&s, cases[i].info, cases[i].not_page,
                                         cases[i].not_sample));
    }
}
END_TEST

START_TEST(a_list_that_is_none_is_refused_with_its_place)
{
    static const struct {
        const char *pages, *channels;
        const struct den_image_info *info;
        const char *field, *words;
    } cases[] = {
        {"12", "", &series, "/pages",
         "page 12 does not exist; the image has pages 0 to 11"},
        {"0-12", "", &series, "/pages", "page 12 does not exist"},
        {"4294967296", "", &series, "/pages", "no list of numbers"},
        {"1-", "", &series, "/pages", "pages '1-' is no list of numbers and ranges"},
        {"3-1", "", &series, "/pages", "'3-1'"},
        {"-1", "", &series, "/pages", "'-1'"},
        {"1,,2", "", &series, "/pages", "no list"},
        {"1,", "", &series, "/pages", "no list"},
        {" 1", "", &series, "/pages", "no list"},
        {"1;2", "", &series, "/pages", "no list"},
        {"all", "", &series, "/pages", "no list"},
        {"", "3", &series, "/channels",
         "channel 3 does not exist; the image has channels 0 to 2"},
        {"", "3", &color, "/channels", "channels 0 to 2"},
        {"0,3", "1", &series, "/channels", "none of the chosen pages is of channel 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_selection s = {.pages = {.count = 77}};
        ck_assert(!den_selection_parse(cases[i].pages, cases[i].channels, cases[i].info,
                                       &s, &err));
        ck_assert_int_eq(err.code, DEN_E_INVALID);
        ck_assert_str_eq(err.field, cases[i].field);
        ck_assert_msg(strstr(err.text, cases[i].words) != NULL, "%s", err.text);
        ck_assert_uint_eq(s.pages.count, 77);
    }
}
END_TEST

START_TEST(as_many_ranges_as_the_text_has_room_for_are_read)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_selection s;
    char text[DEN_PAGES_SIZE] = "0";
    for (size_t used = 1; used + 2 < sizeof text; used += 2)
        memcpy(text + used, ",7", 3);
    must(den_selection_parse(text, "", &series, &s, &err));
    ck_assert_uint_eq(den_selection_planes(&s, &series), 2);
}
END_TEST

START_TEST(a_result_keeps_the_ending_of_its_source)
{
    static const struct {
        const char *format, *name, *want;
    } cases[] = {
        {"tiff", "cell.tif", "cell_denoised.tif"},
        {"tiff", "cell.ome.tif", "cell_denoised.ome.tif"},
        {"tiff", "Cell.OME.TIFF", "Cell_denoised.OME.TIFF"},
        {"tiff", "big.btf", "big_denoised.btf"},
        {"tiff", "v1.2", "v1.2_denoised.tif"},
        {"tiff", "cell", "cell_denoised.tif"},
        {"tiff", "cell.png", "cell.png_denoised.tif"},
        {"tiff", ".tif", ".tif_denoised.tif"},
        {"png", "a.b.png", "a.b_denoised.png"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct den_image_info info = {.width = 1};
        char name[DEN_NAME_SIZE], media[32];
        ck_assert(den_str_copy(info.format, sizeof info.format, cases[i].format));
        den_result_name(cases[i].name, &info, name, media);
        ck_assert_str_eq(name, cases[i].want);
        ck_assert_str_eq(media, info.format[0] == 'p' ? "image/png" : "image/tiff");
    }
}
END_TEST

START_TEST(a_long_name_loses_its_middle_and_no_half_character)
{
    struct den_image_info info = {.format = "tiff"};
    char long_name[DEN_NAME_SIZE] = "x", name[DEN_NAME_SIZE], media[32];
    size_t used = 1;
    for (; used + 8 < sizeof long_name - 1; used += 2)
        den_str_format(long_name + used, sizeof long_name - used, "\xc3\xa9");
    den_str_format(long_name + used, sizeof long_name - used, ".ome.tif");
    den_result_name(long_name, &info, name, media);
    ck_assert(den_utf8_printable(name));
    ck_assert(den_str_ends(name, "\xc3\xa9_denoised.ome.tif"));
}
END_TEST

START_TEST(rates_follow_the_jobs_of_late_and_forget_the_longest_unused)
{
    static struct den_rates rates;
    double rate = 0;
    char what[16];
    den_rates_init(&rates);
    ck_assert(!den_rates_get(&rates, "median", &rate));
    den_rates_add(&rates, "median", 2, 100);
    ck_assert(den_rates_get(&rates, "median", &rate));
    ck_assert(rate == 0.02);
    den_rates_add(&rates, "median", 5, 100); /* the first counts half */
    ck_assert(den_rates_get(&rates, "median", &rate));
    ck_assert(rate == 6.0 / 150.0);
    den_rates_add(&rates, "", 1, 1); /* of nothing */
    den_rates_add(&rates, "stopped", 0, 100);
    ck_assert(!den_rates_get(&rates, "", &rate));
    ck_assert(!den_rates_get(&rates, "stopped", &rate));
    for (unsigned i = 0; i < DEN_RATES; i++) {
        (void)den_str_format(what, sizeof what, "m%u", i);
        den_rates_add(&rates, what, 1, 1);
        ck_assert_int_eq(den_rates_get(&rates, "m0", &rate), true);
    }
    ck_assert(!den_rates_get(&rates, "median", &rate));
    den_rates_add(&rates, "new", 1, 1);
    ck_assert(den_rates_get(&rates, "m0", &rate));
    ck_assert(!den_rates_get(&rates, "m1", &rate));
    den_rates_release(&rates);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("selection");
    TCase *tcase = tcase_create("selection");
    tcase_add_test(tcase, a_selection_is_pages_times_channels);
    tcase_add_test(tcase, a_list_that_is_none_is_refused_with_its_place);
    tcase_add_test(tcase, as_many_ranges_as_the_text_has_room_for_are_read);
    tcase_add_test(tcase, a_result_keeps_the_ending_of_its_source);
    tcase_add_test(tcase, a_long_name_loses_its_middle_and_no_half_character);
    tcase_add_test(tcase, rates_follow_the_jobs_of_late_and_forget_the_longest_unused);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
