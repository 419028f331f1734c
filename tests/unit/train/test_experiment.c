/* Grids of trainings: what is refused, the order of cells, and the statistics. */

#include <math.h>
#include <string.h>

#include "den_check.h"
#include "experiment.h"
#include "mem.h"
#include "metric.h"

struct entry {
    const char *key, *value;
};

static struct den_experiment *with(const struct entry *entries, size_t count)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = NULL;
    must(den_experiment_new(&e, &err));
    for (size_t i = 0; i < count; i++)
        must(den_experiment_put(e, entries[i].key, entries[i].value, &err));
    return e;
}

/* 2 rows x 3 sample counts x 2 seeds */
static struct den_experiment *usual(void)
{
    static const struct entry entries[] = {
        {"preset", "cpu_gan"},  {"common.iterations", "500"},
        {"row", "baseline"},    {"row", "no GAN, \xc3\xa9"},
        {"method", "cgan"},     {"set.lambda_gan", "0"},
        {"set.lambda_l1", "5"}, {"sample", "0"},
        {"sample", "8"},        {"sample", "4"},
        {"seed", "1"},          {"seed", "7"},
        {"metric", "psnr"},     {"metric", "ssim"},
        {"filter", "gaussian"}, {"test_scene", "fov 09.png"},
    };
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = with(entries, sizeof entries / sizeof *entries);
    must(den_experiment_finish(e, &err));
    return e;
}

/* ---- refusals ---- */

