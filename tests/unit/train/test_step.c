#include <math.h>
#include <string.h>

#include "den_check.h"
#include "mem.h"
#include "str.h"
#include "trainer.h"

/* One step of the method alone, on a batch of numbers: with learning rate 0 the weights
 * stay where they are, so that what it tells of the losses and what it leaves in the
 * gradients can be held against each other. */

enum { BATCH = 2, SIDE = 32, PIXELS = BATCH * SIDE * SIDE };

struct bench {
    struct den_train_job job;
    struct den_model *model;
    void *state;
    float noisy[PIXELS], clean[PIXELS];
    double loss_g, loss_gan, loss_d, loss_l1, loss_ssim, loss_tv;
};

static void metric(void *context, size_t step, const char *name, double value)
{
    struct bench *bench = context;
    double *to[] = {&bench->loss_g,  &bench->loss_gan,  &bench->loss_d,
                    &bench->loss_l1, &bench->loss_ssim, &bench->loss_tv};
    static const char *const names[] = {"loss_g",  "loss_gan",  "loss_d",
                                        "loss_l1", "loss_ssim", "loss_tv"};
    (void)step;
    for (size_t i = 0; i < 6; i++)
        if (strcmp(name, names[i]) == 0)
            *to[i] = value;
}

static struct bench *open_bench(const char *gan_mode, double gan, double l1, double ssim,
                                double tv, const char *diff_augment,
                                const char *contrastive)
{
    struct den_err err = DEN_ERR_INIT;
    struct bench *b = calloc(1, sizeof *b);
    struct den_train_config *config = &b->job.config;
    must(den_train_config_preset("cpu", config, &err));
    config->batch = BATCH;
    config->crop = SIDE;
    config->ngf = config->ndf = 4;
    config->d_layers = 2;
    config->lambda_gan = gan;
    config->lambda_l1 = l1;
    config->lambda_ssim = ssim;
    config->lambda_tv = tv;
    den_str_copy(config->gan_mode, DEN_WORD, gan_mode);
    den_str_copy(config->diff_augment, DEN_WORD, diff_augment);
    den_str_copy(config->contrastive, DEN_WORD, contrastive);
    config->contrastive_weight = 0.5;
    b->job.method = "cgan";
    b->job.seed = 1;
    b->job.backend = den_backend_find("ref");
    b->job.hooks.metric = metric;
    b->job.hooks.context = b;
    struct den_net_options options = {1, 1, 4, 5, false, false, false, DEN_WINOGRAD_AUTO,
                                      0};
    struct den_norm norm = {"mean_std", 0, 1};
    must(den_model_new(b->job.backend, &den_net_unet, &options, &norm, &b->model, &err));
    den_params_init(b->model->params, 1);
    /* Weights of 0.02 make an output near 0: make the net speak up. */
    for (size_t i = 0; i < den_params_size(b->model->params); i++) {
        struct den_param *p = den_params_at(b->model->params, i);
        for (size_t k = 0; p->kind == DEN_PARAM_WEIGHT && k < p->count; k++)
            p->value[k] *= 5;
    }
    must(den_methods[0]->start(&b->job, b->model, -4, 4, &b->state, &err));
    struct den_rng rng;
    den_rng_seed(&rng, 1, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < PIXELS; i++) {
        b->clean[i] = (float)sin((double)(i % SIDE) / 3 + (double)(i / SIDE) / 5);
        b->noisy[i] = b->clean[i] + 0.5F * (float)den_rng_normal(&rng);
    }
    return b;
}

static void close_bench(struct bench *b)
{
    den_methods[0]->stop(b->state);
    den_model_free(b->model);
    free(b);
}

static void step(struct bench *b, size_t number, double lr)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_batch batch = {.n = BATCH,
                              .side = SIDE,
                              .noisy = b->noisy,
                              .twin = b->noisy, /* a scene of one frame */
                              .clean = b->clean,
                              .step = number,
                              .steps = 100,
                              .lr = lr,
                              .key = 7};
    must(den_methods[0]->step(b->state, &batch, true, &err));
}

/* Moves all weights by `distance` along the gradient (given as a copy). */
static void move(struct bench *b, float *const *gradient, double distance)
{
    for (size_t i = 0; i < den_params_size(b->model->params); i++) {
        struct den_param *p = den_params_at(b->model->params, i);
        for (size_t k = 0; gradient[i] != NULL && k < p->count; k++)
            p->value[k] += (float)(distance * (double)gradient[i][k]);
    }
}

