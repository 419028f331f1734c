/* The report of a fixed result: the sentences claim what the numbers say, and the picture
 * is well-formed. */

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "den_check.h"
#include "experiment_api.h"
#include "mem.h"

static struct den_experiment_state state;
static struct den_job_row job;

static void put(const char *key, const char *value)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_experiment_put(state.experiment, key, value, &err));
}

/* PSNR of [row][sample][seed]: row b is 0.5 better with a spread of 0.1 at all images,
 * and at 8 it is not told apart.  Row c diverged with the first seed, and has one left.
 */
static const double psnr[3][2][3] = {{{36, 36.4, 36.8}, {35, 35.2, 35.4}},
                                     {{36.4, 36.9, 37.4}, {35.5, 34.9, 35.6}},
                                     {{0, 30, 0}, {0, 0, 0}}};

static void setup(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_experiment_new(&state.experiment, &err));
    static const char *const entries[][2] = {
        {"preset", "cpu"},     {"row", "base | line"}, {"row", "a<b & \"c\"]]>"},
        {"row", "c"},          {"sample", "0"},        {"sample", "8"},
        {"metric", "psnr"},    {"metric", "nrmse"},    {"filter", "median"},
        {"test_scene", "s_1"},
    };
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        put(entries[i][0], entries[i][1]);
    struct den_experiment *e = state.experiment;
    must(den_experiment_finish(e, &err));
    state.results = den_calloc(den_experiment_cells(e), sizeof *state.results);
    state.baselines = den_calloc(2, sizeof *state.baselines);
    state.baselines[0].there = true;
    state.baselines[0].values[0] = 30.25;
    state.baselines[0].values[1] = (double)NAN;
    for (size_t i = 0; i < den_experiment_cells(e); i++) {
        struct den_experiment_place p = den_experiment_place(e, i);
        struct den_experiment_result *r = &state.results[i];
        double value = psnr[p.row][p.sample][p.seed];
        if (p.row == 2 && value < 1)
            continue;
        r->state = DEN_CELL_DONE;
        r->images = p.sample == 0 ? 24 : 8;
        r->seconds = 2.5;
        r->values[0] = value;
        r->values[1] = (double)NAN;
        state.done++;
    }
    state.results[2].state = DEN_CELL_DIVERGED;
    (void)snprintf(state.results[2].why, sizeof state.results[2].why,
                   "the training diverged: lr = 10");
    state.done++;
    job = (struct den_job_row){.id = "job_01", .kind = "experiment", .dataset = "set_01"};
    job.state = DEN_JOB_RUNNING;
}

static void teardown(void)
{
    den_experiment_release(&state);
}

static void must_hold(const struct den_buf *text, const char *words)
{
    ck_assert_msg(strstr(text->data, words) != NULL, "no '%s' in\n%s", words, text->data);
}

START_TEST(the_tables_and_sentences_are_those_of_the_numbers)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment_report report = {&job, &state};
    struct den_buf text;
    den_buf_init(&text, 1 << 20);
    den_experiment_markdown(&report, &text);
    must(den_buf_ok(&text, &err));
    static const char *const lines[] = {
        "14 of 18 cells are done (the job is running). About 10 s of training are left. "
        "Trained on set_01, preset cpu, "
        "3000 steps each; tested on images that no training has seen (s\\_1).",
        "\n## psnr [dB]\n",
        "\n| | all | 8 |\n|---|---:|---:|\n| noisy | 30.25 | 30.25 |\n"
        "| median | - | - |\n"
        "| base \\| line | 36.40 +- 0.23 (3) | 35.20 +- 0.12 (3) |\n"
        "| a\\<b & \"c\"\\]\\]\\> | 36.90 +- 0.29 (3) | 35.33 +- 0.22 (3) |\n"
        "| c | 30.00 (1) | - |\n",
        "\n## Compared with base \\| line\n",
        "\n- a\\<b & \"c\"\\]\\]\\>, all images: psnr is 0.50 dB higher than that of "
        "base "
        "\\| line (SEM 0.06, 3 seeds), which exceeds 2 SEM.\n",
        "8 images: psnr is 0.13 dB higher than that of base \\| line (SEM 0.23, 3 "
        "seeds), "
        "which does not exceed 2 SEM: no difference is shown.\n",
        "\n- c, all images: psnr is 6.40 dB lower than that of base \\| line; one seed "
        "says "
        "nothing about chance.\n",
        "over 3 seeds exceeds 2 SEM by chance in 18 of 100 cases (Student's t); 3 "
        "comparisons are here.\n",
        "| c | 2.5 (1) | - |\n",
        "\n## Cells that diverged\n\n- c, all images, seed 1: the training diverged: lr "
        "= "
        "10\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        must_hold(&text, lines[i]);
    den_buf_release(&text);
}
END_TEST

