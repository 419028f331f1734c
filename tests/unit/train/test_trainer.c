#include <math.h>
#include <string.h>

#include "backend_cpu_winograd.h"
#include "infer.h"
#include "metric.h"
#include "train_help.h"
#include "train_plan.h"

/* ---- learning -------------------------------------------------------------------- */

static double psnr_of(const float *clean, const float *prediction)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_metric_case c = {SIDE, SIDE, clean, prediction, 1, 0};
    double value;
    must(den_metric_find("psnr")->value(&c, &value, &err));
    return value;
}

static void denoise(const char *name, const float *noisy, float *to)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct den_model *model = NULL;
    struct den_infer *infer = NULL;
    struct den_infer_options options = {0};
    must(den_model_load(backend(), path_of(name, path), &model, &err));
    must(den_infer_new(model, pool, SIDE, SIDE, &options, &infer, &err));
    must(den_infer_page(infer, noisy, to, NULL, 0, 1, &err));
    den_infer_free(infer);
    den_model_free(model);
}

START_TEST(training_lowers_the_loss_and_denoises_a_scene_it_has_not_seen)
{
    need_slow();
    static float clean[SIDE * SIDE], noisy[SIDE * SIDE], denoised[SIDE * SIDE];
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(400);
    config.ngf = 8;
    config.lr = 2e-3;
    struct den_train_job job = job_of(config, watch);
    struct den_train_result result = train(&job);
    double first = told(watch, "loss_l1", false), last = told(watch, "loss_l1", true);
    ck_assert_msg(last < 0.5 * first, "loss_l1 from %g to %g", first, last);
    simulate(999, 0, clean, noisy);
    denoise("best.model", noisy, denoised);
    double before = psnr_of(clean, noisy), after = psnr_of(clean, denoised);
    printf("PSNR %.2f dB noisy, %.2f dB denoised, %.2f s\n", before, after,
           result.seconds);
    ck_assert_msg(after > before + 3, "PSNR from %g to %g", before, after);
    ck_assert_uint_eq(result.steps, 400);
    ck_assert_uint_eq(result.train_images, SCENES - 1);
    ck_assert_uint_eq(result.validation_images, 1);
    free(watch);
}
END_TEST

START_TEST(the_best_model_is_the_best_validation_of_the_decaying_part)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(60);
    config.validate_every = 5;
    struct den_train_job job = job_of(config, watch);
    struct den_train_result result = train(&job);
    double best = -1e9;
    size_t at = 0, seen = 0;
    for (size_t i = 0; i < watch->numbers; i++)
        if (strcmp(watch->told[i].name, "validation_psnr") == 0) {
            seen++;
            if (watch->told[i].step > 30 && watch->told[i].value > best) {
                best = watch->told[i].value;
                at = watch->told[i].step;
            }
        }
    ck_assert_uint_eq(seen, 12);
    ck_assert(result.has_validation && result.chose_best);
    ck_assert_uint_eq(result.best_step, at);
    close_to(result.best_psnr, best, 0);
    /* The file is that very model: measured again from disk it gives the same number. */
    static float clean[SIDE * SIDE], noisy[SIDE * SIDE], denoised[SIDE * SIDE];
    size_t train_list[SCENES], valid[SCENES], n, m;
    den_dataset_split(pairs, 0.2, 42, train_list, &n, valid, &m);
    memcpy(noisy, den_dataset_at(pairs, valid[0])->noisy, sizeof noisy);
    den_dataset_target(pairs, valid[0], 0, 0, SIDE, SIDE, true, clean);
    denoise("best.model", noisy, denoised);
    close_to(psnr_of(clean, denoised), best, 1e-9);
    free(watch);
}
END_TEST

/* ---- variants ---------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*change)(struct den_train_config *config);
    size_t steps, train, terms; /* terms: names of losses that are told */
    bool valid;
} variants[] = {
    {"gan", gan, 6, 4, 6, true},
    {"lsgan", lsgan, 6, 4, 6, true},
    {"instance norm", instance_norm, 6, 4, 6, true},
    {"contrastive", infonce, 6, 4, 7, true},
    {"contrastive, two steps of D", ntxent_trained, 6, 4, 7, true},
    {"views of the encoder", encoder_views, 6, 4, 3, true},
    {"places of the encoder", patches, 6, 4, 3, true},
    {"pretrained", pretrained, 6, 4, 6, true},
    {"tanh", tanh_min_max, 6, 4, 2, true},
    {"percentile", percentile, 6, 4, 2, true},
    {"batch joint", batch_joint, 6, 4, 2, true},
    {"dropout", dropout, 6, 4, 2, true},
    {"ssim window 11", wide_window, 6, 4, 3, true},
    {"two samples", two_samples, 6, 2, 2, true},
    {"no validation", no_validation, 6, 5, 2, false},
    {"three epochs of two steps", by_epochs, 6, 4, 2, true},
    {"without gain match", without_gain, 6, 4, 2, true},
};

