#include <math.h>
#include <string.h>

#include "contrast.h"
#include "patch.h"
#include "train_help.h"
#include "train_images.h"
#include "train_plan.h"

/* Contrastive terms on the encoder: alone on a batch, and in whole runs. */

enum { N = 4 };

/* ---- the term alone -------------------------------------------------------------- */

struct bench {
    struct den_train_job job;
    struct den_model *model;
    void *state;
    float noisy[N * 64 * 64], twin[N * 64 * 64];
};

static struct bench *open_bench(const char *net)
{
    struct den_err err = DEN_ERR_INIT;
    struct bench *b = calloc(1, sizeof *b);
    b->job = job_of(tiny(1), NULL);
    struct den_train_config *config = &b->job.config;
    config->batch = N;
    config->crop = 64;
    if (strcmp(net, "care") == 0)
        config->downs = 2;
    den_str_copy(config->net, DEN_WORD, net);
    encoder_views(config);
    must(den_train_config_check(config, &err));
    struct den_net_options options = den_train_generator(config);
    struct den_norm norm = {"mean_std", 0, 1};
    must(den_model_new(backend(), den_train_net(config), &options, &norm, &b->model,
                       &err));
    den_params_init(b->model->params, 1);
    must(den_params_train(b->model->params, &err));
    const struct den_contrast_parts parts = {&b->job, NULL, b->model->params, -2, 2};
    must(
        den_contrast_enc_ntxent.start(&den_contrast_enc_ntxent, &parts, &b->state, &err));
    struct den_rng rng;
    den_rng_seed(&rng, 1, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < N * 64 * 64; i++) {
        double scene = sin((double)(i % 64) / (2 + (double)(i / 4096)));
        b->noisy[i] = (float)(scene + 0.2 * den_rng_normal(&rng));
        b->twin[i] = (float)(scene + 0.2 * den_rng_normal(&rng));
    }
    return b;
}

static void close_bench(struct bench *b)
{
    den_contrast_enc_ntxent.stop(b->state);
    den_model_free(b->model);
    free(b);
}

static double step(struct bench *b, size_t number, size_t t)
{
    struct den_batch batch = {.n = N,
                              .side = 64,
                              .noisy = b->noisy,
                              .twin = b->twin,
                              .step = number,
                              .lr = 2e-3};
    struct den_exec ex = {.pool = pool};
    struct den_adam adam = {2e-3, 0.5, 0.999, 1e-8, t};
    den_params_zero_grad(b->model->params);
    double loss = den_contrast_enc_ntxent.step(b->state, &batch, NULL, NULL);
    den_params_adam(b->model->params, &ex, &adam);
    return loss;
}

static const char *const nets[] = {"unet", "care"};

START_TEST(the_loss_falls_on_one_batch)
{
    struct bench *b = open_bench(nets[_i]);
    double first = step(b, 0, 1), last = first;
    for (size_t i = 1; i < 100; i++)
        last = step(b, 0, i + 1); /* number 0 again: the same views */
    printf("%s: %.3g to %.3g\n", nets[_i], first, last);
    fflush(stdout);
    ck_assert_msg(last < 0.5 * first, "from %g to %g", first, last);
    close_bench(b);
}
END_TEST

/* Twins put one place further are no twins. */
START_TEST(each_image_is_drawn_to_the_twin_in_its_own_place)
{
    static float twins[N * 64 * 64];
    const size_t one = (size_t)64 * 64;
    struct bench *b = open_bench("unet");
    for (size_t i = 0; i < 60; i++)
        step(b, 0, i + 1);
    double own = step(b, 0, 61);
    memcpy(twins, b->twin, sizeof twins);
    for (size_t k = 0; k < N; k++)
        memcpy(b->twin + k * one, twins + (k + 1) % N * one, one * sizeof *twins);
    double others = step(b, 0, 62);
    ck_assert_msg(others > 2 * own, "%g, with other twins %g", own, others);
    close_bench(b);
}
END_TEST