START_TEST(the_json_has_every_number_and_no_nan)
{
    struct den_experiment_report report = {&job, &state};
    json_t *out = den_experiment_json(&report);
    ck_assert_ptr_nonnull(out);
    json_t *cells = json_object_get(out, "cells"),
           *summary = json_object_get(out, "summary");
    ck_assert_uint_eq(json_array_size(cells), 18);
    ck_assert_uint_eq(json_array_size(summary), 6);
    const json_t *b = json_object_get(
        json_object_get(json_array_get(summary, 2), "metrics"), "psnr"); /* row b, all */
    close_to(json_number_value(json_object_get(b, "mean")), 36.9, 1e-12);
    close_to(json_number_value(json_object_get(b, "sd")), 0.5, 1e-12);
    const json_t *difference = json_object_get(b, "difference");
    close_to(json_number_value(json_object_get(difference, "mean")), 0.5, 1e-12);
    close_to(json_number_value(json_object_get(difference, "sem")), 0.1 / sqrt(3), 1e-9);
    const json_t *diverged = json_array_get(cells, 2), *none = json_array_get(cells, 0);
    ck_assert_str_eq(json_string_value(json_object_get(diverged, "state")), "diverged");
    ck_assert(json_is_null(json_object_get(diverged, "metrics")));
    ck_assert(json_is_null(
        json_object_get(json_object_get(none, "metrics"), "nrmse"))); /* not a number */
    char *text = json_dumps(out, 0);
    ck_assert_ptr_nonnull(text);
    free(text);
    json_decref(out);
}
END_TEST

/* ---- the picture ---- */

/* Elements close in order, attributes are quoted and there once, no bare & or <.  What a
 * reader of XML would refuse; the elements of our SVG need no more of XML than this. */
static void must_be_well_formed(const char *text)
{
    char open[16][32];
    size_t depth = 0, elements = 0;
    ck_assert(strncmp(text, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", 39) == 0);
    for (const char *at = text + 39; *at != '\0';) {
        if (*at == '&') {
            size_t n = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz");
            ck_assert_msg(n > 0 && at[n + 1] == ';', "bare & at %.30s", at);
        }
        if (*at != '<') {
            ck_assert_msg(depth > 0 || isspace((unsigned char)*at), "text outside");
            at++;
            continue;
        }
        bool closes = at[1] == '/';
        at += 1 + closes;
        size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
        ck_assert_msg(n > 0 && n < sizeof open[0], "no name at %.30s", at);
        if (closes) {
            ck_assert_msg(depth > 0 && strlen(open[depth - 1]) == n &&
                              memcmp(open[depth - 1], at, n) == 0,
                          "</%.*s> closes nothing", (int)n, at);
            depth--;
            at += n;
            ck_assert_int_eq(*at++, '>');
            continue;
        }
        ck_assert_uint_lt(depth, 16);
        (void)snprintf(open[depth++], sizeof open[0], "%.*s", (int)n, at);
        elements++;
        at += n;
        while (*at == ' ') {
            at += 1 + strcspn(at + 1, "=");
            ck_assert_msg(at[0] == '=' && at[1] == '"', "no value at %.30s", at);
            at += 2;
            size_t value = strcspn(at, "\"<");
            ck_assert_msg(at[value] == '"', "the value does not end: %.30s", at);
            at += value + 1;
        }
        if (*at == '/') {
            depth--;
            at++;
        }
        ck_assert_msg(*at == '>', "no end of the element at %.30s", at);
        at++;
    }
    ck_assert_uint_eq(depth, 0);
    ck_assert_uint_gt(elements, 5);
}

static size_t count_of(const char *text, const char *words)
{
    size_t count = 0;
    for (; (text = strstr(text, words)) != NULL; text += strlen(words))
        count++;
    return count;
}

START_TEST(the_picture_is_well_formed_and_shows_what_there_is)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment_report report = {&job, &state};
    char noisy[] = "bm9pc3k=", reference[] = "cmVm", first[] = "Zmlyc3Q=";
    char *rows[3] = {first, NULL, NULL};
    struct den_experiment_crops crops = {noisy, reference, rows};
    struct den_buf text;
    den_buf_init(&text, 1 << 20);
    den_experiment_svg(&report, &crops, &text);
    must(den_buf_ok(&text, &err));
    must_be_well_formed(text.data);
    ck_assert_uint_eq(count_of(text.data, "<image "), 3);
    ck_assert_uint_eq(count_of(text.data, "<polyline "), 3);
    ck_assert_uint_eq(count_of(text.data, "<circle "), 5); /* cell c has one point */
    must_hold(&text, "data:image/png;base64,Zmlyc3Q=\"");
    must_hold(&text, ">a&lt;b &amp; &quot;c&quot;]]&gt;</text>");
    must_hold(&text, "fill=\"#ffffff\"/>"); /* the ground, for dark viewers */
    must_hold(&text, ">psnr [dB]</text>");
    must_hold(&text, ">24</text>"); /* images at the axis */
    ck_assert_ptr_null(strstr(text.data, "nan"));
    ck_assert_ptr_null(strstr(text.data, "inf"));
    den_buf_release(&text);
}
END_TEST

START_TEST(the_picture_of_nothing_is_well_formed)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment_report report = {&job, &state};
    char *rows[3] = {NULL};
    struct den_experiment_crops crops = {NULL, NULL, rows};
    struct den_buf text;
    memset(state.results, 0,
           den_experiment_cells(state.experiment) * sizeof *state.results);
    den_buf_init(&text, 1 << 20);
    den_experiment_svg(&report, &crops, &text);
    must(den_buf_ok(&text, &err));
    must_be_well_formed(text.data);
    must_hold(&text, "No cell is finished yet.");
    den_buf_clear(&text);
    den_experiment_markdown(&report, &text);
    must_hold(&text, "Nothing can be compared yet.");
    den_buf_release(&text);
}
END_TEST

