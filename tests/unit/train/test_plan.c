#include <math.h>
#include <string.h>

#include "den_check.h"
#include "train_plan.h"

static struct den_train_config cpu(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config;
    must(den_train_config_preset("cpu", &config, &err));
    return config;
}

static const struct {
    int64_t iterations, epochs, batch, validate_every;
    double decay_fraction;
    size_t images, steps, constant, decay, validate, report;
} cases[] = {
    {3000, 0, 8, 0, 0.5, 32, 3000, 1500, 1500, 150, 15},
    {3000, 0, 8, 77, 0, 32, 3000, 3000, 0, 77, 15},
    {3000, 0, 8, 0, 1, 32, 3000, 0, 3000, 150, 15},
    {1, 0, 8, 0, 0.5, 32, 1, 1, 0, 1, 1},    /* round(0.5) = 1 step at full rate */
    {3, 0, 8, 0, 0.5, 32, 3, 2, 1, 1, 1},    /* round(1.5) = 2 */
    {3, 10, 8, 0, 0.5, 9, 20, 10, 10, 1, 1}, /* 2 batches per epoch of 9 images */
    {3, 1000, 32, 0, 0.5, 300, 10000, 5000, 5000, 500, 50}, /* the paper's Convallaria */
};

START_TEST(the_schedule_follows_from_the_configuration)
{
    struct den_train_config config = cpu();
    config.iterations = cases[_i].iterations;
    config.epochs = cases[_i].epochs;
    config.batch = cases[_i].batch;
    config.validate_every = cases[_i].validate_every;
    config.decay_fraction = cases[_i].decay_fraction;
    struct den_train_plan plan = den_train_plan_make(&config, cases[_i].images);
    ck_assert_uint_eq(plan.steps, cases[_i].steps);
    ck_assert_uint_eq(plan.constant, cases[_i].constant);
    ck_assert_uint_eq(plan.decay, cases[_i].decay);
    ck_assert_uint_eq(plan.validate_every, cases[_i].validate);
    ck_assert_uint_eq(plan.report_every, cases[_i].report);
    ck_assert(den_train_plan_validates(&plan, plan.steps));
    ck_assert(den_train_plan_reports(&plan, plan.steps));
    ck_assert(den_train_plan_may_be_best(&plan, plan.steps));
}
END_TEST

START_TEST(the_learning_rate_is_full_and_then_falls_to_almost_nothing)
{
    struct den_train_config config = cpu();
    config.epochs = 1000;
    config.batch = 32;
    struct den_train_plan plan = den_train_plan_make(&config, 32); /* 500 + 500 */
    static const struct {
        size_t step;
        double factor;
    } rates[] = {
        {0, 1}, {500, 1}, {501, 500.0 / 501}, {750, 251.0 / 501}, {999, 2.0 / 501}};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
        close_to(den_train_plan_lr(&plan, 2, rates[i].step), 2 * rates[i].factor, 1e-12);
}
END_TEST

START_TEST(weights_at_full_learning_rate_never_become_the_best)
{
    struct den_train_plan plan = {.steps = 100, .constant = 50, .decay = 50};
    ck_assert(!den_train_plan_may_be_best(&plan, 5));
    ck_assert(!den_train_plan_may_be_best(&plan, 50));
    ck_assert(den_train_plan_may_be_best(&plan, 51));
    plan = (struct den_train_plan){.steps = 100, .constant = 100, .decay = 0};
    ck_assert(
        den_train_plan_may_be_best(&plan, 5)); /* there is nothing better to wait for */
}
END_TEST

/* Weights of the nets in the paper: 41,822,849 and 2,764,609 with their gradients and two
 * moments. */
START_TEST(the_nets_of_the_paper_take_the_bytes_of_their_weights_four_times)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config;
    must(den_train_config_preset("paper", &config, &err));
    config.batch = 1;
    size_t generator, discriminator;
    struct den_net_options g = den_train_generator(&config);
    struct den_net_options d = den_train_discriminator(&config);
    must(den_train_net_bytes(&den_net_unet, &g, &config, 1, &generator, &err));
    must(den_train_net_bytes(&den_net_patchgan, &d, &config, 1, &discriminator, &err));
    ck_assert_uint_gt(generator, 41822849UL * 16);
    ck_assert_uint_lt(generator, 41822849UL * 16 + (256UL << 20));
    ck_assert_uint_gt(discriminator, 2764609UL * 16);
    ck_assert_uint_lt(discriminator, 2764609UL * 16 + (256UL << 20));
    ck_assert(g.tanh_output && g.dropout && !g.instance_norm);
    ck_assert_uint_eq(d.channels_in, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("train_plan");
    TCase *t = tcase_create("plan");
    tcase_add_loop_test(t, the_schedule_follows_from_the_configuration, 0,
                        (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(t, the_learning_rate_is_full_and_then_falls_to_almost_nothing);
    tcase_add_test(t, weights_at_full_learning_rate_never_become_the_best);
    tcase_add_test(t, the_nets_of_the_paper_take_the_bytes_of_their_weights_four_times);
    suite_add_tcase(suite, t);
    return den_check_main(suite);
}
