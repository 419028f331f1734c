#include <math.h>
#include <string.h>

#include "contrast.h"
#include "den_check.h"
#include "loss.h"
#include "model.h"
#include "str.h"
#include "train_plan.h"
#include "trainer.h"

static struct den_train_config preset(const char *name)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config;
    must(den_train_config_preset(name, &config, &err));
    return config;
}

START_TEST(every_preset_is_a_configuration_that_passes_the_check)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = preset(den_presets[_i].name);
    must(den_train_config_check(&config, &err));
    ck_assert_uint_gt(strlen(den_presets[_i].doc), 20);
}
END_TEST

START_TEST(every_key_of_every_preset_reads_back_as_the_text_of_the_table)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = preset(den_presets[_i].name), other;
    char text[64];
    memset(&other, 0, sizeof other);
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++) {
        den_train_config_get(&config, k, text, sizeof text);
        ck_assert_msg(strcmp(text, k->preset[_i]) == 0, "%s: %s", k->name, text);
        must(den_train_config_set(&other, k->name, text, &err));
        den_train_config_get(&other, k, text, sizeof text);
        ck_assert_str_eq(text, k->preset[_i]);
        ck_assert_uint_gt(strlen(k->doc), 10);
    }
    must(den_train_config_check(&other, &err));
}
END_TEST

START_TEST(presets_hold_what_the_method_prescribes)
{
    struct den_train_config cpu = preset("cpu"), gan = preset("cpu_gan");
    struct den_train_config paper = preset("paper"), code = preset("code");
    ck_assert_str_eq(den_presets[0].name, "cpu");
    close_to(cpu.lr, 1e-3, 0);
    close_to(cpu.lambda_gan, 0, 0);
    ck_assert_str_eq(cpu.normalisation, "mean_std");
    ck_assert_str_eq(cpu.output, "linear");
    ck_assert(cpu.match_gain);
    close_to(gan.lambda_gan, 1, 0);
    double side = 256.0 / (double)gan.crop; /* the same pull per pixel as at 256 */
    close_to(gan.lambda_tv, 1e-4 * side * side, 1e-12);
    ck_assert_int_eq(paper.epochs, 1000);
    ck_assert_int_eq(paper.downs, 7);
    close_to(paper.lambda_l1, 1, 0);
    ck_assert_str_eq(paper.checkpoint, "last");
    ck_assert(paper.dropout);
    ck_assert_str_eq(paper.normalisation, "min_max");
    ck_assert_str_eq(code.normalisation, "batch_joint");
    ck_assert_str_eq(paper.contrastive, "disc-ntxent");
    ck_assert(paper.contrastive_l2norm);
    ck_assert_str_eq(code.contrastive, "disc-infonce");
    ck_assert(!code.contrastive_l2norm);
    ck_assert_str_eq(cpu.contrastive, "none");
    ck_assert_str_eq(gan.contrastive, "none");
    struct den_train_config care = preset("care");
    ck_assert_ptr_eq(den_train_net(&care), &den_net_care);
    ck_assert_int_eq(care.downs, 2);
    ck_assert_int_eq(care.kernel, 3);
    close_to(care.beta1, 0.9, 0);
    close_to(care.lr, 2e-3, 0);
    close_to(care.lambda_gan + care.lambda_ssim + care.lambda_tv, 0, 0);
    ck_assert_str_eq(care.normalisation, "mean_std");
    ck_assert_str_eq(care.output, "linear");
    ck_assert_int_eq(code.epochs, 800);
    ck_assert_int_eq(code.batch, 128);
    close_to(code.decay_fraction, 300.0 / 800.0, 0);
}
END_TEST

START_TEST(words_of_the_table_are_rows_of_the_seams)
{
    struct den_train_config config = preset("cpu");
    struct den_err err = DEN_ERR_INIT;
    for (const struct den_norm_kind *n = den_norm_kinds; n->name != NULL; n++)
        must(den_train_config_set(&config, "normalisation", n->name, &err));
    for (size_t i = 0; den_gan_modes[i] != NULL; i++)
        must(den_train_config_set(&config, "gan_mode", den_gan_modes[i]->name, &err));
    must(den_train_config_set(&config, "diff_augment", "none", &err));
    for (size_t i = 0; den_diff_augments[i] != NULL; i++)
        must(den_train_config_set(&config, "diff_augment", den_diff_augments[i]->name,
                                  &err));
    must(den_train_config_set(&config, "contrastive", "none", &err));
    for (size_t i = 0; den_contrastives[i] != NULL; i++)
        must(den_train_config_set(&config, "contrastive", den_contrastives[i]->name,
                                  &err));
    for (size_t i = 0; den_nets[i] != NULL; i++) /* but the discriminator */
        ck_assert(den_train_config_set(&config, "net", den_nets[i]->name, NULL) ==
                  (den_nets[i] != &den_net_patchgan));
    for (enum den_winograd w = DEN_WINOGRAD_AUTO; w <= DEN_WINOGRAD_OFF; w++)
        must(den_train_config_set(&config, "winograd", den_winograd_name(w), &err));
}
END_TEST

