#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "model.h"
#include "str.h"

static const struct den_net_options small_net = {
    .channels_in = 1, .channels_out = 1, .width = 2, .depth = 5};
static const struct den_norm usual_norm = {"mean_std", 0.1, 1.0 / 3.0};

static char folder[64], path[80];

static void make_folder(void)
{
    ck_assert(den_str_copy(folder, sizeof folder, "/tmp/denoised-model-XXXXXX"));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert(den_str_format(path, sizeof path, "%s/model", folder));
}

static void remove_folder(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(folder, &err));
}

static struct den_model *make_model(struct den_net_options options, uint64_t seed)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = NULL;
    must(den_model_new(den_backends[0], &den_net_unet, &options, &usual_norm, &model,
                       &err));
    den_params_init(model->params, seed);
    return model;
}

/* ---- normalisation ---- */

START_TEST(each_normalisation_fits_its_statistics)
{
    /* 0, 1, ..., 1000 in a scrambled order (7 and 1001 have a common factor, 8 not) */
    static float ramp[1001];
    for (size_t i = 0; i < 1001; i++)
        ramp[i] = (float)(i * 8 % 1001);
    static const struct {
        const char *name;
        double shift, scale;
    } rows[] = {{"mean_std", 500, 288.96366553}, /* sqrt((1001^2 - 1) / 12) */
                {"percentile", 500, 499},        /* from 1 to 999 */
                {"min_max", 500, 500}};
    struct den_err err = DEN_ERR_INIT;
    double shift, scale;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        must(den_norm_find(rows[i].name)->fit(ramp, 1001, &shift, &scale, &err));
        close_to(shift, rows[i].shift, 1e-9);
        close_to(scale, rows[i].scale, 1e-9);
    }
    ck_assert_ptr_null(den_norm_find("batch"));
}
END_TEST

START_TEST(one_hot_pixel_sets_only_the_min_max_scale)
{
    static float pixels[10000];
    for (size_t i = 0; i < 10000; i++)
        pixels[i] = (float)(i % 101);
    pixels[77] = 65535;
    struct den_err err = DEN_ERR_INIT;
    double shift, scale;
    must(den_norm_find("percentile")->fit(pixels, 10000, &shift, &scale, &err));
    close_to(shift, 50, 1e-9);
    close_to(scale, 50, 1e-9);
    must(den_norm_find("min_max")->fit(pixels, 10000, &shift, &scale, &err));
    ck_assert(scale > 32000);
}
END_TEST

START_TEST(degenerate_images_keep_a_usable_scale_or_are_refused)
{
    static float flat[100], sparse[5000];
    struct den_err err = DEN_ERR_INIT;
    for (size_t i = 0; i < 100; i++)
        flat[i] = 7;
    sparse[3] = 40; /* one pixel in 5000 lies beyond both percentiles */
    for (const struct den_norm_kind *k = den_norm_kinds; k->name != NULL; k++) {
        double shift = -1, scale = -1;
        must(k->fit(flat, 100, &shift, &scale, &err));
        ck_assert_msg(shift == 7 && scale == 1, "%s: %g %g", k->name, shift, scale);
        must(k->fit(flat, 1, &shift, &scale, &err));
        ck_assert(shift == 7 && scale == 1);
        must(k->fit(sparse, 5000, &shift, &scale, &err));
        ck_assert(scale > 0.1 && scale <= 20 && k->doc[0] != '\0');
        flat[99] = (float)NAN;
        must_fail(k->fit(flat, 100, &shift, &scale, &err), DEN_E_UNPROCESSABLE,
                  "not a finite number");
        flat[99] = -(float)INFINITY;
        must_fail(k->fit(flat, 100, &shift, &scale, &err), DEN_E_UNPROCESSABLE,
                  "not a finite number");
        flat[99] = 7;
    }
}
END_TEST

/* ---- models ---- */

