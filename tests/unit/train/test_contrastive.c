#include <math.h>
#include <string.h>

#include "contrast.h"
#include "contrast_head.h"
#include "train_help.h"

/* The contrastive terms of the discriminator, alone on a batch of numbers and in whole
 * runs. */

enum { BATCH = 3, CROP = 32, PIXELS = BATCH * CROP * CROP };

struct bench {
    struct den_train_job job;
    struct den_adversary d;
    const struct den_contrastive *row;
    void *state;
    float noisy[PIXELS], clean[PIXELS], fake[PIXELS];
};

static void fill_images(struct bench *b)
{
    struct den_rng rng;
    den_rng_seed(&rng, 1, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < PIXELS; i++) {
        size_t image = i / (CROP * CROP);
        b->clean[i] =
            (float)sin((double)(i % CROP) / (3 + (double)image) + (double)(i / CROP) / 5);
        b->noisy[i] = b->clean[i] + 0.5F * (float)den_rng_normal(&rng);
        b->fake[i] = 0.7F * b->clean[i] + 0.2F * (float)den_rng_normal(&rng);
    }
}

static struct bench *open_bench(const struct den_contrastive *row,
                                void (*change)(struct den_train_config *config))
{
    struct den_err err = DEN_ERR_INIT;
    struct bench *b = calloc(1, sizeof *b);
    struct den_train_config *config = &b->job.config;
    must(den_train_config_preset("cpu_gan", config, &err));
    config->batch = BATCH;
    config->crop = CROP;
    config->ndf = 4;
    config->d_layers = 2;
    den_str_copy(config->contrastive, DEN_WORD, row->name);
    if (change != NULL)
        change(config);
    must(den_train_config_check(config, &err));
    b->job.seed = 1;
    b->job.backend = den_backend_find("ref");
    b->row = row;
    struct den_shape shape = {BATCH, CROP, CROP, 1};
    must(den_adversary_start(&b->d, &b->job, shape, 1, &err));
    /* Weights of 0.02 make logits that are all alike: let D speak up. */
    for (size_t i = 0; i < den_params_size(b->d.params); i++) {
        struct den_param *p = den_params_at(b->d.params, i);
        for (size_t k = 0; p->kind == DEN_PARAM_WEIGHT && k < p->count; k++)
            p->value[k] *= 5;
    }
    const struct den_contrast_parts parts = {&b->job, &b->d, NULL, -1, 1};
    must(row->start(row, &parts, &b->state, &err));
    fill_images(b);
    return b;
}

static void close_bench(struct bench *b)
{
    b->row->stop(b->state);
    den_adversary_release(&b->d);
    free(b);
}

static double step(struct bench *b, size_t number, double lr)
{
    struct den_batch batch = {.n = BATCH,
                              .side = CROP,
                              .noisy = b->noisy,
                              .clean = b->clean,
                              .step = number,
                              .lr = lr};
    return b->row->step(b->state, &batch, b->fake, NULL);
}

/* All weights of D += distance * direction, or direction = the gradient if `take`. */
static void move(struct bench *b, float **direction, double distance, bool take)
{
    for (size_t i = 0; i < den_params_size(b->d.params); i++) {
        struct den_param *p = den_params_at(b->d.params, i);
        if (p->grad == NULL)
            continue;
        if (take) {
            direction[i] = den_calloc(p->count, sizeof(float));
            memcpy(direction[i], p->grad, p->count * sizeof(float));
        }
        for (size_t k = 0; k < p->count; k++)
            p->value[k] += (float)(distance * (double)direction[i][k]);
    }
}

static void plain(struct den_train_config *c)
{
    (void)c;
}

static void directions(struct den_train_config *c)
{
    c->contrastive_l2norm = true;
    c->contrastive_tau = 0.5;
}

static void heavy_trained(struct den_train_config *c)
{
    c->contrastive_weight = 3;
    den_str_copy(c->contrastive_head, DEN_WORD, "trained");
}

static void (*const settings[])(struct den_train_config *) = {plain, directions,
                                                              heavy_trained};
enum { SETTINGS = sizeof settings / sizeof settings[0], PARAMS = 64 };

START_TEST(the_gradient_of_the_discriminator_is_that_of_the_loss_it_tells)
{
    for (size_t s = 0; s < SETTINGS; s++) {
        struct bench *b = open_bench(den_contrastives[_i], settings[s]);
        float *gradient[PARAMS] = {NULL};
        ck_assert_uint_le(den_params_size(b->d.params), PARAMS);
        double eps = 2e-4, at = step(b, 0, 0), norm = den_params_grad_norm(b->d.params);
        move(b, gradient, eps / norm, true);
        double above = step(b, 0, 0);
        move(b, gradient, -2 * eps / norm, false);
        double slope =
            b->job.config.contrastive_weight * (above - step(b, 0, 0)) / eps / 2;
        printf("%s %zu: loss %.5g, slope %.5g, norm %.5g\n", b->row->name, s, at, slope,
               norm);
        ck_assert(at > 0 && norm > 1e-3);
        close_to(slope / norm, 1, 0.02);
        for (size_t i = 0; i < PARAMS; i++)
            den_free(gradient[i]);
        close_bench(b);
    }
}
END_TEST

