#include "train_config.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"
#include "contrast.h"
#include "log.h"
#include "str.h"
#include "train_plan.h"

const struct den_preset den_presets[DEN_PRESETS] = {
    {"cpu", "cgan", "A small U-Net of pix2pix trained on L1 alone; minutes on a CPU."},
    {"cpu_gan", "cgan",
     "The paper's composite loss (GAN, L1, SSIM, TV) at the size of cpu."},
    {"paper", "cgan", "The settings printed in the paper; days on a CPU."},
    {"code", "cgan", "The settings of the authors' published command; weeks on a CPU."},
    {"care", "care",
     "CARE's residual U-Net of 3x3 convolutions on L1 alone; minutes on a CPU."},
    {"care_gan", "cgan",
     "The paper's full loss with a contrastive term on CARE's net, the discriminator "
     "late."},
    {"care_ssim", "cgan",
     "L1 and structural similarity on CARE's net: as sharp as care_gan in 60 % of its "
     "time."},
};

/* ---- the table ------------------------------------------------------------------- */

#define AT(name) offsetof(struct den_train_config, name)
#define INT(name, lo, hi, ...)                                  \
    {                                                           \
#name, DEN_KEY_INT, AT(name), lo, hi, NULL, __VA_ARGS__ \
    }
#define REAL(name, lo, hi, ...)                                  \
    {                                                            \
#name, DEN_KEY_REAL, AT(name), lo, hi, NULL, __VA_ARGS__ \
    }
#define BOOL(name, ...)                                        \
    {                                                          \
#name, DEN_KEY_BOOL, AT(name), 0, 1, NULL, __VA_ARGS__ \
    }
#define WORD(name, words, ...)                                  \
    {                                                           \
#name, DEN_KEY_WORD, AT(name), 0, 0, words, __VA_ARGS__ \
    }
#define ALL(value)                                      \
    {                                                   \
        value, value, value, value, value, value, value \
    }

/* Columns of the presets: cpu, cpu_gan, paper, code, care, care_gan, care_ssim.  The
 * paper's total variation weight belongs to crops of 256 x 256; the term is a sum over
 * pixels, so at 128 x 128 it takes four times that weight to keep the balance. */