START_TEST(only_weights_of_the_encoder_get_a_gradient_and_no_statistics_move)
{
    struct bench *b = open_bench(nets[_i]);
    const struct den_net *net = b->model->net;
    size_t weights = 0;
    step(b, 0, 1);
    for (size_t i = 0; i < den_params_size(b->model->params); i++) {
        struct den_param *p = den_params_at(b->model->params, i);
        double sum = 0, value = 0;
        for (size_t k = 0; k < p->count; k++) {
            sum += p->grad != NULL ? fabs((double)p->grad[k]) : 0;
            value += (double)p->value[k];
        }
        if (p->kind == DEN_PARAM_WEIGHT)
            ck_assert_msg((sum > 0) == net->encodes(p->name), "%s: %g", p->name, sum);
        else /* means 0, variances 1, no batch counted */
            close_to(value, strstr(p->name, "var") != NULL ? (double)p->count : 0, 0);
        weights += p->kind == DEN_PARAM_WEIGHT && net->encodes(p->name);
    }
    ck_assert_uint_gt(weights, 5);
    close_bench(b);
}
END_TEST

/* ---- whole runs ------------------------------------------------------------------ */

/* The term on the first batch of a run, by hand; with the twins or with the noisy images
 * in their place. */
static double first_loss(const struct den_train_job *job, bool with_twins)
{
    struct den_err err = DEN_ERR_INIT;
    static float noisy[N * 32 * 32], clean[N * 32 * 32], twin[N * 32 * 32];
    size_t order[SCENES];
    struct den_train_images images;
    struct den_model *model = NULL;
    void *state = NULL;
    struct den_net_options options = den_train_generator(&job->config);
    must(den_train_images_choose(job->dataset, &job->config, NULL, job->seed, &images,
                                 &err));
    const struct den_patches crops = {
        .dataset = job->dataset,
        .images = images.train,
        .count = images.train_count,
        .batch = N,
        .side = 32,
        .augment = job->config.augment,
        .match_gain = job->config.match_gain,
        .seed = job->seed,
        .norm = images.norm,
        .order = order,
    };
    den_patches_fill_twin(&crops, 0, noisy, clean, twin);
    must(den_model_new(backend(), den_train_net(&job->config), &options, &images.norm,
                       &model, &err));
    den_params_init(model->params, job->seed);
    must(den_params_train(model->params, &err));
    const struct den_contrast_parts parts = {job, NULL, model->params, images.lo,
                                             images.hi};
    must(den_contrast_enc_ntxent.start(&den_contrast_enc_ntxent, &parts, &state, &err));
    const struct den_batch batch = {.n = N,
                                    .side = 32,
                                    .noisy = noisy,
                                    .clean = clean,
                                    .twin = with_twins ? twin : noisy,
                                    .lr = 1e-3};
    double loss = den_contrast_enc_ntxent.step(state, &batch, NULL, NULL);
    den_contrast_enc_ntxent.stop(state);
    den_model_free(model);
    den_train_images_release(&images);
    return loss;
}

START_TEST(a_run_gives_the_term_twins_from_its_training_images)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(1);
    encoder_views(&config);
    struct den_train_job job = job_of(config, watch);
    job.dataset = repeats;
    train(&job);
    double loss = told(watch, "loss_contrastive", true);
    close_to(first_loss(&job, true), loss, 1e-9);
    ck_assert(fabs(first_loss(&job, false) - loss) > 1e-4);
    free(watch);
}
END_TEST

static const struct {
    void (*change)(struct den_train_config *);
    size_t stop_at;
} breaks[] = {{encoder_views, 3}, {pretrained, 2}, {pretrained, 5}};

static char *read_last(const struct den_train_job *job, size_t *size)
{
    struct den_err err = DEN_ERR_INIT;
    char *bytes = NULL;
    must(den_fs_read(job->last_path, 1 << 24, &bytes, size, &err));
    must(den_fs_remove(job->last_path, &err));
    return bytes;
}