START_TEST(the_loss_falls_on_one_batch)
{
    for (size_t s = 0; s < SETTINGS; s++) {
        struct bench *b = open_bench(den_contrastives[_i], settings[s]);
        double first = step(b, 0, 1e-2), last = first;
        for (size_t i = 0; i < 40; i++)
            last = step(b, 0, 1e-2); /* number 0 again: the same views */
        printf("%s %zu: %.3g to %.3g\n", b->row->name, s, first, last);
        fflush(stdout);
        ck_assert_msg(last < 0.5 * first, "from %g to %g", first, last);
        close_bench(b);
    }
}
END_TEST

START_TEST(steps_of_adam_on_the_discriminator_are_counted_through)
{
    /* Two steps per iteration: the term's is number 2 k + 1.  With zero moments and a
     * gradient g the first one moves by lr, whatever g is; taken for number 3, its second
     * moment would be corrected less and it would move by more. */
    struct bench *b = open_bench(&den_contrast_disc_infonce, NULL);
    struct den_param *p = den_params_at(b->d.params, 0);
    float before = p->value[0];
    ck_assert_uint_eq(b->d.steps, 2);
    step(b, 0, 1e-3);
    close_to(fabs((double)(p->value[0] - before)), 1e-3, 1e-6);
    close_bench(b);
    b = open_bench(&den_contrast_disc_infonce, NULL);
    p = den_params_at(b->d.params, 0);
    before = p->value[0];
    step(b, 1, 1e-3);
    double correction = 0.5 / (1 - 0.125) / sqrt(0.001 / (1 - 0.999 * 0.999 * 0.999));
    close_to(fabs((double)(p->value[0] - before)) / (1e-3 * correction), 1, 1e-3);
    close_bench(b);
}
END_TEST

START_TEST(the_head_is_a_function_of_the_seed_and_of_the_fan_in)
{
    struct den_err err = DEN_ERR_INIT;
    enum { ROWS = 5, WIDTH = 36 };
    static float values[3][WIDTH * WIDTH];
    for (size_t i = 0; i < 3; i++) {
        struct den_train_job job = job_of(tiny(1), NULL);
        struct den_contrast_head head = {0};
        job.seed = i == 2 ? 8 : 7;
        must(den_contrast_head_start(&head, &job, &den_contrast_head_random, ROWS, WIDTH,
                                     &err));
        ck_assert_uint_eq(den_params_count(head.params), WIDTH * WIDTH + WIDTH * 128);
        den_param_read(head.params, den_params_at(head.params, 0), values[i]);
        den_contrast_head_release(&head);
    }
    ck_assert_mem_eq(values[0], values[1], sizeof values[0]);
    ck_assert_mem_ne(values[0], values[2], sizeof values[0]);
    double most = 0, sum = 0;
    for (size_t i = 0; i < WIDTH * WIDTH; i++) {
        most = fmax(most, fabs((double)values[0][i]));
        sum += (double)values[0][i];
    }
    ck_assert(most <= 1.0 / 6 && most > 0.99 / 6); /* 1 / sqrt(36) */
    close_to(sum / (WIDTH * WIDTH), 0, 0.02);
}
END_TEST

/* ---- whole runs ------------------------------------------------------------------ */

static double train_told(const struct den_train_config *config, const char *name)
{
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = job_of(*config, watch);
    train(&job);
    double value = told(watch, name, true);
    free(watch);
    return value;
}

static size_t read_last(char **ret)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    struct den_model *model = NULL;
    must(den_model_load(backend(), path_of("last.model", path), &model, &err));
    size_t count = 0, at = 0;
    for (size_t i = 0; i < den_params_size(model->params); i++)
        count += den_params_at(model->params, i)->count;
    float *values = den_calloc(count, sizeof(float));
    for (size_t i = 0; i < den_params_size(model->params); i++) {
        struct den_param *p = den_params_at(model->params, i);
        memcpy(values + at, p->value, p->count * sizeof(float));
        at += p->count;
    }
    den_model_free(model);
    *ret = (char *)values;
    return count * sizeof(float);
}