START_TEST(a_model_has_every_parameter_of_its_net)
{
    static const struct {
        size_t depth, width;
        bool instance;
        size_t count;
    } rows[] = {
        {7, 64, false, 41822849}, {8, 64, false, 54407809}, {7, 64, true, 41819521}};
    for (size_t i = 0; i < 3; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_net_options options = {.channels_in = 1,
                                          .channels_out = 1,
                                          .width = rows[i].width,
                                          .depth = rows[i].depth,
                                          .instance_norm = rows[i].instance};
        size_t bytes, live = den_mem_live();
        den_mem_reset_peak();
        must(den_model_bytes(&den_net_unet, &options, &bytes, &err));
        ck_assert_uint_ge(bytes, rows[i].count * 4);
        ck_assert_uint_le(bytes, rows[i].count * 4 + 100000); /* running statistics */
        ck_assert_msg(den_mem_peak() - live < 1 << 20, "counting took memory");
    }
    struct den_model *model = make_model(small_net, 1);
    struct den_err err = DEN_ERR_INIT;
    size_t bytes, count = 0;
    must(den_model_bytes(&den_net_unet, &small_net, &bytes, &err));
    for (size_t i = 0; i < den_params_size(model->params); i++)
        count += den_params_at(model->params, i)->count;
    ck_assert_uint_eq(bytes, count * 4);
    ck_assert_ptr_nonnull(den_params_find(model->params, "model.model.0.weight"));
    den_model_free(model);
    den_model_free(NULL);
}
END_TEST

START_TEST(a_care_model_comes_back_with_its_kernels)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_norm norm = {"mean_std", 3, 2};
    for (size_t kernel = 3; kernel <= 5; kernel += 2) {
        struct den_net_options options = {.channels_in = 1,
                                          .channels_out = 1,
                                          .width = 3,
                                          .depth = 1,
                                          .kernel = kernel};
        struct den_model *model = NULL, *back = NULL;
        must(
            den_model_new(den_backends[0], &den_net_care, &options, &norm, &model, &err));
        den_params_init(model->params, 1);
        must(den_model_save(model, NULL, 0, path, &err));
        must(den_model_load(den_backends[0], path, &back, &err));
        ck_assert_ptr_eq(back->net, &den_net_care);
        ck_assert_uint_eq(back->options.kernel, kernel);
        const struct den_param *weight = den_params_find(back->params, "down.0.1.weight");
        ck_assert_ptr_nonnull(weight);
        ck_assert_uint_eq(weight->count, 9 * kernel * kernel);
        den_model_free(model);
        den_model_free(back);
    }
}
END_TEST

START_TEST(a_patchgan_is_a_model_too)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_net_options options = {.channels_in = 2, .channels_out = 1, .width = 64};
    for (options.depth = 1; options.depth <= 5; options.depth++) {
        size_t bytes;
        must(den_model_bytes(&den_net_patchgan, &options, &bytes, &err));
        if (options.depth == 3)
            ck_assert(bytes >= 2764609 * 4 && bytes < 2764609 * 4 + 20000);
    }
}
END_TEST

START_TEST(a_model_that_makes_no_sense_is_refused)
{
    static const struct {
        struct den_norm norm;
        const char *words;
    } rows[] = {{{"wavelet", 0, 1}, "no normalisation 'wavelet'"},
                {{NULL, 0, 1}, "no normalisation ''"},
                {{"mean_std", NAN, 1}, "shift nan"},
                {{"mean_std", 0, 0}, "scale 0 of the normalisation is not above 0"},
                {{"mean_std", 0, -2}, "scale -2"},
                {{"mean_std", 0, INFINITY}, "scale inf"}};
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        must_fail(den_model_new(den_backends[0], &den_net_unet, &small_net, &rows[i].norm,
                                &model, &err),
                  DEN_E_INVALID, rows[i].words);
    struct den_net_options options = small_net;
    options.depth = 40;
    must_fail(den_model_new(den_backends[0], &den_net_unet, &options, &usual_norm, &model,
                            &err),
              DEN_E_INVALID, "40");
    size_t bytes, graph;
    must_fail(den_model_bytes(&den_net_unet, &options, &bytes, &err), DEN_E_INVALID,
              "40");
    must_fail(den_model_plan(&den_net_unet, &small_net, 1, 40, 32, DEN_FOR_INFERENCE, 1,
                             &bytes, &graph, &err),
              DEN_E_INVALID, "");
    ck_assert_ptr_null(model);
}
END_TEST