START_TEST(what_is_wrong_is_refused_with_its_place)
{
    static const struct {
        struct entry before, wrong;
        const char *place, *words;
    } cases[] = {
        {{"row", "a"}, {"set.lambda_ssm", "1"}, "rows[0].set.lambda_ssm", "no such"},
        {{"row", "a"}, {"set.crop", "7"}, "rows[0].set.crop", "32 to 2048"},
        {{"row", "a"}, {"set.iterations", "7"}, "rows[0].set.iterations", "in common"},
        {{"row", "a"},
         {"set.validation_fraction", "0.5"},
         "rows[0].set.validation_fraction",
         "same images"},
        {{"row", "a"}, {"set.samples", "7"}, "rows[0].set.samples", "the list samples"},
        {{"row", "a"}, {"method", "magic"}, "rows[0].method", "no such training"},
        {{"row", "a"}, {"row", "a"}, "rows[1].name", "two rows"},
        {{"row", "a"}, {"row", ""}, "rows[1].name", "1 to 40"},
        {{"row", "a"},
         {"row", "a name that is one longer than 40 letters"},
         "rows[1].name",
         "1 to 40"},
        {{"row", "a"}, {"row", "a\nb"}, "rows[1].name", "control"},
        {{"row", "a"}, {"common.epochs", "3"}, "common.epochs", "equally many steps"},
        {{"row", "a"}, {"common.crops", "32"}, "common.crops", "no such setting"},
        {{"row", "a"}, {"preset", "best"}, "preset", "one of"},
        {{"sample", "3"}, {"sample", "3"}, "samples[1]", "twice"},
        {{"sample", "3"}, {"sample", "-1"}, "samples[1]", "whole number"},
        {{"seed", "3"}, {"seed", "3"}, "seeds[1]", "twice"},
        {{"seed", "3"}, {"seed", "1.5"}, "seeds[1]", "whole number"},
        {{"filter", "median"}, {"filter", "magic"}, "filters[1]", "no such name"},
        {{"metric", "psnr"}, {"metric", "psnr"}, "metrics[1]", "twice"},
        {{"row", "a"}, {"test_scene", ""}, "test_scenes[0]", "1 to 255"},
        {{"row", "a"}, {"fit_samples", "yes"}, "fit_samples", "true or false"},
        {{"row", "a"}, {"keep_models", "1"}, "keep_models", "true or false"},
        {{"row", "a"}, {"budget", "1"}, "budget", "no such entry"},
        {{"sample", "0"}, {"set.crop", "32"}, "set.crop", "no such entry"},
        {{"sample", "0"}, {"method", "cgan"}, "method", "belongs to a row"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_experiment *e = with(&cases[i].before, 1);
        ck_assert_msg(
            !den_experiment_put(e, cases[i].wrong.key, cases[i].wrong.value, &err),
            "case %zu was taken", i);
        ck_assert_int_eq(err.code, DEN_E_INVALID);
        ck_assert_str_eq(err.field, cases[i].place);
        ck_assert_msg(strncmp(err.text, cases[i].place, strlen(cases[i].place)) == 0 &&
                          strstr(err.text, cases[i].words) != NULL,
                      "case %zu: %s", i, err.text);
        den_experiment_free(e);
    }
}
END_TEST

START_TEST(values_that_contradict_each_other_are_refused)
{
    static const struct {
        struct entry entries[5];
        const char *place, *words;
    } cases[] = {
        {{{"seed", "1"}, {"test_scene", "s"}}, "rows", "at least one row"},
        {{{"row", "a"}}, "test_scenes", "name test scenes"},
        {{{"row", "a"}, {"test_scene", "s"}, {"test_dataset", "set_1"}},
         "test_dataset",
         "either"},
        {{{"preset", "cpu"},
          {"row", "a"},
          {"test_scene", "s"},
          {"row", "b"},
          {"set.crop", "40"}},
         "rows[1].set.crop",
         "multiple of 32"},
        {{{"preset", "cpu"}, {"row", "a"}, {"test_scene", "s"}, {"set.lambda_l1", "0"}},
         "rows[0].set.lambda_l1",
         "nothing to learn"},
        {{{"row", "a"}, {"test_scene", "s"}, {"preset", "paper"}},
         "common.iterations",
         "equally many steps"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct den_err err = DEN_ERR_INIT;
        size_t count = 0;
        while (count < 5 && cases[i].entries[count].key != NULL)
            count++;
        struct den_experiment *e = with(cases[i].entries, count);
        ck_assert_msg(!den_experiment_finish(e, &err), "case %zu was taken", i);
        ck_assert_str_eq(err.field, cases[i].place);
        ck_assert_msg(strstr(err.text, cases[i].words) != NULL, "case %zu: %s", i,
                      err.text);
        den_experiment_free(e);
    }
}
END_TEST

START_TEST(more_than_a_thousand_cells_are_too_many)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = with((struct entry[]){{"test_dataset", "set_1"}}, 1);
    char text[24];
    for (int i = 0; i < 26; i++) {
        (void)snprintf(text, sizeof text, "row %d", i);
        must(den_experiment_put(e, "row", text, &err));
    }
    for (int i = 1; i <= 39; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        must(den_experiment_put(e, "seed", text, &err));
    }
    must_fail(den_experiment_finish(e, &err), DEN_E_INVALID, "1014 cells; at most 1000");
    den_experiment_free(e);
}
END_TEST

START_TEST(what_is_left_out_has_a_default)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e =
        with((struct entry[]){{"row", "a"}, {"test_dataset", "set_1"}}, 2);
    must(den_experiment_finish(e, &err));
    ck_assert_str_eq(e->preset, DEN_PRESET_DEFAULT);
    ck_assert_str_eq(e->rows[0].method, "cgan");
    ck_assert_uint_eq(e->seed_count, 3);
    ck_assert_uint_eq(e->seeds[2], 3);
    ck_assert_uint_eq(e->sample_count, 1);
    ck_assert_int_eq(e->samples[0], 0);
    ck_assert_uint_eq(e->metric_count, 5);
    ck_assert_str_eq(e->metrics[0], "psnr_matched");
    ck_assert_uint_ge(e->filter_count, 2);
    ck_assert_uint_eq(den_experiment_cells(e), 3);
    den_experiment_free(e);
}
END_TEST

START_TEST(rows_train_by_the_method_of_the_preset_unless_they_say_otherwise)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = with((struct entry[]){{"row", "a"},
                                                     {"row", "b"},
                                                     {"method", "mid3a"},
                                                     {"preset", "care"},
                                                     {"common.iterations", "9"},
                                                     {"test_dataset", "set_1"}},
                                    6);
    must(den_experiment_finish(e, &err));
    ck_assert_str_eq(e->rows[0].method, "care");
    ck_assert_str_eq(e->rows[1].method, "mid3a");
    den_experiment_free(e);
}
END_TEST