START_TEST(the_term_leaves_data_order_crops_and_dropout_alone)
{
    char *without, *with;
    struct den_train_config config = tiny(8);
    gan(&config);
    dropout(&config);
    config.lambda_gan = 1e-30; /* G hears nothing of D */
    train_told(&config, "loss_d");
    size_t size = read_last(&without);
    den_str_copy(config.contrastive, DEN_WORD, "disc-infonce");
    double loss = train_told(&config, "loss_contrastive");
    ck_assert(isfinite(loss) && loss > 0);
    ck_assert_uint_eq(read_last(&with), size);
    ck_assert_mem_eq(without, with, size);
    den_free(without);
    den_free(with);
}
END_TEST

START_TEST(the_term_changes_what_the_generator_learns)
{
    char *without, *with;
    struct den_train_config config = tiny(4);
    gan(&config);
    ck_assert(isnan(train_told(&config, "loss_contrastive")));
    size_t size = read_last(&without);
    den_str_copy(config.contrastive, DEN_WORD, "disc-infonce");
    train_told(&config, "loss_contrastive");
    ck_assert_uint_eq(read_last(&with), size);
    ck_assert_mem_ne(without, with, size);
    den_free(without);
    den_free(with);
}
END_TEST

START_TEST(only_a_trained_head_is_in_the_checkpoint)
{
    static const char *const words[] = {"fixed", "trained", "auto"};
    for (size_t i = 0; i < 3; i++) {
        struct den_err err = DEN_ERR_INIT;
        char path[PATH];
        struct watch *watch = new_watch(3, DEN_SUSPEND);
        struct den_train_config config = tiny(5);
        gan(&config);
        den_str_copy(config.contrastive, DEN_WORD, "disc-ntxent");
        den_str_copy(config.contrastive_head, DEN_WORD, words[i]);
        struct den_train_job job = job_of(config, watch);
        job.checkpoint_path = path_of(words[i], path);
        struct den_train_result result;
        must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "after 3 of 5");
        struct den_tensor_file *file = NULL;
        must(den_tensor_file_open(path, 1 << 26, &file, &err));
        ck_assert((den_tensor_file_find(file, "head.0.weight") != NULL) == (i == 1));
        ck_assert((den_tensor_file_find(file, "head.adam_v.2.weight") != NULL) ==
                  (i == 1));
        den_tensor_file_free(file);
        free(watch);
    }
}
END_TEST

START_TEST(the_estimate_counts_the_term)
{
    struct den_err err = DEN_ERR_INIT;
    static const char *const words[] = {"none", "disc-infonce", "disc-ntxent"};
    int threads = den_pool_threads(pool);
    size_t estimate[3], peak[3], steps;
    struct den_train_config config = tiny(2);
    gan(&config);
    config.crop = SIDE; /* one halving in D: 30 x 30 logits, a head of 3.7 MB */
    config.d_layers = 1;
    den_str_copy(config.contrastive_head, DEN_WORD, "trained");
    for (size_t i = 0; i < 3; i++) {
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
        ck_assert_uint_gt(peak[i], peak[0] + 10000000);
        double share = (double)(estimate[i] - estimate[0]) / (double)(peak[i] - peak[0]);
        printf("%s: %.2f MB more, %.2f of that told\n", words[i],
               (double)(peak[i] - peak[0]) / 1e6, share);
        ck_assert_msg(share > 0.95 && share < 1.4, "share %g", share);
    }
}
END_TEST

START_TEST(a_failing_allocation_is_an_error_and_leaks_nothing)
{
    need_slow();
    struct den_train_config config = tiny(1);
    gan(&config);
    config.batch = 1;
    config.ngf = config.ndf = 1;
    config.validation_fraction = 0;
    den_str_copy(config.contrastive, DEN_WORD, "disc-infonce");
    den_str_copy(config.contrastive_head, DEN_WORD, "trained");
    struct den_train_job job = job_of(config, NULL);
    job.hooks.progress.tick = never_stop;
    fail_each_allocation(&job);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("contrastive");
    size_t rows = 0; /* those on the discriminator come first */
    while (den_contrastives[rows]->on_discriminator)
        rows++;
    TCase *t = tcase_create("term");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, the_gradient_of_the_discriminator_is_that_of_the_loss_it_tells,
                        0, (int)rows);
    tcase_add_loop_test(t, the_loss_falls_on_one_batch, 0, (int)rows);
    tcase_add_test(t, steps_of_adam_on_the_discriminator_are_counted_through);
    tcase_add_test(t, the_head_is_a_function_of_the_seed_and_of_the_fan_in);
    suite_add_tcase(suite, t);
    t = tcase_create("runs");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, set_up, tear_down);
    tcase_add_test(t, the_term_leaves_data_order_crops_and_dropout_alone);
    tcase_add_test(t, the_term_changes_what_the_generator_learns);
    tcase_add_test(t, only_a_trained_head_is_in_the_checkpoint);
    tcase_add_test(t, the_estimate_counts_the_term);
    tcase_add_test(t, a_failing_allocation_is_an_error_and_leaks_nothing);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