START_TEST(a_plan_for_training_is_the_graph_that_training_makes)
{
    struct den_err err = DEN_ERR_INIT;
    size_t params, graph;
    for (int threads = 1; threads <= 2; threads++) {
        must(den_model_plan(&den_net_unet, &small_net, 4, 64, 64, DEN_FOR_TRAINING,
                            threads, &params, &graph, &err));
        struct den_model *model = make_model(small_net, 1);
        struct den_pool *pool = NULL;
        struct den_graph *g = NULL;
        must(den_pool_new(threads, &pool, &err));
        must(den_graph_new(model->params, pool, &g, &err));
        den_node x = den_input(g, (struct den_shape){4, 64, 64, 1});
        must(den_graph_finish(g, model->net->build(g, x, &model->options),
                              DEN_FOR_TRAINING, &err));
        ck_assert_uint_eq(den_graph_bytes(g), graph);
        den_graph_free(g);
        den_pool_free(pool);
        den_model_free(model);
    }
}
END_TEST

/* ---- files ---- */

START_TEST(a_saved_model_comes_back_bit_for_bit)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_net_options options = small_net;
    options.instance_norm = options.dropout = options.tanh_output = true;
    options.winograd = DEN_WINOGRAD_OFF;
    const struct den_net_options *variants[] = {&small_net, &options};
    for (size_t v = 0; v < 2; v++) {
        struct den_model *model = make_model(*variants[v], 5), *back = NULL;
        static const struct den_meta extra[] = {{"step", "1234"},
                                                {"config", "{\"lr\":1}"}};
        must(den_model_save(model, extra, 2, path, &err));
        must(den_model_load(den_backends[0], path, &back, &err));
        ck_assert(back->net == model->net);
        ck_assert(memcmp(&back->options, &model->options, sizeof options) == 0);
        ck_assert_str_eq(back->norm.kind, "mean_std");
        ck_assert(back->norm.shift == 0.1 && back->norm.scale == 1.0 / 3.0);
        ck_assert_uint_eq(den_params_size(back->params), den_params_size(model->params));
        for (size_t i = 0; i < den_params_size(model->params); i++) {
            const struct den_param *a = den_params_at(model->params, i);
            const struct den_param *b = den_params_at(back->params, i);
            ck_assert_str_eq(a->name, b->name);
            float *x = den_calloc(a->count, sizeof *x),
                  *y = den_calloc(b->count, sizeof *y);
            den_param_read(model->params, a, x);
            den_param_read(back->params, b, y);
            ck_assert(memcmp(x, y, a->count * sizeof *x) == 0);
            den_free(x);
            den_free(y);
        }
        struct den_tensor_file *file = NULL;
        must(den_tensor_file_open(path, DEN_MODEL_FILE_MAX, &file, &err));
        ck_assert_str_eq(den_tensor_file_meta(file, "step"), "1234");
        ck_assert_str_eq(den_tensor_file_meta(file, "norm_layer"),
                         v == 0 ? "batch" : "instance");
        den_tensor_file_free(file);
        den_model_free(model);
        den_model_free(back);
    }
}
END_TEST

START_TEST(extra_metadata_cannot_change_the_model)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = make_model(small_net, 5);
    static const struct den_meta extra[] = {{"scale", "2"}};
    ck_assert(!den_model_save(model, extra, 1, path, &err));
    ck_assert_msg(strstr(err.text, "scale") != NULL, "%s", err.text);
    ck_assert(!den_fs_exists(path));
    den_model_free(model);
}
END_TEST

/* Keys of a good file, and what a file with one of them changed or left out (value NULL)
 * must answer. */
