/* A run that starts from a model. */

#include "base_model.h"
#include "train_help.h"

#define NAME "cells@1"

static struct den_model *load(const char *name)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model *model = NULL;
    char path[PATH];
    must(den_model_load(backend(), path_of(name, path), &model, &err));
    return model;
}

static void care(struct den_train_config *c)
{
    den_str_copy(c->net, DEN_WORD, "care");
    c->downs = 2;
}

static void care_5(struct den_train_config *c)
{
    care(c);
    c->kernel = 5;
}

static void contrastive(struct den_train_config *c)
{
    gan(c);
    den_str_copy(c->contrastive, DEN_WORD, "disc-infonce");
}

static const struct {
    const char *name;
    void (*change)(struct den_train_config *config);
} variants[] = {
    {"L1", two_samples},
    {"GAN", gan},
    {"contrastive", contrastive},
    {"instance norm", instance_norm},
    {"tanh", tanh_min_max},
    {"batch joint", batch_joint},
    {"CARE", care},
    {"dropout", dropout},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* Trains a few steps; the last weights are then base.model.  Returns the validation PSNR
 * of these. */
static double make_base(struct den_train_config config)
{
    struct den_err err = DEN_ERR_INIT;
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = job_of(config, watch);
    char path[PATH], *bytes;
    size_t size;
    train(&job);
    must(den_fs_read(job.last_path, 1 << 24, &bytes, &size, &err));
    must(den_fs_write(path_of("base.model", path), bytes, size, &err));
    den_free(bytes);
    double psnr = told(watch, "validation_psnr", true);
    free(watch);
    return psnr;
}

static struct den_train_job tuning(struct den_train_config config, struct watch *watch)
{
    static char base[PATH];
    struct den_train_job job = job_of(config, watch);
    job.base_path = path_of("base.model", base);
    job.base = NAME;
    return job;
}

static struct den_train_config config_of(int i)
{
    struct den_train_config config = tiny(6);
    config.batch = 2;
    variants[i].change(&config);
    return config;
}

/* The numbers of a parameter that both models have. */
static bool same_value(struct den_model *a, struct den_model *b, size_t index)
{
    const struct den_param *p = den_params_at(a->params, index);
    const struct den_param *q = den_params_find(b->params, p->name);
    return memcmp(p->value, q->value, p->count * sizeof *p->value) == 0;
}

START_TEST(before_the_first_step_a_run_has_the_model_it_starts_from)
{
    struct den_train_config config = config_of(_i);
    double of_base = make_base(config);
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    config.iterations = 3;
    struct den_train_job job = tuning(config, watch);
    job.seed = 42; /* of the split: the same images are kept for validation */
    train(&job);
    ck_assert_str_eq(watch->told[0].name, "validation_psnr");
    ck_assert_uint_eq(watch->told[0].step, 0);
    ck_assert_msg(watch->told[0].value == of_base, "%s: %.12g, not %.12g",
                  variants[_i].name, watch->told[0].value, of_base);
    free(watch);
}
END_TEST

START_TEST(weights_and_normalisation_come_from_the_base_whatever_the_seed_and_images)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_config config = config_of(_i);
    make_base(config);
    struct den_model *base = load("base.model"), *fresh = NULL;
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = tuning(config, watch);
    struct den_norm norm;
    job.seed = 7;
    job.dataset = repeats;
    must(den_base_open(&job, &norm, &err));
    must(den_model_new(job.backend, base->net, &base->options, &norm, &fresh, &err));
    den_params_init(fresh->params, job.seed);
    must(den_base_apply(&job, fresh, &err));
    for (size_t k = 0; k < den_params_size(fresh->params); k++)
        ck_assert(same_value(fresh, base, k));
    den_model_free(fresh);
    train(&job);
    struct den_model *tuned = load("last.model");
    ck_assert_str_eq(tuned->norm.kind, base->norm.kind);
    ck_assert(tuned->norm.shift == base->norm.shift);
    ck_assert(tuned->norm.scale == base->norm.scale);
    ck_assert_str_eq(den_tensor_file_meta(tuned->file, "train.base_model"), NAME);
    ck_assert_ptr_null(den_tensor_file_meta(base->file, "train.base_model"));
    size_t learnt = 0;
    for (size_t k = 0; k < den_params_size(tuned->params); k++)
        learnt += !same_value(tuned, base, k);
    ck_assert_uint_ge(learnt, den_params_size(tuned->params) / 2);
    den_model_free(base);
    den_model_free(tuned);
    free(watch);
}
END_TEST