/* clang-format off */
const struct den_train_key den_train_keys[] = {
    INT(iterations, 1, 1e7, ALL("3000"),
        "Steps of the optimiser; setting it puts epochs to 0."),
    INT(epochs, 0, 1e5, {"0", "0", "1000", "800", "0", "0", "0"},
        "Passes over the training images instead of iterations; 0 = iterations count."),
    REAL(decay_fraction, 0, 1, {"0.5", "0.5", "0.5", "0.375", "0.5", "0.5", "0.5"},
        "Last part of the run, in which the learning rate falls linearly to 0."),
    INT(batch, 1, 1024, {"8", "8", "32", "128", "16", "16", "16"}, "Crops per step."),
    INT(crop, 32, 2048, {"128", "128", "256", "256", "64", "64", "64"},
        "Side of the square training crops in pixels; a multiple of 2^downs."),
    WORD(net, "unet care", {"unet", "unet", "unet", "unet", "care", "care", "care"},
        "Net that restores images: U-Net of pix2pix, or residual U-Net of CARE."),
    INT(kernel, 3, 5, ALL("3"), "Side of the kernels of net care: 3 or 5 pixels."),
    INT(downs, 1, 8, {"5", "5", "7", "8", "2", "2", "2"},
        "Halvings of the net on its way down: 5 to 8 of net unet, 1 to 5 of net care."),
    INT(ngf, 1, 256, {"16", "16", "64", "64", "16", "16", "16"},
        "Channels of the generator's first layer."),
    INT(ndf, 1, 256, {"16", "16", "64", "64", "16", "16", "16"},
        "Channels of the discriminator's first layer."),
    INT(d_layers, 1, 5, ALL("3"),
        "Strided layers of the PatchGAN discriminator; 3 sees patches of 70 pixels."),
    WORD(norm_layer, "batch instance", ALL("batch"),
        "Normalisation layers in the nets; net care has none."),
    BOOL(dropout, {"false", "false", "true", "true", "false", "false", "false"},
        "Dropout 0.5 in net unet's downs - 5 innermost decoder blocks."),
    REAL(lr, 1e-8, 10, {"0.001", "0.001", "0.0002", "0.0002", "0.002", "0.002", "0.002"},
        "Learning rate of Adam before the decay."),
    REAL(beta1, 0, 0.9999, {"0.5", "0.5", "0.5", "0.5", "0.9", "0.9", "0.9"},
        "Adam's decay of the first moment."),
    REAL(beta2, 0, 0.999999, ALL("0.999"), "Adam's decay of the second moment."),
    REAL(lambda_gan, 0, 1e6, {"0", "1", "1", "1", "0", "3", "0"},
        "Weight of the adversarial term; 0 trains without a discriminator."),
    REAL(gan_start, 0, 0.99, {"0", "0", "0", "0", "0", "0.5", "0"},
        "Part of the run before the discriminator begins; until then the rest trains."),
    REAL(gan_ramp, 0, 1, {"0", "0", "0", "0", "0", "0.2", "0"},
        "Part of the run after gan_start in which lambda_gan rises from 0 to its value."),
    REAL(d_lr, 0.001, 1000, ALL("1"),
        "Learning rate of the discriminator, as a multiple of lr."),
    REAL(lambda_l1, 0, 1e6, {"100", "100", "1", "100", "100", "100", "100"},
        "Weight of the mean absolute error, on images scaled to -1..1."),
    REAL(lambda_ssim, 0, 1e6, {"0", "10", "10", "10", "0", "60", "60"},
        "Weight of (1 - SSIM) / 2, on images scaled to 0..1."),
    REAL(lambda_tv, 0, 1e6, {"0", "0.0004", "0.0001", "0.0001", "0", "0.0002", "0.0002"},
        "Weight of the total variation summed over a crop, on images scaled to -1..1."),
    INT(ssim_window, 5, 11, ALL("5"), "Side of the SSIM window: 5 or 11 pixels."),
    WORD(gan_mode, "vanilla lsgan", ALL("vanilla"),
        "Adversarial loss: binary cross entropy (vanilla) or least squares (lsgan)."),
    INT(d_steps, 1, 2, ALL("1"),
        "Steps of the discriminator per step of the generator, on the same batch."),
    WORD(diff_augment, "none translation cutout translation-cutout", ALL("none"),
        "Augmentation of all that the discriminator sees, with gradients through it."),
    WORD(contrastive, "none disc-infonce disc-ntxent enc-ntxent enc-pretrain patchnce",
        {"none", "none", "disc-ntxent", "disc-infonce", "none", "disc-infonce", "none"},
        "Contrastive term on the discriminator (disc-) or on the generator's encoder."),
    REAL(contrastive_weight, 1e-6, 1e6, ALL("1"),
        "Weight of the contrastive term; 0.1 is usual for enc-ntxent."),
    REAL(contrastive_tau, 0.001, 100, ALL("0.1"),
        "Temperature of the contrastive term; small sharpens the comparison."),
    BOOL(contrastive_l2norm, {"false", "false", "true", "false", "false", "false", "false"},
        "Embeddings of disc- terms are divided by their length, as all others are."),
    WORD(contrastive_head, "auto fixed trained", ALL("auto"),
        "Projection to embeddings: random and fixed, or trained; auto: disc- terms fix it."),
    REAL(pretrain_fraction, 0, 0.9, ALL("0.1"),
        "First part of the run, in which enc-pretrain trains the encoder alone."),
    WORD(normalisation, "mean_std percentile min_max batch_joint",
        {"mean_std", "mean_std", "min_max", "batch_joint", "mean_std", "mean_std", "mean_std"},
        "How grey values of the training images become network values."),
    WORD(output, "linear tanh", {"linear", "linear", "tanh", "tanh", "linear", "linear", "linear"},
        "Last layer of the net; tanh is confined to -1..1 and not for net care."),
    WORD(winograd, DEN_WINOGRAD_WORDS, ALL("auto"),
        "Convolutions by Winograd's algorithm: wherever it is fastest, F(2x2, 2x2) alone, "
        "or nowhere."),
    BOOL(match_gain, {"true", "true", "false", "false", "true", "true", "true"},
        "Fit gain and offset of each clean image to its noisy one before training."),
    BOOL(augment, ALL("true"), "Flip and turn the crops by quarters at random."),
    BOOL(freeze_encoder, ALL("false"),
        "With a base model: its encoder stays as it is, and only the decoder learns."),
    REAL(validation_fraction, 0, 0.9, {"0.125", "0.125", "0", "0.125", "0.125", "0.125", "0.125"},
        "Part of the scenes (of the images, if there is one scene) kept for validation."),
    INT(validate_every, 0, 1e7, ALL("0"), "Steps between validations; 0 = 20 per run."),
    INT(samples, 0, 1e6, ALL("0"),
        "Train on this many of the noisy images, chosen by the seed; 0 = all."),
    WORD(checkpoint, "best last", {"best", "best", "last", "best", "best", "best", "best"},
        "Which weights become the model: best on validation, or those of the last step."),
    {NULL, DEN_KEY_INT, 0, 0, 0, NULL, ALL(NULL), NULL},
};
/* clang-format on */