static const struct {
    const char *name, *mode;
    double gan, l1, ssim, tv;
    const char *augment, *contrastive;
} cases[] = {
    {"adversarial alone", "vanilla", 3, 0, 0, 0, "none", "none"},
    {"least squares", "lsgan", 3, 0, 0, 0, "none", "none"},
    {"L1 alone", "vanilla", 0, 10, 0, 0, "none", "none"},
    {"SSIM alone", "vanilla", 0, 0, 5, 0, "none", "none"},
    {"all terms", "vanilla", 1, 10, 5, 1e-3, "none", "none"},
    {"shifted", "vanilla", 3, 0, 0, 0, "translation", "none"},
    {"cut out", "vanilla", 3, 0, 0, 0, "cutout", "none"},
    {"all terms, augmented", "lsgan", 1, 10, 5, 1e-3, "translation-cutout", "none"},
    {"L1 and views", "vanilla", 0, 1, 0, 0, "none", "enc-ntxent"},
    {"L1 and places", "vanilla", 0, 1, 0, 0, "none", "patchnce"},
    {"all terms and places", "lsgan", 1, 1, 5, 1e-3, "none", "patchnce"},
    {"all terms and views", "vanilla", 1, 1, 5, 1e-3, "cutout", "enc-ntxent"},
};

START_TEST(the_gradient_of_the_generator_is_that_of_the_loss_it_tells)
{
    enum { PARAMS = 64 };
    struct bench *b =
        open_bench(cases[_i].mode, cases[_i].gan, cases[_i].l1, cases[_i].ssim,
                   cases[_i].tv, cases[_i].augment, cases[_i].contrastive);
    struct den_params *params = b->model->params;
    float *gradient[PARAMS] = {NULL};
    ck_assert_uint_le(den_params_size(params), PARAMS);
    step(b, 0, 0);
    /* PatchNCE holds its keys fixed, which the encoder's weights would move too. */
    bool all = strcmp(cases[_i].contrastive, "patchnce") != 0;
    double norm = 0;
    for (size_t i = 0; i < den_params_size(params); i++) {
        struct den_param *p = den_params_at(params, i);
        if (p->kind != DEN_PARAM_WEIGHT || (!all && b->model->net->encodes(p->name)))
            continue;
        gradient[i] = den_calloc(p->count, sizeof(float));
        memcpy(gradient[i], p->grad, p->count * sizeof(float));
        for (size_t k = 0; k < p->count; k++)
            norm += (double)p->grad[k] * (double)p->grad[k];
    }
    norm = sqrt(norm);
    double eps = 5e-4, unit = 1 / norm;
    move(b, gradient, eps * unit);
    step(b, 0, 0);
    double above = b->loss_g;
    move(b, gradient, -2 * eps * unit);
    step(b, 0, 0);
    double slope = (above - b->loss_g) / (2 * eps);
    printf("%s: slope %.5g, norm %.5g\n", cases[_i].name, slope, norm);
    ck_assert(norm > 0);
    close_to(slope / norm, 1, 0.02);
    for (size_t i = 0; i < PARAMS; i++)
        den_free(gradient[i]);
    close_bench(b);
}
END_TEST

START_TEST(the_loss_of_the_generator_is_the_weighted_sum_of_its_terms)
{
    struct bench *b = open_bench("vanilla", 2, 30, 5, 1e-3, "none", "none");
    step(b, 0, 0);
    close_to(b->loss_g,
             2 * b->loss_gan + 30 * b->loss_l1 + 5 * b->loss_ssim + 1e-3 * b->loss_tv,
             1e-12);
    /* lo, hi = -4, 4 count as -1, 1: an error of 4 network units is an L1 of 1. */
    ck_assert(b->loss_l1 > 0.01 && b->loss_l1 < 1);
    ck_assert(b->loss_tv > 1);
    close_bench(b);
}
END_TEST

START_TEST(the_generator_meets_the_discriminator_that_has_just_learnt)
{
    struct bench *still = open_bench("vanilla", 1, 1, 0, 0, "none", "none");
    struct bench *moving = open_bench("vanilla", 1, 1, 0, 0, "none", "none");
    step(still, 0, 0);
    step(moving, 0, 1e-3);
    close_to(moving->loss_d, still->loss_d, 0); /* of the weights before */
    ck_assert_msg(moving->loss_gan > still->loss_gan + 1e-3, "%g after %g",
                  moving->loss_gan, still->loss_gan);
    close_bench(still);
    close_bench(moving);
}
END_TEST

START_TEST(two_steps_of_the_discriminator_take_it_further_than_one)
{
    struct bench *one = open_bench("vanilla", 1, 1, 0, 0, "none", "none");
    struct bench *two = open_bench("vanilla", 1, 1, 0, 0, "none", "none");
    two->job.config.d_steps = 2;
    den_methods[0]->stop(two->state);
    struct den_err err = DEN_ERR_INIT;
    must(den_methods[0]->start(&two->job, two->model, -4, 4, &two->state, &err));
    step(one, 0, 1e-3);
    step(two, 0, 1e-3);
    /* loss_d is the mean over its steps, of which the first is the same. */
    ck_assert_msg(two->loss_d < one->loss_d - 1e-4, "%g after %g", two->loss_d,
                  one->loss_d);
    ck_assert_msg(two->loss_gan > one->loss_gan + 1e-4, "%g after %g", two->loss_gan,
                  one->loss_gan);
    close_bench(one);
    close_bench(two);
}
END_TEST