static const struct den_meta good[] = {
    {"denoised_model", "1"}, {"net", "unet"},      {"channels_in", "1"},
    {"channels_out", "1"},   {"width", "2"},       {"depth", "5"},
    {"norm_layer", "batch"}, {"dropout", "false"}, {"output", "linear"},
    {"winograd", "f22"},     {"shift", "0.5"},     {"normalisation", "mean_std"},
    {"scale", "2"},
};

static const struct {
    const char *key, *value;
    enum den_code code;
    const char *words;
} bad[] = {
    {"denoised_model", NULL, DEN_E_UNPROCESSABLE, "not a model of denoised"},
    {"denoised_model", "2", DEN_E_UNSUPPORTED, "format version '2'"},
    {"net", NULL, DEN_E_UNPROCESSABLE, "does not say its 'net'"},
    {"net", "transformer", DEN_E_UNSUPPORTED, "net 'transformer'"},
    {"channels_in", "0", DEN_E_UNPROCESSABLE, "'channels_in' of the model file is '0'"},
    {"channels_in", "one", DEN_E_UNPROCESSABLE, "'one'"},
    {"channels_out", NULL, DEN_E_UNPROCESSABLE, "does not say its 'channels_out'"},
    {"width", "3", DEN_E_UNPROCESSABLE, "net of"},
    {"width", "60000", DEN_E_UNPROCESSABLE, "60000"},
    {"width", "99999999999999999999", DEN_E_UNPROCESSABLE, "not a whole number"},
    {"width", "-1", DEN_E_UNPROCESSABLE, "not a whole number"},
    {"depth", "6", DEN_E_UNPROCESSABLE, "net of"},
    {"depth", "5.0", DEN_E_UNPROCESSABLE, "not a whole number"},
    {"norm_layer", "layer", DEN_E_UNPROCESSABLE, "not 'batch' or 'instance'"},
    {"dropout", "yes", DEN_E_UNPROCESSABLE, "not 'false' or 'true'"},
    {"output", NULL, DEN_E_UNPROCESSABLE, "does not say its 'output'"},
    {"winograd", "F22", DEN_E_UNPROCESSABLE, "'F22', not one of: auto f22 off"},
    {"winograd", "", DEN_E_UNPROCESSABLE, "'winograd' of the model file is ''"},
    {"normalisation", "zca", DEN_E_UNPROCESSABLE, "no normalisation 'zca'"},
    {"shift", "nan", DEN_E_UNPROCESSABLE, "'shift' of the model file is 'nan'"},
    {"shift", "1e999", DEN_E_UNPROCESSABLE, "not a finite number"},
    {"scale", "0", DEN_E_UNPROCESSABLE, "scale 0"},
    {"scale", "-1", DEN_E_UNPROCESSABLE, "scale -1"},
    {"scale", NULL, DEN_E_UNPROCESSABLE, "does not say its 'scale'"},
};

static void write_file(struct den_model *model, const char *key, const char *value)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_tensor_writer *writer = NULL;
    must(den_tensor_writer_new(&writer, &err));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        bool changed = key != NULL && strcmp(good[i].key, key) == 0;
        const char *text = changed ? value : good[i].value;
        if (text != NULL)
            must(den_tensor_writer_meta(writer, good[i].key, text, &err));
    }
    must(den_params_save(model->params, "", false, writer, &err));
    must(den_tensor_writer_save(writer, path, &err));
    den_tensor_writer_free(writer);
}

START_TEST(a_file_that_lies_is_refused_with_a_sentence)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = make_model(small_net, 5), *back = NULL;
    write_file(model, NULL, NULL);
    must(den_model_load(den_backends[0], path, &back, &err));
    den_model_free(back);
    back = NULL;
    size_t live = den_mem_live();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(model, bad[i].key, bad[i].value);
        den_mem_reset_peak();
        must_fail(den_model_load(den_backends[0], path, &back, &err), bad[i].code,
                  bad[i].words);
        ck_assert_ptr_null(back);
        ck_assert_uint_eq(den_mem_live(), live);
        ck_assert_msg(den_mem_peak() < live + (8 << 20), "row %zu allocates", i);
    }
    den_model_free(model);
}
END_TEST