START_TEST(counts_above_what_there_is_are_refused_or_left_out)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = usual();
    must(den_experiment_fit(e, 9, &err));
    ck_assert_uint_eq(e->sample_count, 3);
    must_fail(den_experiment_fit(e, 8, &err), DEN_E_INVALID,
              "samples[1]: 8 images are asked for and 8 are there");
    e->fit_samples = true;
    must(den_experiment_fit(e, 8, &err));
    ck_assert_uint_eq(e->sample_count, 2);
    ck_assert_int_eq(e->samples[0], 0);
    ck_assert_int_eq(e->samples[1], 4);
    e->samples[0] = 6;
    must(den_experiment_fit(e, 3, &err));
    ck_assert_uint_eq(e->sample_count, 1); /* all of them, then */
    ck_assert_int_eq(e->samples[0], 0);
    den_experiment_free(e);
}
END_TEST

/* ---- cells ---- */

START_TEST(all_rows_of_the_first_seed_come_first)
{
    struct den_experiment *e = usual();
    size_t cells = den_experiment_cells(e);
    ck_assert_uint_eq(cells, 12);
    static const struct den_experiment_place first[] = {
        {0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {1, 1, 0}, {0, 2, 0}, {1, 2, 0}, {0, 0, 1}};
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        struct den_experiment_place p = den_experiment_place(e, i);
        ck_assert_uint_eq(p.row, first[i].row);
        ck_assert_uint_eq(p.sample, first[i].sample);
        ck_assert_uint_eq(p.seed, first[i].seed);
    }
    for (size_t i = 0; i < cells; i++)
        ck_assert_uint_eq(den_experiment_cell(e, den_experiment_place(e, i)), i);
    den_experiment_free(e);
}
END_TEST

START_TEST(a_cell_has_the_settings_of_preset_common_and_row)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = usual();
    struct den_train_config config;
    must(den_experiment_config(e, 1, 2, &config, &err));
    ck_assert_int_eq(config.iterations, 500);
    ck_assert_int_eq(config.samples, 4);
    close_to(config.lambda_gan, 0, 0);
    close_to(config.lambda_l1, 5, 0);
    close_to(config.lambda_ssim, 10, 0); /* of the preset */
    must(den_experiment_config(e, 0, 0, &config, &err));
    close_to(config.lambda_gan, 1, 0);
    ck_assert_int_eq(config.samples, 0);
    den_experiment_free(e);
}
END_TEST

START_TEST(an_experiment_reads_as_it_was_written)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment *e = usual(), *again = NULL;
    struct den_buf text, back;
    e->fit_samples = true;
    den_buf_init(&text, DEN_EXPERIMENT_TEXT);
    den_buf_init(&back, DEN_EXPERIMENT_TEXT);
    den_experiment_write(e, &text);
    must(den_buf_ok(&text, &err));
    must(den_experiment_read(text.data, &again, &err));
    den_experiment_write(again, &back);
    ck_assert_str_eq(back.data, text.data);
    ck_assert_str_eq(again->rows[1].name, "no GAN, \xc3\xa9");
    ck_assert_str_eq(again->test_scenes[0], "fov 09.png");
    den_experiment_free(again);
    /* Cut off anywhere, it is an error and no crash. */
    for (size_t cut = text.length - 1; cut > 0; cut--) {
        struct den_err inner = DEN_ERR_INIT;
        text.data[cut] = '\0';
        again = NULL;
        if (den_experiment_read(text.data, &again, &inner))
            den_experiment_free(
                again); /* at the end of a line near the end of the text */
        else
            ck_assert_ptr_null(again);
    }
    den_buf_release(&text);
    den_buf_release(&back);
    den_experiment_free(e);
}
END_TEST

/* ---- statistics ---- */