START_TEST(iterations_take_the_place_of_the_epochs_of_a_preset)
{
    struct den_train_config config = preset("paper");
    struct den_err err = DEN_ERR_INIT;
    ck_assert_int_eq(config.epochs, 1000);
    must(den_train_config_set(&config, "iterations", "7", &err));
    ck_assert_int_eq(config.epochs, 0);
    ck_assert_int_eq(config.iterations, 7);
    must(den_train_config_set(&config, "epochs", "2", &err));
    ck_assert_int_eq(config.epochs, 2);
}
END_TEST

static const struct {
    const char *key, *value, *words;
} refused[] = {
    {"batch", "0", "batch must be a whole number from 1 to 1024, not \"0\""},
    {"batch", "1025", "batch must be a whole number from 1 to 1024, not \"1025\""},
    {"batch", "8.5", "not \"8.5\""},
    {"batch", "8 ", "not \"8 \""},
    {"batch", "", "not \"\""},
    {"iterations", "99999999999999999999", "from 1 to 10000000"},
    {"lr", "fast", "lr must be a number from 1e-08 to 10, not \"fast\""},
    {"lr", "nan", "not \"nan\""},
    {"lr", "1e999", "not \"1e999\""},
    {"lambda_l1", "-1", "lambda_l1 must be a number from 0 to 1e+06, not \"-1\""},
    {"augment", "yes", "augment must be true or false, not \"yes\""},
    {"output", "linear tanh", "output must be one of: linear tanh; not \"linear tanh\""},
    {"output", "lin", "not \"lin\""},
    {"output", "", "not \"\""},
    {"norm_layer", "layer", "norm_layer must be one of: batch instance; not \"layer\""},
    {"winograd", "on", "winograd must be one of: auto f22 off; not \"on\""},
    {"checkpoint", "best\n", "not \"best\\n\""},
    {"colour", "1", "\"colour\" is not a setting of a training"},
    {"", "1", "\"\" is not a setting"},
};

START_TEST(a_refused_value_is_named_with_what_is_allowed_and_changes_nothing)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = preset("cpu"), before = config;
    ck_assert(!den_train_config_set(&config, refused[_i].key, refused[_i].value, &err));
    ck_assert_str_eq(err.field, refused[_i].key);
    err = DEN_ERR_INIT;
    must_fail(den_train_config_set(&config, refused[_i].key, refused[_i].value, &err),
              DEN_E_INVALID, refused[_i].words);
    ck_assert_mem_eq(&config, &before, sizeof config);
}
END_TEST

static const struct {
    const char *key, *value, *key2, *value2, *words;
} clashes[] = {
    {"crop", "100", NULL, NULL,
     "crop is 100, but with downs 5 it must be a multiple of 32"},
    {"downs", "8", NULL, NULL,
     "crop is 128, but with downs 8 it must be a multiple of 256"},
    {"crop", "64", "d_layers", "5", "needs at least 96"},
    {"downs", "2", NULL, NULL, "downs is 2, but net unet takes 5 to 8"},
    {"net", "care", "downs", "6", "downs is 6, but net care takes 1 to 5"},
    {"net", "care", "kernel", "4", "3 or 5 pixels wide, not 4"},
    {"net", "care", "dropout", "true", "The net care has no dropout"},
    {"ssim_window", "7", NULL, NULL, "ssim_window must be 5 or 11, not 7"},
    {"output", "tanh", NULL, NULL, "output tanh reaches only -1 to 1"},
    {"diff_augment", "cutout", "lambda_gan", "0",
     "diff_augment cutout is about what the discriminator sees, so lambda_gan must be"},
    {"contrastive", "disc-infonce", "lambda_gan", "0",
     "contrastive disc-infonce works on the discriminator, so lambda_gan must be above "
     "0"},
    {"contrastive", "enc-ntxent", "batch", "1",
     "contrastive enc-ntxent tells images apart, so batch must be at least 2"},
    {"contrastive", "patchnce", "freeze_encoder", "true",
     "contrastive patchnce trains the encoder, which freeze_encoder keeps"},
    {"contrastive", "enc-pretrain", "freeze_encoder", "true",
     "contrastive enc-pretrain trains the encoder, which freeze_encoder keeps"},
    {"contrastive", "disc-ntxent", "crop", "1024",
     "contrastive disc-ntxent takes at most 4096 logits per crop, but crop 1024 with "
     "d_layers 3 has 15876"},
};

START_TEST(values_that_do_not_go_together_are_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = preset("cpu_gan");
    must(den_train_config_set(&config, clashes[_i].key, clashes[_i].value, &err));
    if (clashes[_i].key2 != NULL)
        must(den_train_config_set(&config, clashes[_i].key2, clashes[_i].value2, &err));
    must_fail(den_train_config_check(&config, &err), DEN_E_INVALID, clashes[_i].words);
}
END_TEST

START_TEST(a_small_crop_is_fine_without_a_discriminator)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = preset("cpu");
    config.crop = 64;
    config.d_layers = 5;
    must(den_train_config_check(&config, &err));
}
END_TEST