/* ---- access by key --------------------------------------------------------------- */

/* Fields are reached through char *, which may alias any type. */
static void put(struct den_train_config *config, const struct den_train_key *key,
                const void *value, size_t size)
{
    assert(key->offset + size <= sizeof *config);
    memcpy((char *)config + key->offset, value, size);
}

static void take(const struct den_train_config *config, const struct den_train_key *key,
                 void *value, size_t size)
{
    assert(key->offset + size <= sizeof *config);
    memcpy(value, (const char *)config + key->offset, size);
}

static const struct den_train_key *find_key(const char *name)
{
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++)
        if (strcmp(k->name, name) == 0)
            return k;
    return NULL;
}

/* Is value one of the blank-separated words? */
static bool among(const char *words, const char *value)
{
    size_t length = strlen(value);
    for (const char *at = words; *at != '\0';) {
        size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, value, length) == 0)
            return length > 0;
        at += word;
        at += strspn(at, " ");
    }
    return false;
}

static bool refuse(const struct den_train_key *key, const char *value,
                   struct den_err *err)
{
    char shown[64];
    den_log_quote(value, shown, sizeof shown);
    switch (key->type) {
    case DEN_KEY_INT:
        return den_err_field(err, DEN_E_INVALID, key->name,
                             "%s must be a whole number from %.0f to %.0f, not %s",
                             key->name, key->minimum, key->maximum, shown);
    case DEN_KEY_REAL:
        return den_err_field(err, DEN_E_INVALID, key->name,
                             "%s must be a number from %g to %g, not %s", key->name,
                             key->minimum, key->maximum, shown);
    case DEN_KEY_BOOL:
        return den_err_field(err, DEN_E_INVALID, key->name,
                             "%s must be true or false, not %s", key->name, shown);
    case DEN_KEY_WORD:
        break;
    }
    return den_err_field(err, DEN_E_INVALID, key->name, "%s must be one of: %s; not %s",
                         key->name, key->words, shown);
}

static bool set_key(struct den_train_config *config, const struct den_train_key *key,
                    const char *value, struct den_err *err)
{
    int64_t whole;
    double real;
    bool yes;
    char word[DEN_WORD] = {0};
    switch (key->type) {
    case DEN_KEY_INT:
        if (!den_parse_int(value, (int64_t)key->minimum, (int64_t)key->maximum, &whole,
                           NULL))
            return refuse(key, value, err);
        put(config, key, &whole, sizeof whole);
        return true;
    case DEN_KEY_REAL:
        if (!den_parse_double(value, key->minimum, key->maximum, &real, NULL))
            return refuse(key, value, err);
        put(config, key, &real, sizeof real);
        return true;
    case DEN_KEY_BOOL:
        if (!den_parse_bool(value, &yes, NULL))
            return refuse(key, value, err);
        put(config, key, &yes, sizeof yes);
        return true;
    case DEN_KEY_WORD:
        break;
    }
    if (!among(key->words, value) || !den_str_copy(word, sizeof word, value))
        return refuse(key, value, err);
    put(config, key, word, sizeof word);
    return true;
}

bool den_train_config_set(struct den_train_config *config, const char *key,
                          const char *value, struct den_err *err)
{
    const struct den_train_key *found = find_key(key);
    char shown[64];
    if (found == NULL)
        return den_err_field(err, DEN_E_INVALID, key, "%s is not a setting of a training",
                             den_log_quote(key, shown, sizeof shown));
    if (!set_key(config, found, value, err))
        return false;
    /* Who asks for iterations does not mean the epochs of a preset. */
    if (found->offset == AT(iterations))
        config->epochs = 0;
    return true;
}

const struct den_preset *den_preset_of_method(const char *method)
{
    const struct den_preset *first = NULL, *standard = NULL;
    for (size_t p = DEN_PRESETS; p-- > 0;) {
        if (strcmp(den_presets[p].method, method) == 0)
            first = &den_presets[p];
        if (strcmp(den_presets[p].name, DEN_PRESET_DEFAULT) == 0)
            standard = &den_presets[p];
    }
    bool fits = first == NULL || strcmp(standard->method, method) == 0;
    return fits ? standard : first;
}

bool den_train_config_preset(const char *preset, struct den_train_config *ret,
                             struct den_err *err)
{
    size_t p = 0;
    while (p < DEN_PRESETS && strcmp(den_presets[p].name, preset) != 0)
        p++;
    char shown[64];
    if (p == DEN_PRESETS)
        return den_err_field(err, DEN_E_INVALID, "preset",
                             "preset must be one of: cpu cpu_gan paper code care "
                             "care_gan care_ssim; not %s",
                             den_log_quote(preset, shown, sizeof shown));
    struct den_train_config config = {0};
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++)
        if (!set_key(&config, k, k->preset[p], err))
            return false;
    *ret = config;
    return true;
}

