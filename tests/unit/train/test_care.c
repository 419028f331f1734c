#include "infer.h"
#include "metric.h"
#include "train_help.h"

/* Method care: the residual net on pixel losses alone, from training to use. */

static struct den_train_config small(int64_t iterations)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config;
    must(den_train_config_preset("care", &config, &err));
    config.iterations = iterations;
    config.batch = 4;
    config.crop = 32;
    config.ngf = 8;
    config.validation_fraction = 0.2;
    return config;
}

static struct den_train_job care_job(struct den_train_config config, struct watch *watch)
{
    struct den_train_job job = job_of(config, watch);
    job.method = "care";
    return job;
}

static double psnr_of(const float *clean, const float *image)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_metric_case c = {SIDE, SIDE, clean, image, 1, 0};
    double value = 0;
    must(den_metric_find("psnr")->value(&c, &value, &err));
    return value;
}

static void denoise(size_t tile, const float *noisy, float *to)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct den_model *model = NULL;
    struct den_infer *infer = NULL;
    struct den_infer_options options = {.tile = tile};
    must(den_model_load(backend(), path_of("best.model", path), &model, &err));
    ck_assert_ptr_eq(model->net, &den_net_care);
    must(den_infer_new(model, pool, SIDE, SIDE, &options, &infer, &err));
    ck_assert_uint_eq(den_infer_tiles(infer) > 1, tile < SIDE);
    must(den_infer_page(infer, noisy, to, NULL, 0, 1, &err));
    den_infer_free(infer);
    den_model_free(model);
}

START_TEST(training_lowers_the_loss_and_denoises_a_scene_it_has_not_seen)
{
    need_slow();
    static float clean[SIDE * SIDE], noisy[SIDE * SIDE], whole[SIDE * SIDE],
        tiled[SIDE * SIDE];
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = small(300);
    config.lr = 2e-3;
    struct den_train_job job = care_job(config, watch);
    struct den_train_result result = train(&job);
    double first = told(watch, "loss_l1", false), last = told(watch, "loss_l1", true);
    ck_assert_msg(last < 0.7 * first, "loss_l1 from %g to %g", first, last);
    ck_assert(isnan(told(watch, "loss_d", true)) && isnan(told(watch, "loss_tv", true)));
    simulate(999, 0, clean, noisy);
    denoise(SIDE, noisy, whole);
    denoise(48, noisy, tiled);
    double before = psnr_of(clean, noisy), after = psnr_of(clean, whole);
    double in_tiles = psnr_of(clean, tiled);
    printf("PSNR %.2f dB noisy, %.2f dB denoised, %.2f dB in tiles, %.2f s\n", before,
           after, in_tiles, result.seconds);
    ck_assert_msg(after > before + 3, "PSNR from %g to %g", before, after);
    ck_assert_msg(fabs(in_tiles - after) < 0.3, "PSNR %g, in tiles %g", after, in_tiles);
    free(watch);
}
END_TEST

/* Without its discriminator the conditional GAN is the same computation. */
START_TEST(care_is_what_cgan_is_without_a_discriminator)
{
    struct watch *watch[2];
    for (size_t i = 0; i < 2; i++) {
        watch[i] = new_watch(SIZE_MAX, DEN_GO_ON);
        struct den_train_config config = small(6);
        config.lambda_ssim = 1;
        struct den_train_job job = care_job(config, watch[i]);
        job.method = i == 0 ? "care" : "cgan";
        train(&job);
    }
    ck_assert_uint_eq(watch[0]->numbers, watch[1]->numbers);
    for (size_t i = 0; i < watch[0]->numbers; i++) {
        ck_assert_str_eq(watch[0]->told[i].name, watch[1]->told[i].name);
        ck_assert_mem_eq(&watch[0]->told[i].value, &watch[1]->told[i].value,
                         sizeof(double));
    }
    free(watch[0]);
    free(watch[1]);
}
END_TEST

static const struct {
    const char *backend;
    size_t stop_at;
    bool ssim;
} breaks[] = {{"cpu", 1, false}, {"cpu", 5, true}, {"cpu", 8, false}, {"ref", 3, false}};

static void read_last(char **ret, size_t *ret_size)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    must(den_fs_read(path_of("last.model", path), 1 << 24, ret, ret_size, &err));
}

START_TEST(an_interrupted_run_goes_on_to_the_same_bytes)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH], *whole = NULL, *resumed = NULL;
    size_t whole_size = 0, resumed_size = 0;
    struct den_train_config config = small(8);
    config.batch = 2;
    config.ngf = 4;
    config.lambda_ssim = breaks[_i].ssim ? 2 : 0;
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = care_job(config, watch);
    job.backend = den_backend_find(breaks[_i].backend);
    train(&job);
    read_last(&whole, &whole_size);
    must(den_fs_remove(job.last_path, &err));

    struct den_train_result result;
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    watch->stop_at = breaks[_i].stop_at;
    watch->verdict = DEN_SUSPEND;
    must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "can go on from there");
    watch->stop_at = SIZE_MAX;
    result = train(&job);
    ck_assert_uint_eq(result.resumed_at, breaks[_i].stop_at);
    read_last(&resumed, &resumed_size);
    ck_assert_uint_eq(whole_size, resumed_size);
    ck_assert_mem_eq(whole, resumed, whole_size);
    den_free(whole);
    den_free(resumed);
    free(watch);
}
END_TEST

START_TEST(a_discriminator_is_refused_before_the_run_and_in_it)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = small(2);
    config.lambda_gan = 1;
    size_t steps, bytes;
    ck_assert(
        !den_train_estimate("care", &config, SCENES, SIDE, 1, &steps, &bytes, &err));
    ck_assert_str_eq(err.field, "lambda_gan");
    err = DEN_ERR_INIT;
    struct den_train_job job = care_job(config, NULL);
    struct den_train_result result;
    job.hooks.progress.tick = never_stop;
    must_fail(den_train(&job, &result, &err), DEN_E_INVALID,
              "method care has no discriminator, so lambda_gan must be 0, not 1");
}
END_TEST

START_TEST(the_estimate_is_near_what_a_run_takes)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = small(2);
    config.batch = 8;
    config.crop = 64;
    config.ngf = 32;
    config.validation_fraction = 0; /* it is planned for images of 512 x 512 */
    size_t steps, bytes, live = den_mem_live();
    int threads = den_pool_threads(pool);
    must(
        den_train_estimate("care", &config, SCENES, SIDE, threads, &steps, &bytes, &err));
    struct den_train_job job = care_job(config, NULL);
    job.hooks.progress.tick = never_stop;
    den_mem_reset_peak();
    train(&job);
    double share = (double)bytes / (double)(den_mem_peak() - live);
    printf("estimate %.1f MB is %.2f of the peak\n", (double)bytes / 1e6, share);
    ck_assert_msg(share > 0.95 && share < 1.3, "estimate / peak = %g", share);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("care");
    TCase *t = tcase_create("runs");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, training_lowers_the_loss_and_denoises_a_scene_it_has_not_seen);
    tcase_add_test(t, care_is_what_cgan_is_without_a_discriminator);
    tcase_add_loop_test(t, an_interrupted_run_goes_on_to_the_same_bytes, 0,
                        (int)(sizeof breaks / sizeof breaks[0]));
    tcase_add_test(t, a_discriminator_is_refused_before_the_run_and_in_it);
    tcase_add_test(t, the_estimate_is_near_what_a_run_takes);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