START_TEST(the_net_follows_from_the_configuration)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = preset("cpu");
    ck_assert_ptr_eq(den_train_net(&config), &den_net_unet);
    ck_assert_uint_eq(den_train_generator(&config).kernel, 0);
    must(den_train_config_set(&config, "net", "care", &err));
    must(den_train_config_set(&config, "downs", "2", &err));
    must(den_train_config_set(&config, "crop", "100", &err)); /* 4 divides it */
    must(den_train_config_set(&config, "kernel", "5", &err));
    must(den_train_config_check(&config, &err));
    ck_assert_ptr_eq(den_train_net(&config), &den_net_care);
    ck_assert_uint_eq(den_train_generator(&config).kernel, 5);
    ck_assert_uint_eq(den_train_generator(&config).depth, 2);
}
END_TEST

START_TEST(a_run_without_any_loss_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = preset("cpu");
    config.lambda_l1 = 0;
    config.lambda_tv = 1;
    must_fail(den_train_config_check(&config, &err), DEN_E_INVALID, "nothing to learn");
}
END_TEST

START_TEST(a_configuration_filled_by_hand_is_held_to_the_ranges_too)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = preset("cpu");
    config.batch = -1;
    must_fail(den_train_config_check(&config, &err), DEN_E_INVALID, "batch must be");
    config = preset("cpu");
    config.lr = (double)NAN;
    must_fail(den_train_config_check(&config, &err), DEN_E_INVALID, "lr must be");
    config = preset("cpu");
    config.downs = 70; /* a shift by 70 would be undefined */
    must_fail(den_train_config_check(&config, &err), DEN_E_INVALID, "downs must be");
    config = preset("cpu");
    memset(config.output, 'x', sizeof config.output);
    must_fail(den_train_config_check(&config, &err), DEN_E_INVALID, "output must be");
}
END_TEST

START_TEST(an_unknown_preset_is_told_the_known_ones)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config;
    must_fail(den_train_config_preset("gpu", &config, &err), DEN_E_INVALID,
              "preset must be one of: cpu cpu_gan paper code care care_gan care_ssim; "
              "not \"gpu\"");
    /* The sentence names the presets by hand; the table must agree. */
    ck_assert_str_eq(den_presets[1].name, "cpu_gan");
    ck_assert_str_eq(den_presets[2].name, "paper");
    ck_assert_str_eq(den_presets[3].name, "code");
    ck_assert_str_eq(den_presets[4].name, "care");
}
END_TEST

START_TEST(presets_and_methods_find_each_other)
{
    for (size_t p = 0; p < DEN_PRESETS; p++) {
        const struct den_preset *first = den_preset_of_method(den_presets[p].method);
        ck_assert_ptr_nonnull(den_method_find(den_presets[p].method));
        ck_assert_str_eq(first->method, den_presets[p].method);
    }
    ck_assert_str_eq(den_preset_of_method("cgan")->name, DEN_PRESET_DEFAULT);
    ck_assert_str_eq(den_preset_of_method("care")->name, "care");
    ck_assert_str_eq(den_preset_of_method("mid3a")->name, DEN_PRESET_DEFAULT);
}
END_TEST

START_TEST(real_values_survive_the_way_through_text)
{
    static const double values[] = {0.1, 1e-8, 1.0 / 3, 2e-4, 9.999999999999999};
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = preset("cpu"), back = config;
    const struct den_train_key *key = den_train_keys;
    while (strcmp(key->name, "lr") != 0)
        key++;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[64];
        config.lr = values[i];
        den_train_config_get(&config, key, text, sizeof text);
        must(den_train_config_set(&back, "lr", text, &err));
        ck_assert_mem_eq(&back.lr, &config.lr, sizeof config.lr);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train_config");
    TCase *t = tcase_create("config");
    tcase_add_loop_test(t, every_preset_is_a_configuration_that_passes_the_check, 0,
                        DEN_PRESETS);
    tcase_add_loop_test(t, every_key_of_every_preset_reads_back_as_the_text_of_the_table,
                        0, DEN_PRESETS);
    tcase_add_test(t, iterations_take_the_place_of_the_epochs_of_a_preset);
    tcase_add_test(t, presets_hold_what_the_method_prescribes);
    tcase_add_test(t, words_of_the_table_are_rows_of_the_seams);
    tcase_add_loop_test(t,
                        a_refused_value_is_named_with_what_is_allowed_and_changes_nothing,
                        0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_loop_test(t, values_that_do_not_go_together_are_refused, 0,
                        (int)(sizeof clashes / sizeof clashes[0]));
    tcase_add_test(t, a_small_crop_is_fine_without_a_discriminator);
    tcase_add_test(t, the_net_follows_from_the_configuration);
    tcase_add_test(t, a_run_without_any_loss_is_refused);
    tcase_add_test(t, a_configuration_filled_by_hand_is_held_to_the_ranges_too);
    tcase_add_test(t, an_unknown_preset_is_told_the_known_ones);
    tcase_add_test(t, presets_and_methods_find_each_other);
    tcase_add_test(t, real_values_survive_the_way_through_text);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