START_TEST(a_run_with_twins_goes_on_to_the_same_bytes)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH];
    size_t sizes[2];
    struct den_train_result result;
    struct den_train_config config = tiny(8);
    breaks[_i].change(&config);
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = job_of(config, watch);
    job.dataset = repeats;
    train(&job);
    char *whole = read_last(&job, &sizes[0]);
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    watch->stop_at = breaks[_i].stop_at;
    watch->verdict = DEN_SUSPEND;
    must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "can go on from there");
    watch->stop_at = SIZE_MAX;
    ck_assert_uint_eq(train(&job).resumed_at, breaks[_i].stop_at);
    char *resumed = read_last(&job, &sizes[1]);
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert_mem_eq(whole, resumed, sizes[0]);
    den_free(whole);
    den_free(resumed);
    free(watch);
}
END_TEST

START_TEST(pretraining_comes_first_and_alone)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_config config = tiny(20);
    pretrained(&config);
    config.pretrain_fraction = 0.25;
    struct den_train_job job = job_of(config, watch);
    train(&job);
    size_t alone = 0, others = 0;
    for (size_t i = 0; i < watch->numbers; i++) {
        const char *name = watch->told[i].name;
        if (strcmp(name, "loss_contrastive") == 0) {
            ck_assert_uint_le(watch->told[i].step, 5);
            alone++;
        } else if (den_str_starts(name, "loss_")) {
            ck_assert_uint_gt(watch->told[i].step, 5);
            others++;
        }
    }
    ck_assert_uint_eq(alone, 5);
    ck_assert_uint_eq(others, 15 * 6);
    free(watch);
}
END_TEST

START_TEST(the_estimate_counts_the_encoder)
{
    struct den_err err = DEN_ERR_INIT;
    static const char *const words[] = {"none", "enc-ntxent", "patchnce"};
    int threads = den_pool_threads(pool);
    size_t estimate[3], peak[3], steps;
    for (size_t i = 0; i < 3; i++) {
        struct den_train_config config = tiny(2);
        config.crop = SIDE;
        config.ngf = 16;
        config.batch = 8;
        config.validation_fraction = 0;
        den_str_copy(config.contrastive, DEN_WORD, words[i]);
        struct den_train_job job = job_of(config, NULL);
        job.hooks.progress.tick = never_stop;
        must(den_train_estimate("cgan", &config, SCENES, SIDE, threads, &steps,
                                &estimate[i], &err));
        size_t before = den_mem_live();
        den_mem_reset_peak();
        train(&job);
        peak[i] = den_mem_peak() - before;
    }
    for (size_t i = 1; i < 3; i++) {
        double share = (double)(estimate[i] - estimate[0]) / (double)(peak[i] - peak[0]);
        printf("%s: %.2f MB more, %.4f of that told\n", words[i],
               (double)(peak[i] - peak[0]) / 1e6, share);
        fflush(stdout);
        /* a batch of twins alone is 0.016 of enc-ntxent */
        ck_assert_msg(share > 0.99 && share < 1.4, "share %g", share);
    }
}
END_TEST

static void (*const terms[])(struct den_train_config *) = {encoder_views, patches};

START_TEST(a_failing_allocation_is_an_error_and_leaks_nothing)
{
    need_slow();
    struct den_train_config config = tiny(1);
    config.batch = 2;
    config.ngf = 1;
    config.validation_fraction = 0;
    terms[_i](&config);
    struct den_train_job job = job_of(config, NULL);
    job.hooks.progress.tick = never_stop;
    fail_each_allocation(&job);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contrast_enc");
    TCase *t = tcase_create("runs");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_loop_test(t, the_loss_falls_on_one_batch, 0, 2);
    tcase_add_loop_test(
        t, only_weights_of_the_encoder_get_a_gradient_and_no_statistics_move, 0, 2);
    tcase_add_test(t, each_image_is_drawn_to_the_twin_in_its_own_place);
    tcase_add_test(t, a_run_gives_the_term_twins_from_its_training_images);
    tcase_add_loop_test(t, a_run_with_twins_goes_on_to_the_same_bytes, 0, 3);
    tcase_add_test(t, pretraining_comes_first_and_alone);
    tcase_add_test(t, the_estimate_counts_the_encoder);
    tcase_add_loop_test(t, a_failing_allocation_is_an_error_and_leaks_nothing, 0, 2);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