/* Forty times e with an acute accent would be 80 bytes; a cut may not halve one. */
START_TEST(a_long_name_is_cut_between_letters)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment_report report = {&job, &state};
    char crop[] = "bm9pc3k=", *rows[3] = {crop, NULL, NULL};
    struct den_experiment_crops crops = {NULL, NULL, rows};
    struct den_buf text;
    (void)snprintf(state.experiment->rows[0].name, DEN_EXPERIMENT_NAME, "%s",
                   "a\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
                   "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 and more\xef\xbf\xbf");
    den_buf_init(&text, 1 << 20);
    den_experiment_svg(&report, &crops, &text);
    must(den_buf_ok(&text, &err));
    must_be_well_formed(text.data);
    must_hold(&text, ">a\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
                     "\xc3\xa9...</text>"); /* 19 of 20 bytes */
    ck_assert_ptr_null(strstr(text.data, "\xef\xbf\xbf"));
    den_buf_release(&text);
}
END_TEST

START_TEST(one_number_of_images_and_equal_values_draw_too)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_experiment_report report = {&job, &state};
    char *rows[3] = {NULL};
    struct den_experiment_crops crops = {NULL, NULL, rows};
    struct den_buf text;
    for (size_t i = 0; i < den_experiment_cells(state.experiment); i++) {
        state.results[i].images = 8;
        state.results[i].values[0] = 0;
    }
    den_buf_init(&text, 1 << 20);
    den_experiment_svg(&report, &crops, &text);
    must(den_buf_ok(&text, &err));
    must_be_well_formed(text.data);
    ck_assert_ptr_null(strstr(text.data, "nan"));
    ck_assert_ptr_null(strstr(text.data, "inf"));
    den_buf_release(&text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("experiment report");
    TCase *tc = tcase_create("report");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, the_tables_and_sentences_are_those_of_the_numbers);
    tcase_add_test(tc, the_json_has_every_number_and_no_nan);
    tcase_add_test(tc, the_picture_is_well_formed_and_shows_what_there_is);
    tcase_add_test(tc, the_picture_of_nothing_is_well_formed);
    tcase_add_test(tc, a_long_name_is_cut_between_letters);
    tcase_add_test(tc, one_number_of_images_and_equal_values_draw_too);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