START_TEST(a_frozen_encoder_keeps_its_bytes_while_the_decoder_learns)
{
    struct den_train_config config = config_of(_i);
    make_base(config);
    config.freeze_encoder = true;
    struct watch *watch = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = tuning(config, watch);
    train(&job);
    struct den_model *base = load("base.model"), *tuned = load("last.model");
    size_t frozen = 0, learnt = 0;
    for (size_t k = 0; k < den_params_size(tuned->params); k++) {
        const struct den_param *p = den_params_at(tuned->params, k);
        bool encodes = tuned->net->encodes(p->name);
        ck_assert_msg(same_value(tuned, base, k) == encodes, "%s: %s", variants[_i].name,
                      p->name);
        frozen += encodes;
        learnt += !encodes;
    }
    ck_assert(frozen > 0 && learnt > 0);
    ck_assert_str_eq(den_tensor_file_meta(tuned->file, "train.freeze_encoder"), "true");
    den_model_free(base);
    den_model_free(tuned);
    free(watch);
}
END_TEST

/* ---- interrupted --------------------------------------------------------------- */

static void read_last(char **ret, size_t *ret_size)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    must(den_fs_read(path_of("last.model", path), 1 << 24, ret, ret_size, &err));
}

static const struct {
    int variant;
    size_t stop_at;
    bool freeze;
} breaks[] = {{0, 0, false}, {0, 3, true}, {1, 2, false}, {1, 4, true},
              {2, 3, true},  {3, 2, true}, {6, 4, true},  {5, 1, false}};

START_TEST(fine_tuning_goes_on_from_a_checkpoint_to_the_same_bytes)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH], *whole, *resumed;
    size_t sizes[2];
    struct den_train_result result;
    struct den_train_config config = config_of(breaks[_i].variant);
    make_base(config);
    config.freeze_encoder = breaks[_i].freeze;
    struct watch *unbroken = new_watch(SIZE_MAX, DEN_GO_ON);
    struct watch *before = new_watch(breaks[_i].stop_at, DEN_SUSPEND);
    struct watch *after = new_watch(SIZE_MAX, DEN_GO_ON);
    struct den_train_job job = tuning(config, unbroken);
    train(&job);
    read_last(&whole, &sizes[0]);
    job = tuning(config, before);
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "can go on from there");
    job.hooks.progress.context = job.hooks.context = after;
    result = train(&job);
    ck_assert_uint_eq(result.resumed_at, breaks[_i].stop_at);
    read_last(&resumed, &sizes[1]);
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert_mem_eq(whole, resumed, sizes[0]);
    ck_assert_uint_eq(before->numbers + after->numbers, unbroken->numbers);
    den_free(whole);
    den_free(resumed);
    free(unbroken);
    free(before);
    free(after);
}
END_TEST

START_TEST(a_checkpoint_of_another_base_is_not_used)
{
    struct den_err err = DEN_ERR_INIT;
    char checkpoint[PATH];
    struct den_train_result result;
    struct den_train_config config = config_of(0);
    make_base(config);
    struct watch *watch = new_watch(3, DEN_SUSPEND);
    struct den_train_job job = tuning(config, watch);
    job.checkpoint_path = path_of("checkpoint", checkpoint);
    must_fail(den_train(&job, &result, &err), DEN_E_DRAINING, "can go on from there");
    watch->stop_at = SIZE_MAX;
    job.base = "cells@2";
    result = train(&job);
    ck_assert_uint_eq(result.resumed_at, 0);
    free(watch);
}
END_TEST

/* ---- what does not fit ----------------------------------------------------------- */