START_TEST(a_file_without_the_choice_of_algorithms_has_the_usual_one)
{
    static const struct {
        const char *text;
        enum den_winograd want;
    } rows[] = {{NULL, DEN_WINOGRAD_AUTO},
                {"auto", DEN_WINOGRAD_AUTO},
                {"f22", DEN_WINOGRAD_F22},
                {"off", DEN_WINOGRAD_OFF}};
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = make_model(small_net, 5);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct den_model *back = NULL;
        write_file(model, "winograd", rows[i].text);
        must(den_model_load(den_backends[0], path, &back, &err));
        ck_assert_int_eq(back->options.winograd, rows[i].want);
        den_model_free(back);
    }
    den_model_free(model);
}
END_TEST

START_TEST(weights_that_are_not_finite_or_missing_are_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = make_model(small_net, 5), *back = NULL;
    struct den_param *bias = den_params_find(model->params, "model.model.3.bias");
    ck_assert(bias != NULL && bias->count == 1);
    const float nan = (float)NAN;
    den_param_write(model->params, bias, &nan);
    must(den_model_save(model, NULL, 0, path, &err));
    must_fail(den_model_load(den_backends[0], path, &back, &err), DEN_E_UNPROCESSABLE,
              "model.model.3.bias");
    must_fail(den_model_load(den_backends[0], "/nonexistent/model", &back, &err),
              DEN_E_NOT_FOUND, "");
    must(den_fs_write(path, "hello", 5, &err));
    ck_assert(!den_model_load(den_backends[0], path, &back, &err) && err.text[0] != '\0');
    ck_assert_ptr_null(back);
    den_model_free(model);
}
END_TEST

START_TEST(every_allocation_may_fail)
{
    struct den_model *model = make_model(small_net, 5);
    write_file(model, NULL, NULL);
    size_t live = den_mem_live(), failures = 0;
    for (size_t n = 1;; n++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_model *back = NULL;
        den_mem_fail_at(n);
        bool done = den_model_load(den_backends[0], path, &back, &err);
        den_mem_fail_at(0);
        if (done) {
            den_model_free(back);
            break;
        }
        ck_assert_msg(err.code == DEN_E_NO_MEMORY, "%zu: %s", n, err.text);
        ck_assert(back == NULL && den_mem_live() == live);
        failures++;
    }
    ck_assert_uint_ge(failures, 50);
    den_model_free(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("models");
    TCase *norms = tcase_create("normalisation");
    tcase_add_test(norms, each_normalisation_fits_its_statistics);
    tcase_add_test(norms, one_hot_pixel_sets_only_the_min_max_scale);
    tcase_add_test(norms, degenerate_images_keep_a_usable_scale_or_are_refused);
    suite_add_tcase(suite, norms);
    TCase *models = tcase_create("models");
    tcase_add_test(models, a_model_has_every_parameter_of_its_net);
    tcase_add_test(models, a_patchgan_is_a_model_too);
    tcase_add_test(models, a_model_that_makes_no_sense_is_refused);
    tcase_add_test(models, a_plan_for_training_is_the_graph_that_training_makes);
    suite_add_tcase(suite, models);
    TCase *files = tcase_create("files");
    tcase_set_timeout(files, 60);
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, a_saved_model_comes_back_bit_for_bit);
    tcase_add_test(files, a_care_model_comes_back_with_its_kernels);
    tcase_add_test(files, extra_metadata_cannot_change_the_model);
    tcase_add_test(files, a_file_that_lies_is_refused_with_a_sentence);
    tcase_add_test(files, a_file_without_the_choice_of_algorithms_has_the_usual_one);
    tcase_add_test(files, weights_that_are_not_finite_or_missing_are_refused);
    tcase_add_test(files, every_allocation_may_fail);
    suite_add_tcase(suite, files);
    return den_check_main(suite);
}