START_TEST(every_variant_of_the_settings_trains)
{
    struct den_err err = DEN_ERR_INIT;
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(6);
    char path[PATH];
    variants[_i].change(&config);
    struct den_train_job job = job_of(config, watch);
    struct den_train_result result = train(&job);
    ck_assert_uint_eq(result.steps, variants[_i].steps);
    ck_assert_uint_eq(result.train_images, variants[_i].train);
    ck_assert(result.has_validation == variants[_i].valid);
    ck_assert(result.chose_best == variants[_i].valid);
    ck_assert(den_fs_exists(path_of("best.model", path)) == variants[_i].valid);
    size_t terms = 0;
    for (size_t i = 0; i < watch->numbers; i++) {
        ck_assert(isfinite(watch->told[i].value));
        terms += watch->told[i].step == 6 && den_str_starts(watch->told[i].name, "loss_");
    }
    ck_assert_uint_eq(terms, variants[_i].terms);
    struct den_model *model = NULL;
    must(den_model_load(backend(), path_of("last.model", path), &model, &err));
    ck_assert_str_eq(model->norm.kind, config.normalisation);
    ck_assert(model->options.instance_norm ==
              (strcmp(config.norm_layer, "instance") == 0));
    den_model_free(model);
    free(watch);
}
END_TEST

/* 16 channels are the least that the fast algorithms take.  On maps so small they have to
 * be told to. */
static double train_with(const char *winograd)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(6);
    gan(&config);
    config.ngf = config.ndf = 16;
    den_str_copy(config.winograd, DEN_WORD, winograd);
    struct den_train_job job = job_of(config, watch);
    train(&job);
    double loss = told(watch, "loss_l1", true);
    free(watch);
    return loss;
}

static struct den_model *load_last(void)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct den_model *model = NULL;
    must(den_model_load(backend(), path_of("last.model", path), &model, &err));
    return model;
}

/* Are the weights the same to the last bit? */
static bool same_weights(struct den_model *a, struct den_model *b)
{
    bool same = true;
    for (size_t i = 0; i < den_params_size(a->params); i++) {
        const struct den_param *p = den_params_at(a->params, i);
        const struct den_param *q = den_params_at(b->params, i);
        same = same && memcmp(p->value, q->value, p->count * sizeof *p->value) == 0;
    }
    return same;
}

START_TEST(fast_algorithms_change_bytes_but_not_what_is_learned)
{
    if (backend() != &den_backend_cpu)
        return; /* the others have plain sums alone */
    den_winograd_prefer(4);
    double loss = train_with("auto");
    struct den_model *fast = load_last();
    close_to(train_with("auto"), loss, 0);
    struct den_model *again = load_last();
    double plain_loss = train_with("off");
    struct den_model *plain = load_last();
    printf("loss_l1 %.9g with and %.9g without\n", loss, plain_loss);
    close_to(plain_loss / loss, 1, 1e-3);
    ck_assert(same_weights(fast, again) && !same_weights(fast, plain));
    ck_assert_int_eq(fast->options.winograd, DEN_WINOGRAD_AUTO);
    ck_assert_int_eq(plain->options.winograd, DEN_WINOGRAD_OFF);
    den_model_free(fast);
    den_model_free(again);
    den_model_free(plain);
    den_winograd_prefer(0);
}
END_TEST