/* The shorter of two texts that read back as the same number. */
static void show_real(double value, char *to, size_t size)
{
    double back = 0;
    den_str_format(to, size, "%.15g", value);
    if (!den_parse_double(to, value, value, &back, NULL))
        den_str_format(to, size, "%.17g", value);
}

void den_train_config_get(const struct den_train_config *config,
                          const struct den_train_key *key, char *to, size_t size)
{
    int64_t whole;
    double real;
    bool yes;
    char word[DEN_WORD];
    switch (key->type) {
    case DEN_KEY_INT:
        take(config, key, &whole, sizeof whole);
        den_str_format(to, size, "%" PRId64, whole);
        return;
    case DEN_KEY_REAL:
        take(config, key, &real, sizeof real);
        show_real(real, to, size);
        return;
    case DEN_KEY_BOOL:
        take(config, key, &yes, sizeof yes);
        den_str_copy(to, size, yes ? "true" : "false");
        return;
    case DEN_KEY_WORD:
        take(config, key, word, sizeof word);
        word[DEN_WORD - 1] = '\0';
        den_str_copy(to, size, word);
        return;
    }
}

/* ---- values against each other --------------------------------------------------- */

/* A configuration may have been filled by hand: each value passes through its text, so
 * that there is one place that knows what is allowed. */
static bool check_ranges(const struct den_train_config *config, struct den_err *err)
{
    struct den_train_config copy = *config;
    char text[64];
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++) {
        den_train_config_get(config, k, text, sizeof text);
        if (!set_key(&copy, k, text, err))
            return false;
    }
    return true;
}

/* What the net can be, in the words of the settings. */
static bool check_net(const struct den_train_config *config, struct den_err *err)
{
    const struct den_net *net = den_train_net(config);
    struct den_net_options options = den_train_generator(config);
    if (options.depth < net->depth_min || options.depth > net->depth_max)
        return den_err_field(err, DEN_E_INVALID, "downs",
                             "downs is %zu, but net %s takes %zu to %zu", options.depth,
                             net->name, net->depth_min, net->depth_max);
    return net->check(&options, err);
}

static bool check_crop(const struct den_train_config *config, struct den_err *err)
{
    struct den_net_options options = den_train_generator(config);
    int64_t multiple = (int64_t)den_train_net(config)->multiple_of(&options);
    if (config->crop % multiple != 0)
        return den_err_field(err, DEN_E_INVALID, "crop",
                             "crop is %" PRId64 ", but with downs %" PRId64
                             " it must be a multiple of %" PRId64,
                             config->crop, config->downs, multiple);
    /* side / 2^layers - 2 logits per row must be at least one (kernel 4, padding 1). */
    int64_t least = (int64_t)3 << config->d_layers;
    if (config->lambda_gan > 0 && config->crop < least)
        return den_err_field(err, DEN_E_INVALID, "crop",
                             "crop is %" PRId64
                             ", but a discriminator with d_layers %" PRId64
                             " needs at least %" PRId64,
                             config->crop, config->d_layers, least);
    return true;
}

bool den_train_config_check(const struct den_train_config *config, struct den_err *err)
{
    if (!check_ranges(config, err) || !check_net(config, err) || !check_crop(config, err))
        return false;
    if (config->ssim_window != 5 && config->ssim_window != 11)
        return den_err_field(err, DEN_E_INVALID, "ssim_window",
                             "ssim_window must be 5 or 11, not %" PRId64,
                             config->ssim_window);
    if (config->lambda_gan <= 0 && config->lambda_l1 <= 0 && config->lambda_ssim <= 0)
        return den_err_field(err, DEN_E_INVALID, "lambda_l1",
                             "lambda_gan, lambda_l1 and lambda_ssim are all 0, so there "
                             "is nothing to learn");
    if (!den_contrastive_check(config, err))
        return false;
    if (config->lambda_gan <= 0 && den_diff_augment_find(config->diff_augment) != NULL)
        return den_err_field(err, DEN_E_INVALID, "diff_augment",
                             "diff_augment %s is about what the discriminator sees, so "
                             "lambda_gan must be above 0",
                             config->diff_augment);
    /* Standardised pixels above one standard deviation would be out of reach. */
    if (strcmp(config->output, "tanh") == 0 &&
        strcmp(config->normalisation, "mean_std") == 0)
        return den_err_field(err, DEN_E_INVALID, "output",
                             "output tanh reaches only -1 to 1, so it needs "
                             "normalisation min_max, percentile or batch_joint, not "
                             "mean_std");
    return true;
}