START_TEST(before_gan_start_there_is_no_discriminator_and_then_its_weight_rises)
{
    struct bench *plain = open_bench("vanilla", 0, 10, 0, 0, "none", "none");
    struct bench *late = open_bench("vanilla", 1, 10, 0, 0, "none", "none");
    late->job.config.gan_start = 0.03; /* of 100 steps */
    late->job.config.gan_ramp = 0.02;
    for (size_t i = 0; i < 3; i++) {
        step(plain, i, 1e-3);
        step(late, i, 1e-3);
        ck_assert(late->loss_g == plain->loss_g && late->loss_d == 0);
    }
    static const double weights[] = {0.5, 1, 1};
    for (size_t i = 0; i < 3; i++) {
        step(late, 3 + i, 1e-3);
        ck_assert(late->loss_d > 0);
        close_to(late->loss_g - 10 * late->loss_l1, weights[i] * late->loss_gan, 1e-6);
    }
    close_bench(plain);
    close_bench(late);
}
END_TEST

START_TEST(the_discriminator_learns_at_its_own_rate)
{
    struct bench *slow = open_bench("vanilla", 1, 10, 0, 0, "none", "none");
    struct bench *fast = open_bench("vanilla", 1, 10, 0, 0, "none", "none");
    slow->job.config.d_lr = 0.25;
    step(slow, 0, 1e-3);
    step(fast, 0, 1e-3);
    ck_assert(fast->loss_d == slow->loss_d); /* told before it learnt */
    ck_assert_msg(fast->loss_gan > slow->loss_gan + 1e-4, "%g after %g", fast->loss_gan,
                  slow->loss_gan);
    close_bench(slow);
    close_bench(fast);
}
END_TEST

START_TEST(images_that_are_alike_leave_the_discriminator_undecided)
{
    /* With weights 0 the generator gives 0 everywhere, and a loss of 1e-30 leaves it
     * there: what D may not tell apart costs ln 2 at best [Goodfellow et al., 2014]. */
    struct bench *b = open_bench("vanilla", 1e-30, 0, 0, 0, "none", "none");
    for (size_t i = 0; i < den_params_size(b->model->params); i++) {
        struct den_param *p = den_params_at(b->model->params, i);
        memset(p->value, 0, p->count * sizeof(float));
    }
    memset(b->clean, 0, sizeof b->clean);
    for (size_t i = 0; i < 20; i++)
        step(b, i, 1e-3);
    ck_assert_msg(b->loss_d > 0.69 && b->loss_d < 0.8, "loss_d = %g", b->loss_d);
    close_bench(b);
}
END_TEST

START_TEST(without_its_weight_a_term_changes_nothing)
{
    struct bench *plain = open_bench("vanilla", 0, 10, 0, 0, "none", "none");
    struct bench *tiny = open_bench("vanilla", 0, 10, 1e-6, 1e-9, "none", "none");
    for (size_t i = 0; i < 3; i++) {
        step(plain, i, 1e-3);
        step(tiny, i, 1e-3);
        close_to(tiny->loss_l1 / plain->loss_l1, 1, 1e-3);
    }
    close_to(plain->loss_d, 0, 0); /* never told */
    close_to(plain->loss_ssim, 0, 0);
    ck_assert(tiny->loss_ssim > 0);
    close_bench(plain);
    close_bench(tiny);
}
END_TEST

START_TEST(losses_that_are_not_finite_or_explode_end_the_run)
{
    struct den_err err = DEN_ERR_INIT;
    struct bench *b = open_bench("vanilla", 0, 10, 0, 0, "none", "none");
    struct den_batch batch = {
        .n = BATCH, .side = SIDE, .noisy = b->noisy, .clean = b->clean, .key = 7};
    must(den_methods[0]->step(b->state, &batch, true, &err));
    for (size_t i = 0; i < PIXELS; i++)
        b->clean[i] *= 1000;
    batch.step = 9; /* may still overshoot */
    must(den_methods[0]->step(b->state, &batch, true, &err));
    batch.step = 10;
    must_fail(den_methods[0]->step(b->state, &batch, true, &err), DEN_E_DIVERGED,
              "at step 11 loss_l1 was");
    b->clean[5] = (float)INFINITY;
    must_fail(den_methods[0]->step(b->state, &batch, true, &err), DEN_E_DIVERGED,
              "loss_g was inf; try a lower learning rate");
    close_bench(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("step_cgan");
    TCase *t = tcase_create("step");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, the_gradient_of_the_generator_is_that_of_the_loss_it_tells, 0,
                        (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(t, the_loss_of_the_generator_is_the_weighted_sum_of_its_terms);
    tcase_add_test(t, the_generator_meets_the_discriminator_that_has_just_learnt);
    tcase_add_test(t, two_steps_of_the_discriminator_take_it_further_than_one);
    tcase_add_test(t,
                   before_gan_start_there_is_no_discriminator_and_then_its_weight_rises);
    tcase_add_test(t, the_discriminator_learns_at_its_own_rate);
    tcase_add_test(t, images_that_are_alike_leave_the_discriminator_undecided);
    tcase_add_test(t, without_its_weight_a_term_changes_nothing);
    tcase_add_test(t, losses_that_are_not_finite_or_explode_end_the_run);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