static void more_channels(struct den_train_config *c)
{
    c->ngf = 5;
}

static void deeper(struct den_train_config *c)
{
    c->downs = 6;
    c->crop = 64;
}

static void instance(struct den_train_config *c)
{
    den_str_copy(c->norm_layer, DEN_WORD, "instance");
}

static const struct {
    void (*base)(struct den_train_config *config);
    void (*change)(struct den_train_config *config);
    const char *field, *words;
} contradictions[] = {
    {two_samples, more_channels, "ngf", "ngf is 5, but the base model " NAME " has 4"},
    {two_samples, deeper, "downs", "downs is 6, but the base model " NAME " has 5"},
    {two_samples, instance, "norm_layer", "is instance, but the base model"},
    {two_samples, percentile, "normalisation", "is percentile, but the base model"},
    {percentile, tanh_min_max, "output", "output is tanh, but"},
    {two_samples, care, "net", "net is care, but the base model " NAME " has unet"},
    {care, care_5, "kernel", "kernel is 5, but the base model " NAME " has 3"},
};

START_TEST(a_configuration_that_contradicts_the_base_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_result result;
    struct den_train_config config = tiny(2);
    contradictions[_i].base(&config);
    make_base(config);
    contradictions[_i].change(&config);
    struct den_train_job job = tuning(config, NULL);
    size_t live = den_mem_live();
    ck_assert(!den_train(&job, &result, &err));
    ck_assert_int_eq(err.code, DEN_E_CONFLICT);
    ck_assert_str_eq(err.field, contradictions[_i].field);
    ck_assert_msg(strstr(err.text, contradictions[_i].words) != NULL, "%s", err.text);
    ck_assert_uint_eq(den_mem_live(), live);
}
END_TEST

START_TEST(a_base_that_cannot_be_read_is_named)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_result result;
    struct den_train_config config = config_of(0);
    struct den_train_job job = tuning(config, NULL);
    char path[PATH], *bytes;
    size_t size, live = den_mem_live();
    path_of("base.model", path);
    must_fail(den_train(&job, &result, &err), DEN_E_NOT_FOUND,
              "the base model " NAME " cannot be used");
    make_base(config);
    must(den_fs_read(path, 1 << 24, &bytes, &size, &err));
    memset(bytes + size - 4, 0xff, 4); /* the last weight becomes NaN */
    must(den_fs_write(path, bytes, size, &err));
    den_free(bytes);
    must_fail(den_train(&job, &result, &err), DEN_E_UNPROCESSABLE,
              "the base model " NAME " cannot be used");
    ck_assert_uint_eq(den_mem_live(), live);
}
END_TEST

START_TEST(an_encoder_without_a_base_is_not_frozen)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_train_result result;
    struct den_train_config config = config_of(0);
    config.freeze_encoder = true;
    struct den_train_job job = job_of(config, NULL);
    must_fail(den_train(&job, &result, &err), DEN_E_INVALID,
              "freeze_encoder needs a base model");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fine-tuning");
    TCase *tc = tcase_create("base model");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, before_the_first_step_a_run_has_the_model_it_starts_from, 0,
                        VARIANTS);
    tcase_add_loop_test(
        tc, weights_and_normalisation_come_from_the_base_whatever_the_seed_and_images, 0,
        VARIANTS);
    tcase_add_loop_test(tc, a_frozen_encoder_keeps_its_bytes_while_the_decoder_learns, 0,
                        VARIANTS);
    tcase_add_loop_test(tc, fine_tuning_goes_on_from_a_checkpoint_to_the_same_bytes, 0,
                        sizeof breaks / sizeof *breaks);
    tcase_add_test(tc, a_checkpoint_of_another_base_is_not_used);
    tcase_add_loop_test(tc, a_configuration_that_contradicts_the_base_is_refused, 0,
                        sizeof contradictions / sizeof *contradictions);
    tcase_add_test(tc, a_base_that_cannot_be_read_is_named);
    tcase_add_test(tc, an_encoder_without_a_base_is_not_frozen);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