/* The same weights, asked for once as the file says and once otherwise. */
START_TEST(a_model_is_used_with_the_algorithms_it_was_trained_with)
{
    static const char *const words[] = {"off", "auto"};
    static float clean[SIDE * SIDE], noisy[SIDE * SIDE], out[2][SIDE * SIDE];
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    if (backend() != &den_backend_cpu)
        return;
    den_winograd_prefer(4);
    train_with(words[0]);
    simulate(999, 0, clean, noisy);
    struct den_model *model = load_last();
    for (size_t i = 0; i < 2; i++) {
        ck_assert(den_winograd_find(words[i], &model->options.winograd));
        must(den_model_save(model, NULL, 0, path_of("other.model", path), &err));
        denoise("other.model", noisy, out[i]);
    }
    double most = 0;
    for (size_t i = 0; i < SIDE * SIDE; i++)
        most = fmax(most, fabs((double)out[0][i] - (double)out[1][i]));
    ck_assert(most > 0);
    ck_assert_msg(most < 1e-3 * model->norm.scale, "off by %g", most);
    denoise("last.model", noisy, out[1]);
    ck_assert(memcmp(out[0], out[1], sizeof out[0]) == 0);
    den_model_free(model);
    den_winograd_prefer(0);
}
END_TEST

START_TEST(repeated_frames_train_without_a_clean_image)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = job_of(tiny(60), watch);
    job.dataset = repeats;
    train(&job);
    ck_assert(told(watch, "loss_l1", true) < told(watch, "loss_l1", false));
    free(watch);
}
END_TEST

START_TEST(the_discriminator_learns_to_tell_clean_from_generated)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(40);
    gan(&config);
    config.lambda_l1 = 0; /* the generator stays poor */
    config.ngf = 1;
    struct den_train_job job = job_of(config, watch);
    train(&job);
    double first = told(watch, "loss_d", false), last = told(watch, "loss_d", true);
    ck_assert_msg(last < 0.8 * first, "loss_d from %g to %g", first, last);
    free(watch);
}
END_TEST

/* ---- errors --- */

START_TEST(cancelling_takes_effect_within_one_batch_and_leaves_no_model)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct watch *watch = new_watch(3, DEN_CANCEL);
    struct den_train_job job = job_of(tiny(1000), watch);
    struct den_train_result result;
    size_t live = den_mem_live();
    must_fail(den_train(&job, &result, &err), DEN_E_CANCELLED, "after 3 of 1000 steps");
    ck_assert_uint_eq(watch->ticks, 4);
    ck_assert(!den_fs_exists(path_of("best.model", path)));
    ck_assert(!den_fs_exists(path_of("last.model", path)));
    ck_assert_uint_eq(den_mem_live(), live);
    free(watch);
}
END_TEST

START_TEST(a_run_that_diverges_says_what_to_try)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(200);
    config.lr = 10;
    struct den_train_job job = job_of(config, watch);
    struct den_train_result result;
    must_fail(den_train(&job, &result, &err), DEN_E_DIVERGED,
              "try a lower learning rate than lr = 10");
    ck_assert(!den_fs_exists(path_of("last.model", path)));
    ck_assert_uint_lt(watch->ticks, 200);
    free(watch);
}
END_TEST

START_TEST(a_crop_larger_than_an_image_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_job job = job_of(tiny(5), NULL);
    struct den_train_result result;
    job.config.crop = 128;
    must_fail(den_train(&job, &result, &err), DEN_E_UNPROCESSABLE,
              "noisy.tif is 64 x 64 pixels, smaller than crop, which is 128 x 128");
    job = job_of(tiny(5), NULL);
    job.method = "magic";
    must_fail(den_train(&job, &result, &err), DEN_E_INVALID, "method is not known");
    job = job_of(tiny(5), NULL);
    job.config.crop = 33;
    must_fail(den_train(&job, &result, &err), DEN_E_INVALID, "multiple of 32");
}
END_TEST

START_TEST(the_estimate_is_near_what_a_run_takes)
{
    struct den_err err = DEN_ERR_INIT;
    size_t steps, bytes;
    int threads = den_pool_threads(pool);
    struct den_train_config config = tiny(3);
    gan(&config);
    config.ngf = config.ndf = 16;
    config.batch = 8;
    config.crop = 64;
    struct den_train_job job = job_of(config, NULL);
    job.hooks.progress.tick = never_stop;
    must(
        den_train_estimate("cgan", &config, SCENES, SIDE, threads, &steps, &bytes, &err));
    ck_assert_uint_eq(steps, 3);
    size_t before = den_mem_live();
    den_mem_reset_peak();
    train(&job);
    double share = (double)bytes / (double)(den_mem_peak() - before);
    printf("estimate %.1f MB is %.2f of the peak\n", (double)bytes / 1e6, share);
    ck_assert_msg(share > 0.9 && share < 2.5, "estimate / peak = %g", share);
    must_fail(den_train_estimate("cgan", &config, SCENES, 63, 1, &steps, &bytes, &err),
              DEN_E_UNPROCESSABLE, "crop is 64, but the smallest");
    must_fail(den_train_estimate("x", &config, SCENES, 64, 1, &steps, &bytes, &err),
              DEN_E_INVALID, "there are: cgan mid3a care");
    config.epochs = 10; /* 4 of 5 images, 8 per batch */
    must(den_train_estimate("cgan", &config, SCENES, 64, 1, &steps, &bytes, &err));
    ck_assert_uint_eq(steps, 10);
}
END_TEST