START_TEST(spreads_are_those_computed_by_hand)
{
    const double nan = (double)NAN, inf = (double)INFINITY;
    const struct {
        double values[4];
        double mean, sd, sem;
        size_t n;
    } cases[] = {
        {{1, 2, 3, 4}, 2.5, 1.2909944487358056, 0.6454972243679028, 4},
        {{36.1, 36.4, nan, 36.7}, 36.4, 0.3, 0.17320508075688773, 3},
        {{inf, 5, nan, 7}, 6, 1.4142135623730951, 1, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct den_spread s = den_spread_of(cases[i].values, 4);
        ck_assert_uint_eq(s.n, cases[i].n);
        close_to(s.mean, cases[i].mean, 1e-12);
        close_to(s.sd, cases[i].sd, 1e-12);
        close_to(s.sem, cases[i].sem, 1e-12);
    }
    struct den_spread one = den_spread_of((double[]){nan, 3}, 2);
    ck_assert_uint_eq(one.n, 1);
    close_to(one.mean, 3, 0);
    ck_assert(isnan(one.sd) && isnan(one.sem));
    struct den_spread none = den_spread_of(&nan, 1);
    ck_assert(none.n == 0 && isnan(none.mean));
}
END_TEST

/* Differences of pairs spread less than the values: 30, 34 against 31, 35.2. */
START_TEST(rows_are_compared_seed_by_seed)
{
    struct den_experiment *e = usual();
    static struct den_experiment_result results[12];
    static const double values[2][2] = {{30, 34}, {31, 35.2}}; /* [row][seed] */
    for (size_t row = 0; row < 2; row++)
        for (size_t seed = 0; seed < 2; seed++) {
            struct den_experiment_place p = {.row = row, .sample = 1, .seed = seed};
            struct den_experiment_result *r = &results[den_experiment_cell(e, p)];
            r->state = DEN_CELL_DONE;
            r->seconds = 10 + 2 * (double)seed;
            r->images = 8;
            r->values[1] = values[row][seed];
        }
    struct den_spread s = den_experiment_spread(e, results, 1, 1, 1);
    close_to(s.mean, 33.1, 1e-12);
    close_to(s.sem, 2.1, 1e-12);
    s = den_experiment_difference(e, results, 1, 1, 1);
    ck_assert_uint_eq(s.n, 2);
    close_to(s.mean, 1.1, 1e-12);
    close_to(s.sem, 0.1, 1e-12);
    close_to(den_experiment_seconds(e, results, 0, 1).mean, 11, 1e-12);
    close_to(den_experiment_images(e, results, 1), 8, 0);
    close_to(den_experiment_images(e, results, 0), 0, 0);
    /* What is open or diverged says nothing, whatever stands in it. */
    struct den_experiment_place gone = {.row = 0, .sample = 1, .seed = 1};
    results[den_experiment_cell(e, gone)].state = DEN_CELL_DIVERGED;
    s = den_experiment_difference(e, results, 1, 1, 1);
    ck_assert_uint_eq(s.n, 1);
    close_to(s.mean, 1, 1e-12);
    ck_assert(isnan(s.sem));
    ck_assert_uint_eq(den_experiment_spread(e, results, 1, 0, 1).n, 0);
    /* Left: row 0 took 10 s once and has 4 open cells, row 1 11 s on the mean and 4. */
    close_to(den_experiment_left(e, results), 4 * 10 + 4 * 11, 1e-12);
    den_experiment_free(e);
}
END_TEST

/* Tables of Student's t: two-sided 5 % points, and t = 2. */
START_TEST(students_t_agrees_with_its_tables)
{
    static const struct {
        double t;
        size_t df;
        double want;
    } cases[] = {
        {12.7062047, 1, 0.05},  {4.30265273, 2, 0.05}, {3.18244631, 3, 0.05},
        {2.77644511, 4, 0.05},  {2.57058184, 5, 0.05}, {2.26215716, 9, 0.05},
        {2.08596345, 20, 0.05}, {2, 2, 0.18350342},    {0, 7, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        close_to(den_student_two_sided(cases[i].t, cases[i].df), cases[i].want, 1e-8);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("experiment");
    TCase *tc = tcase_create("experiment");
    tcase_add_test(tc, what_is_wrong_is_refused_with_its_place);
    tcase_add_test(tc, values_that_contradict_each_other_are_refused);
    tcase_add_test(tc, more_than_a_thousand_cells_are_too_many);
    tcase_add_test(tc, what_is_left_out_has_a_default);
    tcase_add_test(tc, rows_train_by_the_method_of_the_preset_unless_they_say_otherwise);
    tcase_add_test(tc, counts_above_what_there_is_are_refused_or_left_out);
    tcase_add_test(tc, all_rows_of_the_first_seed_come_first);
    tcase_add_test(tc, a_cell_has_the_settings_of_preset_common_and_row);
    tcase_add_test(tc, an_experiment_reads_as_it_was_written);
    tcase_add_test(tc, spreads_are_those_computed_by_hand);
    tcase_add_test(tc, rows_are_compared_seed_by_seed);
    tcase_add_test(tc, students_t_agrees_with_its_tables);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