/* Scratch of the kernels, a part of which each thread has for itself: planned and real.
 */
START_TEST(more_threads_take_the_memory_that_is_told_of_them)
{
    static const struct {
        int threads;
        const char *winograd;
    } rows[] = {{1, "off"}, {1, "auto"}, {4, "auto"}, {12, "auto"}};
    enum { ROWS = sizeof rows / sizeof rows[0] };
    size_t told[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_pool *many = NULL;
        struct den_params *params = NULL;
        struct den_graph *g = NULL;
        struct den_train_config config = tiny(1);
        config.ngf = 32;
        config.crop = 64;
        den_str_copy(config.winograd, DEN_WORD, rows[i].winograd);
        struct den_net_options options = den_train_generator(&config);
        must(den_train_net_bytes(&den_net_unet, &options, &config, rows[i].threads,
                                 &told[i], &err));
        must(den_pool_new(rows[i].threads, &many, &err));
        size_t live = den_mem_live();
        must(den_params_new(&den_backend_cpu, &params, &err));
        must(den_graph_new(params, many, &g, &err));
        den_node x = den_input(g, (struct den_shape){(size_t)config.batch, 64, 64, 1});
        den_node y = den_net_build(&den_net_unet, g, x, &options);
        must(den_graph_finish(g, y, DEN_FOR_TRAINING, &err));
        must(den_params_train(params, &err));
        double share = (double)told[i] / (double)(den_mem_live() - live);
        ck_assert_msg(share > 0.98 && share < 1.05, "row %zu: %g", i, share);
        den_graph_free(g);
        den_params_free(params);
        den_pool_free(many);
    }
    ck_assert_uint_gt(told[2], told[1]);
    ck_assert_uint_gt(told[3], told[2]);
}
END_TEST

START_TEST(a_failing_allocation_is_an_error_and_leaks_nothing)
{
    need_slow();
    struct den_err err;
    struct den_train_config config = tiny(1);
    gan(&config);
    config.batch = 1;
    config.ngf = config.ndf = 1;
    struct den_train_job job = job_of(config, NULL);
    job.hooks.progress.tick = never_stop;
    struct den_train_result result;
    bool done = false;
    size_t n = 1, failed = 0, live = den_mem_live();
    for (; !done; n += 1 + n / 16) {
        err = DEN_ERR_INIT;
        den_mem_fail_at(n);
        done = den_train(&job, &result, &err);
        den_mem_fail_at(0);
        failed += !done;
        ck_assert_msg(done || err.code == DEN_E_NO_MEMORY, "%zu: %s", n, err.text);
        ck_assert_uint_eq(den_mem_live(), live);
    }
    ck_assert_uint_gt(failed, 40);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trainer");
    TCase *t = tcase_create("run");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, training_lowers_the_loss_and_denoises_a_scene_it_has_not_seen);
    tcase_add_test(t, the_best_model_is_the_best_validation_of_the_decaying_part);
    tcase_add_loop_test(t, every_variant_of_the_settings_trains, 0,
                        (int)(sizeof variants / sizeof variants[0]));
    tcase_add_test(t, repeated_frames_train_without_a_clean_image);
    tcase_add_test(t, fast_algorithms_change_bytes_but_not_what_is_learned);
    tcase_add_test(t, a_model_is_used_with_the_algorithms_it_was_trained_with);
    tcase_add_test(t, the_discriminator_learns_to_tell_clean_from_generated);
    tcase_add_test(t, cancelling_takes_effect_within_one_batch_and_leaves_no_model);
    tcase_add_test(t, a_run_that_diverges_says_what_to_try);
    tcase_add_test(t, a_crop_larger_than_an_image_is_refused);
    tcase_add_test(t, the_estimate_is_near_what_a_run_takes);
    tcase_add_test(t, more_threads_take_the_memory_that_is_told_of_them);
    tcase_add_test(t, a_failing_allocation_is_an_error_and_leaks_nothing);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
